"""All checks, in the order of reports."""

from training.engine.verification.check import Check
from training.engine.verification.checks import adapters, batches, families, labels, recovery, start, texts

ALL: tuple[Check, ...] = (
    *start.CHECKS,
    *labels.CHECKS,
    *batches.CHECKS,
    *adapters.CHECKS,
    *families.CHECKS,
    *texts.CHECKS,
    *recovery.CHECKS,
)
