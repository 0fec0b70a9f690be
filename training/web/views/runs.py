"""The live page of a run, and what a manager may do there."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse, HttpResponseBadRequest, JsonResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_POST

from annotation.core.access import MANAGERS, MAX_ID, role_in
from annotation.core.errors import DomainError
from annotation.models import Role
from annotation.web.forms.actions import attempt
from annotation.web.http import SignedInRequest
from annotation.web.parameters import whole_number
from training.access import run_for
from training.contract.headline import headline, steps_of
from training.contract.metrics import PADDING_SHARE
from training.engine_jobs.queue import cancel, resume
from training.models import Checkpoint, EngineJob, Run
from training.models.shown_paths import without_folders
from training.reports.curves import chart_sentences, news, run_charts
from training.reports.diagnostics import notes_of
from training.reports.history import history_of
from training.reports.preflight import describe_method, describe_preflight, read_preflight
from training.reports.progress import Progress, progress_of, read_ends
from training.reports.settings import inputs_of, settings_of
from training.runs.create import command_line
from training.runs.describe import describe_run
from training.web.forms import DescribeForm

LOG_LINES, MORE_LOG_LINES = 12, 400
NOTES_EVERY_S = 10  # they need the whole history
NO_STORE = "no-store"

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
    steps, offset = history_of(run.directory)
    sentences = chart_sentences(read_ends(run.directory))
    context = {
        **live_part(request, run),
        **findings(run, steps),
        "project": run.project,
        "section": "runs",
        "charts": run_charts(steps, sentences, live=run.is_live),
        "offset": offset,
        "has_points": bool(steps),
        "log": without_folders(run.directory.log_tail(log_lines)),
        "log_lines": log_lines,
        "more": more,
        "command": command_line(run) if run.dataset_id else "",
        "inputs": inputs_of(run),
        "settings": settings_of(run),
        "describe_form": DescribeForm(initial={"name": run.name, "note": run.note}),
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
        context |= findings(run, history_of(run.directory)[0])
    response = render(request, "training/runs/poll.html", context)
    response.headers["Cache-Control"] = NO_STORE
    return response


def live_part(request: SignedInRequest, run: Run) -> dict[str, Any]:
    checkpoint = Checkpoint.objects.filter(run=run).first()
    ends = read_ends(run.directory)
    progress = progress_of(ends)
    return {
        "run": run,
        "checkpoint": checkpoint,
        "progress": progress,
        "manages": role_in(request.user, run.project) == Role.MANAGER,
        "title": run_title(run, checkpoint, progress),
        "method": describe_method(run.result, headline(steps_of(ends), PADDING_SHARE)),
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
        "log": without_folders(run.directory.log_tail(log_lines)) if log_lines else "",
        **news(lines),
    }


def findings(run: Run, steps: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What was found before the first step, and what the figures say since."""
    rows = run.dataset.train_rows if run.dataset else 0
    preflight = read_preflight(run.directory)
    return {
        "notes": notes_of(steps, config=run.config, result=run.result, preflight=preflight, rows=rows),
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


@login_required
@require_POST
def describe(request: SignedInRequest, run_id: int) -> HttpResponse:
    run = run_for(request.user, run_id, MANAGERS)
    form = DescribeForm(request.POST)
    done = attempt(form, lambda: describe_run(run=run, actor=request.user, **form.cleaned_data))
    if done.error:
        problems = "; ".join(f"{form[name].label}: {errors[0]}" for name, errors in form.errors.items())
        messages.error(request, _("Not saved: %(problems)s") % {"problems": problems})
    elif done.result:
        messages.success(request, _("Name and note are saved."))
    return redirect("run", run.pk)


@login_required
@require_POST
def cancel_run(request: SignedInRequest, run_id: int) -> HttpResponse:
    run = run_for(request.user, run_id, MANAGERS)
    try:
        status = cancel(run, request.user)
        if status == EngineJob.Status.CANCELLED:
            messages.success(request, _("Run %(number)s is cancelled.") % {"number": run.pk})
        # Else the page's own line says that it is stopping, for as long as it is.
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
