"""Decided tasks by cause, and by whether the best people disagree with the crowd: then the guideline is at fault rather
than a person."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from annotation.analyses.intervals import Estimate, wilson
from annotation.core.exclusions import is_excluded
from annotation.kinds import KINDS
from annotation.models import Adjudication, Annotation, Project, Task
from annotation.quality.run import newest

MOST_DECISIONS = 2_000  # the newest; more are not looked at
AGAINST, WITH, UNKNOWN = "against", "with", "unknown"


@dataclass
class Group:
    """Decided tasks of one cause, newest first, by how their best people answered: against the crowd's majority, with
    it, or unknown (none of them answered, or one side has no majority)."""

    cause: str
    decisions: list[Adjudication] = field(default_factory=list)
    verdicts: dict[int, str] = field(default_factory=dict)  # by task

    def of(self, verdict: str) -> list[Adjudication]:
        return [row for row in self.decisions if self.verdicts[row.task_id] == verdict]

    @property
    def compared(self) -> int:
        """How many tasks have both majorities."""
        return sum(verdict != UNKNOWN for verdict in self.verdicts.values())

    @property
    def against(self) -> Estimate | None:
        """The share of these in which the best people disagree with the crowd."""
        return estimate(len(self.of(AGAINST)), self.compared)


@dataclass(frozen=True)
class Grouping:
    """`best` are the ids of the best people, empty where nobody can be told apart. `measured`: how many people have an
    estimated accuracy. `is_cut`: there are older decisions."""

    groups: list[Group]
    best: frozenset[int]
    measured: int
    is_cut: bool

    @property
    def total(self) -> int:
        return sum(len(group.decisions) for group in self.groups)

    def share(self, group: Group) -> Estimate | None:
        """The group's share of all decisions."""
        return estimate(len(group.decisions), self.total)


def estimate(hits: int, n: int) -> Estimate | None:
    """With Wilson's interval: each task counts once. None without any."""
    return Estimate(hits / n, *wilson(hits / n, n), n, hits) if n else None


def group_decisions(project: Project) -> Grouping:
    """The newest decisions of the project, by cause: a few queries."""
    rows = Adjudication.objects.filter(batch__project=project, batch__trial=None).select_related("task", "batch")
    decisions = list(rows.order_by("-pk")[: MOST_DECISIONS + 1])
    is_cut = len(decisions) > MOST_DECISIONS
    decisions = decisions[:MOST_DECISIONS]
    analysis = newest(project)
    people = analysis.result["people"] if analysis else []
    best = best_people(people)
    answers = answers_to(row.task_id for row in decisions)
    groups = {cause: Group(cause) for cause in Adjudication.Cause.values}
    for row in decisions:
        group = groups[row.cause]
        group.decisions.append(row)
        group.verdicts[row.task_id] = verdict_of(row.batch.kind, answers[row.task_id], best)
    return Grouping(
        groups=[group for group in groups.values() if group.decisions],
        best=best,
        measured=sum(row["accuracy"] is not None for row in people),
        is_cut=is_cut,
    )


def best_people(people: Iterable[Mapping[str, Any]]) -> frozenset[int]:
    """Those whose estimated accuracy is above everybody's mean with its whole interval; empty where that is nobody, or
    everybody. `people` is that of `annotation.quality.results`."""
    measured = {row["person"]: row["accuracy"] for row in people if row["accuracy"] is not None}
    if len(measured) < 2:
        return frozenset()
    mean = sum(found["value"] for found in measured.values()) / len(measured)
    return frozenset(person for person, found in measured.items() if found["low"] > mean)


def answers_to(tasks: Iterable[int]) -> Mapping[int, list[tuple[int, dict[str, Any]]]]:
    """(annotator, payload) of each current answer that is not excluded, by task."""
    found: dict[int, list[tuple[int, dict[str, Any]]]] = defaultdict(list)
    rows = Annotation.objects.filter(task__in=list(tasks), is_current=True)
    rows = rows.exclude(is_excluded(project="task__batch__project")).order_by("pk")
    for task, person, payload in rows.values_list("task", "annotator", "payload"):
        found[task].append((person, payload))
    return found


def verdict_of(kind: str, answers: Sequence[tuple[int, dict[str, Any]]], best: Collection[int]) -> str:
    """Whether the majorities of the best people and of the others differ in any question of the task."""
    compared = KINDS[kind]
    votes: dict[bool, dict[Any, Counter[Any]]] = {True: defaultdict(Counter), False: defaultdict(Counter)}
    for person, payload in answers:
        for question, value in compared.comparable(compared.parse(payload)):
            votes[person in best][question][value] += 1
    verdict = UNKNOWN
    for question, values in votes[True].items():
        one, other = majority(values), majority(votes[False][question])
        if one is None or other is None:
            continue
        if one != other:
            return AGAINST
        verdict = WITH
    return verdict


def majority(values: Counter[Any]) -> tuple[Any] | None:
    """The most frequent value, in a tuple since it may be None; None where there is none, or two are as frequent."""
    first = values.most_common(2)
    if not first or (len(first) == 2 and first[0][1] == first[1][1]):
        return None
    return (first[0][0],)


def notes_of(tasks: Iterable[int]) -> str:
    """The notes of these tasks' decisions, each once: what a clause begins with."""
    rows = Adjudication.objects.filter(task__in=list(tasks)).order_by("pk").values_list("note", flat=True)
    return "\n".join(dict.fromkeys(note.strip() for note in rows if note.strip()))


def tasks_of(project: Project, ids: Iterable[int]) -> list[Task]:
    """Those of these tasks that are the project's and no trial's, by id."""
    rows = Task.objects.filter(pk__in=list(ids), batch__project=project, batch__trial=None)
    return list(rows.select_related("batch", "prompt").order_by("pk"))
