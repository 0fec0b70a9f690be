"""The list of runs as a table, with the form that starts one."""

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import Case, When
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from annotation.core.access import MANAGERS, STAFF, project_for, role_in
from annotation.models import Project, Role
from annotation.web.forms.actions import attempt
from annotation.web.http import SignedInRequest
from training.models import EngineJob, Run
from training.reports.run_table import group_heads, run_groups
from training.runs.create import create_run
from training.web.forms import RunForm

RUNS_A_PAGE = 30


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def index(request: SignedInRequest, slug: str) -> HttpResponse:
    project = project_for(request.user, slug, MANAGERS if request.method == "POST" else STAFF)
    manages = role_in(request.user, project) == Role.MANAGER
    form = RunForm(request.POST or None, project=project) if manages else None
    status = 200
    if request.method == "POST" and form is not None:
        status = 422
        done = attempt(form, lambda: create_run(actor=request.user, **form.values()))
        if not done.error:
            return redirect("run", done.result.pk)
    page = Paginator(group_heads(project), RUNS_A_PAGE).get_page(request.GET.get("page"))
    groups = run_groups(list(page))
    context = {
        "project": project,
        "section": "runs",
        "form": form,
        "page": page,
        "title": list_title(project),
        "groups": groups,
        "comparable": sum(len(group.rows) for group in groups) > 1,
        "open_form": form is not None and (bool(form.errors) or "start" in request.GET or not groups),
    }
    return render(request, "training/runs/runs.html", context, status=status)


def list_title(project: Project) -> str:
    """Read by one statement: a run that starts or ends meanwhile is seen once, in one of its states."""
    running, queued = EngineJob.Status.RUNNING, EngineJob.Status.QUEUED
    first = Case(When(status=running, then=0), When(status=queued, then=1), default=2)
    run = Run.objects.filter(project=project).order_by(first, "-pk").first()
    if run is None:
        return _("Nothing has been trained yet")
    if run.status == running:
        return _("Run %(number)s is training") % {"number": run.pk}
    if run.status == queued:
        return _("A run is queued")
    return IDLE[EngineJob.Status(run.status)] % {"number": run.pk}


IDLE = {
    EngineJob.Status.SUCCEEDED: gettext_lazy("Nothing is training; run %(number)s succeeded"),
    EngineJob.Status.FAILED: gettext_lazy("Nothing is training; run %(number)s failed"),
    EngineJob.Status.CANCELLED: gettext_lazy("Nothing is training; run %(number)s was cancelled"),
}
