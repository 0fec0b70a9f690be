"""Whether the target ends as its source does, by the marks of its own language.

Which signs end a sentence is Unicode's property Sentence_Terminal; what a language does otherwise is listed here.
"""

import unicodedata
from dataclasses import dataclass
from functools import lru_cache

import regex

from annotation.text.checks.finding import Finding
from annotation.text.languages import base_language, script_of

# What is closed after the mark: brackets, quotation marks, tags, emoticons, pictures and signs without ink.
CLOSING = regex.compile(
    r"""(?:[\p{Pe}\p{Pf}\p{Pi}"'＂＇\p{So}\p{Sk}\p{Cf}\p{Mn}\s]|</?[a-zA-Z][^<>]*>|[:;=]['’]?-?[()DP])+$"""
)
# The last point may belong to an abbreviation: a.m., z. B., Ph.D.
ABBREVIATION = regex.compile(r"(?<!\p{L})\p{L}{1,3}\.\s?(?:\p{L}{1,2}\.\s?)+$")
MAX_TAIL = 400  # an ending is looked for in the last characters only
TERMINALS = regex.compile(r"[\p{Sentence_Terminal}…:：;；|፡]+$")
EAST_ASIAN = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}ー々][^\w\s]*$")
JAPANESE_QUESTION = regex.compile(r"(?:か|の|かな|かね|でしょう|ませんか|ね)[。！]?$")
# Languages whose sentences end with a space, or whose marks are often left out.
WITHOUT_MARKS = {"th", "lo", "km", "my", "bo", "dz", "shn"}
# The words say that it is a question; it may end as a statement does.
QUESTION_WITHOUT_MARK = {"ja", "ko", "zh", "yue", "wuu"}
WIDE_SCRIPTS = {"Jpan", "Hans", "Hant", "Hani", "Hrkt"}
# What a script writes where others write ? and . : (question, stop), each as the first of the signs in use.
OF_SCRIPT = {
    "Arab": ("؟", ""),
    "Syrc": ("؟", ""),
    "Thaa": ("؟", ""),
    "Grek": (";", ""),
    "Armn": ("՞", "։"),
    "Ethi": ("", "።"),
    "Jpan": ("", "。"),
    "Hans": ("", "。"),
    "Hant": ("", "。"),
}
INDIC_DANDA = {"Deva", "Beng", "Guru", "Orya"}
HALF_WIDTH = {"。": ".", "．": ".", "｡": ".", "？": "?", "！": "!"}


@dataclass(frozen=True)
class Ending:
    """`kind` is "stop", "question", "more" (a colon) or "" without a mark; `sign` is the last mark, `text` what is
    before it, of a long text its end."""

    kind: str
    sign: str
    text: str


def ending_of(text: str, language: str = "") -> Ending:
    bare = CLOSING.sub("", text[-MAX_TAIL:])
    marks = TERMINALS.search(bare)
    if marks is None:
        return Ending("", bare[-1:], bare)
    kinds = [kind_of(sign, language) for sign in marks.group()]
    sentence = regex.split(r"[\p{Sentence_Terminal}]\s", bare)[-1]
    if script_of(language) == "Armn" and "՞" in sentence:  # on the word that is asked for
        kinds.append("question")
    kind = "question" if "question" in kinds else kinds[-1]
    return Ending(kind, bare[-1:], bare)


@lru_cache(maxsize=1024)
def kind_of(sign: str, language: str) -> str:
    script = script_of(language) if language else None
    if sign in ";\u037e":  # NFC makes ; of the Greek question mark
        return "question" if script == "Grek" or base_language(language) == "cu" else ""
    if sign == "|":  # typed for a danda
        return "stop" if script in INDIC_DANDA else ""
    if sign == "፡":  # twice, it is typed for ።
        return "stop" if script == "Ethi" else ""
    if sign in ":：":
        return "stop" if script in ("Armn", "Ethi") else "more"
    if sign == "；":
        return ""
    name = unicodedata.name(sign, "")
    return "question" if "QUESTION" in name or "INTERROBANG" in name or sign in "⁇⁈⁉" else "stop"


def ending_findings(source: str, target: str, source_language: str, target_language: str) -> list[Finding]:
    before, after = ending_of(source, source_language), ending_of(target, target_language)
    if not before.kind and not after.kind:
        return []
    if wrong := wrong_sign(after, target_language):
        return [wrong]
    if WITHOUT_MARKS & {base_language(source_language), base_language(target_language)}:
        return []
    if not after.kind:
        is_sentence = before.kind in ("stop", "question") and not ends_abbreviated(source)
        return [Finding("end.missing")] if is_sentence else []
    if not before.kind:
        return [] if ends_abbreviated(target) else [Finding("end.extra", {"sign": after.sign})]
    target_base = base_language(target_language)
    if before.kind == "question" and after.kind == "stop" and target_base not in QUESTION_WITHOUT_MARK:
        return [Finding("end.question")]
    # Japanese asks with か。
    asks = base_language(source_language) == "ja" and JAPANESE_QUESTION.search(before.text)
    if before.kind == "stop" and after.kind == "question" and not asks:
        return [Finding("end.statement")]
    return []


def ends_abbreviated(text: str) -> bool:
    """Whether the text is no sentence, and ends with an abbreviation: “half past 7 p.m.”"""
    return not text[:1].isupper() and ABBREVIATION.search(text[-MAX_TAIL:]) is not None


def wrong_sign(ending: Ending, language: str) -> Finding | None:
    """A mark of another script than the language's: “.” after Japanese, “。” after English, “?” after Arabic."""
    script, sign = script_of(language), ending.sign
    question, stop = OF_SCRIPT.get(script or "", ("", ""))
    right = None
    if script in WIDE_SCRIPTS:
        right = stop if sign == "." and EAST_ASIAN.search(ending.text) and not ending.text.endswith("...") else None
    elif sign in HALF_WIDTH:
        right = stop if sign == "。" and stop else HALF_WIDTH[sign]
    elif sign == "?" and question and own_script(ending.text, script):
        right = question
    elif ending.kind == "stop" and script is not None and not is_sign_of(sign, script):
        right = stop or "."
    return Finding("end.script", {"sign": sign, "right": right}) if right else None


def own_script(text: str, script: str | None) -> bool:
    """Whether the text's end is in the language's script: after a foreign name, its marks are no fault."""
    final = regex.search(r"\p{L}[^\p{L}]*$", text)
    return final is not None and bool(regex.match(rf"\p{{scx={script}}}", final.group()))


@lru_cache(maxsize=1024)
def is_sign_of(sign: str, script: str) -> bool:
    try:
        return bool(regex.match(rf"[\p{{scx=Common}}\p{{scx={script}}}]", sign))
    except regex.error:  # a name for several scripts, such as Kore
        return True
