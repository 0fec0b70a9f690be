"""Failures that an engine program can explain. Every message names the place and the remedy."""

OUT_OF_MEMORY = (
    "Out of memory. Lower batch_size (raise gradient_accumulation by the same factor to keep the effective batch) or "
    "max_length, use LoRA, or turn gradient_checkpointing on."
)
# Added where a process died without reporting why.
LOST = "The log may say more; if it does not, memory ran out. Resume to continue from the last checkpoint"
# What libraries, the interpreter and the C library say when an allocation fails, in lower case.
MEMORY_SIGNS = (
    "can't allocate memory",
    "cannot allocate memory",
    "not enough memory",
    "cuda out of memory",
    "memoryerror",
    "bad_alloc",
    "can't start new thread",
    "thread creation failed",
    "failed to map segment",
    "memory allocation of ",
    "memory allocation still failed",
)


def mentions_memory(text: str) -> bool:
    """Whether an error's text, or the end of a log, says that memory ran out."""
    low = text.lower()
    return any(sign in low for sign in MEMORY_SIGNS)


class ConfigError(ValueError):
    """A configuration that cannot be run; the message names the field and the remedy."""


class EngineError(RuntimeError):
    """A failure that the person who started the run can understand and fix."""


class ModelError(EngineError):
    """A model, adapter or tokenizer folder that cannot be used."""


class DatasetError(EngineError):
    """Rows that cannot be trained on or evaluated."""


class CheckpointError(EngineError):
    """A run that cannot be resumed."""


class DivergedError(EngineError):
    """A loss or a gradient that is no longer a number."""


class MemoryShortError(EngineError):
    """A step that does not fit into memory, found before the first one."""


class MergeError(EngineError):
    """Adapters that cannot be merged into their base, or not on this machine."""


class Cancelled(Exception):
    """Raised where a program notices that it was asked to stop and has nothing to save first."""
