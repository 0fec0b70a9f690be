"""QLoRA where bitsandbytes is installed (with its CPU kernels); a clear error where it is not."""

import pytest

from tests.engine.conftest import dpo_rows, make_run, run_here, sft_rows, training
from training.contract.config import LoraSettings, ModelSource
from training.contract.run_directory import LINEAGE, QUANTIZATION_BASE
from training.engine import merge

pytestmark = pytest.mark.engine


def test_without_bitsandbytes_the_run_says_what_to_install(tiny, tmp_path, monkeypatch):
    from training.engine.models import quantized

    monkeypatch.setattr(quantized, "find_spec", lambda name: None)
    config = training("train_sft", tiny, max_steps=1, lora=LoraSettings(quantization="4bit"))
    directory = make_run(tmp_path / "1", config, sft_rows(4))
    assert run_here("train_sft", directory) == 1
    assert "needs bitsandbytes: pip install 'konomi[quantized]'" in directory.read_result()["error"]


@pytest.mark.parametrize("bits", ["4bit", "8bit"])
def test_an_adapter_is_trained_on_a_quantised_chain_and_merges_into_the_whole_one(tiny, sft_adapter, tmp_path, bits):
    pytest.importorskip("bitsandbytes", reason="pip install 'konomi[quantized]' to train on quantised models")
    from training.engine.models.quantized import load_quantized

    source = ModelSource(base=tiny.base, adapters=(str(sft_adapter),))
    settings = LoraSettings(r=4, alpha=8, quantization=bits, dora=bits == "4bit")
    directory = make_run(tmp_path / "1", training("train_dpo", source, max_steps=6, lora=settings), dpo_rows(12))
    assert run_here("train_dpo", directory) == 0, directory.read_result()
    losses = [line["loss"] for line in directory.read_metrics()[0] if "loss" in line]
    # LLM.int8() rounds the activations too, by the row: those of the reference pass had other neighbours. DoRA takes
    # norms of dequantised weights.
    assert losses[0] == pytest.approx(0.693147, abs=1e-4 if bits == "4bit" else 1e-3)
    assert losses[-1] < losses[0] - 0.01
    assert "The base was held in" in (directory.model / "README.md").read_text()

    held = load_quantized(source, settings, run_folder=directory.path)
    kind = type(held.model.layers[0].self_attn.q_proj).__name__
    assert kind == {"4bit": "Linear4bit", "8bit": "Linear8bitLt"}[bits]
    assert held.lm_head.weight.dtype.is_floating_point
    assert (directory.path / QUANTIZATION_BASE / LINEAGE).is_file()  # written by the run, used again by a resumed one

    to = tmp_path / "merged"
    arguments = [
        "--base",
        source.base,
        "--adapter",
        str(sft_adapter),
        "--adapter",
        str(directory.model),
        "--to",
        str(to),
    ]
    assert merge.main(arguments) == 0
