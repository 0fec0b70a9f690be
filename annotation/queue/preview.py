"""What a batch would be before it opens: its tasks, answers and hours, and whether there are enough people for it."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from annotation.models import Batch, Project, Prompt, Qualification
from annotation.queue.arms import selection_sentences
from annotation.queue.batch_plan import clear_tasks, deal_tasks, plan_batch
from annotation.queue.batches import new_seed
from annotation.queue.left_out import left_out_sentences
from annotation.queue.overlap import annotators_per_task
from annotation.queue.pace import ENOUGH_ANSWERS, Pace, pace_of
from annotation.queue.prompt_selection import PromptSelection
from annotation.queue.workforce import Shortage, Workforce, describe_shortage, find_shortage, workforce_of
from annotation.text.formatting import duration, rough_duration


@dataclass(frozen=True)
class Preview:
    batch: Batch  # without a row; its selection counts tasks and what is left out
    workforce: Workforce
    pace: Pace
    shortage: Shortage | None

    @property
    def tasks(self) -> int:
        return int(self.batch.selection["tasks"])

    @property
    def answers(self) -> int:
        """That it opens with."""
        return self.tasks * self.batch.overlap

    @property
    def most_answers(self) -> int:
        """Where the overlap is adaptive, and every task unsure; people who may work on it limit it, too."""
        return self.tasks * max(self.batch.overlap, min(self.batch.most, len(self.workforce.people)))

    @property
    def possible(self) -> int:
        """The answers that somebody can give."""
        return self.answers - (self.shortage.missing if self.shortage else 0)

    def sentences(self) -> list[str]:
        """For the page and the command: the amount, the hours and where they come from, tests, what is left out."""
        lines = [amount_sentence(self), hours_sentence(self), *adaptive_sentences(self), pace_sentence(self.pace)]
        if self.workforce.untested:
            lines.append(untested_sentence(self.workforce))
        lines += selection_sentences(self.batch.selection)
        return [*lines, *(f"{sentence}." for sentence in left_out_sentences(self.batch.selection))]

    def warning(self) -> str | None:
        return describe_shortage(self.shortage) if self.shortage else None


def preview_batch(
    *,
    project: Project,
    kind: str,
    overlap: int | None = None,
    prompts: QuerySet[Prompt] | PromptSelection | None = None,
    origins: Sequence[str] | None = None,
    alternatives: int | None = None,
    qualification: Qualification | None = None,
    seed: int | None = None,
    overlap_most: int | None = None,
    sure: float | None = None,
) -> Preview:
    """What `open_batch` would open with these arguments. Nothing is written. Raises what `open_batch` raises."""
    with transaction.atomic():
        batch = plan_batch(
            project=project,
            kind=kind,
            overlap=overlap,
            origins=origins,
            alternatives=alternatives,
            qualification=qualification,
            seed=new_seed() if seed is None else seed,
            overlap_most=overlap_most,
            sure=sure,
        )
        batch.selection = deal_tasks(batch, prompts)
        workforce = workforce_of(batch)
        shortage = find_shortage(batch, workforce)
        clear_tasks()
    return Preview(batch, workforce, pace_of(batch), shortage)


def preview_of(batch: Batch) -> Preview:
    """Of a batch that has just been opened."""
    shortage = batch.selection.get("shortage")
    return Preview(batch, workforce_of(batch), pace_of(batch), Shortage(**shortage) if shortage else None)


def amount_sentence(preview: Preview) -> str:
    tasks, answers, batch = preview.tasks, preview.answers, preview.batch
    counted = ngettext("%(count)s answer", "%(count)s answers", answers) % {"count": f"{answers:,}"}
    if batch.overlap_most is not None:
        values = {"least": f"{answers:,}", "most": f"{tasks * batch.overlap_most:,}"}
        counted = _("%(least)s to %(most)s answers") % values
    return _("%(tasks)s × %(annotators)s = %(answers)s.") % {
        "tasks": ngettext("%(count)s task", "%(count)s tasks", tasks) % {"count": f"{tasks:,}"},
        "annotators": annotators_per_task(batch.overlap, batch.overlap_most),
        "answers": counted,
    }


def adaptive_sentences(preview: Preview) -> list[str]:
    batch, people = preview.batch, len(preview.workforce.people)
    if batch.overlap_most is None:
        return []
    sentence = _(
        "Each task begins with %(least)s answers and gets one more at a time, up to %(most)s, while its label is "
        "unsure."
    )
    lines = [sentence % {"least": batch.overlap, "most": batch.overlap_most}]
    if batch.overlap < people < batch.overlap_most:
        sentence = ngettext(
            "Only %(count)s person may work on this batch: no task gets more answers than that.",
            "Only %(count)s people may work on this batch: no task gets more answers than that.",
            people,
        )
        lines.append(sentence % {"count": people})
    return lines


def hours_sentence(preview: Preview) -> str:
    """Of the answers that can be given; of all, where nobody can give any."""
    answers, people = preview.possible or preview.answers, len(preview.workforce.people)
    values = {
        "hours": rough_duration(answers * preview.pace.median),
        "low": rough_duration(answers * preview.pace.low),
        "high": rough_duration(answers * preview.pace.high),
        "each": rough_duration(answers * preview.pace.median / max(people, 1)),
        "people": people,
        "answers": f"{answers:,}",
    }
    if preview.batch.overlap_most is not None and not preview.shortage:
        values["high"] = rough_duration(preview.most_answers * preview.pace.high)
        values["most"] = rough_duration(preview.most_answers * preview.pace.median)
        return _("About %(hours)s to %(most)s of work in all (%(low)s to %(high)s).") % values
    if not people:
        return _("About %(hours)s of work (%(low)s to %(high)s).") % values
    if preview.shortage and preview.possible:
        sentence = ngettext(
            "About %(hours)s of work (%(low)s to %(high)s) for the %(answers)s answers that can be given, by "
            "%(people)s person.",
            "About %(hours)s of work (%(low)s to %(high)s) for the %(answers)s answers that can be given: %(each)s for "
            "each of %(people)s people.",
            people,
        )
        return sentence % values
    sentence = ngettext(
        "About %(hours)s of work (%(low)s to %(high)s), for %(people)s person who may work on it.",
        "About %(hours)s of work (%(low)s to %(high)s): %(each)s for each of the %(people)s people who may work on it.",
        people,
    )
    return sentence % values


def pace_sentence(pace: Pace) -> str:
    values = {
        "median": duration(pace.median),
        "low": duration(pace.low),
        "high": duration(pace.high),
        "answers": f"{pace.answers:,}",
        "enough": ENOUGH_ANSWERS,
    }
    if pace.is_measured:
        return (
            _(
                "Measured on %(answers)s answers to such tasks in this project: the median is %(median)s of active "
                "time, half of them took %(low)s to %(high)s."
            )
            % values
        )
    sentence = ngettext(
        "Assumed: %(median)s per answer, %(low)s to %(high)s. This project has %(answers)s answer to such tasks "
        "with a recorded time; from %(enough)s on, their median is used.",
        "Assumed: %(median)s per answer, %(low)s to %(high)s. This project has %(answers)s answers to such tasks "
        "with a recorded time; from %(enough)s on, their median is used.",
        pace.answers,
    )
    return sentence % values


def untested_sentence(workforce: Workforce) -> str:
    sentence = ngettext(
        "%(count)s of them has to pass the test first.",
        "%(count)s of them have to pass the test first.",
        workforce.untested,
    )
    return sentence % {"count": workforce.untested}
