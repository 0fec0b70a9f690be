"""The learning rate of a step, and rows that a step has in excess: what all trainers do alike around transformers."""

import logging
from collections.abc import Callable, Iterator
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


class EachRowOnce:
    """A mixin for TRL's SFT: rows with which accelerate fills up an epoch's last step are not learnt again.

    Several processes need equally many batches of equal size; the rows of the epoch's beginning fill the last ones up.
    """

    def get_batch_samples(self, epoch_iterator: Iterator[Any], num_batches: int, device: torch.device) -> Any:
        return super().get_batch_samples(self._masked(epoch_iterator), num_batches, device)  # type: ignore[misc]

    def _masked(self, batches: Iterator[Any]) -> Iterator[Any]:
        for batch in batches:
            own = self._own_rows()
            if own is not None:
                batch["labels"][own:] = -100
            yield batch

    def _own_rows(self) -> int | None:
        """How many rows of the batch just drawn are this process's own; None for all."""
        accelerator: Any = self.accelerator  # type: ignore[attr-defined]
        size = self.args.per_device_train_batch_size  # type: ignore[attr-defined]
        rest = len(self.train_dataset) % (size * accelerator.num_processes)  # type: ignore[attr-defined]
        if accelerator.num_processes == 1 or not rest or not accelerator.gradient_state.end_of_dataloader:
            return None
        own: int = min(size, max(0, rest - accelerator.process_index * size))
        return own
