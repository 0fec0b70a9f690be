"""The learning rate of a step: what all trainers do alike around transformers."""

import logging
from collections.abc import Callable
from typing import Any

import torch
from torch.optim.lr_scheduler import LambdaLR, LRScheduler

from training.contract.wording import counted
from training.engine.artifacts.checkpoints import WholeCheckpoints

log = logging.getLogger("konomi.engine")


class KonomiSteps(WholeCheckpoints):
    """A mixin for trainers: a warm-up whose first step learns something."""

    def create_scheduler(self, num_training_steps: int, optimizer: torch.optim.Optimizer | None = None) -> LRScheduler:
        """transformers' schedule, but for the warm-up: of w steps, step n has n / (w + 1) of the rate.

        transformers gives the first step the rate 0. From the first step after the warm-up on both are equal.
        """
        fresh = self.lr_scheduler is None
        schedule = super().create_scheduler(num_training_steps, optimizer)
        warmup = self.args.get_warmup_steps(num_training_steps)
        if not fresh or not warmup or not isinstance(schedule, LambdaLR) or _is_constant(self.args):
            return schedule
        schedule.lr_lambdas = [_rising(factor, warmup) for factor in schedule.lr_lambdas]
        for group, rate, factor in zip(
            schedule.optimizer.param_groups, schedule.base_lrs, schedule.lr_lambdas, strict=True
        ):
            group["lr"] = rate * factor(0)
        schedule._last_lr = [group["lr"] for group in schedule.optimizer.param_groups]
        log.info(
            "the learning rate rises in the first %s of %d, from 1/%d of it",
            counted(warmup, "step"),
            num_training_steps,
            warmup + 1,
        )
        return schedule


def _is_constant(args: Any) -> bool:
    return str(getattr(args.lr_scheduler_type, "value", args.lr_scheduler_type)) == "constant"


def _rising(factor: Callable[[int], float], warmup: int) -> Callable[[int], float]:
    """A factor of the learning rate by step, with another warm-up.

    A function, as LambdaLR saves the attributes of other callables, and a checkpoint is read as weights only.
    """

    def at(step: int) -> float:
        return (step + 1) / (warmup + 1) if step < warmup else float(factor(step))

    return at
