"""(user, id) → object, or 404, for the rows of training."""

from collections.abc import Collection

from django.http import Http404

from annotation.core.access import MANAGERS, STAFF, Person, first_or_404, within
from annotation.models import Project, Role
from training.models import Checkpoint, Evaluation, Generation, LearningCurve, Round, Run


def run_for(user: Person, run_id: int, roles: tuple[Role, ...] = STAFF) -> Run:
    return first_or_404(
        within(Run.objects.select_related("project", "dataset", "parent"), user, roles).filter(pk=run_id)
    )


def runs_for(user: Person, project: Project, run_ids: Collection[int]) -> list[Run]:
    """The runs of this project with these ids, in order of id; 404 where one of them is not among them."""
    rows = within(Run.objects.select_related("project", "dataset", "parent", "checkpoint"), user, STAFF)
    runs = list(rows.filter(project=project, pk__in=run_ids).order_by("pk"))
    if len(runs) != len(set(run_ids)):
        raise Http404
    return runs


def checkpoint_for(user: Person, checkpoint_id: int, roles: tuple[Role, ...] = STAFF) -> Checkpoint:
    rows = Checkpoint.objects.select_related("project", "run", "parent", "dataset")
    return first_or_404(within(rows, user, roles).filter(pk=checkpoint_id))


def evaluation_for(user: Person, evaluation_id: int) -> Evaluation:
    rows = Evaluation.objects.select_related("project", "checkpoint")
    return first_or_404(within(rows, user, STAFF).filter(pk=evaluation_id))


def generation_for(user: Person, generation_id: int) -> Generation:
    return first_or_404(within(Generation.objects.select_related("project"), user, MANAGERS).filter(pk=generation_id))


def round_for(user: Person, round_id: int, roles: tuple[Role, ...] = STAFF) -> Round:
    return first_or_404(within(Round.objects.select_related("project"), user, roles).filter(pk=round_id))


def learning_curve_for(user: Person, curve_id: int) -> LearningCurve:
    rows = LearningCurve.objects.select_related("project", "dataset", "created_by")
    return first_or_404(within(rows, user, STAFF).filter(pk=curve_id))
