"""Annotations → canonical rows. Pure: no queries, no files.

One answer makes as many records as it honestly carries (see the table in docs/datasets.md): its kind says which votes
it casts. Several annotators' answers about one pair of texts become one row with a probability. Annotators are counted:
who answers several times about the same texts, in one batch or in several, has one vote.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from annotation.kinds import KINDS
from annotation.kinds.base import AnnotationKind
from annotation.kinds.rows_from_votes import blank, merged, rows_of_pairs
from annotation.kinds.votes import (
    Beliefs,
    ExportOptions,
    Label,
    PromptLabels,
    Row,
    Votes,
    one_of_each_reading,
    one_vote_each,
)

__all__ = ["ROWS_FOR", "AgreementTally", "ExportOptions", "LabelledPrompt", "pair_rows", "sft_rows", "unpaired_rows"]

Message = dict[str, str]


class LabelledPrompt(NamedTuple):
    """A prompt with all its selected labels, across tasks. `messages` is what a model is asked, system included;
    `candidates` holds the text of every candidate that a label is about; `language` is that of the answers."""

    prompt_id: int
    messages: list[Message]
    digest: str
    held_out: bool
    labels: list[Label[Any]]
    candidates: dict[int, str]
    reference: str = ""
    source_document: str = ""
    language: str = ""
    believe: Callable[[int, Votes], Beliefs] | None = None  # prompt id, votes: where rows are not made by votes alone


# ---- the three purposes ----


def sft_rows(
    prompt: LabelledPrompt, options: ExportOptions, points: dict[str, int], left_out: Counter[str]
) -> list[Row]:
    """Written and edited texts, well-scored candidates and, if asked for, chosen sides. Equal texts are one row."""
    votes: Votes = defaultdict(list)
    labels = voted_on(prompt, options, points, left_out)
    for kind, of_kind in by_kind(prompt.labels):
        kind.add_sft_votes(labels, of_kind, votes)
    return [
        merged(texts, one_vote_each(answers)) for texts, answers in sorted(votes.items()) if not blank(texts, left_out)
    ]


def pair_rows(
    prompt: LabelledPrompt, options: ExportOptions, points: dict[str, int], left_out: Counter[str]
) -> list[Row]:
    """Edited over original, better over worse scores, chosen over rejected; one row for each pair of texts."""
    votes: Votes = defaultdict(list)
    labels = voted_on(prompt, options, points, left_out)
    for kind, of_kind in by_kind(prompt.labels):
        kind.add_pair_votes(labels, of_kind, votes)
    rows = []
    beliefs = prompt.believe(prompt.prompt_id, votes) if prompt.believe else None
    for row in rows_of_pairs(votes, left_out, beliefs):
        if row.probability == 0.5 and not options.keep_ties:
            left_out["pairs evenly split or tied"] += 1
        else:
            rows.append(row)
    return rows


def unpaired_rows(
    prompt: LabelledPrompt, options: ExportOptions, points: dict[str, int], left_out: Counter[str]
) -> list[Row]:
    """Desirable: accepted unchanged, or scored well. Undesirable: both (or all) bad, or scored badly. With split
    pairs, also each chosen and each rejected text; a text is desirable where most annotators take it for that."""
    votes: Votes = defaultdict(list)
    labels = voted_on(prompt, options, points, left_out)
    for kind, of_kind in by_kind(prompt.labels):
        kind.add_unpaired_votes(labels, of_kind, votes)
    if options.split_pairs:
        add_votes_of_pairs(prompt, labels, votes)
    rows = []
    for texts, every_answer in sorted(votes.items()):
        answers = one_vote_each(every_answer)
        share = sum(answer.value for answer in answers) / len(answers)
        if share == 0.5:
            left_out["texts called desirable and undesirable equally often"] += 1
        elif not blank(texts, left_out):
            rows.append(
                merged(texts, answers, side=float(share > 0.5), label=share > 0.5, probability=max(share, 1 - share))
            )
    return rows


def add_votes_of_pairs(prompt: LabelledPrompt, labels: PromptLabels, votes: Votes) -> None:
    """Each preference as a vote for its better text and one against the other; a tie is half of each."""
    pairs: Votes = defaultdict(list)
    for kind, of_kind in by_kind(prompt.labels):
        kind.add_pair_votes(labels, of_kind, pairs)
    for (first, second), answers in sorted(pairs.items()):
        if first == second:
            labels.left_out["pairs of texts that read the same"] += 1
            continue
        votes[(first,)] += answers
        votes[(second,)] += [answer._replace(value=1 - answer.value) for answer in answers]


def voted_on(
    prompt: LabelledPrompt, options: ExportOptions, points: dict[str, int], left_out: Counter[str]
) -> PromptLabels:
    return PromptLabels(one_of_each_reading(prompt.candidates), options, points, left_out, prompt.language)


RowMaker = Callable[[LabelledPrompt, ExportOptions, dict[str, int], Counter[str]], list[Row]]
ROWS_FOR: dict[str, RowMaker] = {"sft": sft_rows, "dpo": pair_rows, "kto": unpaired_rows}


def by_kind(labels: Sequence[Label[Any]]) -> Iterator[tuple[AnnotationKind[Any], list[Label[Any]]]]:
    """The labels by kind, in the order of `KINDS`."""
    if len(labels) == 1:
        return iter([(KINDS[labels[0].kind], list(labels))])
    grouped: dict[str, list[Label[Any]]] = {}
    for label in labels:
        grouped.setdefault(label.kind, []).append(label)
    return ((kind, grouped[name]) for name, kind in KINDS.items() if name in grouped)


# ---- agreement ----


class AgreementTally:
    """Observed pairwise agreement: of all pairs of annotators on one task, the share who gave the same answer.
    Not corrected for chance. Each kind says what the same answer means (`AnnotationKind.comparable`)."""

    def __init__(self) -> None:
        self.pairs: Counter[str] = Counter()
        self.agreed: Counter[str] = Counter()

    def add(self, labels: list[Label[Any]]) -> None:
        """Count one prompt's labels."""
        if len(labels) < 2:
            return
        answers: dict[tuple[str, int, Any], Counter[Any]] = defaultdict(Counter)
        for label in labels:
            for question, answer in KINDS[label.kind].comparable(label.payload):
                answers[label.kind, label.task_id, question][answer] += 1
        for (kind, _task, _question), counts in answers.items():
            total = counts.total()
            self.pairs[kind] += total * (total - 1) // 2
            self.agreed[kind] += sum(count * (count - 1) // 2 for count in counts.values())

    def summary(self) -> dict[str, dict[str, Any]]:
        return {
            kind: {"observed_pairwise": round(self.agreed[kind] / pairs, 4), "pairs": pairs}
            for kind, pairs in sorted(self.pairs.items())
            if pairs
        }
