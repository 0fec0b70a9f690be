"""What scores say about texts: good or bad by themselves, and better or worse than each other. Pure."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from annotation.kinds.scoring.payload import ScoringPayload
from annotation.kinds.votes import Label, PromptLabels, Vote, Votes, put
from annotation.models import Kind

Labels = Sequence[Label[ScoringPayload]]
TOLERANCE = 1e-9  # two weighted scores that differ by less are equal: what remains is rounding


def weighted_score(scores: dict[str, int], weights: dict[str, float] | None, points: dict[str, int]) -> float | None:
    """The weighted mean of aspect scores, each first scaled to 0…1 by its number of points; None without a score.
    static/js/judging.js computes the same for the total on the page."""
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


def scored_candidates(labels: Labels, points: dict[str, int]) -> dict[int, Scored]:
    scored: dict[int, Scored] = defaultdict(Scored)
    for label in labels:
        for candidate, scores in label.payload.scores.items():
            score = weighted_score(scores, label.weights, points)
            if score is not None:
                scored[candidate].by_annotation[label.annotation_id] = score
    return dict(sorted(scored.items()))


def single(candidate: int, scored: Scored, *, value: float) -> Vote:
    """All scores of one candidate as one vote."""
    ids = tuple(scored.by_annotation)
    return Vote(value=value, kind=Kind.SCORING.value, annotation_ids=ids, candidate_ids=(candidate,))


def add_sft_votes(prompt: PromptLabels, labels: Labels, votes: Votes) -> None:
    for candidate, scored in scored_candidates(labels, prompt.points).items():
        if scored.mean >= prompt.options.score_good:
            votes[(prompt.candidates[candidate],)].append(single(candidate, scored, value=1))
        else:
            prompt.left_out["scored below the bar for SFT"] += 1


def add_unpaired_votes(prompt: PromptLabels, labels: Labels, votes: Votes) -> None:
    options = prompt.options
    for candidate, scored in scored_candidates(labels, prompt.points).items():
        if options.score_bad < scored.mean < options.score_good:
            prompt.left_out["scored neither well nor badly"] += 1
        else:
            value = float(scored.mean >= options.score_good)
            votes[(prompt.candidates[candidate],)].append(single(candidate, scored, value=value))


def add_pair_votes(prompt: PromptLabels, labels: Labels, votes: Votes) -> None:
    """Pairs of scored candidates whose means differ enough. Annotators who scored both vote by the sign of their
    difference; if none did, the difference of means is one vote."""
    scored = list(scored_candidates(labels, prompt.points).items())
    for index, (first, one) in enumerate(scored):
        for second, two in scored[index + 1 :]:
            if abs(one.mean - two.mean) < prompt.options.score_difference - TOLERANCE:
                prompt.left_out["pairs of scores that differ too little"] += 1
                continue
            texts = prompt.candidates[first], prompt.candidates[second]
            for answer in pair_votes(first, one, second, two):
                put(votes, *texts, answer)


def pair_votes(first: int, one: Scored, second: int, two: Scored) -> Iterator[Vote]:
    both = [key for key in one.by_annotation if key in two.by_annotation]
    if not both:
        difference = one.mean - two.mean
        yield Vote(
            value=float(difference > 0),
            kind=Kind.SCORING.value,
            annotation_ids=(*one.by_annotation, *two.by_annotation),
            candidate_ids=(first, second),
            strength=difference,
        )
    for key in both:
        own = one.by_annotation[key] - two.by_annotation[key]
        yield Vote(
            value=0.5 if abs(own) < TOLERANCE else float(own > 0),
            kind=Kind.SCORING.value,
            annotation_ids=(key,),
            candidate_ids=(first, second),
            strength=own,
        )
