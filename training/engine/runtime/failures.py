"""Exceptions as sentences for result.json: what happened, and what to do about it. Free of torch."""

import errno
import shutil
from pathlib import Path

from training.contract.config import ConfigError
from training.contract.errors import LOST as LOST
from training.contract.errors import OUT_OF_MEMORY as OUT_OF_MEMORY
from training.contract.errors import EngineError, mentions_memory
from training.engine.runtime import distributed


def explain(error: BaseException, folder: Path) -> str:
    """One or two sentences for result.json. `folder` is the run directory, whose disk may be full."""
    text = str(error).strip()
    kind = type(error).__name__
    first_line = text.partition("\n")[0][:300]
    if is_out_of_memory(error):
        return f"{OUT_OF_MEMORY} ({kind}: {first_line})"
    if _is_disk_full(error, folder):
        return f"The disk is full. Free space under {folder}, then resume. ({kind}: {text[:300]})"
    if isinstance(error, EngineError | ConfigError):
        return text
    if _is_lost_process(error):
        return f"One of the processes died, and the others cannot continue. {LOST}. ({kind}: {first_line})"
    if isinstance(error, FileNotFoundError):
        return f"File not found: {error.filename or text}. Restore it, or create the run again."
    return f"{kind}: {text[:2000]}. The traceback is in the log."


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, on the CPU or the GPU. Libraries report it in several ways."""
    return (
        isinstance(error, MemoryError)
        or getattr(error, "errno", None) == errno.ENOMEM
        or type(error).__name__ == "OutOfMemoryError"
        or mentions_memory(str(error))
    )


def _is_lost_process(error: BaseException) -> bool:
    text = str(error).lower()
    signs = ("connection closed by peer", "connection reset", "read error", "nccl", "heartbeat")
    return distributed.count() > 1 and any(sign in text for sign in signs)


def _is_disk_full(error: BaseException, folder: Path) -> bool:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    text = str(error)
    if "No space left on device" in text or "os error 28" in text:
        return True
    # torch's zip writer does not report why a write failed.
    failed_write = "PytorchStreamWriter" in text or "unexpected pos" in text
    return failed_write and shutil.disk_usage(folder).free < 64 << 20
