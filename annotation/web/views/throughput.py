"""When a project's answers were given, and by whom: the drill-down of its dashboard, filtered by the address."""

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from annotation.core.access import MANAGERS, project_for
from annotation.dashboards.throughput import throughput
from annotation.models import WorkCount
from annotation.web.forms.dashboards import ThroughputForm
from annotation.web.http import SignedInRequest


@never_cache
@login_required
@require_GET
def throughput_page(request: SignedInRequest, slug: str) -> HttpResponse:
    project = project_for(request.user, slug, MANAGERS)
    people = WorkCount.objects.filter(batch__project=project).order_by().values_list("annotator", flat=True).distinct()
    form = ThroughputForm(request.GET, project=project, people=list(people))
    found = throughput(project, form.asked()) if form.is_valid() else None

    def only(**changes: object) -> str:
        """This page with another filter; the others stay."""
        query = request.GET.copy()
        for key, value in changes.items():
            query[key] = str(value)
        return f"?{query.urlencode()}"

    context = {
        "project": project,
        "section": "progress",
        "form": form,
        "found": found,
        "hours": range(24),
        "person_heading": _("Person"),
        "batch_heading": _("Batch"),
        "people": [(str(who), only(person=who.pk), figures) for who, figures in found.people] if found else [],
        "batches": [
            (batch.name, reverse("batch", args=[batch.pk]), figures) for batch, figures in found.batches
        ] if found else [],
    }  # fmt: skip
    return render(request, "annotation/dashboards/throughput.html", context, status=200 if form.is_valid() else 422)
