"""Each hyper-parameter is declared once; the command, the form, run.json and the guide follow."""

import argparse
import dataclasses
import json

import pytest

from training.contract.config import ConfigError, LoraSettings, ModelSource, TrainingConfig, from_json
from training.contract.declarations import declare, declared_in, problem_with
from training.contract.hyperparameters import (
    STEPS,
    TRAINERS,
    Hyperparameters,
    all_parameters,
    parameters_of,
)
from training.runs.option_table import guide, written
from training.runs.options import add_to, flag
from training.web.hyperparameter_fields import parameter_field, parameters_on_page

BY_HAND = {"run_id": "1", "model": {"base": "models/base"}, "dataset": "dataset"}


@pytest.mark.parametrize("trainer", TRAINERS)
def test_a_run_json_written_by_hand_trains_as_the_command_does(trainer, tmp_path):
    (tmp_path / "run.json").write_text(json.dumps({"program": f"train_{trainer}", **BY_HAND}))
    by_hand = from_json((tmp_path / "run.json").read_text())
    parser = argparse.ArgumentParser()
    add_to(parser, trainer)
    assert {value for value in vars(parser.parse_args([])).values() if value is not False} == {None}
    for parameter in parameters_of(trainer):
        where = by_hand.lora if parameter.nested else by_hand
        default = parameter.default(trainer)
        assert getattr(where, parameter.attribute) == (default(by_hand.lora) if callable(default) else default)
    assert by_hand.learning_rate == {"sft": 2e-4, "dpo": 5e-5, "kto": 5e-5}[trainer]
    assert by_hand.losses == (("sigmoid", "sft") if trainer == "dpo" else ("sigmoid",))
    assert by_hand.lora == LoraSettings(r=16, alpha=32)
    full = from_json(json.dumps({"program": f"train_{trainer}", **BY_HAND, "lora": None}))
    assert full.learning_rate == {"sft": 2e-5, "dpo": 1e-5, "kto": 5e-6}[trainer]


def test_every_field_of_a_training_is_declared_and_reaches_command_form_and_guide():
    declared = {row.key for row in all_parameters()}
    fields = {field.name for field in dataclasses.fields(Hyperparameters)} - {"lora"}
    assert declared == fields | {f"lora_{field.name}" for field in dataclasses.fields(LoraSettings)}
    options = set()
    for trainer in TRAINERS:
        parser = argparse.ArgumentParser()
        add_to(parser, trainer)
        options |= set(vars(parser.parse_args([])))
    assert options - {"full"} == declared
    assert {row.key for row in parameters_on_page()} == declared - {"report_to", "accelerate_config"}
    text = guide().read_text(encoding="utf-8")
    assert all(f"| `{flag(row)}` |" in text for row in all_parameters())
    assert written(text) == text, "run `manage.py training_options --write`"


def test_a_field_added_is_an_option_a_form_field_and_is_checked():
    @dataclasses.dataclass(frozen=True, kw_only=True)
    class More:
        noise: float = declare("Noise", "added to the embeddings (NEFTune)", STEPS, 0.0, minimum=0, maximum=15)

    (noise,) = declared_in(More)
    assert (flag(noise), noise.kind, noise.default("sft")) == ("--noise", float, 0.0)
    assert str(parameter_field(noise).label) == "Noise"
    assert problem_with(noise, 20.0, "noise") == "noise must lie in [0, 15], got 20.0"
    assert problem_with(noise, 5.0, "noise") is None


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"learning_rate": 0}, "learning_rate must be greater than 0"),
        ({"batch_size": 2.5}, "batch_size must be a whole number"),
        ({"ties": "maybe"}, "ties must be one of learn, drop"),
        ({"share": 1.5}, r"share must lie in \(0, 1\]"),
        ({"seed": 2**32}, r"seed must lie in \[0, 4294967295\], got 4294967296"),
        ({"batch_size": 2**63}, "batch_size must be at most 9223372036854775807, got a number of 19 digits"),
        ({"max_length": 10**30}, "max_length must be at most 9223372036854775807, got a number of 31 digits"),
        ({"lora": {"alpha": 10**400}}, "lora.alpha must be at most 9223372036854775807, got a number of 401 digits"),
        ({"report_to": ["elsewhere"]}, "report_to knows tensorboard, mlflow, wandb, not elsewhere"),
        ({"lora": {"r": 0}}, "lora.r must be greater than 0"),
        ({"lora": {"dropout": 1.0}}, r"lora.dropout must lie in \[0, 0.99\], got 1.0"),
        ({"lora": {"targets": []}}, "lora.targets is empty: name one at least, such as all-linear"),
    ],
)
def test_a_value_out_of_bounds_is_refused_by_its_name(values, message):
    with pytest.raises(ConfigError, match=message):
        from_json(json.dumps({"program": "train_dpo", **BY_HAND, **values}))


def test_a_configuration_needs_no_more_than_its_model():
    assert TrainingConfig(program="pretrain", run_id="1", model=ModelSource(base="")).lora is None
