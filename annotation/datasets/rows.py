"""Annotations → canonical rows. Pure: no Django, no files.

One act makes as many records as it honestly carries (see the table in docs/datasets.md), and several annotators'
answers on one pair of texts become one row with a probability.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from django.utils.translation import gettext as _

from annotation.core.errors import InvalidInput
from annotation.datasets.votes import (
    Label,
    LabelledPrompt,
    Row,
    Vote,
    Votes,
    blank,
    both_bad_texts,
    choosing_votes,
    fixes_of,
    merged,
    put,
    ranked_pairs,
    rows_of_pairs,
    scored_candidates,
    vote,
)


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """Scores are shares of their scale, 0 (worst) to 1 (best), weighted over the aspects.

    score_difference: scored candidates make a pair when their mean scores differ by at least this much.
    score_good: a scored candidate is an SFT row and desirable from here up.
    score_bad: a scored candidate is undesirable from here down.
    chosen_as_sft: the side that most annotators chose is an SFT row, too. It is the better of two, not surely good.
    keep_ties: pairs on which the annotators are evenly split stay, with probability 0.5.
    """

    score_difference: float = 0.2
    score_good: float = 0.75
    score_bad: float = 0.35
    chosen_as_sft: bool = False
    keep_ties: bool = False

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


# ---- the three purposes ----


def sft_rows(
    prompt: LabelledPrompt, options: ExportOptions, points: dict[str, int], left_out: Counter[str]
) -> list[Row]:
    """Written and edited texts, well-scored candidates, and, if asked for, chosen sides. Equal texts are one row."""
    votes: Votes = defaultdict(list)
    for label in prompt.labels:
        payload = label.payload
        if label.kind == "writing":
            votes[(payload["text"],)].append(vote(label))
        elif label.kind == "postediting":
            votes[(payload["text"],)].append(vote(label, payload["candidate"]))
        for candidate, text in fixes_of(label):
            votes[(text,)].append(vote(label, candidate))
    for candidate, scored in scored_candidates(prompt, points).items():
        if scored.mean >= options.score_good:
            answer = Vote(
                value=1, kind="scoring", annotation_ids=tuple(scored.by_annotation), candidate_ids=(candidate,)
            )
            votes[(prompt.candidates[candidate],)].append(answer)
        else:
            left_out["scored below the bar for SFT"] += 1
    if options.chosen_as_sft:
        rejected = both_bad_texts(prompt)
        counted = set()
        for row in rows_of_pairs(choosing_votes(prompt, best_only=True), left_out):
            chosen = row.texts[0]
            if row.probability > 0.5 and chosen not in rejected:
                # The best of a ranking is ahead of several others: one answer all the same.
                if (chosen, row.annotation_ids) in counted:
                    continue
                counted.add((chosen, row.annotation_ids))
                sides = tuple(key for key in row.candidate_ids if prompt.candidates[key] == chosen)
                answer = Vote(value=1, kind="choosing", annotation_ids=row.annotation_ids, candidate_ids=sides)
                votes[(chosen,)].append(answer)
            else:
                left_out["chosen by half of the annotators only, or called bad"] += 1
    return [merged(texts, given) for texts, given in sorted(votes.items()) if not blank(texts, left_out)]


def pair_rows(
    prompt: LabelledPrompt, options: ExportOptions, points: dict[str, int], left_out: Counter[str]
) -> list[Row]:
    """Edited over original, better over worse scores, chosen over rejected; one row for each pair of texts."""
    votes = choosing_votes(prompt)
    for label in prompt.labels:
        for candidate, text in fixes_of(label):
            put(votes, text, prompt.candidates[candidate], vote(label, candidate))
        if label.kind == "postediting":
            original = prompt.candidates[label.payload["candidate"]]
            if label.payload["unchanged"]:
                left_out["post-edits that changed nothing"] += 1
            else:
                put(votes, label.payload["text"], original, vote(label, label.payload["candidate"]))
    scoring_votes(prompt, options, points, votes, left_out)
    rows = []
    for row in rows_of_pairs(votes, left_out):
        if row.probability == 0.5 and not options.keep_ties:
            left_out["pairs evenly split or tied"] += 1
        else:
            rows.append(row)
    return rows


def unpaired_rows(
    prompt: LabelledPrompt, options: ExportOptions, points: dict[str, int], left_out: Counter[str]
) -> list[Row]:
    """Desirable: accepted unchanged, or scored well. Undesirable: both (or all) bad, or scored badly."""
    votes: Votes = defaultdict(list)
    for label in prompt.labels:
        payload = label.payload
        if label.kind == "postediting" and payload["unchanged"]:
            votes[(prompt.candidates[payload["candidate"]],)].append(vote(label, payload["candidate"]))
        elif label.kind == "choosing" and payload["choice"] == "both_bad":
            for candidate in payload["shown"]:
                votes[(prompt.candidates[candidate],)].append(vote(label, candidate, value=0))
    for candidate, scored in scored_candidates(prompt, points).items():
        if options.score_bad < scored.mean < options.score_good:
            left_out["scored neither well nor badly"] += 1
            continue
        value = float(scored.mean >= options.score_good)
        ids = tuple(scored.by_annotation)
        answer = Vote(value=value, kind="scoring", annotation_ids=ids, candidate_ids=(candidate,))
        votes[(prompt.candidates[candidate],)].append(answer)
    rows = []
    for texts, given in sorted(votes.items()):
        share = sum(answer.value for answer in given) / len(given)
        if share == 0.5:
            left_out["texts called desirable and undesirable equally often"] += 1
        elif not blank(texts, left_out):
            rows.append(merged(texts, given, label=share > 0.5, probability=max(share, 1 - share)))
    return rows


RowMaker = Callable[[LabelledPrompt, ExportOptions, dict[str, int], Counter[str]], list[Row]]
ROWS_FOR: dict[str, RowMaker] = {"sft": sft_rows, "dpo": pair_rows, "kto": unpaired_rows}


def scoring_votes(
    prompt: LabelledPrompt, options: ExportOptions, points: dict[str, int], votes: Votes, left_out: Counter[str]
) -> None:
    """Pairs of scored candidates whose means differ enough. Who scored both votes by the sign of the difference; when
    nobody did, the means are one vote."""
    scored = list(scored_candidates(prompt, points).items())
    for index, (first, one) in enumerate(scored):
        for second, two in scored[index + 1 :]:
            difference = one.mean - two.mean
            if abs(difference) < options.score_difference - 1e-9:
                left_out["pairs of scores that differ too little"] += 1
                continue
            texts = prompt.candidates[first], prompt.candidates[second]
            both = [key for key in one.by_annotation if key in two.by_annotation]
            for key in both:
                own = one.by_annotation[key] - two.by_annotation[key]
                value = 0.5 if abs(own) < 1e-9 else float(own > 0)
                answer = Vote(value=value, kind="scoring", annotation_ids=(key,), candidate_ids=(first, second),
                              strength=own)  # fmt: skip
                put(votes, *texts, answer)
            if not both:
                ids = (*one.by_annotation, *two.by_annotation)
                answer = Vote(value=float(difference > 0), kind="scoring", annotation_ids=ids,
                              candidate_ids=(first, second), strength=difference)  # fmt: skip
                put(votes, *texts, answer)


# ---- agreement ----


class AgreementTally:
    """Observed pairwise agreement: of all pairs of annotators on one task, the share who gave the same answer.
    Not corrected for chance. The same answer means: choosing, the same choice; of a ranking, the same order of each two
    of its alternatives; scoring, the same points on an aspect of a candidate; post-editing, changed or not; writing,
    the same text."""

    def __init__(self) -> None:
        self.pairs: Counter[str] = Counter()
        self.agreed: Counter[str] = Counter()

    def add(self, labels: list[Label]) -> None:
        """Count one prompt's labels."""
        if len(labels) < 2:
            return
        answers: dict[tuple[str, int, Any], Counter[Any]] = defaultdict(Counter)
        for label in labels:
            for question, answer in asked(label):
                answers[label.kind, label.task_id, question][answer] += 1
        for (kind, _task, _question), given in answers.items():
            total = given.total()
            self.pairs[kind] += total * (total - 1) // 2
            self.agreed[kind] += sum(count * (count - 1) // 2 for count in given.values())

    def summary(self) -> dict[str, dict[str, Any]]:
        return {
            kind: {"observed_pairwise": round(self.agreed[kind] / pairs, 4), "pairs": pairs}
            for kind, pairs in sorted(self.pairs.items())
            if pairs
        }


def asked(label: Label) -> Iterable[tuple[Any, Any]]:
    payload = label.payload
    if label.kind == "choosing" and len(payload["shown"]) > 2:
        return asked_of_ranking(payload)
    if label.kind == "choosing":
        return [("", (payload["choice"], payload.get("chosen")))]
    if label.kind == "scoring":
        return [
            ((candidate, aspect), score)
            for candidate, scores in payload["scores"].items()
            for aspect, score in scores.items()
        ]
    return [("", payload["unchanged"] if label.kind == "postediting" else payload["text"])]


def asked_of_ranking(payload: dict[str, Any]) -> Iterable[tuple[Any, Any]]:
    """Of each two alternatives: which is better, or that neither is. "All bad" agrees with nothing but itself."""
    if payload["choice"] == "both_bad":
        return [(pair, "bad") for pair in combinations(sorted(payload["shown"]), 2)]
    return [
        ((min(one, other), max(one, other)), "tie" if value == 0.5 else one)
        for one, other, value in ranked_pairs(payload["ranking"])
    ]
