"""A long run's steps for its page: condensed by Arrow as Python would, and a fixed amount of work behind it."""

import json

import pytest
from django.urls import reverse

from tests.training.reports.test_curves import trained  # noqa: F401 (a fixture)
from training.contract.headline import steps_of
from training.contract.run_directory import RunDirectory
from training.reports import history
from training.reports.history import history_of


def written(folder, lines, end=""):
    folder.mkdir(exist_ok=True)
    directory = RunDirectory(folder)
    directory.metrics_path.write_text("".join(json.dumps(line) + "\n" for line in lines) + end)
    return directory


def long_run(count=9000):
    """Killed after step 5,000 and resumed from 4,001; one metric has gaps, integers are among the floats."""
    first = [{"step": n, "total_steps": count, "loss": 100, "epoch": 1} for n in range(1, 5001)]
    first[0] |= {"loss": 0.6931}
    again = [{"event": "saved", "step": 4000}, {"event": "resumed", "step": 4000, "total_steps": count}]
    for n in range(4001, count + 1):
        again.append({"step": n, "total_steps": count, "loss": n / 2, "grad_norm": float(n), "note": {"of": "later"}})
        if n % 50 == 0:
            again[-1]["reward_accuracy"] = 1
    return first + again


def test_a_long_history_is_the_means_of_neighbours(tmp_path):
    directory = written(tmp_path, long_run(), end='{"step": 9001, "tot')
    steps, offset = history_of(directory)
    whole = steps_of(directory.read_metrics()[0])
    assert offset == directory.read_metrics()[1]
    assert len(whole) == 9000
    assert len(steps) <= history.MOST + 1
    assert dict(steps[0]) == {"step": 1, "total_steps": 9000, "loss": 0.6931, "epoch": 1}
    size = steps[2]["step"] - steps[1]["step"]
    for line in (steps[1], steps[700], steps[-2]):
        neighbours = [row for row in whole if line["step"] - size < row["step"] <= line["step"]]
        assert line["loss"] == pytest.approx(sum(row["loss"] for row in neighbours) / size)
        accuracies = [row["reward_accuracy"] for row in neighbours if "reward_accuracy" in row]
        assert line.get("reward_accuracy") == (1 if accuracies else None)
    assert steps[-1]["grad_norm"] == 9000, "as it was at that step: notes count how often it is clipped"
    assert [line["step"] for line in steps] == sorted({line["step"] for line in steps})


def test_a_line_that_arrow_cannot_read_is_passed_over(tmp_path):
    torn = '{"step": 90{"event": "resumed", "step": 9000}\n'
    directory = written(tmp_path, long_run(), end=torn)
    whole = written(tmp_path / "whole", long_run())
    assert history_of(directory)[0] == history_of(whole)[0]


def test_a_short_history_is_whole(tmp_path):
    directory = written(tmp_path, [{"event": "started", "step": 0}, *({"step": n, "loss": 1.0} for n in range(1, 4))])
    assert [line["step"] for line in history_of(directory)[0]] == [1, 2, 3]
    assert history_of(RunDirectory(tmp_path / "none")) == ([], 0)


def test_the_page_of_a_long_run_walks_through_its_condensed_history(sign_in, manager, trained, monkeypatch):  # noqa: F811
    run = trained(long_run())

    def refuse(*arguments):
        raise AssertionError("the page read the whole file line by line")

    monkeypatch.setattr(RunDirectory, "read_metrics", refuse)
    page = sign_in(manager).get(reverse("run", args=[run.pk]))
    assert page.status_code == 200
    assert "over 9,000 steps" in page.text
    assert len(page.content) < 200_000
