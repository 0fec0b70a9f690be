"""Answers, whole prompts at a time, into columns. Pure."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations, groupby
from typing import Any

import numpy as np

from annotation.kinds import KINDS
from annotation.kinds.spans import Span
from annotation.quality import columns, orders
from annotation.quality.answers import Line, Said, Texts, choices, class_of, scores, value_of
from annotation.quality.columns import BAD, Growing, Measure
from annotation.quality.marks import penalty
from annotation.quality.material import Check, Material
from annotation.quality.sample import Sample
from annotation.quality.texts import chrf, edit_rate, shared_characters
from annotation.text.edit_distance import edits_between

MOST_TEXTS, MOST_EDITS = 1_000, 2_000  # units whose texts are compared; post-edits whose edits are counted
EXCLUDED, CHECKS = "excluded", "checks"  # why an answer is left out, besides `core.reviews`
GOLD, REPEAT = "gold", "repeat"


@dataclass
class Written:
    """A text that somebody wrote, or made of a candidate."""

    person: int
    batch: int
    at: float
    text: str


class Reader:
    """Turns lines, whole prompts at a time, into columns."""

    def __init__(self, language: str, checks: Mapping[int, Check]) -> None:
        """`checks`: the tasks that check people, by id."""
        self.language, self.checks = language, checks
        self.rated, self.alike = Growing(columns.Rated), Growing(columns.Alike)
        self.penalties, self.edits = Growing(columns.OfTexts), Growing(columns.OfTexts)
        self.gold_choices = Growing(columns.GoldAnswers)
        self.gold: list[tuple[int, str, bool]] = []
        self.measures: dict[Measure, int] = {}
        self.origins: dict[str, int] = {}
        self.pairs: dict[tuple[int, int, int], int] = {}
        self.scored: dict[tuple[int, int, str], int] = {}
        self.golden: dict[tuple[int, int, int], int] = {}
        self.same: dict[int, int] = {}
        self.left_out: Counter[str] = Counter()
        self.answers: Counter[int] = Counter()
        self.marked: set[int] = set()  # batches in which anybody marked anything
        self.written: Sample[tuple[str, int, list[Written]]] = Sample(MOST_TEXTS)
        self.edited: Sample[tuple[int, int, int, int, int, str, str]] = Sample(MOST_EDITS)

    def read(self, lines: list[Line]) -> list[Said]:
        """The answers of these lines that are looked at."""
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
        return said

    def read_prompt(self, said: list[Said], texts: Texts) -> None:
        self.same |= {key: first for key, first in texts.first.items() if key != first}
        real = []
        for one in said:
            check = self.checks.get(one.line.task)
            if check and check.what == GOLD:
                self.left_out[CHECKS] += 1
                self.add_gold(one, check.expected, texts)
            else:
                real.append(one)
        self.answers.update(one.line.person for one in real)
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
        self.rated.add(
            measure=measure,
            unit=unit,
            prompt=line.prompt,
            task=line.task,
            batch=line.batch,
            person=line.person,
            at=line.at,
            given=values[0],
            counted=values[1],
            mirrored=mirrored,
            two=two,
            decided=line.decided,
            one=origins[0],
            other=origins[1],
        )

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
            self.gold_choices.add(
                unit=self.golden.setdefault((line.task, *pair), len(self.golden)),
                person=line.person,
                answer=class_of(choice.value),
                mirrored=choice.mirrored,
                truth=class_of(wanted.value),
            )

    # ---- two people, the same text ----

    def add_orders(self, rows: list[Said], texts: Texts) -> None:
        """Rankings of the same texts, and of more than two: of two, the choices say it all."""
        ranked: dict[frozenset[int], list[tuple[Said, dict[int, int]]]] = {}
        for said in rows:
            places = orders.places(said.kind.order_of(said.given.to_json()))
            every = sum(1 for _pair in said.kind.preferences(said.given)) == len(places) * (len(places) - 1) // 2
            if len(places) > 2 and every:  # the best of several says nothing of the others
                ranked.setdefault(frozenset(places), []).append((said, places))
        for of_texts in ranked.values():
            for (one, first), (other, second) in people(of_texts):
                tau = orders.tau_b(first, second)
                if tau is not None:
                    self.compare(columns.ORDER, one.line, other.line, tau, 1.0)

    def add_marks(self, rows: list[Said], texts: Texts) -> None:
        marked: dict[int, list[tuple[Said, list[Span]]]] = {}
        for said in rows:
            by_text = said.kind.marks(said.given)
            if by_text:
                self.marked.add(said.line.batch)
            for key in said.kind.candidates(said.given):
                marked.setdefault(key, []).append((said, by_text.get(key, [])))
        for key, of_text in marked.items():
            for (one, first), (other, second) in people(of_text):
                both = [[(mark["start"], mark["end"]) for mark in marks] for marks in (first, second)]
                shared, total = shared_characters(*both)
                if total:
                    self.compare(columns.MARKS, one.line, other.line, float(shared), float(total))
            for said, marks in of_text:
                if said.kind.uses_aspects:  # it marks errors, each with a severity
                    who = {"prompt": said.line.prompt, "batch": said.line.batch, "person": said.line.person}
                    self.penalties.add(
                        unit=texts.first.get(key, key), origin=self.origin(texts, key), value=penalty(marks), **who
                    )

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
                who = said.line.prompt, said.line.batch, said.line.person, original, self.origin(texts, original)
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

    def add_alike(self, measure: int, prompt: int, one: Written, other: Written, above: float, below: float) -> None:
        if one.person > other.person:
            one, other = other, one
        self.alike.add(
            measure=measure,
            one=one.person,
            other=other.person,
            prompt=prompt,
            batch=one.batch if one.batch == other.batch else 0,
            at=max(one.at, other.at),
            above=above,
            below=below,
        )

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
        for prompt, batch, person, original, origin, before, after in self.edited.kept():
            rate = edits_between(before, after, self.language).rate
            self.edits.add(unit=original, prompt=prompt, batch=batch, person=person, origin=origin, value=rate)
        penalties = self.penalties.done()
        return Material(
            rated=self.rated.done(),
            alike=self.alike.done(),
            penalties=penalties.where(np.isin(penalties.batch, sorted(self.marked))),
            edits=self.edits.done(),
            gold_choices=self.gold_choices.done(),
            gold=self.gold,
            measures=list(self.measures),
            origins=list(self.origins),
            pairs=list(self.pairs),
            same=self.same,
            answers=self.answers,
            left_out=self.left_out,
            compared=(self.written.seen, len(self.written)),
            edited=(self.edited.seen, len(self.edited)),
        )


def people(rows: list[tuple[Said, Any]]) -> list[tuple[tuple[Said, Any], tuple[Said, Any]]]:
    """Each two of different people, of whom the first answer counts."""
    unique = {said.line.person: (said, value) for said, value in reversed(rows)}
    return list(combinations([unique[person] for person in sorted(unique)], 2))
