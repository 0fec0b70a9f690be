"""Post-editing: the annotator edits a model's text, or accepts it as it is. Yields SFT examples, pairs (edited over
original) and desirable texts (accepted unchanged)."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.http import QueryDict
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from annotation.kinds.base import AnnotationKind, Stored
from annotation.kinds.columns import AnswerContext, edit_columns
from annotation.kinds.postediting import form as page
from annotation.kinds.postediting import votes as voting
from annotation.kinds.postediting.describe import describe
from annotation.kinds.postediting.payload import PosteditingPayload
from annotation.kinds.presentation import AspectsByKey, PresentedTask
from annotation.kinds.votes import Label, Opinion, PromptLabels, Votes
from annotation.models import Kind


class Postediting(AnnotationKind[PosteditingPayload]):
    name = Kind.POSTEDITING
    summary = gettext_lazy("Post-editing: people edit a model's text, or accept it")
    assumed_seconds_of_one = 90
    scripts = ("js/editing.js",)
    has_editor = True
    can_accept_unchanged = True
    searched = ("text",)
    keeps_own_text = True

    def parse(self, stored: Stored) -> PosteditingPayload:
        return PosteditingPayload.from_json(stored)

    def read_form(self, form: QueryDict, shown: PresentedTask, *, complete: bool) -> PosteditingPayload:
        return page.read(form, shown, complete=complete)

    def present_form(self, shown: PresentedTask, entered: PosteditingPayload | None) -> dict[str, Any]:
        return page.present(shown, entered)

    def describe_answer(
        self, answer: PosteditingPayload, texts: dict[int, str], language: str, aspects: AspectsByKey
    ) -> dict[str, Any]:
        return describe(answer, texts, language)

    def describe_briefly(
        self, answer: PosteditingPayload, texts: dict[int, str], language: str, aspects: AspectsByKey
    ) -> dict[str, Any]:
        return {"headline": _("Accepted unchanged") if answer.unchanged else _("Edited"), "text": answer.text}

    def own_text(self, stored: Stored) -> str | None:
        return self.parse(stored).text or None

    def columns(self, answer: PosteditingPayload, about: AnswerContext) -> dict[str, Any]:
        original = about.texts.get(answer.candidate)
        return {
            "text": answer.text,
            "edited_candidate_id": answer.candidate,
            "unchanged": answer.unchanged,
            **edit_columns(original, answer.text, about.language),
        }

    def candidates(self, answer: PosteditingPayload) -> Iterable[int]:
        return [answer.candidate]

    def comparable(self, answer: PosteditingPayload) -> Iterable[tuple[Any, Any]]:
        """Whether the text was changed."""
        return [("", answer.unchanged)]

    def pattern(self, answer: PosteditingPayload) -> Any:
        return "unchanged" if answer.unchanged else answer.text

    def opinions(self, answer: PosteditingPayload, origins: Mapping[int, str]) -> Iterable[Opinion]:
        return [Opinion("", "", answer.unchanged, "unchanged" if answer.unchanged else "edited")]

    def add_sft_votes(self, prompt: PromptLabels, labels: Sequence[Label[PosteditingPayload]], votes: Votes) -> None:
        voting.add_sft_votes(labels, votes)

    def add_pair_votes(self, prompt: PromptLabels, labels: Sequence[Label[PosteditingPayload]], votes: Votes) -> None:
        voting.add_pair_votes(prompt, labels, votes)

    def add_unpaired_votes(
        self, prompt: PromptLabels, labels: Sequence[Label[PosteditingPayload]], votes: Votes
    ) -> None:
        voting.add_unpaired_votes(prompt, labels, votes)
