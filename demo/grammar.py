"""A small grammar of hotel reviews and the concierge's replies. The same seed gives the same text, anywhere.

A `Scene` is what a guest wants to say: some topics, each praised or complained about. From it come the review and
replies in both registers, so that every reply's quality is known: which topics it takes up, and how formal it is.
"""

import itertools
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Literal

from demo.texts import (
    CLOSINGS,
    EARLIER_GREETINGS,
    FAREWELLS,
    GREETINGS,
    OPENINGS,
    SIGNATURES,
    THANKS,
    TOPICS,
    Pair,
    Side,
)

Register = Literal["formal", "casual"]
Polarity = Literal["praise", "complaint"]

OPPOSITE: dict[Polarity, Polarity] = {"praise": "complaint", "complaint": "praise"}
_CHOICE = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True)
class Scene:
    """One guest's stay: `seed` settles every choice of words, `mentions` are (topic, polarity) in order."""

    seed: int
    mentions: tuple[tuple[str, Polarity], ...]

    @property
    def mood(self) -> str:
        polarities = {polarity for _, polarity in self.mentions}
        return "mixed" if len(polarities) == 2 else next(iter(polarities))


def scene(seed: int) -> Scene:
    rng = random.Random(f"scene {seed}")
    topics = rng.sample(sorted(TOPICS), k=rng.choice((1, 2, 2, 2, 3, 3)))
    return Scene(seed, tuple((topic, rng.choice(("praise", "complaint"))) for topic in topics))


def scenes(count: int, *, seed: int = 0) -> Iterator[Scene]:
    """`count` scenes whose reviews all differ."""
    seen: set[str] = set()
    numbers = itertools.count(seed * 10_000_000)
    while len(seen) < count:
        found = scene(next(numbers))
        if (text := review(found)) not in seen:
            seen.add(text)
            yield found


def review(found: Scene) -> str:
    """What the guest wrote: an opening, a sentence for each mention, a closing."""
    rng = random.Random(f"review {found.seed}")
    sentences = [pick(rng.choice(OPENINGS), rng)]
    for topic, polarity in found.mentions:
        sentences.append(pick(rng.choice(_side(topic, polarity).mentions), rng))
    sentences.append(pick(rng.choice(CLOSINGS[found.mood]), rng))
    return " ".join(sentences)


def reply(
    found: Scene, register: Register, *, variant: int = 0, leave_out: int | None = None, misread: int | None = None
) -> str:
    """The concierge's answer. Another `variant` says it otherwise.

    `leave_out` is the index of a mention to pass over; `misread` that of one to take up the wrong way round: thanks
    for a complaint, an apology for praise. Both registers of one scene and variant say the same things.
    """
    rng = random.Random(f"reply {found.seed} {variant}")
    index = 0 if register == "formal" else 1
    greeting, body = rng.choice(GREETINGS), [rng.choice(THANKS[found.mood])]
    for position, (topic, polarity) in enumerate(found.mentions):
        side = _side(topic, OPPOSITE[polarity] if position == misread else polarity)
        move = rng.choice(side.replies)
        if position != leave_out:
            body.append(move)
    body.append(rng.choice(FAREWELLS))
    text = " ".join(move[index] for move in body)
    return f"{greeting[index]}\n{text}\n{rng.choice(SIGNATURES)[index]}"


def exchange(seed: int) -> tuple[str, Pair]:
    """One mention by itself, and what takes it up: the smallest lesson that there is to learn."""
    rng = random.Random(f"exchange {seed}")
    side = _side(rng.choice(sorted(TOPICS)), rng.choice(("praise", "complaint")))
    return pick(rng.choice(side.mentions), rng), rng.choice(side.replies)


def pick(template: str, rng: random.Random) -> str:
    """The template with one alternative of each `{a|b}`."""
    return _CHOICE.sub(lambda match: rng.choice(match[1].split("|")), template)


def expand(template: str) -> list[str]:
    """Every text that the template stands for."""
    parts = _CHOICE.split(template)
    options = [part.split("|") if number % 2 else [part] for number, part in enumerate(parts)]
    return ["".join(choice) for choice in itertools.product(*options)]


def count_reviews() -> int:
    """How many different reviews of two mentions the grammar can make."""
    mentions = {
        (topic, polarity): sum(len(expand(template)) for template in _side(topic, polarity).mentions)
        for topic in TOPICS
        for polarity in ("praise", "complaint")
    }
    ends = {mood: sum(len(expand(template)) for template in templates) for mood, templates in CLOSINGS.items()}
    openings = sum(len(expand(template)) for template in OPENINGS)
    return openings * sum(
        count * other_count * ends[polarity if polarity == other_polarity else "mixed"]
        for (topic, polarity), count in mentions.items()
        for (other, other_polarity), other_count in mentions.items()
        if topic != other
    )


def _side(topic: str, polarity: str) -> Side:
    return TOPICS[topic].praise if polarity == "praise" else TOPICS[topic].complaint


@cache
def mention_of() -> dict[str, tuple[str, Polarity]]:
    """Every sentence in which a guest mentions something, and what it mentions."""
    sides: list[tuple[str, Polarity]] = [(topic, polarity) for topic in TOPICS for polarity in OPPOSITE]
    return {
        sentence: (topic, polarity)
        for topic, polarity in sides
        for template in _side(topic, polarity).mentions
        for sentence in expand(template)
    }


@cache
def formal_of() -> dict[str, str]:
    """Every casual sentence of the grammar, and the formal one that says the same; longest first."""
    pairs: list[Pair] = [*GREETINGS, *EARLIER_GREETINGS, *FAREWELLS, *SIGNATURES]
    pairs += itertools.chain.from_iterable(THANKS.values())
    for topic in TOPICS.values():
        pairs += [*topic.praise.replies, *topic.complaint.replies]
    return {casual: formal for formal, casual in sorted(pairs, key=lambda pair: -len(pair[1]))}
