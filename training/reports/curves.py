"""A run's history: its steps as they were last done, their curves on the page of one run and over several."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.text import capfirst
from django.utils.translation import gettext, ngettext

from annotation.dashboards.charts import Chart, Line, line_chart, sampled
from training.contract.headline import AS_IT_IS, Lines, beginning, headline, is_step, steps_of, window
from training.contract.metrics import METRICS, charts
from training.reports.labels import CHART_TITLES, COMPARED_TITLES, METRIC_LABELS
from training.reports.progress import figure

Points = tuple[list[float], list[float]]

# Chart → title, the metrics in it with their labels, whether they are shares, whether they may be smoothed.
CHARTS: dict[str, tuple[Any, list[tuple[str, Any]], bool, bool]] = {
    chart: (
        CHART_TITLES[chart],
        [(metric.key, METRIC_LABELS[metric.key]) for metric in metrics],
        metrics[0].share,
        metrics[0].smooth,
    )
    for chart, metrics in charts().items()
}
DRAWN = [metric.key for metric in METRICS if metric.chart]


def points_of(steps: Lines, key: str) -> Points:
    """(steps, values) of one metric."""
    points = [(line["step"], float(line[key])) for line in steps if isinstance(line.get(key), int | float)]
    return [step for step, _ in points], [value for _, value in points]


def run_charts(steps: Lines, sentences: Mapping[str, str], *, live: bool = False) -> list[Chart]:
    """A chart of each metric that the run reports; of a live run all, empty ones too, to be filled while it runs.

    `steps` are those of `steps_of` or of a history, `sentences` those of `chart_sentences`.
    """
    drawn = []
    for key, (title, metrics, percent, smooth) in CHARTS.items():
        curves = [Line(str(name), *points_of(steps, metric), key=metric) for metric, name in metrics]
        if not live and max(len(curve.x) for curve in curves) < 2:
            continue
        sentence = sentences.get(key, "")
        drawn.append(line_chart(curves, key=key, title=str(title), sentence=sentence, percent=percent, smooth=smooth))
    return drawn


def chart_sentences(lines: Lines) -> dict[str, str]:
    """What each chart says, from its first and its last points: `read_ends` is enough."""
    steps = steps_of(lines)
    sentences = {}
    for key, (_title, metrics, _percent, _smooth) in CHARTS.items():
        sentences[key] = chart_sentence(steps, metrics)
    return {key: sentence for key, sentence in sentences.items() if sentence}


def chart_sentence(steps: Lines, metrics: Sequence[tuple[str, Any]]) -> str:
    return " ".join(filter(None, (curve_sentence(steps, key, str(name)) for key, name in metrics)))


def curve_sentence(steps: Lines, key: str, name: str) -> str:
    """Such as: Loss went from 0.6931 to 0.21 over 120 steps (means of the first and the last 12). Empty without one."""
    first, last = beginning(steps, key), headline(steps, key)
    if first is None or last is None:
        return ""
    done = steps[-1]["step"]
    averaged = 1 if key in AS_IT_IS else window(done)
    sentence = ngettext(
        "%(name)s went from %(first)s to %(last)s over %(steps)s step.",
        "%(name)s went from %(first)s to %(last)s over %(steps)s steps.",
        done,
    )
    if averaged > 1:
        sentence = gettext(
            "%(name)s went from %(first)s to %(last)s over %(steps)s steps "
            "(means of the first and the last %(window)s)."
        )
    return sentence % {
        "name": capfirst(name),
        "first": figure(key, first),
        "last": figure(key, last),
        "steps": f"{done:,}",
        "window": averaged,
    }


def news(lines: Lines) -> dict[str, Any]:
    """What metrics.jsonl gained, for the charts already drawn: `points` by metric, `from` the step on which
    they begin (None where there is no step)."""
    steps = steps_of(lines)
    points = {key: sampled(*points_of(steps, key)) for key in DRAWN}
    return {
        "from": min((line["step"] for line in lines if is_step(line)), default=None),
        "points": {key: values for key, values in points.items() if values[0]},
    }


# ---- several runs beside each other ----

# Over each other, each metric has a chart of its own: a line is a run.
COMPARED = [
    (metric, COMPARED_TITLES.get(metric.key) or CHART_TITLES[metric.chart]) for metric in METRICS if metric.compared
]


@dataclass(frozen=True)
class Compared:
    """One run of a comparison: its name, its line's style (1 to 6) and its lines of metrics.jsonl."""

    name: str
    style: int
    lines: Lines


def compared_charts(runs: Sequence[Compared], *, same_loss: bool = True) -> list[Chart]:
    """The same metrics over each other, one line a run; metrics with fewer than two points are left out.

    `same_loss` is whether the runs minimise the same loss: otherwise the chart of it says that it compares badly.
    """
    histories = [(run, steps_of(run.lines)) for run in runs]
    compared = []
    for metric, title in COMPARED:
        key = metric.key
        curves, styles, ends = [], [], []
        for run, steps in histories:
            x, y = points_of(steps, key)
            if len(x) > 1:
                curves.append(Line(run.name, x, y, key))
                styles.append(run.style)
                ends.append((run.name, headline(steps, key)))
        if not curves:
            continue
        figures = ", ".join(f"{name}: {figure(key, value)}" for name, value in ends if value is not None)
        sentence = gettext("At the end: %(figures)s.") % {"figures": figures}
        if key == "loss" and not same_loss:
            sentence += " " + gettext("These runs minimise different losses: compare their accuracy and margin.")
        compared.append(
            line_chart(
                curves,
                key=key,
                title=str(title),
                sentence=sentence,
                percent=metric.share,
                styles=styles,
                smooth=metric.smooth,
            )
        )
    return compared


def differing(rows: Iterable[Mapping[str, str]]) -> list[tuple[str, list[str]]]:
    """(setting, its value in each) of the settings that are not the same in all."""
    runs = list(rows)
    names = list(dict.fromkeys(name for row in runs for name in row))
    table = [(name, [row.get(name, "–") for row in runs]) for name in names]
    return [(name, values) for name, values in table if len(set(values)) > 1]
