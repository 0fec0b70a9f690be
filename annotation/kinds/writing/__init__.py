"""Writing: the annotator writes the answer from the prompt alone. Each answer is one SFT example."""

from collections.abc import Iterable, Sequence
from typing import Any

from django.http import QueryDict
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from annotation.kinds.base import AnnotationKind, Stored
from annotation.kinds.columns import AnswerContext
from annotation.kinds.presentation import AspectsByKey, PresentedTask
from annotation.kinds.votes import Label, PromptLabels, Votes, vote
from annotation.kinds.writing import form as page
from annotation.kinds.writing.payload import WritingPayload
from annotation.models import Kind


class Writing(AnnotationKind[WritingPayload]):
    name = Kind.WRITING
    summary = gettext_lazy("Writing: people answer the prompt themselves")
    assumed_seconds_of_one = 150
    takes_candidates = False
    scripts = ("js/editing.js",)
    has_editor = True
    searched = ("text",)
    keeps_own_text = True

    def parse(self, stored: Stored) -> WritingPayload:
        return WritingPayload.from_json(stored)

    def read_form(self, form: QueryDict, shown: PresentedTask, *, complete: bool) -> WritingPayload:
        return page.read(form, shown, complete=complete)

    def present_form(self, shown: PresentedTask, entered: WritingPayload | None) -> dict[str, Any]:
        return page.present(shown, entered)

    def describe_answer(
        self, answer: WritingPayload, texts: dict[int, str], language: str, aspects: AspectsByKey
    ) -> dict[str, Any]:
        return {"headline": _("Written"), "text": answer.text}

    def own_text(self, stored: Stored) -> str | None:
        return self.parse(stored).text or None

    def columns(self, answer: WritingPayload, about: AnswerContext) -> dict[str, Any]:
        return {"text": answer.text}

    def pattern(self, answer: WritingPayload) -> Any:
        return answer.text

    def comparable(self, answer: WritingPayload) -> Iterable[tuple[Any, Any]]:
        """The same text."""
        return [("", answer.text)]

    def add_sft_votes(self, prompt: PromptLabels, labels: Sequence[Label[WritingPayload]], votes: Votes) -> None:
        for label in labels:
            votes[(label.payload.text,)].append(vote(label))
