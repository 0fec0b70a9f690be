"""What annotators said of texts, as votes: the ground that rows are made from. Pure: no Django."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import chain, combinations
from typing import Any, NamedTuple

from annotation.text.digests import text_digest

Message = dict[str, str]
CHOICE_STRENGTH = {1: 0.5, 2: 1.0}  # "slightly better", "clearly better" as shares of the scale


class Label(NamedTuple):
    """One current annotation. `payload` is as `annotation.models.Annotation` documents it; `weights` by aspect key
    are those that held when it was given (None: all alike)."""

    annotation_id: int
    task_id: int
    kind: str
    payload: dict[str, Any]
    weights: dict[str, float] | None = None


class LabelledPrompt(NamedTuple):
    """A prompt with all its selected labels, across tasks. `messages` is what a model is asked, system included;
    `candidates` holds the text of every candidate that a label names."""

    prompt_id: int
    messages: list[Message]
    digest: str
    held_out: bool
    labels: list[Label]
    candidates: dict[int, str]
    reference: str = ""
    source_document: str = ""


class Row(NamedTuple):
    """One record. `texts` is (completion,) or (chosen, rejected); `label` only in unpaired rows.

    probability: share of the annotators who take the row's side, ties counting half. tie: share of ties.
    strength: 0 to 1, how much better chosen is on average; None where nobody said. votes: answers counted.
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


class Vote(NamedTuple):
    """One answer about some texts: `value` 1 for them as given, 0 against, 0.5 a tie."""

    value: float
    kind: str
    annotation_ids: tuple[int, ...]
    candidate_ids: tuple[int, ...] = ()
    strength: float | None = None


Votes = dict[tuple[str, ...], list[Vote]]


# ---- scores ----


def weighted_score(scores: dict[str, int], weights: dict[str, float] | None, points: dict[str, int]) -> float | None:
    """The weighted mean of aspect scores, each first put on 0…1 by its number of points; None without a score."""
    known = {key: score for key, score in scores.items() if points.get(key, 0) > 1}
    weight = {key: float((weights or {}).get(key, 0 if weights else 1)) for key in known}
    if not any(weight.values()):
        weight = dict.fromkeys(known, 1.0)
    total = sum(weight.values())
    if not total:
        return None
    return sum(weight[key] * (score - 1) / (points[key] - 1) for key, score in known.items()) / total


@dataclass(slots=True)
class Scored:
    """A candidate's weighted scores by annotation."""

    by_annotation: dict[int, float] = field(default_factory=dict)

    @property
    def mean(self) -> float:
        return sum(self.by_annotation.values()) / len(self.by_annotation)


def scored_candidates(prompt: LabelledPrompt, points: dict[str, int]) -> dict[int, Scored]:
    scored: dict[int, Scored] = defaultdict(Scored)
    for label in prompt.labels:
        if label.kind == "scoring":
            for key, scores in label.payload["scores"].items():
                score = weighted_score(scores, label.weights, points)
                if score is not None:
                    scored[int(key)].by_annotation[label.annotation_id] = score
    return dict(sorted(scored.items()))


# ---- votes ----


def vote(label: Label, *candidates: int, value: float = 1, strength: float | None = None) -> Vote:
    return Vote(
        value=value, kind=label.kind, annotation_ids=(label.annotation_id,), candidate_ids=candidates, strength=strength
    )


def put(votes: Votes, better: str, worse: str, answer: Vote) -> None:
    """Count a vote for `better` over `worse` under the pair's one key, whichever way round it was first seen."""
    if better <= worse:
        votes[(better, worse)].append(answer)
    else:
        turned = Vote(
            value=1 - answer.value,
            kind=answer.kind,
            annotation_ids=answer.annotation_ids,
            candidate_ids=answer.candidate_ids,
            strength=None if answer.strength is None else -answer.strength,
        )
        votes[(worse, better)].append(turned)


def ranked_pairs(ranking: list[list[int]]) -> Iterable[tuple[int, int, float]]:
    """Each two of the n ranked candidates once, n(n-1)/2 in all: (better, worse, 1), or (one, other, 0.5) of a tie."""
    for place, group in enumerate(ranking):
        for one, other in combinations(group, 2):
            yield one, other, 0.5
        for better in group:
            for worse in chain.from_iterable(ranking[place + 1 :]):
                yield better, worse, 1


def choosing_votes(prompt: LabelledPrompt, *, best_only: bool = False) -> Votes:
    """The votes of all choices. A ranking votes on each of its pairs; with `best_only`, on those of its first place."""
    votes: Votes = defaultdict(list)
    for label in prompt.labels:
        if label.kind != "choosing" or label.payload["choice"] == "both_bad":
            continue
        shown = label.payload["shown"]
        if label.payload["choice"] == "ranking":
            best = label.payload["ranking"][0]
            for one, other, value in ranked_pairs(label.payload["ranking"]):
                if best_only and one not in best:
                    continue
                texts = prompt.candidates[one], prompt.candidates[other]
                # Equally good is a difference of nothing; how much better the better one is, a ranking does not say.
                put(votes, *texts, vote(label, one, other, value=value, strength=0.0 if value == 0.5 else None))
        elif label.payload["choice"] == "tie":
            for first, second in combinations(shown, 2):
                texts = prompt.candidates[first], prompt.candidates[second]
                put(votes, *texts, vote(label, first, second, value=0.5, strength=0.0))
        else:
            chosen = label.payload["chosen"]
            (other,) = (candidate for candidate in shown if candidate != chosen)
            strength = CHOICE_STRENGTH.get(label.payload.get("strength") or 0)
            put(votes, prompt.candidates[chosen], prompt.candidates[other], vote(label, *shown, strength=strength))
    return votes


def fixes_of(label: Label) -> Iterable[tuple[int, str]]:
    """What was mended along with a choice: (candidate, its text as edited)."""
    if label.kind == "choosing":
        for candidate, text in label.payload.get("fixes", {}).items():
            yield int(candidate), text


def rows_of_pairs(votes: Votes, left_out: Counter[str]) -> list[Row]:
    """One row for each pair of texts, the more preferred first. An even split is put in an order that means nothing:
    that of the texts' digests."""
    rows = []
    for (first, second), given in sorted(votes.items()):
        if first == second:
            left_out["pairs of equal texts"] += 1
            continue
        if blank((first, second), left_out):
            continue
        if len(given) == 1 and given[0].value != 0.5:
            rows.append(single_vote_row(first, second, given[0]))
            continue
        share = sum(answer.value for answer in given) / len(given)
        keep = share > 0.5 or (share == 0.5 and text_digest(first) <= text_digest(second))
        told = [answer.strength for answer in given if answer.strength is not None]
        strength = sum(told) / len(told) if told else None
        if strength is not None:
            # Few strong voices against many slight ones: the majority gives the direction, and nothing is below 0.
            strength = round(max(0.0, strength if keep else -strength), 6)
        rows.append(
            merged(
                (first, second) if keep else (second, first),
                given,
                probability=round(max(share, 1 - share), 6),
                tie=round(sum(answer.value == 0.5 for answer in given) / len(given), 6),
                strength=strength,
            )
        )
    return rows


def single_vote_row(first: str, second: str, answer: Vote) -> Row:
    """The commonest row, of one annotator, without the arithmetic."""
    keep, strength = answer.value == 1, answer.strength
    return Row(
        texts=(first, second) if keep else (second, first),
        kinds=(answer.kind,),
        annotation_ids=answer.annotation_ids,
        candidate_ids=tuple(sorted(answer.candidate_ids)),
        strength=None if strength is None else round(max(0.0, strength if keep else -strength), 6),
    )


def merged(texts: tuple[str, ...], votes: Iterable[Vote], **values: Any) -> Row:
    votes = list(votes)
    return Row(
        texts=texts,
        kinds=tuple(sorted({answer.kind for answer in votes})),
        annotation_ids=tuple(sorted({key for answer in votes for key in answer.annotation_ids})),
        candidate_ids=tuple(sorted({key for answer in votes for key in answer.candidate_ids})),
        votes=len(votes),
        **values,
    )


def both_bad_texts(prompt: LabelledPrompt) -> set[str]:
    return {
        prompt.candidates[candidate]
        for label in prompt.labels
        if label.kind == "choosing" and label.payload["choice"] == "both_bad"
        for candidate in label.payload["shown"]
    }


def blank(texts: tuple[str, ...], left_out: Counter[str]) -> bool:
    if all(text.strip() for text in texts):
        return False
    left_out["empty texts"] += 1
    return True
