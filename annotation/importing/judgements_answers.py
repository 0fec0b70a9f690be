"""A recorded answer → which of a row's candidates is better, or what is wrong with it. Pure."""

import json
import math
import re
import shlex
import string
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from annotation.importing.judgements_mapping import ALL_BAD, TIE, JudgementMapping, names_among
from annotation.preparation.mapping import Mapping
from annotation.preparation.parsed import Fault, ParsedCandidate

MOST_CANDIDATES = len(string.ascii_lowercase)  # a page calls them by letters
CLEARLY = 2  # see `annotation.kinds.choosing.payload`
WORKER_LIMIT = 150
LONGEST_SECONDS = 86_400.0
EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)
MILLISECONDS_FROM = 1e11  # as seconds, the year 5138

WORDS = {
    **dict.fromkeys(("tie", "tied", "draw", "equal", "equally good", "same", "="), TIE),
    **dict.fromkeys(("both_bad", "both bad", "bothbad", "tie (bothbad)", "all_bad", "all bad"), ALL_BAD),
}
# “model_a”, “Response 2”, “left”: the place of a text among those of its row.
PLACE = re.compile(r"(?:model|response|answer|output|system|candidate|text|option|assistant|translation)[ _.-]?(\w)")
SIDES = {"left": 0, "right": 1, "first": 0, "second": 1}
TRUE, FALSE = {"true", "yes", "1"}, {"false", "no", "0", ""}


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """`groups` of equally good candidates, by their place in the row, best first; empty where all are bad."""

    groups: tuple[tuple[int, ...], ...] = ()
    strength: int | None = None

    @property
    def is_tie(self) -> bool:
        return len(self.groups) == 1


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordedAnswer:
    worker: str
    verdict: Verdict
    value: str  # as the file has it, for the summary
    at: datetime | None = None
    seconds: float = 0.0
    zone_unknown: bool = False
    too_long: bool = False


class Unusable(Exception):
    """What is wrong, and with which column."""

    def __init__(self, column: str, message: str) -> None:
        super().__init__(message)
        self.column = column


class AnswerReader:
    """Reads the answers of one file's rows."""

    def __init__(self, mapping: Mapping, judgements: JudgementMapping, now: datetime) -> None:
        self.mapping, self.judgements, self.now = mapping, judgements, now
        self.meanings = {name.casefold(): meaning.casefold() for name, meaning in judgements.meanings.items()}
        # Places count from 1, until somebody says what a number means: then 1 may be the second of 0 and 1.
        self.numbers_are_places = not any(is_number(name) for name in self.meanings)

    def read(
        self, row: int, values: dict[str, Any], candidates: Sequence[ParsedCandidate]
    ) -> tuple[list[RecordedAnswer], list[Fault]]:
        """The row's answers, and what is wrong with the others."""
        answers: list[RecordedAnswer] = []
        faults: list[Fault] = []
        if len(candidates) > MOST_CANDIDATES:
            most = f"a judgement is about {MOST_CANDIDATES} texts at most, and this row has {len(candidates)}"
            return [], [Fault(row, "", most)]
        names = self.names(values, candidates)
        texts = [candidate.text for candidate in candidates]
        for place, cells in enumerate(self.answer_cells(values, row, faults), 1):
            try:
                answers.append(self.answer(cells, names, texts))
            except Unusable as unusable:
                inside = f"answer {place}: " if self.judgements.answers else ""
                faults.append(Fault(row, unusable.column, f"{inside}{unusable}"))
        return answers, faults

    def answer_cells(self, values: dict[str, Any], row: int, faults: list[Fault]) -> Iterator[dict[str, Any]]:
        """Of each answer in the row, its cells by field, with the columns they came from under `columns`."""
        judgements = self.judgements
        shared = {name: getattr(judgements, name) for name in ("time", "seconds", "tie")}
        if judgements.answers:
            column = judgements.answers
            listed = unpacked(values.get(column))
            if type(listed) is not list:
                faults.append(Fault(row, column, "the answers are not a list of objects with worker and answer"))
                return
            for number, item in enumerate(listed, 1):
                if type(item) is not dict:
                    faults.append(Fault(row, column, f"answer {number} is not an object with worker and answer"))
                    continue
                found = names_among(item)
                cells = {name: item.get(key) for name, key in found.items() if key}
                yield {"worker": judgements.worker_name or None, **cells, "columns": dict.fromkeys(found, column)}
        elif judgements.workers:
            for column in judgements.workers:
                if not is_blank(values.get(column)):  # this person did not see the row
                    cells = {name: values.get(key) for name, key in shared.items() if key}
                    yield {"worker": column, "answer": values[column], **cells, "columns": {"answer": column, **shared}}
        else:
            named = {"worker": judgements.worker, "answer": judgements.answer, **shared}
            cells = {name: values.get(key) for name, key in named.items() if key}
            if judgements.ranks:
                cells["answer"] = {label: values.get(column) for column, label in judgements.ranks}
                named["answer"] = judgements.ranks[0][0]
            yield {"worker": judgements.worker_name or None, **cells, "columns": named}

    def answer(self, cells: dict[str, Any], names: dict[str, int], texts: list[str]) -> RecordedAnswer:
        columns = cells["columns"]
        worker = worker_of(cells.get("worker"), columns.get("worker", ""))
        value = cells.get("answer")
        if truth(cells.get("tie"), columns.get("tie", "")):
            value, verdict = TIE, Verdict(groups=(tuple(range(len(texts))),))
        else:
            try:
                verdict = self.verdict(value, names, texts)
            except ValueError as error:
                raise Unusable(columns.get("answer", ""), str(error)) from None
        at, zone_unknown = self.time(cells.get("time"), columns.get("time", ""))
        seconds, too_long = duration(cells.get("seconds"), columns.get("seconds", ""))
        return RecordedAnswer(
            worker=worker,
            verdict=verdict,
            value=value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str),
            at=at,
            seconds=seconds,
            zone_unknown=zone_unknown,
            too_long=too_long,
        )

    # ---- what an answer means ----

    def names(self, values: dict[str, Any], candidates: Sequence[ParsedCandidate]) -> dict[str, int]:
        """What the file may call each candidate: its origin or column by name, else a letter or number by place."""
        column_of = {origin: (place, column) for place, (column, origin) in enumerate(self.mapping.candidates)}
        listed = unpacked(values.get(self.mapping.candidate_list)) if self.mapping.candidate_list else None
        names: dict[str, int] = {}
        places: dict[int, int] = {}
        for index, candidate in enumerate(candidates):
            origin = candidate.origin.removeprefix("import:").casefold()
            shared = sum(other.origin == candidate.origin for other in candidates) > 1
            place, column = column_of.get(candidate.origin, (index, ""))
            if not shared:
                names[origin] = index
                if column:
                    names[column.casefold()] = index
                places[place] = index
            elif listed is not None and len(listed) == len(candidates):
                places[index] = index
        by_letter = {string.ascii_lowercase[place]: index for place, index in places.items()}
        # Columns called b and a, in this order, are not second and first.
        if all(names.get(letter, index) == index for letter, index in by_letter.items()):
            names |= by_letter
        if self.numbers_are_places:
            by_number = {str(place + 1): index for place, index in places.items()}
            if all(names.get(number, index) == index for number, index in by_number.items()):
                names |= by_number
        return names

    def verdict(self, value: Any, names: dict[str, int], texts: list[str]) -> Verdict:
        """Raises ValueError with what is wrong."""
        value = unpacked(value)
        if is_blank(value):
            raise ValueError("the answer is empty; fill it in or delete the row")
        if type(value) is dict:
            return ranking(by_place(value, names, texts, self.candidate), texts)
        if type(value) is list:
            return ranking(self.in_order(value, names, texts), texts)
        word = shown(value)
        key = word.casefold()
        meaning = self.meanings.get(key) or ("" if key in names else WORDS.get(key, ""))
        if meaning == TIE:
            return Verdict(groups=(tuple(range(len(texts))),))
        if meaning == ALL_BAD:
            return Verdict()
        if not meaning and key not in names and word not in texts and re.search("[<>=~]", word):
            return self.inequality(word, names, texts)
        best = self.candidate(meaning or word, names, texts)
        others = tuple(index for index in range(len(texts)) if index != best)
        if len(others) > 1:
            raise ValueError(f"{word[:60]!r} is only the best of {len(texts)}; a ranking has a place for each, A>B>C")
        return Verdict(groups=((best,), others))

    def candidate(self, word: str, names: dict[str, int], texts: list[str]) -> int:
        key = word.strip().casefold()
        key = self.meanings.get(key, key)
        if key in names:
            return names[key]
        if word in texts:
            return texts.index(word)
        if (found := PLACE.fullmatch(key)) and found[1] in names:
            return names[found[1]]
        if key in SIDES and len(texts) == 2:
            return SIDES[key]
        known = ", ".join(repr(name) for name in sorted(names)[:12]) or "their texts"
        remedy = f"{shlex.quote(f'--answer={word[:40]}=MEANING')}, where the meaning is a text's name, tie or both_bad"
        raise ValueError(f"{word[:60]!r} is none of the texts of this row ({known}); say what it means: {remedy}")

    def inequality(self, word: str, names: dict[str, int], texts: list[str]) -> Verdict:
        """“A>B=C”, “B<A”, and “A>>B” for a clear preference."""
        if "<" in word and ">" in word:
            raise ValueError(f"{word[:60]!r} mixes < and >; write the best first, A>B=C")
        groups = [re.split("[=~]", part) for part in re.split("<+|>+", word)]
        if "<" in word:
            groups.reverse()
        found = ranking([[self.candidate(name, names, texts) for name in group] for group in groups], texts)
        clearly = len(texts) == 2 and not found.is_tie and (">>" in word or "<<" in word)
        return replace(found, strength=CLEARLY) if clearly else found

    def in_order(self, listed: list[Any], names: dict[str, int], texts: list[str]) -> list[list[int]]:
        """Names, best first; a list among them holds equally good ones."""
        groups = [item if type(item) is list else [item] for item in listed]
        if any(type(name) is not str for group in groups for name in group):
            raise ValueError(
                'a list of numbers may be places or an order; write places by name, {"A": 1, "B": 2}, or names, best '
                "first"
            )
        return [[self.candidate(name, names, texts) for name in group] for group in groups]

    # ---- when ----

    def time(self, value: Any, column: str) -> tuple[datetime | None, bool]:
        """When it was answered, and whether the file leaves the time zone open (it counts as UTC)."""
        if is_blank(value):
            return None, False
        at: datetime | None = None
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = math.nan
        try:
            if isinstance(value, datetime):
                at = value
            elif math.isfinite(number):
                at = datetime.fromtimestamp(number / 1000 if number >= MILLISECONDS_FROM else number, UTC)
            elif isinstance(value, str):
                at = datetime.fromisoformat(value.strip())
        except (ValueError, OverflowError, OSError):
            at = None
        if at is None:
            raise Unusable(
                column, f"{shown(value)[:40]!r} is no time; write 2026-05-31T14:03:00Z, or seconds since 1970"
            )
        zone_unknown = at.tzinfo is None
        if zone_unknown:
            at = at.replace(tzinfo=UTC)
        if not EARLIEST <= at <= self.now:
            raise Unusable(
                column, f"the time {at.isoformat()} is before 1990 or yet to come; correct it, or leave it empty"
            )
        return at, zone_unknown


def ranking(groups: Iterable[Sequence[int]], texts: list[str]) -> Verdict:
    """Raises ValueError unless each of the texts has one place."""
    found = tuple(tuple(sorted(group)) for group in groups if group)
    placed = [index for group in found for index in group]
    if len(set(placed)) < len(placed):
        raise ValueError("the ranking names a text twice")
    if missing := sorted(set(range(len(texts))) - set(placed)):
        letters = ", ".join(string.ascii_uppercase[index] for index in missing)
        raise ValueError(f"the ranking leaves out text {letters}; it needs a place for each")
    return Verdict(groups=found)


def by_place(value: dict[str, Any], names: dict[str, int], texts: list[str], candidate: Any) -> list[list[int]]:
    """{name: place} → groups, the smallest place first. A name without a place is left out."""
    places: dict[float, list[int]] = {}
    for name, place in value.items():
        if is_blank(place):
            continue
        try:
            number = float(place)
        except (TypeError, ValueError):
            number = math.nan
        if not math.isfinite(number):
            raise ValueError(f"{shown(place)[:40]!r} is no place; write a number, 1 for the best")
        places.setdefault(number, []).append(candidate(str(name), names, texts))
    if not places:
        raise ValueError("the answer is empty; fill it in or delete the row")
    return [places[place] for place in sorted(places)]


def without_look_alikes(verdict: Verdict, readings: Sequence[str]) -> tuple[Verdict, list[int]]:
    """The verdict on the candidates that read differently, and which those are: of several that read the same, the one
    with the best place stays."""
    first: dict[str, int] = {}
    for group in verdict.groups or [range(len(readings))]:
        for index in group:
            first.setdefault(readings[index], index)
    kept = sorted(first.values())
    groups = tuple(group for every in verdict.groups if (group := tuple(i for i in every if i in kept)))
    return replace(verdict, groups=groups), kept


def worker_of(value: Any, column: str) -> str:
    name = " ".join(shown(value).split()) if not is_blank(value) else ""
    if not name:
        raise Unusable(column, "nobody is named as the one who answered; fill it in or delete the row")
    if len(name) > WORKER_LIMIT or not name.isprintable():
        raise Unusable(
            column, f"the name {name[:40]!r} has more than {WORKER_LIMIT} characters, or one that is not text"
        )
    return name


def duration(value: Any, column: str) -> tuple[float, bool]:
    """Seconds of work, and whether they were too many to be true (and are not kept)."""
    if is_blank(value):
        return 0.0, False
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        seconds = math.nan
    if not math.isfinite(seconds) or seconds < 0:
        raise Unusable(column, f"{shown(value)[:40]!r} is no number of seconds; correct it, or leave it empty")
    return (0.0, True) if seconds > LONGEST_SECONDS else (seconds, False)


def truth(value: Any, column: str) -> bool:
    word = "" if is_blank(value) else shown(value).casefold()
    if word not in TRUE | FALSE:
        raise Unusable(column, f"{word[:40]!r} does not say whether it is a tie; write true or false")
    return word in TRUE


def unpacked(value: Any) -> Any:
    """A cell of CSV may hold a list or an object as JSON."""
    if isinstance(value, str) and value.lstrip()[:1] in ("[", "{"):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


def is_blank(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def is_number(word: str) -> bool:
    return bool(re.fullmatch(r"-?\d+(\.0+)?", word))


def shown(value: Any) -> str:
    """A cell as people write it: 1.0 is 1."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    word = str(value).strip()
    return word.removesuffix(".0") if is_number(word) else word
