"""Whether a project's dashboard would say anything new: what an open page asks every few seconds."""

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import OuterRef, Subquery, Sum
from django.utils import timezone

from annotation.models import Analysis, Event, Project, SlotCount
from annotation.text.digests import text_digest

# Ages and “working now” change without an event.
PERIOD_SECONDS = 300


def state_of(project: Project) -> str:
    """Changes with the counts of tasks, the newest event, each analysis, and every five minutes. One query, by indexes,
    whatever the project's size. The counts are there because an event of a long transaction is older than it seems."""
    events = Event.objects.filter(project=OuterRef("pk")).order_by("-at", "-pk").values("pk")
    analyses = Analysis.objects.filter(project=OuterRef("pk")).order_by("-computed_at").values("computed_at")
    slots = SlotCount.objects.filter(batch__project=OuterRef("pk")).values("batch", "state")
    counts = slots.annotate(sum=Sum("slots")).order_by("batch", "state").values("sum")
    rows = Project.objects.filter(pk=project.pk).order_by()
    found = rows.values_list(Subquery(events[:1]), Subquery(analyses[:1]), ArraySubquery(counts)).get()
    return text_digest(f"{found} {int(timezone.now().timestamp()) // PERIOD_SECONDS}")[:16]
