"""Adapters: complete, of a kind that changes weights, merged to exactly what was trained, also on tied weights."""

import json
import shutil
from pathlib import Path

import pytest

from tests.engine.conftest import make_run, run_here, sft_rows, training, write_rows
from tests.engine.models.test_merge import arguments_of, run_merge
from tests.engine.models.weights import changed, reconfigured, renamed, without
from training.contract.config import EvaluationConfig, LoraSettings, ModelSource
from training.contract.errors import ModelError

pytestmark = pytest.mark.engine


def adapter_on(base, folder, **settings):
    """A LoRA adapter of random weights on the base, as PEFT saves it; its logits when it is live."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    values = {"r": 4, "target_modules": ["q_proj", "v_proj"], "task_type": "CAUSAL_LM", **settings}
    live = get_peft_model(AutoModelForCausalLM.from_pretrained(base), LoraConfig(**values))
    torch.manual_seed(2)
    with torch.no_grad():
        for parameter in live.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter) * 0.2)
    live.save_pretrained(folder)
    with torch.inference_mode():
        return live.eval()(torch.arange(5, 25)[None]).logits


def logits(source):
    import torch

    from training.engine.models import loading

    with torch.inference_mode():
        return loading.load_model(source)(torch.arange(5, 25)[None]).logits


@pytest.fixture(scope="module")
def plain(tiny, tmp_path_factory):
    folder = tmp_path_factory.mktemp("plain") / "adapter"
    adapter_on(tiny.base, folder)
    return folder


FAULTS = [
    (without("layers.1."), "4 tensors missing, which would do nothing"),
    (without("lora_B"), "4 tensors missing"),
    (without("v_proj.lora_A"), "2 tensors missing"),
    (renamed("self_attn", "attention"), "8 tensors missing.*8 tensors in the file without a place"),
    (renamed("base_model.model.model", "base_model.model.language_model.model"), "without a place"),
    (renamed("layers.1", "layers.9"), "4 tensors in the file without a place"),
    (lambda ts: {**ts, **{n.replace("q_proj", "up_proj"): t for n, t in ts.items() if "q_" in n}}, "without a place"),
    (lambda ts: {**ts, "base_model.model.score.weight": next(iter(ts.values()))}, r"score\.weight"),
    (lambda ts: {n: t[:, :2] if "lora_B" in n else t[:2] for n, t in ts.items()}, "in the file and .* on this base"),
]


@pytest.mark.parametrize(("change", "message"), FAULTS)
def test_an_adapter_that_does_not_fit_is_refused_and_never_merged(tiny, plain, tmp_path, capsys, change, message):
    from training.engine.models import loading

    folder = changed(plain, tmp_path / "adapter", change)
    source = ModelSource(base=tiny.base, adapters=(folder,))
    with pytest.raises(ModelError, match=message) as raised:
        loading.load_model(source)
    assert folder in str(raised.value)
    assert len(str(raised.value)) < 800
    code, outcome = run_merge(capsys, *arguments_of(source, tmp_path / "merged"))
    assert code == 1
    assert str(raised.value) == outcome["error"]
    assert not (tmp_path / "merged").exists()


def test_a_run_does_not_start_from_half_an_adapter(tiny, plain, tmp_path):
    source = ModelSource(base=tiny.base, adapters=(changed(plain, tmp_path / "half", without("layers.1.")),))
    directory = make_run(tmp_path / "run", training("train_sft", source, max_steps=1), sft_rows(4))
    assert run_here("train_sft", directory) == 1
    assert "4 tensors missing, which would do nothing" in directory.read_result()["error"]


def test_modules_that_neither_base_nor_file_has_are_named_and_no_fault(tiny, plain, tmp_path, caplog):
    from training.engine.models import loading

    shutil.copytree(plain, tmp_path / "more")
    reconfigured(tmp_path / "more", target_modules=["q_proj", "v_proj", "Wqkv", "fc1"])
    loading.load_model(ModelSource(base=tiny.base, adapters=(str(tmp_path / "more"),)))
    assert "names modules that its base does not have, and has no tensors for: Wqkv, fc1" in caplog.text


@pytest.mark.parametrize("zero", ["lora_B", "lora_A", ""])
def test_an_adapter_that_changes_nothing_is_not_merged(tiny, plain, tmp_path, capsys, caplog, zero):
    from training.engine.models import loading

    if zero:
        folder = changed(plain, tmp_path / "zero", lambda ts: {n: t * (zero not in n) for n, t in ts.items()})
    else:
        folder = str(shutil.copytree(plain, tmp_path / "zero"))
        reconfigured(folder, lora_alpha=0)
    source = ModelSource(base=tiny.base, adapters=(folder,))
    loading.load_model(source)
    assert ("changes nothing" in caplog.text) == (zero == "lora_B")
    code, outcome = run_merge(capsys, *arguments_of(source, tmp_path / "merged"))
    assert code == 1
    assert "changes nothing" in outcome["error"] or "changes no logit" in outcome["error"]
    assert "merge without it" in outcome["error"]


def test_one_of_two_adapters_that_changes_nothing_is_named(tiny, plain, tmp_path, capsys):
    zero = changed(plain, tmp_path / "zero", lambda ts: {n: t * ("lora_B" not in n) for n, t in ts.items()})
    source = ModelSource(base=tiny.base, adapters=(str(plain), zero))
    code, outcome = run_merge(capsys, *arguments_of(source, tmp_path / "merged"))
    assert code == 1
    assert outcome["error"].startswith(f"{zero} changes nothing")


def other_kinds():
    from peft import IA3Config, PrefixTuningConfig, PromptEncoderConfig, PromptTuningConfig

    virtual = {"task_type": "CAUSAL_LM", "num_virtual_tokens": 4}
    return {
        "PROMPT_TUNING": PromptTuningConfig(**virtual),
        "PREFIX_TUNING": PrefixTuningConfig(**virtual),
        "P_TUNING": PromptEncoderConfig(**virtual, encoder_hidden_size=8),
        "IA3": IA3Config(
            task_type="CAUSAL_LM", target_modules=["k_proj", "down_proj"], feedforward_modules=["down_proj"]
        ),
    }


@pytest.mark.parametrize("kind", ["PROMPT_TUNING", "PREFIX_TUNING", "P_TUNING"])
def test_adapters_that_change_no_weights_are_refused_in_a_sentence(tiny, tmp_path, kind):
    from peft import get_peft_model
    from transformers import AutoModelForCausalLM

    from training.engine.models import loading

    get_peft_model(AutoModelForCausalLM.from_pretrained(tiny.base), other_kinds()[kind]).save_pretrained(tmp_path / "a")
    with pytest.raises(ModelError, match=f"of the kind {kind}, which changes no weights") as raised:
        loading.load_model(ModelSource(base=tiny.base, adapters=(str(tmp_path / "a"),)))
    assert "Train a LoRA adapter instead" in str(raised.value)
    directory = make_run(
        tmp_path / "run",
        training("train_sft", ModelSource(base=tiny.base, adapters=(str(tmp_path / "a"),)), max_steps=1),
        sft_rows(4),
    )
    assert run_here("train_sft", directory) == 1
    assert directory.read_result()["error"] == str(raised.value)


def test_another_kind_that_can_be_merged_is(tiny, tmp_path):
    import torch
    from peft import get_peft_model
    from transformers import AutoModelForCausalLM

    live = get_peft_model(AutoModelForCausalLM.from_pretrained(tiny.base), other_kinds()["IA3"])
    with torch.no_grad():
        for parameter in live.parameters():
            if parameter.requires_grad:
                parameter.mul_(1.5)
        expected = live.eval()(torch.arange(5, 25)[None]).logits
    live.save_pretrained(tmp_path / "a")
    merged = logits(ModelSource(base=tiny.base, adapters=(str(tmp_path / "a"),)))
    torch.testing.assert_close(merged, expected, atol=1e-5, rtol=1e-5)


def test_resized_embeddings_are_refused_and_the_remedy_loads(tiny, tmp_path):
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    from training.engine.models import loading

    base = AutoModelForCausalLM.from_pretrained(tiny.base)
    rows = base.get_input_embeddings().weight.shape[0]
    base.resize_token_embeddings(rows + 8)
    get_peft_model(base, LoraConfig(r=4, target_modules=["q_proj"], task_type="CAUSAL_LM")).save_pretrained(
        tmp_path / "a", save_embedding_layers=True
    )
    with pytest.raises(ModelError, match=rf"vocabulary of {rows + 8} tokens, and its base has {rows}") as raised:
        loading.load_model(ModelSource(base=tiny.base, adapters=(str(tmp_path / "a"),)))
    assert f"resize_token_embeddings({rows + 8})" in str(raised.value)
    remedy = AutoModelForCausalLM.from_pretrained(tiny.base)
    remedy.resize_token_embeddings(rows + 8)
    remedy.save_pretrained(tmp_path / "resized")
    source = ModelSource(base=str(tmp_path / "resized"), adapters=(str(tmp_path / "a"),), allow_other_base=True)
    model = loading.load_model(source)
    assert torch.equal(model.get_input_embeddings().weight, base.get_input_embeddings().weight)


# ---- tied weights ----

TIED = [
    {"target_modules": ["q_proj", "embed_tokens"]},
    {"target_modules": ["embed_tokens"]},
    {"target_modules": ["q_proj", "lm_head"]},
    {"target_modules": ["embed_tokens", "lm_head"]},
    {"target_modules": ["embed_tokens"], "ensure_weight_tying": True},
    {"modules_to_save": ["embed_tokens"]},
    {"modules_to_save": ["lm_head"]},
    {"modules_to_save": ["embed_tokens"], "ensure_weight_tying": True},
    {"trainable_token_indices": [7, 9, 11]},
    {"target_modules": ["embed_tokens"], "use_dora": True},
]


@pytest.mark.parametrize("placed", TIED, ids=str)
def test_an_adapter_on_tied_weights_is_merged_to_what_was_trained(tiny, tmp_path, capsys, placed):
    import torch

    from tests.engine.models.test_merge import plain as plain_logits

    assert json.loads((Path(tiny.base) / "config.json").read_text())["tie_word_embeddings"]
    live = adapter_on(tiny.base, tmp_path / "adapter", **placed)
    source = ModelSource(base=tiny.base, adapters=(str(tmp_path / "adapter"),))
    torch.testing.assert_close(logits(source), live, atol=1e-4, rtol=1e-4)
    code, outcome = run_merge(capsys, *arguments_of(source, tmp_path / "merged", "--dtype", "fp32"))
    assert code == 0, outcome
    torch.testing.assert_close(logits(ModelSource(base=str(tmp_path / "merged"))), live, atol=1e-4, rtol=1e-4)
    assert plain_logits(tmp_path / "merged").isfinite().all()  # with plain transformers


def test_a_chain_goes_on_from_untied_weights(tiny, tmp_path):
    """A second adapter on the head of what the first has untied."""
    import torch
    from peft import LoraConfig, PeftModel, get_peft_model

    from training.engine.models import loading

    adapter_on(tiny.base, tmp_path / "one", target_modules=["embed_tokens"])
    first = ModelSource(base=tiny.base, adapters=(str(tmp_path / "one"),))
    live = get_peft_model(
        loading.load_model(first), LoraConfig(r=4, target_modules=["lm_head", "q_proj"], task_type="CAUSAL_LM")
    )
    torch.manual_seed(4)
    with torch.no_grad():
        for name, parameter in live.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.2)
        expected = live.eval()(torch.arange(5, 25)[None]).logits
    assert isinstance(live, PeftModel)
    live.save_pretrained(tmp_path / "two")
    both = ModelSource(base=tiny.base, adapters=(str(tmp_path / "one"), str(tmp_path / "two")))
    torch.testing.assert_close(logits(both), expected, atol=1e-4, rtol=1e-4)


def test_perplexity_is_that_of_the_training_where_the_embedding_was_adapted(tiny, tmp_path):
    """An SFT with the embedding among its targets: the evaluated perplexity is that of the live adapter."""
    import math

    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    lora = LoraSettings(r=8, alpha=32, targets=("q_proj", "v_proj", "embed_tokens"))
    config = training("train_sft", tiny, max_steps=40, learning_rate=3e-2, lora=lora)
    directory = make_run(tmp_path / "run", config, sft_rows(12))
    assert run_here("train_sft", directory) == 0, directory.read_result()
    chain = ModelSource(base=tiny.base, adapters=(str(directory.model),))
    evaluation = make_run(tmp_path / "evaluation", EvaluationConfig(run_id="e", model=chain, max_new_tokens=4))
    write_rows(evaluation, sft_rows(12), "held_out")
    assert run_here("evaluate", evaluation) == 0, evaluation.read_result()
    perplexity = evaluation.read_result()["metrics"]["perplexity"]

    from training.engine.models import loading

    live = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(tiny.base), directory.model).eval()
    tokenizer = loading.load_tokenizer(chain)
    logp = tokens = 0.0
    for row in sft_rows(12):
        prompt = tokenizer.apply_chat_template(row["prompt"], add_generation_prompt=True, return_dict=False)
        ids = tokenizer.apply_chat_template([*row["prompt"], *row["completion"]], return_dict=False)
        with torch.inference_mode():
            scores = live(torch.tensor([ids])).logits[0, :-1].float().log_softmax(-1)
        picked = scores.gather(1, torch.tensor(ids[1:])[:, None])[len(prompt) - 1 :, 0]
        logp, tokens = logp + float(picked.sum()), tokens + len(picked)
    assert perplexity == pytest.approx(math.exp(-logp / tokens), rel=0.02)
    base = make_run(tmp_path / "base", EvaluationConfig(run_id="b", model=tiny, max_new_tokens=4))
    write_rows(base, sft_rows(12), "held_out")
    assert run_here("evaluate", base) == 0
    assert perplexity < 0.8 * base.read_result()["metrics"]["perplexity"]
    ids = torch.arange(5, 25)[None]
    with torch.inference_mode():  # what is avoided: PEFT merges into both
        expected = live(ids).logits
        assert (live.merge_and_unload()(ids).logits - expected).abs().max() > 0.1
        torch.testing.assert_close(loading.load_model(chain)(ids).logits, expected, atol=1e-4, rtol=1e-4)


def test_an_adapter_on_layers_that_are_used_several_times_is_merged_into_each_of_them(tmp_path):
    """Zamba 2 computes a block several times, with an adapter of its own each time: merged, they are blocks apart."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, Zamba2Config

    from training.engine.models import adapters, base_weights

    base, adapter, merged = tmp_path / "base", tmp_path / "adapter", tmp_path / "merged"
    torch.manual_seed(0)
    config = Zamba2Config(
        vocab_size=64,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=4,
        layers_block_type=["mamba", "hybrid"] * 2,
        num_mem_blocks=1,
        mamba_d_state=8,
        mamba_ngroups=1,
        n_mamba_heads=8,
        mamba_headdim=8,
        adapter_rank=4,
        use_mamba_kernels=False,
    )
    AutoModelForCausalLM.from_config(config).save_pretrained(base)
    live = get_peft_model(
        AutoModelForCausalLM.from_pretrained(base), LoraConfig(r=2, target_modules=["q_proj", "o_proj"])
    )
    for name, parameter in live.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.3)
    live.save_pretrained(adapter)
    ids = torch.arange(5, 25)[None]
    with torch.no_grad():
        expected = live.eval()(ids).logits
        model = adapters.merge(adapters.attach(base_weights.load_base(str(base)), str(adapter)), ["default"], "it")
        torch.testing.assert_close(model(ids).logits, expected, atol=1e-4, rtol=1e-4)
        model.save_pretrained(merged)
        torch.testing.assert_close(base_weights.load_base(str(merged))(ids).logits, expected, atol=1e-4, rtol=1e-4)
