"""Progress from a run directory: the current figures, and the table of an evaluation."""

import contextlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from annotation.text.formatting import duration, percentage
from training.contract.headline import headline, steps_of
from training.contract.metrics import FIGURES, METRICS, SHARES, interval_of, verdict_of
from training.contract.run_directory import RunDirectory
from training.reports.labels import FIGURE_LABELS, METRIC_LABELS, VERDICT_LABELS

END_BYTES = 64_000

LIVE = [metric.key for metric in METRICS if metric.live]

# What an engine does beside its steps.
STAGES = {
    "tokens": _("tokenizing rows, %(done)s of %(total)s"),
    "reference": _("computing reference log-probabilities, %(done)s of %(total)s"),
}


@dataclass(frozen=True)
class Progress:
    """How far an engine is: `done` of `total` (steps, candidates or rows), and its figures: the means over the newest
    steps (`training.contract.headline`), the speed and the time left as they are.

    `stage` names what it does before its steps (`reference`), or which part of an evaluation it is at.
    """

    done: int = 0
    total: int = 0
    unit: str = "steps"
    stage: str = ""
    figures: dict[str, float] = field(default_factory=dict)
    tokens_per_s: float | None = None
    time_left_s: float | None = None

    @property
    def share(self) -> float:
        return min(1.0, self.done / self.total) if self.total else 0.0

    @property
    def sentence(self) -> str:
        """Such as: step 12 of 120."""
        if self.stage in STAGES:
            template = str(STAGES[self.stage])
        elif self.stage:
            template = ngettext("%(done)s of %(total)s row", "%(done)s of %(total)s rows", self.total)
        elif self.unit != "steps":
            template = ngettext("%(done)s of %(total)s text", "%(done)s of %(total)s texts", self.total)
        else:
            template = gettext("step %(done)s of %(total)s")
        return template % {"done": f"{self.done:,}", "total": f"{self.total:,}"}

    @property
    def labelled_figures(self) -> list[tuple[str, str]]:
        """The figures as (words, value) for people."""
        figures = [(str(METRIC_LABELS[key]), figure(key, self.figures[key])) for key in LIVE if key in self.figures]
        if self.tokens_per_s:
            figures.append((gettext("tokens/s"), f"{self.tokens_per_s:,.0f}"))
        if self.time_left_s is not None and self.done < self.total:
            figures.append((gettext("left"), duration(self.time_left_s)))
        return figures


def read_progress(directory: RunDirectory) -> Progress:
    """The progress that metrics.jsonl shows; all zero while there is none."""
    return progress_of(read_ends(directory))


def read_ends(directory: RunDirectory) -> list[dict[str, Any]]:
    """The first and the last lines of metrics.jsonl (all of a short one): what a page asks for again and again must
    not grow with the run."""
    path = directory.metrics_path
    size = path.stat().st_size if path.exists() else 0
    if size <= 2 * END_BYTES:
        return directory.read_metrics()[0]
    with path.open("rb") as file:
        start = file.read(END_BYTES)
        file.seek(-END_BYTES, os.SEEK_END)
        end = file.read()
    lines = []
    for line in [*start.splitlines()[:-1], *end.splitlines()[1:]]:
        with contextlib.suppress(json.JSONDecodeError):  # torn, or being written
            lines.append(json.loads(line))
    return lines


def progress_of(lines: Sequence[dict[str, Any]]) -> Progress:
    done = total = 0
    unit, stage = "steps", ""
    speed = left = None
    for line in lines:
        if "step" in line:
            done, total = line["step"], line.get("total_steps", total)
            unit, stage = "steps", ""
        elif "done" in line:
            done, total = line["done"], line.get("total", total)
            stage = str(line.get("stage", ""))
            unit = "rows" if stage else "texts"
        speed, left = line.get("tokens_per_s", speed), line.get("time_left_s", left)
    steps = steps_of(lines)
    figures = {key: value for key in LIVE if (value := headline(steps, key)) is not None}
    return Progress(done, total, unit, stage, figures, speed, left)


# ---- an evaluation's table ----


@dataclass(frozen=True)
class Figure:
    """One row: a figure of the checkpoint beside its parent's, each with its 95 % interval where there is one."""

    key: str
    label: str
    explanation: str
    value: str
    interval: str
    parent_value: str
    parent_interval: str
    verdict: str = ""

    @property
    def verdict_text(self) -> str:
        return str(VERDICT_LABELS.get(self.verdict, ""))


def evaluation_figures(metrics: dict[str, Any]) -> list[Figure]:
    """An evaluation's result as rows for people."""
    rows = []
    for declared in FIGURES:
        key, parent, percent = declared.key, declared.parent, declared.share
        if key not in metrics:
            continue
        label, explanation = FIGURE_LABELS[key]
        rows.append(
            Figure(
                key,
                str(label),
                str(explanation),
                _shown(metrics.get(key), percent),
                _interval(metrics.get(interval_of(key)), percent),
                _shown(metrics.get(parent), percent),
                _interval(metrics.get(interval_of(parent)), percent),
                str(metrics.get(verdict_of(key), "")),  # older evaluations have none
            )
        )
    return rows


def _shown(value: Any, percent: bool) -> str:
    if not isinstance(value, int | float):
        return ""
    return percentage(value, 1) if percent else number(float(value))


def _interval(bounds: Any, percent: bool) -> str:
    if not isinstance(bounds, list) or len(bounds) != 2:
        return ""
    low, high = (f"{100 * bound:.1f}" if percent else number(bound) for bound in bounds)
    template = gettext("%(low)s to %(high)s %%") if percent else gettext("%(low)s to %(high)s")
    return template % {"low": low, "high": high}


# ---- words ----


def figure(key: str, value: float) -> str:
    """A live figure for people: shares as percentages."""
    return percentage(value, 1) if key in SHARES else number(value)


def number(value: float) -> str:
    """Four figures at most, without an exponent where that stays short."""
    if value == 0 or 1e-3 <= abs(value) < 1e6:
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return f"{value:.2e}"
