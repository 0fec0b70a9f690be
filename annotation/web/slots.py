"""Places on annotation's pages that another app fills: annotation knows the place, not who fills it.

An app appends its functions in `AppConfig.ready`. `training` fills the rest of the loop's steps, what a batch of a
round came to, and what the labels bought.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from annotation.models import Batch, Project


@dataclass(frozen=True)
class Milestone:
    """A step of the loop: `at` is when it was last done; `url` is the name of a page of the project."""

    name: str
    url: str
    what: str
    at: datetime | None
    in_progress: bool = False
    for_managers: bool = False


@dataclass(frozen=True)
class Outcome:
    """What a batch came to: a sentence in bold, what explains it, and where there is more."""

    sentence: str
    explanation: str
    url: str


@dataclass(frozen=True)
class Section:
    """A section of the dashboard that another app fills: a template and what it needs."""

    template: str
    context: Mapping[str, Any]


# What follows a frozen dataset, in the order of the loop.
LOOP_STEPS: list[Callable[[Project], list[Milestone]]] = []
BATCH_OUTCOMES: list[Callable[[Batch], Outcome | None]] = []
DASHBOARD_SECTIONS: list[Callable[[Project], Section]] = []


def loop_steps(project: Project) -> list[Milestone]:
    return [milestone for steps in LOOP_STEPS for milestone in steps(project)]


def dashboard_sections(project: Project) -> list[Section]:
    return [section_of(project) for section_of in DASHBOARD_SECTIONS]


def batch_outcomes(batch: Batch) -> list[Outcome]:
    return [outcome for outcome_of in BATCH_OUTCOMES if (outcome := outcome_of(batch)) is not None]
