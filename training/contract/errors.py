"""Failures that an engine program can explain. Every message names the place and the remedy."""


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
