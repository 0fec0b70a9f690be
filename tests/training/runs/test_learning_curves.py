"""Learning curves: the command that trains their points, the page that draws them, and what it dares to say."""

import json
import math
import re
import signal

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse

from annotation.models import Role
from tests.factories import UserFactory, join
from tests.training.conftest import until
from training.contract.statistics import gain_in_perplexity, gain_in_wins, perplexity_interval, power_law
from training.models import Checkpoint, Evaluation, LearningCurve, Run
from training.reports.progress import read_progress
from training.results.checkpoints import register_checkpoint
from training.runs.learning_curves import read_learning_curve, runs_of, start_learning_curve

LAUNCHES = pytest.mark.django_db(transaction=True)


@LAUNCHES
def test_the_command_trains_every_share_and_answers(fake_engine, freeze, model_shell, capsys, client, project, manager):
    dataset = freeze("dpo")
    call_command(
        "train_dpo", str(dataset.pk), "--model", "shell", "--epochs", "3", "--learning-curve", "--shares", "1,.25,.5"
    )
    curve = LearningCurve.objects.get()
    assert curve.shares == [0.25, 0.5, 1.0]
    runs = runs_of(curve)
    assert [(run.config["share"], run.config["epochs"], run.status) for run in runs] == [
        (share, 3, "succeeded") for share in curve.shares
    ]
    own = ("share", "run_id")
    same = [{key: value for key, value in run.config.items() if key not in own} for run in runs]
    assert same[0] == same[1] == same[2]
    assert {evaluation.dataset_id for evaluation in Evaluation.objects.all()} == {dataset.pk}
    out = capsys.readouterr().out
    assert f"{curve}: Yes, more labels would probably help" in out
    url = reverse("learning_curve", args=[curve.pk])
    assert f"see {url}" in out

    client.force_login(manager)
    page = re.sub(r">\s+<", "><", client.get(url).text)
    assert "<h1>Yes, more labels would probably help: the metric is still improving</h1>" in page
    assert "From 50 % to 100 % of the prompts the figure went from 82.0 % to 95.0 %: +13.0 points" in page
    assert re.search(r"doubling the labels would give about 9[5-9]\.\d %", page)
    assert "data-chart" in page
    for run, rows, value in zip(runs, ("250", "500", "1,000"), ("72.5 %", "82.0 %", "95.0 %"), strict=True):
        assert f"<td>{rows}</td><td>{value}</td>" in page
        assert reverse("run", args=[run.pk]) in page
        assert url in client.get(reverse("run", args=[run.pk])).text
    assert url in client.get(reverse("runs", args=[project.slug])).text


@LAUNCHES
def test_ctrl_c_cancels_all_and_resume_makes_what_is_missing(
    manage, freeze, model_shell, settings, monkeypatch, capsys
):
    behaviour = settings.VAR / "runs" / "behaviour"
    behaviour.parent.mkdir()
    behaviour.write_text("slow")
    command = manage("train_dpo", freeze("dpo").pk, "--model", "shell", "--learning-curve", "--shares", "0.5,1")
    run = until(lambda: Run.objects.order_by("id").first())
    until(lambda: read_progress(run.directory).done > 2)
    command.send_signal(signal.SIGINT)
    out, err = command.communicate(timeout=240)
    assert command.returncode == 3, err
    curve = LearningCurve.objects.get()
    last = f"manage.py train_dpo --learning-curve --resume {curve.pk}"
    assert out.splitlines()[-1].endswith(last)
    assert [run.status for run in runs_of(curve)] == ["cancelled", "cancelled"]

    behaviour.write_text("succeeds")
    monkeypatch.setattr(settings, "ENGINE_PROGRAM", "tests.training.fake_engine")
    call_command(*last.split()[1:])
    assert [run.status for run in runs_of(curve)] == ["succeeded", "succeeded"]
    assert Run.objects.count() == 2
    assert "still improving" in capsys.readouterr().out
    kept = Checkpoint.objects.values_list("sha256", flat=True)
    Evaluation.objects.order_by("id").first().delete()
    call_command(*last.split()[1:])  # one figure was lost: it is measured again, and nothing is trained
    assert Evaluation.objects.count() == 2
    assert list(kept) == list(Checkpoint.objects.values_list("sha256", flat=True))


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["{dpo}", "--model", "shell", "--shares", "0.5,1"], "--shares is for --learning-curve"),
        (["{dpo}", "--model", "shell", "--learning-curve", "--shares", "1"], "at least two fractions"),
        (["{dpo}", "--model", "shell", "--learning-curve", "--shares", "0.5,1.5"], "at least two fractions"),
        (["{dpo}", "--model", "shell", "--learning-curve", "--share", "0.5"], "omit --share and --no-evaluate"),
        (["{dpo}", "--model", "shell", "--learning-curve", "--no-evaluate"], "omit --share and --no-evaluate"),
        (["{bare}", "--model", "shell", "--learning-curve"], "no held-out rows"),
        (["{sft}", "--model", "shell", "--learning-curve"], "use train_sft"),
        (["--learning-curve"], "no dataset: give the id"),
        (["--learning-curve", "--resume", "9"], "no learning curve 9"),
    ],
)
def test_what_makes_no_curve_is_refused(fake_engine, freeze, model_shell, command, message):
    ids = {"dpo": freeze("dpo").pk, "bare": freeze("dpo", held_out=0).pk, "sft": freeze("sft").pk}
    with pytest.raises(CommandError, match=message):
        call_command("train_dpo", *(word.format(**ids) for word in command))
    assert not Run.objects.exists()
    assert not LearningCurve.objects.exists()


def score(purpose, row, good):
    """A line of scores.jsonl: of a pair, of a text called good or bad, or of an answer of ten tokens."""
    if purpose == "dpo":
        before = {"reference_chosen_logp": -2, "reference_rejected_logp": -2}
        return {"model_chosen_logp": -1 if good else -3, "model_rejected_logp": -2, **before}
    if purpose == "kto":
        label = row % 2 == 0
        return {"model_completion_logp": -1 if good == label else -3, "reference_completion_logp": -2, "label": label}
    return {"model_completion_logp": -10 * math.log(2) * (not good), "completion_tokens": 10}


@pytest.fixture
def measured(fake_engine, project, freeze, model_shell):
    """`measured([60, 70], rows=100)`: a curve whose points have so many of the held-out rows right."""

    def make(right, rows, labels=1000, purpose="dpo"):
        shares = [(n + 1) / len(right) for n in range(len(right))]
        curve = start_learning_curve(
            project=project, dataset=freeze(purpose), actor=None, shares=shares, base_model=str(model_shell)
        )
        for run, share, won in zip(runs_of(curve), shares, right, strict=True):
            run.status, run.result = "succeeded", {"rows": {"used": round(share * labels)}}
            run.save()
            run.directory.model.mkdir()
            (run.directory.model / "adapter_model.safetensors").write_bytes(b"w")
            (run.directory.model / "lineage.json").write_text(
                json.dumps({"base": str(model_shell), "adapters": [], "this": "adapter"})
            )
            checkpoint = register_checkpoint(run)
            metrics = {
                "dpo": {"reward_accuracy": won / rows, "reward_accuracy_interval": [0, 1]},
                "kto": {"label_accuracy": won / rows, "label_accuracy_interval": [0, 1]},
                "sft": {"perplexity": 2.0 ** (1 - won / rows)},
            }[purpose]
            evaluation = Evaluation.objects.create(
                project=project,
                checkpoint=checkpoint,
                dataset=curve.dataset,
                status="succeeded",
                result={"metrics": metrics},
            )
            evaluation.directory.path.mkdir(parents=True)
            lines = [{"row": row, **score(purpose, row, row < won)} for row in range(rows)]
            (evaluation.directory.path / "scores.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        return curve

    return make


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("right", "rows", "kind", "words"),
    [
        ([300, 400], 500, "rising", "From 50 % to 100 % of the prompts"),
        ([400, 401], 500, "flat", "Better labels"),
        ([400, 300], 500, "falling", "lower learning rate"),
        ([6, 8], 10, "unclear", "it has 10 rows"),
        ([10, 10], 10, "unclear", "About"),  # all right twice over: ten pairs say nothing about flatness either
    ],
)
def test_the_verdict_is_as_firm_as_the_held_out_set(measured, right, rows, kind, words):
    verdict = read_learning_curve(measured(right, rows)).verdict
    assert verdict.kind == kind
    assert words in " ".join([verdict.title, *verdict.sentences])
    assert verdict.gain.value == pytest.approx((right[1] - right[0]) / rows)
    if kind == "unclear":
        assert verdict.gain.rows_needed > 100


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("purpose", "figure", "words"),
    [
        ("kto", "Label accuracy on held-out texts", "from 60.0 % to 90.0 %: +30.0 points"),
        ("sft", "Perplexity of the held-out answers", "perplexity went from 1.32 to 1.072: better by +18.8 %"),
    ],
)
def test_other_trainers_have_their_own_figure(measured, purpose, figure, words):
    reading = read_learning_curve(measured([120, 180], 200, purpose=purpose))
    assert reading.verdict.kind == "rising"
    assert reading.figure == figure
    assert words in reading.verdict.sentences[0]
    low, value, high = reading.points[1].low, reading.points[1].value, reading.points[1].high
    assert low < value < high
    assert reading.chart is not None


@pytest.mark.django_db
def test_a_curve_on_its_way_says_so_and_strangers_see_nothing(
    fake_engine, freeze, model_shell, project, client, django_assert_max_num_queries
):
    curve = start_learning_curve(project=project, dataset=freeze("dpo"), actor=None, base_model=str(model_shell))
    url = reverse("learning_curve", args=[curve.pk])
    assert client.get(url).status_code == 302
    for person, sees in (
        (UserFactory(), 404),
        (join(project, Role.ANNOTATOR), 404),
        (join(project, Role.REVIEWER), 200),
    ):
        client.force_login(person)
        assert client.get(url).status_code == sees
    page = client.get(url).text
    assert "At least two points are needed; 0 of 4 are finished" in page
    assert "every 10s" in page
    with django_assert_max_num_queries(25):
        part = client.get(url, headers={"HX-Request": "true"}).text
    assert "<html" not in part
    assert part.count("Waiting") == 4


def test_paired_gains_against_figures_worked_out_elsewhere():
    before = dict.fromkeys(range(100), 0.0) | dict.fromkeys(range(60), 1.0)
    after = dict.fromkeys(range(100), 0.0) | dict.fromkeys(range(50, 100), 1.0) | dict.fromkeys(range(30), 1.0)
    gain = gain_in_wins(before, after)  # 40 rows won, 20 lost
    assert (gain.value, gain.rows) == (pytest.approx(0.2), 100)
    # Bonett and Price: (41 - 21) / 102, width from 1.96 sqrt((41 + 21) / 102 - (20 / 102)²) / sqrt(102)
    assert (gain.low, gain.high) == (pytest.approx(0.0495, abs=1e-3), pytest.approx(0.3427, abs=1e-3))
    assert gain_in_wins(before, {}) is None


def test_perplexity_falls_by_the_ratio_and_its_interval_holds_it():
    tokens = dict.fromkeys(range(50), 10)
    before = {row: -20.0 - row % 3 for row in range(50)}
    after = {row: before[row] + 1 + 0.1 * (row % 2) for row in range(50)}
    gain = gain_in_perplexity(before, after, tokens)
    assert gain.value == pytest.approx(1 - 2.718281828 ** (-1.05 / 10), abs=1e-6)
    assert 0.09 < gain.low < gain.value < gain.high < 0.11
    low, high = perplexity_interval(list(before.values()), list(tokens.values()))
    assert low < 2.718281828 ** (sum(-value for value in before.values()) / 500) < high


def test_a_power_law_is_found_where_there_is_one():
    scale, exponent = power_law([100, 200, 400, 800], [2 * n**-0.3 for n in (100, 200, 400, 800)])
    assert (scale, exponent) == (pytest.approx(2), pytest.approx(0.3))
    assert power_law([100, 200], [0.4, 0.3]) is None
    assert power_law([100, 200, 400], [0.3, 0.3, 0.4]) is None
    assert power_law([100, 200, 400], [0.2, 0.1, 0.0]) is None
