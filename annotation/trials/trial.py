"""A trial: the tasks of a clause again, in two batches, so that each annotator sees one version of the guideline."""

import random
from collections import defaultdict
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from annotation.core.errors import Conflict, InvalidInput
from annotation.core.events import record
from annotation.core.exclusions import usable_prompts
from annotation.kinds import KINDS
from annotation.models import (
    Batch,
    Candidate,
    Guideline,
    GuidelineClause,
    Membership,
    Project,
    Role,
    Task,
    TrialArm,
    TrialPerson,
    User,
    WeightSet,
)
from annotation.queue.batches import insert_slots, new_seed
from annotation.trials.clauses import Status, locked
from annotation.trials.grouping import tasks_of

FEWEST_PER_ARM = 2  # answers to a task; with fewer there is no agreement
Shape = tuple[str, int]  # kind, alternatives


def start_trial(
    *, clause: GuidelineClause, overlap: int = FEWEST_PER_ARM, priority: int = 0, seed: int | None = None, actor: User
) -> GuidelineClause:
    """Open the trial's batches, with `overlap` answers to each task in each arm, and draw who sees which version.

    Half of the project's annotators see the present guideline, half the one with the clause at its end. Tasks whose
    prompt is withdrawn or whose texts were erased are left out, and those that are neither choosing nor scoring, where
    agreement cannot be measured.
    Raises InvalidInput by field, and Conflict when it is no draft, or another clause is being tried.
    """
    with transaction.atomic():
        clause = locked(clause, Status.DRAFT)
        by_shape = tasks_to_repeat(clause)
        people = annotators_of(clause.project)
        if not FEWEST_PER_ARM <= overlap <= len(people) // 2:
            message = _(
                "Each version needs at least two annotators per task, and no more than half of the project's "
                "%(people)s annotators."
            ) % {"people": len(people)}
            raise InvalidInput(message, [("overlap", message)])
        present = Guideline.objects.filter(project=clause.project).order_by("-version").first()
        if present is None:
            raise InvalidInput(_("The project has no guideline to add a clause to: publish one first."))
        clause.seed = new_seed() if seed is None else seed
        clause.based_on, clause.proposed = present, f"{present.text.rstrip()}\n\n{clause.text}\n"
        clause.status = Status.TRIAL
        try:
            with transaction.atomic():
                clause.save(update_fields=["seed", "based_on", "proposed", "status"])
        except IntegrityError:
            raise Conflict(_("Another clause is being tried. Adopt or discard that one first.")) from None
        arms = draw_arms(people, clause.seed)
        TrialPerson.objects.bulk_create(
            TrialPerson(clause=clause, annotator_id=person, arm=arm) for person, arm in arms.items()
        )
        for shape, tasks in by_shape.items():
            for arm in TrialArm.values:
                open_arm(clause, shape, tasks, arm, overlap=overlap, priority=priority, actor=actor)
        after: dict[str, Any] = {"overlap": overlap, "seed": clause.seed, "based_on": present.version}
        after |= {"people": {str(person): arm for person, arm in arms.items()}}
        after |= {"tasks": [task.pk for tasks in by_shape.values() for task in tasks]}
        record(verb="clause.tried", target=clause, actor=actor, project=clause.project, after=after)
    return clause


def annotators_of(project: Project) -> list[int]:
    """The project's annotators who can work, by id."""
    rows = Membership.objects.filter(project=project, role=Role.ANNOTATOR, user__is_active=True, paused_at=None)
    return sorted(rows.values_list("user", flat=True))


def draw_arms(people: list[int], seed: int) -> dict[int, str]:
    """The arm of each person: as many in one as in the other, or one more."""
    shuffled = random.Random(seed).sample(people, len(people))
    arms = random.Random(f"{seed}:arms").sample(TrialArm.values, 2)
    return {person: arms[place % 2] for place, person in enumerate(shuffled)}


def tasks_to_repeat(clause: GuidelineClause) -> dict[Shape, list[Task]]:
    """The clause's tasks that can be shown again, by the shape of their batch. Raises InvalidInput for none."""
    tasks = [task for task in tasks_of(clause.project, clause.task_ids) if KINDS[task.batch.kind].is_testable]
    usable = set(
        usable_prompts(clause.project).filter(pk__in=[task.prompt_id for task in tasks]).values_list("pk", flat=True)
    )
    shown = {key for task in tasks for key in task.candidate_ids}
    whole = set(Candidate.objects.filter(pk__in=shown).exclude(text="").values_list("pk", flat=True))
    found: dict[Shape, list[Task]] = defaultdict(list)
    for task in tasks:
        if task.prompt_id in usable and whole.issuperset(task.candidate_ids):
            found[task.batch.kind, task.batch.alternatives].append(task)
    if not found:
        raise InvalidInput(
            _("None of these tasks can be tried again: they are neither choosing nor scoring, or withdrawn.")
        )
    return found


def open_arm(
    clause: GuidelineClause, shape: Shape, tasks: list[Task], arm: str, *, overlap: int, priority: int, actor: User
) -> Batch:
    """One arm's batch of these tasks. Both arms have the same name, seed and order: nothing tells them apart."""
    kind, alternatives = shape
    weights = WeightSet.objects.filter(project=clause.project).first() if KINDS[kind].uses_aspects else None
    batch = Batch.objects.create(
        project=clause.project,
        name=_("Trial of a guideline"),
        kind=kind,
        alternatives=alternatives,
        overlap=overlap,
        priority=priority,
        weight_set=weights,
        seed=clause.seed or 0,
        selection={"origins": None, "prompts": len({task.prompt_id for task in tasks}), "tasks": len(tasks)},
        trial=clause,
        trial_arm=arm,
        created_by=actor,
    )
    order = random.Random(clause.seed).sample(tasks, len(tasks))
    Task.objects.bulk_create(
        Task(batch=batch, prompt_id=task.prompt_id, candidate_ids=task.candidate_ids, position=position)
        for position, task in enumerate(order, 1)
    )
    insert_slots(batch)
    after = {"kind": kind, "overlap": overlap, "trial": clause.pk, "arm": arm, **batch.selection}
    record(verb="batch.opened", target=batch, actor=actor, project=clause.project, after=after)
    return batch


def guideline_of(batch: Batch) -> str:
    """The text that the annotators of a trial's batch work by."""
    clause = batch.trial
    assert clause is not None
    assert clause.based_on is not None
    return clause.proposed if batch.trial_arm == TrialArm.PROPOSED else clause.based_on.text
