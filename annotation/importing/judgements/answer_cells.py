"""Where the answers of a row stand: in its columns, in a column a person, or in a list. Pure."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from django.utils.translation import gettext_noop

from annotation.core.messages import Message
from annotation.importing.judgements.cells import is_blank, unpacked
from annotation.importing.judgements.mapping import JudgementMapping, names_among
from annotation.preparation.mapping import Mapping
from annotation.preparation.parsed import Fault


class Cells(NamedTuple):
    """One answer before it is read: its cells by field, and the columns that they came from."""

    values: dict[str, Any]
    columns: dict[str, str]


class CellReader:
    """Finds the answers of one file's rows. `positional` are people who are known by their place in a list only."""

    def __init__(self, mapping: Mapping, judgements: JudgementMapping) -> None:
        self.mapping, self.judgements = mapping, judgements
        self.positional: set[str] = set()

    def of_row(self, row: int, values: dict[str, Any], faults: list[Fault]) -> Iterator[Cells]:
        judgements = self.judgements
        shared = {name: column for name in ("time", "seconds", "tie") if (column := getattr(judgements, name))}
        common = {name: values.get(column) for name, column in shared.items()}
        if judgements.answers:
            yield from self.listed(row, values.get(judgements.answers), faults)
        elif judgements.workers:
            for column in judgements.workers:
                if not is_blank(values.get(column)):  # this person did not see the row
                    cells = {"worker": column, "answer": values[column], **common}
                    yield Cells(cells, {"answer": column, **shared})
        else:
            named_columns = {"worker": judgements.worker, "answer": judgements.answer, **shared}
            cells = {name: values.get(column) for name, column in named_columns.items() if column}
            if is_blank(cells.get("worker")) and judgements.worker_name:
                cells["worker"] = judgements.worker_name
            yield from self.one_or_positional(cells, named_columns, values)

    def listed(self, row: int, value: Any, faults: list[Fault]) -> Iterator[Cells]:
        column = self.judgements.answers
        listed = unpacked(value)
        if type(listed) is not list:
            text = gettext_noop("the answers are not a list of objects with worker and answer; write them so")
            faults.append(Fault(row, column, Message(text)))
            return
        for number, item in enumerate(listed, 1):
            if type(item) is not dict:
                text = gettext_noop("answer %(number)s is not an object with worker and answer; write it so")
                faults.append(Fault(row, column, Message(text, number=number)))
                continue
            found = names_among(item)
            cells = {name: item.get(key) for name, key in found.items() if key}
            if is_blank(cells.get("worker")) and self.judgements.worker_name:
                cells["worker"] = self.judgements.worker_name
            if self.judgements.is_scoring:
                known = {key for key in found.values() if key and key != found["answer"]}
                cells["scores"] = {key: inner for key, inner in item.items() if key not in known}
            yield Cells(cells, dict.fromkeys(found, column))

    def one_or_positional(
        self, cells: dict[str, Any], columns: dict[str, str], values: dict[str, Any]
    ) -> Iterator[Cells]:
        """A row's answer; or, where its scores of one text are a list, one answer for each, by people who are known by
        their place in it."""
        judgements = self.judgements
        held = {score.column: unpacked(values.get(score.column)) for score in judgements.scores}
        if judgements.aspect and judgements.answer:
            held[judgements.answer] = unpacked(values.get(judgements.answer))
        lists = {column: value for column, value in held.items() if type(value) is list}
        if not judgements.is_scoring or not lists or self.places(values) != 1:
            yield Cells({**cells, **held}, columns)
            return
        for place in range(max(map(len, lists.values()))):
            own = {column: value[place] if place < len(value) else None for column, value in lists.items()}
            worker = f"{cells['worker']} {place + 1}" if cells.get("worker") else None
            answer = {"answer": own[judgements.answer]} if judgements.answer in own else {}
            if worker:
                self.positional.add(worker)
            yield Cells({**cells, **held, **own, **answer, "worker": worker}, columns)

    def places(self, values: dict[str, Any]) -> int:
        listed = unpacked(values.get(self.mapping.candidate_list)) if self.mapping.candidate_list else None
        return len(self.mapping.candidates) + (len(listed) if type(listed) is list else 0)
