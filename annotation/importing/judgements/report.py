"""What an import of judgements read and left out: counted with places, and in sentences for command and page."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from annotation.importing import report as importing
from annotation.importing.judgements.answers import ReadRow, RecordedAnswer
from annotation.importing.judgements.census import Settled
from annotation.importing.judgements.mapping import JudgementMapping
from annotation.importing.judgements.numbers import SCHEMES, SIGNED
from annotation.importing.judgements.verdicts import ALL_BAD, SKIP, TIE
from annotation.importing.report import SHOWN, Note, in_rows, note
from annotation.text.normalization import folded

MOST_VALUES = 200  # different answers that are counted one by one


@dataclass
class Tally:
    """The outcome of the answers."""

    added: int = 0
    there_already: int = 0
    twice: int = 0  # the same answer at the same time
    tasks: int = 0
    repeated: int = 0  # of the added ones: further answers of somebody about the same texts


@dataclass
class Summary:
    """What the rows of a file hold. `verdicts` counts answers by what they were read as, `values` (answer, read as).
    `left_out` are notes of rows and answers by kind, with the first rows of each."""

    answers: int = 0
    scores: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    values: Counter[tuple[str, str]] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    places: dict[str, list[int]] = field(default_factory=dict)
    blank_rows: int = 0

    def add(self, answer: RecordedAnswer, row: int) -> None:
        self.answers += 1
        self.scores += len(answer.scores)
        read_as = reading_of(answer)
        self.verdicts[read_as] += 1
        if answer.verdict is not None and ((answer.value, read_as) in self.values or len(self.values) < MOST_VALUES):
            self.values[answer.value[:80], read_as] += 1
        if answer.zone_unknown:
            self.leave_out("zones unknown", row)
        if answer.too_long:
            self.leave_out("durations dropped", row)

    def leave_out(self, kind: str, row: int, count: int = 1) -> None:
        self.left_out[kind] += count
        places = self.places.setdefault(kind, [])
        if len(places) < SHOWN and row not in places[-1:]:
            places.append(row)

    def add_row(self, read: ReadRow, row: int) -> None:
        for reason in read.left_out:
            self.leave_out(reason, row)
        if not (read.answers or read.left_out or read.faults):
            self.leave_out("rows without an answer", row)

    def notes(self) -> list[Note]:
        return [note(kind, count, rows=self.places.get(kind, ())) for kind, count in self.left_out.items()]


def notes_of_tally(tally: Tally) -> list[Note]:
    counts = {
        "answers known": tally.there_already,
        "answers twice": tally.twice,
        "repeated answers": tally.repeated,
    }
    return [note(kind, count) for kind, count in counts.items() if count]


def reading_of(answer: RecordedAnswer) -> str:
    verdict = answer.verdict
    if verdict is None:
        return "scores"
    if not verdict.groups:
        return "all bad"
    if verdict.is_tie:
        return "tie"
    if verdict.is_best_only:
        return "best of several"
    if sum(map(len, verdict.groups)) > 2:
        return "ranking"
    strength = {1: ", slightly", 2: ", clearly"}.get(verdict.strength or 0, "")
    return ("first text" if verdict.groups[0][0] < verdict.groups[1][0] else "second text") + strength


def readings() -> dict[str, str]:
    return {
        "scores": _("scores"),
        "all bad": _("all bad"),
        "tie": _("tie"),
        "best of several": _("best of several"),
        "ranking": _("ranking"),
        "first text": _("first text"),
        "first text, slightly": _("first text, slightly better"),
        "first text, clearly": _("first text, clearly better"),
        "second text": _("second text"),
        "second text, slightly": _("second text, slightly better"),
        "second text, clearly": _("second text, clearly better"),
    }


def in_numbers(count: int) -> str:
    return number_format(count, use_l10n=True, force_grouping=True)


def read_as(verdicts: Counter[str] | dict[str, int]) -> list[str]:
    """Such as “first text 12”, the most common first."""
    names = readings()
    return [f"{names.get(what, what)} {in_numbers(count)}" for what, count in Counter(verdicts).most_common()]


def assumptions(settled: Settled) -> list[str]:
    """What the answers were taken to mean, where the file alone does not say it word by word."""
    judgements: JudgementMapping = settled.judgements
    lines = []
    if judgements.numbers:
        lines.append(_("Numbers are %(meaning)s.") % {"meaning": SCHEMES[judgements.numbers]})
    if judgements.numbers in SIGNED and settled.largest > 1:
        half = settled.largest // 2
        lines.append(_("A number up to %(half)s is slightly better, a larger one clearly better.") % {"half": half})
    if judgements.best:
        lines.append(_("In every row “%(name)s” is the better text.") % {"name": judgements.best})
    special = {TIE: _("tie"), ALL_BAD: _("all bad"), SKIP: _("nothing: it is left out")}
    for value, meaning in judgements.meanings.items():
        means = special.get(folded(meaning), meaning)
        lines.append(_("“%(value)s” means %(meaning)s.") % {"value": value, "meaning": means})
    for aspect, scale in settled.scales.items():
        worst, *_rest, best = scale.values()
        lines.append(
            _("“%(aspect)s” is scored from %(worst)s (worst) to %(best)s (best), in %(points)s points.")
            % {"aspect": aspect, "worst": worst, "best": best, "points": scale.points}
        )
    return lines


def describe(a_note: Note) -> str:
    """A note in a sentence, in the language of whoever reads it."""
    count, rows = a_note["count"], a_note["rows"]
    sentence = sentence_of(a_note["kind"], count)
    if sentence is None:
        return importing.describe(a_note)
    place = ngettext(" (row %(rows)s)", " (rows %(rows)s)", len(rows)) % {"rows": in_rows(rows)} if rows else ""
    return sentence % {"count": in_numbers(count), "name": a_note["name"], "place": place}


def sentence_of(kind: str, count: int) -> str | None:
    sentences = {
        "rows of one text": ngettext(
            "%(count)s row has fewer than two texts and was left out%(place)s.",
            "%(count)s rows have fewer than two texts and were left out%(place)s.",
            count,
        ),
        "rows without a text": ngettext(
            "%(count)s row has no text to score and was left out%(place)s.",
            "%(count)s rows have no text to score and were left out%(place)s.",
            count,
        ),
        "rows without an answer": ngettext(
            "%(count)s row has no answer%(place)s.", "%(count)s rows have no answer%(place)s.", count
        ),
        "answers without a score": ngettext(
            "%(count)s answer has no score and was left out%(place)s.",
            "%(count)s answers have no score and were left out%(place)s.",
            count,
        ),
        "answers about empty texts": ngettext(
            "%(count)s answer prefers an empty text, or compares with one, and was left out%(place)s.",
            "%(count)s answers prefer an empty text, or compare with one, and were left out%(place)s.",
            count,
        ),
        "answers to skip": ngettext(
            "%(count)s answer was left out, as you chose%(place)s.",
            "%(count)s answers were left out, as you chose%(place)s.",
            count,
        ),
        "zones unknown": ngettext(
            "%(count)s time has no time zone and is read as UTC%(place)s.",
            "%(count)s times have no time zone and are read as UTC%(place)s.",
            count,
        ),
        "durations dropped": ngettext(
            "%(count)s duration of more than a day was left out%(place)s.",
            "%(count)s durations of more than a day were left out%(place)s.",
            count,
        ),
        "scores alike": ngettext(
            "%(count)s score is of a text that reads the same as another of its row, and was left out%(place)s.",
            "%(count)s scores are of texts that read the same as another of their row, and were left out%(place)s.",
            count,
        ),
        "positional people": ngettext(
            "People are known by their place in a list: %(count)s person (%(name)s).",
            "People are known by their place in a list: %(count)s people (%(name)s).",
            count,
        ),
        "ids not kept": ngettext(
            "%(count)s row has an id that is not its prompt's own; the id is not kept.",
            "%(count)s rows have ids that are not their prompts' own; the ids are not kept.",
            count,
        ),
        "answers known": ngettext(
            "%(count)s answer is in the project already and was not added again.",
            "%(count)s answers are in the project already and were not added again.",
            count,
        ),
        "answers twice": ngettext(
            "%(count)s answer occurs twice in the file with the same time, and was added once.",
            "%(count)s answers occur twice in the file with the same time, and were added once.",
            count,
        ),
        "look-alikes": ngettext(
            "%(count)s answer is about texts that read the same, and was left out%(place)s.",
            "%(count)s answers are about texts that read the same, and were left out%(place)s.",
            count,
        ),
        "repeated answers": ngettext(
            "%(count)s answer is a further one of its person about the same texts, in a task of its own.",
            "%(count)s answers are further ones of their person about the same texts, in tasks of their own.",
            count,
        ),
        "faulty rows": ngettext(
            "%(count)s row with errors was left out.", "%(count)s rows with errors were left out.", count
        ),
        "imported before": ngettext(
            "This very file was imported before; answers that are in the project already are not added again.",
            "This very file was imported %(count)s times before; answers that are in the project already are not added "
            "again.",
            count,
        ),
        "new aspects": ngettext(
            "%(count)s aspect was added to the project: %(name)s. It is retired, so that nobody is asked for it.",
            "%(count)s aspects were added to the project: %(name)s. They are retired, so that nobody is asked for "
            "them.",
            count,
        ),
    }
    return sentences.get(kind)


def outcome(tally: Tally, people: tuple[int, int]) -> list[str]:
    """How many tasks and answers came of it, and of how many people."""
    known, new = people
    tasks = ngettext("%(count)s task", "%(count)s tasks", tally.tasks) % {"count": in_numbers(tally.tasks)}
    answers = ngettext("%(count)s answer", "%(count)s answers", tally.added) % {"count": in_numbers(tally.added)}
    return [
        _("%(tasks)s and %(answers)s added") % {"tasks": tasks, "answers": answers},
        described_people(known, new),
    ]


def described_people(known: int, new: int) -> str:
    total = ngettext("%(count)s person", "%(count)s people", known + new) % {"count": in_numbers(known + new)}
    with_account = ngettext("%(count)s has an account", "%(count)s have an account", known) % {
        "count": in_numbers(known)
    }
    without = ngettext("%(count)s gets an account without sign-in", "%(count)s get an account without sign-in", new) % {
        "count": in_numbers(new)
    }
    return f"{total}: {', '.join(part for part, count in ((with_account, known), (without, new)) if count) or '–'}"


def listed(names: Iterable[Any], most: int = 8) -> str:
    names = list(names)
    return ", ".join(map(str, names[:most])) + (" …" if len(names) > most else "")
