"""Whether a project's dashboard would say anything new: what an open page asks every few seconds."""

from typing import Any, NamedTuple

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import OuterRef, Subquery, Sum
from django.db.models.functions import JSONObject
from django.utils import timezone

from annotation.models import Analysis, Batch, Event, Plan, SlotCount
from annotation.text.digests import text_digest

# Ages and “working now” change without an event.
PERIOD_SECONDS = 300


class State(NamedTuple):
    """`digest` changes with the counts of tasks, the newest event, each analysis, and every five minutes; `plan` is the
    newest plan for an open batch, with its name and results."""

    digest: str
    plan: Plan | None


def news() -> dict[str, Any]:
    """What a project's state is made of, to annotate the query of the project with: read by indexes, whatever its size.

    The counts are there because an event of a long transaction is older than it seems.
    """
    events = Event.objects.filter(project=OuterRef("pk")).order_by("-at", "-pk").values("pk")
    analyses = Analysis.objects.filter(project=OuterRef("pk")).order_by("-computed_at").values("computed_at")
    slots = SlotCount.objects.filter(batch__project=OuterRef("pk")).values("batch", "state")
    counts = slots.annotate(sum=Sum("slots")).order_by("batch", "state").values("sum")
    plans = Plan.objects.filter(project=OuterRef("pk"), batch__status=Batch.Status.OPEN).order_by("-pk")
    plan = plans.values(found=JSONObject(pk="pk", name="name", results="results"))
    return {
        "newest_event": Subquery(events[:1]),
        "newest_analysis": Subquery(analyses[:1]),
        "slots_by_state": ArraySubquery(counts),
        "newest_plan": Subquery(plan[:1]),
    }


def state_of(project: Any) -> State:
    """Of a project that was read with `news()`."""
    seen = (project.newest_event, project.newest_analysis, project.slots_by_state)
    period = int(timezone.now().timestamp()) // PERIOD_SECONDS
    planned = project.newest_plan
    return State(text_digest(f"{seen} {period}")[:16], Plan(**planned) if planned else None)
