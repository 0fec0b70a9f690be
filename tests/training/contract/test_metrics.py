"""A metric is declared once: whatever the table shows has a label, and no key stands twice."""

from training.contract.metrics import FIGURES, METRICS, charts
from training.reports.labels import CHART_TITLES, FIGURE_LABELS, METRIC_LABELS


def test_every_metric_that_is_shown_has_a_label():
    for table in (METRICS, FIGURES):
        assert len({entry.key for entry in table}) == len(table)
    assert set(METRIC_LABELS) == {metric.key for metric in METRICS if metric.live or metric.chart}
    assert set(CHART_TITLES) == set(charts())
    assert set(FIGURE_LABELS) == {figure.key for figure in FIGURES}
