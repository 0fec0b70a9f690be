"""The curves of a run, really drawn: Bokeh under the strict policy, live points, smoothing, without a script."""

import json

import pytest
from django.urls import reverse
from playwright.sync_api import expect

from annotation.models import DatasetVersion, Role
from tests.factories import ProjectFactory, join
from tests.stories.browser.page_helpers import axe, give_session
from training.contract.config import ModelSource, TrainingConfig, to_json
from training.models import Checkpoint, Evaluation, LearningCurve, Run

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
# What the last line of a chart holds, and whether its colour is on the canvas.
CHART = """key => {
  const box = document.querySelector(`figure[data-chart=${key}] .plot`);
  const view = [...Bokeh.index].find((one) => box.contains(one.el));
  const renderer = view.model.renderers.at(-1);
  const [red, green, blue] = renderer.glyph.line_color.value.match(/\\d+/g).map(Number);
  const canvas = view.canvas_view.primary.canvas;
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  const ours = (n) => data[n] === red && data[n + 1] === green && data[n + 2] === blue;
  const painted = data.some((_, n) => n % 4 === 0 && ours(n));
  const { x, y } = renderer.data_source.data;
  return { x: [...x], y: [...y], left: view.model.x_range.start, painted };
}"""


def chart(page, holds=lambda chart: True, key="loss"):
    """What the chart is, once that holds. (Playwright's own waiting would need eval, which the policy refuses.)"""
    for _ in range(200):
        found = page.evaluate(CHART, key)
        if holds(found):
            return found
        page.wait_for_timeout(50)
    raise AssertionError(f"not within 10 s: {found}")


@pytest.fixture
def manager():
    return join(ProjectFactory(slug="hotel", name="Hotel replies"), Role.MANAGER, name="Hana Mori")


def run_of(manager, steps, status="running"):
    project = manager.projects.get()
    config = TrainingConfig(program="train_dpo", run_id="run", model=ModelSource(base="/models/base"))
    run = Run.objects.create(
        project=project, trainer="dpo", base_model="/models/base", config=json.loads(to_json(config)), status=status
    )
    run.directory.create(config)
    add(run, range(1, steps + 1))
    return run


def add(run, steps, **more):
    lines = [
        {
            "step": step,
            "total_steps": 40,
            "loss": 0.69 - step / 100 + step % 2 / 10,
            "learning_rate": 1e-4,
            "reward_accuracy": 0.5 + step / 100,
            "reward_chosen": step / 50,
            "reward_rejected": -step / 40,
            **more,
        }
        for step in steps
    ]
    with run.directory.metrics_path.open("a") as file:
        file.write("".join(f"{json.dumps(line)}\n" for line in lines))


def test_the_curves_are_drawn_and_take_in_what_comes(page, live_server, client, manager, errors):
    run = run_of(manager, 10)
    run.directory.log_path.write_text("Step ten.\n")
    give_session(page.context, live_server, client, manager)
    page.goto(live_server.url + reverse("run", args=[run.pk]))
    page.evaluate("document.getElementById('charts').dataset.every = 200")
    drawn = page.locator(".plot.live canvas")
    expect(drawn.first).to_be_visible()
    assert page.locator(".plot.live").count() == 4, "loss, accuracy, rewards, learning rate"
    expect(page.locator("figure[data-chart=margin]")).to_be_hidden()
    assert chart(page, lambda chart: chart["painted"])["x"] == list(range(1, 11))
    axe(page)

    # Zoomed in, a person keeps what they look at while points come.
    box = page.locator("figure[data-chart=loss] .plot").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 20, box["y"] + 110, steps=5)
    page.mouse.up()
    left = chart(page, lambda chart: chart["left"] > 3)["left"]
    add(run, [11, 12, 9, 10, 11], reward_margin=0.5)  # killed after step 12, resumed after step 8
    with run.directory.log_path.open("a") as log:
        log.write("Resumed.\n")
    now = chart(page, lambda chart: len(chart["x"]) == 11)
    assert (now["x"], now["left"]) == (list(range(1, 12)), left)
    expect(page.locator("figure[data-chart=loss] [data-sentence]")).to_contain_text("over 11 steps")
    expect(page.locator("#log-text")).to_contain_text("Resumed.")
    expect(page.locator("figure[data-chart=margin] .plot.live")).to_be_visible()
    assert chart(page, key="margin")["x"] == [9, 10, 11]
    page.get_by_role("button", name="Reset zoom").click()
    chart(page, lambda chart: chart["left"] < 3)

    # Smoothed: the exponential moving average, its beginning unbiased.
    page.locator("#smoothing").fill("0")
    raw = chart(page)["y"]
    page.locator("#smoothing").fill("0.5")
    smooth = chart(page)["y"]
    assert smooth[0] == raw[0]
    assert smooth[1] == pytest.approx((raw[0] * 0.5 + raw[1]) / 1.5)
    assert not errors, "nothing that the policy refuses, no script that fails"


def test_runs_over_each_other(page, live_server, client, manager, errors):
    runs = [run_of(manager, steps, "succeeded") for steps in (10, 20)]
    give_session(page.context, live_server, client, manager)
    page.goto(live_server.url + reverse("runs", args=["hotel"]))
    for run in runs:
        page.get_by_label(f"Compare run {run.pk}").check()
    page.get_by_role("button", name="Compare selected runs").click()
    expect(page.get_by_role("heading", name=f"Comparison: {runs[0].pk}, {runs[1].pk}")).to_be_visible()
    expect(page.locator(".plot.live canvas").first).to_be_visible()
    axe(page)
    page.locator("figure[data-chart=loss] .plot").hover()
    expect(page.locator("figure[data-chart=reward_accuracy] .readout")).to_contain_text(f"run {runs[1].pk}")
    page.emulate_media(color_scheme="dark")
    chart(page, lambda chart: chart["painted"])  # repainted in the colours of the night
    axe(page)
    assert not errors


def test_without_a_script_the_small_drawings_stay(browser, live_server, client, manager):
    run = run_of(manager, 10, "succeeded")
    context = browser.new_context(java_script_enabled=False)
    give_session(context, live_server, client, manager)
    page = context.new_page()
    page.goto(live_server.url + reverse("run", args=[run.pk]))
    expect(page.locator("figure[data-chart=loss] polyline")).to_be_visible()
    sentence = "Loss went from 0.72 to 0.65 over 10 steps (means of the first and the last 5)."
    expect(page.get_by_text(sentence)).to_be_visible()
    expect(page.locator("#smoothing")).to_be_hidden()
    context.close()


def test_a_learning_curve_says_what_its_axis_counts(page, live_server, client, manager, errors):
    project = manager.projects.get()
    counts = {"train_rows": 500, "held_out_rows": 50, "selection": {}, "manifest": {}}
    dataset = DatasetVersion.objects.create(
        project=project, purpose="dpo", format="conversational", sha256="0" * 64, **counts
    )
    curve = LearningCurve.objects.create(project=project, dataset=dataset, shares=[0.5, 1.0])
    for share, rows, accuracy in ((0.5, 250, 0.7), (1.0, 500, 0.8)):
        run = run_of(manager, 1, status="succeeded")
        config = {**run.config, "share": share}
        Run.objects.filter(pk=run.pk).update(
            curve=curve, dataset=dataset, config=config, result={"rows": {"used": rows}}
        )
        checkpoint = Checkpoint.objects.create(
            project=project, run=run, dataset=dataset, form="adapter", path="runs/none", sha256="0" * 64
        )
        metrics = {"reward_accuracy": accuracy, "reward_accuracy_interval": [accuracy - 0.1, accuracy + 0.1]}
        Evaluation.objects.create(
            project=project, checkpoint=checkpoint, dataset=dataset, status="succeeded", result={"metrics": metrics}
        )
    give_session(page.context, live_server, client, manager)
    page.goto(live_server.url + reverse("learning_curve", args=[curve.pk]))
    expect(page.locator(".plot.live canvas").first).to_be_visible()
    titles = "[...Bokeh.index].map((one) => one.model.below.map((axis) => axis.axis_label))"
    assert page.evaluate(titles) == [["rows trained on"]]
