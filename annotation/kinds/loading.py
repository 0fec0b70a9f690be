"""Loads what the page of one task shows. It runs for every task that is served, so its queries are prepared."""

from collections.abc import Iterable

from annotation.core.prepared import execute, select
from annotation.kinds.presentation import PresentedTask, distinct, lettered
from annotation.kinds.registry import KINDS
from annotation.kinds.side_order import presented_order
from annotation.models import Aspect, Assignment, ReasonTag

TEXTS = "SELECT id, text FROM annotation_candidate WHERE id = ANY(%(ids)s)"
ASPECTS = "project_id = %(project)s AND retired_at IS NULL ORDER BY position, id"
TAGS = "project_id = %(project)s ORDER BY position, id"


def aspects_by_key(projects: Iterable[int]) -> dict[int, dict[str, Aspect]]:
    """The aspects of each project in their order, for describing answers: retired ones too."""
    found: dict[int, dict[str, Aspect]] = {project: {} for project in projects}
    if found:
        for aspect in Aspect.objects.filter(project__in=found):
            found[aspect.project_id][aspect.key] = aspect
    return found


def show(assignment: Assignment, *, like: PresentedTask | None = None) -> PresentedTask:
    """Load what the page of this task needs: two queries at most (three with the weights), whatever the size of the
    batch. `like` is a task of the same batch that was just shown: its aspects and tags are reused."""
    batch, task = assignment.batch, assignment.task
    kind = KINDS[batch.kind]
    sides = []
    if task.candidate_ids:
        order = presented_order(seed=batch.seed, task_id=task.pk, candidate_ids=task.candidate_ids)
        texts: dict[int, str] = task.texts or dict(execute(TEXTS, {"ids": order}))
        sides = lettered([(pk, texts[pk]) for pk in order])
    if kind.compares:
        sides = distinct(sides)
    aspects, tags, weights = [], [], None
    if kind.uses_aspects:
        aspects = like.aspects if like else select(Aspect, ASPECTS, {"project": batch.project_id})
        if batch.project.show_total and batch.weight_set is not None:
            weights = batch.weight_set.weights
    if kind.uses_reasons:
        tags = [*like.tags, *like.retired] if like else select(ReasonTag, TAGS, {"project": batch.project_id})
    return PresentedTask(
        assignment=assignment,
        project=batch.project,
        prompt=task.prompt,
        sides=sides,
        aspects=aspects,
        tags=[tag for tag in tags if tag.retired_at is None],
        retired=[tag for tag in tags if tag.retired_at is not None],
        weights=weights,
    )
