"""Whether a project's dashboard would say anything new: what an open page asks every few seconds."""

from typing import NamedTuple

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import OuterRef, Subquery, Sum
from django.db.models.functions import JSONObject
from django.utils import timezone

from annotation.models import Analysis, Batch, Event, Plan, Project, SlotCount
from annotation.text.digests import text_digest

# Ages and “working now” change without an event.
PERIOD_SECONDS = 300


class State(NamedTuple):
    """`digest` changes with the counts of tasks, the newest event, each analysis, and every five minutes; `plan` is the
    newest plan for an open batch, with its name and results."""

    digest: str
    plan: Plan | None


def state_of(project: Project) -> State:
    """One query, by indexes, whatever the project's size. The digest has counts because an event of a long transaction
    is older than it seems."""
    events = Event.objects.filter(project=OuterRef("pk")).order_by("-at", "-pk").values("pk")
    analyses = Analysis.objects.filter(project=OuterRef("pk")).order_by("-computed_at").values("computed_at")
    slots = SlotCount.objects.filter(batch__project=OuterRef("pk")).values("batch", "state")
    counts = slots.annotate(sum=Sum("slots")).order_by("batch", "state").values("sum")
    plans = Plan.objects.filter(project=OuterRef("pk"), batch__status=Batch.Status.OPEN).order_by("-pk")
    plan = plans.values(found=JSONObject(pk="pk", name="name", results="results"))
    rows = Project.objects.filter(pk=project.pk).order_by()
    *news, planned = rows.values_list(
        Subquery(events[:1]), Subquery(analyses[:1]), ArraySubquery(counts), Subquery(plan[:1])
    ).get()
    period = int(timezone.now().timestamp()) // PERIOD_SECONDS
    return State(text_digest(f"{news} {period}")[:16], Plan(**planned) if planned else None)
