"""What only the whole file shows: which numbers are answers, which scores occur; and so what a row leaves open."""

import dataclasses
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext_noop

from annotation.core.messages import Message
from annotation.importing.judgements.answers import AnswerReader
from annotation.importing.judgements.cells import Unusable, shown, whole_number
from annotation.importing.judgements.mapping import JudgementMapping
from annotation.importing.judgements.numbers import SIGNED, NumbersSeen, ambiguous, candidates_for, scheme_of
from annotation.importing.judgements.scores import MOST_POINTS, Scale, ScoresSeen, plain, scale_of
from annotation.importing.judgements.verdicts import LeftOut
from annotation.models import Aspect, Project
from annotation.preparation.files import Unreadable
from annotation.preparation.formats import Row, Table
from annotation.preparation.mapping import Mapping
from annotation.text.normalization import folded

NOW = datetime.max.replace(tzinfo=UTC)


@dataclass
class Census:
    numbers: NumbersSeen = field(default_factory=NumbersSeen)
    scores: dict[str, ScoresSeen] = field(default_factory=dict)


@dataclass(frozen=True)
class Settled:
    """The mapping with what its numbers mean, the largest of them, and each aspect's scale."""

    judgements: JudgementMapping
    largest: int = 0
    scales: dict[str, Scale] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        scales = {aspect: [*map(str, dataclasses.astuple(scale))] for aspect, scale in self.scales.items()}
        return {"judgements": self.judgements.as_dict(), "largest": self.largest, "scales": scales}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Settled":
        scales = {aspect: Scale(*map(Decimal, parts)) for aspect, parts in values["scales"].items()}
        return cls(JudgementMapping.from_dict(values["judgements"]), values["largest"], scales)


class CensusTaker:
    """Looks at the answers of all rows, without their texts."""

    def __init__(self, mapping: Mapping, judgements: JudgementMapping) -> None:
        self.reader = AnswerReader(mapping, judgements, NOW)
        self.told = {folded(value) for value in judgements.meanings}
        self.census = Census()

    def add(self, row: Row) -> None:
        if not row.values:
            return
        names = self.reader.names(row.values)
        judgements = self.reader.judgements
        for cells in self.reader.cells.of_row(row.number, row.values, []):
            if judgements.is_scoring:
                try:
                    scores = self.reader.raw_scores(cells, names, row.values)
                except (ValueError, Unusable, LeftOut):
                    continue  # a fault of the row, which the import reports
                for score in scores:
                    seen = self.census.scores.get(score.aspect)
                    if seen is None:
                        column = next((s.column for s in judgements.scores if s.aspect == score.aspect), "")
                        seen = ScoresSeen(score.value, score.value, row.number, column or judgements.answer)
                        self.census.scores[score.aspect] = seen
                    seen.add(score.value)
            elif not (judgements.ranks or judgements.winners or judgements.best):
                word = shown(cells.values.get("answer"))
                number = whole_number(word)
                if number is not None and folded(word) not in self.told:
                    self.census.numbers.add(number, row.number, names)


def settle(census: Census, judgements: JudgementMapping, project: Project, filename: str) -> Settled:
    """Raises Unreadable where the file can be read in several ways, with the first row and what may be meant."""
    if judgements.is_scoring:
        known = {score.aspect for score in judgements.scores} | {judgements.aspect} | set(census.scores)
        if unseen := sorted(set(judgements.scales) - known):
            text = gettext_noop("%(file)s: no score is about “%(aspect)s”, whose scale was given; correct its name")
            raise Unreadable(Message(text, file=filename, aspect=unseen[0]))
        scales = {aspect: settled_scale(aspect, seen, judgements, project) for aspect, seen in census.scores.items()}
        return Settled(judgements, scales=scales)
    seen, numbers = census.numbers, judgements.numbers
    if not numbers and judgements.meanings and any(whole_number(word) is not None for word in judgements.meanings):
        return Settled(judgements)  # once a number has a meaning, all numbers need one: the others are unknown
    if not numbers:
        scheme = scheme_of(seen, judgements.answer)
        if scheme is None:
            options = [f"--numbers {name}" for name in candidates_for(seen)]
            meanings = " ".join(f"--answer={number}=MEANING" for number in sorted(seen.rows)[:9])
            raise Unreadable(
                ambiguous(seen),
                row=min(seen.rows.values()),
                column=judgements.answer or (judgements.workers or (judgements.answers,))[0],
                options=(*options, meanings),
            )
        numbers = scheme
    largest = seen.largest if numbers in SIGNED else 0
    return Settled(dataclasses.replace(judgements, numbers=numbers), largest)


def settled_scale(aspect: str, seen: ScoresSeen, judgements: JudgementMapping, project: Project) -> Scale:
    """The scale that somebody gave, or that of the project's own aspect of this name."""
    told = scale_of(judgements.scales.get(aspect, ""))
    if told:
        scale = seen.scale(*told)
        if scale is not None:
            return scale
        values: dict[str, Any] = {"aspect": aspect, "low": plain(seen.low), "high": plain(seen.high)}
        text = gettext_noop(
            "the scores of “%(aspect)s” go from %(low)s to %(high)s, which are not on the scale %(scale)s in at most "
            "%(most)s points; give another scale, or round them"
        )
        message = Message(text, **values, scale=judgements.scales[aspect], most=MOST_POINTS)
        raise Unreadable(message, row=seen.row, column=seen.column, options=(f"--scale '{aspect}=WORST..BEST'",))
    own = own_aspect(project, aspect)
    if own is not None and (scale := own_scale(own)) and all(map(scale.has, (seen.low, seen.high))):
        found = seen.scale(scale.worst, scale.best)
        if found == scale:
            return scale
    text = gettext_noop(
        "the scores of “%(aspect)s” go from %(low)s to %(high)s; say what the worst and the best possible score are"
    )
    low, high = plain(seen.low), plain(seen.high)
    raise Unreadable(
        Message(text, aspect=aspect, low=low, high=high),
        row=seen.row,
        column=seen.column,
        options=(f"--scale '{aspect}={low}..{high}'" if low != high else f"--scale '{aspect}=WORST..BEST'",),
    )


def own_aspect(project: Project, name: str) -> Aspect | None:
    """The aspect of the project that is called so."""
    wanted = name.casefold()
    for aspect in Aspect.objects.filter(project=project):
        if wanted in (aspect.name.casefold(), aspect.key):
            return aspect
    return None


def own_scale(aspect: Aspect) -> Scale:
    """What its points are called in files: the numbers that its anchors are, or 1 and up."""
    if ends := scale_of(f"{aspect.anchors[0]}..{aspect.anchors[-1]}"):
        scale = Scale(*ends, abs(ends[1] - ends[0]) / (aspect.points - 1))
        if scale.values() == aspect.anchors:
            return scale
    return Scale(Decimal(1), Decimal(aspect.points))


def settled(table: Table, mapping: Mapping, judgements: JudgementMapping, project: Project, filename: str) -> Settled:
    """Reads the whole file once."""
    taker = CensusTaker(mapping, judgements)
    for row in table.rows():
        taker.add(row)
    return settle(taker.census, judgements, project, filename)
