"""run.json as it was written before hyper-parameters were declared in one table: still read, shown and run.

The files in run_json_0_1 were written by `to_json` of commit d334413, which named every field.
"""

import dataclasses
import json
import shlex
from pathlib import Path

import pytest
from django.urls import reverse

from training.contract.config import CONFIG_CLASSES, TrainingConfig, from_json, read_config, to_json
from training.models import Run
from training.runs.create import command_line

FILES = sorted((Path(__file__).parent / "run_json_0_1").glob("*.json"))


def written(name):
    return json.loads((FILES[0].parent / f"{name}.json").read_text(encoding="utf-8"))


# Fields that came later, with the values that mean what was done before.
LATER = {"allow_other_base": False, "dataset_sha256": "", "token_cache": ""}


def without_later(now, before):
    """What is read today, without fields that came later and have the value that changes nothing."""
    if not isinstance(now, dict) or not isinstance(before, dict):
        return now
    return {
        key: without_later(value, before.get(key))
        for key, value in now.items()
        if key in before or LATER.get(key, object()) != value
    }


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_field_keeps_its_value(path):
    before = json.loads(path.read_text(encoding="utf-8"))
    config = read_config(path)
    assert type(config) is CONFIG_CLASSES[before["program"]]
    assert without_later(json.loads(to_json(config)), before) == before, (
        "no field was dropped, renamed or given another default"
    )
    assert from_json(to_json(config)) == config


def test_there_is_one_of_each_program_and_every_field_differs_from_its_default_once():
    assert {written(path.stem)["program"] for path in FILES} == set(CONFIG_CLASSES)
    trainings = [row for row in map(read_config, FILES) if isinstance(row, TrainingConfig)]
    for field in dataclasses.fields(TrainingConfig):
        assert len({repr(getattr(row, field.name)) for row in trainings}) > 1 or field.name in (
            "dataset",
            "versions",
            "token_cache",
        )


def test_the_weights_that_every_dpo_run_had_are_kept():
    config = from_json(json.dumps(written("train_dpo")))
    assert (config.losses, config.loss_weights) == (("sigmoid", "sft"), (1.0, 1.0))
    one_loss = written("train_dpo") | {"losses": ["sigmoid"], "loss_weights": []}
    assert from_json(json.dumps(one_loss)).losses == ("sigmoid",)
    full = written("train_kto")
    assert (full["lora"], from_json(json.dumps(full)).lora) == (None, None)


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["train_sft", "train_dpo", "train_dpo_chosen", "train_kto"])
def test_the_page_of_an_old_run_shows_it_and_its_command_is_the_same_run(sign_in, manager, freeze, fake_run, name):
    config, trainer = written(name), name.split("_")[1]
    run = fake_run("succeeds")
    Run.objects.filter(pk=run.pk).update(config=config, trainer=trainer, status="failed")
    run.directory.config_path.write_text(json.dumps(config), encoding="utf-8")
    page = sign_in(manager).get(reverse("run", args=[run.pk]))
    assert page.status_code == 200
    run.refresh_from_db()
    words = shlex.split(command_line(run))
    assert words[words.index("--learning-rate") + 1] == f"{config['learning_rate']:g}"
    assert ("--full" in words) == (config["lora"] is None)
    if trainer == "dpo":
        weights = ",".join(f"{weight:g}" for weight in config["loss_weights"])
        assert words[words.index("--loss-weights") + 1] == weights
    assert sign_in(manager).post(reverse("run_resume", args=[run.pk])).status_code == 302
    assert run.directory.read_config() == from_json(json.dumps(config)), "resuming reads run.json as it is"
