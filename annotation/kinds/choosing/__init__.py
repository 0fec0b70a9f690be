"""Choosing: A, B, equally good, or both bad; how much better, and why. More than two are ranked, best first.

Along with the choice, annotators may mark passages, and edit the text that they chose (any text where they prefer
none).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.http import QueryDict
from django.utils.translation import gettext_lazy

from annotation.kinds.base import MAX_ALTERNATIVES, AnnotationKind, Stored
from annotation.kinds.choosing import form as page
from annotation.kinds.choosing import votes as voting
from annotation.kinds.choosing.columns import columns
from annotation.kinds.choosing.describe import describe
from annotation.kinds.choosing.payload import ChoosingPayload
from annotation.kinds.columns import AnswerContext
from annotation.kinds.presentation import AspectsByKey, PresentedTask
from annotation.kinds.spans import Spans
from annotation.kinds.votes import Label, Opinion, PromptLabels, Votes
from annotation.models import Kind


class Choosing(AnnotationKind[ChoosingPayload]):
    name = Kind.CHOOSING
    summary = gettext_lazy("Choosing: people say which of the texts is better, and why")
    assumed_seconds_of_one = 20
    assumed_seconds_of_another = 25
    fewest_alternatives = 2
    most_alternatives = MAX_ALTERNATIVES
    compares = True
    uses_reasons = True
    scripts = ("js/spans.js", "js/judging.js")
    searched = ("fixes", "reasons")
    low_path = '$.choice ? (@ == "both_bad")'
    low_label = gettext_lazy("All texts called bad")
    keeps_own_text = True
    is_testable = True

    def parse(self, stored: Stored) -> ChoosingPayload:
        return ChoosingPayload.from_json(stored)

    def read_form(self, form: QueryDict, shown: PresentedTask, *, complete: bool) -> ChoosingPayload:
        return page.read(form, shown, complete=complete)

    def present_form(self, shown: PresentedTask, entered: ChoosingPayload | None) -> dict[str, Any]:
        return page.present(shown, entered)

    def describe_answer(
        self, answer: ChoosingPayload, texts: dict[int, str], language: str, aspects: AspectsByKey
    ) -> dict[str, Any]:
        return describe(answer, texts)

    def describe_briefly(
        self, answer: ChoosingPayload, texts: dict[int, str], language: str, aspects: AspectsByKey
    ) -> dict[str, Any]:
        return describe(answer, texts, compared=False)

    def own_text(self, stored: Stored) -> str | None:
        """The fix of the chosen text, or else the first fix."""
        answer = self.parse(stored)
        of_chosen = answer.fixes.get(answer.chosen) if answer.chosen is not None else None
        return of_chosen or next(iter(answer.fixes.values()), None)

    def preferred_candidate(self, stored: Stored) -> int | None:
        return self.parse(stored).chosen

    def order_of(self, stored: Stored) -> list[list[int]]:
        return order(self.parse(stored))

    def is_right(self, expected: Stored, answer: Stored, *, tolerance: int) -> bool:
        """The same verdict: strength, reasons and marks are not judged."""
        return verdict(self.parse(expected)) == verdict(self.parse(answer))

    def judged_part(self, stored: Stored) -> Stored:
        return {**stored, "strength": None}

    def columns(self, answer: ChoosingPayload, about: AnswerContext) -> dict[str, Any]:
        return columns(answer, about)

    def candidates(self, answer: ChoosingPayload) -> Iterable[int]:
        return answer.shown

    def comparable(self, answer: ChoosingPayload) -> Iterable[tuple[Any, Any]]:
        return voting.comparable(answer)

    def pattern(self, answer: ChoosingPayload) -> Any:
        """The verdict by sides: left, right, a ranking's places."""
        place = {key: at for at, key in enumerate(answer.shown)}
        if answer.is_ranking:
            return [sorted(place.get(key, -1) for key in group) for group in answer.groups]
        return answer.choice if answer.chosen is None else place.get(answer.chosen)

    def opinions(self, answer: ChoosingPayload, origins: Mapping[int, str]) -> Iterable[Opinion]:
        return voting.opinions(answer, origins)

    def preferences(self, answer: ChoosingPayload) -> Iterable[tuple[int, int, float]]:
        return voting.preferences(answer)

    def strength(self, answer: ChoosingPayload) -> int | None:
        return answer.strength if answer.choice == "one" else None

    def marks(self, answer: ChoosingPayload) -> Spans:
        return answer.spans

    def prefers_none(self, answer: ChoosingPayload) -> bool:
        return answer.is_bad

    def reasons(self, answer: ChoosingPayload) -> Sequence[str]:
        return answer.reasons

    def add_sft_votes(self, prompt: PromptLabels, labels: Sequence[Label[ChoosingPayload]], votes: Votes) -> None:
        voting.add_sft_votes(prompt, labels, votes)

    def add_pair_votes(self, prompt: PromptLabels, labels: Sequence[Label[ChoosingPayload]], votes: Votes) -> None:
        voting.add_pair_votes(prompt, labels, votes)

    def add_unpaired_votes(self, prompt: PromptLabels, labels: Sequence[Label[ChoosingPayload]], votes: Votes) -> None:
        voting.add_unpaired_votes(prompt, labels, votes)


def order(answer: ChoosingPayload) -> list[list[int]]:
    if answer.choice == "one" and answer.chosen is not None:
        return [[answer.chosen], [key for key in answer.shown if key != answer.chosen]]
    return [answer.shown] if answer.choice == "tie" else answer.groups


def verdict(answer: ChoosingPayload) -> tuple[Any, ...]:
    if answer.is_ranking:
        return ("ranking", *(frozenset(group) for group in answer.groups))
    return (answer.choice, answer.chosen if answer.choice == "one" else None)
