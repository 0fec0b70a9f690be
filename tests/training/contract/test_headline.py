"""The headline figure of a metric: of the last steps, never of the last batch."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.contract.headline import beginning, headline, steps_of, window
from training.contract.run_directory import RunDirectory
from training.reports.curves import chart_sentences
from training.reports.progress import END_BYTES, progress_of, read_ends


@pytest.mark.parametrize(
    ("steps", "size"), [(1, 1), (2, 1), (3, 1), (9, 4), (20, 10), (100, 10), (400, 40), (1000, 100), (20_000, 100)]
)
def test_how_many_steps_are_averaged(steps, size):
    assert window(steps) == size


def test_a_noisy_last_batch_is_not_the_headline():
    steps = [
        {"step": n, "loss": 1.0 if n <= 50 else 0.5, "learning_rate": 1 / n, "epoch": n / 25} for n in range(1, 101)
    ]
    steps[-1] |= {"loss": 5.0, "reward_accuracy": 1.0}
    assert headline(steps, "loss") == pytest.approx(0.95), "nine of 0.5 and one of 5"
    assert beginning(steps, "loss") == 1.0
    assert headline(steps, "learning_rate") == 0.01, "nothing to average: it is set"
    assert headline(steps, "epoch") == 4
    assert headline(steps, "reward_margin") is None


def test_all_places_have_the_same_figure(tmp_path):
    """Of a run that was killed and resumed, and so long that pages read its ends only."""
    directory = RunDirectory(tmp_path)
    lines = [{"step": n, "total_steps": 3000, "loss": 0.1, "reward_accuracy": 0.0} for n in range(1, 400)]
    lines += [{"event": "resumed", "step": 200}]
    lines += [
        {"step": n, "total_steps": 3000, "loss": (n % 7) / 7, "reward_accuracy": n / 3000, "logps_chosen": -123.456}
        for n in range(201, 3001)
    ]
    directory.metrics_path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert directory.metrics_path.stat().st_size > 2 * END_BYTES
    whole = steps_of(directory.read_metrics()[0])
    expected = sum((n % 7) / 7 for n in range(2901, 3001)) / 100
    assert headline(whole, "loss") == pytest.approx(expected)
    ends = read_ends(directory)
    assert progress_of(ends).figures["loss"] == pytest.approx(expected)
    assert progress_of(lines).figures == pytest.approx(progress_of(ends).figures)
    assert f"to {expected:.4g} over 3,000 steps" in chart_sentences(ends)["loss"]


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=300))
def test_a_headline_lies_among_the_figures(losses):
    steps = [{"step": n, "loss": loss} for n, loss in enumerate(losses, 1)]
    value, first = headline(steps, "loss"), beginning(steps, "loss")
    assert min(losses) - 1e-6 <= value <= max(losses) + 1e-6
    assert min(losses) - 1e-6 <= first <= max(losses) + 1e-6
