"""A project's guideline: a page with all its versions, and the panel beside a task."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods

from annotation.core.access import project_for, role_in
from annotation.core.markdown import render_markdown
from annotation.models import Guideline, Role
from annotation.projects.guidelines import for_reader, record_reading
from annotation.web.http import SignedInRequest, signed_in
from annotation.web.parameters import row_id


@signed_in
@require_GET
def guideline(request: SignedInRequest, slug: str) -> HttpResponse:
    """The version that holds now, with what is new in it to this person; or an older one by `?version=`."""
    project = project_for(request.user, slug)
    versions = Guideline.objects.filter(project=project).select_related("created_by").defer("text")
    wanted = request.GET.get("version", "")
    reader = None
    if wanted:
        shown: Guideline | None = get_object_or_404(Guideline, project=project, version=row_id(wanted))
    else:
        reader = for_reader(request.user, project)
        shown = reader.guideline if reader else None
    context = {
        "project": project,
        "section": "guideline",
        "shown": shown,
        "versions": versions,
        "reader": reader,
        "html": render_markdown(shown.text) if shown else "",
        "manages": role_in(request.user, project) == Role.MANAGER,
    }
    return render(request, "annotation/guideline/guideline.html", context)


@never_cache
@signed_in
@require_http_methods(["GET", "POST"])
def panel(request: SignedInRequest, slug: str) -> HttpResponse:
    """What holds now, for the panel beside a task. POST: this person has read the `version` that they were shown."""
    project = project_for(request.user, slug)
    if request.method == "POST":
        version = request.POST.get("version", "")
        shown = get_object_or_404(Guideline, project=project, version=row_id(version))
        record_reading(guideline=shown, user=request.user)
        if not request.htmx:
            messages.success(request, _("Noted: you have read version %(version)s.") % {"version": shown.version})
            return redirect("guideline", slug)
    if not request.htmx:
        return redirect("guideline", slug)
    reader = for_reader(request.user, project)
    context = {
        "project": project,
        "reader": reader,
        "html": render_markdown(reader.guideline.text) if reader else "",
        "is_answer": request.method == "POST",
    }
    return render(request, "annotation/task_panels/guideline.html", context)
