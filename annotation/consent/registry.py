"""What another app knows about models that were trained on dataset versions: it registers here in `AppConfig.ready`."""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, Protocol

from annotation.models import Project


@dataclass(frozen=True)
class Trained:
    """Something that was made from withdrawn answers: a run, a checkpoint, a round …

    `url` is its page, `rebuild_url` takes a POST that makes it again from what superseded its inputs; where that is not
    possible yet, `waits` says for what. `superseded` names what was made in its place. `facts` go into the receipt.
    """

    kind: str
    name: str
    url: str
    state: str
    superseded: str = ""
    superseded_url: str = ""
    rebuild_url: str = ""
    rebuild_label: str = ""
    waits: str = ""
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Promoted:
    """A checkpoint whose promotion is in effect. `contains` is a sentence that says by which way withdrawn answers are
    in it, empty where there are none. `facts` go into the receipt."""

    name: str
    url: str
    contains: str
    facts: dict[str, Any] = field(default_factory=dict)


class Models(Protocol):
    """What consent asks of an app that trains."""

    def trained_on(self, project: Project, datasets: Collection[int]) -> list[Trained]:
        """Everything that was made from these dataset versions, directly or not."""

    def promoted(self, project: Project, datasets: Collection[int]) -> list[Promoted]:
        """The promotions in effect, and whether they contain rows of these dataset versions."""

    def remove_copies(self, project: Project, datasets: Collection[int], *, again: bool) -> int:
        """Delete copies of the rows' texts, and of the project's candidates, that engines have; how many files.
        `again`: it was done before, and looks for what has been written since."""

    def remaining(self, project: Project, datasets: Collection[int]) -> list[str]:
        """Where texts of these rows may still be after `remove_copies`, in sentences."""


MODELS: list[Models] = []


def trained_on(project: Project, datasets: Collection[int]) -> list[Trained]:
    return [row for models in MODELS for row in models.trained_on(project, datasets)] if datasets else []


def promoted(project: Project, datasets: Collection[int]) -> list[Promoted]:
    return [row for models in MODELS for row in models.promoted(project, datasets)]


def remove_copies(project: Project, datasets: Collection[int], *, again: bool) -> int:
    return sum(models.remove_copies(project, datasets, again=again) for models in MODELS)


def remaining(project: Project, datasets: Collection[int]) -> list[str]:
    return [sentence for models in MODELS for sentence in models.remaining(project, datasets)] if datasets else []
