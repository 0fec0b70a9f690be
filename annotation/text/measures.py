"""Names and signs of units and currencies by kind of measure, from CLDR: “m”, “metres”, “Meter”, メートル are a length.

Lengths of time are left out: 3日 is a date as well as three days.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, lru_cache

import regex
from babel import Locale
from babel.units import UnknownUnitError, format_unit

from annotation.text.languages import base_language, locale_of

MONEY = "money"
KINDS: dict[str, list[str]] = {
    "length": [
        *("length-meter", "length-kilometer", "length-centimeter", "length-millimeter", "length-micrometer"),
        *("length-nanometer", "length-mile", "length-yard", "length-foot", "length-inch", "length-nautical-mile"),
    ],
    "mass": [
        *("mass-kilogram", "mass-gram", "mass-milligram", "mass-microgram", "mass-tonne", "mass-ton"),
        *("mass-pound", "mass-ounce"),
    ],
    "temperature": ["temperature-celsius", "temperature-fahrenheit", "temperature-generic", "angle-degree"],
    "share": ["concentr-percent", "concentr-permille"],
    "area": [
        *("area-square-meter", "area-square-kilometer", "area-square-centimeter", "area-square-foot"),
        *("area-square-mile", "area-hectare", "area-acre"),
    ],
    "volume": [
        *("volume-liter", "volume-milliliter", "volume-deciliter", "volume-centiliter", "volume-cubic-meter"),
        *("volume-cubic-centimeter", "volume-gallon"),
    ],
    "speed": ["speed-kilometer-per-hour", "speed-meter-per-second", "speed-mile-per-hour"],
    "digital": [
        *("digital-byte", "digital-kilobyte", "digital-megabyte", "digital-gigabyte", "digital-terabyte"),
        *("digital-bit", "digital-kilobit", "digital-megabit", "digital-gigabit"),
    ],
    "energy": ["energy-kilowatt-hour", "energy-joule", "energy-kilojoule", "energy-kilocalorie", "energy-calorie"],
    "power": ["power-watt", "power-kilowatt", "power-megawatt", "power-gigawatt", "power-horsepower"],
    "electric": ["electric-volt", "electric-ampere", "electric-milliampere", "electric-ohm"],
    "frequency": ["frequency-hertz", "frequency-kilohertz", "frequency-megahertz", "frequency-gigahertz"],
    "pressure": ["pressure-hectopascal", "pressure-kilopascal", "pressure-pascal", "pressure-millibar"],
}
# Common ones: the names of all would make half the words of a language the name of a currency.
COMMON_CURRENCIES = """\
USD EUR JPY GBP CNY KRW INR CHF RUB BRL CAD AUD MXN SEK NOK DKK PLN CZK HUF TRY THB VND IDR SAR AED ILS UAH
TWD HKD SGD NZD PHP MYR ZAR EGP RON"""
CURRENCIES = frozenset(COMMON_CURRENCIES.split())
# What people write and CLDR has not, by language; "" is for all.
MORE: dict[str, dict[str, str]] = {
    "": {"temperature": "° ℃ ℉ º", "share": "% ‰ ٪ ؉", "area": "sqm m2 km2", "volume": "m3", "mass": "lbs"},
    "en": {"share": "pct per\u00a0cent", MONEY: "pounds bucks quid cents pence"},
    "de": {"share": "v.H.", "mass": "Pfund", MONEY: "Pfund Cent"},
    "ja": {
        "length": "キロ",
        "mass": "キロ",
        MONEY: "円 ドル ユーロ ポンド 元 ウォン ルピー フラン ルーブル バーツ セント",
    },
    "zh": {"share": "百分之 巴仙", MONEY: "元 块 塊 圆 圓 镑 鎊 刀 美金 法郎 卢比 盧比 卢布 盧布 泰铢 港币"},
    "yue": {MONEY: "元 蚊 鎊 美金"},
    "ko": {"share": "퍼센트 프로", MONEY: "원 불 달러 엔 위안 파운드 루피 센트"},
    "th": {MONEY: "ดอลลาร์ เหรียญ ปอนด์ เยน หยวน วอน บาท"},
    "ru": {MONEY: "руб. долл. цент"},
    "uk": {MONEY: "грн крб дол. цент"},
    "hi": {MONEY: "रु रुपए रुपये"},
    "vi": {MONEY: "đồng đô bảng yên"},
}
# Kinds whose units stand for one another: 60 mph is 時速60マイル.
NEAR = {
    "length": ("length", "speed"),
    "speed": ("speed", "length"),
    "area": ("area", "length"),
    "volume": ("volume", "length"),
}
# What means a unit in a translation, but not for certain in a source: short and older names, and words that
# mean other things as well (5分 is five minutes, too).
STANDS_FOR: dict[str, dict[str, str]] = {
    "": {"mass": "kilo kilos quilo quilos chilo chili"},
    "ja": {
        "length": "センチ ミリ メーター",
        "area": "平米 坪 畳 帖",
        "volume": "リッター シーシー cc",
        "digital": "ギガ メガ テラ",
        "share": "割 分 厘",
    },
    "zh": {
        "length": "公里 千米 公分 公尺 公釐 米 里 哩 呎 吋",
        "mass": "公斤 公克 公吨 公噸 千克 斤 两 兩",
        "area": "平米 平 坪 亩 畝",
        "volume": "公升 升 毫升 公合",
        "digital": "G M K T",
        "share": "折 成",
    },
    "ko": {
        "length": "킬로 센티 밀리",
        "mass": "킬로",
        "area": "평 평방",
        "digital": "기가 메가 테라",
        "share": "할",
    },
    "ar": {
        "length": "كم سم مم متر كيلو",
        "mass": "كجم كغ كغم كيلو طن جرام غرام",
        "volume": "لتر ليتر",
        "share": "بالمئة بالمائة المئة المائة",
    },
    "fa": {"mass": "کیلو", "share": "درصد"},
    "he": {
        "length": 'ק״מ ק"מ ס״מ ס"מ מ״מ מ"מ',
        "mass": 'ק״ג ק"ג קילו',
        "area": 'מ״ר מ"ר',
        "volume": 'מ״ל מ"ל',
    },
    "hi": {"length": "किलो", "mass": "किलो", "share": "फीसदी फ़ीसदी"},
    "bn": {"mass": "কেজি কিলো"},
    "th": {"length": "กิโล", "mass": "กิโล", "area": "ไร่ งาน วา", "share": "ร้อยละ"},
    "vi": {"length": "cây", "mass": "cân ký kí lạng tạ tấn", "share": "phần\u00a0trăm"},
    "ru": {"area": "кв", "volume": "куб"},
    "uk": {"area": "кв", "volume": "куб", "mass": "кіло"},
    "de": {"area": "qm", "volume": "Kubik", "mass": "Zentner"},
}
STANDS_FOR["yue"] = STANDS_FOR["zh"]
# Of forms this short only these tell a measure: others are words, names, or years (2024 г.).
SURE_SYMBOLS = """\
m km cm mm µm μm nm KM CM MM g kg mg KG lb lbs oz ft yd l ml cl dl ha mph kmh km/h m/s °C °F kB KB MB GB TB
Mbit Gbit kWh kJ kcal kW MW GW W V kV mA Hz kHz MHz GHz hPa kPa м л"""
SYMBOLS = frozenset(SURE_SYMBOLS.split())
# Words that mean other things after a number as often: 3度 is three times, 20 real problems.
AMBIGUOUS_WORDS = """\
度 도 องศา real won rand leu ton tons foot feet yard yards grain"""
AMBIGUOUS = frozenset(AMBIGUOUS_WORDS.split())
UNSPACED = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]")
SIGN = regex.compile(r"[^\w\s]+")
# Where a word ends: no letter follows, but one of a script that is written without spaces may (1.5GBです).
WORD_END = rf"(?!(?!{UNSPACED.pattern})[\p{{L}}\p{{M}}])"
WORD_BEGIN = rf"(?<!(?!{UNSPACED.pattern})[\p{{L}}\p{{M}}])"
AMOUNTS = (1, 2, 3, 5, 11, 100, 0.5)


@dataclass(frozen=True)
class Measures:
    """`asked` finds a measure directly after a number, or a sign of money before it; `present` tells by kind whether
    a text has any such measure, inflected or beside whatever number."""

    asked: "regex.Pattern[str]"
    kinds: dict[str, frozenset[str]]
    present: dict[str, "regex.Pattern[str]"]


@lru_cache(maxsize=64)
def measures(tag: str) -> Measures | None:
    """None where CLDR has no names of units in the language."""
    locale = locale_of(tag)
    if locale is None or not has_own_names(locale):
        return None
    base = base_language(tag)
    locales = [locale, Locale.parse("en_GB")] if base == "en" else [locale]
    asked: dict[str, set[str]] = {}
    forms: dict[str, set[str]] = {}
    present = {}
    for kind in (*KINDS, MONEY):
        own = {form for each in locales for form in forms_of(kind, each)}
        own.update(form.replace("\u00a0", " ") for form in MORE.get(base, {}).get(kind, "").split())
        symbols = {*forms_of(kind, Locale.parse("en"), short=True), *MORE[""].get(kind, "").split()}
        for form in {*own, *symbols}:
            if may_be_asked(form, kind, locale):
                asked.setdefault(form.casefold(), set()).add(kind)
        also = f"{STANDS_FOR[''].get(kind, '')} {STANDS_FOR.get(base, {}).get(kind, '')}".split()
        forms[kind] = {*own, *symbols, *(form.replace("\u00a0", " ") for form in also)}
    for kind in forms:
        present[kind] = presence(kind, set().union(*(forms[near] for near in NEAR.get(kind, (kind,)))))
    words = sorted(asked, key=len, reverse=True)
    any_form = "|".join(bounded(word, inflected=asked[word] == {MONEY}) for word in words)
    pattern = regex.compile(rf"[\u00a0\u202f\u2009 -]?(?P<form>{any_form}|\p{{Sc}})", regex.IGNORECASE)
    return Measures(pattern, {form: frozenset(kinds) for form, kinds in asked.items()}, present)


def has_own_names(locale: Locale) -> bool:
    """Where CLDR has no names, it gives “km” for a kilometre in words."""
    return any(len(form) > 2 or not form.isascii() for form in unit_forms("length-kilometer", locale))


def forms_of(kind: str, locale: Locale, *, short: bool = False) -> set[str]:
    if kind == MONEY:
        return {*CURRENCIES} if short else money_forms(locale)
    return {form for unit in KINDS[kind] for form in unit_forms(unit, locale, short=short)}


def unit_forms(unit: str, locale: Locale, *, short: bool = False) -> set[str]:
    """What is written beside the number: “metre”, “metres”, “m”."""
    forms = set()
    for amount in AMOUNTS[:2] if short else AMOUNTS:
        for length in ("short", "narrow") if short else ("long", "short", "narrow"):
            try:
                text = format_unit(amount, unit, length=length, format="#,##0.##", locale=locale)
            except (UnknownUnitError, KeyError, ValueError):
                continue
            words = regex.sub(r"\d+(?:[.,٫]\d+)?|[\u200e\u200f\u061c]", " ", text)
            forms.add(" ".join(words.replace("-", " ").split()) if unit not in text else "")
    return forms - {"", "#", "′", "″"}


@cache
def money_forms(locale: Locale) -> set[str]:
    """Symbols and names of the common currencies; of a name in several words the words, without those of countries."""
    names = {code: locale.currencies.get(code, "") for code in CURRENCIES}
    symbols = {locale.currency_symbols.get(code, "") for code in CURRENCIES}
    if any(UNSPACED.search(name) for name in names.values()) and locale.language != "ko":
        words = {part for name in names.values() for part in (name, name.split()[-1] if name else "")}
    else:
        countries = {word[:4] for name in locale.territories.values() for word in split_words(name)}
        words = {name for name in names.values() if len(split_words(name)) == 1}
        words |= {word for name in names.values() for word in split_words(name) if word[:4] not in countries}
    return {*symbols, *words} - {""}


def split_words(name: str) -> list[str]:
    return list(regex.findall(r"[\p{L}\p{M}]{3,}", name.casefold()))


def may_be_asked(form: str, kind: str, locale: Locale) -> bool:
    """Whether the form after a number is surely a measure."""
    if SIGN.fullmatch(form) or form in SYMBOLS or (kind == MONEY and form in CURRENCIES):
        return form not in ("º",)
    if form.casefold() in AMBIGUOUS or form in KINDS or ("degree" in form.split()[:1] and len(form.split()) == 1):
        return False
    if kind == "temperature" and len(form.split()) == 1 and "°" not in form and not UNSPACED.search(form):
        return False  # five degrees may be academic ones
    if UNSPACED.search(form):
        return not form.isascii()
    return len(form) >= (2 if not form.isascii() and regex.match(r"\p{L}", form) else 4)


def bounded(form: str, *, inflected: bool) -> str:
    """The form by itself, or with an ending: CLDR has currencies in the singular. After words of scripts without
    spaces others may follow."""
    escaped: str = regex.escape(form)
    if form.upper().lower() in {symbol.lower() for symbol in SYMBOLS}:
        spelt = sorted(regex.escape(symbol) for symbol in SYMBOLS if symbol.casefold() == form)
        escaped = f"(?-i:{'|'.join(spelt)})"
    if UNSPACED.search(form) or SIGN.fullmatch(form):
        return escaped
    ending = ""
    if inflected and len(form) >= 5 and form.isalpha():
        escaped, ending = form[: max(5 if form.isascii() else 4, -(-len(form) * 7 // 10))], r"[\p{L}\p{M}]{0,4}"
    return rf"{escaped}{ending}{WORD_END}(?![\d²³^])"


def presence(kind: str, forms: Iterable[str]) -> "regex.Pattern[str]":
    parts = set()
    for form in forms:
        escaped = regex.escape(form)
        if SIGN.fullmatch(form) or UNSPACED.search(form) or (len(form) == 3 and not form.isascii()):
            parts.add(escaped)
        elif len(form) >= 4:  # without its ending
            stem = form[: max(3, -(-len(form) * (7 if len(form) < 6 else 6) // 10))]
            parts.add(regex.escape(stem))
        elif len(form) == 1:
            parts.add(rf"(?<=\d[\u00a0\u202f\u2009 -]?){escaped}{WORD_END}")
        else:
            parts.add(rf"{WORD_BEGIN}{escaped}{WORD_END}")
    if kind == MONEY:
        parts.add(r"\p{Sc}")
    return regex.compile("|".join(sorted(parts, key=len, reverse=True)), regex.IGNORECASE)
