"""Modules that get an adapter: those that PEFT can adapt and that take part in the computation, or a refusal."""

import pytest

from training.contract.config import LoraSettings
from training.contract.errors import ModelError

pytestmark = pytest.mark.engine


def config_of(kind):
    import transformers as t

    sizes = {"vocab_size": 64, "hidden_size": 16, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 2, "intermediate_size": 32}
    mamba2 = {"num_heads": 4, "head_dim": 8, "state_size": 8, "n_groups": 1, "chunk_size": 8}
    return {
        "mamba": lambda: t.MambaConfig(**sizes, state_size=4),
        "mamba2": lambda: t.Mamba2Config(**sizes, **mamba2),
        "falcon_mamba": lambda: t.FalconMambaConfig(**sizes, state_size=4),
        "falcon_h1": lambda: t.FalconH1Config(
            **sizes, **heads, mamba_n_heads=4, mamba_d_head=8, mamba_d_ssm=32, mamba_n_groups=1, mamba_d_state=8
        ),
        "bamba": lambda: t.BambaConfig(
            **sizes, **heads, mamba_n_heads=4, mamba_d_head=8, mamba_n_groups=1, mamba_d_state=8, attn_layer_indices=[1]
        ),
        "jamba": lambda: t.JambaConfig(
            **sizes,
            **heads,
            mamba_d_state=4,
            mamba_dt_rank=4,
            num_experts=2,
            attn_layer_period=2,
            attn_layer_offset=1,
            use_mamba_kernels=False,
        ),
        "phimoe": lambda: t.PhimoeConfig(**sizes, **heads, num_local_experts=4),
        "llama4_text": lambda: t.Llama4TextConfig(
            **sizes, **heads, intermediate_size_mlp=32, num_local_experts=4, head_dim=8, interleave_moe_layer_step=1
        ),
        "gemma3n_text": lambda: t.Gemma3nTextConfig(
            **sizes,
            **heads,
            head_dim=8,
            vocab_size_per_layer_input=64,
            hidden_size_per_layer_input=8,
            num_kv_shared_layers=0,
        ),
        "falcon": lambda: t.FalconConfig(**sizes, num_attention_heads=2),
        "opt": lambda: t.OPTConfig(**sizes, num_attention_heads=2, ffn_dim=32, word_embed_proj_dim=16),
        "gemma": lambda: t.GemmaConfig(**sizes, **heads, head_dim=8),
        "gpt2": lambda: t.GPT2Config(vocab_size=64, n_embd=16, n_layer=2, n_head=2, n_positions=64),
        "llama": lambda: t.LlamaConfig(**sizes, **heads),
    }[kind]()


def model_of(kind):
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_config(config_of(kind))


def adapted(model, settings):
    """The names of the modules that got an adapter, as a run adds it."""
    from training.engine.models import checks
    from training.engine.trainers import packed_trainer, setup

    checks.check_lora_targets(model, settings)
    live = packed_trainer.add_adapter(model, setup.lora_config(settings, model), checkpointing=False)
    return {name.rpartition(".")[2] for name in live.base_model.targeted_module_names}


@pytest.mark.parametrize("kind", ["mamba", "mamba2", "falcon_mamba", "falcon_h1", "bamba", "jamba"])
def test_all_linear_leaves_out_what_mamba_kernels_read_directly(kind, caplog):
    caplog.set_level("INFO")
    names = adapted(model_of(kind), LoraSettings(r=2))
    assert "in_proj" in names
    assert not names & {"out_proj", "x_proj", "dt_proj", "conv1d", "lm_head"}
    assert "all-linear leaves out" in caplog.text
    assert "out_proj" in caplog.text


@pytest.mark.parametrize("kind", ["mamba", "mamba2", "falcon_mamba", "bamba"])
@pytest.mark.parametrize("target", ["out_proj", "conv1d"])
def test_naming_such_a_module_is_refused_before_anything_is_computed(kind, target):
    with pytest.raises(ModelError, match=rf"names {target}, whose weights Mamba's kernels read directly"):
        adapted(model_of(kind), LoraSettings(r=2, targets=("in_proj", target)))


@pytest.mark.parametrize(
    ("kind", "left_out", "why"),
    [
        ("phimoe", "router", "computes in a way of its own"),
        ("llama4_text", "router", "computes in a way of its own"),
        ("gemma3n_text", "correction_coefs", "would never be trained"),
    ],
)
def test_modules_that_an_adapter_does_not_fit_are_left_out_or_refused_by_name(kind, left_out, why, caplog):
    caplog.set_level("INFO")
    model = model_of(kind)
    assert left_out in {name.rpartition(".")[2] for name, _module in model.named_modules()}
    names = adapted(model, LoraSettings(r=2))
    assert "q_proj" in names
    assert left_out not in names
    assert f"all-linear leaves out {left_out}, " in caplog.text
    assert why in caplog.text
    with pytest.raises(ModelError, match=rf"names {left_out}, .*{why}.*Remove it"):
        adapted(model_of(kind), LoraSettings(r=2, targets=("q_proj", left_out)))


def test_an_embedding_that_shifts_positions_cannot_have_an_adapter_and_a_scaled_one_can():
    with pytest.raises(ModelError, match=r"names embed_positions, .*way of its own"):
        adapted(model_of("opt"), LoraSettings(r=2, targets=("embed_positions",)))
    assert adapted(model_of("gemma"), LoraSettings(r=2, targets=("embed_tokens",))) == {"embed_tokens"}


def test_a_linear_module_of_a_class_of_its_own_that_computes_as_others_do_is_adapted():
    """Falcon's, which writes the product out."""
    assert adapted(model_of("falcon"), LoraSettings(r=2)) >= {"query_key_value", "dense"}


@pytest.mark.parametrize(
    "targets", [("c_attn",), ("c_attn", "c_proj", "c_fc"), ("h.0.attn.c_attn",), ("wte",), ("all-linear",)]
)
def test_gpt2s_modules_can_have_an_adapter(targets):
    names = adapted(model_of("gpt2"), LoraSettings(r=2, targets=targets))
    expected = {target.rpartition(".")[2] for target in targets}
    assert names == ({"c_attn", "c_proj", "c_fc"} if targets == ("all-linear",) else expected)


def test_gpt2_trains_on_c_attn(tiny, tmp_path):
    """Through the program, with the tokenizer of the tiny model; the merged chain is the live adapter."""
    import shutil
    from pathlib import Path

    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel

    from tests.engine.conftest import make_run, run_here, sft_rows, training
    from training.contract.config import ModelSource
    from training.engine.models import loading

    base = tmp_path / "gpt2"
    rows = AutoModelForCausalLM.from_pretrained(tiny.base).config.vocab_size
    torch.manual_seed(0)
    GPT2LMHeadModel(GPT2Config(vocab_size=rows, n_embd=16, n_layer=2, n_head=2, n_positions=128)).save_pretrained(base)
    for file in Path(tiny.base).glob("tokenizer*"):
        shutil.copy(file, base)
    source = ModelSource(base=str(base))
    config = training("train_sft", source, max_steps=4, lora=LoraSettings(r=2, targets=("c_attn",)))
    directory = make_run(tmp_path / "run", config, sft_rows(8))
    assert run_here("train_sft", directory) == 0, directory.read_result()
    chain = ModelSource(base=str(base), adapters=(str(directory.model),))
    ids = torch.arange(5, 25)[None]
    with torch.inference_mode():
        live = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), directory.model).eval()(ids).logits
        merged = loading.load_model(chain)(ids).logits
        plain = loading.load_model(source)(ids).logits
    torch.testing.assert_close(merged, live, atol=1e-5, rtol=1e-5)
    assert (merged - plain).abs().max() > 1e-3


def test_a_name_that_is_nowhere_lists_what_there_is():
    with pytest.raises(ModelError, match=r"no module named query_key_value\. It has .*q_proj"):
        adapted(model_of("llama"), LoraSettings(r=2, targets=("query_key_value",)))
    with pytest.raises(ModelError, match=r"It has .*c_attn"):
        adapted(model_of("gpt2"), LoraSettings(r=2, targets=("q_proj",)))


@pytest.mark.parametrize("program", ["train_sft", "train_dpo"])
def test_all_linear_trains_a_mamba_model_through_the_program(tiny, tmp_path, program):
    import shutil
    from pathlib import Path

    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, MambaConfig

    from tests.engine.conftest import dpo_rows, make_run, run_here, sft_rows, training
    from training.contract.config import ModelSource
    from training.engine.models import loading

    base = tmp_path / "mamba"
    rows = AutoModelForCausalLM.from_pretrained(tiny.base).config.vocab_size
    torch.manual_seed(0)
    config = MambaConfig(vocab_size=rows, hidden_size=16, num_hidden_layers=1, state_size=4)
    AutoModelForCausalLM.from_config(config).save_pretrained(base)
    for file in Path(tiny.base).glob("tokenizer*"):
        shutil.copy(file, base)
    for file in Path(tiny.base).glob("*.jinja"):
        shutil.copy(file, base)
    source = ModelSource(base=str(base))
    made = training(program, source, max_steps=2, lora=LoraSettings(r=2))
    directory = make_run(tmp_path / "run", made, dpo_rows(4) if program == "train_dpo" else sft_rows(4))
    assert run_here(program, directory) == 0, directory.read_result()
    ids = torch.arange(5, 25)[None]
    with torch.inference_mode():
        live = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), directory.model).eval()(ids).logits
        merged = loading.load_model(ModelSource(base=str(base), adapters=(str(directory.model),)))(ids).logits
    torch.testing.assert_close(merged, live, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("targets", [("lm_head",), ("q_proj", "lm_head"), ("embed_tokens", "lm_head")])
@pytest.mark.parametrize("program", ["train_sft", "train_dpo"])
def test_an_adapter_on_the_head_is_refused_where_it_would_not_be_trained(tiny, tmp_path, program, targets):
    from tests.engine.conftest import dpo_rows, make_run, run_here, sft_rows, training

    made = training(program, tiny, max_steps=1, lora=LoraSettings(r=2, targets=targets))
    directory = make_run(tmp_path / "run", made, dpo_rows(4) if program == "train_dpo" else sft_rows(4))
    assert run_here(program, directory) == 1
    assert "names the head (lm_head)" in directory.read_result()["error"]
    assert "Remove it from lora.targets" in directory.read_result()["error"]


@pytest.mark.parametrize("targets", [("lm_head", "q_proj"), ("embed_tokens",)])
@pytest.mark.parametrize("program", ["train_sft", "train_dpo", "train_kto"])
def test_what_plain_trl_trains_on_tied_weights_is_what_is_loaded(tiny, tmp_path, program, targets):
    """On the head, and on the embedding: the merged chain is the live adapter, or the run is refused."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    from tests.engine.conftest import dpo_rows, make_run, run_here, sft_rows, training
    from training.contract.config import ModelSource
    from training.engine.models import loading

    lora = LoraSettings(r=2, targets=targets)
    plain = {} if program == "train_kto" else {"packing": False}
    rows = {
        "train_sft": sft_rows(4),
        "train_dpo": dpo_rows(4),
        "train_kto": [{**row, "label": number % 2 == 0} for number, row in enumerate(sft_rows(8))],
    }[program]
    directory = make_run(tmp_path / "run", training(program, tiny, max_steps=3, lora=lora, **plain), rows)
    if run_here(program, directory):
        assert "lm_head" in targets
        assert "Remove it from lora.targets" in directory.read_result()["error"]
        return
    ids = torch.arange(5, 25)[None]
    with torch.inference_mode():
        base = AutoModelForCausalLM.from_pretrained(tiny.base)
        before = base(ids).logits
        live = PeftModel.from_pretrained(base, directory.model).eval()(ids).logits
        merged = loading.load_model(ModelSource(base=tiny.base, adapters=(str(directory.model),)))(ids).logits
    torch.testing.assert_close(merged, live, atol=1e-4, rtol=1e-4)
    assert (live - before).abs().max() > 1e-4
