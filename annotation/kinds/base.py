"""What every kind of annotation answers. A kind overrides what differs from these defaults."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from django.http import QueryDict
from django.utils.functional import Promise
from django.utils.translation import gettext as _

from annotation.kinds.columns import AnswerContext
from annotation.kinds.presentation import AspectsByKey, PresentedTask
from annotation.kinds.spans import Spans
from annotation.kinds.votes import Label, Opinion, PromptLabels, Votes
from annotation.models import Kind
from annotation.text.extracts import LIST_LIMIT, shortened, size_of

Stored = dict[str, Any]  # a payload as JSON: the columns `Annotation.payload` and `Draft.payload`
MAX_ALTERNATIVES = 6
# What is stored in place of an answer that was erased after a withdrawal of consent. It parses, as a draft without
# parts does, and counts for nothing: it is not current.
ERASED_ANSWER: Stored = {"erased": True}


class Payload(Protocol):
    """An answer in Python's terms. `to_json` is the stored form; the kind's `parse` is its inverse."""

    def to_json(self) -> Stored: ...


P = TypeVar("P", bound=Payload)


class AnnotationKind(ABC, Generic[P]):
    """One kind. Methods take and return stored payloads (JSON), except those for datasets, which take parsed ones."""

    name: ClassVar[Kind]
    summary: ClassVar[str | Promise]  # what people do, for the manager who opens a batch

    # ---- the batch and its tasks ----
    takes_candidates: ClassVar[bool] = True
    fewest_alternatives: ClassVar[int] = 1  # texts in one task, which is also the default
    most_alternatives: ClassVar[int] = 1
    compares: ClassVar[bool] = False  # whether the texts of a task must differ; origins then name one text each
    uses_aspects: ClassVar[bool] = False
    uses_reasons: ClassVar[bool] = False

    # ---- how long an answer takes, in active seconds, before a project has its own figures: a rough assumption ----
    assumed_seconds_of_one: ClassVar[int] = 60
    assumed_seconds_of_another: ClassVar[int] = 0  # for each further text of a task

    # ---- the page ----
    scripts: ClassVar[tuple[str, ...]] = ()
    has_editor: ClassVar[bool] = False  # an editor for one text, with the glossary and similar texts beside it
    can_accept_unchanged: ClassVar[bool] = False

    # ---- answers ----
    searched: ClassVar[tuple[str, ...]] = ()  # payload keys that a search in answers looks into
    keeps_own_text: ClassVar[bool] = False  # whether `own_text` can be anything but None

    low_path: ClassVar[str] = ""  # a JSON path that finds something in a stored answer that calls a text bad
    low_label: ClassVar[str | Promise] = ""  # what such an answer says

    # ---- qualification tests ----
    is_testable: ClassVar[bool] = False  # two people's right answers in a free text differ: such kinds are not graded
    has_tolerance: ClassVar[bool] = False  # whether a right answer may differ by a number of points

    @property
    def template(self) -> str:
        return f"annotation/kinds/{self.name.value}.html"

    @property
    def test_template(self) -> str:
        """What a test of this kind asks for, in sentences; only for testable kinds."""
        return f"annotation/kinds/{self.name.value}_test.html"

    def assumed_seconds(self, texts: int) -> float:
        """Of an answer to a task with so many texts (1 where it has none)."""
        return self.assumed_seconds_of_one + self.assumed_seconds_of_another * (texts - 1)

    @abstractmethod
    def parse(self, stored: Stored) -> P:
        """The stored payload of an answer or a draft; a draft may lack parts."""

    @abstractmethod
    def read_form(self, form: QueryDict, shown: PresentedTask, *, complete: bool) -> P: ...

    @abstractmethod
    def present_form(self, shown: PresentedTask, entered: P | None) -> dict[str, Any]: ...

    @abstractmethod
    def describe_answer(
        self, answer: P, texts: dict[int, str], language: str, aspects: AspectsByKey
    ) -> dict[str, Any]: ...

    def read(self, form: QueryDict, shown: PresentedTask, *, complete: bool = True) -> Stored:
        """The posted form as a payload. Raises InvalidInput, naming each field at fault; with `complete` false (a
        draft) it never does: what is missing or unusable is left out."""
        return self.read_form(form, shown, complete=complete).to_json()

    def present(self, shown: PresentedTask, entered: Stored | None) -> dict[str, Any]:
        """The template's context: texts by side, and what was `entered` (a draft or an earlier answer)."""
        return self.present_form(shown, None if entered is None else self.parse(entered))

    def describe(
        self, stored: Stored, texts: dict[int, str], language: str, aspects: AspectsByKey, *, brief: bool = False
    ) -> dict[str, Any]:
        """An answer for people to read: `headline`, and what else templates/annotation/answer.html shows. `texts` are
        the task's candidates by id, `aspects` the project's by key (see `loading.aspects_by_key`).

        With `brief`, for lists, a long answer is an extract (`is_extract`): nothing is computed from its texts.
        """
        if stored == ERASED_ANSWER:
            return {"headline": _("Erased: consent was withdrawn")}
        answer = self.parse(stored)
        if brief:
            used = [texts.get(key, "") for key in self.candidates(answer)]
            if size_of(stored) + size_of(used) > LIST_LIMIT:
                return {**shortened(self.describe_briefly(answer, texts, language, aspects)), "is_extract": True}
        return self.describe_answer(answer, texts, language, aspects)

    def describe_briefly(
        self, answer: P, texts: dict[int, str], language: str, aspects: AspectsByKey
    ) -> dict[str, Any]:
        """`describe_answer` without what takes long for long texts."""
        return self.describe_answer(answer, texts, language, aspects)

    def own_text(self, stored: Stored) -> str | None:
        """The text that the annotator wrote or edited, for the translation memory."""
        return None

    def preferred_candidate(self, stored: Stored) -> int | None:
        """The one candidate that the answer prefers to all others, if it does."""
        return None

    def order_of(self, stored: Stored) -> list[list[int]]:
        """Groups of candidates that the answer calls equally good, best first; empty where it orders none."""
        return []

    def candidates_of(self, stored: Stored) -> list[int]:
        """The candidates that a stored answer is about."""
        return list(self.candidates(self.parse(stored)))

    def aspect_keys(self, stored: Stored) -> set[str]:
        """The aspects that a stored answer scores."""
        return set()

    def is_right(self, expected: Stored, answer: Stored, *, tolerance: int) -> bool:
        """Whether a test's answer is right. Only testable kinds are asked."""
        raise NotImplementedError

    def without_texts(self, stored: Stored) -> Stored:
        """What a test grades by, without comments, marks and texts. Only testable kinds are asked."""
        kept = {key: value for key, value in stored.items() if key not in ("fixes", "spans", "reasons_by_side")}
        emptied: Stored = {"comment": "", "reasons": []}
        return {**kept, **{key: value for key, value in emptied.items() if key in stored}}

    # ---- exports ----

    @abstractmethod
    def columns(self, answer: P, about: AnswerContext) -> dict[str, Any]:
        """The whole of an answer in the columns of an export that it fills (`annotation.exchange.columns`)."""

    # ---- datasets: parsed payloads, for speed ----

    def candidates(self, answer: P) -> Iterable[int]:
        """The candidates whose texts are needed to make rows of the answer."""
        return ()

    @abstractmethod
    def comparable(self, answer: P) -> Iterable[tuple[Any, Any]]:
        """(question, answer) pairs: two annotators agree on a question of one task when their answers are equal."""

    def pattern(self, answer: P) -> Any:
        """What somebody repeats who answers without looking: sides and scores, never candidates. None: nothing."""
        return None

    def opinions(self, answer: P, origins: Mapping[int, str]) -> Iterable[Opinion]:
        """What of the answer is compared with others' to see what people disagree about, and how that is called.
        `origins` are those of the candidates."""
        return ()

    def judged_part(self, stored: Stored) -> Stored:
        """What a test judges of an answer: the rest is no difference between it and the expected one."""
        return stored

    def preferences(self, answer: P) -> Iterable[tuple[int, int, float]]:
        """Each two candidates that the answer compares: (better, worse, 1), or (one, other, 0.5) of a tie."""
        return ()

    def strength(self, answer: P) -> int | None:
        """How much better the preferred text is: 1 slightly, 2 clearly. None where the answer does not say."""
        return None

    def scores(self, answer: P) -> Mapping[int, Mapping[str, int]]:
        """Points by candidate and aspect."""
        return {}

    def marks(self, answer: P) -> Spans:
        """The marks in each candidate's text."""
        return {}

    def prefers_none(self, answer: P) -> bool:
        """Whether the answer calls all its candidates bad."""
        return False

    def reasons(self, answer: P) -> Sequence[str]:
        """The reasons that were ticked for the whole answer."""
        return ()

    def add_sft_votes(self, prompt: PromptLabels, labels: Sequence[Label[P]], votes: Votes) -> None:
        """Votes on single texts as good examples. `labels` are the prompt's labels of this kind."""

    def add_pair_votes(self, prompt: PromptLabels, labels: Sequence[Label[P]], votes: Votes) -> None:
        """Votes on pairs: one text against another."""

    def add_unpaired_votes(self, prompt: PromptLabels, labels: Sequence[Label[P]], votes: Votes) -> None:
        """Votes on single texts as desirable (1) or undesirable (0)."""
