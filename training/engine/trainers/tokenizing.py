"""Where a run keeps its token ids, and how it reports that rows are being tokenized."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from training.contract.config import EvaluationConfig, TrainingConfig
from training.contract.run_directory import TOKENS
from training.engine.data.token_cache import TokenCache
from training.engine.runtime import distributed
from training.engine.runtime.run import Run


def options(run: Run) -> dict[str, Any]:
    """The cache and the progress for `data.tokenization.tokenize`. Call it where processes are connected."""
    config: TrainingConfig | EvaluationConfig = run.config
    folder = Path(config.token_cache) if config.token_cache else run.directory.path / TOKENS
    cache = TokenCache(folder, leads=distributed.is_main_process(), barrier=distributed.barrier)
    return {"cache": cache, "advance": progress(run)}


def progress(run: Run) -> Callable[[int, int], None]:
    """Progress for metrics.jsonl after each chunk of rows; raises Cancelled after a request to stop."""
    started = time.monotonic()

    def advance(done: int, total: int) -> None:
        run.stop_if_cancelled()
        if 0 < done < total:
            left = (total - done) * (time.monotonic() - started) / done
            run.record(stage="tokens", done=done, total=total, time_left_s=round(left, 1))

    return advance
