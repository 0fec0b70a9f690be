"""What labels bought: each checkpoint on held-out rows, the labels it learned from, and what people preferred."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.contrib.postgres.aggregates import ArrayAgg
from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import Count, F, Max, OuterRef, Q, Subquery
from django.utils.translation import gettext as _

from annotation.models import Annotation, Batch, Exclusion, Project, Review
from annotation.text.formatting import percentage
from training.models import Checkpoint, Evaluation, LearningCurve, Round, Run
from training.reports.progress import Figure, evaluation_figures
from training.results.preferences import Outcome, comparing, counted

CHECKPOINTS = 5


@dataclass(frozen=True)
class Gain:
    """`labels` is None where the dataset does not say; `outcome` where people did not compare the checkpoint. `curve`
    is the project's newest learning curve."""

    checkpoint: Checkpoint
    labels: int | None
    figure: Figure | None
    round: Round | None
    outcome: Outcome | None
    curve: int | None = None

    @property
    def win_rate(self) -> str:
        """“58 % (51 %–65 %)” of the decided comparisons with its parent; empty without one."""
        if self.outcome is None or self.outcome.win_rate is None or self.outcome.interval is None:
            return ""
        low, high = self.outcome.interval
        return _("%(share)s (95 %%: %(low)s to %(high)s)") % {
            "share": percentage(self.outcome.win_rate, 0),
            "low": percentage(low, 0),
            "high": percentage(high, 0),
        }


def gains(project: Project) -> list[Gain]:
    """The newest checkpoints, newest first. Two queries, and five more whenever a judged round has new answers."""
    evaluated = Evaluation.objects.filter(checkpoint=OuterRef("pk"), status=Evaluation.Status.SUCCEEDED)
    curves = LearningCurve.objects.filter(project=OuterRef("project")).order_by("-pk")
    rows = (
        Checkpoint.objects.filter(project=project)
        .exclude(run__trainer=Run.Trainer.PRETRAIN)
        .select_related("run", "dataset")
        .annotate(evaluated=Subquery(evaluated.order_by("-pk").values("result__metrics")[:1]))
        .annotate(newest_curve=Subquery(curves.values("pk")[:1]))
        .order_by("-pk")[:CHECKPOINTS]
    )
    checkpoints = list(rows)
    judged = judgements_of(project) if checkpoints else {}
    found = []
    for checkpoint in checkpoints:
        figures = evaluation_figures(checkpoint.evaluated or {})
        round, outcome = judged.get(checkpoint.pk, (None, None))
        figure = figures[0] if figures else None
        found.append(Gain(checkpoint, labels_of(checkpoint), figure, round, outcome, checkpoint.newest_curve))
    return found


def labels_of(checkpoint: Checkpoint) -> int | None:
    if checkpoint.dataset is None:
        return None
    by_batch = checkpoint.dataset.manifest.get("annotations", {}).get("by_batch")
    return sum(by_batch.values()) if by_batch is not None else None


def judgements_of(project: Project) -> dict[int, tuple[Round, Outcome]]:
    """{checkpoint: the newest round in which people compared it with its parent, and its outcome}."""
    found: dict[int, tuple[Round, Outcome]] = {}
    for round in judged_rounds(project):
        reviewed = (round.newest_review, tuple(round.requiring))
        state = (round.answers or 0, round.newest_answer, round.excluded or 0, round.lifted or 0, *reviewed)
        outcome = counted(round.checkpoint, tuple(sorted(round.linked)), state)
        if outcome.decided or outcome.ties or outcome.both_bad:
            found.setdefault(round.checkpoint.pk, (round, outcome))
    return found


def judged_rounds(project: Project) -> Iterable[Any]:
    """Newest first, each with what `counted` asks of its answers."""
    compared = comparing(Annotation.objects.filter(task__batch__rounds=OuterRef("pk")))
    answers = compared.order_by().values("task__batch__rounds")
    exclusions = Exclusion.objects.filter(project=OuterRef("project")).order_by().values("project")
    reviews = Review.objects.filter(batch__project=OuterRef("project")).order_by().values("batch__project")
    requiring = Batch.objects.filter(project=OuterRef("project"), requires_review=True).order_by("pk")
    return (
        Round.objects.filter(project=project, checkpoint__isnull=False, batches__isnull=False)
        .select_related("checkpoint__parent", "checkpoint__project")
        .annotate(
            linked=ArrayAgg("batches", filter=Q(batches__isnull=False), distinct=True),
            answers=Subquery(answers.annotate(found=Count("pk")).values("found")),
            newest_answer=Subquery(answers.annotate(found=Max("pk")).values("found")),
            excluded=Subquery(exclusions.annotate(found=Count("pk")).values("found")),
            newest_review=Subquery(reviews.annotate(found=Max("pk")).values("found")),
            requiring=ArraySubquery(requiring.values("pk")),
            lifted=Subquery(exclusions.annotate(found=Count("lifted_at")).values("found")),
        )
        .order_by(F("number").desc())[:CHECKPOINTS]
    )
