"""What training puts on annotation's pages: the loop's last steps, what the batch of a round came to, and what
labels bought."""

from django.db.models import Max, Q
from django.urls import reverse
from django.utils.translation import gettext as _

from annotation.models import Batch, Project
from annotation.web.slots import Milestone, Outcome, Section
from training.models import Checkpoint, EngineJob, Round, Run
from training.reports.gains import gains
from training.results.preferences import in_words, outcome_of, reasons_in_words

LIVE = (EngineJob.Status.QUEUED, EngineJob.Status.RUNNING)


def loop_steps(project: Project) -> list[Milestone]:
    # A base model that was made from scratch is where training starts from, not what it leads to.
    trained = Run.objects.filter(project=project).exclude(trainer=Run.Trainer.PRETRAIN)
    newest = Checkpoint.objects.filter(project=project).aggregate(
        made=Max("created_at", filter=~Q(run__trainer=Run.Trainer.PRETRAIN)), promoted=Max("promoted_at")
    )
    last = Round.objects.filter(project=project).order_by("-number").first()
    return [
        Milestone(
            _("Train a model"),
            "runs",
            _("a model learns from the dataset"),
            newest["made"],
            in_progress=trained.filter(status__in=LIVE).exists(),
        ),
        Milestone(
            _("Promote a checkpoint"),
            "checkpoints",
            _("the one that people should judge next"),
            newest["promoted"],
        ),
        Milestone(
            _("Start a round"),
            "rounds",
            _("its output comes back to the annotators, blind"),
            last.created_at if last and last.number > 1 else None,
            in_progress=bool(last and last.status == Round.Status.PREPARING),
        ),
    ]


def batch_outcome(batch: Batch) -> Outcome | None:
    """Which checkpoint people preferred in the round that this batch was opened for; None before anybody compared."""
    round = Round.objects.filter(batches=batch, checkpoint__isnull=False).select_related("checkpoint__parent").first()
    if round is None or round.checkpoint is None:
        return None
    outcome = outcome_of(round.checkpoint, [batch.pk])
    sentence = in_words(outcome, round.checkpoint)
    url = reverse("rounds", args=[batch.project.slug])
    return Outcome(sentence, reasons_in_words(outcome), url) if sentence else None


def dashboard_section(project: Project) -> Section:
    return Section("training/gains.html", {"gains": gains(project)})
