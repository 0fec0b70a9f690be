"""Exports of answers: for managers, each of whom sees their own."""

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import FileResponse, Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from annotation.core.access import MANAGERS, answer_export_for, project_for
from annotation.core.errors import Conflict
from annotation.exchange import requests
from annotation.exchange.columns import COLUMNS
from annotation.exchange.outcome import EXCLUDED, LEFT_OUT, NEVER, STATES, in_words, selection_in_words
from annotation.models import AnswerExport, Project, User
from annotation.web.downloads import download
from annotation.web.forms.actions import attempt
from annotation.web.forms.exports import ExportForm
from annotation.web.http import SignedInRequest

EXPORTS_SHOWN = 20
STOP_POLLING = 286  # htmx: swap this answer in and ask no more


@never_cache
@login_required
@require_http_methods(["GET", "POST"])
def answer_exports(request: SignedInRequest, slug: str) -> HttpResponse:
    project = project_for(request.user, slug, MANAGERS)
    if request.htmx:
        rows = own_exports(request.user, project)
        live = any(row["export"].is_live for row in rows)
        context = {"project": project, "rows": rows, "live": live}
        template = "annotation/exports/exports.html#list"
        return render(request, template, context, status=200 if live else STOP_POLLING)
    form, status = ExportForm(project=project, initial={"batches": request.GET.getlist("batch")}), 200
    if request.method == "POST":
        form, status = ExportForm(request.POST, project=project), 422
        done = attempt(
            form,
            lambda: requests.request_export(
                project=project, format=form.cleaned_data["format"], selection=form.selection(), actor=request.user
            ),
        )
        if not done.error:
            return redirect("answer_exports", project.slug)
    rows = own_exports(request.user, project)
    context = {
        "project": project,
        "section": "datasets",
        "form": form,
        "rows": rows,
        "live": any(row["export"].is_live for row in rows),
        "columns": len(COLUMNS),
        "days": requests.DAYS_KEPT,
    }
    return render(request, "annotation/exports/exports.html", context, status=status)


def own_exports(user: User, project: Project) -> list[dict[str, Any]]:
    """The newest exports of this person, for the list."""
    exports = AnswerExport.objects.filter(project=project, created_by=user)[:EXPORTS_SHOWN]
    return [
        {
            "export": export,
            "percent": round(100 * export.rows_written / export.rows_total) if export.rows_total else 0,
            "selection": selection_in_words(project, export.selection),
            "states": in_words(export.report.get("states", {}), STATES) + in_words(export.report, EXCLUDED),
            "left_out": in_words(export.report.get("left_out", {}), LEFT_OUT),
            "never": in_words(export.report.get("never", {}), NEVER),
            "deleted_on": requests.deleted_on(export),
        }
        for export in exports
    ]


@login_required
@require_POST
def answer_export_cancel(request: SignedInRequest, export_id: int) -> HttpResponse:
    export = answer_export_for(request.user, export_id)
    return after(request, export, lambda: requests.cancel_export(export=export, actor=request.user))


@login_required
@require_POST
def answer_export_again(request: SignedInRequest, export_id: int) -> HttpResponse:
    export = answer_export_for(request.user, export_id)
    return after(request, export, lambda: requests.restart_export(export=export, actor=request.user))


@login_required
@require_POST
def answer_export_delete(request: SignedInRequest, export_id: int) -> HttpResponse:
    export = answer_export_for(request.user, export_id)
    return after(request, export, lambda: requests.delete_export_file(export=export, actor=request.user))


def after(request: SignedInRequest, export: AnswerExport, action: Any) -> HttpResponse:
    try:
        action()
    except Conflict as error:
        messages.error(request, str(error))
    return redirect("answer_exports", export.project.slug)


@never_cache
@login_required
@require_GET
def answer_export_file(request: SignedInRequest, export_id: int) -> FileResponse:
    export = answer_export_for(request.user, export_id)
    if export.status != AnswerExport.Status.DONE:
        raise Http404
    name = f"{export.project.slug}-answers-{export.pk}.{export.format}"
    return download(settings.VAR, export.path, name)
