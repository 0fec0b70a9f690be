"""A file's rows → prompts with their recorded answers. The preview and the import read the same way."""

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, NamedTuple

from django.utils import timezone

from annotation.importing.judgements.answers import AnswerReader, ReadRow, RecordedAnswer
from annotation.importing.judgements.census import Settled
from annotation.importing.judgements.report import Summary
from annotation.importing.report import LeftOut, Note, note
from annotation.models import Project
from annotation.preparation.formats import Row
from annotation.preparation.mapping import Mapping
from annotation.preparation.parsed import Fault, ParsedPrompt
from annotation.preparation.prompts import PromptParser
from annotation.text.normalization import normal_form


class Answered(NamedTuple):
    """One answer, and the places of the row's candidates that read differently."""

    answer: RecordedAnswer
    kept: list[int]


@dataclass
class RowReader:
    """Reads the rows of one file and counts what it reads and leaves out."""

    mapping: Mapping
    settled: Settled
    project: Project
    format: str
    summary: Summary = field(default_factory=Summary)
    unknown: Counter[str] = field(default_factory=Counter)
    people: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        project, judgements = self.project, self.settled.judgements
        self.parser = PromptParser(
            self.mapping, format=self.format, seed=project.slug, share=project.held_out_share, persona=project.persona
        )
        now = timezone.now() + timedelta(days=1)  # clocks differ
        self.answers = AnswerReader(
            self.mapping, judgements, now, scales=self.settled.scales, largest=self.settled.largest
        )
        self.fewest = 1 if judgements.is_scoring else 2
        used = Mapping(
            metadata={column: column for column in (*self.mapping.used_columns(), *judgements.used_columns())}
        )
        self.left_out = LeftOut(used)

    def read(self, row: Row, columns: list[str]) -> tuple[ParsedPrompt | None, list[Answered], list[Fault]]:
        """The row's prompt (None where the row is left out) with its answers, and its faults."""
        self.left_out.count(columns, row)
        parsed = self.parser.parse(row)
        if parsed is None:
            self.left_out.count_blank(row)
            self.summary.blank_rows += 1
            return None, [], []
        if not isinstance(parsed, ParsedPrompt) or row.values is None:
            return None, [], [] if isinstance(parsed, ParsedPrompt) else parsed
        if len(parsed.candidates) < self.fewest:  # the other one was empty: models say nothing at times
            self.summary.leave_out("rows without a text" if self.fewest == 1 else "rows of one text", row.number)
            return None, [], []
        found = self.answers.read(row.number, row.values, parsed.candidates)
        self.unknown.update(found.unknown)
        if found.faults:
            return None, [], found.faults
        candidates = tuple(self.answers.with_models(row.values, parsed.candidates))
        return parsed._replace(candidates=candidates), self.counted(found, row.number, candidates), []

    def counted(self, found: ReadRow, row: int, candidates: tuple[Any, ...]) -> list[Answered]:
        self.summary.add_row(found, row)
        readings = [normal_form(candidate.text) for candidate in candidates]
        answered = []
        for answer in found.answers:
            if answer.verdict is not None:
                verdict, kept = answer.verdict.over(readings)
                if len(kept) < 2:  # no choice
                    self.summary.leave_out("look-alikes", row)
                    continue
                answer = replace(answer, verdict=verdict)
            else:
                answer, kept = self.without_look_alikes(answer, readings, row)
            self.summary.add(answer, row)
            self.people[answer.worker] += 1
            answered.append(Answered(answer, kept))
        return answered

    def without_look_alikes(
        self, answer: RecordedAnswer, readings: list[str], row: int
    ) -> tuple[RecordedAnswer, list[int]]:
        """Of scored texts that read the same, the first one keeps its scores."""
        first: dict[str, int] = {}
        for text, _aspect, _point in answer.scores:
            first.setdefault(readings[text], text)
        kept = set(first.values())
        scores = tuple(score for score in answer.scores if score[0] in kept)
        if dropped := len(answer.scores) - len(scores):
            self.summary.leave_out("scores alike", row, dropped)
        return replace(answer, scores=scores), sorted(kept)

    def notes(self) -> list[Note]:
        """What was left out, of which columns, and who is known by a place only."""
        judgements, passed_over = self.settled.judgements, self.parser.cells.passed_over
        for key in (judgements.item_rank, judgements.item_best, *judgements.item_scores):
            passed_over.pop(f"{self.mapping.candidate_list}: {key}", None)  # for the texts it is, for the answers not
        notes = [*self.summary.notes(), *self.left_out.notes(self.parser.cells)]
        if names := sorted(self.answers.cells.positional):
            shown = ", ".join(names[:5]) + (" …" if len(names) > 5 else "")
            notes.append(note("positional people", len(names), name=shown))
        return notes
