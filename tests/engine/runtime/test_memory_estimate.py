"""Memory by part: counted as transformers counts, as autograd saves, and as the system measures."""

import json
import os
import shutil
import subprocess
import sys

import pytest
from django.core.management import CommandError, call_command

from tests.engine.conftest import ROOT, assistant, dpo_rows, make_run, training, user
from training.contract import hardware, memory_estimate, model_shape
from training.contract.config import LoraSettings, ModelSource
from training.contract.errors import ModelError

# Mistral AI's Mistral-7B-v0.1, by the numbers published with it.
MISTRAL_7B = {
    "model_type": "mistral",
    "hidden_size": 4096,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "intermediate_size": 14336,
    "vocab_size": 32000,
    "tie_word_embeddings": False,
}
SMALL = {
    "vocab_size": 100,
    "hidden_size": 64,
    "intermediate_size": 176,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
}
FAMILIES = {
    "llama": {},
    "mistral": {"head_dim": 8},
    "qwen2": {"tie_word_embeddings": True},
    "qwen3": {"head_dim": 32},
    "gemma": {"head_dim": 16},
    "gemma2": {"head_dim": 16},
    "gemma3_text": {"head_dim": 16},
}


def family_config(family: str, **changes):
    from transformers import AutoConfig

    return AutoConfig.for_model(family, **{**SMALL, **FAMILIES[family], **changes})


def printed(capsys, *arguments):
    """What the command prints at 80 columns: the lines, and the cells of its rows by their first words."""
    call_command("estimate_memory", *arguments, "--width", "80")
    lines = capsys.readouterr().out.splitlines()
    tabular = [line for line in lines if line.startswith(" ") and line.strip(" ─")]
    assert all(len(line.rstrip()) <= 80 and "…" not in line for line in tabular), tabular
    return lines, [line.split() for line in tabular]


@pytest.fixture
def mistral(tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(MISTRAL_7B))
    return str(path)


@pytest.fixture
def machine(monkeypatch):
    """A machine with so many GiB of RAM, and a GPU with so many."""

    def has(ram: float, gpu: float | None = None):
        gib = hardware.GIBIBYTE
        monkeypatch.setattr(hardware, "available_ram", lambda: int(ram * gib))
        cards = [] if gpu is None else [hardware.Gpu("Card", int(gpu * gib), int(gpu * gib))]
        monkeypatch.setattr(hardware, "gpus", lambda: cards)

    return has


def test_a_mistral_of_seven_billion_parameters_before_its_weights_are_there(mistral, machine, capsys):
    machine(ram=64)
    lines, rows = printed(capsys, "--config", mistral)
    assert lines[0] == (
        "7,241,732,096 parameters: 13.5 GiB in half precision, 27.0 GiB in full precision, 3.5 GiB in 4 bits"
    )
    assert rows[0] == ["method", "objective", "precision", "total", "(GiB)", "fits"]
    fits = {tuple(row[:3]): row[4] for row in rows[1:]}
    assert len(fits) == len(rows) - 1 == 12
    assert {way for way, answer in fits.items() if answer == "no"} == {
        ("full", objective, precision) for objective in ("SFT", "DPO") for precision in ("fp32", "bf16")
    }
    assert "This machine: 64.0 GiB of " in lines[-1]
    assert not any("GB" in line for line in lines)


def test_parts_are_listed_on_demand_and_add_up(mistral, machine, capsys):
    machine(ram=64)
    _lines, rows = printed(capsys, "--config", mistral, "--parts")
    at = next(number for number, row in enumerate(rows) if row[0] == "parts,")
    assert rows[at] == ["parts,", "in", "GiB", "weights", "gradients", "optimizer", "activations", "logits", "process"]
    parts = {tuple(row[:3]): [float(cell) for cell in row[3:]] for row in rows[at + 1 :]}
    assert parts["full", "SFT", "fp32"][:3] == [27.0, 27.0, 54.0]
    assert parts["full", "DPO", "bf16"][:3] == [27.0, 27.0, 54.0]
    assert parts["LoRA", "DPO", "bf16"][:3] == [13.6, 0.16, 0.31]
    assert parts["QLoRA", "SFT", "bf16"][0] == 4.0
    for row in rows[1:at]:
        assert float(row[3]) == pytest.approx(sum(parts[tuple(row[:3])]), abs=0.3)


def test_what_fits_is_asked_of_the_gpu_and_of_the_ram_that_weights_are_read_into(mistral, machine, capsys):
    machine(ram=64, gpu=24)
    _lines, rows = printed(capsys, "--config", mistral)
    fits = {tuple(row[:3]): row[4] for row in rows[1:]}
    assert fits["LoRA", "SFT", "bf16"] == "yes"
    assert fits["LoRA", "DPO", "bf16"] == "no"
    machine(ram=16, gpu=24)
    lines, rows = printed(capsys, "--config", mistral)
    assert {row[4] for row in rows[1:]} == {"no"}
    assert lines[-1] == "Weights are read in float32 first, which takes 27.0 GiB of RAM; 16.0 GiB are free."
    machine(ram=64)
    lines, rows = printed(capsys, "--config", mistral, "--gpu")
    assert {row[4] for row in rows[1:]} == {"–"}
    assert "not known without a GPU here: --memory 80 asks about one with 80 GiB" in lines[-1]
    lines, rows = printed(capsys, "--config", mistral, "--gpu", "--memory", "80")
    assert [row[4] for row in rows[1:]] == ["yes"] * 8 + ["no"] * 4
    assert lines[-2:] == [
        "Compared with 80.0 GiB (--memory).",
        "Weights are read in float32 first, which takes 27.0 GiB of RAM.",
    ]


def test_a_number_of_parameters_gives_the_least_that_is_needed(machine, capsys):
    machine(ram=512)
    lines, rows = printed(capsys, "--parameters", "7.24e10", "--parts")
    assert "134.9 GiB in half precision, 269.7 GiB in full precision" in lines[0]
    assert ["LoRA", "any", "bf16", "at", "least", "134.9", "–"] in rows
    assert ["full", "any", "fp32", "at", "least", "1,078.8", "no"] in rows
    assert ["full", "any", "fp32", "269.7", "269.7", "539.4", "–", "–", "–"] in rows
    for wrong in ("0.5", "inf", "nan", "-3"):
        with pytest.raises(CommandError, match="must be at least 1"):
            call_command("estimate_memory", "--parameters", wrong)
    for wrong in ("0", "nan"):
        with pytest.raises(CommandError, match="--memory must be above 0"):
            call_command("estimate_memory", "--parameters", "7e9", "--memory", wrong)


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (27 << 30, "27.0 GiB"),
        (1500 << 30, "1,500.0 GiB"),
        (110 << 20, "0.1 GiB"),
        (96 << 20, "96.0 MiB"),
        (1024, "1.0 KiB"),
    ],
)
def test_memory_has_one_unit_in_sentences(count, words):
    assert hardware.gibibytes(count) == words


def test_what_cannot_be_estimated_is_refused_with_a_reason(tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**MISTRAL_7B, "model_type": "mixtral", "num_local_experts": 8}))
    with pytest.raises(CommandError, match="mixture of experts"):
        call_command("estimate_memory", "--config", str(path))
    path.write_text(json.dumps({"model_type": "gpt2", "n_embd": 768}))
    with pytest.raises(CommandError, match="has no num_attention_heads"):
        call_command("estimate_memory", "--config", str(path))
    path.write_text("[]")
    with pytest.raises(CommandError, match="no JSON object"):
        call_command("estimate_memory", "--config", str(path))
    with pytest.raises(CommandError, match="no model: give a model folder"):
        call_command("estimate_memory")
    with pytest.raises(CommandError, match="under the allowed roots"):
        call_command("estimate_memory", "/etc")
    (tmp_path / "model.safetensors").write_bytes(b"\xff" * 20)
    with pytest.raises(ModelError, match="not a complete safetensors file"):
        model_shape.count_parameters(tmp_path)


def test_a_model_folder_is_counted_from_the_headers_of_its_weights(tiny, settings, capsys):
    from pathlib import Path

    settings.MODEL_ROOTS = [Path(tiny.base).parent]
    config = model_shape.read_config(Path(tiny.base) / "config.json")
    counted = model_shape.count_parameters(Path(tiny.base))
    assert counted == model_shape.Shape.from_config(config).parameters
    call_command("estimate_memory", tiny.base)
    assert f"{counted:,} parameters" in capsys.readouterr().out


@pytest.mark.django_db
def test_a_checkpoint_is_asked_by_its_number(tiny, own_var, capsys):
    from tests.factories import ProjectFactory
    from training.models import Checkpoint, Run

    models = own_var / "models"
    shutil.copytree(tiny.base, models / "base")
    project = ProjectFactory()
    run = Run.objects.create(project=project, trainer="sft", status="succeeded")
    checkpoint = Checkpoint.objects.create(
        project=project, run=run, form="adapter", path="runs/1/model", sha256="0" * 64, base_model=str(models / "base")
    )
    call_command("estimate_memory", str(checkpoint.pk), "--no-packing")
    assert f"{model_shape.count_parameters(models / 'base'):,} parameters" in capsys.readouterr().out
    with pytest.raises(CommandError, match="no checkpoint 999"):
        call_command("estimate_memory", "999")


@pytest.mark.engine
@pytest.mark.parametrize("family", FAMILIES)
def test_parameters_are_those_that_transformers_and_peft_make(family):
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    config = family_config(family)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
        shape = model_shape.Shape.from_config(config.to_dict())
        assert shape.parameters == model.num_parameters()
        settings = LoraSettings(r=4, targets=("q_proj", "down_proj"))
        for targets, ours in (("all-linear", LoraSettings(r=4)), (list(settings.targets), settings)):
            adapted = get_peft_model(model, LoraConfig(r=4, target_modules=targets, task_type="CAUSAL_LM"))
            assert shape.lora_parameters(ours) == adapted.get_nb_trainable_parameters()[0]
            model = adapted.unload()


def saved_bytes(model, length: int, *, masked: bool, autocast: bool) -> int:
    """What autograd keeps of one forward of the backbone beside parameters and the mask."""
    import torch

    parameters = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    kept = {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in parameters:
            kept[storage.data_ptr()] = storage
        return tensor

    mask = torch.zeros(1, 1, length, length, dtype=torch.bfloat16 if autocast else torch.float32) if masked else None
    backbone = getattr(model, "get_base_model", lambda: model)().base_model
    saving = torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor)
    with saving, torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        backbone(input_ids=torch.arange(length)[None] % 100, attention_mask=mask, use_cache=False)
    return sum(storage.nbytes() for storage in kept.values()) - (mask.nbytes if masked else 0)


@pytest.mark.engine
@pytest.mark.parametrize(
    ("family", "lora", "autocast"),
    [
        ("llama", True, True),
        ("llama", True, False),
        ("llama", False, True),
        ("llama", False, False),
        ("qwen3", False, False),
        ("gemma3_text", True, False),
    ],
)
def test_activations_are_those_that_autograd_saves(family, lora, autocast):
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    config = family_config(family, hidden_size=128, intermediate_size=352, num_hidden_layers=4)
    half = torch.bfloat16 if autocast and lora else torch.float32
    model = AutoModelForCausalLM.from_config(config, attn_implementation="sdpa", dtype=half)
    if lora:
        model = get_peft_model(model, LoraConfig(r=16, target_modules="all-linear", task_type="CAUSAL_LM"))
    width = memory_estimate.BF16 if autocast else memory_estimate.FP32
    shape = model_shape.Shape.from_config(config.to_dict())
    for masked in (True, False):
        measured = saved_bytes(model.train(), 128, masked=masked, autocast=autocast)
        if autocast and not lora:
            measured -= memory_estimate.BF16 * shape.linear_parameters  # copies of weights, which `estimate` adds
        per_token = memory_estimate.activation_bytes_per_token(
            config.to_dict(), lora=lora, bytes_per_value=width, gradient_checkpointing=False, dense_mask=masked
        )
        estimated = 128 * (per_token - memory_estimate.transient_bytes_per_token(shape, width))
        assert measured == pytest.approx(estimated, rel=0.06), (masked, measured / estimated)


# ---- measured ----


@pytest.fixture(scope="module")
def runs(tmp_path_factory, tiny):
    """A tiny run to warm up with, and DPO with LoRA and SFT of all weights on a Llama of 18 million parameters."""
    from transformers import LlamaConfig, LlamaForCausalLM

    from tests.training import make_model

    folder = tmp_path_factory.mktemp("measured")
    make_model.main(str(folder / "model"))  # a token for each byte
    config = LlamaConfig(
        vocab_size=3000,
        hidden_size=512,
        intermediate_size=1408,
        num_hidden_layers=5,
        num_attention_heads=8,
        num_key_value_heads=4,
        max_position_embeddings=2048,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=2,
        tie_word_embeddings=False,
    )
    LlamaForCausalLM(config).save_pretrained(folder / "model")
    text = "The pool was fine and the garden too. " * 5
    pair = {"prompt": user(text[:60]), "chosen": assistant(text[:100]), "rejected": assistant("No. " + text[:96])}
    single = {"prompt": user(text[:60]), "completion": assistant(text[:100])}
    how = {"max_steps": 2, "micro_batch_tokens": 256, "max_length": 1024, "save_steps": 100}
    model = ModelSource(base=str(folder / "model"))
    return {
        "warm": make_run(folder / "warm", training("train_dpo", tiny, max_steps=1), dpo_rows(4)),
        "lora": make_run(folder / "lora", training("train_dpo", model, batch_size=1, **how), [pair] * 2),
        # Two micro-batches in a step, so that the second meets the gradients of the first.
        "full": make_run(folder / "full", training("train_sft", model, lora=None, batch_size=2, **how), [single] * 4),
    }


@pytest.mark.engine
@pytest.mark.skipif(not os.access("/proc/self/clear_refs", os.W_OK), reason="peaks are read from Linux's /proc")
def test_the_estimate_is_within_fifteen_per_cent_of_measured_peaks(runs):
    # Above this size the C library gives memory back as soon as it is freed, so that peaks do not depend on chance.
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "262144", "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [sys.executable, "-m", "tests.engine.runtime.measure_memory", *(str(run.path) for run in runs.values())],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    measured = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert [line["code"] for line in measured] == [0, 0], done.stderr[-3000:]
    for name, line in zip(("lora", "full"), measured, strict=True):
        preflight = json.loads((runs[name].path / "preflight.json").read_text())
        estimated = preflight["memory"]["estimate_bytes"]["total"]
        assert line["peak"] - line["before"] == pytest.approx(estimated, rel=0.15), (name, line, preflight["memory"])
