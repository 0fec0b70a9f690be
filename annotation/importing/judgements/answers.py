"""A row → its recorded answers, or what is wrong with them. Pure."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.utils.translation import gettext_noop

from annotation.core.messages import Message
from annotation.importing.judgements.answer_cells import CellReader, Cells
from annotation.importing.judgements.cells import (
    EMPTY_ANSWER,
    Unusable,
    duration,
    is_blank,
    number_of,
    shown,
    time_of,
    truth,
    unpacked,
    worker_of,
)
from annotation.importing.judgements.mapping import JudgementMapping
from annotation.importing.judgements.naming import EMPTY, MOST_CANDIDATES, Names, Unknown, names_of, text_in
from annotation.importing.judgements.numbers import FROM_0
from annotation.importing.judgements.scores import Scale, Scored, named, scale_of, scores_in, twice
from annotation.importing.judgements.verdicts import LeftOut, Verdict, VerdictReader, ranking, tie
from annotation.preparation.mapping import Mapping, model_origin
from annotation.preparation.parsed import Fault, ParsedCandidate
from annotation.text.normalization import folded


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordedAnswer:
    """A `verdict`, or `scores` as (text, aspect, point); `value` as the file has it, for the summary."""

    worker: str
    value: str
    verdict: Verdict | None = None
    scores: tuple[tuple[int, str, int], ...] = ()
    at: datetime | None = None
    seconds: float = 0.0
    zone_unknown: bool = False
    too_long: bool = False


@dataclass
class ReadRow:
    """What a row holds. `left_out` are the reasons of answers that are no faults, `unknown` answers that name
    nothing."""

    answers: list[RecordedAnswer] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)


class AnswerReader:
    """Reads the answers of one file's rows. `scales` are by aspect; `largest` is the largest number that is an answer.
    Both come from the `census`."""

    def __init__(
        self,
        mapping: Mapping,
        judgements: JudgementMapping,
        now: datetime,
        *,
        scales: dict[str, Scale] | None = None,
        largest: int = 0,
    ) -> None:
        self.mapping, self.judgements, self.now = mapping, judgements, now
        self.scales = scales or {}
        self.cells = CellReader(mapping, judgements)
        meanings = {folded(value): folded(meaning) for value, meaning in judgements.meanings.items()}
        self.verdicts = VerdictReader(meanings, judgements.numbers, largest)

    def read(self, row: int, values: dict[str, Any], candidates: Sequence[ParsedCandidate]) -> ReadRow:
        result = ReadRow()
        if len(candidates) > MOST_CANDIDATES:
            text = gettext_noop("a judgement is about %(most)s texts at most, and this row has %(count)s")
            result.faults.append(Fault(row, "", Message(text, most=MOST_CANDIDATES, count=len(candidates))))
            return result
        names = self.names(values, candidates)
        for place, cells in enumerate(self.cells.of_row(row, values, result.faults), 1):
            try:
                result.answers.append(self.answer(cells, names, values))
            except LeftOut as left_out:
                result.left_out.append(left_out.reason)
            except Unusable as unusable:
                message = unusable.message
                if self.judgements.answers:
                    inside = gettext_noop("answer %(number)s: %(problem)s")
                    message = Message(inside, number=place, problem=message)
                if isinstance(unusable.__cause__, Unknown):
                    result.unknown.append(unusable.__cause__.word)
                result.faults.append(Fault(row, unusable.column or cells.columns.get("answer", ""), message))
        return result

    def names(self, values: dict[str, Any], candidates: Sequence[ParsedCandidate] | None = None) -> Names:
        return names_of(self.mapping, self.judgements.models, values, candidates)

    def with_models(self, values: dict[str, Any], candidates: Sequence[ParsedCandidate]) -> list[ParsedCandidate]:
        """The candidates, whose origins are the models that the row names."""
        of_origin = {origin: column for column, origin in self.mapping.candidates}
        named_models = [(text, values.get(model)) for model, text in self.judgements.models]
        model_of = {text: shown(model) for text, model in named_models if not is_blank(model)}
        return [
            candidate._replace(origin=model_origin(model_of[column]))
            if (column := of_origin.get(candidate.origin, "")) in model_of
            else candidate
            for candidate in candidates
        ]

    def answer(self, cells: Cells, names: Names, values: dict[str, Any]) -> RecordedAnswer:
        columns, given = cells.columns, cells.values
        try:
            if self.judgements.is_scoring:
                scores = self.scores(cells, names, values)
                value, verdict = "", None
            else:
                scores = ()
                value, verdict = self.verdict(cells, names, values)
        except ValueError as error:
            raise Unusable(error.args[0]) from error
        worker = worker_of(given.get("worker"), columns.get("worker", ""))
        at, zone_unknown = time_of(given.get("time"), columns.get("time", ""), self.now)
        seconds, too_long = duration(given.get("seconds"), columns.get("seconds", ""))
        return RecordedAnswer(
            worker=worker,
            value=value,
            verdict=verdict,
            scores=scores,
            at=at,
            seconds=seconds,
            zone_unknown=zone_unknown,
            too_long=too_long,
        )

    def verdict(self, cells: Cells, names: Names, values: dict[str, Any]) -> tuple[str, Verdict]:
        judgements, given = self.judgements, cells.values
        if truth(given.get("tie"), cells.columns.get("tie", "")):
            return "tie", tie(names)
        if judgements.ranks:
            answer: Any = {text: values.get(column) for column, text in judgements.ranks}
        elif judgements.winners:
            answer = self.winner(values)
        elif judgements.best:
            answer = judgements.best
        elif judgements.item_rank or judgements.item_best:
            return self.of_items(values, names)
        else:
            answer = given.get("answer")
        if is_blank(answer) and judgements.tie and not judgements.answer:
            answer = None
        said = answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False, default=str)
        return shown(said), self.verdicts.read(answer, names)

    def winner(self, values: dict[str, Any]) -> str:
        """The one of the winner columns that is true."""
        true = [text for column, text in self.judgements.winners if truth(values.get(column), column)]
        if len(true) != 1:
            first = self.judgements.winners[0][0]
            if not true:
                raise Unusable(Message(gettext_noop("none of the columns is true; one of them is the answer")), first)
            text = gettext_noop("several columns are true (%(names)s); only one can be the answer")
            raise Unusable(Message(text, names=", ".join(true)), first)
        return true[0]

    def of_items(self, values: dict[str, Any], names: Names) -> tuple[str, Verdict]:
        """The objects in the list of texts have their places, or one of them is marked as the best."""
        key = self.judgements.item_rank or self.judgements.item_best
        column = self.mapping.candidate_list
        listed = unpacked(values.get(column))
        marks = [item.get(key) if type(item) is dict else None for item in (listed if type(listed) is list else [])]
        if self.judgements.item_rank:
            places: dict[float, list[int]] = {}
            for place, mark in zip(names.places, marks, strict=False):
                if is_blank(mark):
                    continue
                number = number_of(mark)
                if number is None:
                    text = gettext_noop("“%(value)s” is not a place; write a number, 1 for the best")
                    raise Unusable(Message(text, value=shown(mark)[:40]), column)
                places.setdefault(number, []).append(place)
            if not places:
                raise Unusable(EMPTY_ANSWER, column)
            return key, ranking([places[place] for place in sorted(places)], names)
        best = [place for place, mark in enumerate(marks) if truth(mark, column)]
        if len(best) != 1:
            text = gettext_noop("%(count)s texts of the list are marked as the best (%(key)s); mark one")
            raise Unusable(Message(text, count=len(best), key=key), column)
        return key, VerdictReader({}, FROM_0).of_number(best[0], str(best[0]), names)

    def scores(self, cells: Cells, names: Names, values: dict[str, Any]) -> tuple[tuple[int, str, int], ...]:
        """Points of the scales, by text and aspect."""
        return tuple((score.text, score.aspect, self.point(score)) for score in self.raw_scores(cells, names, values))

    def raw_scores(self, cells: Cells, names: Names, values: dict[str, Any]) -> list[Scored]:
        """The scores of one answer as the file has them."""
        judgements, given = self.judgements, cells.values
        found: list[Scored] = []
        for score in judgements.scores:
            try:
                cell = given.get(score.column, values.get(score.column))
                found += scores_in(cell, score.aspect, score.text, names)
            except ValueError as error:
                raise Unusable(error.args[0], score.column) from error
        if judgements.aspect:
            found += scores_in(given.get("scores", given.get("answer")), judgements.aspect, "", names)
        if judgements.item_scores:
            listed = unpacked(values.get(self.mapping.candidate_list))
            for place, item in zip(names.places, listed if type(listed) is list else [], strict=False):
                if place != EMPTY and type(item) is dict and not is_blank(text_in(item)):
                    alone = Names([place], names.texts)
                    for key in judgements.item_scores:
                        found += scores_in(item.get(key), named(key), "", alone)
        if not found:
            raise LeftOut("answers without a score")
        if twice(found):
            raise ValueError(Message(gettext_noop("a text has two scores of one aspect; leave one of them out")))
        return found

    def point(self, score: Scored) -> int:
        scale = self.scales.get(score.aspect)
        if scale is None:
            told = scale_of(self.judgements.scales.get(score.aspect, ""))
            scale = Scale(*told) if told else None
        if scale is None or not scale.has(score.value):
            text = gettext_noop("the score %(value)s is not on the scale of “%(aspect)s”, %(scale)s; correct it")
            raise ValueError(Message(text, value=str(score.value), aspect=score.aspect, scale=str(scale or "–")))
        return scale.point(score.value)
