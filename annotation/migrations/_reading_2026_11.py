"""How texts read, as of migrations 0009 to 0011: a copy of the normal forms, digests and sketches of that time, so that
later changes of `annotation.text` cannot change what these migrations do. Not to be edited; a later migration takes a
copy of its own."""

import hashlib
import json
import re
import unicodedata
from hashlib import blake2b
from zlib import crc32

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
INVISIBLE = re.compile(
    "(\U0001f3f4[\U000e0020-\U000e007f]+)"
    "|[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
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


# ---- digests ----

CANONICAL = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)


def messages_digest(messages: list[dict[str, str]]) -> str:
    """sha256 (hexadecimal) of the messages' canonical JSON: sorted keys, no spaces, UTF-8."""
    return hashlib.sha256(CANONICAL.encode(list(messages)).encode()).hexdigest()


def prompt_identity(messages: list[dict[str, str]]) -> str:
    """`messages_digest` of the messages' normal form: equal for prompts that read the same."""
    return messages_digest([{**message, "content": normal_form(message["content"])} for message in messages])


def context_key(metadata: object) -> str:
    """The context (in the metadata) that tells texts apart which read the same, in its normal form; empty if none."""
    context = metadata.get("context") if isinstance(metadata, dict) else None
    if context is None or context in ("", [], {}):
        return ""
    return normal_form(context if isinstance(context, str) else canonical_json(context))


def distinction(document: str, context: str, external_id: str) -> str:
    """sha256 of what tells a prompt apart from others that read the same; empty if nothing does. The document and
    the context are in their normal form."""
    if not (document or context or external_id):
        return ""
    return hashlib.sha256(CANONICAL.encode([document, context, external_id]).encode()).hexdigest()


def canonical_json(value: object) -> str:
    """JSON that is the same for equal values; NaN and infinities raise ValueError."""
    return CANONICAL.encode(value)


# ---- terms ----

# Signs that a keyboard, a word processor and a typesetter write differently for the same mark.
TYPOGRAPHIC = {
    "'": "’‘‛ʼʻʹʾʿ`´′ˈ׳՚Ꞌꞌ",
    '"': "“”„‟«»″〝〞〟״‹›",
    "-": "‐‑‒–—―−⁃﹘﹣־⸺⸻",
    "~": "〜∼˜",
    "·": "•‧∙・･",
    "/": "⁄∕",
    "...": "…",
}
AS_TYPED = str.maketrans({sign: typed for typed, signs in TYPOGRAPHIC.items() for sign in signs})


def lookup_form(text: str) -> str:
    """The folded text with one form of each apostrophe, quotation mark, hyphen and dash: “guest’s check‑in” and
    "guest's check-in" are the same term. For searching only: such texts do differ in print."""
    return folded(text).translate(AS_TYPED)


# ---- the translation memory ----

BANDS = 32
SKETCHED = 2_000


def fixed_number(text: str) -> int:
    """64 bits that are the same in every process and version."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest())


MASKS = [tuple(fixed_number(f"{band} {row}") for row in range(3)) for band in range(BANDS)]


def ngrams(text: str) -> set[str]:
    """Character n-grams of a folded text: of 4 within spaced scripts, of 2 where words have no spaces."""
    grams: set[str] = set()
    for run in UNSPACED.findall(text):
        grams.update(run[at : at + 2] for at in range(max(len(run) - 1, 1)))
    spaced = UNSPACED.sub(" ", text)
    if spaced.strip():
        spaced = f" {' '.join(spaced.split())} "
        grams.update(spaced[at : at + 4] for at in range(max(len(spaced) - 3, 1)))
    return grams


def sketch(text: str, project_id: int) -> list[int]:
    """32 signed 32-bit numbers, different in each project; none for a text without characters."""
    # CRC is fast, and the odd factor (2⁶⁴ by the golden ratio) spreads it over all the bits.
    grams = [gram.encode("utf-8", "surrogatepass") for gram in ngrams(folded(text)[:SKETCHED])]
    hashes = [crc32(gram) * 0x9E3779B97F4A7C15 % 2**64 for gram in grams]
    if not hashes:
        return []
    numbers = []
    for band, masks in enumerate(MASKS):
        # XOR with a fixed random number permutes the hashes: the minimum is an independent random n-gram.
        least = [min(map(mask.__xor__, hashes)) for mask in masks]
        numbers.append(crc32(b"%d %d %d %d %d" % (project_id, band, *least)) - 2**31)
    return numbers
