"""Parts of a text that a program replaces or reads: they go into a translation as they are.

One grammar for the notations that programs use; what only looks like one (50% soft, US$5, Wait:now) is left alone.
"""

from collections import Counter
from collections.abc import Iterator

import regex

from annotation.text.checks.finding import Finding
from annotation.text.languages import puts_percent_first

NAME = r"[\p{L}_][\p{L}\p{M}\p{N}_]*"
PATH = rf"{NAME}(?:\.{NAME}|\[[^\[\]{{}}\n]*\])*"
CONVERSION = r"(?:hh|h|ll|l|L|z|j|t|q)?[diouxXeEfFgGaAcCsSpn@]"
WORD = "[a-z0-9_]"  # identifiers outside braces are ASCII: letters of another script are the sentence around them
INSIDE = ".{0,300}?"  # bounded: of a text with many openings and no end, each would be read to the end
CURRENCIES = "US|USD|A|AU|AUD|NZ|NZD|C|CA|CAD|HK|HKD|S|SG|SGD|MX|MXN|R|NT|TWD"
# Verbose: blanks do not count. Alternatives are tried in order, the longer notation first.
GRAMMAR = rf"""
    (?P<address>
        https?://[A-Z0-9_.~:/?\#\[\]@!$&*+,;=%'()-]+ | www\.[A-Z0-9.-]+\.[A-Z]{{2,}}[A-Z0-9_/?=&%~.-]*
        | (?<![A-Z0-9_.+-])[A-Z0-9_.+-]++@[A-Z0-9-]+(?:\.[A-Z0-9-]+)+
    )
    | (?P<tag>
        <!--{INSIDE}--> | <%{INSIDE}%> | <\?{INSIDE}\?>
        | </?(?:[a-z][\w:.-]*+|\d++)(?:\s[^<>]*+(?=>)|/?)>
    )
    | (?P<template>
        \{{\{{\{{{INSIDE}\}}\}}\}} | \{{\{{{INSIDE}\}}\}}
        | \{{%{INSIDE}%\}} | \{{\#{INSIDE}\#\}} | \[%{INSIDE}%\] | \[\[[^\[\]\n]*\]\]
    )
    | (?P<brace>
        [$#@%!]\{{[^{{}}\n]*\}}
        | (?<!\\[a-z]{{1,20}}) \{{ \s*+ (?:[$-]?{PATH}|\d+|\#)? (?:,-?\d+)? (?:![rsa])? (?:[:|][^{{}}\n]*)? \s* \}}
    )
    | (?P<shell> \${WORD}*\([\p{{L}}_][^()\n]*\) | \$(?!(?:{CURRENCIES})\b)[a-z_]{WORD}* | \$\${WORD}+\$\$ )
    | (?P<enclosed>
        (?<![a-z0-9_@\#])(?P<sign>[@\#])(?P=sign)?[a-z]{WORD}*(?P=sign)+
        | %%[a-z]{WORD}+%% | (?<![\d%])%(?!{CONVERSION}%)[a-z]{WORD}+%(?!%)
    )
    | (?P<printf>
        %%
        | %\d+\$[-+0\#']*(?:\d+|\*)?(?:\.(?:\d+|\*))?{CONVERSION}
        | %(?:\([^()\n]+\)|<\w+>)[-+0\#']*\d*(?:\.\d+)?[a-z]?
        | (?<![\d.,)]\s?)%[-+0\#']*(?:\d+|\*)?(?:\.(?:\d+|\*))?{CONVERSION}(?![a-z]|[0-9_]+%)
        | (?<![\d.,)]\s?)%[ds](?=s\b)
        | (?<![\d.,)]\s?)%[YymBbdejHIMSpAaZ](?![a-z\d])
    )
    | (?P<numbered> (?<![\d.,)%]\s?)%L?\d{{1,2}}(?![\d.,%]) )
    | (?P<percent> (?<!\d\s?)(?<![a-z0-9_%])%[a-z_]{{3,}}(?!{WORD}) )
    | (?P<at> (?<![a-z0-9_.@/])@[a-z_]{WORD}*(?:\.{WORD}+)* )
    | (?P<colon> (?<![a-z0-9_:/])(?::[a-z_][a-z0-9_-]+:|:[a-z_][a-z0-9_]{{2,}}(?![a-z0-9_:-])) )
    | (?P<escape> \\[nrt](?![a-z]*\{{) )
"""
PATTERN = regex.compile(GRAMMAR, regex.VERBOSE | regex.IGNORECASE | regex.DOTALL)
# {count, plural, one {# room} other {# rooms}}: the branches are text, with placeholders of their own.
ICU = regex.compile(
    rf"\{{\s*({PATH}|\d+)\s*,\s*(plural|select|selectordinal|choice|number|date|time|spellout|duration)\b"
)
# [b]…[/b]: square brackets are tags where they are closed.
BRACKET_TAG = regex.compile(r"\[/?([a-z]++)(?:=[^\[\]]*)?\]", regex.IGNORECASE)
# What a tag says in words is translated.
SPOKEN = regex.compile(
    r"""\b(?:alt|title|label|placeholder|content|aria-[a-z]+)\s*=\s*(?:"[^"]*"|'[^']*')""", regex.IGNORECASE
)
TRAILING = ".,;:!?'"


def spans(text: str) -> Iterator[tuple[int, int, str]]:
    """(start, end, what it must be in a translation) of each placeholder, in reading order. Those inside the branches
    of a plural are left out: how many branches there are is up to the language."""
    at = 0
    icu = ICU.search(text)
    while at < len(text):
        while icu and icu.start() < at:
            icu = ICU.search(text, at)
        match = PATTERN.search(text, at)
        if icu and (match is None or icu.start() <= match.start()) and (end := closing(text, icu.start())):
            yield icu.start(), end, f"{{{icu[1]}, {icu[2]}}}"
            at = end
        elif match is None:
            break
        else:
            start, end = match.span()
            if match["address"]:
                end = start + len(bare_address(match.group()))
            written = text[start:end]
            if written != "%%":
                yield start, end, canonical(written, is_tag=bool(match["tag"]))
            at = max(end, start + 1)


def closing(text: str, start: int) -> int | None:
    """The end of the braces that open at `start`."""
    depth = 0
    for at in range(start, len(text)):
        depth += (text[at] == "{") - (text[at] == "}")
        if depth == 0:
            return at + 1
    return None


def bare_address(address: str) -> str:
    """Without the sentence's marks after it, and without a bracket that the address does not open."""
    while address and (address[-1] in TRAILING or (address[-1] == ")" and address.count("(") < address.count(")"))):
        address = address[:-1]
    return address


def canonical(written: str, *, is_tag: bool) -> str:
    """{{ x }} is {{x}}; a tag is the same whatever its words for people say."""
    if is_tag:
        written = SPOKEN.sub("", written)
        return str(regex.sub(r"\s*(/?>)$", r"\1", " ".join(written.split())))
    return "".join(written.split()) if written.startswith(("{", "[[", "$")) else written


def as_written(text: str) -> dict[str, str]:
    """What the text has for a placeholder as `spans` gives it; a plural in braces keeps its short form."""
    return {
        item: text[start:end]
        for start, end, item in spans(text)
        if "".join(text[start:end].split()) == "".join(item.split())
    }


def placeholders(text: str) -> list[str]:
    found = [item for _start, _end, item in spans(text)]
    closed = {match[1].lower() for match in BRACKET_TAG.finditer(text) if match.group().startswith("[/")}
    found += [match.group() for match in BRACKET_TAG.finditer(text) if match[1].lower() in closed]
    return found


def without_placeholders(text: str, language: str = "") -> str:
    """The text with blanks in the place of its placeholders: their digits and marks are no text."""
    kept, at = [], 0
    for start, end, item in spans(text):
        if is_percentage(item, language):
            continue
        kept += [text[at:start], " " * (end - start)]
        at = end
    return "".join([*kept, text[at:]])


def is_percentage(item: str, language: str) -> bool:
    return puts_percent_first(language) and regex.fullmatch(r"%\d{1,2}", item) is not None


def placeholder_findings(
    source: str, target: str, source_language: str, target_language: str, *, complete: bool
) -> list[Finding]:
    asked = Counter(item for item in placeholders(source) if not is_percentage(item, source_language))
    found = Counter(placeholders(target))
    missing, extra = asked - found, found - asked
    written = as_written(target) | as_written(source) if missing or extra else {}
    lost = missing.elements() if complete else ()
    findings = [Finding("placeholder.missing", {"text": written.get(item, item)}) for item in lost]
    # %50 of a Turkish text is fifty per cent.
    return findings + [
        Finding("placeholder.extra", {"text": written.get(item, item)})
        for item in extra.elements()
        if not is_percentage(item, target_language)
    ]
