"""What one annotator is shown of a task. Sides are letters: which candidate is which stays on the server."""

import unicodedata
from dataclasses import dataclass
from typing import Any, Protocol

from django.http import QueryDict
from django.utils.functional import Promise
from django.utils.translation import gettext as _

from annotation.core.errors import InvalidInput
from annotation.core.prepared import execute, select
from annotation.kinds.side_order import presented_order
from annotation.models import Aspect, Assignment, Kind, Project, Prompt, ReasonTag

MAX_TEXT = 200_000
# What a reader does not see at either end of a text.
BLANKS = " \t\n\r\u00a0\u3000"

TEXTS = "SELECT id, text FROM annotation_candidate WHERE id = ANY(%(ids)s)"
ASPECTS = "project_id = %(project)s AND retired_at IS NULL ORDER BY position, id"
TAGS = "project_id = %(project)s ORDER BY position, id"

Problem = tuple[str, str]  # a field, and what is wrong with it


@dataclass(frozen=True)
class Side:
    letter: str
    candidate: int
    text: str


@dataclass(frozen=True)
class Shown:
    """`sides` of a choice differ from one another: of outputs that read the same, one is shown. `retired` are tags
    that were taken away: not offered, but accepted from a page that was open then. `weights` are known only where the
    project shows the weighted total."""

    assignment: Assignment
    project: Project
    prompt: Prompt
    sides: list[Side]
    aspects: list[Aspect]
    tags: list[ReasonTag]
    retired: list[ReasonTag]
    weights: dict[str, float] | None = None

    @property
    def kind(self) -> str:
        return self.assignment.batch.kind


class KindSlice(Protocol):
    """What a module of this package offers; see CONTRIBUTING for how to add one."""

    @property
    def HEADING(self) -> str | Promise: ...

    def present(self, shown: Shown, payload: dict[str, Any] | None) -> dict[str, Any]:
        """The template's context: texts by side, and the entries of `payload` (a draft or an earlier answer)."""
        ...

    def read(self, form: QueryDict, shown: Shown, *, complete: bool = True) -> dict[str, Any]:
        """The posted form as a payload. Raises InvalidInput, naming each field at fault; with `complete` false (a
        draft) it never does: what is missing or unusable is left out."""
        ...

    def describe(self, payload: dict[str, Any], texts: dict[int, str], language: str) -> dict[str, Any]:
        """An answer for people to read: `headline`, and what else its template part shows."""
        ...


def show(assignment: Assignment, *, like: Shown | None = None) -> Shown:
    """Load what the page of this task needs: two queries at most (three with the weights), whatever the size of the
    batch. `like` is a task of the same batch shown just before, whose aspects and tags are these."""
    batch, task = assignment.batch, assignment.task
    sides = []
    if task.candidate_ids:
        order = presented_order(seed=batch.seed, task_id=task.pk, candidate_ids=task.candidate_ids)
        texts: dict[int, str] = task.texts or dict(execute(TEXTS, {"ids": order}))
        sides = [Side(letter=chr(ord("a") + at), candidate=pk, text=texts[pk]) for at, pk in enumerate(order)]
    aspects, tags, weights = [], [], None
    if batch.kind == Kind.SCORING:
        aspects = like.aspects if like else select(Aspect, ASPECTS, {"project": batch.project_id})
        if batch.project.show_total and batch.weight_set is not None:
            weights = batch.weight_set.weights
    elif batch.kind == Kind.CHOOSING:
        sides = different(sides)
        tags = [*like.tags, *like.retired] if like else select(ReasonTag, TAGS, {"project": batch.project_id})
    return Shown(
        assignment=assignment, project=batch.project, prompt=task.prompt, sides=sides, aspects=aspects,
        tags=[tag for tag in tags if tag.retired_at is None],
        retired=[tag for tag in tags if tag.retired_at is not None],
        weights=weights,
    )  # fmt: skip


def words_of(text: str) -> str:
    """A text as a reader takes it: two with the same words are never compared. `queue.task_selection` says the
    same in SQL."""
    return unicodedata.normalize("NFC", normal(text)).strip(BLANKS)


def normal(text: str) -> str:
    """With the line ends that a browser's text area gives back."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def different(sides: list[Side]) -> list[Side]:
    """Without those that read like one before them, lettered anew."""
    first: dict[str, Side] = {}
    for side in sides:
        first.setdefault(words_of(side.text), side)
    return [
        Side(letter=chr(ord("a") + at), candidate=side.candidate, text=side.text)
        for at, side in enumerate(first.values())
    ]


def read_text(form: QueryDict, field: str, *, complete: bool, missing: str) -> str:
    """A text as it will be kept: one kind of line end, no blanks around it. A draft keeps its blanks."""
    text = normal(form.get(field, "")).replace("\0", "")
    if not complete:
        return text
    text = text.strip()
    if len(text) > MAX_TEXT:
        said = _("At most %(most)s characters; this has %(count)s.")
        raise InvalidInput(
            _("The text is too long."), [(field, said % {"most": f"{MAX_TEXT:,}", "count": f"{len(text):,}"})]
        )
    if not text:
        raise InvalidInput(missing, [(field, missing)])
    return text
