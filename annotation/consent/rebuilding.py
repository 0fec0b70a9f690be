"""Freezes a superseded version again, with the same options and without withdrawn answers."""

from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from annotation.core.errors import Conflict
from annotation.core.events import record
from annotation.core.withdrawals import withdrawn_datasets
from annotation.datasets.freeze import freeze_dataset
from annotation.datasets.rows import ExportOptions
from annotation.datasets.without import Without, answered_in
from annotation.models import Annotation, DatasetSuccessor, DatasetVersion, User


def rebuild_dataset(*, version: DatasetVersion, actor: User | None) -> DatasetVersion:
    """The version that supersedes this one; it is frozen now, unless it was before. Labels that came since are in it.

    Raises Conflict where the version contains nothing that was withdrawn, or its answers are not out of the project's
    labels; InvalidInput as `freeze_dataset` does, such as where nothing is left to train on.
    """
    known = DatasetSuccessor.objects.filter(dataset=version).select_related("successor").first()
    if known is not None:
        return known.successor
    if version.pk not in withdrawn_datasets(version.project_id):
        raise Conflict(_("Dataset %(number)s contains no withdrawn answers.") % {"number": version.pk})
    successor = freeze_dataset(project=version.project, actor=actor, **options_of(version))
    if successor.pk == version.pk:
        raise Conflict(_("Dataset %(number)s would be the same again.") % {"number": version.pk})
    with transaction.atomic():
        row, is_new = DatasetSuccessor.objects.get_or_create(
            dataset=version, defaults={"successor": successor, "created_by": actor}
        )
        if is_new:
            after = {"successor": successor.pk, "sha256": successor.sha256}
            record(verb="dataset.superseded", target=version, actor=actor, project=version.project, after=after)
    return row.successor


def options_of(version: DatasetVersion) -> dict[str, Any]:
    """The arguments of `freeze_dataset` that the version was frozen with. What it left out by name and is not there any
    more, such as an answer that was erased, needs no leaving out."""
    selection = dict(version.selection)
    without = selection.pop("without", {})
    people = answered_in(version.project).filter(pk__in=without.get("people", ()))
    answers = Annotation.objects.filter(
        pk__in=without.get("answers", ()), task__batch__project=version.project_id, is_current=True
    )
    named = ("purpose", "format", "batches", "kinds")
    return {
        **{name: selection[name] for name in named if name in selection},
        "options": ExportOptions(**{key: value for key, value in selection.items() if key not in named}),
        "without": Without(
            people=tuple(sorted(people.values_list("pk", flat=True))),
            answers=tuple(sorted(answers.values_list("pk", flat=True))),
            simulated=without.get("simulated", False),
        ),
    }
