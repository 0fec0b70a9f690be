"""Every setting takes effect, or a run says that it has none: each is changed, and something must change."""

import hashlib
import json

import pytest

from tests.engine.conftest import make_run, run_here, sft_rows, training
from tests.engine.trainers.test_kto import kto_rows
from tests.engine.trainers.test_label_terms import judged
from training.contract.config import LoraSettings
from training.contract.hyperparameters import all_parameters, parameters_of

pytestmark = pytest.mark.engine

# Another value for each, and what a run needs besides so that it can matter.
CHANGED = {
    "epochs": (2.0, {}),
    "max_steps": (2, {}),
    "max_seconds": (1e-3, {}),
    "learning_rate": (1e-3, {}),
    "lr_scheduler": ("constant_with_warmup", {}),
    "warmup_ratio": (0.6, {}),
    "weight_decay": (0.5, {}),
    "max_grad_norm": (1e-3, {}),
    "batch_size": (12, {}),
    "max_length": (18, {}),
    "gradient_accumulation": (2, {}),
    "packing": (False, {}),
    "micro_batch_tokens": (300, {}),
    "share": (0.5, {}),
    "seed": (18, {}),
    "beta": (0.5, {}),
    "losses": (("ipo", "sft"), {}),
    "loss_weights": ((1.0, 0.25), {}),
    "soft_labels": (False, {}),
    "strength_offset": (0.5, {}),
    "ties": ("drop", {}),
    "tie_threshold": (0.5, {}),
    "desirable_weight": (2.0, {}),
    "undesirable_weight": (2.0, {}),
    "save_steps": (3, {}),
    "save_total_limit": (1, {}),
    "logging_steps": (2, {"epochs": 2.0, "save_steps": 100}),
    "threads": (2, {}),
    "gradient_checkpointing": (True, {}),
    "precision": ("bf16", {}),
    "accelerate_config": ("fsdp.yaml", {}),  # of one process: a message
    "lora_r": (8, {}),
    "lora_alpha": (64, {}),
    "lora_dropout": (0.5, {}),
    "lora_targets": (("q_proj", "v_proj"), {}),
    "lora_dora": (True, {}),
}
# Processes of their own, servers, a library that needs a GPU: these have tests of their own.
ELSEWHERE = {
    "processes": "runtime/test_distributed.py",
    "report_to": "runtime/test_tracking.py",
    "lora_quantization": "models/test_quantized.py",
}
# What `setup.training_arguments` passes on for all trainers alike is tried with DPO only.
OWN = {
    "sft": ("packing", "micro_batch_tokens", "max_length", "share", "seed", "lora_dropout", "gradient_accumulation"),
    "kto": (
        *("packing", "micro_batch_tokens", "max_length", "share", "seed", "lora_dropout", "beta", "batch_size"),
        *("desirable_weight", "undesirable_weight"),
    ),
}
PAIRS = [("dpo", key) for key in CHANGED if key in {row.key for row in parameters_of("dpo")}]
PAIRS += [(trainer, key) for trainer, keys in OWN.items() for key in keys]


def test_the_table_has_every_setting():
    assert {key for _, key in PAIRS} | set(ELSEWHERE) == {row.key for row in all_parameters()}


def noting(calls, method):
    def called(*args, **kwargs):
        calls.append(method.__name__)
        return method(*args, **kwargs)

    return called


@pytest.fixture(scope="module")
def signature(tiny, tmp_path_factory):
    """What one can see of a run with these settings: its curve, its files, its messages, how it was computed."""
    rows = {"dpo": judged(), "sft": sft_rows(24), "kto": kto_rows(24)}
    seen = {}

    def of(trainer, **changes):
        import torch
        from transformers import PreTrainedModel

        key = (trainer, *sorted(changes.items()))
        if key in seen:
            return seen[key]
        lora = {name.removeprefix("lora_"): changes.pop(name) for name in list(changes) if name.startswith("lora_")}
        values = {"save_steps": 1, "losses": ("sigmoid", "sft"), "batch_size": 8, **changes}
        if trainer != "dpo":
            values.pop("losses")
        config = training(f"train_{trainer}", tiny, lora=LoraSettings(**{"r": 4, "alpha": 8, **lora}), **values)
        directory = make_run(tmp_path_factory.mktemp("run"), config, rows[trainer])
        calls, threads = [], torch.get_num_threads()
        with pytest.MonkeyPatch.context() as patch:
            for name in ("gradient_checkpointing_enable", "activation_checkpointing_enable"):
                patch.setattr(PreTrainedModel, name, noting(calls, getattr(PreTrainedModel, name)))
            assert run_here(config.program, directory) == 0, directory.read_result()
        used = torch.get_num_threads()
        torch.set_num_threads(threads)
        result = directory.read_result()
        checks = json.loads(directory.preflight_path.read_text())["checks"]
        names = ("step", "loss", "learning_rate", "grad_norm", "logps_chosen", "reward_margin")
        seen[key] = {
            "curve": [[line.get(name) for name in names] for line in directory.read_metrics()[0] if "loss" in line],
            "weights": hashlib.sha256((directory.model / "adapter_model.safetensors").read_bytes()).hexdigest(),
            "method": result["method"],
            "messages": [check["words"] for check in checks if check["name"] == "settings"],
            "saves": sorted(folder.name for folder in directory.path.glob("checkpoint-*")),
            "threads": used,
            "checkpointing": bool(calls),
        }
        return seen[key]

    return of


@pytest.mark.parametrize(("trainer", "key"), PAIRS)
def test_a_setting_takes_effect_or_is_said_to_have_none(signature, trainer, key):
    value, needs = CHANGED[key]
    before, after = signature(trainer, **needs), signature(trainer, **needs, **{key: value})
    assert before["messages"] == []
    different = [name for name in before if before[name] != after[name]]
    assert different
    if after["messages"]:
        assert different == ["messages"] or key == "packing"
        assert key.removeprefix("lora_") in after["messages"][0]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"packing": False, "soft_labels": False, "tie_threshold": 2.0}, ["soft_labels", "tie_threshold"]),
        ({"packing": False, "micro_batch_tokens": 100}, ["micro_batch_tokens (plain TRL"]),
        ({"max_steps": 1, "epochs": 3.0}, ["epochs (max_steps ends the run)"]),
        ({"lr_scheduler": "constant", "warmup_ratio": 0.5}, ["warmup_ratio (a constant rate"]),
        ({"ties": "drop", "tie_threshold": 2.0}, ["tie_threshold (ties are dropped)"]),
        ({"losses": ("sft",), "beta": 0.4}, ["beta (the sft loss has no margin)"]),
        ({"losses": ("hinge",), "strength_offset": 1.0}, ["strength_offset (plain TRL has no such term"]),
        ({"desirable_weight": 2.0}, ["desirable_weight (train_dpo has no such setting)"]),
    ],
)
def test_settings_without_effect_are_named_with_the_reason(tiny, changes, named):
    from training.engine.trainers import run_checks
    from training.engine.trainers.losses import LOSSES

    config = training("train_dpo", tiny, **changes)
    reason = None if config.packing and set(config.losses) <= set(LOSSES) else "as asked"
    (check,) = run_checks.settings(config, reason)
    assert check["status"] == "warning"
    assert all(part in check["words"] for part in named), check["words"]


@pytest.mark.parametrize("trainer", ["sft", "dpo", "kto", "pretrain"])
def test_defaults_are_never_said_to_have_no_effect(tiny, trainer):
    from training.contract.config import TrainingConfig
    from training.engine.trainers import run_checks

    for reason in (None, "as asked"):
        program = "pretrain" if trainer == "pretrain" else f"train_{trainer}"
        assert run_checks.settings(TrainingConfig(program=program, run_id="1", model=tiny), reason) == []
