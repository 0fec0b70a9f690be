"""The rounds of a project: batches, datasets, runs, checkpoints and evaluations as one chain."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_POST

from annotation.core.access import MANAGERS, STAFF, project_for, role_in
from annotation.core.errors import DomainError
from annotation.models import DatasetVersion, Project, Role
from annotation.queue.progress import project_progress
from annotation.queue.workforce import recorded_shortage
from annotation.web.forms.actions import attempt
from annotation.web.http import SignedInRequest
from training.access import round_for
from training.models import Evaluation, Round, Run
from training.reports.progress import evaluation_figures, read_progress
from training.results.checkpoints import promoted_checkpoint
from training.results.preferences import in_words, outcome_of, reasons_in_words
from training.rounds.lifecycle import current_round, retry_round, start_round
from training.rounds.lineage import batches_by_round, labels_by_round
from training.web.forms import RoundForm

UNREADY = (Round.Status.PREPARING, Round.Status.FAILED)


@login_required
@require_GET
def index(request: SignedInRequest, slug: str) -> HttpResponse:
    return page(request, project_for(request.user, slug, STAFF))


def page(request: SignedInRequest, project: Project, form: RoundForm | None = None) -> HttpResponse:
    chain = chain_of(project)
    newest = chain[0]
    context: dict[str, Any] = {
        "project": project,
        "section": "rounds",
        "chain": chain,
        "title": title(newest),
        "preparing": any(link["round"].status == Round.Status.PREPARING for link in chain),
        "manages": role_in(request.user, project) == Role.MANAGER,
    }
    if request.htmx and form is None:
        return render(request, "training/rounds/rounds.html#chain", context)
    context["promoted"] = promoted_checkpoint(project)
    context["opened"] = form is not None or "start" in request.GET
    context["form"] = form or RoundForm(project=project, last=newest["round"].number)
    return render(request, "training/rounds/rounds.html", context, status=422 if form else 200)


def title(newest: dict[str, Any]) -> str:
    current: Round = newest["round"]
    number = current.number
    if current.status == Round.Status.PREPARING:
        return _("Round %(number)s is being prepared") % {"number": number}
    if current.status == Round.Status.FAILED:
        return _("Round %(number)s could not be prepared") % {"number": number}
    done = sum(progress.done for progress in newest["batches"])
    total = sum(progress.total for progress in newest["batches"])
    if not total:
        return _("Round %(number)s has no batch yet") % {"number": number}
    return (
        _("Round %(number)s is complete") % {"number": number}
        if done == total
        else ngettext(
            "Round %(number)s has %(done)s of %(total)s answer",
            "Round %(number)s has %(done)s of %(total)s answers",
            total,
        )
        % {"number": number, "done": f"{done:,}", "total": f"{total:,}"}
    )


def chain_of(project: Project) -> list[dict[str, Any]]:
    """Newest round first, each with all that it led to; a fixed number of queries, whatever the size."""
    rounds = list(
        Round.objects.filter(project=project)
        .select_related("checkpoint__parent")
        .prefetch_related("generations")
        .order_by("-number")
    )
    # Before anything was trained there is no round yet: it is shown as it will be made.
    rounds = rounds or [Round(project=project, number=1)]
    in_rounds = batches_by_round(project, rounds)
    progress = {row.batch.pk: row for row in project_progress(project)}
    runs = list(Run.objects.filter(project=project).select_related("dataset", "parent", "checkpoint").order_by("id"))
    evaluations: dict[int, list[Evaluation]] = {}
    for evaluation in Evaluation.objects.filter(project=project).order_by("id"):
        evaluations.setdefault(evaluation.checkpoint_id, []).append(evaluation)
    datasets = list(DatasetVersion.objects.filter(project=project).order_by("id"))
    held = {dataset.pk: labels_by_round(dataset, in_rounds) for dataset in datasets}
    order = [round.pk for round in rounds]
    # A run belongs to the newest round whose labels it was trained on.
    round_of_run = {
        run.pk: next((pk for pk in order if run.dataset_id and pk in held[run.dataset_id]), run.round_id)
        for run in runs
    }
    chain = []
    for round in rounds:
        own_runs = [run for run in runs if round_of_run[run.pk] == round.pk]
        batches = in_rounds[round.pk]
        own_batches = [progress[pk] for pk in sorted(batches) if pk in progress]
        if round.status == Round.Status.CLOSED and any(batch.is_open for batch in own_batches):
            round.status = Round.Status.COLLECTING  # one was reopened; the watcher records it
        checkpoints = [run.checkpoint for run in own_runs if hasattr(run, "checkpoint")]
        chain.append(
            {
                "round": round,
                "outcome": told(round, batches),
                "batches": own_batches,
                "shortages": [
                    (item.batch, sentence)
                    for item in own_batches
                    if not item.is_complete and (sentence := recorded_shortage(item.batch))
                ],
                "datasets": [
                    (row, held[row.pk][round.pk], sum(held[row.pk].values()))
                    for row in datasets
                    if round.pk in held[row.pk]
                ],
                "runs": own_runs,
                "checkpoints": checkpoints,
                "evaluations": [
                    (evaluation, evaluation_figures((evaluation.result or {}).get("metrics", {}))[:1])
                    for checkpoint in checkpoints
                    for evaluation in evaluations.get(checkpoint.pk, [])[-1:]
                ],
                "generations": [
                    (generation, read_progress(generation.directory))
                    for generation in (round.generations.all() if round.status in UNREADY else ())
                ],
            }
        )
    return chain


def told(round: Round, batches: set[int]) -> dict[str, Any] | None:
    """Which checkpoint people preferred in a round, and why; None before anybody compared them."""
    if round.checkpoint is None or not batches:
        return None
    outcome = outcome_of(round.checkpoint, batches)
    sentence = in_words(outcome, round.checkpoint)
    return {"sentence": sentence, "reasons": reasons_in_words(outcome)} if sentence else None


@login_required
@require_POST
def start(request: SignedInRequest, slug: str) -> HttpResponse:
    project = project_for(request.user, slug, MANAGERS)
    form = RoundForm(request.POST, project=project, last=current_round(project).number)
    done = attempt(form, lambda: start_round(project=project, actor=request.user, **form.values()))
    if not done.error:
        messages.success(
            request,
            _("Round %(number)s started: the batch opens when the models have written their texts.")
            % {"number": done.result.number},
        )
        return redirect("rounds", project.slug)
    return page(request, project, form)


@login_required
@require_POST
def retry(request: SignedInRequest, round_id: int) -> HttpResponse:
    round = round_for(request.user, round_id, MANAGERS)
    try:
        retry_round(round=round, actor=request.user)
        messages.success(request, _("Round %(number)s is being retried.") % {"number": round.number})
    except DomainError as error:
        messages.warning(request, str(error))
    return redirect("rounds", round.project.slug)
