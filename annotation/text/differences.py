"""What changed between two texts."""

import difflib
import re

from rapidfuzz.distance import Indel

from annotation.text.edit_distance import MARKS

Segment = tuple[str, str]  # ("same" | "ins" | "del", text)
# One sign of a script that is written without spaces, a run of space, a word, or a punctuation mark.
TOKEN = re.compile(rf"[\u3040-\u30ff\u3400-\u9fff\uff00-\uffef]|\s+|(?:(?![\u3040-\u30ff\u3400-\u9fff])[\w{MARKS}])+|.")


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


# Beyond this many pairs of words a comparison would take too much memory: a changed line is then replaced as a whole.
MAX_PAIRS = 400_000_000


def by_words(old: str, new: str) -> list[Segment]:
    before, after = TOKEN.findall(old), TOKEN.findall(new)
    if len(before) * len(after) > MAX_PAIRS:
        return pieces("replace", old, new)
    segments: list[Segment] = []
    gone = come = ""
    for step in Indel.opcodes(before, after):
        old, new = "".join(before[step.src_start : step.src_end]), "".join(after[step.dest_start : step.dest_end])
        same = new if step.tag == "equal" else ""
        if same and (same.strip() or not (gone or come)):
            segments += [*pieces("replace", gone, come), ("same", same)]
            gone = come = ""
        else:  # a blank between two changed words is part of the change
            gone, come = gone + old, come + new
    return segments + pieces("replace", gone, come)


def pieces(tag: str, old: str, new: str) -> list[Segment]:
    if tag == "equal":
        return [("same", new)]
    return [(kind, text) for kind, text in (("del", old), ("ins", new)) if text]
