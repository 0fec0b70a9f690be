"""How a simulated annotator judges: from what the text says and nothing else, as a person would have to.

The rule is simple and stated on the demonstration's pages: how formal the reply is, how well it fits what the guest
mentioned, and whether its sentences are whole. It sees no origin, no model name, and not which texts the grammar wrote.
How much each of the three counts differs from annotator to annotator (`simulation.JUDGES`).
"""

import itertools
import re
from collections.abc import Callable

from demo.grammar import formal_of, mention_of
from demo.phrases import PHRASES
from demo.texts import TOPICS

FORMAL = re.compile(
    r"\b(dear|sincere(ly)?|regret|apolog(y|ies|ise)|grateful|grati(fied|fying)|delighted|pleased|honour(ed)?|pleasure|"
    r"pleases|privilege|kindly|shall|endeavour|disposal|accept|appreciated|reassuring|indeed|conveyed|considered?|"
    r"inconvenience|complimentary|warmest|candid|thoughtful|gladly|attended|concerned|would)\b",
    re.IGNORECASE,
)
CASUAL = re.compile(
    r"!|\b\w+['’](s|re|ll|ve|d|m|t)\b|"
    r"\b(hi|hey|hello|wow|yay|oh|ouch|gosh|yikes|eww|ah|yep|yeah|okay|bummer|awesome|cool|sweet|super|cheers|bye|"
    r"thanks|sorry|guys|handy|great|glad|happy|nice|big|bunch|rubbish|mess(ed)?|pain|awful|no worries)\b",
    re.IGNORECASE,
)
REGRET = re.compile(
    r"\b(regret|apolog(y|ies|ise)|sorry|inexcusable|not acceptable|not cool|yikes|eww|bummer|"
    r"refund|discount|reduction|complimentary|without charge|for free|free day|"
    r"replaced|swapped|replenished|promise|addressed|had a word|measures|cracking down|"
    r"choice of pillows|which pillow|far from|miles away)\b",
    re.IGNORECASE,
)
POLITE_END = re.compile(r"(です|ます|でした|ました|ません|でしょう|ください|ませ)(が|か|ね|よ)?$")


def formality(text: str, language: str = "en") -> float:
    """From -1 (casual) to 1 (formal); 0 where the text shows neither."""
    if language.startswith("ja"):
        ends = [sentence for sentence in re.split(r"[。！？!?\n]+", text) if sentence.strip()]
        polite = sum(bool(POLITE_END.search(sentence.strip())) for sentence in ends)
        return 2 * polite / len(ends) - 1 if ends else 0.0
    formal, casual = len(FORMAL.findall(text)), len(CASUAL.findall(text))
    return (formal - casual) / (formal + casual) if formal + casual else 0.0


def topics_in(text: str) -> set[str]:
    words = set(re.findall(r"[a-z]+(?:-[a-z]+)*", text.lower()))
    return {name for name, topic in TOPICS.items() if words & set(topic.keywords)}


def sentences_of(text: str) -> list[str]:
    return [sentence for sentence in re.split(r"(?<=[.!?])\s+|\n", text.strip()) if sentence]


def mentions_in(review: str) -> dict[str, str]:
    """What the guest mentions, and whether as praise or as a complaint; empty where we cannot tell which."""
    known = mention_of()
    found = dict.fromkeys(topics_in(review), "")
    return found | dict(known[sentence] for sentence in sentences_of(review) if sentence in known)


def taken_up(reply: str) -> list[tuple[str, str]]:
    """Sentence by sentence, what the reply takes up, and how: with regret or a remedy, as one does with a complaint,
    or without, as one does with praise."""
    return [
        (topic, "complaint" if REGRET.search(sentence) else "praise")
        for sentence in sentences_of(reply)
        for topic in sorted(topics_in(sentence))
    ]


def fit(review: str, reply: str) -> float:
    """How well the reply fits what the guest mentioned, from 0 to 1 (F1).

    A mention is met by one sentence about it, with regret or a remedy for a complaint and without for praise. What
    the guest did not mention, or what is taken up twice or the wrong way round, meets nothing. 1 where the review
    mentions nothing that we know.
    """
    mentions, moves = mentions_in(review), taken_up(reply)
    if not mentions:
        return 1.0
    met = {topic for topic, how in moves if topic in mentions and mentions[topic] in ("", how)}
    return 2 * len(met) / (len(mentions) + len(moves))


def made_formal(prompt: str, text: str, overlooks: Callable[[], bool] = lambda: False) -> str:
    """The text with the casual sentences that we know put formally, except those that the editor `overlooks` (asked
    once for each); unchanged where we know none."""
    for english, polite, plain in PHRASES:
        if prompt == english and text == plain:
            return polite
    for casual, formal in formal_of().items():
        if casual in text and not overlooks():
            text = text.replace(casual, formal)
    return text


def wholeness(text: str) -> float:
    """Share of the sentences that are whole: they begin with a capital, end with a mark, and occur once."""
    sentences = sentences_of(text)
    whole = {sentence for sentence in sentences if re.fullmatch(r"[A-Z].*\w[.!?,]?", sentence) and _is_closed(sentence)}
    return len(whole) / len(sentences) if sentences else 0.0


def _is_closed(sentence: str) -> bool:
    """Whether the sentence ends as one, a greeting or a signature does, and repeats no word at once."""
    words = re.findall(r"\w+", sentence.lower())
    repeated = any(one == other for one, other in itertools.pairwise(words) if one != "hello")
    return not repeated and (sentence[-1] in ".!?," or sentence.lower().endswith("concierge"))
