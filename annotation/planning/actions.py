"""Keep a plan, say which batch it is for, delete it."""

from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from annotation.core.errors import Conflict, InvalidInput
from annotation.core.events import record
from annotation.core.time_zones import today_in
from annotation.core.typed_text import checked_line
from annotation.models import Batch, Plan, Project, User
from annotation.planning.estimate import Results
from annotation.planning.wanted import Wanted, check_wanted

LONGEST_NAME = 120


def keep_plan(
    *,
    project: Project,
    name: str,
    kind: str,
    pilot: Batch | None,
    wanted: Wanted,
    results: Results,
    basis: dict[str, Any],
    batch: Batch | None,
    actor: User | None,
) -> Plan:
    """Store a plan as it was computed; `batch` is the one that it is for, or None so far. Raises `InvalidInput`."""
    name = checked_line(name, field="name", limit=LONGEST_NAME, missing=_("Give the plan a name."))
    check_wanted(wanted, today_in(project))
    refuse_other(project, kind, batch)
    with transaction.atomic():
        plan = Plan.objects.create(
            project=project,
            name=name,
            kind=kind,
            pilot=pilot,
            wanted=wanted.as_json(),
            results=results.as_json(),
            basis=basis,
            batch=batch,
            created_by=actor,
        )
        record(verb="plan.kept", target=plan, actor=actor, project=project, after=values_of(plan))
    return plan


def assign_plan(*, plan: Plan, batch: Batch | None, actor: User | None) -> Plan:
    """Compare the plan with this batch from now on; None: with none. Raises `InvalidInput` and `Conflict`."""
    refuse_other(plan.project, plan.kind, batch)
    with transaction.atomic():
        row = locked(plan)
        if row is None:
            raise Conflict(_("The plan was deleted."))
        before, row.batch = values_of(row), batch
        row.save(update_fields=["batch"])
        if before != values_of(row):
            record(
                verb="plan.assigned",
                target=row,
                actor=actor,
                project=row.project,
                before={"batch": before["batch"]},
                after={"batch": row.batch_id},
            )
    return row


def delete_plan(*, plan: Plan, actor: User | None) -> None:
    """The batch it was for stays as it is. Deleting it again does nothing."""
    with transaction.atomic():
        row = locked(plan)
        if row is None:
            return
        record(verb="plan.deleted", target=row, actor=actor, project=row.project, before=values_of(row))
        row.delete()


def locked(plan: Plan) -> Plan | None:
    return Plan.objects.select_for_update(of=("self",)).select_related("project").filter(pk=plan.pk).first()


def refuse_other(project: Project, kind: str, batch: Batch | None) -> None:
    if batch is not None and (batch.project_id != project.pk or batch.kind != kind):
        message = _("Choose a batch of the plan’s project and kind.")
        raise InvalidInput(message, [("batch", message)])


def values_of(plan: Plan) -> dict[str, Any]:
    return {
        "name": plan.name,
        "kind": plan.kind,
        "pilot": plan.pilot_id,
        "batch": plan.batch_id,
        "wanted": plan.wanted,
        "results": plan.results,
    }
