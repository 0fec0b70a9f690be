"""Who withdrew consent, and which dataset versions contain their answers: for rooms that must not go on with either."""

from collections.abc import Collection

from django.utils.translation import gettext as _

from annotation.core.errors import Conflict
from annotation.models import DatasetSuccessor, DatasetVersion, Project, User, Withdrawal


def withdrawal_of(project: Project | int, person: User) -> Withdrawal | None:
    """The person's withdrawal that is in effect in the project."""
    rows = Withdrawal.objects.filter(project=project, person=person, ended_at=None)
    return rows.select_related("project", "person").first()


def refuse_withdrawn(project: Project | int, person: User) -> None:
    """Raise Conflict where this person's consent is withdrawn: nothing of theirs is taken until they consent again."""
    if withdrawal_of(project, person) is not None:
        raise Conflict(
            _("Consent of %(person)s is withdrawn in this project. They can consent again on their own page.")
            % {"person": person}
        )


def state_of(project: Project) -> tuple[tuple[object, ...], ...]:
    """Changes whenever consent is withdrawn or given again."""
    rows = Withdrawal.objects.filter(project=project).order_by("pk")
    return tuple(rows.values_list("pk", "mode", "ended_at"))


def withdrawn_datasets(project: Project | int) -> set[int]:
    """The project's dataset versions that contain answers of people whose consent is withdrawn. Answers that were
    erased stay withdrawn when the person consents again."""
    rows = Withdrawal.objects.filter(project=project).exclude(ended_at__isnull=False, erased_at=None)
    return {row["dataset"] for reached in rows.values_list("reached", flat=True) for row in reached}


def refuse_withdrawn_dataset(version: DatasetVersion) -> None:
    """Raise Conflict for a dataset version that nothing may be trained on any more; the message says what to use."""
    if version.pk not in withdrawn_datasets(version.project_id):
        return
    newest = successors([version.pk]).get(version.pk)
    if newest is None:
        raise Conflict(
            _("dataset %(number)s contains answers of somebody who withdrew consent: freeze it again")
            % {"number": version.pk}
        )
    raise Conflict(
        _("dataset %(number)s contains answers of somebody who withdrew consent: use dataset %(newer)s instead")
        % {"number": version.pk, "newer": newest}
    )


def successors(datasets: Collection[int]) -> dict[int, int]:
    """{dataset: the newest version that superseded it}, of those that were superseded."""
    projects = DatasetVersion.objects.filter(pk__in=datasets).values("project")
    rows = DatasetSuccessor.objects.filter(dataset__project__in=projects)
    next_of = dict(rows.values_list("dataset", "successor"))
    newest = {}
    for dataset in datasets:
        line = [dataset]
        while (later := next_of.get(line[-1])) is not None and later not in line:
            line.append(later)
        if len(line) > 1:
            newest[dataset] = line[-1]
    return newest
