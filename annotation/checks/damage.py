"""A text → the same text made worse by a named rule. Pure, and the same for the same seed.

A damaged text differs in how it reads (`normal_form`), never in surface alone. Which rules apply depends on the
language; where none does, there is no damaged text.
"""

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from django.utils.translation import gettext_lazy as _

from annotation.text.normalization import normal_form

RULES = {
    "number": _("A number is changed"),
    "negation": _("A negation is removed"),
    "clause": _("A clause is missing"),
    "term": _("A term of the glossary is replaced by another one"),
    "particles": _("Particles are exchanged"),
    "order": _("The order of words is shuffled"),
    "politeness": _("Polite forms are plain"),
}
# Tried in this order, in groups: a rule of a later group only where none of an earlier one applies. What only lowers
# the style comes last.
GROUPS = (("number", "negation", "clause", "term"), ("particles", "order"), ("politeness",))
CLAUSE_END = re.compile(r"(?<=[。！？!?;；、，])|(?<=[.,:])(?=\s)")
NUMBER = re.compile(r"\d+")
WORD = re.compile(r"\S+")
FEWEST_CLAUSE = 2  # characters without spaces; shorter pieces are interjections
NEGATIONS: dict[str, Sequence[tuple[str, str]]] = {
    "en": (
        (r"\bcannot\b", "can"),
        (r"\bcan't\b", "can"),
        (r"\bwon't\b", "will"),
        (r"\b(do|does|did)(n't| not) ", ""),
        (r"\b(is|are|was|were|has|have|had|would|should|could|must|need)n't\b", r"\1"),
        (r" not\b", ""),
        (r"\bnever ", ""),
        (r"\bwithout\b", "with"),
        (r"\bno ", "a "),
    ),
    "de": ((r" nicht\b", ""), (r"\b([Kk])ein(?=(e|en|em|er|es)?\b)", "ein"), (r"\bohne\b", "mit"), (r"\bnie ", "")),
    "fr": ((r"\bn(?:e |')(\w+) (?:pas|jamais|plus)\b", r"\1"), (r"\bsans\b", "avec")),
    "es": ((r"\b[Nn]o ", ""), (r"\b[Nn]unca ", ""), (r"\bsin\b", "con")),
    "ja": (
        (r"ませんでした", "ました"),
        (r"ではありません", "です"),
        (r"ありません", "あります"),
        (r"できません", "できます"),
        (r"ません(?!か)", "ます"),
        (r"ないでください", "てください"),
        (r"ではない", "である"),
        (r"できない", "できる"),
        (r"られない", "られる"),
        (r"なかった", "あった"),
    ),
}
POLITENESS = (
    ("をお願いできますか", "をくれるか"),
    ("お願いいたします", "頼む"),
    ("お願いします", "頼む"),
    ("いただけますか", "くれるか"),
    ("ください", "くれ"),
    ("いたします", "する"),
    ("ありがとうございます", "ありがとう"),
    ("でございます", "だ"),
    ("でしょうか", "か"),
    ("ました", "た"),
    ("でした", "だった"),
    ("です", "だ"),
    ("します", "する"),
    ("います", "いる"),
    ("あります", "ある"),
    ("できます", "できる"),
)
PARTICLES = {"を": "に", "へ": "を", "から": "まで", "まで": "から", "より": "ほど", "が": "を"}
# Behind kanji, katakana, letters and digits: behind hiragana it may be a part of a word.
PARTICLE = re.compile(r"を|(?<=[^\W\u3041-\u309f])(?:から|まで|より|へ|が)")


@dataclass(frozen=True)
class Damaged:
    text: str
    rule: str


def damaged(text: str, *, language: str, seed: int, terms: Sequence[str] = ()) -> Damaged | None:
    """The text damaged by one of the rules that apply; None where none does. `terms`: the glossary's target terms."""
    draw = random.Random(f"{seed}:{text}")
    base = language.split("-")[0].lower()
    for group in GROUPS:
        for rule in draw.sample(group, len(group)):
            worse = APPLY[rule](text, base, draw, terms)
            if worse is not None and worse.strip() and normal_form(worse) != normal_form(text):
                return Damaged(worse, rule)
    return None


def change_number(text: str, language: str, draw: random.Random, terms: Sequence[str]) -> str | None:
    """Another first digit in one number: 15 → 75. A number keeps its length."""
    if not (found := list(NUMBER.finditer(text))):
        return None
    chosen = draw.choice(found)
    zero = chr(ord(chosen[0][0]) - int(chosen[0][0]))  # of the number's own script
    others = [n for n in range(1, 10) if n != int(chosen[0][0])]
    return f"{text[: chosen.start()]}{chr(ord(zero) + draw.choice(others))}{text[chosen.start() + 1 :]}"


def remove_negation(text: str, language: str, draw: random.Random, terms: Sequence[str]) -> str | None:
    for pattern, instead in NEGATIONS.get(language, ()):
        worse, count = re.subn(pattern, instead, text, count=1)
        if count:
            return worse
    return None


def drop_clause(text: str, language: str, draw: random.Random, terms: Sequence[str]) -> str | None:
    """One of several clauses or sentences is left out."""
    pieces = [piece for piece in CLAUSE_END.split(text) if piece]
    whole = [at for at, piece in enumerate(pieces) if len("".join(piece.split())) > FEWEST_CLAUSE]
    if len(whole) < 2:
        return None
    left_out = draw.choice(whole)
    rest = "".join(piece for at, piece in enumerate(pieces) if at != left_out).strip()
    if left_out == len(pieces) - 1 and rest[-1:] in "、，,;；:":
        rest = rest[:-1] + text.rstrip()[-1:]
    return rest


def replace_term(text: str, language: str, draw: random.Random, terms: Sequence[str]) -> str | None:
    present = [term for term in terms if term and term in text]
    others = [term for term in terms if term and term not in text]
    if not present or not others:
        return None
    return text.replace(draw.choice(present), draw.choice(others), 1)


def exchange_particles(text: str, language: str, draw: random.Random, terms: Sequence[str]) -> str | None:
    if language != "ja":
        return None
    worse = PARTICLE.sub(lambda found: PARTICLES[found[0]], text, count=2)
    return worse if worse != text else None


def shuffle_words(text: str, language: str, draw: random.Random, terms: Sequence[str]) -> str | None:
    """Of texts with spaces, at least four words: the words between the first and the last."""
    words = WORD.findall(text)
    if len(words) < 4 or language in ("ja", "zh", "th"):
        return None
    inner = words[1:-1] if len(words) > 4 else words
    shuffled = inner[:]
    for _attempt in range(8):
        draw.shuffle(shuffled)
        if shuffled != inner:
            break
    return " ".join([words[0], *shuffled, words[-1]] if len(words) > 4 else shuffled)


def drop_politeness(text: str, language: str, draw: random.Random, terms: Sequence[str]) -> str | None:
    if language != "ja":
        return None
    for polite, plain in POLITENESS:
        if polite in text:
            return text.replace(polite, plain)
    return None


APPLY: dict[str, Callable[[str, str, random.Random, Sequence[str]], str | None]] = {
    "number": change_number,
    "negation": remove_negation,
    "clause": drop_clause,
    "term": replace_term,
    "particles": exchange_particles,
    "order": shuffle_words,
    "politeness": drop_politeness,
}
