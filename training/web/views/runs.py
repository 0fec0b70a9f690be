"""Runs: the list with the form that starts one, and the live page of each."""

import time
from collections.abc import Sequence
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import Case, When
from django.http import HttpResponse, HttpResponseBadRequest, JsonResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from annotation.core.access import MANAGERS, MAX_ID, STAFF, project_for, role_in
from annotation.core.errors import DomainError
from annotation.models import Project, Role
from annotation.web.forms.actions import attempt
from annotation.web.http import SignedInRequest
from annotation.web.parameters import whole_number
from training.access import run_for
from training.engine_jobs import model_folders
from training.engine_jobs.queue import cancel, resume
from training.models import Checkpoint, EngineJob, Run
from training.reports.curves import chart_sentences, is_step, news, run_charts
from training.reports.diagnostics import notes_of
from training.reports.preflight import describe_method, describe_preflight, read_preflight
from training.reports.progress import Progress, read_ends, read_progress
from training.runs.create import command_line, create_run
from training.web.forms import RunForm

RUNS_A_PAGE = 30
LOG_LINES, MORE_LOG_LINES = 12, 400
NOTES_EVERY_S = 10  # they need the whole history
NO_STORE = "no-store"


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
    rows = Run.objects.filter(project=project).select_related("dataset", "parent", "checkpoint", "created_by")
    page = Paginator(rows.order_by("-id"), RUNS_A_PAGE).get_page(request.GET.get("page"))
    context = {
        "project": project,
        "section": "runs",
        "form": form,
        "page": page,
        "title": list_title(project),
        "rows": [(run, read_progress(run.directory) if run.is_live else None) for run in page],
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
ENDINGS = {
    EngineJob.Status.SUCCEEDED: gettext_lazy("Run %(number)s succeeded"),
    EngineJob.Status.FAILED: gettext_lazy("Run %(number)s failed"),
    EngineJob.Status.CANCELLED: gettext_lazy("Run %(number)s was cancelled"),
}


@login_required
@require_GET
def detail(request: SignedInRequest, run_id: int) -> HttpResponse:
    """The page of a run. While the run is live, it polls itself: see `poll`."""
    run = run_for(request.user, run_id)
    if request.htmx:
        return poll(request, run)
    more = request.GET.get("log") == "more"
    log_lines = MORE_LOG_LINES if more else LOG_LINES
    lines, offset = run.directory.read_metrics()
    context = {
        **live_part(request, run),
        **findings(run, lines),
        "project": run.project,
        "section": "runs",
        "charts": run_charts(lines, live=run.is_live),
        "offset": offset,
        "has_points": any(map(is_step, lines)),
        "log": run.directory.log_tail(log_lines),
        "log_lines": log_lines,
        "more": more,
        "started_from": model_folders.short_name(run.base_model) if run.base_model else "",
        "command": command_line(run) if run.dataset_id else "",
        "settings": settings_of(run),
    }
    return render(request, "training/runs/run.html", context)


def poll(request: SignedInRequest, run: Run) -> HttpResponse:
    """The one request that a live page makes, every two seconds: the part that changes, with new points and the log's
    end for charts.js, and the notes if theirs are old or the run has ended. Its size does not grow with the run."""
    parameters = whole_numbers(request, "offset", "lines", "notes_at")
    if parameters is None:
        return HttpResponseBadRequest(f"offset, lines and notes_at are whole numbers from 0 to {MAX_ID}")
    context = {
        **live_part(request, run),
        "news": news_since(run, parameters["offset"], parameters["lines"]),
        "with_notes": not run.is_live or time.time() >= parameters["notes_at"] + NOTES_EVERY_S,
    }
    if context["with_notes"]:
        context |= findings(run, run.directory.read_metrics()[0])
    response = render(request, "training/runs/poll.html", context)
    response.headers["Cache-Control"] = NO_STORE
    return response


def live_part(request: SignedInRequest, run: Run) -> dict[str, Any]:
    checkpoint = Checkpoint.objects.filter(run=run).first()
    progress = read_progress(run.directory)
    return {
        "run": run,
        "checkpoint": checkpoint,
        "progress": progress,
        "manages": role_in(request.user, run.project) == Role.MANAGER,
        "title": run_title(run, checkpoint, progress),
        "method": describe_method(run.result),
        "cancelling": run.is_live and run.directory.cancel_requested(),
    }


@login_required
@require_GET
def metrics(request: SignedInRequest, run_id: int) -> HttpResponse:
    """For programs: what a live page gets of the metrics and the log, as JSON."""
    run = run_for(request.user, run_id)
    parameters = whole_numbers(request, "offset", "lines")
    if parameters is None:
        return JsonResponse({"error": f"offset and lines are whole numbers from 0 to {MAX_ID}"}, status=400)
    return JsonResponse(news_since(run, parameters["offset"], parameters["lines"]), headers={"Cache-Control": NO_STORE})


def whole_numbers(request: SignedInRequest, *names: str) -> dict[str, int] | None:
    """Those parameters of the address, 0 where one is absent; None if one is not a whole number, or is too large."""
    values: dict[str, int] = {}
    for name in names:
        value = whole_number(request.GET.get(name, "0"))
        if value is None:
            return None
        values[name] = value
    return values


def news_since(run: Run, offset: int, log_lines: int) -> dict[str, Any]:
    """What metrics.jsonl gained since byte `offset`, as points for the charts; the charts' sentences; the log's end."""
    live = run.is_live  # read first: what an engine writes last is read after it
    lines, new_offset = run.directory.read_metrics(offset)
    log_lines = min(log_lines, MORE_LOG_LINES)
    return {
        "live": live,
        "offset": new_offset,
        "sentences": chart_sentences(read_ends(run.directory)) if lines else {},
        "log": run.directory.log_tail(log_lines) if log_lines else "",
        **news(lines),
    }


def findings(run: Run, lines: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What was found before the first step, and what the figures say since."""
    rows = run.dataset.train_rows if run.dataset else 0
    preflight = read_preflight(run.directory)
    return {
        "notes": notes_of(lines, config=run.config, result=run.result, preflight=preflight, rows=rows),
        "preflight": describe_preflight(preflight),
        "notes_at": int(time.time()),
    }


def run_title(run: Run, checkpoint: Checkpoint | None, progress: Progress) -> str:
    number = run.pk
    if run.status == EngineJob.Status.QUEUED:
        return _("Run %(number)s is queued") % {"number": number}
    if run.status == EngineJob.Status.RUNNING:
        return (
            _("Run %(number)s is training: %(progress)s") % {"number": number, "progress": progress.sentence}
            if progress.total
            else _("Run %(number)s is starting") % {"number": number}
        )
    if checkpoint is not None:
        return _("Run %(number)s is finished: it produced checkpoint %(checkpoint)s") % {
            "number": number,
            "checkpoint": checkpoint.pk,
        }
    return ENDINGS[EngineJob.Status(run.status)] % {"number": number}


def settings_of(run: Run) -> list[tuple[str, str]]:
    """The configuration as (name, value), the nested ones flat; what belongs to no choice is left out."""
    rows = []
    for name, value in run.config.items():
        if name in ("program", "run_id", "versions", "dataset", "architecture", "report_to"):
            continue
        if isinstance(value, dict):
            rows += [(f"{name}.{key}", text_of(inner)) for key, inner in value.items()]
        else:
            rows.append((name, text_of(value)))
    return rows


def text_of(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "–"
    return "–" if value in (None, "", "none") else f"{value:g}" if isinstance(value, float) else str(value)


@login_required
@require_POST
def cancel_run(request: SignedInRequest, run_id: int) -> HttpResponse:
    run = run_for(request.user, run_id, MANAGERS)
    try:
        status = cancel(run, request.user)
        message = (
            _("Run %(number)s is cancelled.")
            if status == EngineJob.Status.CANCELLED
            else _("Run %(number)s is stopping; it saves first.")
        )
        messages.success(request, message % {"number": run.pk})
    except DomainError as error:
        messages.warning(request, str(error))
    return redirect("run", run.pk)


@login_required
@require_POST
def resume_run(request: SignedInRequest, run_id: int) -> HttpResponse:
    run = run_for(request.user, run_id, MANAGERS)
    try:
        resume(run, request.user)
        messages.success(
            request, _("Run %(number)s is queued again and continues where it stopped.") % {"number": run.pk}
        )
    except DomainError as error:
        messages.warning(request, str(error))
    return redirect("run", run.pk)
