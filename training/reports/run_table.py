"""The lists of runs and of checkpoints as tables: figures of training and of held-out rows, durations. Read-only.

A page is read by a fixed number of queries, whatever it holds.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Max, Q, QuerySet
from django.utils.translation import gettext as _

from annotation.models import Project
from annotation.text.formatting import duration, percentage
from training.contract.metrics import CHRF, LOSS, MAIN_FIGURES, REWARD_ACCURACY, TOKEN_ACCURACY
from training.engine_jobs import model_folders
from training.models import Evaluation, LearningCurve, Run
from training.reports.labels import METRIC_LABELS
from training.reports.progress import Figure, Progress, evaluation_figures, figure, read_progress


@dataclass(frozen=True)
class RunRow:
    """`training` are (label, value) of its last steps, `held_out` the newest evaluation's main figures."""

    run: Run
    progress: Progress | None
    training: list[tuple[str, str]]
    held_out: list[Figure]
    took: str

    @property
    def share(self) -> str:
        """Of the prompts, where the run trained on a part of them."""
        share = self.run.config.get("share", 1)
        return "" if share == 1 else percentage(share)

    @property
    def start(self) -> str:
        return starting_point(self.run)


@dataclass(frozen=True)
class RunGroup:
    """A run by itself, or the points of a learning curve, the largest share first."""

    curve: LearningCurve | None
    rows: list[RunRow] = field(default_factory=list)


def group_heads(project: Project) -> QuerySet[Run]:
    """One run a group, newest first: runs without a curve, and the newest run of each curve."""
    newest = LearningCurve.objects.filter(project=project).annotate(newest=Max("runs")).values("newest")
    rows = Run.objects.filter(project=project).filter(Q(curve=None) | Q(pk__in=newest))
    return rows.order_by("-id")


def run_groups(heads: Sequence[Run]) -> list[RunGroup]:
    """The groups of these heads in their order, with all their runs."""
    curves = {head.curve_id for head in heads if head.curve_id}
    runs = Run.objects.filter(Q(pk__in=[head.pk for head in heads]) | Q(curve__in=curves))
    related = runs.select_related("dataset", "parent", "checkpoint", "created_by", "curve").order_by("-id")
    checkpoints = [run.checkpoint.pk for run in related if hasattr(run, "checkpoint")]
    newest = newest_evaluations(checkpoints)
    groups: dict[tuple[str, int], RunGroup] = {}
    for run in related:
        key = ("curve", run.curve_id) if run.curve_id else ("run", run.pk)
        evaluation = newest.get(run.checkpoint.pk) if hasattr(run, "checkpoint") else None
        groups.setdefault(key, RunGroup(run.curve)).rows.append(run_row(run, evaluation))
    return list(groups.values())


def run_row(run: Run, evaluation: Evaluation | None) -> RunRow:
    progress = read_progress(run.directory) if run.is_live else None
    figures: dict[str, Any] = progress.figures if progress else (run.result or {}).get("metrics") or {}
    return RunRow(
        run=run,
        progress=progress if progress and progress.total else None,
        training=training_figures(figures),
        held_out=main_figures(run.trainer, evaluation),
        took=duration(run.seconds),
    )


def starting_point(run: Run) -> str:
    """What a run started from, in words."""
    if run.parent_id:
        return _("from checkpoint %(number)s") % {"number": run.parent_id}
    if run.base_model:
        return _("from %(base)s") % {"base": model_folders.short_name(run.base_model)}
    return _("made from scratch")


def training_figures(figures: dict[str, Any]) -> list[tuple[str, str]]:
    """The loss, and the accuracy of what is trained: of preferences where there are any, else of tokens."""
    accuracy = REWARD_ACCURACY if REWARD_ACCURACY in figures else TOKEN_ACCURACY
    keys = [key for key in (LOSS, accuracy) if isinstance(figures.get(key), int | float)]
    return [(str(METRIC_LABELS[key]), figure(key, float(figures[key]))) for key in keys]


def main_figures(trainer: str, evaluation: Evaluation | None) -> list[Figure]:
    """What an evaluation says first of such a run: the trainer's own figure, then chrF where there are references."""
    metrics = (evaluation.result or {}).get("metrics", {}) if evaluation else {}
    figures = {row.key: row for row in evaluation_figures(metrics)}
    return [figures[key] for key in (MAIN_FIGURES.get(trainer), CHRF) if key in figures]


def newest_evaluations(checkpoints: Iterable[int]) -> dict[int, Evaluation]:
    """Checkpoint → its newest evaluation that succeeded."""
    rows = Evaluation.objects.filter(checkpoint__in=list(checkpoints), status=Evaluation.Status.SUCCEEDED)
    return {evaluation.checkpoint_id: evaluation for evaluation in rows.order_by("id")}
