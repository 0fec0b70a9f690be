"""What changed between two texts."""

import re

from rapidfuzz.distance import Indel

from annotation.text.edit_distance import MARKS

Segment = tuple[str, str]  # ("same" | "ins" | "del", text)
# One sign of a script that is written without spaces, a run of space, a word, or a punctuation mark.
TOKEN = re.compile(rf"[\u3040-\u30ff\u3400-\u9fff\uff00-\uffef]|\s+|(?:(?![\u3040-\u30ff\u3400-\u9fff])[\w{MARKS}])+|.")


# Beyond this many pairs of words (or of lines) a comparison would take too much time and memory: a changed line is then
# replaced as a whole.
MAX_PAIRS = 100_000_000


def differences(old: str, new: str) -> list[Segment]:
    """The new text with what went and what came, in reading order: by lines, and by words within changed lines."""
    before, after = old.splitlines(keepends=True), new.splitlines(keepends=True)
    if len(before) * len(after) > MAX_PAIRS:
        return pieces("replace", old, new) if old != new else pieces("equal", old, new)
    segments: list[Segment] = []
    gone = come = ""
    for step in Indel.opcodes(before, after):
        if step.tag == "equal":
            segments += by_words(gone, come)
            gone = come = ""
            segments += pieces("equal", "", "".join(after[step.dest_start : step.dest_end]))
        else:
            gone += "".join(before[step.src_start : step.src_end])
            come += "".join(after[step.dest_start : step.dest_end])
    return segments + by_words(gone, come)


def by_words(old: str, new: str) -> list[Segment]:
    if not old or not new:
        return pieces("replace", old, new)
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
