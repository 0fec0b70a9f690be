"""Votes: what annotators said about texts, which dataset rows are made from. Pure: no queries."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Generic, NamedTuple, TypeVar

from django.utils.translation import gettext as _

from annotation.core.errors import InvalidInput
from annotation.text.edit_distance import is_edited
from annotation.text.normalization import normal_form

P = TypeVar("P")
T = TypeVar("T")


class Opinion(NamedTuple):
    """An answer to one question of a task. Two people agree when their `value`s are equal; `group` (an aspect, two
    origins) and `label` (a score, an origin, a tie) name question and value across tasks."""

    question: Any
    group: str
    value: Any
    label: str


@dataclass(frozen=True, slots=True)
class Label(Generic[P]):
    """One current annotation. `payload` is parsed by its kind; `weights` by aspect key are those that were current
    when it was submitted (None: all equal)."""

    annotation_id: int
    annotator: int
    task_id: int
    kind: str
    payload: P
    weights: dict[str, float] | None = None


class Chances(NamedTuple):
    """How probable it is that one text is better than another, ties counting half: by the share of the votes, by the
    model of who errs how, and by that model as gold calibrated it (None where gold is too little)."""

    votes: float
    posterior: float | None
    calibrated: float | None

    def turned(self) -> "Chances":
        posterior, calibrated = (None if value is None else round(1 - value, 6) for value in self[1:])
        return Chances(round(1 - self.votes, 6), posterior, calibrated)


class Belief(NamedTuple):
    """Of a pair of texts, whose votes' one key gives their order: the chances that the first is better, and which
    probability of a better first text, and of a tie, the rows take."""

    chances: Chances
    first: float
    tie: float


Beliefs = Mapping[tuple[str, ...], Belief]


class Row(NamedTuple):
    """One record. `texts` is (completion,) or (chosen, rejected); `label` only in unpaired rows.

    probability: share of the annotators who take the row's side, ties counting half. tie: share of ties.
    strength: 0 to 1, how much better chosen is on average; None where nobody said. votes: annotators counted.
    agreement: share of them who are for the row's side, ties not counted; it is in no file. chances: that chosen is
    better, where the probability is not simply the votes'.
    """

    texts: tuple[str, ...]
    kinds: tuple[str, ...]
    annotation_ids: tuple[int, ...]
    candidate_ids: tuple[int, ...]
    label: bool | None = None
    probability: float = 1.0
    tie: float = 0.0
    strength: float | None = None
    votes: int = 1
    agreement: float = 1.0
    chances: Chances | None = None


class Vote(NamedTuple):
    """One answer about some texts: `value` 1 for them in this order, 0 against, 0.5 a tie. `annotator` is None for a
    comparison that nobody made: of scores by different people."""

    value: float
    kinds: tuple[str, ...]
    annotator: int | None
    annotation_ids: tuple[int, ...]
    candidate_ids: tuple[int, ...] = ()
    strength: float | None = None


Votes = defaultdict[tuple[str, ...], list[Vote]]


VOTES, POSTERIOR, CALIBRATED = LABELS = ("votes", "posterior", "calibrated")


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """Scores are shares of their scale, 0 (worst) to 1 (best), weighted over the aspects.

    score_difference: scored candidates make a pair when their mean scores differ by at least this much.
    score_good: a scored candidate is an SFT row and desirable from this score up.
    score_bad: a scored candidate is undesirable from this score down.
    chosen_as_sft: a text that more than half of its judges put first is an SFT row, too. It is the better of those
    shown, not surely good.
    keep_ties: pairs on which the annotators are evenly split are kept, with probability 0.5.
    split_pairs: each preference counts its chosen text as desirable and its rejected one as undesirable.
    min_agreement: rows of two or more annotators are left out unless this share of them is for the row's side. Compared
    in whole percent, so that 0.67 takes two of three. None: no row is left out.
    labels: what a pair's probability is: the share of the votes, the posterior of a model of who errs how, or that
    posterior calibrated on gold.
    """

    score_difference: float = 0.2
    score_good: float = 0.75
    score_bad: float = 0.35
    chosen_as_sft: bool = False
    keep_ties: bool = False
    split_pairs: bool = False
    min_agreement: float | None = None
    labels: str = VOTES

    def __post_init__(self) -> None:
        if not 0 < self.score_difference <= 1:
            raise InvalidInput(
                _("score_difference must be above 0 and at most 1, not %(score_difference)s")
                % {"score_difference": self.score_difference}
            )
        if not 0 <= self.score_bad < self.score_good <= 1:
            raise InvalidInput(
                _("score_bad (%(score_bad)s) must be less than score_good (%(score_good)s), both from 0 to 1")
                % {"score_bad": self.score_bad, "score_good": self.score_good}
            )
        if self.min_agreement is not None and not 0 < self.min_agreement <= 1:
            message = _("min_agreement must be above 0 and at most 1, not %(share)s") % {"share": self.min_agreement}
            raise InvalidInput(message, [("min_agreement", message)])
        if self.labels not in LABELS:
            message = _("labels must be one of %(known)s, not %(labels)s") % {
                "known": ", ".join(LABELS),
                "labels": self.labels,
            }
            raise InvalidInput(message, [("labels", message)])

    def as_dict(self) -> dict[str, Any]:
        """For selections and manifests: what was added later is absent where it is not used."""
        values = asdict(self)
        if self.min_agreement is None:
            del values["min_agreement"]
        if self.labels == VOTES:
            del values["labels"]
        return values

    def takes(self, row: Row) -> bool:
        """Whether enough annotators agree on the row; one alone always does."""
        if self.min_agreement is None or row.votes < 2:
            return True
        return round(row.agreement, 2) >= round(self.min_agreement, 2)

    def check_purpose(self, purpose: str) -> None:
        """Raises InvalidInput for a switch that another purpose has: it would do nothing."""
        if self.labels != VOTES and purpose != "dpo":
            raise InvalidInput(
                _("--labels %(labels)s is for DPO datasets and does nothing for %(purpose)s: leave it out")
                % {"labels": self.labels, "purpose": purpose.upper()},
                [("labels", _("Only for DPO: take votes."))],
            )
        for name, owner in (("chosen_as_sft", "sft"), ("keep_ties", "dpo"), ("split_pairs", "kto")):
            if getattr(self, name) and purpose != owner:
                raise InvalidInput(
                    _("--%(option)s is for %(owner)s datasets and does nothing for %(purpose)s: leave it out")
                    % {"option": name.replace("_", "-"), "owner": owner.upper(), "purpose": purpose.upper()},
                    [(name, _("Only for %(owner)s: switch it off.") % {"owner": owner.upper()})],
                )


@dataclass(frozen=True, slots=True)
class PromptLabels:
    """What a kind needs to turn one prompt's labels into votes.

    candidates: text by id, of every candidate that a label is about; see `one_of_each_reading`. points: of each
    aspect's scale, by aspect key. left_out: how many records were left out, by reason; kinds add to it. language: of
    the texts, for counting edits.
    """

    candidates: dict[int, str]
    options: ExportOptions = field(default_factory=ExportOptions)
    points: dict[str, int] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)
    language: str = ""

    def is_edit(self, original: str, edited: str) -> bool:
        """Whether an edit changed anything that a reader sees and that the edit count counts; it is counted as left
        out if not."""
        if normal_form(original) != normal_form(edited) and is_edited(original, edited, self.language):
            return True
        self.left_out["post-edits that changed nothing"] += 1
        return False


def one_of_each_reading(candidates: dict[int, str]) -> dict[int, str]:
    """The candidates' texts, where those that read the same are one text: that of the candidate that was first."""
    if len(candidates) < 2:
        return candidates
    first: dict[str, str] = {}
    return {key: first.setdefault(normal_form(text), text) for key, text in sorted(candidates.items())}


def vote(label: Label[Any], *candidates: int, value: float = 1, strength: float | None = None) -> Vote:
    return Vote(
        value=value,
        kinds=(label.kind,),
        annotator=label.annotator,
        annotation_ids=(label.annotation_id,),
        candidate_ids=candidates,
        strength=strength,
    )


def put(votes: Votes, better: str, worse: str, answer: Vote) -> None:
    """Count a vote for `better` over `worse` under the pair's one key, in whichever order it was first seen."""
    if better <= worse:
        votes[(better, worse)].append(answer)
    else:
        turned = Vote(
            value=1 - answer.value,
            kinds=answer.kinds,
            annotator=answer.annotator,
            annotation_ids=answer.annotation_ids,
            candidate_ids=answer.candidate_ids,
            strength=None if answer.strength is None else -answer.strength,
        )
        votes[(worse, better)].append(turned)


def one_vote_each(answers: list[Vote]) -> list[Vote]:
    """Annotators are counted, not answers: the votes, in which several by one annotator are the one that most of them
    are for, or a tie where they are for both sides alike."""
    if len(answers) == 1:
        return answers
    by_annotator: dict[int, list[Vote]] = {}
    for number, answer in enumerate(answers, 1):
        by_annotator.setdefault(-number if answer.annotator is None else answer.annotator, []).append(answer)
    if len(by_annotator) == len(answers):
        return answers
    return [own[0] if len(own) == 1 else combined(own) for own in by_annotator.values()]


def combined(own: list[Vote]) -> Vote:
    """The vote of one annotator who answered several times."""
    excess = 2 * sum(answer.value for answer in own) - len(own)  # values are halves, so that this is exact
    strengths = [answer.strength for answer in own if answer.strength is not None]
    return Vote(
        value=0.5 if not excess else float(excess > 0),
        kinds=distinct(kind for answer in own for kind in answer.kinds),
        annotator=own[0].annotator,
        annotation_ids=distinct(key for answer in own for key in answer.annotation_ids),
        candidate_ids=distinct(key for answer in own for key in answer.candidate_ids),
        strength=sum(strengths) / len(strengths) if strengths else None,
    )


def distinct(items: Iterable[T]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(items))
