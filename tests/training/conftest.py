"""A project with frozen files and a tiny model on disk. The pytest process itself stays free of torch."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlencode

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.db import connection

from annotation.models import DatasetVersion, Role
from tests.factories import ProjectFactory, PromptFactory, join
from training.models import Checkpoint, Evaluation
from training.runs.create import create_run
from training.supervision import launch

ROOT = Path(__file__).resolve().parent.parent.parent
ANSWERS = {"chosen": "Certainly, with pleasure.", "rejected": "nope"}


@pytest.fixture(scope="session")
def tiny_model_files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model") / "tiny"
    subprocess.run([sys.executable, "-m", "tests.training.make_model", str(folder)], cwd=ROOT, check=True)
    return folder


@pytest.fixture
def tiny_model(tiny_model_files, own_var):
    """The folder of a real, tiny model below an allowed root."""
    folder = own_var / "models" / "tiny"
    shutil.copytree(tiny_model_files, folder)
    return folder


@pytest.fixture
def model_shell(own_var):
    """A folder that looks like a model, for engines that do not load it."""
    folder = own_var / "models" / "shell"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"weights")
    return folder


@pytest.fixture
def project(db):
    return ProjectFactory(slug="concierge", name="Concierge", source_language="en", target_language="en")


@pytest.fixture
def manager(project):
    return join(project, Role.MANAGER, email="manager@example.org", name="Mana Manager")


@pytest.fixture
def freeze(project, settings):
    """`freeze(purpose, train=12, held_out=4)`: a dataset version with its files, as freezing leaves them."""

    def make(purpose, train=12, held_out=4, **fields):
        digest = hashlib.sha256(f"{project.slug} {purpose} {train} {held_out}".encode()).hexdigest()
        folder = settings.VAR / "datasets" / digest
        folder.mkdir(parents=True)
        for name, count, first in (("train", train, 0), ("held_out", held_out, train)):  # no prompt is in both
            table = pa.table({column: [] for column in columns(purpose, 0)})
            rows = [columns(purpose, number) for number in range(first, first + count)]
            pq.write_table(pa.Table.from_pylist(rows) if rows else table, folder / f"{name}.parquet")
        (folder / "manifest.json").write_text(json.dumps({"sha256": digest}))
        return DatasetVersion.objects.create(
            project=project,
            purpose=purpose,
            format="conversational",
            sha256=digest,
            manifest=fields.pop("manifest", {}),
            selection=fields.pop("selection", {}),
            train_rows=train,
            held_out_rows=held_out,
            directory=f"datasets/{digest}",
            **fields,
        )

    return make


def columns(purpose, number):
    prompt = [{"role": "user", "content": f"May we have towel number {number}?"}]
    answers = {name: [{"role": "assistant", "content": f"{text} {number}"}] for name, text in ANSWERS.items()}
    if purpose == "dpo":
        return {"prompt": prompt, **answers, "reference": ANSWERS["chosen"]}
    row = {"prompt": prompt, "completion": answers["chosen"], "reference": ANSWERS["chosen"]}
    return {**row, "label": number % 2 == 0} if purpose == "kto" else row


@pytest.fixture
def prompts(project):
    return [PromptFactory(project=project, text=f"Is breakfast at {hour}?") for hour in range(6, 12)]


@pytest.fixture
def fake_engine(settings):
    settings.ENGINE_PROGRAM = "tests.training.fake_engine"


@pytest.fixture
def fake_run(fake_engine, project, freeze, model_shell):
    """`fake_run("hangs")`: a queued run whose engine behaves like that."""

    def make(behaviour, dataset=None, **fields):
        fields.setdefault("base_model", "" if fields.get("parent") else str(model_shell))
        dataset = dataset or project.datasets.filter(purpose="sft").first() or freeze("sft", held_out=0)
        run = create_run(project=project, trainer="sft", dataset=dataset, actor=None, **fields)
        (run.directory.path / "behaviour").write_text(behaviour)
        return run

    yield make
    for child in launch._children:
        child.kill()
        child.wait()
    launch._children.clear()


def until(condition, seconds=120.0):
    """Wait until `condition()` is true; its value."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds:g} s: {condition}")


def watched(job, *statuses, seconds=120.0):
    """Watch as the worker does, until the job has one of the statuses."""

    def reached():
        launch.watch_engine_jobs()
        job.refresh_from_db()
        return job.status in statuses

    until(reached, seconds)
    return job


@pytest.fixture
def environment(own_var, transactional_db):
    """For a process of the site's own on the test's database."""
    given = connection.get_connection_params()
    query = {"host": given["host"], **({"port": given["port"]} if given.get("port") else {})}
    url = f"postgresql://{given.get('user', '')}@/{given['dbname']}?{urlencode(query)}"
    return {
        **os.environ,
        "DATABASE_URL": url,
        "KONOMI_VAR": str(own_var),
        "KONOMI_MODEL_ROOTS": "",
        "KONOMI_ENGINE_PROGRAM": "tests.training.fake_engine",
    }


@pytest.fixture
def manage(environment):
    """`manage("train_sft", 3, …)`: a command as a process of its own; returns the process."""
    started = []

    def start(*arguments):
        process = subprocess.Popen(
            [sys.executable, "manage.py", *map(str, arguments)],
            cwd=ROOT,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def finished(run):
    """The checkpoint of a run that a (fake) engine ends at once, with an evaluation as the engine leaves it."""
    watched(run, "succeeded")
    return Checkpoint.objects.get(run=run)


METRICS = {
    "rows": 40,
    "reward_accuracy": 0.925,
    "reward_accuracy_interval": [0.85, 1.0],
    "reward_margin": 1.234,
    "logp_accuracy": 0.9,
    "logp_accuracy_interval": [0.8, 0.98],
    "parent_logp_accuracy": 0.6,
    "parent_logp_accuracy_interval": [0.45, 0.75],
    "perplexity": 12.5,
    "parent_perplexity": 15.25,
    "chrf": 31.0,
    "parent_chrf": 30.0,
}


def evaluated(checkpoint, dataset, **metrics):
    evaluation = Evaluation.objects.create(
        project=checkpoint.project,
        checkpoint=checkpoint,
        dataset=dataset,
        status="succeeded",
        result={"status": "succeeded", "metrics": {**METRICS, **metrics}},
    )
    evaluation.directory.path.mkdir(parents=True)
    (evaluation.directory.path / "samples.jsonl").write_text(
        '{"prompt": [{"role": "user", "content": "A <b>towel</b>?"}], "output": "<script>ours</script>", '
        '"parent_output": "theirs", "reference": "Certainly."}\n{"prompt": "torn'
    )
    return evaluation
