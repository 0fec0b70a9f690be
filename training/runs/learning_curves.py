"""Learning curves: runs on growing, nested shares of one dataset, and whether more labels would help."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from annotation.core.errors import InvalidInput
from annotation.dashboards.charts import Chart, Line, line_chart
from annotation.models import DatasetVersion, Project, User
from training.contract.metrics import LABEL_ACCURACY, MAIN_FIGURES, PERPLEXITY, REWARD_ACCURACY, interval_of
from training.models import Evaluation, LearningCurve, Run
from training.reports.curve_verdict import Point, Verdict, judge, read_outcome
from training.runs.create import create_run

SHARES = (0.1, 0.25, 0.5, 1.0)
# The name of the figure that is drawn.
DRAWN = {
    PERPLEXITY: gettext_lazy("Perplexity of the held-out answers"),
    REWARD_ACCURACY: gettext_lazy("Preference accuracy on held-out pairs"),
    LABEL_ACCURACY: gettext_lazy("Label accuracy on held-out texts"),
}


@dataclass(frozen=True)
class Reading:
    """All that is known of a curve now."""

    curve: LearningCurve
    figure: str
    points: Sequence[Point]
    verdict: Verdict
    chart: Chart | None

    @property
    def is_live(self) -> bool:
        return any(point.run.is_live or (point.evaluation and point.evaluation.is_live) for point in self.points)


@transaction.atomic
def start_learning_curve(
    *,
    project: Project,
    dataset: DatasetVersion,
    actor: User | None,
    shares: Sequence[float] = SHARES,
    **choices: Any,
) -> LearningCurve:
    """Queue one run a share, the smallest first, each evaluated on the dataset's held-out rows.

    `choices` are those of `create_run` (`base_model` or `parent`, `options`); they are the same for all runs, the
    number of epochs included, so a smaller share makes fewer steps. Raises InvalidInput as `create_run` does, for
    shares that make no curve, and for a dataset without held-out rows.
    """
    ascending = sorted(set(shares))
    if len(ascending) < 2 or ascending[0] <= 0 or ascending[-1] > 1:
        raise InvalidInput(_("a learning curve needs at least two fractions, each above 0 and at most 1"))
    if not dataset.held_out_rows:
        raise InvalidInput(
            _("dataset %(number)s has no held-out rows to compare the points on: annotate some, freeze again")
            % {"number": dataset.pk}
        )
    curve = LearningCurve.objects.create(project=project, dataset=dataset, shares=ascending, created_by=actor)
    options = choices.pop("options", None) or {}
    for share in ascending:
        run = create_run(
            project=project,
            trainer=dataset.purpose,
            dataset=dataset,
            actor=actor,
            **choices,
            options={**options, "share": share},
        )
        run.curve = curve
        run.save(update_fields=["curve"])
    return curve


def runs_of(curve: LearningCurve) -> list[Run]:
    """The smallest share first."""
    return list(curve.runs.select_related("checkpoint").order_by("id"))


def evaluation_of(curve: LearningCurve, run: Run) -> Evaluation | None:
    """The newest evaluation of the run's checkpoint on the curve's held-out rows; a finished one goes first."""
    rows = Evaluation.objects.filter(checkpoint__run=run, dataset=curve.dataset).order_by("-id")
    return rows.filter(status=Evaluation.Status.SUCCEEDED).first() or rows.first()


def read_learning_curve(curve: LearningCurve) -> Reading:
    """The points as far as they are there, the verdict in plain language, and the chart (from two points on)."""
    points, outcomes = [], []
    runs = runs_of(curve)
    key = MAIN_FIGURES[runs[0].trainer] if runs else ""
    label = DRAWN[key] if runs else ""
    for run in runs:
        evaluation = evaluation_of(curve, run)
        metrics = (evaluation.result or {}).get("metrics", {}) if evaluation else {}
        outcome = read_outcome(evaluation, key) if evaluation and key in metrics else None
        interval = metrics.get(interval_of(key)) or (outcome.interval() if outcome else None) or (None, None)
        points.append(
            Point(
                share=run.config["share"],
                run=run,
                evaluation=evaluation,
                status=status_text(run, evaluation),
                labels=((run.result or {}).get("rows") or {}).get("used"),
                value=metrics.get(key),
                low=interval[0],
                high=interval[1],
                percent=key != PERPLEXITY,
            )
        )
        outcomes.append(outcome)
    verdict = judge(points, outcomes)
    return Reading(curve, str(label), points, verdict, chart_of(curve, str(label), points))


def status_text(run: Run, evaluation: Evaluation | None) -> str:
    if run.status != Run.Status.SUCCEEDED or evaluation is None:
        return str(run.get_status_display())
    if evaluation.is_live:
        return _("Evaluating")
    if evaluation.status != Evaluation.Status.SUCCEEDED:
        return _("Evaluation: %(status)s") % {"status": evaluation.get_status_display()}
    return str(run.get_status_display())


def chart_of(curve: LearningCurve, label: str, points: Sequence[Point]) -> Chart | None:
    drawn = [point for point in points if point.value is not None and point.labels]
    if len(drawn) < 2:
        return None
    intervals = all(point.low is not None for point in drawn)
    line = Line(
        name=label,
        x=[float(point.labels or 0) for point in drawn],
        y=[point.value or 0.0 for point in drawn],
        low=[point.low or 0.0 for point in drawn] if intervals else (),
        high=[point.high or 0.0 for point in drawn] if intervals else (),
    )
    return line_chart(
        [line],
        key=f"curve-{curve.pk}",
        title=label,
        sentence=ngettext(
            "%(first)s after %(few)s row, %(last)s after %(many)s.",
            "%(first)s after %(few)s rows, %(last)s after %(many)s.",
            drawn[0].labels or 0,
        )
        % {
            "first": drawn[0].value_text,
            "few": f"{drawn[0].labels:,}",
            "last": drawn[-1].value_text,
            "many": f"{drawn[-1].labels:,}",
        },
        x_label=_("rows trained on"),
        percent=points[0].percent,
        markers=True,
    )
