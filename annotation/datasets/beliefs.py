"""What is believed of each pair of texts beside its votes: a first reading of the labels, before rows are written.

Answers of *choosing* are modelled: each annotator's confusion matrix, by the side that they saw. Comparisons of scores,
edits, and tasks that a reviewer decided or kept as divided keep the share of their votes.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from annotation.datasets.labels import Selection, SourcesTally, labelled_prompts
from annotation.datasets.rows import LabelledPrompt
from annotation.kinds import KINDS
from annotation.kinds.votes import (
    CALIBRATED,
    Belief,
    Beliefs,
    Chances,
    Label,
    Votes,
    one_of_each_reading,
    one_vote_each,
)
from annotation.models import Kind, Project
from annotation.quality.aggregation import TIE
from annotation.quality.calibration import TooLittleGold
from annotation.quality.gold import gold_of
from annotation.quality.soft_labels import PairAnswers, SoftLabels, soft_labels

Pair = tuple[str, ...]  # the smaller text first, as `kinds.votes.put` has it


class Unit(NamedTuple):
    """A pair's row of the posterior, and what tells that its votes are the answers that the model had."""

    place: int
    answers: int
    ids: int  # the sum of their annotations' ids


class Answer(NamedTuple):
    """Of one annotator: 1 for the first text, 0 for the second, 0.5 a tie; whether they saw the second on the left."""

    person: int
    value: float
    mirrored: bool
    annotation: int


@dataclass
class Reading:
    """Answers to pairs as rows of (unit, person, class, mirrored), and the unit of each pair of each prompt."""

    rows: list[tuple[int, int, int, bool]] = field(default_factory=list)
    units: dict[int, dict[bytes, Unit]] = field(default_factory=dict)
    count: int = 0

    def add(self, prompt: LabelledPrompt, decided: Mapping[int, Any]) -> None:
        """One prompt's answers, but for tasks that a reviewer decided."""
        texts = one_of_each_reading(prompt.candidates)
        found: dict[Pair, list[Answer]] = {}
        for label in prompt.labels:
            if label.kind == Kind.CHOOSING and label.task_id not in decided:
                for pair, answer in answers_about_pairs(label, texts):
                    found.setdefault(pair, []).append(answer)
        for pair, answers in sorted(found.items()):
            unit = Unit(self.count, len(answers), sum(answer.annotation for answer in answers))
            self.units.setdefault(prompt.prompt_id, {})[digest(pair)] = unit
            self.rows += ((self.count, *row) for row in one_answer_each(answers))
            self.count += 1


def answers_about_pairs(label: Label[Any], texts: Mapping[int, str]) -> Iterator[tuple[Pair, Answer]]:
    kind = KINDS[label.kind]
    place = {key: at for at, key in enumerate(kind.candidates(label.payload))}
    for one, other, value in kind.preferences(label.payload):
        if texts[one] == texts[other]:
            continue
        turned = texts[one] > texts[other]
        first, second = (other, one) if turned else (one, other)
        own = Answer(label.annotator, 1 - value if turned else value, place[second] < place[first], label.annotation_id)
        yield (texts[first], texts[second]), own


def one_answer_each(answers: Iterable[Answer]) -> Iterator[tuple[int, int, bool]]:
    """(person, class, mirrored). Of several answers by one person that which most are for, as votes are counted; the
    side is that of the first."""
    by_person: dict[int, list[Answer]] = {}
    for answer in answers:
        by_person.setdefault(answer.person, []).append(answer)
    for person, own in sorted(by_person.items()):
        excess = 2 * sum(answer.value for answer in own) - len(own)
        yield person, TIE if not excess else 0 if excess > 0 else 2, own[0].mirrored


class Believed:
    """What the model believes of each pair. `of` is called once a prompt, and counts."""

    def __init__(self, reading: Reading, soft: SoftLabels, labels: str, fingerprint: str) -> None:
        chosen = soft.calibrated if labels == CALIBRATED else soft.posterior
        assert chosen is not None
        self.reading, self.soft, self.labels, self.fingerprint = reading, soft, labels, fingerprint
        self.chosen = chosen
        self.pairs = self.turned = self.by_votes = 0

    def of(self, prompt: int, votes: Votes) -> Beliefs:
        """By pair of texts: those whose votes are the answers that the model had."""
        units = self.reading.units.get(prompt, {})
        found = {}
        for pair, answers in votes.items():
            ids = [key for vote in answers for key in vote.annotation_ids]
            unit = units.get(digest(pair)) if units else None
            if unit is not None and (unit.answers, unit.ids) == (len(ids), sum(ids)):
                own = one_vote_each(answers)
                found[pair] = self.belief(unit.place, sum(vote.value for vote in own) / len(own))
            elif pair[0] != pair[1]:
                self.by_votes += 1
        return found

    def belief(self, place: int, share: float) -> Belief:
        calibrated = None if self.soft.calibrated is None else better(self.soft.calibrated[place])
        first = better(self.chosen[place])
        self.pairs += 1
        self.turned += (first - 0.5) * (share - 0.5) < 0
        chances = Chances(round(share, 6), better(self.soft.posterior[place]), calibrated)
        return Belief(chances, first, round(float(self.chosen[place, TIE]), 6))

    def facts(self) -> dict[str, Any]:
        """For the manifest: what the probabilities are, of how many pairs, and how gold calibrated them.

        `turned`: pairs whose preferred text is not that of most votes. `by_votes`: pairs that no model is of.
        """
        model, calibration = self.soft.model, self.soft.calibration
        return {
            "are": self.labels,
            "pairs": self.pairs,
            "by_votes": self.by_votes,
            "turned": self.turned,
            "answers": len(self.reading.rows),
            "annotators": len({row[1] for row in self.reading.rows}),
            "iterations": model.iterations,
            "converged": model.converged,
            "gold": self.soft.gold,
            "calibration": None if calibration is None else calibration.as_dict(),
        }


def better(posterior: np.ndarray) -> float:
    """That the first text is better, a tie counting half."""
    return round(float(posterior[0] + posterior[TIE] / 2), 6)


def digest(pair: Pair) -> bytes:
    return hashlib.blake2b("\0".join(pair).encode("utf-8", "surrogatepass"), digest_size=16).digest()


def read_beliefs(project: Project, selection: Selection) -> Believed:
    """Read the labels once and model them. `fingerprint` is compared with that of the second reading.

    Raises TooLittleGold where calibrated probabilities are asked for and gold does not carry them.
    """
    reading, tally = Reading(), SourcesTally(fingerprint=hashlib.sha256())
    with closing(labelled_prompts(project, selection, tally)) as prompts:
        for prompt in prompts:
            reading.add(prompt, tally.decided)
    soft = soft_labels(PairAnswers.of(reading.rows), gold_of(project))
    if selection.options.labels == CALIBRATED and soft.calibrated is None:
        raise TooLittleGold(soft.gold)
    return Believed(reading, soft, selection.options.labels, tally.fingerprint.hexdigest())
