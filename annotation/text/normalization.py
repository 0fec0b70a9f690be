"""Normal forms: which texts read the same. They are for comparing; the texts themselves stay as they were written."""

import re
import unicodedata

# Characters of scripts without spaces between words: Thai, Lao, Burmese, Khmer, kana, Han.
UNSPACED = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]+"
)
# Compatibility characters that NFKC would turn into others that read differently: 10² is not 102, 1½ is not 11⁄2,
# and ① is not 1.
KEPT_TAGS = ("<super>", "<sub>", "<fraction>", "<circle>")
KEPT = "".join(c for c in map(chr, range(0x20000)) if unicodedata.decomposition(c).startswith(KEPT_TAGS))
PIECES = re.compile(f"([{re.escape(KEPT)}]+)")
# No ink and no width (Unicode's Default_Ignorable_Code_Point, without the joiners below); tag characters spell the
# flags of England, Scotland and Wales behind a black flag, and nothing else that one can see.
IGNORABLE = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
INVISIBLE = re.compile(f"(\U0001f3f4[\U000e0020-\U000e007f]+)|[{IGNORABLE}]")
INK = re.compile(rf"[^\s\u200c\u200d\u2800{IGNORABLE}]")
# Joiners shape letters of cursive and Indic scripts (Persian spells with them) and make one emoji of several; anywhere
# else they cannot be seen.
JOINERS = re.compile("[\u200c\u200d]")
REPEATED_JOINERS = re.compile("([\u200c\u200d])[\u200c\u200d]+")
SHAPED = "\u0600-\u08ff\u0900-\u0dff\u1000-\u109f\u1780-\u18af\ua840-\ua87f\ua8e0-\uabff\ufb50-\ufdff\ufe70-\ufefc"
SHAPED += "\U00010a00-\U00011fff\U0001e900-\U0001e95f"
IDLE_JOINERS = re.compile(f"(?<![{SHAPED}])[\u200c\u200d]|[\u200c\u200d](?![{SHAPED}])")
# A blank cell of Braille is drawn as a space, and hyphens that break or do not are drawn alike.
DRAWN_ALIKE = str.maketrans({"\u2800": " ", "\u2010": "-", "\u2011": "-"})
# Every character that anything above is about.
SPECIAL = frozenset(KEPT).union(
    character
    for character in map(chr, (*range(0x20000), *range(0xE0000, 0xE1000)))
    if INVISIBLE.match(character) or JOINERS.match(character) or ord(character) in DRAWN_ALIKE
)


def normal_form(text: str) -> str:
    """The form that texts have in common which read the same, in exactly these respects:

    NFC and NFD; full and half width, ligatures and other compatibility characters (NFKC, but not superscripts,
    subscripts, fractions and circled signs, which read differently); runs of white space of any kind, no-break and
    ideographic spaces included, are one space; none at the ends; no characters without ink, such as zero-width
    spaces, soft hyphens, byte order marks, direction marks and variation selectors. Letter case stays.

    It is idempotent: normal_form(normal_form(text)) == normal_form(text).
    """
    if text.isascii():
        return " ".join(text.split())
    if SPECIAL.isdisjoint(text):  # nearly every text: a set is asked faster than four expressions are searched for
        return " ".join(unicodedata.normalize("NFKC", text).split())
    plain = compatible(text)
    shown = without_idle_joiners(INVISIBLE.sub(r"\1", plain)).translate(DRAWN_ALIKE)
    if shown != plain:  # what was taken out may have kept a letter and its accent apart
        shown = compatible(shown)
    return " ".join(shown.split())


def has_ink(text: str) -> bool:
    """Whether there is anything to see: a normal form."""
    return INK.search(text) is not None


def folded(text: str) -> str:
    """The normal form without regard to case, for searching."""
    return " ".join(normal_form(text).casefold().split())


def compatible(text: str) -> str:
    """NFKC, with the characters of KEPT as they are."""
    if unicodedata.is_normalized("NFKC", text):
        return text
    return "".join(
        piece if number % 2 else unicodedata.normalize("NFKC", piece) for number, piece in enumerate(PIECES.split(text))
    )


def without_idle_joiners(text: str) -> str:
    if not JOINERS.search(text):
        return text
    text = REPEATED_JOINERS.sub(r"\1", text)
    return IDLE_JOINERS.sub(lambda match: match[0] if joins_symbols(text, match.start()) else "", text)


def joins_symbols(text: str, position: int) -> bool:
    """Whether the joiner is between two emoji. Variation selectors have been taken out before."""
    return (
        text[position] == "\u200d"
        and 0 < position < len(text) - 1
        and unicodedata.category(text[position - 1])[0] == "S"
        and unicodedata.category(text[position + 1])[0] == "S"
    )
