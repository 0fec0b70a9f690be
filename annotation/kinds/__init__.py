"""The kinds of annotation, each a package: its payload, how its form is read, how it votes, how it reads in words.

A task's form becomes a typed payload (`form`, `payload`), which is stored as JSON; a payload becomes votes (`votes`),
from which `annotation.datasets` makes rows. Other rooms treat a stored payload as opaque and ask `KINDS[kind]`, whose
questions are in `base.AnnotationKind`. This room imports core, text and models only. CONTRIBUTING.md lists what a new
kind needs.
"""

from annotation.kinds.loading import show
from annotation.kinds.presentation import PresentedTask
from annotation.kinds.registry import KINDS

__all__ = ["KINDS", "PresentedTask", "show"]
