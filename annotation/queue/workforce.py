"""Who may work on a batch, and the answers that a batch asks for and nobody there could give.

The rules are those of claiming: active members of any role; not those who failed the batch's test for good; nobody gets
a task twice, a task with a text of theirs, or, where the project says so, a prompt that they had elsewhere.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from annotation.core.errors import InvalidInput
from annotation.models import Batch, Event, Membership, Qualification, QualificationAttempt

# How many tasks of `made` are closed to how many of the people; tasks that are closed to nobody are not counted.
CLOSED_TO = """
    SELECT people, count(*) FROM (
        SELECT count(*) AS people FROM (
            SELECT m.prompt_id, m.candidate_ids, c.origin AS person
            FROM annotation_candidate c JOIN made m ON m.prompt_id = c.prompt_id AND c.id = ANY(m.candidate_ids)
            WHERE c.origin = ANY(%(writers)s)
            {seen}
        ) AS pairs GROUP BY prompt_id, candidate_ids
    ) AS each_task GROUP BY people
"""
SEEN = """
            UNION SELECT m.prompt_id, m.candidate_ids, 'human:' || a.annotator_id
            FROM made m JOIN annotation_task t ON t.prompt_id = m.prompt_id
                JOIN annotation_assignment a ON a.task_id = t.id
            WHERE a.annotator_id = ANY(%(people)s)
"""


@dataclass(frozen=True)
class Workforce:
    """`people` may work on the batch, `untested` of them once they pass its test; `barred` have no attempt left."""

    people: tuple[int, ...]
    untested: int = 0
    barred: int = 0


@dataclass(frozen=True)
class Shortage:
    """A batch asks for more answers than its people can give: `missing` of `answers`, in `tasks` tasks, of which each
    asks for `overlap` answers. `people` may work on the batch, `fewest` on the task that is open to the fewest."""

    people: int
    barred: int
    overlap: int
    answers: int
    missing: int
    tasks: int
    fewest: int


class TooFewPeople(InvalidInput):
    """The batch would ask for answers that nobody can give."""


def workforce_of(batch: Batch, members: Iterable[int] | None = None) -> Workforce:
    """Of a batch with or without a row; `members` are the project's active ones, if they are known. Three queries."""
    rows = Membership.objects.filter(project=batch.project_id, user__is_active=True).order_by("user_id")
    people = tuple(rows.values_list("user_id", flat=True) if members is None else members)
    if batch.qualification is None:
        return Workforce(people)
    attempts = QualificationAttempt.objects.filter(qualification=batch.qualification, user__in=people)
    taken: Counter[int] = Counter()
    passed, running = set(), set()
    for user, has_passed, finished_at in attempts.values_list("user_id", "passed", "finished_at"):
        taken[user] += 1
        if has_passed:
            passed.add(user)
        if finished_at is None:
            running.add(user)
    granted = granted_to(batch.qualification)
    hopeful = {
        person
        for person in people
        if person not in passed
        and (person in running or taken[person] < batch.qualification.attempts + granted.get(person, 0))
    }
    able = tuple(person for person in people if person in passed or person in hopeful)
    return Workforce(able, untested=len(hopeful), barred=len(people) - len(able))


def granted_to(qualification: Qualification) -> dict[int, int]:
    """How many further attempts managers granted, by user id, counted from the events."""
    events = Event.objects.filter(
        object_type="qualification", object_id=qualification.pk, verb="qualification.attempt_granted"
    )
    counted: dict[int, int] = {}
    for user_id in events.values_list("after__user", flat=True):
        counted[user_id] = counted.get(user_id, 0) + 1
    return counted


def find_shortage(batch: Batch, workforce: Workforce) -> Shortage | None:
    """Whether the tasks in the temporary table `made` (see `batch_plan`) ask for more people than there are."""
    count, people = batch.selection["tasks"], len(workforce.people)
    closed = count_closed(batch, workforce) if people else {}
    closed[0] = count - sum(closed.values())
    open_to = {people - away: tasks for away, tasks in closed.items() if tasks}
    missing = sum(tasks * max(0, batch.overlap - able) for able, tasks in open_to.items())
    if not missing:
        return None
    return Shortage(
        people=people,
        barred=workforce.barred,
        overlap=batch.overlap,
        answers=count * batch.overlap,
        missing=missing,
        tasks=sum(tasks for able, tasks in open_to.items() if able < batch.overlap),
        fewest=min(open_to),
    )


def count_closed(batch: Batch, workforce: Workforce) -> dict[int, int]:
    """How many tasks are closed to how many people, where it is one at least."""
    params: dict[str, Any] = {
        "people": list(workforce.people),
        "writers": [f"human:{person}" for person in workforce.people],
    }
    with connection.cursor() as cursor:
        cursor.execute(CLOSED_TO.format(seen=SEEN if batch.project.avoid_seen else ""), params)
        return dict(cursor.fetchall())


def describe_shortage(shortage: Shortage) -> str:
    """What is missing, and what to do about it."""
    values = {
        "people": shortage.people,
        "overlap": shortage.overlap,
        "missing": f"{shortage.missing:,}",
        "answers": f"{shortage.answers:,}",
        "tasks": f"{shortage.tasks:,}",
        "fewest": shortage.fewest,
    }
    sentences = [too_few(shortage) % values]
    if shortage.barred:
        sentence = ngettext(
            "%(count)s member failed the test and has no attempt left.",
            "%(count)s members failed the test and have no attempt left.",
            shortage.barred,
        )
        sentences.append(sentence % {"count": shortage.barred})
    sentences.append(remedy(shortage) % values)
    return " ".join(sentences)


def too_few(shortage: Shortage) -> str:
    if not shortage.people:
        return _("Nobody may work on this batch: none of its %(answers)s answers can be given.")
    if shortage.people < shortage.overlap:
        return ngettext(
            "Each task asks for %(overlap)s annotators, but only %(people)s person may work on this batch: "
            "%(missing)s of %(answers)s answers cannot be given.",
            "Each task asks for %(overlap)s annotators, but only %(people)s people may work on this batch: "
            "%(missing)s of %(answers)s answers cannot be given.",
            shortage.people,
        )
    return ngettext(
        "%(tasks)s task cannot get %(overlap)s answers, because members wrote its texts or have had its prompt: "
        "%(missing)s of %(answers)s answers cannot be given.",
        "%(tasks)s tasks cannot get %(overlap)s answers, because members wrote their texts or have had their prompts: "
        "%(missing)s of %(answers)s answers cannot be given.",
        shortage.tasks,
    )


def remedy(shortage: Shortage) -> str:
    if not shortage.people:
        return _("Add people to the project first.")
    if shortage.people < shortage.overlap:
        return ngettext(
            "Set annotators per task to %(people)s, or add people to the project first.",
            "Set annotators per task to %(people)s or fewer, or add people to the project first.",
            shortage.people,
        )
    if not shortage.fewest:
        return _("Take texts of other origins, or add people to the project first.")
    return ngettext(
        "Set annotators per task to %(fewest)s, take texts of other origins, or add people to the project first.",
        "Set annotators per task to %(fewest)s or fewer, take texts of other origins, or add people to the project "
        "first.",
        shortage.fewest,
    )


def recorded_shortage(batch: Batch) -> str | None:
    """What a batch that is open was short of when it opened; None when nothing was, or it was opened before that was
    recorded."""
    recorded: Mapping[str, Any] | None = batch.selection.get("shortage")
    if recorded is None or batch.status != Batch.Status.OPEN:
        return None
    shortage = Shortage(**recorded)
    values = {"missing": f"{shortage.missing:,}", "answers": f"{shortage.answers:,}", "people": shortage.people}
    sentence = ngettext(
        "When this batch opened, %(people)s person could work on it: %(missing)s of its %(answers)s answers could not "
        "be given.",
        "When this batch opened, %(people)s people could work on it: %(missing)s of its %(answers)s answers could not "
        "be given.",
        shortage.people,
    )
    return sentence % values


def people_now(batch: Batch, members: Iterable[int]) -> str:
    people = len(workforce_of(batch, members).people)
    sentence = ngettext("%(people)s person may work on it now.", "%(people)s people may work on it now.", people)
    advice = _("Add people to the project, or close the batch when the other answers are there.")
    return sentence % {"people": people} + (f" {advice}" if people < batch.overlap else "")
