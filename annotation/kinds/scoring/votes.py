"""What scores say about texts: good or bad by themselves, and better or worse than each other. Pure.

Annotators are counted, however their scores came: side by side in one task, one text a task, or in several batches.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from annotation.kinds.scoring.payload import ScoringPayload
from annotation.kinds.votes import Label, PromptLabels, Vote, Votes, distinct, put
from annotation.models import Kind

Labels = Sequence[Label[ScoringPayload]]
TOLERANCE = 1e-9  # two weighted scores that differ by less are equal: what remains is rounding
KIND = (Kind.SCORING.value,)


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
class OwnScores:
    """What one annotator gave one text: a score for each of their annotations of it."""

    scores: list[float] = field(default_factory=list)
    annotation_ids: list[int] = field(default_factory=list)
    candidates: list[int] = field(default_factory=list)

    @property
    def mean(self) -> float:
        return sum(self.scores) / len(self.scores)


@dataclass(slots=True)
class Scored:
    """A text's scores by annotator. Its mean is over annotators, so that nobody counts twice."""

    by_annotator: dict[int, OwnScores] = field(default_factory=dict)

    @property
    def mean(self) -> float:
        return sum(own.mean for own in self.by_annotator.values()) / len(self.by_annotator)


def scored_texts(prompt: PromptLabels, labels: Labels) -> dict[str, Scored]:
    """By text, because the same text may have come from several origins; in the order of their first candidates."""
    scored: dict[str, Scored] = {}
    first: dict[str, int] = {}
    for label in labels:
        for candidate, scores in label.payload.scores.items():
            score = weighted_score(scores, label.weights, prompt.points)
            if score is None:
                continue
            text = prompt.candidates[candidate]
            first[text] = min(candidate, first.get(text, candidate))
            own = scored.setdefault(text, Scored()).by_annotator.setdefault(label.annotator, OwnScores())
            own.scores.append(score)
            own.annotation_ids.append(label.annotation_id)
            own.candidates.append(candidate)
    return {text: scored[text] for text in sorted(scored, key=first.__getitem__)}


def vote_of(
    annotator: int | None, answers: Sequence[OwnScores], *, value: float, strength: float | None = None
) -> Vote:
    return Vote(
        value=value,
        kinds=KIND,
        annotator=annotator,
        annotation_ids=distinct(key for own in answers for key in own.annotation_ids),
        candidate_ids=distinct(key for own in answers for key in own.candidates),
        strength=strength,
    )


def add_sft_votes(prompt: PromptLabels, labels: Labels, votes: Votes) -> None:
    """Texts whose mean is good enough. Everybody who scored one is counted, and is for it if their own mean is good."""
    good = prompt.options.score_good - TOLERANCE
    for text, scored in scored_texts(prompt, labels).items():
        if scored.mean >= good:
            votes[(text,)] += [
                vote_of(key, [own], value=float(own.mean >= good)) for key, own in scored.by_annotator.items()
            ]
        else:
            prompt.left_out["scored below the bar for SFT"] += 1


def add_unpaired_votes(prompt: PromptLabels, labels: Labels, votes: Votes) -> None:
    """Texts whose mean is good or bad enough: each annotator votes by their own score, with half a vote in between."""
    good, bad = prompt.options.score_good - TOLERANCE, prompt.options.score_bad + TOLERANCE
    for text, scored in scored_texts(prompt, labels).items():
        if bad < scored.mean < good:
            prompt.left_out["scored neither well nor badly"] += 1
            continue
        for annotator, own in scored.by_annotator.items():
            value = 1 if own.mean >= good else 0 if own.mean <= bad else 0.5
            votes[(text,)].append(vote_of(annotator, [own], value=value))


def add_pair_votes(prompt: PromptLabels, labels: Labels, votes: Votes) -> None:
    """Pairs of scored texts whose means differ enough. Annotators who scored both vote by the sign of their own
    difference; if none did, the difference of means is one vote."""
    scored = list(scored_texts(prompt, labels).items())
    for index, (first, one) in enumerate(scored):
        for second, two in scored[index + 1 :]:
            if abs(one.mean - two.mean) < prompt.options.score_difference - TOLERANCE:
                prompt.left_out["pairs of scores that differ too little"] += 1
                continue
            for answer in pair_votes(one, two):
                put(votes, first, second, answer)


def pair_votes(one: Scored, two: Scored) -> Iterator[Vote]:
    both = [key for key in one.by_annotator if key in two.by_annotator]
    if not both:
        difference = one.mean - two.mean
        everyone = [*one.by_annotator.values(), *two.by_annotator.values()]
        yield vote_of(None, everyone, value=float(difference > 0), strength=difference)
    for key in both:
        own = one.by_annotator[key], two.by_annotator[key]
        difference = own[0].mean - own[1].mean
        value = 0.5 if abs(difference) < TOLERANCE else float(difference > 0)
        yield vote_of(key, own, value=value, strength=difference)
