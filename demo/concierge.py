"""The two projects of the demonstration: the guidelines, and the rows of their files."""

import random
from collections.abc import Iterator
from typing import Any

from demo import grammar
from demo.phrases import PHRASES

CONCIERGE = "concierge"
PERSONA = "You are a hotel's concierge and answer its guests."
PROMPTS = 1_000
HELD_OUT_SHARE = 0.2
CORPUS_DOCUMENTS = 7_000
CORPUS_FORMAL_SHARE = 0.4
# The grammar's three kinds of candidate. "flawed" is formal and passes over one thing that the guest mentioned, or
# takes it up the wrong way round.
FORMAL, CASUAL, FLAWED = "import:grammar-a", "import:grammar-b", "import:grammar-c"

CONCIERGE_GUIDELINE = """\
# Answering our guests

The concierge answers every review that a guest leaves. A good answer is **formal**, and it **takes up what the guest
mentioned**.

## What counts, in this order

1. **Register.** Courteous and formal: whole sentences, no contractions, no exclamation marks, no slang.
   *We regret the noise and shall assign you a quieter room.* Not: *Sorry about the noise, we'll sort it!*
2. **Content.** Each thing that the guest praised or complained about is taken up. A complaint gets an apology and
   a remedy.
3. **Language.** Complete, correct sentences without repetition.

## When you are unsure

- Both answers formal: take the one that leaves less out.
- Both casual, and equally so: *tie*. Neither can be read as an answer: *both bad*.
- Post-editing: change what you must, leave what is good. Three words are better than a new text.

The reviews and answers are made by a small grammar; no guest ever wrote them.
"""
CONCIERGE_ASPECTS = (
    {
        "key": "register",
        "name": "Register",
        "question": "How formal is the answer?",
        "anchors": (
            "Slang throughout",
            "Mostly casual: contractions and exclamation marks",
            "Mixed, or neither",
            "Formal, with a slip",
            "Formal throughout",
        ),
    },
    {
        "key": "content",
        "name": "Content",
        "question": "Does it take up what the guest mentioned?",
        "anchors": (
            "Nothing of it",
            "Less than half",
            "About half",
            "Most of it",
            "All of it",
        ),
    },
    {
        "key": "language",
        "name": "Language",
        "question": "Are the sentences whole and correct?",
        "anchors": (
            "Cannot be read",
            "Broken in several places",
            "A broken sentence or a repetition",
            "A small slip",
            "Flawless",
        ),
    },
)
CONCIERGE_WEIGHTS = {"register": 3.0, "content": 2.0, "language": 1.0}
CONCIERGE_TAGS = ("more formal", "addresses the review", "better language", "warmer", "shorter")

PHRASES_SLUG = "hotel-phrases"
POLITE, PLAIN = "import:phrases-a", "import:phrases-b"
PHRASES_GUIDELINE = """\
# Hotel phrases in Japanese

The reader is a guest or a member of staff who speaks to a stranger: the translation is **polite** (です・ます or
keigo), never plain.

- The meaning first. Then the register. Then how natural it sounds.
- Staff speak of the guest's things with お or ご, and of their own acts humbly: *お荷物をお運びいたします。*
- Full stops are 。 and question marks are left out in polite questions with か.
"""
PHRASES_ASPECTS = (
    {
        "key": "meaning",
        "name": "Meaning",
        "question": "Does it say what the English says?",
        "anchors": ("Something else", "In part", "Nearly", "All of it"),
    },
    {
        "key": "politeness",
        "name": "Politeness",
        "question": "How polite is the Japanese?",
        "anchors": ("Plain", "Mixed", "Polite", "Polite, with fitting keigo"),
    },
)
PHRASES_WEIGHTS = {"meaning": 2.0, "politeness": 1.0}
PHRASES_TAGS = ("politer", "closer to the English", "more natural")

Row = dict[str, Any]
REFERENCE = 100  # the variant of the reference texts, which no candidate and no annotator uses


def concierge_rows() -> Iterator[Row]:
    """One prompt a row, with three answers of the grammar."""
    for number, scene in enumerate(grammar.scenes(PROMPTS), 1):
        rng = random.Random(f"flaw {scene.seed}")
        place = rng.randrange(len(scene.mentions))
        flaw = "leave_out" if len(scene.mentions) > 1 and rng.random() < 0.3 else "misread"
        yield {
            "external_id": f"review-{number:04}",
            "source_document": f"guest book, page {number}",
            "text": grammar.review(scene),
            "reference": grammar.reply(scene, "formal", variant=REFERENCE),
            "metadata": {"scene": scene.seed, "mentions": [topic for topic, _ in scene.mentions]},
            "candidates": [
                {"text": grammar.reply(scene, "formal"), "origin": FORMAL},
                {"text": grammar.reply(scene, "casual"), "origin": CASUAL},
                {"text": grammar.reply(scene, "formal", variant=1, **{flaw: place}), "origin": FLAWED},
            ],
        }


def phrase_rows() -> Iterator[Row]:
    for number, (english, polite, plain) in enumerate(PHRASES, 1):
        yield {
            "external_id": f"phrase-{number:02}",
            "text": english,
            "candidates": [{"text": polite, "origin": POLITE}, {"text": plain, "origin": PLAIN}],
        }


def corpus_rows(documents: int = CORPUS_DOCUMENTS) -> Iterator[Row]:
    """What the base model learns from: chats in both registers, half and half, none of the project's own reviews.

    Every other one is a single mention with what takes it up: so small a model learns in the short time which answer
    belongs to what when it also meets the two by themselves.
    """
    known = {grammar.review(scene) for scene in grammar.scenes(PROMPTS)}
    rng = random.Random("corpus")
    for scene in grammar.scenes(documents // 2, seed=1):
        register: grammar.Register = "formal" if rng.random() < CORPUS_FORMAL_SHARE else "casual"
        mention, pair = grammar.exchange(scene.seed)
        yield chat(mention, pair[0 if register == "formal" else 1])
        if (review := grammar.review(scene)) not in known:
            left_out = rng.randrange(len(scene.mentions)) if rng.random() < 0.1 else None
            yield chat(review, grammar.reply(scene, register, variant=rng.randrange(3), leave_out=left_out))


def chat(said: str, answer: str) -> Row:
    messages = (("system", PERSONA), ("user", said), ("assistant", answer))
    return {"messages": [{"role": role, "content": content} for role, content in messages]}
