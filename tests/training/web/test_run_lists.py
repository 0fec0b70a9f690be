"""The lists of runs and checkpoints: figures with intervals, names, learning curves together, what is preselected."""

import re
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse
from django.utils import timezone

from annotation.models import Event, Role
from tests.factories import join
from tests.training.conftest import evaluated, finished
from training.models import Checkpoint, LearningCurve, Run
from training.reports.run_table import group_heads, run_groups
from training.results.promotion import promote
from training.runs.describe import describe_run

pytestmark = pytest.mark.django_db
BETTER = {"perplexity_interval": [11.0, 14.0], "perplexity_verdict": "better", "chrf_verdict": "worse"}


def plain(page):
    """The text of a page on one line, without tags."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page.replace("\xa0", " ")))


@pytest.mark.django_db(transaction=True)
def test_lists_show_figures_with_intervals_and_against_the_parent(sign_in, manager, project, freeze, fake_run):
    dataset = freeze("sft", held_out=0)
    checkpoint = finished(fake_run("succeeds", dataset, name="warm start", note="With the <b>new</b> guideline"))
    start = timezone.now() - timedelta(hours=2)
    metrics = {"loss": 0.5123, "token_accuracy": 0.61}
    Run.objects.filter(pk=checkpoint.run_id).update(
        started_at=start, finished_at=start + timedelta(minutes=61), result={"metrics": metrics}
    )
    evaluated(checkpoint, dataset, **BETTER)
    client = sign_in(manager)
    for name in ("runs", "checkpoints"):
        page = client.get(reverse(name, args=[project.slug])).text
        text = plain(page)
        assert "Perplexity 12.5 (11 to 14) better" in text
        assert "chrF 31 worse" in text
        assert "warm start" in text
        assert "With the &lt;b&gt;new&lt;/b&gt; guideline" in page
        assert "1 h 01 min" in text
        assert f"SFT, dataset {dataset.pk}" in text.replace(" ,", ",")
        assert "from shell" in text
    runs = plain(client.get(reverse("runs", args=[project.slug])).text)
    assert "loss 0.5123" in runs
    assert "token accuracy 61.0 %" in runs
    page = plain(client.get(reverse("checkpoint", args=[checkpoint.pk])).text)
    assert "warm start" in page
    assert "15.25 better" in page


def test_an_evaluation_of_before_has_no_verdict(sign_in, manager, project, freeze, fake_run):
    dataset = freeze("sft", held_out=0)
    run = fake_run("succeeds", dataset)
    checkpoint = Checkpoint.objects.create(project=project, run=run, dataset=dataset, path="runs/none", sha256="0" * 64)
    evaluated(checkpoint, dataset)
    client = sign_in(manager)
    for url in (reverse("checkpoints", args=[project.slug]), reverse("checkpoint", args=[checkpoint.pk])):
        assert 'class="verdict' not in client.get(url).text


def test_points_of_a_curve_are_listed_together(sign_in, manager, project, freeze, fake_run):
    dataset = freeze("dpo")
    before = fake_run("hangs")
    curve = LearningCurve.objects.create(project=project, dataset=dataset, shares=[0.25, 0.5, 1])
    points = []
    for share in curve.shares:
        points.append(fake_run("hangs", options={"share": share}))
        Run.objects.filter(pk=points[-1].pk).update(curve=curve)
        between = fake_run("hangs")
    groups = run_groups(list(group_heads(project)))
    listed = [(group.curve and group.curve.pk, [row.run.pk for row in group.rows]) for group in groups]
    singles = [run.pk for run in Run.objects.filter(curve=None).order_by("-pk")]
    assert listed == [
        (None, [between.pk]),
        (curve.pk, [point.pk for point in reversed(points)]),
        *((None, [pk]) for pk in singles[1:]),
    ]
    assert singles[-1] == before.pk
    page = sign_in(manager).get(reverse("runs", args=[project.slug])).text
    assert f"3 points on dataset {dataset.pk}" in plain(page)
    assert "(25 %)" in plain(page)
    assert page.count("<tbody") == 5
    assert page.count('class="curve-points"') == 1


def test_pages_of_the_list_keep_curves_whole(project, freeze, fake_run, sign_in, manager, monkeypatch):
    monkeypatch.setattr("training.web.views.run_list.RUNS_A_PAGE", 2)
    curve = LearningCurve.objects.create(project=project, dataset=freeze("dpo"), shares=[0.5, 1])
    first = fake_run("hangs")
    points = [fake_run("hangs") for _ in curve.shares]
    Run.objects.filter(pk__in=[point.pk for point in points]).update(curve=curve)
    last = fake_run("hangs")
    client, url = sign_in(manager), reverse("runs", args=[project.slug])
    seen = [re.findall(r'name="run" value="(\d+)"', client.get(url, {"page": page}).text) for page in (1, 2)]
    assert seen[0] == [str(run.pk) for run in (last, *reversed(points))]
    assert f"Run {first.pk}" in plain(client.get(url, {"page": 2}).text)


def test_the_promoted_checkpoint_is_preselected_however_old(sign_in, manager, project, freeze, fake_run, monkeypatch):
    monkeypatch.setattr("training.web.forms.OFFERED", 2)
    dataset = freeze("sft")
    curve = LearningCurve.objects.create(project=project, dataset=dataset, shares=[0.5, 1])
    rows = []
    for number in range(4):
        run = fake_run("hangs", dataset, name=f"try {number}", options={"share": 0.5})
        Run.objects.filter(pk=run.pk).update(curve=curve if number == 3 else None)
        rows.append(Checkpoint.objects.create(project=project, run=run, path=f"runs/{number}", sha256="0" * 64))
    promote(checkpoint=rows[1], actor=manager)
    promote(checkpoint=rows[0], actor=manager)
    page = sign_in(manager).get(reverse("runs", args=[project.slug])).text
    options = re.findall(r'<option value="checkpoint:(\d+)"( selected)?>([^<]*)</option>', page)
    assert [(int(pk), bool(chosen)) for pk, chosen, _label in options] == [
        (rows[2].pk, False),
        (rows[0].pk, True),
        (rows[3].pk, False),
    ]
    labels = [label for _pk, _chosen, label in options]
    assert labels[1] == f"Checkpoint {rows[0].pk} (SFT), promoted · try 0"
    assert plain(labels[2]) == f"Checkpoint {rows[3].pk} (SFT), 50 % of the prompts · try 3"
    assert re.findall(r'<optgroup label="([^"]*)"', page)[:2] == ["Checkpoints", "Points of learning curves"]


# ---- names and notes ----


def test_a_run_is_named_when_it_starts_and_later(sign_in, manager, project, freeze, model_shell):
    dataset = freeze("sft")
    client = sign_in(manager)
    wanted = {"dataset": dataset.pk, "start": f"model:{model_shell.name}", "method": "lora", "name": " first  try "}
    answer = client.post(reverse("runs", args=[project.slug]), {**wanted, "note": "Why not"})
    assert answer.status_code == 302
    run = Run.objects.get()
    assert (run.name, run.note) == ("first try", "Why not")
    url = reverse("run_describe", args=[run.pk])
    client.post(url, {"name": "second", "note": ""})
    client.post(url, {"name": "second", "note": ""})
    run.refresh_from_db()
    assert (run.name, run.note) == ("second", "")
    event = Event.objects.get(verb="run.described")
    assert (event.actor, event.before["name"], event.after) == (manager, "first try", {"name": "second", "note": ""})
    page = client.get(reverse("run", args=[run.pk])).text
    assert '<bdi class="run-name">second</bdi>' in page
    refused = client.post(url, {"name": "x" * 81, "note": "y"}, follow=True)
    assert "Not saved: Name" in refused.text
    run.refresh_from_db()
    assert run.name == "second"


def test_only_managers_name_runs(sign_in, project, fake_run, manager):
    run = fake_run("hangs")
    url = reverse("run_describe", args=[run.pk])
    assert sign_in(join(project, Role.REVIEWER)).post(url, {"name": "mine", "note": ""}).status_code == 404
    assert sign_in(join(project, Role.ANNOTATOR)).post(url, {"name": "mine", "note": ""}).status_code == 404
    run.refresh_from_db()
    assert run.name == ""


def test_the_command_names_runs_and_refuses_what_is_too_long(fake_engine, freeze, model_shell, capsys):
    dataset = freeze("sft", held_out=0)
    call_command("train_sft", str(dataset.pk), "--model", "shell", "--name", "nightly", "--note", "bigger batch")
    run = Run.objects.get()
    assert (run.name, run.note) == ("nightly", "bigger batch")
    assert f"run {run.pk} (sft: nightly)" in capsys.readouterr().err
    with pytest.raises(CommandError, match="at most 80 characters, got 81"):
        call_command("train_sft", str(dataset.pk), "--model", "shell", "--name", "x" * 81)
    with pytest.raises(CommandError, match="keeps a run's name and note"):
        call_command("train_sft", "--resume", str(run.pk), "--name", "other")
    assert Run.objects.count() == 1
    assert describe_run(run=run, actor=None, name="nightly", note="bigger batch") is False
