"""Votes → rows of a dataset. Pure: no queries."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from annotation.kinds.votes import Beliefs, Row, Vote, Votes, one_vote_each
from annotation.text.digests import text_digest


def rows_of_pairs(votes: Votes, left_out: Counter[str], beliefs: Beliefs | None = None) -> list[Row]:
    """One row for each pair of texts, the preferred one first. An even split has no preferred side: its order is that
    of the texts' digests. A pair of which something else than its votes is believed is ordered by that."""
    rows = []
    for (first, second), every_answer in sorted(votes.items()):
        if first == second:
            left_out["pairs of texts that read the same"] += 1
            continue
        if blank((first, second), left_out):
            continue
        answers = one_vote_each(every_answer)
        belief = beliefs.get((first, second)) if beliefs else None
        if belief is None and len(answers) == 1 and answers[0].value != 0.5:
            rows.append(single_vote_row(first, second, answers[0]))
            continue
        share = belief.first if belief else sum(answer.value for answer in answers) / len(answers)
        keep = share > 0.5 or (share == 0.5 and text_digest(first) <= text_digest(second))
        strengths = [answer.strength for answer in answers if answer.strength is not None]
        strength = sum(strengths) / len(strengths) if strengths else None
        if strength is not None:
            # A few strong votes against many slight ones: the majority sets the direction, and nothing is below 0.
            strength = round(max(0.0, strength if keep else -strength), 6)
        rows.append(
            merged(
                (first, second) if keep else (second, first),
                answers,
                probability=round(max(share, 1 - share), 6),
                tie=round(belief.tie if belief else sum(vote.value == 0.5 for vote in answers) / len(answers), 6),
                strength=strength,
                side=float(keep),
                chances=(belief.chances if keep else belief.chances.turned()) if belief else None,
            )
        )
    return rows


def single_vote_row(first: str, second: str, answer: Vote) -> Row:
    """The most common row, of one annotator, without the arithmetic."""
    keep, strength = answer.value == 1, answer.strength
    return Row(
        texts=(first, second) if keep else (second, first),
        kinds=tuple(sorted(answer.kinds)),
        annotation_ids=tuple(sorted(answer.annotation_ids)),
        candidate_ids=tuple(sorted(answer.candidate_ids)),
        strength=None if strength is None else round(max(0.0, strength if keep else -strength), 6),
    )


def merged(texts: tuple[str, ...], votes: Iterable[Vote], *, side: float = 1, **values: Any) -> Row:
    """`side`: the value of a vote for what the row says."""
    votes = list(votes)
    return Row(
        texts=texts,
        kinds=tuple(sorted({kind for answer in votes for kind in answer.kinds})),
        annotation_ids=tuple(sorted({key for answer in votes for key in answer.annotation_ids})),
        candidate_ids=tuple(sorted({key for answer in votes for key in answer.candidate_ids})),
        votes=len(votes),
        agreement=sum(answer.value == side for answer in votes) / len(votes),
        **values,
    )


def blank(texts: tuple[str, ...], left_out: Counter[str]) -> bool:
    if all(text.strip() for text in texts):
        return False
    left_out["empty texts"] += 1
    return True
