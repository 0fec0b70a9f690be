"""Check, measure and estimate before the first step; writes preflight.json in the run directory.

What `data` refuses outright (no stop token, a text that begins twice, a prompt that is not a prefix) has ended the run
before this. This module reports what was counted there, a split that leaks, and whether memory and time suffice.
"""

import json
import logging
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from transformers import (
    PreTrainedModel,
    PreTrainedTokenizerBase,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from training.contract.config import TrainingConfig
from training.contract.run_directory import write_atomically
from training.engine.data.rows import Counts, Row
from training.engine.data.tokenization import Sequences
from training.engine.runtime import distributed
from training.engine.runtime.run import Run
from training.engine.trainers import resources, row_checks

if TYPE_CHECKING:
    from training.engine.trainers.packed_trainer import PackedTrainer

TRIAL, FIRST_STEP = "trial", "first_step"  # what was measured

log = logging.getLogger("konomi.engine")


def check(
    run: Run,
    *,
    purpose: str,
    rows: Sequence[Row],
    sequences: Sequence[Sequences],
    counts: Counts,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    max_length: int,
    packed: "PackedTrainer | None",
    more: Sequence[dict[str, str]] = (),
) -> dict[str, Any]:
    """Check everything that can be known before the first step; returns the content of preflight.json.

    `sequences` are in the order of the training dataset. `packed` tries the longest batch of them, and keeps nothing;
    where there are few steps its first one is measured, and the file written again. Plain TRL (None) is not tried.
    `more` are checks that the program made itself.
    Raises DatasetError for held-out prompts in the training rows, MemoryShortError where that batch does not fit.
    """
    config: TrainingConfig = run.config
    checks = [
        row_checks.held_out(run, rows),
        row_checks.padding(tokenizer),
        row_checks.chat_template(tokenizer, rows),
        row_checks.stop_tokens(counts, max_length),
        row_checks.typed_control_tokens(counts),
        *row_checks.reasoning(counts),
        *row_checks.dropped_rows(counts),
        row_checks.enough_rows(config, len(sequences)),
        *more,
    ]
    sizes = [len(item.prompt_ids) + sum(map(len, item.completion_ids)) for item in sequences]
    longest = resources.longest_batch(config, sizes)
    estimated = resources.estimate(config, purpose, sequences, longest, model, packing=packed is not None)
    available = resources.available_bytes(model)
    checks.append(resources.memory_fits(estimated, available, model))
    for warning in (item for item in checks if item["status"] == "warning"):
        log.warning("preflight: %s", warning["words"])
    steps = resources.steps_of(config, len(sequences), len(packed.steps) if packed else None)
    trial = packed.dry_run if packed and steps >= resources.STEPS_WORTH_A_TRIAL else None
    seconds, peak = resources.measure(trial, longest, sizes, model)
    content: dict[str, Any] = {
        "checks": checks,
        "lengths": row_checks.lengths(sequences),
        "truncated": {"count": counts.truncated, "rows": counts.listed.get("truncated", [])},
        "control_text": {"count": counts.control_text, "rows": counts.listed.get("control_text", [])},
        "dropped": {
            name.removeprefix("dropped_"): {"count": getattr(counts, name), "rows": counts.listed.get(name, [])}
            for name in row_checks.DROPPED
            if getattr(counts, name)
        },
        "memory": {
            "estimate_bytes": estimated.parts() if estimated else None,
            "available_bytes": available,
            "measured_peak_bytes": peak,
            "measured": TRIAL if trial else None,
        },
        "time": resources.expected_time(config, sizes, longest, seconds, steps),
    }
    if packed and not trial:

        def add_measured(seconds: float, peak: int) -> None:
            first = packed.steps.share(packed.steps.steps(0)[0])
            content["memory"] |= {"measured_peak_bytes": peak, "measured": FIRST_STEP}
            content["time"] = resources.expected_time(config, sizes, first, seconds, steps)
            _write(run, content)

        packed.add_callback(FirstStep(add_measured))
    _write(run, content)
    run.record(event="preflight", warnings=sum(item["status"] == "warning" for item in checks))
    return content


def _write(run: Run, content: dict[str, Any]) -> None:
    if distributed.is_main_process():
        write_atomically(run.directory.preflight_path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


class FirstStep(TrainerCallback):  # type: ignore[misc]
    """Calls `add(seconds, peak bytes)` after the first step of a training."""

    def __init__(self, add: Callable[[float, int], None]) -> None:
        self.add: Callable[[float, int], None] | None = add
        self.began = 0.0

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if self.add:
            self.began = time.perf_counter()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        add, self.add = self.add, None
        if add:
            model = kwargs["model"]
            if model.device.type == "cuda":
                torch.cuda.synchronize(model.device)
            add(time.perf_counter() - self.began, resources.peak_bytes(model))
