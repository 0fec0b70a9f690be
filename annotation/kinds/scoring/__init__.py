"""Scoring: each aspect on its own scale, every point of which has a sentence that says what it means; where the
project names error categories, annotators also mark the errors. Several texts can stand side by side."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.http import QueryDict
from django.utils.translation import gettext_lazy

from annotation.kinds.base import MAX_ALTERNATIVES, AnnotationKind, Stored
from annotation.kinds.columns import AnswerContext
from annotation.kinds.presentation import AspectsByKey, PresentedTask
from annotation.kinds.scoring import form as page
from annotation.kinds.scoring import votes as voting
from annotation.kinds.scoring.columns import columns
from annotation.kinds.scoring.describe import describe
from annotation.kinds.scoring.payload import ScoringPayload
from annotation.kinds.spans import Spans
from annotation.kinds.votes import Label, Opinion, PromptLabels, Votes
from annotation.models import Kind


class Scoring(AnnotationKind[ScoringPayload]):
    name = Kind.SCORING
    summary = gettext_lazy("Scoring: people score texts on each aspect")
    assumed_seconds_of_one = 60
    assumed_seconds_of_another = 45
    most_alternatives = MAX_ALTERNATIVES
    uses_aspects = True
    scripts = ("js/spans.js", "js/judging.js")
    searched = ("comment",)
    low_path = "$.scores.*.* ? (@ == 1)"
    low_label = gettext_lazy("The lowest score of an aspect")
    is_testable = True
    has_tolerance = True

    def parse(self, stored: Stored) -> ScoringPayload:
        return ScoringPayload.from_json(stored)

    def read_form(self, form: QueryDict, shown: PresentedTask, *, complete: bool) -> ScoringPayload:
        return page.read(form, shown, complete=complete)

    def present_form(self, shown: PresentedTask, entered: ScoringPayload | None) -> dict[str, Any]:
        return page.present(shown, entered)

    def describe_answer(
        self, answer: ScoringPayload, texts: dict[int, str], language: str, aspects: AspectsByKey
    ) -> dict[str, Any]:
        return describe(answer, texts, aspects)

    def aspect_keys(self, stored: Stored) -> set[str]:
        return {aspect for points in self.parse(stored).scores.values() for aspect in points}

    def is_right(self, expected: Stored, answer: Stored, *, tolerance: int) -> bool:
        """Each aspect of each text is within the tolerance."""
        scores = self.parse(answer).scores
        return all(
            abs(score - scores.get(candidate, {}).get(aspect, float("inf"))) <= tolerance
            for candidate, points in self.parse(expected).scores.items()
            for aspect, score in points.items()
        )

    def columns(self, answer: ScoringPayload, about: AnswerContext) -> dict[str, Any]:
        return columns(answer, about)

    def candidates(self, answer: ScoringPayload) -> Iterable[int]:
        return answer.scores

    def comparable(self, answer: ScoringPayload) -> Iterable[tuple[Any, Any]]:
        """The same points on an aspect of a candidate."""
        return [
            ((candidate, aspect), score)
            for candidate, points in answer.scores.items()
            for aspect, score in points.items()
        ]

    def pattern(self, answer: ScoringPayload) -> Any:
        return [sorted(points.items()) for points in answer.scores.values()]

    def opinions(self, answer: ScoringPayload, origins: Mapping[int, str]) -> Iterable[Opinion]:
        return [
            Opinion((candidate, aspect), aspect, score, str(score))
            for candidate, points in answer.scores.items()
            for aspect, score in points.items()
        ]

    def scores(self, answer: ScoringPayload) -> Mapping[int, Mapping[str, int]]:
        return answer.scores

    def marks(self, answer: ScoringPayload) -> Spans:
        return answer.spans

    def add_sft_votes(self, prompt: PromptLabels, labels: Sequence[Label[ScoringPayload]], votes: Votes) -> None:
        voting.add_sft_votes(prompt, labels, votes)

    def add_pair_votes(self, prompt: PromptLabels, labels: Sequence[Label[ScoringPayload]], votes: Votes) -> None:
        voting.add_pair_votes(prompt, labels, votes)

    def add_unpaired_votes(self, prompt: PromptLabels, labels: Sequence[Label[ScoringPayload]], votes: Votes) -> None:
        voting.add_unpaired_votes(prompt, labels, votes)
