"""Curves: their points for a live page, over several runs, and what preflight.json says in words."""

import json
import re
import time

import pytest
from django.contrib.staticfiles import finders
from django.urls import reverse
from lxml import html

from annotation.core.access import MAX_ID
from annotation.dashboards.charts import POINTS, Line, line_chart, sampled
from annotation.models import Role
from tests.factories import ProjectFactory, UserFactory, join
from training.contract.headline import steps_of
from training.models import Checkpoint, Evaluation, Run
from training.reports.curves import chart_sentences, news, points_of, run_charts
from training.reports.progress import figure, read_ends

pytestmark = pytest.mark.django_db


def step(number, **figures):
    return {"step": number, "total_steps": 40, "loss": 3.0 / number, **figures}


@pytest.fixture
def trained(fake_run):
    """`trained(lines, **fields)`: a run that is over, with these lines in its metrics.jsonl."""

    def make(lines, **fields):
        run = fake_run("succeeds")
        for line in lines:
            run.directory.append_metric(**line)
        Run.objects.filter(pk=run.pk).update(**{"status": "succeeded", **fields})
        return run

    return make


# ---- pure ----


def test_a_step_done_twice_counts_as_it_was_last_done():
    done = [step(1), {"event": "saved", "step": 1}, step(2), step(3), step(4)]
    lines = [*done, {"event": "resumed", "step": 1}, step(2, loss=9.0), step(3, loss=8.0)]
    assert points_of(steps_of(lines), "loss") == ([1, 2, 3], [3.0, 9.0, 8.0])
    assert news(lines[5:])["from"] == 2
    assert news([{"event": "saved", "step": 3}]) == {"from": None, "points": {}}


def test_long_lines_are_sampled_as_means():
    x, y = sampled(range(1, 100_001), [float(n % 2) for n in range(100_000)])
    assert len(x) == POINTS
    assert x[-1] == 100_000
    assert set(y) == {0.5}
    assert sampled([1, 2, 3], [1.0, float("nan"), 2.0]) == ([1, 3], [1.0, 2.0])
    assert sampled([], []) == ([], [])


def test_a_chart_says_itself_three_ways():
    lines = [Line("chosen", [1, 2], [0.0, 4.0], "reward_chosen"), Line("rejected", [1, 2], [2.0, 0.0])]
    chart = line_chart(lines, key="rewards", title="Rewards", sentence="They part.")
    assert chart.legend == [(1, "chosen"), (2, "rejected")]
    assert chart.drawn == [(1, "0.0,150.0 560.0,0.0"), (2, "0.0,75.0 560.0,150.0")]
    assert chart.spec["lines"][0] == {
        "name": "chosen",
        "key": "reward_chosen",
        "style": 1,
        "x": [1, 2],
        "y": [0.0, 4.0],
        "low": [],
        "high": [],
    }
    interval = Line("gain", [10, 100], [0.5, 0.6], low=[0.4, 0.5], high=[0.6, 0.7])
    assert line_chart([interval], key="k", title="t", sentence="s").spec["lines"][0]["high"] == [0.6, 0.7]


def test_charts_are_those_of_the_metrics_that_there_are():
    lines = [step(n, token_accuracy=0.5, learning_rate=1e-4) for n in (1, 2)]
    charts = run_charts(lines, chart_sentences(lines))
    assert [chart.key for chart in charts] == ["loss", "token_accuracy", "learning_rate"]
    assert charts[0].sentence == "Loss went from 3 to 1.5 over 2 steps."
    waiting = {chart.key: chart for chart in run_charts([], {}, live=True)}
    assert not waiting["margin"].drawn, "it stands ready for the first points"


@pytest.mark.parametrize(
    ("key", "value", "shown"),
    [
        ("reward_accuracy", 2 / 3, "66.7 %"),
        ("reward_accuracy", 1, "100.0 %"),
        ("reward_accuracy", 0.82, "82.0 %"),
        ("token_accuracy", 0.0004, "0.0 %"),
        ("loss", 0.69314718, "0.6931"),
        ("tokens_per_s", 12345.6, "12,346"),
        ("learning_rate", 5e-5, "5.00e-05"),
    ],
)
def test_a_live_figure_has_as_many_decimals_at_every_step(key, value, shown):
    assert figure(key, value) == shown


# ---- the live page ----


def test_metrics_come_from_where_the_page_has_them(sign_in, manager, trained):
    run = trained([step(n, reward_chosen=0.1 * n, reward_rejected=-0.1) for n in range(1, 4)])
    client, url = sign_in(manager), reverse("run_metrics", args=[run.pk])
    first = client.get(url).json()
    assert first["points"]["loss"] == [[1, 2, 3], [3.0, 1.5, 1.0]]
    assert set(first["points"]) == {"loss", "reward_chosen", "reward_rejected"}
    assert first["live"] is False
    run.directory.append_metric(**step(4))
    run.directory.log_path.write_text("one\ntwo <b>\nthree\n")
    told = client.get(url, {"offset": first["offset"], "lines": 2}).json()
    assert told["points"] == {"loss": [[4], [0.75]]}
    assert told["from"] == 4
    assert told["log"] == "two <b>\nthree"
    assert told["sentences"]["loss"] == (
        "Loss went from 2.25 to 0.875 over 4 steps (means of the first and the last 2)."
    )
    nothing = client.get(url, {"offset": told["offset"]}).json()
    assert (nothing["points"], nothing["from"], nothing["log"]) == ({}, None, "")
    beyond = client.get(url, {"offset": MAX_ID}).json()
    assert (beyond["points"], beyond["offset"]) == ({}, MAX_ID), "no file reaches that far"
    assert client.get(url, {"lines": MAX_ID}).json()["log"] == "one\ntwo <b>\nthree"
    page = client.get(reverse("run", args=[run.pk])).text
    assert f'name="offset" value="{told["offset"]}"' in page
    assert "bokeh.min.js" in page
    assert "hx-trigger" not in page
    assert "Chosen went from 0.15 to 0.3 over 4 steps (means of the first and the last 2)." in page


@pytest.mark.parametrize("number", [str(MAX_ID + 1), "1" + "0" * 30, "1" + "0" * 5000, "-1", "1.5", "x", "٣"])
@pytest.mark.parametrize("name", ["offset", "lines", "notes_at"])
def test_what_is_no_number_of_a_file_is_refused(sign_in, manager, trained, name, number):
    run = trained([step(1)], status="running")
    client = sign_in(manager)
    page = client.get(reverse("run", args=[run.pk]), {name: number}, headers={"HX-Request": "true"})
    assert (page.status_code, page.text) == (400, f"offset, lines and notes_at are whole numbers from 0 to {MAX_ID}")
    if name != "notes_at":
        answer = client.get(reverse("run_metrics", args=[run.pk]), {name: number})
        assert answer.status_code == 400
        assert answer.json() == {"error": f"offset and lines are whole numbers from 0 to {MAX_ID}"}
    assert client.get(reverse("runs_compare", args=[run.project.slug]), {"run": number}).status_code == 404


def test_a_live_page_has_every_chart_ready(sign_in, manager, trained):
    run = trained([{"stage": "reference", "done": 120, "total": 900, "time_left_s": 30}], status="running")
    page = sign_in(manager).get(reverse("run", args=[run.pk])).text
    assert "computing reference log-probabilities, 120 of 900" in page
    assert page.count('data-chart="') == 9
    assert page.count("hx-trigger") == 1, "the page polls once"


def test_what_a_live_page_asks_for_does_not_grow_with_the_run(sign_in, manager, trained):
    run = trained([], status="running")
    with run.directory.metrics_path.open("w") as file:
        file.write('{"event": "started"}\n')
        file.writelines(json.dumps({"step": n, "total_steps": 9000, "loss": 9.0 / n}) + "\n" for n in range(1, 5001))
        file.write('{"step": 5001, "total_st')
    assert len(read_ends(run.directory)) < 3000
    client, url = sign_in(manager), reverse("run", args=[run.pk])
    poll = {"offset": run.directory.metrics_path.stat().st_size - 300, "notes_at": int(time.time())}
    live = client.get(url, poll, headers={"HX-Request": "true", "HX-Target": "live"}).text
    assert "step 5,000 of 9,000" in live
    assert "data-chart" not in live
    assert 'id="notes"' not in live, "the notes need the whole history: not with every poll"
    assert len(live) < 10_000
    news = json.loads(re.search(r'<script id="news" type="application/json">(.*?)</script>', live).group(1))
    assert news["sentences"]["loss"] == (
        "Loss went from 0.4669 to 0.001818 over 5,000 steps (means of the first and the last 100)."
    )
    assert news == client.get(reverse("run_metrics", args=[run.pk]), poll).json()
    assert client.get(url, {"offset": "x"}, headers={"HX-Request": "true"}).status_code == 400
    (run.directory.path / "preflight.json").write_text(json.dumps(PREFLIGHT))
    notes = client.get(url, poll | {"notes_at": 0}, headers={"HX-Request": "true", "HX-Target": "live"}).text
    notes = notes[notes.index('<div id="notes" hx-swap-oob="true">') :]
    assert 'data-note="rows_cut"' in notes
    assert 'name="notes_at" value="17' in notes
    assert "Preflight checks" in notes
    assert "<h1>" not in notes


def test_the_log_has_more_lines(sign_in, manager, trained):
    run = trained([])
    run.directory.log_path.write_text("\n".join(f"line {n}." for n in range(100)))
    client, url = sign_in(manager), reverse("run", args=[run.pk])
    page = client.get(url).text
    assert "line 99." in page
    assert "line 50." not in page
    assert "bokeh" not in page, "nothing to draw"
    assert "line 50." in client.get(url, {"log": "more"}).text


def test_bokeh_is_one_file_of_the_installed_package():
    assert finders.find("bokeh/bokeh.min.js").endswith("server/static/js/bokeh.min.js")
    assert finders.find("bokeh/compiler.js") is None
    served = [path for finder in finders.get_finders() for path, _ in finder.list(None) if "bokeh" in path]
    assert served == ["bokeh.min.js"]


# ---- what was known before and after ----

PREFLIGHT = {
    "checks": [
        {"name": "bos", "status": "ok", "words": "One BOS a row."},
        {"name": "stop", "status": "warning", "words": "2 answers <b>never</b> stop."},
    ],
    "lengths": {"bins": [0, 32, 64], "counts": [4, 8], "longest": 60, "median": 40, "p95": 55},
    "truncated": {"count": 3, "rows": [1, 2, 3]},
    "dropped": {},
    "memory": {
        "estimate_bytes": {"weights": 2**30, "gradients": 0, "total": 2**31},
        "available_bytes": 2**33,
        "measured_peak_bytes": 2**30,
    },
    "time": {"seconds_per_step": 2.0, "steps": 90, "estimate_s": 180.0},
}


def test_the_preflight_is_shown_in_words(sign_in, manager, trained):
    method = {"packing": False, "why": "mamba keeps a state"}
    result = {"status": "succeeded", "method": method, "reference_cache": {"hits": 780, "computed": 120}}
    run = trained([step(1), step(2)], result=result)
    (run.directory.path / "preflight.json").write_text(json.dumps(PREFLIGHT))
    page = sign_in(manager).get(reverse("run", args=[run.pk])).text.replace("\xa0", " ")
    assert "Preflight checks: 1 warning" in page
    assert "2 answers &lt;b&gt;never&lt;/b&gt; stop." in page
    assert "Half of the rows have at most 40 tokens, 95 % at most 55; the longest has 60." in page
    assert page.count("<rect ") == 2
    assert "0 to 64 tokens" in page
    assert "Needs about 2.0 GiB of memory (weights 1.0 GiB). The machine has 8.0 GiB free." in page
    assert "A trial of the longest batch took 1.0 GiB." in page
    assert "90 steps should take about 3 min 00 s." in page
    assert "780 from the cache, 120 computed" in page
    assert "Computed by plain TRL: mamba keeps a state" in page
    assert 'data-note="rows_cut"' in page
    assert 'data-note="plain_trl"' in page


@pytest.mark.parametrize(
    ("shares", "sentence"),
    [
        ((0.5, 0.05), "Computed with packing; 5.0 % of the positions were padding."),
        ((0.0, 0.0), "Computed with packing; 0.0 % of the positions were padding."),
        ((None, None), "Computed with packing."),
    ],
)
def test_a_packed_run_says_how_much_was_padding(sign_in, manager, trained, shares, sentence):
    lines = [step(n, **({} if share is None else {"padding_share": share})) for n, share in enumerate(shares, 1)]
    run = trained(lines, result={"status": "succeeded", "method": {"packing": True}})
    page = sign_in(manager).get(reverse("run", args=[run.pk])).text.replace("\xa0", " ")
    assert f'<p class="meta">{sentence}</p>' in page


# ---- several runs ----


def test_runs_are_compared(sign_in, manager, project, trained):
    first = trained([step(n) for n in range(1, 4)])
    second = trained([step(n, loss=6.0 / n) for n in range(1, 4)])
    model = {"base": "/srv/models/other", "adapters": ["/srv/runs/7/model"], "allow_other_base": False}
    config = {**second.config, "learning_rate": 0.5, "model": model, "dataset_sha256": "5" * 64}
    config |= {"token_cache": "/srv/cache", "reference_cache": "/srv/cache", "accelerate_config": "/etc/gpus.yaml"}
    Run.objects.filter(pk=second.pk).update(config=config, base_model="/srv/models/other")
    checkpoint = Checkpoint.objects.create(
        project=project, run=second, dataset=second.dataset, form="adapter", path="runs/none", sha256="0" * 64
    )
    for chrf in (11.5, 31.25):
        Evaluation.objects.create(
            project=project,
            checkpoint=checkpoint,
            dataset=second.dataset,
            status="succeeded",
            result={"metrics": {"chrf": chrf}},
        )
    client, url = sign_in(manager), reverse("runs_compare", args=[project.slug])
    page = client.get(url, {"run": [first.pk, second.pk]}).text
    assert f"At the end: run {first.pk}: 1, run {second.pk}: 2." in page
    assert page.count("<polyline") == 2
    assert "line-2" in page
    assert '<tr><th scope="row">learning_rate</th><td>0.0002</td><td>0.5</td></tr>' in page
    assert '<th scope="row">epochs</th>' not in page, "the same in both"
    rows = [" ".join(cell.text_content().strip() for cell in row) for row in html.fromstring(page).iter("tr")]
    assert "Model shell other" in rows
    assert f"Dataset dataset {first.dataset_id} dataset {second.dataset_id}" in rows
    assert "accelerate_config – gpus.yaml" in rows, "a setting, by the name of its file"
    assert [row.split()[0] for row in rows if "/" in row or "5555" in row] == [], "neither paths nor hashes"
    assert not {"model.base", "model.adapters", "token_cache", "dataset_sha256"} & {
        row.split()[0] for row in rows if row
    }
    own = " ".join(client.get(reverse("run", args=[second.pk])).text.split())
    assert "<td>Model</td><td>other</td>" in own
    assert "--model other " in own
    assert "/srv/" not in own
    assert "31.25" in page
    assert "11.5" not in page, "the newest evaluation counts"
    listed = client.get(reverse("runs", args=[project.slug])).text
    assert f'aria-label="Compare run {first.pk}"' in listed


def test_who_may_compare_what(sign_in, client, manager, project, trained):
    runs = [trained([step(1), step(2)]).pk for _ in range(7)]
    url = reverse("runs_compare", args=[project.slug])
    elsewhere = ProjectFactory()
    theirs = Run.objects.create(project=elsewhere, trainer="sft")
    signed = sign_in(manager)
    for asked in ([], runs[:1], runs):
        page = signed.get(url, {"run": asked}).text
        assert "Choose two to six runs to compare" in page
        assert page.count(" checked>") == len(asked)
    assert signed.get(url, {"run": [runs[0], theirs.pk]}).status_code == 404
    assert signed.get(url, {"run": [runs[0], 10**6]}).status_code == 404
    assert signed.get(url, {"run": [runs[0], "x"]}).status_code == 404
    assert signed.get(reverse("runs_compare", args=[elsewhere.slug]), {"run": runs[:2]}).status_code == 404
    assert signed.get(reverse("run_metrics", args=[theirs.pk])).status_code == 404
    pages = [(url, {"run": runs[:2]}), (reverse("run_metrics", args=[runs[0]]), {})]
    for person, status in (
        (UserFactory(), 404),
        (join(project, Role.ANNOTATOR), 404),
        (join(project, Role.REVIEWER), 200),
    ):
        assert {sign_in(person).get(*page).status_code for page in pages} == {status}
    client.logout()
    assert {client.get(*page).status_code for page in pages} == {302}


def test_a_kto_dataset_trains_by_kto_from_the_page(sign_in, manager, project, freeze, model_shell):
    dataset = freeze("kto", held_out=0)
    answer = sign_in(manager).post(
        reverse("runs", args=[project.slug]),
        {"dataset": dataset.pk, "start": f"model:{model_shell.name}", "method": "lora", "beta": "0.2", "ties": "drop"},
    )
    assert answer.status_code == 302
    run = Run.objects.get()
    assert (run.trainer, run.config["program"], run.config["beta"]) == ("kto", "train_kto", 0.2)
    assert run.config["ties"] == "learn", "a choice of DPO's alone"


def test_a_dpo_run_takes_what_people_disagreed_on_as_chosen(sign_in, manager, project, freeze, model_shell):
    dataset = freeze("dpo", held_out=0)
    given = {
        "dataset": dataset.pk,
        "start": f"model:{model_shell.name}",
        "method": "lora",
        "soft_labels": "no",
        "ties": "drop",
    }
    sign_in(manager).post(reverse("runs", args=[project.slug]), given)
    config = Run.objects.get().config
    assert (config["soft_labels"], config["ties"]) == (False, "drop")
