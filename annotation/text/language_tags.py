"""Language tags (BCP 47), checked against IANA's registry; for a wrong one, the right one by what was meant.

The registry comes with langcodes, the names of languages and regions with babel (CLDR).
"""

import re
from dataclasses import dataclass
from functools import cache, lru_cache

import langcodes
from babel import Locale, UnknownLocaleError
from babel.core import get_global
from babel.localedata import locale_identifiers
from langcodes.registry_parser import parse_registry
from langcodes.tag_parser import LanguageTagError
from rapidfuzz import process
from rapidfuzz.fuzz import ratio

TAG = re.compile(
    r"(?P<language>[a-z]{2,8})(?:-(?P<extlang>[a-z]{3}))?(?:-(?P<script>[a-z]{4}))?(?:-(?P<region>[a-z]{2}|[0-9]{3}))?"
    r"(?P<variants>(?:-(?:[a-z0-9]{5,8}|[0-9][a-z0-9]{3}))*)(?:-[a-wyz0-9](?:-[a-z0-9]{2,8})+)*(?:-x(?:-[a-z0-9]{1,8})+)?"
)
REGION = re.compile("(?!ZZ|X[A-Z])[A-Z]{2}")
PRIVATE = re.compile(r"x(?:-[a-z0-9]{1,8})+")
# Languages in whose words people name languages, besides each its own.
NAMES_IN = ("en", "ja", "de", "fr", "es", "it", "pt", "ru", "zh", "zh_Hant", "ko", "ar", "hi", "vi", "id", "tr", "pl")
SIMILAR = 88  # of 100, for a name with a slip of the finger


@dataclass(frozen=True)
class Registry:
    """`subtags` by type and subtag in lower case, and `whole` tags of the time before the registry: each with the value
    that is preferred today, "" where it is itself."""

    subtags: dict[tuple[str, str], str]
    whole: dict[str, str]
    ranges: list[tuple[str, str, str]]
    names: dict[str, str]


@cache
def registry() -> Registry:
    found = Registry({}, {}, [], {})
    for row in parse_registry():  # type: ignore[no-untyped-call]
        kind, preferred = row["Type"], row.get("Preferred-Value", "")
        if kind in ("grandfathered", "redundant"):
            found.whole[row["Tag"].lower()] = preferred
            continue
        subtag = row["Subtag"].lower()
        if ".." in subtag:
            first, last = subtag.split("..")
            found.ranges.append((kind, first, last))
            continue
        found.subtags[kind, subtag] = preferred
        if kind == "language" and "Deprecated" not in row:
            for name in row["Description"]:
                found.names.setdefault(plain_name(name), subtag)
    return found


def is_registered(tag: str) -> bool:
    """Whether the tag is well formed, and each subtag is in the registry and has no successor there."""
    tag = tag.lower()
    if tag in registry().whole:
        return not registry().whole[tag]
    if PRIVATE.fullmatch(tag):
        return True
    match = TAG.fullmatch(tag)
    if match is None:
        return False
    parts = [(kind, match[kind]) for kind in ("language", "extlang", "script", "region") if match[kind]]
    parts += [("variant", variant) for variant in match["variants"].split("-") if variant]
    return all(is_current(kind, subtag) for kind, subtag in parts)


def is_current(kind: str, subtag: str) -> bool:
    if (kind, subtag) in registry().subtags:
        return not registry().subtags[kind, subtag]
    return any(
        kind == other and len(first) == len(subtag) and first <= subtag <= last
        for other, first, last in registry().ranges
    )


@lru_cache(maxsize=1024)
def right_tag(text: str) -> str | None:
    """The tag that was meant: `ja` for jp, jpn, Japanese or 日本語; `en-GB` for en-UK; None where nothing is near.
    A registered tag is returned as it is."""
    if is_registered(text):
        return text
    if not re.search(r"\w{2}", text):
        return None
    # ja_JP.UTF-8 is a locale of an operating system.
    tag = re.sub(r"[.@].*", "", text.strip()).replace("_", "-").strip("-")
    try:
        standard = langcodes.standardize_tag(tag)
    except (LanguageTagError, ValueError):
        standard = ""
    if is_registered(standard):
        return str(standard)
    if re.fullmatch(r"[A-Za-z]{2,3}(-[A-Za-z0-9]+)*", tag):
        return tag_of_country(tag) or shortened(tag) or tag_of_name(text)
    return shortened(tag) or tag_of_name(text) or tag_of_similar_name(text)


def tag_of_country(tag: str) -> str | None:
    """jp is Japan: the language is the one that most people there use."""
    first, *rest = tag.split("-")
    region = region_of(first)
    if len(first) != 2 or is_current("language", first.lower()) or region not in territories().values():
        return None
    usual: str = get_global("likely_subtags").get(f"und_{region}", "en")  # what CLDR leaves out is English
    return right_tag("-".join([usual.split("_")[0], *rest]))


def shortened(tag: str) -> str | None:
    """The language of a tag with something unknown after it, and a region that is given by its name: ja-Japan."""
    first, *rest = tag.split("-")
    if not rest or not re.fullmatch("[A-Za-z]{2,3}", first) or not is_current("language", first.lower()):
        return None
    named = territories().get(plain_name(" ".join(rest)))
    return f"{first.lower()}-{named}" if named else first.lower()


def region_of(code: str) -> str:
    """UK is GB."""
    successors = get_global("territory_aliases").get(code.upper())
    return successors[0] if successors else code.upper()


# ---- names ----


def plain_name(name: str) -> str:
    return " ".join(re.sub(r"[\W_]+", " ", name.casefold()).split())


def tag_of_name(text: str) -> str | None:
    """A language by its name: English, 日本語, Chinese (Simplified), English (UK)."""
    if tag := named(text):
        return tag
    match = re.fullmatch(r"(.+?)\s*[(,/–-]\s*(.+?)\)?", text.strip())
    if match is None or len(match[1].encode()) < 4 or not (language := named(match[1])):
        return None
    if both := names().get(f"{plain_name(match[2])} {plain_name(match[1])}"):
        return both
    region = territories().get(plain_name(match[2])) or region_of(match[2])
    return f"{language}-{region}" if is_registered(f"{language}-{region}") else language


def tag_of_similar_name(text: str) -> str | None:
    """A common language whose English name is spelt nearly so."""
    common = {plain_name(name): tag for tag, name in choices("en")}
    found = (
        process.extractOne(plain_name(text), common.keys(), scorer=ratio, score_cutoff=SIMILAR)
        if len(text) > 3
        else None
    )
    return common[found[0]] if found else None


def named(name: str) -> str | None:
    wanted = plain_name(name)
    return names().get(wanted) or own_names().get(wanted)


@cache
def names() -> dict[str, str]:
    """Tags by name in lower case: English names first, then the registry's, then those of other languages."""
    found: dict[str, str] = {}
    english, *others = [Locale.parse(code) for code in NAMES_IN]
    add_names(found, english)
    for name, subtag in registry().names.items():
        found.setdefault(name, subtag)
    for locale in others:
        add_names(found, locale)
    found.pop("", None)
    return found


@cache
def own_names() -> dict[str, str]:
    """Tags by what speakers call their language; a second or two to read."""
    codes = [code for code in locale_identifiers() if "_" not in code and is_registered(code)]
    found = {plain_name(Locale.parse(code).languages.get(code, "")): code for code in codes}
    found.pop("", None)
    return found


def add_names(found: dict[str, str], locale: Locale) -> None:
    for code, name in locale.languages.items():
        tag = code.replace("_", "-")
        if is_registered(tag):
            found.setdefault(plain_name(name), tag)


@cache
def territories() -> dict[str, str]:
    return {plain_name(name): code for code, name in Locale.parse("en").territories.items() if REGION.fullmatch(code)}


def name_of(tag: str, interface: str) -> str:
    """The language's name in the interface's language; "" where CLDR has none."""
    locale = interface_locale(interface)
    wanted = tag.replace("-", "_")
    for code in (wanted, wanted.split("_")[0].lower()):
        if name := locale.languages.get(code):
            region = wanted.split("_")[-1].upper() if code != wanted else ""
            place = locale.territories.get(region, "")
            return f"{name} ({place})" if place else str(name)
    return ""


@lru_cache(maxsize=16)
def choices(interface: str) -> list[tuple[str, str]]:
    """(tag, name in the interface's language) of the languages that CLDR has data of, by name."""
    known = {code.split("_")[0] for code in locale_identifiers()}
    rows = [
        (code.replace("_", "-"), name)
        for code, name in interface_locale(interface).languages.items()
        if code.split("_")[0] in known and is_registered(code.replace("_", "-"))
    ]
    return sorted(rows, key=lambda row: row[1].casefold())


def interface_locale(interface: str) -> Locale:
    try:
        return Locale.parse(interface, sep="-")
    except (ValueError, UnknownLocaleError):
        return Locale.parse("en")
