"""What an import of judgements read, and its outcome: for the command, the event and `Import.mapping`."""

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

from annotation.importing.judgements_answers import RecordedAnswer, Verdict
from annotation.importing.judgements_writing import Tally


@dataclass
class Summary:
    answers: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    blank_rows: int = 0
    rows_of_one_text: int = 0
    rows_without_answer: int = 0
    zones_unknown: int = 0
    durations_dropped: int = 0
    ids_not_kept: int = 0
    unused_columns: list[str] = field(default_factory=list)
    people_known: int = 0
    people_new: int = 0
    written: Tally = field(default_factory=Tally)

    def as_dict(self) -> dict[str, Any]:
        return {**vars(self), "verdicts": dict(self.verdicts), "written": asdict(self.written)}


def summarise(summary: Summary, answer: RecordedAnswer) -> None:
    summary.answers += 1
    summary.zones_unknown += answer.zone_unknown
    summary.durations_dropped += answer.too_long
    summary.verdicts[described(answer.verdict)] += 1


def described(verdict: Verdict) -> str:
    count = sum(len(group) for group in verdict.groups)
    if not verdict.groups:
        return "all bad"
    if verdict.is_tie:
        return "tie"
    if count > 2:
        return f"ranking of {count}"
    return "first text" if verdict.groups[0] == (0,) else "second text"
