"""What one annotator is shown of a task. Sides are letters: which candidate is which stays on the server."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.http import QueryDict
from django.utils.translation import gettext as _

from annotation.core.errors import InvalidInput
from annotation.models import Aspect, Assignment, Project, Prompt, ReasonTag
from annotation.text.normalization import normal_form

MAX_TEXT = 200_000

AspectsByKey = Mapping[str, Aspect]
Problem = tuple[str, str]  # a form field, and what is wrong with it


@dataclass(frozen=True)
class Side:
    letter: str
    candidate: int
    text: str


@dataclass(frozen=True)
class PresentedTask:
    """One task as an annotator sees it.

    sides: where the kind compares texts they all differ; of outputs that read the same, one is shown.
    retired: reason tags that were retired. They are not offered, but accepted from a page that was already open.
    weights: loaded only where the project shows the weighted total.
    """

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


def normal(text: str) -> str:
    """The text with the line ends that a browser's text area sends back."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def distinct(sides: list[Side]) -> list[Side]:
    """The sides without those that read like an earlier one, with new letters."""
    first: dict[str, Side] = {}
    for side in sides:
        first.setdefault(normal_form(side.text), side)
    return lettered([(side.candidate, side.text) for side in first.values()])


def lettered(texts: Sequence[tuple[int, str]]) -> list[Side]:
    return [Side(letter=chr(ord("a") + at), candidate=pk, text=text) for at, (pk, text) in enumerate(texts)]


def posted_text(form: QueryDict, field: str) -> str:
    """The field's text with one kind of line end, and without NUL, which PostgreSQL cannot store."""
    return normal(form.get(field, "")).replace("\0", "")


def too_long(text: str) -> str | None:
    """Why the text cannot be stored, or None."""
    if len(text) <= MAX_TEXT:
        return None
    values = {"most": f"{MAX_TEXT:,}", "count": f"{len(text):,}"}
    return _("At most %(most)s characters; this has %(count)s.") % values


def read_text(form: QueryDict, field: str, *, complete: bool, missing: str) -> str:
    """A text as it will be stored: one kind of line end, no surrounding blanks. A draft keeps its blanks."""
    text = posted_text(form, field)
    if not complete:
        return text
    text = text.strip()
    if problem := too_long(text):
        raise InvalidInput(_("The text is too long."), [(field, problem)])
    if not text:
        raise InvalidInput(missing, [(field, missing)])
    return text
