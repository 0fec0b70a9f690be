"""Which columns of a file say who answered what, and when: named by a person, or detected from the columns' names."""

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from annotation.preparation.mapping import MappingError

# In this order of preference, compared without case.
NAMES = {
    "worker": ("worker", "worker_id", "annotator", "annotator_id", "judge", "judge_id", "judgeid", "rater", "rater_id"),
    "answer": ("answer", "choice", "winner", "preference", "preferred", "ranking", "judgement", "judgment", "label"),
    "time": ("time", "timestamp", "tstamp", "answered_at", "submitted_at", "created_at"),
    "seconds": ("seconds", "active_seconds", "duration", "work_time", "lead_time"),
    "tie": ("tie", "is_tie"),
    "answers": ("answers", "judgements", "judgments", "annotations"),
}
FIELDS = tuple(NAMES)
TIE, ALL_BAD = "tie", "both_bad"


@dataclass(frozen=True, kw_only=True)
class JudgementMapping:
    """Column names; empty means the file has none.

    worker, answer, time, seconds, tie: a row is one person's answer. answers: a row has a list of them, objects with
    these names. workers: columns that hold one person's answers each, the person being called like the column.
    worker_name: who answered, where no column says it. ranks: (column, candidate), the place of that candidate.
    meanings: what an answer means, where it is not the name of a candidate: a candidate's name, `tie` or `both_bad`.
    """

    worker: str = ""
    answer: str = ""
    time: str = ""
    seconds: str = ""
    tie: str = ""
    answers: str = ""
    workers: tuple[str, ...] = ()
    worker_name: str = ""
    ranks: tuple[tuple[str, str], ...] = ()
    meanings: dict[str, str] = field(default_factory=dict)

    def used_columns(self) -> list[str]:
        named = [getattr(self, name) for name in NAMES]
        return [column for column in [*named, *self.workers, *(column for column, _ in self.ranks)] if column]

    def as_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def names_among(keys: Iterable[str], names: dict[str, tuple[str, ...]] = NAMES) -> dict[str, str]:
    """The key that each field is found under, or an empty string."""
    by_name = {key.lower(): key for key in reversed(list(keys)) if key}
    return {field: next((by_name[name] for name in known if name in by_name), "") for field, known in names.items()}


def detect_judgements(columns: Sequence[str]) -> JudgementMapping:
    """The mapping that the columns' names suggest."""
    found: dict[str, Any] = dict(names_among(columns))
    if found["answers"]:  # each object of the list has its own
        found |= dict.fromkeys(("worker", "answer", "time", "seconds", "tie"), "")
    return dataclasses.replace(JudgementMapping(), **found)


def told_judgements(
    columns: Sequence[str],
    *,
    fields: Iterable[str] = (),
    workers: Sequence[str] = (),
    worker_name: str = "",
    ranks: Iterable[str] = (),
    meanings: Iterable[str] = (),
) -> JudgementMapping:
    """The detected mapping, changed by words such as `worker=judge` and `time=` (none), `rank_1=candidate_1` and
    `0=tie`."""
    mapping = detect_judgements(columns)
    changes: dict[str, Any] = {}
    for word in fields:
        name, column = split(word, "--map", "FIELD=COLUMN")
        if name not in NAMES:
            raise MappingError(f"--map {word}: FIELD is one of {', '.join(FIELDS)}")
        changes[name] = column
    if workers or ranks or changes.get("answers"):
        changes = {"answer": "", **changes}
    if workers:
        changes = {"worker": "", **changes}
    pairs = tuple(split(word, "--rank", "COLUMN=CANDIDATE") for word in ranks)
    told = dict(split(word, "--answer", "VALUE=MEANING") for word in meanings)
    return dataclasses.replace(
        mapping, **changes, workers=tuple(workers), worker_name=worker_name.strip(), ranks=pairs, meanings=told
    )


def split(word: str, option: str, form: str) -> tuple[str, str]:
    name, equals, value = word.rpartition("=") if option == "--answer" else word.partition("=")
    if not equals or not name.strip():
        raise MappingError(f"{option} {word}: write {form}")
    return name.strip(), value.strip()


def checked_judgements(
    mapping: JudgementMapping, columns: Sequence[str], taken: Iterable[str], filename: str
) -> JudgementMapping:
    """The mapping itself when it fits the file's columns, of which those in `taken` are the prompt's."""
    listed = ", ".join(repr(column[:40]) for column in columns[:20] if column) or "none"
    missing = [column for column in mapping.used_columns() if column not in columns]
    if missing:
        raise MappingError(f"{filename}: there is no column {missing[0]!r}. Columns: {listed}")
    if twice := sorted(set(mapping.used_columns()) & set(taken)):
        raise MappingError(f"{filename}: the column {twice[0]!r} cannot be both a text and part of an answer")
    if not (mapping.answers or mapping.answer or mapping.workers or mapping.ranks or mapping.tie):
        raise MappingError(
            f"{filename}: no column is the answer. Columns: {listed}. Say which one is (--map answer=COLUMN), which "
            "hold the answers of one person each (--worker-column COLUMN), or which hold places (--rank "
            "COLUMN=CANDIDATE)"
        )
    if not (mapping.worker or mapping.workers or mapping.worker_name or mapping.answers):
        raise MappingError(
            f"{filename}: no column says who answered. Columns: {listed}. Say which one does (--map worker=COLUMN), or "
            "name the one person whose answers they are (--worker NAME)"
        )
    return mapping
