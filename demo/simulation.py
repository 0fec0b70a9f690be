"""Simulated annotators: they claim and submit through the same actions as people, and are labelled as simulated.

Their answers follow from the texts alone (`demo.judgement`), plus a share of honest mistakes.
"""

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from annotation.answers.submission import skip, submit
from annotation.kinds import PresentedTask, show
from annotation.kinds.base import Payload, Stored
from annotation.kinds.choosing.payload import ChoosingPayload
from annotation.kinds.postediting.payload import PosteditingPayload
from annotation.kinds.scoring.payload import ScoringPayload
from annotation.kinds.writing.payload import WritingPayload
from annotation.models import Aspect, Assignment, Batch, Kind, User
from annotation.queue.claims import claim_next
from demo import grammar
from demo.judgement import fit, formality, made_formal, wholeness
from demo.phrases import PHRASES

CLEAR_FROM = 0.6  # and this far apart one is clearly better
UNREADABLE = 0.25  # an answer of which less than this share is whole cannot be read


@dataclass(frozen=True)
class Judge:
    """What an annotator cares for, and how finely they tell apart.

    `register` weighs `formality` (-1 to 1), `content` weighs `fit` and `language` weighs `wholeness` (0 to 1 each). Two
    answers whose weighted sums differ by less than `tie_below` are equally good. `overlooks` is the share of casual
    sentences that are left as they are when editing: comparing two texts is easier than correcting one.
    """

    register: float
    content: float
    language: float
    tie_below: float
    overlooks: float


# People differ, and so do their labels. Simulated annotators 1, 4, 7 … are the first of these, and so on.
JUDGES = (
    # the register first
    Judge(register=1.0, content=0.5, language=0.5, tie_below=0.05, overlooks=0.3),
    # what the guest mentioned first
    Judge(register=0.5, content=1.5, language=0.5, tie_below=0.1, overlooks=0.6),
    # both, and small differences are none
    Judge(register=0.75, content=0.75, language=0.5, tie_below=0.3, overlooks=0.5),
)


class CannotAnswer(Exception):
    """The simple rule does not cover this task."""


@dataclass
class Tally:
    """How many tasks were answered, and how many skipped because the rule does not cover them."""

    answered: int = 0
    skipped: int = 0


def simulate(
    *,
    batches: Iterable[Batch],
    annotators: list[User],
    error: float,
    seed: int,
    limit: int | None = None,
    progress: Callable[[Tally], None] | None = None,
) -> Tally:
    """Let the annotators take turns in each batch until nothing is free for them, or `limit` answers are given.

    `error` is the share of answers that deviate from the rule. The same seed on the same tasks gives the same answers.
    """
    tally = Tally()
    judges = {annotator.pk: JUDGES[place % len(JUDGES)] for place, annotator in enumerate(annotators)}
    for batch in batches:
        waiting = list(annotators)
        while waiting:
            for annotator in list(waiting):
                if limit is not None and tally.answered >= limit:
                    return tally
                assignment = claim_next(batch=batch, annotator=annotator)
                if assignment is None:
                    waiting.remove(annotator)
                    continue
                # Not by the task's id: a demonstration comes out the same in every database.
                rng = random.Random(f"{seed} {annotator.email} {batch.name} {assignment.task.prompt.digest}")
                try:
                    submit(assignment=assignment, payload=answer(assignment, judges[annotator.pk], rng, error))
                    tally.answered += 1
                except CannotAnswer as reason:
                    skip(assignment=assignment, reason="other", comment=f"Simulated annotator: {reason}")
                    tally.skipped += 1
                if progress:
                    progress(tally)
    return tally


def answer(assignment: Assignment, judge: Judge, rng: random.Random, error: float) -> Stored:
    shown = show(assignment)
    mistaken = rng.random() < error
    return ANSWERS[Kind(shown.kind)](shown, judge, rng, mistaken).to_json()


def choose(shown: PresentedTask, judge: Judge, rng: random.Random, mistaken: bool) -> ChoosingPayload:
    candidates = [side.candidate for side in shown.sides]
    if all(readable(shown, side.text) < UNREADABLE for side in shown.sides):
        return ChoosingPayload(shown=candidates, choice="both_bad")
    if len(shown.sides) < 2:
        return ChoosingPayload(shown=candidates, choice="tie")
    if len(shown.sides) > 2:
        return ChoosingPayload(shown=candidates, choice="ranking", ranking=ranking(shown, judge, mistaken))
    one, other = shown.sides
    difference = worth(shown, judge, one.text) - worth(shown, judge, other.text)
    if abs(difference) < judge.tie_below and not mistaken:
        return ChoosingPayload(shown=candidates, choice="tie")
    better, worse = (one, other) if (difference > 0) != mistaken else (other, one)
    return ChoosingPayload(
        shown=candidates,
        choice="one",
        chosen=better.candidate,
        strength=2 if abs(difference) >= CLEAR_FROM else 1,
        reasons=reasons(shown, better.text, worse.text),
    )


def ranking(shown: PresentedTask, judge: Judge, mistaken: bool) -> list[list[int]]:
    """Best first; a text nearly as good as the one before shares its place. A mistaken annotator reverses the order."""
    groups: list[list[int]] = []
    last = 0.0
    for side in sorted(shown.sides, key=lambda side: worth(shown, judge, side.text), reverse=True):
        value = worth(shown, judge, side.text)
        if groups and last - value < judge.tie_below:
            groups[-1].append(side.candidate)
        else:
            groups.append([side.candidate])
        last = value
    return groups[::-1] if mistaken else groups


def reasons(shown: PresentedTask, better: str, worse: str) -> list[str]:
    """Those of the project's tags that hold of this pair."""
    language = shown.project.target_language
    holds = {
        "more formal": formality(better, language) > formality(worse, language),
        "politer": formality(better, language) > formality(worse, language),
        "addresses the review": fitting(shown, better) > fitting(shown, worse),
        "better language": readable(shown, better) > readable(shown, worse),
        "shorter": len(better) < 0.7 * len(worse),
    }
    return [tag.name for tag in shown.tags if holds.get(tag.name)]


def score(shown: PresentedTask, judge: Judge, rng: random.Random, mistaken: bool) -> ScoringPayload:
    scores = {}
    for side in shown.sides:
        points = {aspect.key: point(aspect, share(shown, aspect, side.text)) for aspect in shown.aspects}
        if mistaken and shown.aspects:
            aspect = rng.choice(shown.aspects)
            points[aspect.key] = point(aspect, rng.random())
        scores[side.candidate] = points
    return ScoringPayload(scores=scores)


def share(shown: PresentedTask, aspect: Aspect, text: str) -> float:
    """How much of the scale the text deserves, from 0 to 1. An aspect without a rule gets the text's overall worth."""
    polite = (formality(text, shown.project.target_language) + 1) / 2
    if aspect.key in ("register", "politeness"):
        return polite
    if aspect.key in ("content", "meaning"):
        return fitting(shown, text)
    if aspect.key == "language":
        return readable(shown, text)
    return (polite + fitting(shown, text) + readable(shown, text)) / 3


def point(aspect: Aspect, share: float) -> int:
    return 1 + round(share * (aspect.points - 1))


def postedit(shown: PresentedTask, judge: Judge, rng: random.Random, mistaken: bool) -> PosteditingPayload:
    """Puts casual sentences formally, but overlooks some; a mistaken annotator leaves the text as it is."""
    (original,) = shown.sides
    text = original.text
    if not mistaken:
        text = made_formal(shown.prompt.text, text, overlooks=lambda: rng.random() < judge.overlooks)
    return PosteditingPayload(candidate=original.candidate, text=text, unchanged=text == original.text)


def write(shown: PresentedTask, judge: Judge, rng: random.Random, mistaken: bool) -> WritingPayload:
    """The grammar's own answer, worded differently for each annotator; a mistaken one writes casually."""
    for english, polite, plain in PHRASES:
        if shown.prompt.text == english:
            return WritingPayload(plain if mistaken else polite)
    number = shown.prompt.metadata.get("scene")
    if not isinstance(number, int) or grammar.review(scene := grammar.scene(number)) != shown.prompt.text:
        raise CannotAnswer("I can write answers only to the texts of the demonstration.")
    return WritingPayload(grammar.reply(scene, "casual" if mistaken else "formal", variant=rng.randrange(2, 6)))


def worth(shown: PresentedTask, judge: Judge, text: str) -> float:
    """The rule in one number."""
    return (
        judge.register * formality(text, shown.project.target_language)
        + judge.content * fitting(shown, text)
        + judge.language * readable(shown, text)
    )


def fitting(shown: PresentedTask, text: str) -> float:
    """Of translations we can tell only whether there is one."""
    return fit(shown.prompt.text, text) if shown.project.target_language.startswith("en") else float(bool(text.strip()))


def readable(shown: PresentedTask, text: str) -> float:
    return wholeness(text) if shown.project.target_language.startswith("en") else float(bool(text.strip()))


ANSWERS: dict[Kind, Callable[[PresentedTask, Judge, random.Random, bool], Payload]] = {
    Kind.CHOOSING: choose,
    Kind.SCORING: score,
    Kind.POSTEDITING: postedit,
    Kind.WRITING: write,
}
