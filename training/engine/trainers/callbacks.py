"""Trainer callback between a training and the site: metrics.jsonl, cancellation, time limit, divergence."""

import logging
import math
import time
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from training.contract.errors import DivergedError
from training.contract.metrics import TRL_NAMES
from training.engine.runtime import distributed
from training.engine.runtime.run import Run

log = logging.getLogger("konomi.engine")

DIVERGED = (
    "{name} is {value} at step {step}: training has diverged and the weights are unusable. Lower learning_rate (by "
    "three to ten times), raise warmup_ratio, or look for broken rows; the last checkpoint was saved before that"
)


class ProgressCallback(TrainerCallback):  # type: ignore[misc]
    """Appends to metrics.jsonl, ends the training on a cancel, on `max_seconds`, or when the loss is not a number."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.cancelled = False
        self.first_step = 0
        self.tokens_before = 0
        self.tokens = 0
        self.started = time.monotonic()
        self.last = (self.started, 0)

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self.first_step = state.global_step
        self.started = time.monotonic()
        self.last = (self.started, 0)
        if state.global_step:
            # TRL counts tokens of this process only; tokens before the checkpoint are in metrics.jsonl.
            lines, _ = self.run.directory.read_metrics()
            seen = [line["tokens"] for line in lines if line.get("step", 0) <= state.global_step and "tokens" in line]
            self.tokens_before = self.tokens = max(seen, default=0)
        event = "resumed" if state.global_step else "started"
        self.run.record(event=event, step=state.global_step, total_steps=state.max_steps)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        done = state.global_step >= state.max_steps
        limit = self.run.config.max_seconds
        # The main process decides for all: they must stop at the same step.
        cancelled, late = distributed.broadcast_flags(self.run.cancelled(), bool(limit) and self.run.elapsed() > limit)
        if not done and cancelled:
            self.cancelled = True
            control.should_save = control.should_training_stop = True
        elif not done and late:
            self.run.record(event="time_limit", step=state.global_step)
            control.should_save = control.should_training_stop = True
        if control.should_save:
            control.should_log = True  # so that a loss that is not a number is seen before it is saved

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self.run.record(event="saved", step=state.global_step)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if not logs or "loss" not in logs:
            return  # the summary after the last step
        for name in ("loss", "grad_norm"):
            if not math.isfinite(float(logs.get(name, 0.0))):
                raise DivergedError(DIVERGED.format(name=name, value=logs[name], step=state.global_step))
        now = time.monotonic()
        seen = int(logs.get("num_tokens", 0))
        then, seen_then = self.last
        self.last = (now, seen)
        self.tokens = self.tokens_before + seen
        steps = state.global_step - self.first_step
        left = (state.max_steps - state.global_step) * (now - self.started) / max(1, steps)
        values = {key: float(logs[trl_name]) for trl_name, key in TRL_NAMES.items() if trl_name in logs}
        self.run.record(
            step=state.global_step,
            total_steps=state.max_steps,
            **values,
            tokens=self.tokens,
            tokens_per_s=round((seen - seen_then) / max(1e-9, now - then), 1),
            time_left_s=round(left, 1),
        )
        summary = ", ".join(f"{name} {value:.4g}" for name, value in values.items())
        log.info("step %d of %d: %s, %.0f s left", state.global_step, state.max_steps, summary, left)
