"""Check, measure and estimate before the first step; writes preflight.json in the run directory.

What `data` refuses outright (no stop token, a text that begins twice, a prompt that is not a prefix) has ended the run
before this. This module reports what was counted there, a split that leaks, and whether memory and time suffice.
"""

import json
import logging
from collections.abc import Sequence
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from training.contract.config import TrainingConfig
from training.contract.run_directory import write_atomically
from training.engine.data.rows import Counts, Row
from training.engine.data.tokenization import Sequences
from training.engine.runtime import distributed
from training.engine.runtime.run import Run
from training.engine.trainers import resources, row_checks

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
    dry_run: resources.DryRun | None,
) -> dict[str, Any]:
    """Check everything that can be known before the first step; returns the content of preflight.json.

    `sequences` are in the order of the training dataset. `dry_run` computes one step's forward and backward of the
    sequences at the given positions and keeps nothing (None: plain TRL, which is not tried). Raises DatasetError for
    held-out prompts in the training rows, MemoryShortError where the longest batch does not fit.
    """
    config: TrainingConfig = run.config
    checks = [
        row_checks.held_out(run, rows),
        row_checks.padding(tokenizer),
        row_checks.chat_template(tokenizer, rows),
        row_checks.stop_tokens(counts, max_length),
        *row_checks.dropped_rows(counts),
        row_checks.enough_rows(config, len(sequences)),
    ]
    sizes = [len(item.prompt_ids) + sum(map(len, item.completion_ids)) for item in sequences]
    longest = resources.longest_batch(config, sizes)
    estimated = resources.estimate(config, purpose, sequences, longest, model, packing=dry_run is not None)
    available = resources.available_bytes(model)
    checks.append(resources.memory_fits(estimated, available, model))
    for warning in (item for item in checks if item["status"] == "warning"):
        log.warning("preflight: %s", warning["words"])
    seconds, peak = resources.measure(dry_run, longest, sizes, model)
    content = {
        "checks": checks,
        "lengths": row_checks.lengths(sequences),
        "truncated": {"count": counts.truncated, "rows": counts.listed.get("truncated", [])},
        "dropped": {
            name.removeprefix("dropped_"): {"count": getattr(counts, name), "rows": counts.listed.get(name, [])}
            for name in row_checks.DROPPED
            if getattr(counts, name)
        },
        "memory": {
            "estimate_bytes": estimated.parts() if estimated else None,
            "available_bytes": available,
            "measured_peak_bytes": peak,
        },
        "time": resources.expected_time(config, sizes, longest, seconds),
    }
    if distributed.is_main_process():
        write_atomically(run.directory.preflight_path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")
        run.record(event="preflight", warnings=sum(item["status"] == "warning" for item in checks))
    return content
