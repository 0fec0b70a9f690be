"""The translations as gettext's own files tell them, read without gettext's programs."""

import ast
import re
from dataclasses import dataclass, field
from pathlib import Path

PO = Path(__file__).resolve().parent.parent.parent / "locale/ja/LC_MESSAGES/django.po"


@dataclass
class Entry:
    comments: list[str] = field(default_factory=list)
    msgctxt: str | None = None
    msgid: str | None = None
    msgid_plural: str | None = None
    msgstr: dict[int, str] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str | None, str | None]:
        return self.msgctxt, self.msgid

    @property
    def fuzzy(self) -> bool:
        return any(line.startswith("#,") and "fuzzy" in line for line in self.comments)


def read(path: Path = PO) -> list[Entry]:
    """All entries but the header. Raises ValueError at a line that is not a catalogue's."""
    entries, entry, part = [], Entry(), ""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            entry, part = Entry(), ""
            continue
        if line.startswith("#"):
            entry.comments.append(line)
            continue
        match = re.fullmatch(r'(?:(msgctxt|msgid_plural|msgid|msgstr)(?:\[(\d+)\])? )?(".*")', line)
        if not match:
            raise ValueError(f"{path.name}, line {number}: {line}")
        keyword, index, text = match[1], int(match[2] or 0), ast.literal_eval(match[3])
        if keyword == "msgid":
            entries.append(entry)
        part = keyword or part
        if part == "msgstr":
            entry.msgstr[index] = entry.msgstr.get(index, "") + text
        else:
            setattr(entry, part, (getattr(entry, part) or "") + text)
    return [entry for entry in entries if entry.msgid]
