"""A base is loaded completely or not at all, for every program; what an architecture leaves out is no fault."""

import json
import shutil
from pathlib import Path

import pytest

from tests.engine.conftest import dpo_rows, make_run, run_here, sft_rows, training, write_rows
from tests.engine.models.weights import changed, reconfigured, renamed, without
from training.contract.config import EvaluationConfig, GenerationConfig, ModelSource
from training.contract.errors import ModelError

pytestmark = pytest.mark.engine


def first_half(tensors):
    """Rows of every matrix as of a model of half its width."""
    return {name: t[: t.shape[0] // 2] if t.ndim == 2 else t for name, t in tensors.items()}


FAULTS = [
    (without("layers.1."), r"9 tensors missing, which would be random \(model\.layers\.1\.input_layernorm"),
    (without("norm"), "5 tensors missing"),
    (without("q_proj"), "2 tensors missing"),
    (without("embed_tokens"), "missing"),
    (renamed("model.", "language_model."), r"missing.*does not have"),
    (lambda tensors: {f"language_model.{n}": t for n, t in tensors.items()}, "under the prefix 'language_model.'"),
    (renamed("self_attn", "attention"), "8 tensors missing.*8 tensors that this architecture does not have"),
    (renamed("layers.1.", "layers.7."), "9 tensors missing.*layers.7"),
    (first_half, "another shape .*in the files and"),
    (lambda tensors: {**tensors, "model.layers.2.mlp.up_proj.weight": tensors["model.norm.weight"]}, "1 tensor that"),
    (lambda tensors: {**tensors, "score.weight": tensors["model.norm.weight"]}, r"does not have \(score\.weight\)"),
    (
        lambda tensors: {**tensors, "model.layers.0.self_attn.q_proj.bias": tensors["model.norm.weight"]},
        r"q_proj\.bias",
    ),
    (lambda tensors: {}, "incomplete|missing|no tensor|cannot be loaded"),
]


@pytest.mark.parametrize(("change", "message"), FAULTS)
def test_weights_that_do_not_fit_their_configuration_are_refused_with_a_remedy(tiny, tmp_path, change, message):
    from training.engine.models import loading

    folder = changed(tiny.base, tmp_path / "base", change)
    with pytest.raises(ModelError, match=message) as raised:
        loading.load_model(ModelSource(base=folder))
    said = str(raised.value)
    assert folder in said
    assert "Download" in said
    assert len(said) < 800
    assert "\n" not in said


@pytest.mark.parametrize("program", ["train_sft", "train_dpo", "generate", "evaluate"])
def test_every_program_refuses_incomplete_weights(tiny, tmp_path, program):
    source = ModelSource(base=changed(tiny.base, tmp_path / "base", without("layers.1.")))
    if program == "generate":
        config = GenerationConfig(run_id="g", model=source)
    elif program == "evaluate":
        config = EvaluationConfig(run_id="e", model=source)
    else:
        config = training(program, source, max_steps=1)
    directory = make_run(tmp_path / "run", config)
    if program == "generate":
        directory.prompts_path.write_text('{"id": 1, "messages": [{"role": "user", "content": "Hi"}]}\n')
    else:
        from tests.engine.conftest import write_rows

        rows = dpo_rows(8) if program == "train_dpo" else sft_rows(8)
        write_rows(directory, rows, "held_out" if program == "evaluate" else "train")
    assert run_here(program, directory) == 1
    error = directory.read_result()["error"]
    assert "9 tensors missing, which would be random" in error
    assert "Download the folder again" in error


def test_the_remedies_help(tiny, tmp_path):
    """Saving with save_pretrained, as every message advises, makes a folder that loads."""
    from transformers import AutoModelForCausalLM

    from training.engine.models import loading

    prefixed = changed(tiny.base, tmp_path / "a", lambda ts: {f"language_model.{n}": t for n, t in ts.items()})
    changed(prefixed, tmp_path / "b", renamed("language_model.", ""))
    AutoModelForCausalLM.from_pretrained(tmp_path / "b").save_pretrained(tmp_path / "c")
    assert loading.load_model(ModelSource(base=str(tmp_path / "c"))).num_parameters()


# ---- shards ----


@pytest.fixture(scope="module")
def sharded(tiny, tmp_path_factory):
    from training.engine.models import loading

    folder = tmp_path_factory.mktemp("sharded")
    loading.load_model(tiny).save_pretrained(folder, max_shard_size="40KB")
    assert len(list(folder.glob("*.safetensors"))) >= 3
    return folder


def test_shards_load_and_a_missing_one_is_named(sharded, tmp_path):
    from training.engine.models import loading

    assert loading.load_model(ModelSource(base=str(sharded)))
    copy = Path(shutil.copytree(sharded, tmp_path / "copy"))
    shard = sorted(copy.glob("*.safetensors"))[1]
    shard.unlink()
    with pytest.raises(ModelError, match=rf"incomplete: of the \d+ files .* {shard.name} is missing"):
        loading.load_model(ModelSource(base=str(copy)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda index: {**index, "weight_map": dict(list(index["weight_map"].items())[:3])}, "tensors missing"),
        (lambda index: {**index, "weight_map": {"a": "../elsewhere.safetensors"}}, "outside of its folder"),
        (lambda index: {"metadata": {}}, "not a readable index"),
        (lambda index: [], "not a readable index"),
    ],
)
def test_an_index_that_names_too_little_or_elsewhere_is_refused(sharded, tmp_path, change, message):
    from training.engine.models import loading

    copy = Path(shutil.copytree(sharded, tmp_path / "copy"))
    index = copy / "model.safetensors.index.json"
    index.write_text(json.dumps(change(json.loads(index.read_text()))))
    with pytest.raises(ModelError, match=message):
        loading.load_model(ModelSource(base=str(copy)))


def test_an_index_that_names_a_tensor_that_its_shard_lacks(sharded, tmp_path):
    from safetensors.torch import load_file, save_file

    from training.engine.models import loading

    copy = Path(shutil.copytree(sharded, tmp_path / "copy"))
    shard = next(file for file in sorted(copy.glob("*.safetensors")) if any("mlp" in name for name in load_file(file)))
    tensors = load_file(shard)
    dropped = next(name for name in sorted(tensors) if "mlp" in name)
    save_file({name: t for name, t in tensors.items() if name != dropped}, shard, metadata={"format": "pt"})
    with pytest.raises(ModelError, match=rf"1 tensor missing, which would be random \({dropped}"):
        loading.load_model(ModelSource(base=str(copy)))


# ---- what is no fault ----


def made(folder, config, change=lambda tensors: tensors):
    """A model of random weights saved with its tensors changed."""
    import torch
    from transformers import AutoModelForCausalLM

    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder / "plain")
    return ModelSource(base=changed(folder / "plain", folder / "changed", change))


def test_a_tied_head_may_be_stored_or_not(tiny, tmp_path):
    from training.engine.models import loading

    both = lambda tensors: {**tensors, "lm_head.weight": tensors["model.embed_tokens.weight"].clone()}  # noqa: E731
    assert loading.load_model(ModelSource(base=changed(tiny.base, tmp_path / "both", both)))
    only = lambda ts: {n.replace("model.embed_tokens", "lm_head"): t for n, t in ts.items()}  # noqa: E731
    assert loading.load_model(ModelSource(base=changed(tiny.base, tmp_path / "only", only)))


def test_two_matrices_under_a_configuration_that_ties_them_are_both_kept(tiny, tmp_path, caplog):
    from training.engine.models import loading

    def other(tensors):
        return {**tensors, "lm_head.weight": tensors["model.embed_tokens.weight"] * 2}

    model = loading.load_model(ModelSource(base=changed(tiny.base, tmp_path / "two", other)))
    assert "the files hold two matrices: both are kept" in caplog.text
    assert not model.config.tie_word_embeddings
    model.save_pretrained(tmp_path / "saved")
    again = loading.load_model(ModelSource(base=str(tmp_path / "saved")))
    assert (again.lm_head.weight == 2 * again.model.embed_tokens.weight).all()


def test_buffers_that_old_files_hold_are_no_fault(tiny, tmp_path):
    import torch

    from training.engine.models import loading

    def old(tensors):
        more = {f"model.layers.{n}.self_attn.rotary_emb.inv_freq": torch.ones(4) for n in range(2)}
        return {**tensors, **more}

    assert loading.load_model(ModelSource(base=changed(tiny.base, tmp_path / "old", old)))


def test_gpt2_as_its_hub_has_it(tmp_path):
    """No prefix, and the causal mask as a buffer of each layer."""
    import torch
    from transformers import GPT2Config

    from training.engine.models import loading

    def old(tensors):
        plain = {name.removeprefix("transformer."): t for name, t in tensors.items()}
        return {**plain, "h.0.attn.bias": torch.ones(1, 1, 64, 64), "h.0.attn.masked_bias": torch.tensor(-1e4)}

    config = GPT2Config(vocab_size=64, n_embd=16, n_layer=2, n_head=2, n_positions=64)
    assert loading.load_model(made(tmp_path, config, old))
    with pytest.raises(ModelError, match="1 tensor missing"):
        loading.load_model(made(tmp_path / "broken", config, without("h.1.mlp.c_fc.bias")))


def deepseek():
    from transformers import DeepseekV3Config

    return DeepseekV3Config(
        vocab_size=64,
        hidden_size=16,
        intermediate_size=16,
        moe_intermediate_size=8,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        q_lora_rank=8,
        kv_lora_rank=8,
        qk_rope_head_dim=4,
        qk_nope_head_dim=4,
        v_head_dim=4,
        n_routed_experts=4,
        n_group=2,
        topk_group=1,
        num_experts_per_tok=2,
        first_k_dense_replace=1,
        num_nextn_predict_layers=1,
        max_position_embeddings=64,
    )


def test_layers_that_predict_ahead_are_left_out_and_layers_beyond_them_are_not(tmp_path):
    from training.engine.models import loading

    def ahead(layer):
        return lambda ts: {
            **ts,
            f"model.layers.{layer}.eh_proj.weight": ts["model.norm.weight"],
            f"model.layers.{layer}.enorm.weight": ts["model.norm.weight"],
        }

    assert loading.load_model(made(tmp_path / "two", deepseek(), ahead(2)))
    with pytest.raises(ModelError, match="2 tensors that this architecture does not have"):
        loading.load_model(made(tmp_path / "three", deepseek(), ahead(3)))


def moe():
    from transformers import Qwen3MoeConfig

    return Qwen3MoeConfig(
        vocab_size=64,
        hidden_size=16,
        intermediate_size=16,
        moe_intermediate_size=8,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=8,
        num_experts=4,
        num_experts_per_tok=2,
        max_position_embeddings=64,
    )


@pytest.mark.parametrize("lost", ["layers.1.mlp.experts.3.", "experts.0.up_proj", "layers.0.mlp.gate.", "experts."])
def test_experts_that_are_missing_are_found_behind_the_conversion_of_their_tensors(tmp_path, lost):
    from training.engine.models import loading

    assert loading.load_model(made(tmp_path / "whole", moe()))
    with pytest.raises(ModelError) as raised:
        loading.load_model(made(tmp_path / "lost", moe(), without(lost)))
    assert len(str(raised.value)) < 800


# ---- what is no causal language model ----


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"model_type": "vit", "architectures": ["ViTForImageClassification"]}, "no causal language model of text"),
        ({"model_type": "qwen2_vl", "architectures": ["Qwen2VLForConditionalGeneration"]}, "no causal language model"),
        ({"model_type": "llava", "architectures": ["LlavaForConditionalGeneration"]}, "no causal language model"),
        ({"model_type": "t5", "architectures": ["T5ForConditionalGeneration"]}, "no causal language model"),
        ({"model_type": "whisper"}, "no causal language model"),
        ({"model_type": "bert", "architectures": ["BertForMaskedLM"]}, "no causal language model"),
        ({"model_type": "brand_new"}, "transformers does not know"),
        ({"model_type": "own", "auto_map": {"AutoModelForCausalLM": "m.M"}}, "code of its own, which is never run"),
        ({"model_type": None}, "does not know"),
    ],
)
def test_models_of_another_kind_are_refused_in_a_sentence(tiny, tmp_path, values, message):
    from training.engine.models import loading

    shutil.copytree(tiny.base, tmp_path / "other")
    reconfigured(tmp_path / "other", **values)
    with pytest.raises(ModelError, match=message) as raised:
        loading.load_model(ModelSource(base=str(tmp_path / "other")))
    assert len(str(raised.value)) < 500
    assert "Choose a" in str(raised.value)


def test_a_second_copy_of_the_weights_is_not_counted_hashed_or_read(tiny, tmp_path):
    from training.contract.model_shape import count_parameters
    from training.contract.weights import weights_sha256
    from training.engine import merge

    folder = Path(shutil.copytree(tiny.base, tmp_path / "base"))
    counted, digest = count_parameters(folder), weights_sha256(folder)
    for name in ("consolidated.safetensors", "model.fp16.safetensors", "model-00001-of-00002.safetensors"):
        shutil.copy(folder / "model.safetensors", folder / name)
    assert count_parameters(folder) == counted == merge.weights_of(folder)[0]
    assert weights_sha256(folder) == digest
    (folder / "model.safetensors").unlink()
    from training.engine.models import loading

    with pytest.raises(ModelError, match=r"no model\.safetensors.*consolidated\.safetensors.*are not read"):
        loading.load_model(ModelSource(base=str(folder)))


def test_the_digest_is_that_of_the_tensors_not_of_the_files(tiny, sharded, tmp_path):
    from training.contract.weights import weights_sha256

    assert weights_sha256(sharded) == weights_sha256(Path(tiny.base))
    assert weights_sha256(tmp_path) == ""
    others = [
        changed(tiny.base, tmp_path / "a", renamed("layers.0", "layers.9")),
        changed(tiny.base, tmp_path / "b", lambda ts: {n: t.half() for n, t in ts.items()}),
        changed(tiny.base, tmp_path / "c", lambda ts: {**ts, "model.norm.weight": ts["model.norm.weight"] + 1e-6}),
    ]
    assert len({weights_sha256(Path(other)) for other in (*others, tiny.base)}) == 4


@pytest.mark.parametrize("program", ["train_sft", "train_dpo", "train_kto", "generate", "evaluate"])
def test_a_weight_that_is_no_number_is_named_by_every_program(tiny, tmp_path, program):
    from tests.engine.trainers.test_kto import kto_rows

    def broken(tensors):
        return {name: t * float("nan") if name == "model.norm.weight" else t for name, t in tensors.items()}

    source = ModelSource(base=changed(tiny.base, tmp_path / "base", broken))
    if program == "generate":
        directory = make_run(tmp_path / "run", GenerationConfig(run_id="g", model=source))
        directory.prompts_path.write_text('{"id": 1, "messages": [{"role": "user", "content": "Hi"}]}\n')
    elif program == "evaluate":
        directory = make_run(tmp_path / "run", EvaluationConfig(run_id="e", model=source))
        write_rows(directory, dpo_rows(4), "held_out")
    else:
        rows = {"train_sft": sft_rows, "train_dpo": dpo_rows, "train_kto": kto_rows}[program](4)
        directory = make_run(tmp_path / "run", training(program, source, max_steps=1), rows)
    assert run_here(program, directory) == 1
    error = directory.read_result()["error"]
    assert "the weight model.norm.weight holds values that are not finite" in error
    assert "Start from another checkpoint" in error


def test_a_large_weight_is_a_number(tiny, tmp_path):
    import torch

    from training.engine.models import loading

    huge = changed(tiny.base, tmp_path / "a", lambda ts: {**ts, "model.norm.weight": torch.full((32,), 3e38)})
    assert loading.load_model(ModelSource(base=huge))


@pytest.mark.parametrize("content", [b"", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"])
def test_a_file_without_weights_is_named(tiny, tmp_path, content):
    shutil.copytree(tiny.base, tmp_path / "base")
    (tmp_path / "base" / "model.safetensors").write_bytes(content)
    config = training("train_sft", ModelSource(base=str(tmp_path / "base")), max_steps=1)
    directory = make_run(tmp_path / "run", config, sft_rows(4))
    assert run_here("train_sft", directory) == 1
    assert "is not a complete safetensors file" in directory.read_result()["error"]


def test_a_tokenizer_without_its_files_is_refused_with_the_remedy(tiny, tmp_path):
    from training.engine.models import loading

    shutil.copytree(tiny.base, tmp_path / "base")
    (tmp_path / "base" / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match=r"cannot be loaded: .*[^:] *\. Copy its files \(tokenizer\.json"):
        loading.load_tokenizer(ModelSource(base=str(tmp_path / "base")))
