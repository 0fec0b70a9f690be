"""What an import of a file of judgements would do, from all of its rows, before anything is written."""

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from annotation.core.errors import InvalidInput
from annotation.core.messages import Message, stored
from annotation.importing.judgements.census import Census, CensusTaker, Settled, own_aspect, own_scale, settle
from annotation.importing.judgements.mapping import JudgementMapping
from annotation.importing.judgements.numbers import candidates_for
from annotation.importing.judgements.people import address_of, own_address
from annotation.importing.judgements.reading import RowReader
from annotation.importing.judgements.report import Summary
from annotation.importing.report import Note, note
from annotation.importing.survey import FIRST_FAULTS, FIRST_ROWS, SECONDS
from annotation.models import Batch, Project, User
from annotation.preparation.formats import Row, Table
from annotation.preparation.mapping import Mapping

PEOPLE_SHOWN = 30


class Person(NamedTuple):
    """`account` is the address of the account that the worker has; empty where one is made, or was by an earlier import
    (`is_known`)."""

    name: str
    answers: int
    account: str
    is_known: bool


class AspectScale(NamedTuple):
    """Scores of an aspect in the file, and the scale as far as it is known (“0..4”)."""

    aspect: str
    low: str
    high: str
    scale: str


@dataclass
class JudgementSurvey:
    """`is_whole`: the file was read to its end; else these are figures of its first `rows` rows. `question` is what the
    file leaves open (a stored message): until it is answered, no row is read. `schemes` are what numbers may mean."""

    mapping: Mapping
    judgements: JudgementMapping
    settled: Settled | None = None
    question: dict[str, Any] | None = None
    schemes: list[str] = field(default_factory=list)
    scales: list[AspectScale] = field(default_factory=list)
    is_whole: bool = True
    rows: int = 0
    prompts: int = 0
    tasks: int = 0
    faulty_rows: int = 0
    faults: list[dict[str, Any]] = field(default_factory=list)
    summary: Summary = field(default_factory=Summary)
    unknown: Counter[str] = field(default_factory=Counter)
    people: list[Person] = field(default_factory=list)
    people_known: int = 0
    people_count: int = 0
    notes: list[Note] = field(default_factory=list)

    @property
    def people_new(self) -> int:
        return self.people_count - self.people_known

    @property
    def unshown_people(self) -> int:
        return self.people_count - len(self.people)


def first_of(table: Table) -> list[Row]:
    rows = []
    for row in table.rows():
        rows.append(row)
        if len(rows) >= FIRST_ROWS:
            break
    return rows


def survey(
    table: Table, project: Project, mapping: Mapping, judgements: JudgementMapping, filename: str, sha256: str
) -> JudgementSurvey:
    """Read the file as an import would."""
    result = JudgementSurvey(mapping, judgements)
    census = taken(table, mapping, judgements, result)
    result.scales = [scale_known(aspect, seen, judgements, project) for aspect, seen in census.scores.items()]
    if census.numbers.rows and not judgements.is_scoring:
        result.schemes = candidates_for(census.numbers)
    try:
        result.settled = settle(census, judgements, project, filename)
    except InvalidInput as error:
        message = error.args[0]
        result.question = stored(message if isinstance(message, Message) else str(error))
        return result
    reader = RowReader(mapping, result.settled, project, table.format)
    read(table, reader, result)
    result.summary, result.unknown = reader.summary, reader.unknown
    result.notes = reader.notes()
    before = Batch.objects.filter(project=project, selection__judgements__sha256=sha256).count()
    if before:
        result.notes.insert(0, note("imported before", before))
    count_people(reader.people, project, result)
    return result


def taken(table: Table, mapping: Mapping, judgements: JudgementMapping, result: JudgementSurvey) -> Census:
    deadline = time.monotonic() + SECONDS
    taker = CensusTaker(mapping, judgements)
    for number, row in enumerate(table.rows()):
        if not number % 256 and time.monotonic() > deadline:
            result.is_whole = False
            break
        taker.add(row)
    return taker.census


def scale_known(aspect: str, seen: Any, judgements: JudgementMapping, project: Project) -> AspectScale:
    scale = judgements.scales.get(aspect, "")
    if not scale and (own := own_aspect(project, aspect)) is not None:
        scale = str(own_scale(own))
    return AspectScale(aspect, f"{seen.low:f}", f"{seen.high:f}", scale)


def read(table: Table, reader: RowReader, result: JudgementSurvey) -> None:
    deadline = time.monotonic() + SECONDS
    prompts: set[int] = set()
    tasks: set[int] = set()
    for row in table.rows():
        if not result.rows % 256 and time.monotonic() > deadline:
            result.is_whole = False
            break
        result.rows += 1
        parsed, answered, faults = reader.read(row, table.columns)
        if faults:
            result.faulty_rows += 1
            shown = faults[: FIRST_FAULTS - len(result.faults)]
            result.faults += [{"row": f.row, "column": f.column, **stored(f.message)} for f in shown]
        if parsed is None:
            continue
        about = (parsed.reads_as, parsed.source_document, parsed.context)
        prompts.add(hash(about))
        for _answer, kept in answered:
            tasks.add(hash((about, frozenset(parsed.candidates[place][1:] for place in kept))))
    result.prompts, result.tasks = len(prompts), len(tasks)


def count_people(people: Counter[str], project: Project, result: JudgementSurvey) -> None:
    addresses = {worker: address_of(worker, project) for worker in people}
    known = set(User.objects.filter(email__in=set(addresses.values())).values_list("email", flat=True))
    result.people_count = len(set(addresses.values()))
    result.people_known = len(known)
    result.people = [
        Person(worker, count, own_address(addresses[worker]) if is_known else "", is_known)
        for worker, count in people.most_common(PEOPLE_SHOWN)
        for is_known in (addresses[worker] in known,)
    ]
