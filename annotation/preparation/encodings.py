"""In which encoding a text is written: told, or announced by a byte order mark. Never guessed: of a file that is not
UTF-8 a person sees a sample in the encodings that texts of the project's languages are in, and says which it is."""

import codecs
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from annotation.preparation.files import Unreadable

BYTE_ORDER_MARKS = [
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16: its mark begins with the same two bytes
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
]
# What programs that do not write UTF-8 write: by language, the most common first.
CYRILLIC = ("cp1251", "koi8-r", "cp866", "iso8859-5", "mac-cyrillic")
WESTERN = ("cp1252", "iso8859-15", "mac-roman", "cp850")
CENTRAL = ("cp1250", "iso8859-2", "cp852")
BALTIC = ("cp1257", "iso8859-13")
ARABIC = ("cp1256", "iso8859-6")
BY_LANGUAGE: dict[str, tuple[str, ...]] = {
    "ja": ("cp932", "euc-jp", "iso2022_jp"),
    "zh": ("gb18030", "big5"),
    "zh-tw": ("big5", "gb18030"),
    "zh-hk": ("big5hkscs", "gb18030"),
    "zh-hant": ("big5", "gb18030"),
    "yue": ("big5hkscs", "gb18030"),
    "ko": ("cp949", "iso2022_kr"),
    **dict.fromkeys(("ru", "uk", "be", "bg", "mk", "sr", "kk", "ky", "tg", "mn"), CYRILLIC),
    **dict.fromkeys(("pl", "cs", "sk", "hu", "sl", "hr", "bs", "ro", "sq"), CENTRAL),
    "el": ("cp1253", "iso8859-7"),
    "tr": ("cp1254", "iso8859-9"),
    "az": ("cp1254", "cp1251"),
    "he": ("cp1255", "iso8859-8"),
    **dict.fromkeys(("ar", "fa", "ur", "ps"), ARABIC),
    **dict.fromkeys(("lt", "lv", "et"), BALTIC),
    "vi": ("cp1258",),
    "th": ("cp874",),
}
KNOWN = {name for names in (*BY_LANGUAGE.values(), WESTERN) for name in names} | {"utf-16-le", "utf-16-be"}
# Rather of former programs: the others come first where both read like a text.
RARE = {"mac-roman": 0.3, "mac-cyrillic": 0.3, "cp850": 0.3, "cp852": 0.3, "iso8859-6": 0.1, "iso8859-8": 0.1}
SUGGESTED = 3
SAMPLE_BYTES = 32_000
SAMPLE_SHOWN = 60
# Letters that most often show that a text was read in the wrong encoding: parts of words in two scripts at once.
MIXED = re.compile(r"(?:[A-Za-z][^\W\d_A-Za-z]|[^\W\d_A-Za-z][A-Za-z])")


def detect_encoding(path: Path, told: str = "") -> str:
    """The encoding told, else the one that a byte order mark announces, else UTF-8. Nothing is guessed."""
    if told:
        try:
            codec = codecs.lookup(told)
            "".encode(told)
        except (LookupError, UnicodeError) as error:
            raise Unreadable(f"{told!r} is no text encoding; examples: utf-8, utf-16-le, cp932, cp1252") from error
        return codec.name
    with path.open("rb") as file:
        head = file.read(4)
    return next((encoding for mark, encoding in BYTE_ORDER_MARKS if head.startswith(mark)), "utf-8")


def undecodable(path: Path, filename: str, encoding: str, languages: Sequence[str] = ()) -> Unreadable:
    """The error for a file that is not in `encoding`: at which byte, and what it reads like in others."""
    offset = lines = 0
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    with path.open("rb") as file:
        while True:
            chunk = file.read(1 << 20)
            try:
                decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                # The decoder holds back an unfinished character: count from the chunk's end.
                start = offset + len(chunk) - len(error.object) + error.start
                lines += chunk[: max(0, start - offset)].count(b"\n")
                found = " ".join(f"0x{byte:02x}" for byte in error.object[error.start : error.start + 3])
                break
            except UnicodeError as error:
                return Unreadable(f"{filename} is not {encoding}: {error}; choose its encoding, or save it as UTF-8")
            if not chunk:
                return Unreadable(f"{filename} changed while it was read; try again")
            offset += len(chunk)
            lines += chunk.count(b"\n")
        name = encoding.removesuffix("-sig").upper()
        place = f"{filename} is not {name}: byte {start:,} ({found}, line {lines + 1:,}) is no such character"
        file.seek(max(0, start - SAMPLE_BYTES))
        if name == "UTF-8" and b"\0" in file.read(min(start, SAMPLE_BYTES)):
            return utf16_without_mark(path, filename)
        file.seek(max(0, start - SAMPLE_BYTES))
        around = file.read(2 * SAMPLE_BYTES)
        if name == "UTF-8" and is_mostly_utf8(around, cut_off=start + 4 > path.stat().st_size):
            return Unreadable(
                f"{place}, and what is before it is UTF-8: the file was cut off or damaged there. Export it again",
                row=lines + 1,
            )
        # From the beginning of a line, so that no character of several bytes is cut.
        file.seek(max(0, start - 2000))
        before = file.read(min(start, 2000))
        file.seek(start - len(before) + before.rfind(b"\n") + 1 if b"\n" in before else start - len(before))
        sample = file.read(SAMPLE_BYTES)
    encodings = likely_encodings(sample, languages)
    message = f"{place}. "
    if encodings:
        read = "; ".join(f"{name} would read “{text}”" for name, text in encodings)
        message += f"Choose its encoding by what reads right, or save the file as UTF-8: {read}"
    else:
        message += "Choose its encoding, or save the file as UTF-8"
    return Unreadable(
        message, row=lines + 1, options=tuple(f"--encoding {name}" for name, _ in encodings), encodings=encodings
    )


def is_mostly_utf8(sample: bytes, *, cut_off: bool) -> bool:
    """Whether the sample has much more of what only UTF-8 has than of what it has not; one character is enough where
    the file ends in the middle of the next. Two bytes of another encoding may look like a character (Кі in cp1251)."""
    text = sample.decode("utf-8", errors="replace")
    broken = text.count("\ufffd")
    return sum(character > "\x7f" for character in text) - broken > (0 if cut_off else 4) * broken


def utf16_without_mark(path: Path, filename: str) -> Unreadable:
    """The error for a header with NUL characters, which UTF-16 has between Latin letters."""
    with path.open("rb") as file:
        head = file.read(2000)
    even, odd = head[::2].count(0), head[1::2].count(0)
    names = ("utf-16-le", "utf-16-be") if odd >= even else ("utf-16-be", "utf-16-le")
    encodings = tuple((name, text) for name in names if (text := sample_in(name, head[: len(head) // 2 * 2])))[:1]
    sample = "".join(f"; {name} would read “{text}”" for name, text in encodings)
    return Unreadable(
        f"{filename}: the header contains NUL characters; is it UTF-16 without a byte order mark? Choose "
        f"{names[0]}, or save the file as UTF-8{sample}",
        row=1,
        options=(f"--encoding {names[0]}",),
        encodings=encodings,
    )


# How the encodings of 7 bits switch between character sets: UTF-8 takes it for control characters.
ESCAPES = re.compile(rb"\x1b(?:\$[@AB)*+]|\([BIJ]|\$\([CDG])")
SEVEN_BITS = ("iso2022_jp", "iso2022_kr")


def with_escapes(path: Path, filename: str, encoding: str) -> Unreadable | None:
    """The error for a text that switches between character sets by escape sequences, as old mail programs write."""
    with path.open("rb") as file:
        sample = file.read(SAMPLE_BYTES)
    if encoding != "utf-8" or not ESCAPES.search(sample):
        return None
    sample = sample[: sample.rfind(b"\n") + 1] or sample
    encodings = tuple(
        (name, found) for name in SEVEN_BITS if (text := decoded(name, sample)) and (found := excerpt(text))
    )
    return Unreadable(
        f"{filename} has escape sequences (0x1b) between its texts, which UTF-8 has not. Choose its encoding by what "
        "reads right, or save the file as UTF-8"
        + "".join(f"; {name} would read “{text}”" for name, text in encodings[:1]),
        options=tuple(f"--encoding {name}" for name, _ in encodings[:1]),
        encodings=encodings[:1],
    )


def likely_encodings(sample: bytes, languages: Sequence[str] = ()) -> tuple[tuple[str, str], ...]:
    """Encodings that the sample can be read in, the likeliest first, each with a piece of the text as it reads."""
    scored: list[tuple[float, int, str, str]] = []
    for place, name in enumerate(dict.fromkeys([*of_languages(languages), *of_statistics(sample), *WESTERN[:1]])):
        text = decoded(name, sample)
        if text is not None:
            scored.append((RARE.get(name, 0) - plausibility(text, languages), place, name, text))
    kept: list[tuple[str, str]] = []
    for score, _place, name, text in sorted(scored):
        shown = excerpt(text)
        wanted = score < 0 or len(kept) < 2  # two at least, to compare; more only where they read like a text
        if shown and wanted and shown not in [other for _, other in kept]:
            kept.append((name, shown))
    return tuple(kept[:SUGGESTED])


def of_languages(languages: Sequence[str]) -> Iterator[str]:
    """Of all languages; those that have encodings of their own come first."""
    western = False
    for language in filter(None, languages):
        tag = language.lower().replace("_", "-")
        own = BY_LANGUAGE.get(tag) or BY_LANGUAGE.get(tag.split("-")[0])
        yield from own or ()
        western |= own is None
    if western:
        yield from WESTERN
    if not any(languages):
        yield from ("cp932", "gb18030", "cp949", "cp1251", "cp1252", "big5", "cp1256", "cp1255", "cp1253")


def of_statistics(sample: bytes) -> Iterator[str]:
    """One voice among others: it likes rare encodings in which any bytes are letters."""
    import charset_normalizer

    best = charset_normalizer.from_bytes(sample, threshold=0.4).best()
    if best and (name := best.encoding.replace("_", "-")) in KNOWN and not name.startswith("utf-16"):
        yield name


def decoded(encoding: str, sample: bytes) -> str | None:
    try:
        return codecs.getincrementaldecoder(encoding)("strict").decode(sample, final=False)
    except (LookupError, UnicodeError):
        return None


def sample_in(encoding: str, sample: bytes) -> str:
    text = decoded(encoding, sample)
    return (text[:SAMPLE_SHOWN].replace("\r", " ").replace("\n", " ").strip()) if text else ""


# The script of a language's letters, as Unicode's character names begin.
SCRIPTS: dict[str, tuple[str, ...]] = {
    "ja": ("HIRAGANA", "KATAKANA", "CJK", "IDEOGRAPHIC", "FULLWIDTH"),
    "zh": ("CJK", "IDEOGRAPHIC", "FULLWIDTH"),
    "yue": ("CJK", "IDEOGRAPHIC", "FULLWIDTH"),
    "ko": ("HANGUL", "CJK", "IDEOGRAPHIC"),
    **dict.fromkeys(("ru", "uk", "be", "bg", "mk", "sr", "kk", "ky", "tg", "mn"), ("CYRILLIC",)),
    "el": ("GREEK",),
    "he": ("HEBREW",),
    **dict.fromkeys(("ar", "fa", "ur", "ps"), ("ARABIC",)),
    "th": ("THAI",),
}


def plausibility(text: str, languages: Sequence[str]) -> float:
    """How much of what is not ASCII reads like a text of these languages: about 1 for one that does, below 0 for
    rubbish."""
    strange = [character for character in text if ord(character) > 127]
    if not strange:
        return 0.0
    expected = tuple(
        dict.fromkeys(
            script
            for language in languages
            for script in SCRIPTS.get(language.lower().replace("_", "-").split("-")[0], ("LATIN",))
        )
    )
    points = 0.0
    for character in strange:
        name, category = unicodedata.name(character, ""), unicodedata.category(character)
        if not name or category in ("Cc", "Co", "Cn") or name.startswith("HALFWIDTH"):
            points -= 2
        elif expected and name.startswith(expected):
            # Lower case, or no case: capitals in the middle of words are a sign of a wrong code page.
            points += 1
        elif category[0] == "P":
            points += 0.3
        elif not expected:
            points += 0.5 if category in ("Ll", "Lo") else 0
        else:
            points -= 0.5
    points -= sum(2 for match in re.finditer(r"(?=([^\W\d_][^\W\d_]))", text) if wrong_case(match[1]))
    points -= 0.5 * len(MIXED.findall(text)) if expected and "LATIN" not in expected else 0
    return points / len(strange)


def wrong_case(pair: str) -> bool:
    """A small letter before a capital, one of them beyond ASCII."""
    return pair[0].islower() and pair[1].isupper() and not pair.isascii()


def excerpt(text: str) -> str:
    """A few words around the first characters beyond ASCII."""
    at = next((place for place, character in enumerate(text) if ord(character) > 127), None)
    if at is None:
        return ""
    begin = max(text.rfind("\n", 0, at) + 1, at - 15)
    end = text.find("\n", at)
    return clean(text[begin : min(end if end >= 0 else len(text), begin + SAMPLE_SHOWN)])


def clean(text: str | Iterable[str]) -> str:
    return "".join(c if c.isprintable() else " " if c.isspace() else "\ufffd" for c in text).strip()
