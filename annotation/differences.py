"""What changed between two texts."""

import difflib
import re

Segment = tuple[str, str]  # ("same" | "ins" | "del", text)
# A word, a run of space, or one sign of a script that is written without spaces.
TOKEN = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uff00-\uffef]|\s+|[^\s\u3040-\u30ff\u3400-\u9fff\uff00-\uffef]+")


def differences(old: str, new: str) -> list[Segment]:
    """The new text with what went and what came, in reading order: by lines, and by words within changed lines."""
    before, after = old.splitlines(keepends=True), new.splitlines(keepends=True)
    segments: list[Segment] = []
    for tag, a, b, c, d in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if tag == "replace":
            segments += by_words("".join(before[a:b]), "".join(after[c:d]))
        else:
            segments += pieces(tag, "".join(before[a:b]), "".join(after[c:d]))
    return segments


def by_words(old: str, new: str) -> list[Segment]:
    before, after = TOKEN.findall(old), TOKEN.findall(new)
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
    segments: list[Segment] = []
    for tag, a, b, c, d in matcher.get_opcodes():
        segments += pieces(tag, "".join(before[a:b]), "".join(after[c:d]))
    return segments


def pieces(tag: str, old: str, new: str) -> list[Segment]:
    if tag == "equal":
        return [("same", new)]
    return [(kind, text) for kind, text in (("del", old), ("ins", new)) if text]
