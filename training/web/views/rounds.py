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
from annotation.models import Batch, DatasetVersion, Project, Role
from annotation.queue.progress import project_progress
from annotation.web.forms.actions import attempt
from annotation.web.http import SignedInRequest
from training.access import round_for
from training.models import Evaluation, Round, Run
from training.reports.progress import evaluation_figures, read_progress
from training.results.checkpoints import promoted_checkpoint
from training.results.preferences import in_words, outcome_of, reasons_in_words
from training.rounds.lifecycle import current_round, retry_round, start_round
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
    in_rounds: dict[int | None, set[int]] = {}
    for batch_id, round_id in Batch.objects.filter(project=project).values_list("pk", "rounds"):
        in_rounds.setdefault(round_id or rounds[0].pk, set()).add(batch_id)  # what is in none belongs to the newest
    progress = {row.batch.pk: row for row in project_progress(project)}
    runs = list(Run.objects.filter(project=project).select_related("dataset", "parent", "checkpoint").order_by("id"))
    evaluations: dict[int, list[Evaluation]] = {}
    for evaluation in Evaluation.objects.filter(project=project).order_by("id"):
        evaluations.setdefault(evaluation.checkpoint_id, []).append(evaluation)
    datasets = list(DatasetVersion.objects.filter(project=project).order_by("id"))
    chain = []
    for round in rounds:
        own_runs = [run for run in runs if run.round_id == round.pk]
        batches = in_rounds.get(round.pk, set())
        trained_on = {run.dataset_id for run in own_runs}
        checkpoints = [run.checkpoint for run in own_runs if hasattr(run, "checkpoint")]
        chain.append(
            {
                "round": round,
                "outcome": told(round, batches),
                "batches": [progress[pk] for pk in sorted(batches) if pk in progress],
                "datasets": [row for row in datasets if row.pk in trained_on or came_from(row, batches)],
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


def came_from(dataset: DatasetVersion, batches: set[int]) -> bool:
    """Whether all its batches are of this round."""
    chosen = {batch for batch in dataset.selection.get("batches") or [] if isinstance(batch, int)}
    return bool(chosen) and chosen <= batches


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
