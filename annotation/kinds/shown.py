"""What one annotator is shown of a task. Sides are letters: which candidate is which stays on the server."""

from dataclasses import dataclass
from typing import Any, Protocol

from django.http import QueryDict

from annotation.candidates import presented_order
from annotation.errors import InvalidInput
from annotation.models import Aspect, Assignment, Candidate, Kind, Project, Prompt, ReasonTag

MAX_TEXT = 200_000


@dataclass(frozen=True)
class Side:
    letter: str
    candidate: int
    text: str


@dataclass(frozen=True)
class Shown:
    """`retired` are tags that were taken away: not offered, but accepted from a page that was open then."""

    assignment: Assignment
    project: Project
    prompt: Prompt
    sides: list[Side]
    aspects: list[Aspect]
    tags: list[ReasonTag]
    retired: list[ReasonTag]

    @property
    def kind(self) -> str:
        return self.assignment.batch.kind


class KindSlice(Protocol):
    """What a module of this package offers; see CONTRIBUTING for how to add one."""

    @property
    def HEADING(self) -> str: ...

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


def show(assignment: Assignment) -> Shown:
    """Load what the page of this task needs: two queries at most, whatever the size of the batch."""
    batch, task = assignment.batch, assignment.task
    sides = []
    if task.candidate_ids:
        order = presented_order(seed=batch.seed, task_id=task.pk, candidate_ids=task.candidate_ids)
        texts = dict(Candidate.objects.filter(pk__in=order).order_by().values_list("pk", "text"))
        sides = [Side(letter=chr(ord("a") + at), candidate=pk, text=texts[pk]) for at, pk in enumerate(order)]
    aspects, tags = [], []
    if batch.kind == Kind.SCORING:
        aspects = list(Aspect.objects.filter(project=batch.project_id, retired_at=None))
    elif batch.kind == Kind.CHOOSING:
        tags = list(ReasonTag.objects.filter(project=batch.project_id))
    return Shown(
        assignment=assignment, project=batch.project, prompt=task.prompt, sides=sides, aspects=aspects,
        tags=[tag for tag in tags if tag.retired_at is None],
        retired=[tag for tag in tags if tag.retired_at is not None],
    )  # fmt: skip


def read_text(form: QueryDict, field: str, *, complete: bool, missing: str) -> str:
    """A text as it will be kept: one kind of line end, no blanks around it. A draft keeps its blanks."""
    text = form.get(field, "").replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")
    if not complete:
        return text
    text = text.strip()
    if len(text) > MAX_TEXT:
        raise InvalidInput(
            "The text is too long.", [(field, f"At most {MAX_TEXT:,} characters; this has {len(text):,}.")]
        )
    if not text:
        raise InvalidInput(missing, [(field, missing)])
    return text
