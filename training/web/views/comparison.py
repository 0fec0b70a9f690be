"""Runs beside each other: their curves over each other, the settings that differ, and the results."""

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from annotation.core.access import STAFF, project_for
from annotation.web.http import SignedInRequest
from annotation.web.parameters import whole_number
from training.access import runs_for
from training.models import Checkpoint, Run
from training.reports.curves import Compared, compared_charts, differing
from training.reports.progress import evaluation_figures, progress_of
from training.reports.run_table import newest_evaluations
from training.reports.settings import Input, inputs_of, settings_of

FEWEST, MOST = 2, 6
OFFERED = 30


@login_required
@require_GET
def compare(request: SignedInRequest, slug: str) -> HttpResponse:
    """`?run=3&run=5`: two to six runs; with fewer or more, the page asks which."""
    project = project_for(request.user, slug, STAFF)
    run_ids: set[int] = set()
    for text in request.GET.getlist("run"):
        run_id = whole_number(text)
        if run_id is None:
            raise Http404
        run_ids.add(run_id)
    runs = runs_for(request.user, project, run_ids)
    context: dict[str, Any] = {"project": project, "section": "runs", "runs": runs}
    if not FEWEST <= len(runs) <= MOST:
        offered = Run.objects.filter(project=project).select_related("dataset").order_by("-pk")[:OFFERED]
        context |= {"offered": offered, "title": _("Choose two to six runs to compare")}
        return render(request, "training/comparison/compare.html", context)
    names = [name_of(run) for run in runs]
    lines = [run.directory.read_metrics()[0] for run in runs]
    compared = [Compared(name, style, part) for style, (name, part) in enumerate(zip(names, lines, strict=True), 1)]
    context |= {
        "title": _("Comparison: %(names)s") % {"names": ", ".join(str(run.pk) for run in runs)},
        "compared": list(zip(compared, runs, strict=True)),
        "charts": compared_charts(compared, same_loss=len({_loss(run) for run in runs}) == 1),
        "inputs": _inputs(runs),
        "settings": differing([_settings(run) for run in runs]),
        "figures": _figures(runs, lines),
    }
    return render(request, "training/comparison/compare.html", context)


def name_of(run: Run) -> str:
    name = _("run %(number)s") % {"number": run.pk}
    return f"{name} ({run.name})" if run.name else name


def _loss(run: Run) -> tuple[str, ...]:
    """What the run minimises."""
    return (run.trainer, *(str(run.config.get(name)) for name in ("losses", "loss_weights", "strength_offset")))


def _settings(run: Run) -> dict[str, str]:
    return {_("trainer"): str(run.get_trainer_display())} | dict(settings_of(run))


def _inputs(runs: list[Run]) -> list[tuple[str, tuple[Input, ...]]]:
    """(what, that of each run): what the runs read, the same or not."""
    return [(row[0].label, row) for row in zip(*map(inputs_of, runs), strict=True)]


def _figures(runs: list[Run], lines: list[Any]) -> list[tuple[str, list[str]]]:
    """(figure, its value for each run): the last of training, then the newest evaluation's."""
    checkpoints = dict(Checkpoint.objects.filter(run__in=runs).values_list("pk", "run_id"))
    newest = {checkpoints[pk]: evaluation for pk, evaluation in newest_evaluations(checkpoints).items()}
    tables = []
    for run, part in zip(runs, lines, strict=True):
        table = {str(_("Status")): str(run.get_status_display())}
        for name, value in progress_of(part).labelled_figures:
            if name not in (_("left"), _("learning rate")):
                table[_("%(figure)s, in training") % {"figure": capfirst(name)}] = value
        evaluation = newest.get(run.pk)
        for figure in evaluation_figures((evaluation.result or {}).get("metrics", {})) if evaluation else []:
            shown = f"{figure.value} ({figure.interval})" if figure.interval else figure.value
            shown = f"{shown}, {figure.verdict_text}" if figure.verdict else shown
            table[_("%(figure)s, held out (against its parent)") % {"figure": figure.label}] = shown
        tables.append(table)
    names = dict.fromkeys(name for table in tables for name in table)
    return [(name, [table.get(name, "–") for table in tables]) for name in names]
