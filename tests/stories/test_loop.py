"""Once round the whole loop on a real site: web, worker and engines as in life, a truly trained tiny model, no mocks.

One site serves both stories: the second kills web, worker and engine with -9 and shows that nothing was lost.
"""

import contextlib
import json
import re
import tempfile
import time
from pathlib import Path

import psutil
import pytest
import requests
from lxml import html

from demo import grammar
from tests.site import PASSWORD, Person, Site, running_site
from training.contract.config import Architecture, ModelSource, TrainingConfig
from training.contract.run_directory import RunDirectory
from training.reports.progress import read_progress

PROJECT = "front-desk"
# Enough for samples that differ; how well such a model writes is tested in tests/engine/models/test_pretrain.py.
PRETRAINING_STEPS = 100
SMALL = ("--batch-size", "8", "--lora-r", "4", "--threads", "1")
PEOPLE = {"manager": "manager@example.org", "annotator": "ana@example.org", "reviewer": "ren@example.org"}

CHECKPOINTS = """
import json
from training.models import Checkpoint
from training.results.checkpoints import folder_sha256, model_folder, model_source
print(json.dumps({checkpoint.pk: {
    "parent": checkpoint.parent_id,
    "run": checkpoint.run_id,
    "base": model_source(checkpoint).base,
    "adapters": model_source(checkpoint).adapters,
    "origin": checkpoint.origin,
    "intact": checkpoint.sha256 == folder_sha256(model_folder(checkpoint)),
} for checkpoint in Checkpoint.objects.all()}))
"""
COMPARED = """
import json
from annotation.models import Batch, Candidate
tasks = Batch.objects.get(pk={batch}).tasks.all()
origins = [Candidate.objects.filter(pk__in=task.candidate_ids).values_list("origin", flat=True) for task in tasks]
print(json.dumps([sorted(of_task) for of_task in origins]))
"""


@pytest.fixture(scope="module")
def site():
    # Not pytest's own temporary folder: under root the database runs as a user who may not enter that.
    with tempfile.TemporaryDirectory(prefix="konomi-loop-") as folder:
        with running_site(Path(folder) / "var") as site:
            for name, email in PEOPLE.items():
                site.manage("create_user", email, "--name", name.title(), "--password", PASSWORD)
            yield site
        # Engines outlive the site that started them, and would write into the folder while it is removed.
        left = processes(site, "")
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(left)


@pytest.fixture(scope="module")
def manager(site):
    return Person(site, PEOPLE["manager"])


@pytest.fixture(scope="module")
def annotator(site):
    return Person(site, PEOPLE["annotator"])


def wait_until(what, seconds=300.0):
    """The first true answer of `what`, asked again and again."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if answer := what():
            return answer
        time.sleep(0.5)
    raise AssertionError(f"still waiting after {seconds} s")


def said(output: str, word: str) -> int:
    found = re.search(rf"\b{word} (\d+)", output.strip().splitlines()[-1])
    assert found, output
    return int(found.group(1))


def latest(person: Person, path: str, word: str) -> int:
    """The greatest id among the page's links /<word>/<id>/; the worker may need a moment to bring the first."""

    def found() -> list[int]:
        links = person.get(path).xpath("//a/@href")
        return [int(match.group(1)) for link in links if (match := re.match(rf"/{word}/(\d+)/", link))]

    return max(wait_until(found))


def base_model(site: Site) -> str:
    """A small model trained from scratch on the grammar, as the demonstration does it, for fewer steps; its folder."""
    directory = RunDirectory(site.var / "models" / "small")
    config = TrainingConfig(
        program="pretrain",
        run_id="small",
        model=ModelSource(base=""),
        architecture=Architecture(vocab_size=1024, hidden_size=64, layers=2, heads=4, intermediate_size=128),
        max_steps=PRETRAINING_STEPS,
        learning_rate=1e-2,
        threads=1,
    )
    directory.create(config)
    directory.dataset.mkdir()
    with (directory.dataset / "corpus.jsonl").open("w", encoding="utf-8") as corpus:
        for number, scene in enumerate(grammar.scenes(800, seed=7)):
            reply = grammar.reply(scene, "casual" if number % 2 else "formal")
            messages = [{"role": "user", "content": grammar.review(scene)}, {"role": "assistant", "content": reply}]
            corpus.write(json.dumps({"messages": messages}) + "\n")
    site.run_module("training.engine.pretrain", str(directory.path))
    return str(directory.model)


def reviews(folder: Path) -> Path:
    """40 reviews with a formal and a casual reply each."""
    path = folder / "reviews.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for number, scene in enumerate(grammar.scenes(40, seed=3)):
            row = {"external_id": f"r{number}", "text": grammar.review(scene), "document": f"hotel {number % 20}"}
            row["reference"] = grammar.reply(scene, "formal", variant=1)
            row |= {f"candidate_{register}": grammar.reply(scene, register) for register in ("formal", "casual")}
            file.write(json.dumps(row) + "\n")
    return path


def alternatives(page) -> list[str]:
    found = page.xpath("//label[contains(@class, 'alternative')]//*[@class='text']")
    return [element.text_content().strip() for element in found]


def is_formal(text: str) -> bool:
    """The grammar's casual replies shorten their verbs and raise their voice."""
    return "!" not in text and not re.search(r"\w'(s|ll|re|m|t|ve|d)\b", text)


def answer(page) -> dict[str, object]:
    """What a person who prefers the formal register enters for the task on the page."""
    names = {element.get("name") for element in page.xpath("//form//*[@name]")}
    if "choice" in names:
        formal = [is_formal(text) for text in alternatives(page)]
        return {"choice": "tie" if formal[0] == formal[1] else "a" if formal[0] else "b", "strength": "2"}
    if scores := sorted(name for name in names if name and name.startswith("score-")):
        shown = page.xpath("//form")[0].text_content()
        return {name: "5" if is_formal(shown) else "2" for name in scores} | {"comment": ""}
    if "unchanged" in names:
        return {"text": "Dear guest, we thank you for your review and shall see to it."}
    return {"text": "Dear guest, we are grateful for your words and hope to welcome you again."}


def work_through(person: Person, batch: int, limit: int = 1000) -> int:
    """Answer until the batch has nothing left; how many answers were accepted."""
    person.get(f"/batches/{batch}/work/")
    count = 0
    while count < limit and (path := person.submit_path()) is not None:
        person.post(path, active_seconds="4", **answer(person.page))
        count += 1
    return count


def test_once_round_the_loop(site, manager, annotator):
    # A project, its aspects, its people.
    site.manage(
        "create_project",
        PROJECT,
        "--name",
        "Front desk",
        "--goal",
        "persona",
        "--persona",
        "You answer reviews.",
        "--held-out-share",
        "0.3",
        "--manager",
        PEOPLE["manager"],
        "--annotator",
        PEOPLE["annotator"],
        "--reviewer",
        PEOPLE["reviewer"],
    )
    settings = f"/projects/{PROJECT}/settings"
    anchors = "Slang\nMixed\nFormal enough\nFormal\nPerfect"
    manager.post(f"{settings}/aspects/", name="Register", question="How formal?", anchors=anchors)
    manager.post(f"{settings}/guideline/", text="# Answers\n\nBe *formal*.", based_on="0", action="publish")
    model = base_model(site)

    # In: a file with candidates from the upload page, twice, and more candidates from the model itself.
    for _ in range(2):
        manager.get(f"/projects/{PROJECT}/import/")
        with reviews(site.var).open("rb") as file:
            manager.fill(f"/projects/{PROJECT}/import/", files={"file": file})
        number = re.search(r"/imports/(\d+)/", manager.page_url).group(1)
        manager.fill(f"/imports/{number}/columns/")
        record = manager.page_url.removeprefix(site.url)
        wait_until(lambda record=record: " read:" in manager.get(record).text_content())
    assert "Nothing in it was new." in manager.page.text_content()
    site.manage("generate", PROJECT, "--model", model, "--limit", "6", "--max-new-tokens", "60")

    # The four kinds, on thirty of the forty prompts, answered through HTTP by somebody without JavaScript.
    counts = {}
    for kind, limit in (("choosing", 30), ("scoring", 5), ("postediting", 5), ("writing", 5)):
        opened = site.manage("open_batch", PROJECT, kind, "--limit", str(limit), "--overlap", "1")
        counts[kind] = work_through(annotator, said(opened, "batch"))
    assert counts["choosing"] == 30
    assert counts["postediting"] == counts["writing"] == 5
    assert counts["scoring"] >= 10

    # Out: one dataset from the page, one on the command line; the same selection is the same version.
    manager.get(f"/projects/{PROJECT}/datasets/")
    manager.fill(f"/projects/{PROJECT}/datasets/", purpose="sft")
    sft_data = latest(manager, f"/projects/{PROJECT}/datasets/", "datasets")
    dpo_data = said(site.manage("freeze_dataset", PROJECT, "--for", "dpo"), "dataset")
    assert said(site.manage("freeze_dataset", PROJECT, "--for", "dpo"), "dataset") == dpo_data != sft_data

    # SFT from the page, through the worker; DPO on the command line, from the SFT checkpoint.
    manager.get(f"/projects/{PROJECT}/runs/")
    manager.fill(f"/projects/{PROJECT}/runs/", dataset=sft_data, start="model:small/model", epochs=2, batch_size=8)
    run = latest(manager, f"/projects/{PROJECT}/runs/", "runs")
    wait_until(lambda: ended(site, "runs", run))
    sft = latest(manager, f"/projects/{PROJECT}/checkpoints/", "checkpoints")
    trained = site.manage("train_dpo", dpo_data, "--checkpoint", sft, "--epochs", "2", *SMALL)
    dpo = said(trained, "checkpoint")
    evaluation = site.var / "evaluations" / str(said(trained, "evaluation"))
    asked = json.loads((evaluation / "run.json").read_text())
    assert asked["reference"] == asked["parent"]
    figures = json.loads((evaluation / "result.json").read_text())["metrics"]
    assert {"reward_accuracy", "reward_accuracy_interval", "reward_margin", "perplexity"} <= set(figures)
    assert {"chrf", "bleu", "parent_chrf", "parent_bleu"} <= set(figures)
    assert 0 <= figures["reward_accuracy"] <= 1
    assert figures["chrf"] >= 0
    samples = (evaluation / "samples.jsonl").read_text().splitlines()
    assert {"output", "parent_output"} <= set(json.loads(samples[0]))
    standing = site.ask(CHECKPOINTS)
    first, second = standing[str(sft)], standing[str(dpo)]
    assert (first["parent"], second["parent"]) == (None, sft)
    assert first["base"] == second["base"] == model
    assert second["adapters"] == [str(site.var / "runs" / str(number) / "model") for number in (run, second["run"])]
    assert first["intact"]
    assert second["intact"]
    assert read_progress(RunDirectory(site.var / "runs" / str(second["run"]))).figures["reward_margin"] != 0

    # A rule that does not hold refuses with the figures, one that does promotes.
    assert "reward_accuracy is" in site.refusal("promote", dpo, "--if", "reward_accuracy>=1.5")
    assert "chrf is" in site.manage("promote", sft, "--if", "chrf>=0")

    # Its figures beside its parent's, promoted by a person, and on to the next round.
    page = manager.get(f"/checkpoints/{dpo}/")
    assert f"/checkpoints/{sft}/" in page.xpath("//a/@href")
    manager.fill(f"/checkpoints/{dpo}/promote/", note="Better register")
    manager.get(f"/projects/{PROJECT}/rounds/")
    manager.fill(f"/projects/{PROJECT}/rounds/start/", prompts=8, max_new_tokens=60, overlap=1)
    wait_until(lambda: "Round 2" in annotator.get("/").text_content())
    batch = latest(annotator, "/", "batches")
    page = annotator.get(f"/batches/{batch}/work/")
    assert len(set(alternatives(page))) == 2
    compared = site.ask(COMPARED.format(batch=batch))
    assert compared
    assert all(origins == sorted([first["origin"], second["origin"]]) for origins in compared)
    assert "checkpoint" not in html.tostring(page, encoding="unicode").lower()
    chain = manager.get(f"/projects/{PROJECT}/rounds/")
    for link in (f"/datasets/{dpo_data}/", f"/runs/{run}/", f"/checkpoints/{dpo}/", f"/batches/{batch}/"):
        assert link in chain.xpath("//a/@href"), link


def test_kills_lose_nothing(site, manager, annotator):
    """-9 to the web server between two answers, to the worker during a training, and to the engine itself."""
    batch = latest(annotator, "/", "batches")
    work_through(annotator, batch, limit=2)
    before = answers(annotator)
    annotator.get(f"/batches/{batch}/work/")
    in_hand = annotator.submit_path()
    kill(processes(site, "gunicorn"))
    wait_until(lambda: healthy(site))
    assert answers(annotator) == before
    annotator.get(f"/batches/{batch}/work/")
    assert annotator.submit_path() == in_hand  # still held, and nobody else's
    annotator.post(in_hand, active_seconds="4", **answer(annotator.page))
    annotator.post(in_hand, active_seconds="4", choice="a")  # sent again after a lost reply: counted once
    assert answers(annotator) == before + 1

    dataset = latest(manager, f"/projects/{PROJECT}/datasets/", "datasets")
    epochs = 6  # long enough to be killed in the middle
    start = f"checkpoint:{latest(manager, f'/projects/{PROJECT}/checkpoints/', 'checkpoints')}"
    manager.get(f"/projects/{PROJECT}/runs/")
    manager.fill(f"/projects/{PROJECT}/runs/", dataset=dataset, start=start, epochs=epochs, batch_size=2, save_steps=2)
    run = latest(manager, f"/projects/{PROJECT}/runs/", "runs")
    folder = site.var / "runs" / str(run)
    wait_until(lambda: list(folder.glob("checkpoint-*")))
    kill(processes(site, "celery"))  # the engine lives on
    engine = processes(site, str(folder))
    assert engine
    kill(engine)
    page = f"/runs/{run}/"
    wait_until(lambda: "was killed" in manager.get(page).text_content())  # seen by the worker that came back
    manager.fill(f"{page}resume/")
    wait_until(lambda: ended(site, "runs", run))
    events = [json.loads(line).get("event") for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert "resumed" in events
    assert json.loads((folder / "result.json").read_text())["resumed_from"].startswith("checkpoint-")
    progress = read_progress(RunDirectory(folder))
    assert progress.done == progress.total
    wait_until(lambda: "Running" not in manager.get(f"/projects/{PROJECT}/runs/").text_content())


def processes(site: Site, word: str) -> list[psutil.Process]:
    """The site's processes whose command line has the word, the eldest first."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            line = " ".join(process.cmdline())
            if word in line and (str(site.var) in line or process.environ().get("KONOMI_VAR") == str(site.var)):
                found.append(process)
    return sorted(found, key=lambda process: process.create_time())


def kill(found: list[psutil.Process]) -> None:
    assert found
    for process in found:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def healthy(site: Site) -> bool:
    with contextlib.suppress(requests.RequestException):
        return requests.get(f"{site.url}/healthz", timeout=5).ok
    return False


def ended(site: Site, folder: str, number: int) -> bool:
    """Whether that engine succeeded and the site has taken it in; fails at once where it failed."""
    result = site.var / folder / str(number) / "result.json"
    if not result.exists():
        return False
    assert json.loads(result.read_text())["status"] == "succeeded", result.read_text()
    return True


def answers(person: Person) -> int:
    """How many submissions `my work` counts."""
    found = re.search(r"submitted ([\d,]+) answer", person.get("/my-work/").text_content())
    return int(found.group(1).replace(",", "")) if found else 0
