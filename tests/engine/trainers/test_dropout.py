"""Random draws of a model in training mode: off in DPO and KTO, whatever holds them; the adapter's stay on."""

import json

import pytest

from tests.engine.conftest import dpo_rows, make_run, run_here, training
from tests.engine.trainers.test_kto import kto_rows
from tests.engine.trainers.test_training import logged
from training.contract.config import LoraSettings, ModelSource

pytestmark = pytest.mark.engine

LN_2 = 0.6931471805599453


def configuration(kind, vocabulary):
    import transformers

    ids = {"vocab_size": vocabulary, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    usual = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, **ids}
    if kind == "opt":  # functions take the numbers that modules hold, and layers are left out at random
        return transformers.OPTConfig(
            **usual, ffn_dim=64, word_embed_proj_dim=32, max_position_embeddings=256, dropout=0.3, layerdrop=0.3
        )
    if kind == "bloom":
        return transformers.BloomConfig(
            **ids, hidden_size=32, n_layer=2, n_head=4, hidden_dropout=0.3, attention_dropout=0.3
        )
    if kind == "gpt2":  # modules
        return transformers.GPT2Config(
            **ids, n_embd=32, n_layer=2, n_head=4, n_positions=256, resid_pdrop=0.3, embd_pdrop=0.3, attn_pdrop=0.3
        )
    if kind == "starcoder2":
        return transformers.Starcoder2Config(
            **usual, num_key_value_heads=2, intermediate_size=64, residual_dropout=0.3, embedding_dropout=0.3
        )
    if kind == "falcon":
        return transformers.FalconConfig(**usual, hidden_dropout=0.3, attention_dropout=0.3)
    return transformers.MixtralConfig(  # shakes its router
        **usual, num_key_value_heads=2, intermediate_size=64, num_local_experts=4, router_jitter_noise=0.3
    )


def make_model(kind, vocabulary=400):
    import torch
    from transformers import AutoModelForCausalLM

    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(configuration(kind, vocabulary), dtype=torch.float32)


@pytest.mark.parametrize("kind", ["opt", "bloom", "gpt2", "starcoder2", "falcon", "mixtral"])
def test_nothing_is_drawn_any_more_and_the_configuration_is_as_before(kind):
    from training.engine.trainers import dropout

    model = make_model(kind)
    before = model.config.to_dict()
    text = list(range(3, 40))
    assert dropout.remaining_noise(model, text) > 0
    dropout.switch_off(model)
    assert dropout.remaining_noise(model, text) == 0
    dropout.switch_off(model)  # as a trainer does that cannot know
    dropout.restore_configuration(model)
    assert model.config.to_dict() == before


@pytest.fixture(scope="module")
def opt(tiny, tmp_path_factory):
    from transformers import AutoTokenizer

    folder = tmp_path_factory.mktemp("opt")
    tokenizer = AutoTokenizer.from_pretrained(tiny.base)
    make_model("opt", len(tokenizer)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return ModelSource(base=str(folder))


@pytest.mark.parametrize("packing", [True, False])
def test_opts_own_dropout_is_off_and_its_configuration_is_saved_as_it_was(opt, tmp_path, packing):
    config = training("train_dpo", opt, max_steps=3, learning_rate=1e-9, lora=None, soft_labels=False, packing=packing)
    directory = make_run(tmp_path, config, dpo_rows(12))
    assert run_here("train_dpo", directory) == 0, directory.read_result()
    assert [line["loss"] for line in logged(directory).values()] == pytest.approx([LN_2] * 3, abs=1e-5)
    saved = json.loads((directory.model / "config.json").read_text())
    assert (saved["dropout"], saved["layerdrop"]) == (0.3, 0.3)


@pytest.mark.parametrize(
    ("program", "changes"), [("train_dpo", {}), ("train_dpo", {"packing": False}), ("train_kto", {})]
)
def test_the_adapters_dropout_takes_effect(tiny, tmp_path, program, changes):
    losses = {}
    for dropout in (0.0, 0.5):
        config = training(program, tiny, max_steps=4, lora=LoraSettings(r=4, dropout=dropout), **changes)
        directory = make_run(tmp_path / str(dropout), config, dpo_rows(16) if program == "train_dpo" else kto_rows(16))
        assert run_here(program, directory) == 0, directory.read_result()
        losses[dropout] = [line["loss"] for line in logged(directory).values()]
    assert losses[0.5][0] == pytest.approx(losses[0.0][0], abs=1e-6)  # an adapter starts at 0
    assert losses[0.5][1:] != pytest.approx(losses[0.0][1:], rel=1e-4)


def test_a_number_that_a_model_uses_outside_of_training_too_stays_and_nothing_is_drawn(caplog):
    """Phi-MoE leaves out experts by `router_jitter_noise` in evaluation, and draws among the rest in training."""
    import torch
    import transformers

    from training.engine.trainers import dropout

    torch.manual_seed(0)
    config = transformers.PhimoeConfig(
        vocab_size=400,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        num_local_experts=4,
        router_jitter_noise=0.3,
        initializer_range=0.5,
    )
    model = transformers.AutoModelForCausalLM.from_config(config).eval()
    text = list(range(3, 60))
    assert dropout.remaining_noise(model, text) > 0
    with torch.no_grad():
        before = model(input_ids=torch.tensor([text])).logits
    caplog.set_level("INFO")
    dropout.switch_off(model)
    assert "uses router_jitter_noise outside of training" in caplog.text
    assert dropout.remaining_noise(model, text) == 0
    with torch.no_grad():
        torch.testing.assert_close(model.train()(input_ids=torch.tensor([text])).logits, before)
    dropout.restore_configuration(model)
    assert model.config.router_jitter_noise == 0.3
