"""Checkpoints: the list, and the page of each: figures and outputs beside the parent's, lineage, promotion."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_POST

from annotation.core.access import MANAGERS, STAFF, project_for, role_in
from annotation.core.errors import DomainError
from annotation.models import Role
from annotation.text.formatting import duration
from annotation.web.http import SignedInRequest, redirect_back
from training.access import checkpoint_for
from training.contract.metrics import CHRF, REWARD_ACCURACY
from training.models import Checkpoint, Evaluation
from training.reports.progress import evaluation_figures
from training.reports.run_table import main_figures, newest_evaluations, starting_point
from training.results.checkpoints import last_evaluation, lineage, promoted_checkpoint
from training.results.evaluations import create_evaluation, read_samples
from training.results.preferences import in_words, outcome_of, reasons_in_words
from training.results.promotion import promote
from training.web.forms import EvaluateForm, PromoteForm

CHECKPOINTS_A_PAGE = 50
SAMPLES_SHOWN = 12


@login_required
@require_GET
def index(request: SignedInRequest, slug: str) -> HttpResponse:
    project = project_for(request.user, slug, STAFF)
    promoted = promoted_checkpoint(project)
    rows = Checkpoint.objects.filter(project=project).select_related("run", "parent", "dataset", "run__curve")
    page = Paginator(rows.order_by("-id"), CHECKPOINTS_A_PAGE).get_page(request.GET.get("page"))
    newest = newest_evaluations(row.pk for row in page)
    context = {
        "project": project,
        "section": "checkpoints",
        "page": page,
        "promoted": promoted,
        "title": list_title(promoted, page.paginator.count),
        "rows": [
            {
                "checkpoint": row,
                "start": starting_point(row.run),
                "held_out": main_figures(row.run.trainer, newest.get(row.pk)),
                "took": duration(row.run.seconds),
            }
            for row in page
        ],
    }
    return render(request, "training/checkpoints/checkpoints.html", context)


def list_title(promoted: Checkpoint | None, count: int) -> str:
    if promoted is not None:
        return _("Checkpoint %(number)s is the promoted one") % {"number": promoted.pk}
    return _("No checkpoint is promoted yet") if count else _("There are no checkpoints yet")


def figures_of(evaluation: Evaluation | None) -> list[Any]:
    return evaluation_figures((evaluation.result or {}).get("metrics", {})) if evaluation else []


@login_required
@require_GET
def detail(request: SignedInRequest, checkpoint_id: int) -> HttpResponse:
    checkpoint = checkpoint_for(request.user, checkpoint_id)
    evaluation = last_evaluation(checkpoint)
    figures = figures_of(evaluation)
    evaluations = list(checkpoint.evaluations.select_related("dataset").order_by("-id")[:10])
    promoted = promoted_checkpoint(checkpoint.project)
    outcome = outcome_of(checkpoint)
    context = {
        "project": checkpoint.project,
        "section": "checkpoints",
        "checkpoint": checkpoint,
        "run": checkpoint.run,
        "title": title(checkpoint, figures),
        "evaluation": evaluation,
        "figures": figures,
        "evaluations": evaluations,
        "live": [row for row in evaluations if row.is_live],
        "parent_name": _("checkpoint %(number)s") % {"number": checkpoint.parent_id}
        if checkpoint.parent_id
        else _("the base model"),
        "preferred": in_words(outcome, checkpoint),
        "reasons": reasons_in_words(outcome),
        "samples": samples_of(evaluation) if evaluation else [],
        "lineage": lineage(checkpoint),
        "is_promoted": promoted is not None and promoted.pk == checkpoint.pk,
        "manages": role_in(request.user, checkpoint.project) == Role.MANAGER,
        "promote_form": PromoteForm(),
        "evaluate_form": EvaluateForm(checkpoint=checkpoint),
    }
    return render(request, "training/checkpoints/checkpoint.html", context)


TITLES = {
    REWARD_ACCURACY: gettext_lazy("Checkpoint %(number)s agrees with annotators on %(value)s of held-out pairs"),
    CHRF: gettext_lazy("Checkpoint %(number)s scores chrF %(value)s against the references"),
}


def title(checkpoint: Checkpoint, figures: list[Any]) -> str:
    by_key = {figure.key: figure for figure in figures}
    number = checkpoint.pk
    for key, sentence in TITLES.items():
        if (figure := by_key.get(key)) is not None:
            value = f"{figure.value} ({figure.interval})" if figure.interval else figure.value
            return sentence % {"number": number, "value": value}
    return (
        _("Checkpoint %(number)s is evaluated") % {"number": number}
        if figures
        else _("Checkpoint %(number)s is not evaluated yet") % {"number": number}
    )


def samples_of(evaluation: Evaluation) -> list[dict[str, Any]]:
    """What the page shows of each sample: the last thing asked, and the texts."""
    rows = []
    for sample in read_samples(evaluation, SAMPLES_SHOWN):
        prompt = sample["prompt"]
        prompt_text = prompt[-1]["content"] if isinstance(prompt, list) and prompt else prompt
        rows.append({**sample, "asked": prompt_text, "good": sample.get("reference") or sample.get("chosen")})
    return rows


@login_required
@require_POST
def promote_checkpoint(request: SignedInRequest, checkpoint_id: int) -> HttpResponse:
    checkpoint = checkpoint_for(request.user, checkpoint_id, MANAGERS)
    form = PromoteForm(request.POST)
    if form.is_valid():
        try:
            promote(checkpoint=checkpoint, actor=request.user, note=form.cleaned_data["note"])
        except DomainError as error:
            messages.error(request, _("Not promoted: %(error)s") % {"error": error})
        else:
            messages.success(
                request,
                _("Checkpoint %(number)s is promoted: the next round compares its output with its parent's.")
                % {"number": checkpoint.pk},
            )
    else:
        messages.error(request, _("Not promoted: %(error)s") % {"error": form.errors["note"][0]})
    return redirect_back(request, reverse("checkpoint", args=[checkpoint.pk]))


@login_required
@require_POST
def evaluate_checkpoint(request: SignedInRequest, checkpoint_id: int) -> HttpResponse:
    checkpoint = checkpoint_for(request.user, checkpoint_id, MANAGERS)
    form = EvaluateForm(request.POST, checkpoint=checkpoint)
    if not form.is_valid():
        messages.error(request, _("Choose a dataset with held-out rows."))
        return redirect("checkpoint", checkpoint.pk)
    try:
        create_evaluation(checkpoint=checkpoint, actor=request.user, dataset=form.cleaned_data["dataset"])
        messages.success(request, _("The evaluation is queued; its metrics will appear here."))
    except DomainError as error:
        messages.error(request, str(error))
    return redirect("checkpoint", checkpoint.pk)
