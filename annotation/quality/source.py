"""A project's answers from the database into columns: a server-side cursor by prompt, some thousand rows at a time.

Left out, and counted: answers that are excluded (of people who withdrew consent among them), that wait for a review or
were sent back, and those to tasks that only check people (`checked_tasks`). Erased answers are not current. What a
person answered and what counts of it differ where it was corrected or its task adjudicated: both are kept, since
agreement is about people and labels are about what counts.

Memory: the columns, about 100 bytes an answer, one chunk, and the texts of a sample. Call it inside a transaction that
sees one moment.
"""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import combinations, groupby
from typing import Any, NamedTuple

from django.apps import apps
from django.db import connection

from annotation.core.exclusions import EXCLUSION_ID, EXCLUSION_JOINS
from annotation.core.reviews import COUNTED_PAYLOAD, PENDING, REVIEW_JOIN
from annotation.kinds import KINDS
from annotation.kinds.base import AnnotationKind
from annotation.kinds.votes import one_of_each_reading
from annotation.models import Project
from annotation.quality import columns, orders
from annotation.quality.columns import BAD, Measure
from annotation.quality.marks import penalty
from annotation.quality.sample import Sample
from annotation.quality.texts import chrf, edit_rate, shared_characters
from annotation.text.edit_distance import edits_between

ROWS_AT_ONCE = 5_000
MOST_TEXTS, MOST_EDITS = 1_000, 2_000  # units whose texts are compared; post-edits whose edits are counted
EXCLUDED, CHECKS = "excluded", "checks"  # why an answer is left out, besides `core.reviews`
GOLD, REPEAT = "gold", "repeat"
ANSWERS = f"""
SELECT task.prompt_id, annotation.id, annotation.task_id, task.batch_id, annotation.annotator_id, annotation.kind,
    annotation.payload::text, nullif({COUNTED_PAYLOAD}, annotation.payload)::text,
    adjudication.payload IS NOT NULL, extract(epoch FROM annotation.created_at)::float8,
    NOT batch.selection ? 'judgements', {EXCLUSION_ID} IS NOT NULL, {PENDING}
FROM annotation_annotation annotation
    JOIN annotation_assignment assignment ON assignment.id = annotation.assignment_id AND assignment.state = 'done'
    JOIN annotation_task task ON task.id = annotation.task_id
    JOIN annotation_batch batch ON batch.id = task.batch_id
    {EXCLUSION_JOINS}
    {REVIEW_JOIN}
WHERE batch.project_id = %(project)s AND annotation.is_current
ORDER BY task.prompt_id, annotation.id
"""  # noqa: S608 - our own expressions
CANDIDATES = "SELECT prompt_id, id, text, origin FROM annotation_candidate WHERE id = ANY(%s)"


class Line(NamedTuple):
    """A row of ANSWERS. `counted` is None where it is what was given."""

    prompt: int
    annotation: int
    task: int
    batch: int
    person: int
    kind: str
    given: str
    counted: str | None
    decided: bool
    at: float
    randomised: bool
    excluded: bool
    pending: str | None


class Check(NamedTuple):
    """Why a task is there, besides its answers: gold, tutorial, repeat or twin; `expected` is gold's payload."""

    what: str
    expected: dict[str, Any] | None = None


class Choice(NamedTuple):
    """Of two texts: the value as in `RatingColumns`, whether the second was on the left, and the candidates shown."""

    value: float
    mirrored: bool
    one: int
    other: int


Pair = tuple[int, int]  # candidates, of those that read the same the first; the smaller text first


@dataclass(frozen=True)
class Material:
    """All that the figures need.

    pairs: (prompt, first candidate, second candidate) of each unit of a choice, by unit; scored: (prompt, candidate,
    aspect) by unit. gold: (person, kind, whether right) of each gold answer. compared, edited: (how many units with
    several texts, post-edits; how many of them were looked at).
    """

    rated: columns.Rated
    alike: columns.Alike
    penalties: columns.OfTexts
    edits: columns.OfTexts
    gold_choices: columns.GoldAnswers
    gold: list[tuple[int, str, bool]]
    measures: list[Measure]
    origins: list[str]
    pairs: list[tuple[int, int, int]]
    answers: int
    left_out: Counter[str]
    compared: tuple[int, int]
    edited: tuple[int, int]


def checked_tasks(project: Project) -> dict[int, Check]:
    """The tasks of the project that check people, by id."""
    try:
        rows = apps.get_model("annotation", "TaskCheck").objects.filter(task__batch__project=project)
    except LookupError:
        return {}
    return {task: Check(*values) for task, *values in rows.values_list("task", "what", "gold__expected")}


def material_of(project: Project) -> Material:
    reader = Reader(project.target_language, checked_tasks(project))
    with connection.chunked_cursor() as cursor:
        cursor.execute(ANSWERS, {"project": project.pk})
        waiting: list[Line] = []
        while rows := cursor.fetchmany(ROWS_AT_ONCE):
            waiting += [Line(*row) for row in rows]
            # The last prompt may go on in the next rows.
            last = waiting[-1].prompt
            reader.read([line for line in waiting if line.prompt != last])
            waiting = [line for line in waiting if line.prompt == last]
        reader.read(waiting)
    return reader.material()


@dataclass
class Written:
    """A text that somebody wrote, or made of a candidate."""

    person: int
    batch: int
    at: float
    text: str


@dataclass
class Said:
    """One answer to a prompt, parsed."""

    line: Line
    kind: AnnotationKind[Any]
    given: Any
    counted: Any


@dataclass
class Texts:
    """The candidates of a prompt: texts and origins by id, and of each the first one that reads the same."""

    text: dict[int, str] = field(default_factory=dict)
    origin: dict[int, str] = field(default_factory=dict)
    first: dict[int, int] = field(default_factory=dict)

    def settle(self) -> None:
        readings = one_of_each_reading(self.text)
        first: dict[str, int] = {}
        for key in sorted(readings):
            self.first[key] = first.setdefault(readings[key], key)

    def pair(self, one: int, other: int) -> Pair | None:
        """None where both read the same."""
        one, other = self.first.get(one, one), self.first.get(other, other)
        if one == other:
            return None
        return (one, other) if (self.text.get(one, ""), one) <= (self.text.get(other, ""), other) else (other, one)


class Reader:
    """Turns lines, whole prompts at a time, into columns."""

    def __init__(self, language: str, checks: Mapping[int, Check]) -> None:
        self.language, self.checks = language, checks
        self.rated, self.alike = columns.RatingColumns(), columns.AlikeColumns()
        self.penalties, self.edits = columns.TextColumns(), columns.TextColumns()
        self.gold_choices = columns.GoldColumns()
        self.gold: list[tuple[int, str, bool]] = []
        self.measures: dict[Measure, int] = {}
        self.origins: dict[str, int] = {}
        self.pairs: dict[tuple[int, int, int], int] = {}
        self.scored: dict[tuple[int, int, str], int] = {}
        self.golden: dict[tuple[int, int, int], int] = {}
        self.left_out: Counter[str] = Counter()
        self.answers = 0
        self.has_marks = False
        self.written: Sample[tuple[str, int, list[Written]]] = Sample(MOST_TEXTS)
        self.edited: Sample[tuple[int, int, int, int, str, str]] = Sample(MOST_EDITS)

    def read(self, lines: list[Line]) -> None:
        said = []
        for line in lines:
            check = self.checks.get(line.task)
            if line.excluded or line.pending:
                self.left_out[line.pending or EXCLUDED] += 1
            elif check and check.what not in (GOLD, REPEAT):
                self.left_out[CHECKS] += 1
            else:
                kind = KINDS[line.kind]
                given = kind.parse(json.loads(line.given))
                counted = given if line.counted is None else kind.parse(json.loads(line.counted))
                said.append(Said(line, kind, given, counted))
        texts = texts_of(said)
        for prompt, of_prompt in groupby(said, key=lambda one: one.line.prompt):
            self.read_prompt(list(of_prompt), texts.get(prompt, Texts()))

    def read_prompt(self, said: list[Said], texts: Texts) -> None:
        real = []
        for one in said:
            check = self.checks.get(one.line.task)
            if check and check.what == GOLD:
                self.left_out[CHECKS] += 1
                self.add_gold(one, check.expected, texts)
            else:
                real.append(one)
        self.answers += len(real)
        for one in real:
            if one.kind.compares:
                self.add_choices(one, texts)
            self.add_scores(one, texts)
        for _kind, group in groupby(sorted(real, key=lambda one: one.line.kind), key=lambda one: one.line.kind):
            rows = list(group)
            if rows[0].kind.compares:
                self.add_orders(rows, texts)
            elif rows[0].kind.keeps_own_text:
                self.add_texts(rows, texts)
            self.add_marks(rows, texts)

    # ---- choices and scores ----

    def add_choices(self, said: Said, texts: Texts) -> None:
        given = choices(said.kind, said.given, texts)
        counted = given if said.counted is said.given else choices(said.kind, said.counted, texts)
        two = said.line.randomised and len(list(said.kind.candidates(said.given))) == 2
        measure = self.measure(said.line.kind, columns.CHOICE)
        for pair in {**given, **counted}:
            shown = given.get(pair) or counted[pair]
            unit = self.pairs.setdefault((said.line.prompt, *pair), len(self.pairs))
            values = (value_of(given.get(pair)), value_of(counted.get(pair)))
            origins = self.origin(texts, shown.one), self.origin(texts, shown.other)
            self.rate(said.line, measure, unit, values, mirrored=shown.mirrored, two=two, origins=origins)

    def add_scores(self, said: Said, texts: Texts) -> None:
        given, counted = (scores(said.kind, answer, texts) for answer in (said.given, said.counted))
        for candidate, aspect in {**given, **counted}:
            key = candidate, aspect
            unit = self.scored.setdefault((said.line.prompt, *key), len(self.scored))
            values = given.get(key, float("nan")), counted.get(key, float("nan"))
            origin = self.origin(texts, candidate)
            measure = self.measure(said.line.kind, columns.SCORE, aspect)
            self.rate(said.line, measure, unit, values, origins=(origin, origin))

    def rate(
        self,
        line: Line,
        measure: int,
        unit: int,
        values: tuple[float, float],
        *,
        origins: tuple[int, int],
        mirrored: bool = False,
        two: bool = False,
    ) -> None:
        rated = self.rated
        rated.measure.append(measure)
        rated.unit.append(unit)
        rated.prompt.append(line.prompt)
        rated.task.append(line.task)
        rated.batch.append(line.batch)
        rated.person.append(line.person)
        rated.at.append(line.at)
        rated.given.append(values[0])
        rated.counted.append(values[1])
        rated.mirrored.append(mirrored)
        rated.two.append(two)
        rated.decided.append(line.decided)
        rated.one.append(origins[0])
        rated.other.append(origins[1])

    def add_gold(self, said: Said, expected: dict[str, Any] | None, texts: Texts) -> None:
        if expected is None:
            return
        kind, line = said.kind, said.line
        if kind.is_testable:
            right = kind.is_right(expected, json.loads(line.given), tolerance=0)
            self.gold.append((line.person, line.kind, right))
        if not kind.compares:
            return
        truth = choices(kind, kind.parse(expected), texts)
        for pair, choice in choices(kind, said.given, texts).items():
            wanted = truth.get(pair)
            if wanted is None or BAD in (wanted.value, choice.value):
                continue
            gold = self.gold_choices
            gold.unit.append(self.golden.setdefault((line.task, *pair), len(self.golden)))
            gold.person.append(line.person)
            gold.answer.append(class_of(choice.value))
            gold.mirrored.append(choice.mirrored)
            gold.truth.append(class_of(wanted.value))

    # ---- two people, the same text ----

    def add_orders(self, rows: list[Said], texts: Texts) -> None:
        """Rankings of the same texts, and of more than two: of two, the choices say it all."""
        ranked: dict[frozenset[int], list[tuple[Said, dict[int, int]]]] = {}
        for said in rows:
            groups = said.kind.order_of(said.given.to_json()) if not said.kind.prefers_none(said.given) else []
            places = orders.places([[texts.first.get(key, key) for key in group] for group in groups])
            if len(groups) > 0 and len(places) > 2 and getattr(said.given, "is_ranking", True):
                ranked.setdefault(frozenset(places), []).append((said, places))
        for of_texts in ranked.values():
            for (one, first), (other, second) in people(of_texts):
                tau = orders.tau_b(first, second)
                if tau is not None:
                    self.compare(columns.ORDER, one.line, other.line, tau, 1.0)

    def add_marks(self, rows: list[Said], texts: Texts) -> None:
        marked: dict[int, list[tuple[Said, list[Any]]]] = {}
        for said in rows:
            marks = said.kind.marks(said.given)
            self.has_marks = self.has_marks or bool(marks)
            for key in said.kind.candidates(said.given):
                marked.setdefault(key, []).append((said, list(marks.get(key, []))))
        for key, of_text in marked.items():
            for (one, first), (other, second) in people(of_text):
                both = [[(mark["start"], mark["end"]) for mark in marks] for marks in (first, second)]
                shared, total = shared_characters(*both)
                if total:
                    self.compare(columns.MARKS, one.line, other.line, float(shared), float(total))
            for said, marks in of_text:
                if said.kind.uses_aspects:  # it marks errors, each with a severity
                    self.add_text(self.penalties, key, said.line, self.origin(texts, key), penalty(marks))

    def add_texts(self, rows: list[Said], texts: Texts) -> None:
        """Written texts, and edits of the same candidate."""
        by_original: dict[int, list[tuple[Said, str]]] = {}
        for said in rows:
            text = said.kind.own_text(said.given.to_json())
            original = next(iter(said.kind.candidates(said.given)), 0)
            if text is None:
                continue
            by_original.setdefault(texts.first.get(original, original), []).append((said, text))
            if original in texts.text:
                key = f"edit {said.line.annotation}"
                who = said.line.prompt, said.line.person, original, self.origin(texts, original)
                self.edited.add(key, (*who, texts.text[original], text))
        for original, of_original in by_original.items():
            unique = {said.line.person: (said, text) for said, text in reversed(of_original)}
            if len(unique) > 1:
                line = of_original[0][0].line
                written = [
                    Written(person, said.line.batch, said.line.at, text) for person, (said, text) in unique.items()
                ]
                written.sort(key=lambda one: one.person)
                self.written.add(f"{line.prompt} {original}", (line.kind, line.prompt, written))

    def compare(self, name: str, one: Line, other: Line, above: float, below: float) -> None:
        first, second = (Written(line.person, line.batch, line.at, "") for line in (one, other))
        self.add_alike(self.measure(one.kind, name), one.prompt, first, second, above, below)

    def add_alike(
        self, measure: int, prompt: int, one: Written, other: Written, above: float, below: float
    ) -> None:
        if one.person > other.person:
            one, other = other, one
        alike = self.alike
        alike.measure.append(measure)
        alike.one.append(one.person)
        alike.other.append(other.person)
        alike.prompt.append(prompt)
        alike.batch.append(one.batch if one.batch == other.batch else 0)
        alike.at.append(max(one.at, other.at))
        alike.above.append(above)
        alike.below.append(below)

    def add_text(self, to: columns.TextColumns, unit: int, line: Line, origin: int, value: float) -> None:
        to.unit.append(unit)
        to.prompt.append(line.prompt)
        to.person.append(line.person)
        to.origin.append(origin)
        to.value.append(value)

    # ---- numbers of things ----

    def measure(self, kind: str, name: str, aspect: str = "") -> int:
        return self.measures.setdefault(Measure(kind, name, aspect), len(self.measures))

    def origin(self, texts: Texts, candidate: int) -> int:
        return self.origins.setdefault(texts.origin.get(candidate, ""), len(self.origins))

    def material(self) -> Material:
        for kind, prompt, written in self.written.kept():
            for one, other in combinations(written, 2):
                likeness = chrf(one.text, other.text)
                self.add_alike(self.measure(kind, columns.CHRF), prompt, one, other, likeness, 1.0)
                rate = edit_rate(one.text, other.text, self.language)
                self.add_alike(self.measure(kind, columns.EDIT_RATE), prompt, one, other, rate, 1.0)
        for prompt, person, original, origin, before, after in self.edited.kept():
            edits = self.edits
            edits.unit.append(original)
            edits.prompt.append(prompt)
            edits.person.append(person)
            edits.origin.append(origin)
            edits.value.append(edits_between(before, after, self.language).rate)
        return Material(
            rated=columns.Rated.of(self.rated),
            alike=columns.Alike.of(self.alike),
            penalties=columns.OfTexts.of(self.penalties if self.has_marks else columns.TextColumns()),
            edits=columns.OfTexts.of(self.edits),
            gold_choices=columns.GoldAnswers.of(self.gold_choices),
            gold=self.gold,
            measures=list(self.measures),
            origins=list(self.origins),
            pairs=list(self.pairs),
            answers=self.answers,
            left_out=self.left_out,
            compared=(self.written.seen, len(self.written)),
            edited=(self.edited.seen, len(self.edited)),
        )


def people(rows: list[tuple[Said, Any]]) -> list[tuple[tuple[Said, Any], tuple[Said, Any]]]:
    """Each two of different people, of whom the first answer counts."""
    unique = {said.line.person: (said, value) for said, value in reversed(rows)}
    return list(combinations([unique[person] for person in sorted(unique)], 2))


def choices(kind: AnnotationKind[Any], answer: Any, texts: Texts) -> dict[Pair, Choice]:
    """What the answer says of each two of its texts."""
    place = {key: at for at, key in enumerate(kind.candidates(answer))}
    found: dict[Pair, Choice] = {}

    def add(one: int, other: int, value: float) -> None:
        pair = texts.pair(one, other)
        if pair is None:
            return
        if texts.first.get(one, one) != pair[0]:
            one, other, value = other, one, -value if value != BAD else value
        found.setdefault(pair, Choice(value, place.get(one, 0) > place.get(other, 0), one, other))

    if kind.prefers_none(answer):
        for one, other in combinations(place, 2):
            add(one, other, BAD)
    size = float(kind.strength(answer) or 1)
    for one, other, value in kind.preferences(answer):
        add(one, other, 0.0 if value == 0.5 else -size)
    return found


def scores(kind: AnnotationKind[Any], answer: Any, texts: Texts) -> dict[tuple[int, str], float]:
    found: dict[tuple[int, str], float] = {}
    for candidate, points in kind.scores(answer).items():
        for aspect, score in points.items():
            found.setdefault((texts.first.get(candidate, candidate), aspect), float(score))
    return found


def value_of(choice: Choice | None) -> float:
    return float("nan") if choice is None else choice.value


def class_of(value: float) -> int:
    return 0 if value < 0 else 1 if value == 0 else 2


def texts_of(said: list[Said]) -> dict[int, Texts]:
    """The candidates that the answers are about, by prompt."""
    ids = {key for one in said for answer in (one.given, one.counted) for key in one.kind.candidates(answer)}
    found: dict[int, Texts] = {}
    with connection.cursor() as cursor:
        cursor.execute(CANDIDATES, [list(ids)])
        for prompt, key, text, origin in cursor:
            of_prompt = found.setdefault(prompt, Texts())
            of_prompt.text[key], of_prompt.origin[key] = text, origin
    for of_prompt in found.values():
        of_prompt.settle()
    return found
