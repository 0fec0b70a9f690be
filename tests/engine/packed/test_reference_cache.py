"""Reference cache: computed once, shared by runs, never used when anything that determines the values changed."""

import json
import math
import os
import shutil
import sqlite3

import pytest

from tests.engine.conftest import dpo_rows, make_run, run_here, training
from tests.engine.trainers.test_training import equal, logged, weights
from training.contract.config import ModelSource
from training.contract.errors import ModelError
from training.engine.packed import reference_cache
from training.engine.packed.reference_cache import ReferenceCache, folder_of, model_key, sequence_key
from training.engine.runtime import digests

pytestmark = pytest.mark.engine

LN_2 = 0.693147


def test_keys_tell_prompts_completions_and_their_border_apart():
    keys = {
        sequence_key(prompt, completion)
        for prompt, completion in (([1], [2, 3]), ([1, 2], [3]), ([1, 2, 3], []), ([1], [3, 2]), ([], [1, 2, 3]))
    }
    assert len(keys) == 5
    assert sequence_key([1], [2]) == sequence_key([1], [2])


def test_what_was_written_first_stays_and_a_damaged_file_is_put_aside(tmp_path):
    cache = ReferenceCache(tmp_path / "a" / "m.sqlite3")
    cache.add({b"one": -1.5, b"two": -2.5})
    cache.add({b"one": -9.0})
    assert ReferenceCache(cache.path).find([b"one", b"two", b"three"]) == {b"one": -1.5, b"two": -2.5}
    cache.path.write_bytes(b"no database at all" * 100)
    assert ReferenceCache(cache.path).find([b"one"]) == {}
    assert len(list(cache.path.parent.glob("*.broken-*"))) == 1


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_a_number_is_never_stored_and_where_it_was_it_is_computed_again(tmp_path, value):
    cache = ReferenceCache(tmp_path / "m.sqlite3")
    with pytest.raises(ModelError, match="1 of 2 reference log-probabilities are not finite"):
        cache.add({b"one": -1.5, b"two": value})
    assert cache.find([b"one", b"two"]) == {}
    with sqlite3.connect(cache.path) as connection:  # as an earlier version left it: SQLite keeps NaN as NULL
        connection.execute("INSERT INTO logps VALUES (?, ?)", (b"two", value))
    assert cache.find([b"two"]) == {}
    cache.add({b"two": -3.0})
    assert cache.find([b"two"]) == {b"two": -3.0}


def test_a_key_follows_weights_adapters_and_precision(tiny, sft_adapter, tmp_path):
    copy = shutil.copytree(tiny.base, tmp_path / "copy")
    key = model_key(tiny, dtype="float32")
    assert model_key(ModelSource(base=str(copy)), dtype="float32") == key  # contents, not places
    assert model_key(tiny, dtype="bfloat16") != key
    assert model_key(tiny, dtype="float32", quantization="4bit") != key
    assert model_key(ModelSource(base=tiny.base, adapters=(str(sft_adapter),)), dtype="float32") != key
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | {"rms_norm_eps": 1e-3}))
    assert model_key(ModelSource(base=str(copy)), dtype="float32") != key


@pytest.mark.parametrize(
    "name", ["pytorch_model.bin", "model-00001-of-00002.safetensors", "model.safetensors.index.json", "tiny.gguf"]
)
def test_a_key_follows_every_file_that_a_loader_may_read(tiny, tmp_path, name):
    copy = shutil.copytree(tiny.base, tmp_path / "copy")
    (copy / name).write_bytes(b"one")
    one = model_key(ModelSource(base=str(copy)), dtype="float32")
    (copy / name).write_bytes(b"two")
    assert len({one, model_key(ModelSource(base=str(copy)), dtype="float32"), model_key(tiny, dtype="float32")}) == 3


def test_models_of_a_hub_have_keys_of_their_own_by_content(tiny, tmp_path, monkeypatch):
    """A hub's cache as its client lays it out: two models, and a second revision of the first."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("transformers.utils.hub.constants.HF_HUB_CACHE", str(tmp_path), raising=False)

    def download(name, revision, epsilon):
        folder = tmp_path / f"models--{name.replace('/', '--')}"
        shutil.copytree(tiny.base, folder / "snapshots" / revision)
        config = json.loads((folder / "snapshots" / revision / "config.json").read_text())
        (folder / "snapshots" / revision / "config.json").write_text(json.dumps(config | {"rms_norm_eps": epsilon}))
        (folder / "refs").mkdir(exist_ok=True)
        (folder / "refs" / "main").write_text(revision)
        return model_key(ModelSource(base=name), dtype="float32")

    first, other = download("a/b", "1" * 40, 1e-3), download("c/d", "2" * 40, 1e-4)
    assert folder_of("a/b") == tmp_path / "models--a--b" / "snapshots" / ("1" * 40)
    same, newer = download("e/f", "3" * 40, 1e-3), download("a/b", "4" * 40, 1e-5)
    assert first == same
    assert len({first, other, newer}) == 3
    absent = [model_key(ModelSource(base=name), dtype="float32") for name in ("x/y", "x/z")]
    assert absent[0] != absent[1]


@pytest.mark.parametrize("change", ["weights", "autocast", "attention", "device", "matmul", "head_tile", "class"])
def test_a_key_follows_how_the_model_is_computed_with(tiny, change):
    from training.engine.models import loading

    facts = reference_cache.computing_facts(loading.load_model(tiny), autocast="float32", tile=4096)
    assert facts["weights"] == "torch.float32"
    assert facts["device"] == "cpu"
    assert change in facts
    key = model_key(tiny, dtype="float32", facts=facts)
    assert model_key(tiny, dtype="float32", facts=facts | {change: "another"}) != key


@pytest.mark.parametrize("library", ["torch", "transformers", "peft"])
def test_a_key_follows_the_libraries(tiny, monkeypatch, library):
    key = model_key(tiny, dtype="float32")
    versions = reference_cache.library_versions()
    assert versions[library]
    monkeypatch.setattr(reference_cache, "library_versions", lambda: versions | {library: "0.0"})
    assert model_key(tiny, dtype="float32") != key


def test_a_large_file_is_read_once_until_it_changes(tmp_path, monkeypatch):
    file, memory, read = tmp_path / "weights", tmp_path / "memory", []
    real = digests._compute
    monkeypatch.setattr(digests, "_compute", lambda path: read.append(path) or real(path))
    file.write_bytes(b"one")
    first = digests.file_sha256(file, memory)
    assert digests.file_sha256(file, memory) == first
    assert len(read) == 1
    status = file.stat()
    file.write_bytes(b"two")
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))  # as a copy that keeps times does
    assert digests.file_sha256(file, memory) != first
    (tmp_path / "link").symlink_to(file)
    digests.file_sha256(tmp_path / "link", memory)
    assert len(read) == 2
    memory.joinpath(digests.FILE).write_bytes(b"no database" * 500)
    assert digests.file_sha256(file, memory) == real(file)


def in_cache(tiny, tmp_path):
    cache = str(tmp_path / "cache")

    def run(name, rows, model=tiny, **changes):
        config = training("train_dpo", model, reference_cache=cache, **{"max_steps": 4, **changes})
        directory = make_run(tmp_path / name, config, rows)
        assert run_here("train_dpo", directory) == 0, directory.read_result()
        return directory, directory.read_result()["reference_cache"]

    return run


def test_a_second_round_computes_only_its_new_pairs_and_trains_the_same(tiny, tmp_path):
    run = in_cache(tiny, tmp_path)
    rows = dpo_rows(60)  # thirty prompts, each twice
    first, use = run("first", rows[:10])
    assert use == {"hits": 0, "computed": 20}
    again, use = run("again", rows[:10], learning_rate=1e-3, seed=5)
    assert use == {"hits": 20, "computed": 0}
    _, use = run("more", rows[:16])
    assert use == {"hits": 20, "computed": 12}
    alone, _ = run("alone", rows[:10])
    assert equal(weights(alone.model), weights(first.model))
    assert logged(again)[1]["loss"] == pytest.approx(LN_2, abs=1e-6)


def test_a_training_of_few_steps_computes_only_what_it_comes_to(tiny, tmp_path):
    run = in_cache(tiny, tmp_path)
    rows = dpo_rows(30)
    directory, use = run("first", rows, max_steps=2)
    assert use == {"hits": 0, "computed": 16}
    assert not [line for line in directory.read_metrics()[0] if line.get("stage") == "reference"]
    _, use = run("second", rows, max_steps=3)
    assert use == {"hits": 16, "computed": 8}


@pytest.mark.parametrize("lora", [None, "default"])
def test_the_reference_of_a_step_is_that_of_a_pass_beforehand(tiny, tmp_path, monkeypatch, lora):
    from training.contract.config import LoraSettings
    from training.engine.trainers import resources

    changes = {"lora": LoraSettings(r=4) if lora else None, "learning_rate": 1e-2 if lora else 1e-3, "max_steps": 6}
    rows = dpo_rows(30)
    lazily, use = in_cache(tiny, tmp_path / "a")("run", rows, **changes)
    assert use == {"hits": 0, "computed": 48}
    monkeypatch.setattr(resources, "is_sharded" if lora else "copy_fits", lambda *args: bool(lora))
    passed, use = in_cache(tiny, tmp_path / "b")("run", rows, **changes)
    assert use == {"hits": 0, "computed": 48}
    lines = [line for line in passed.read_metrics()[0] if line.get("stage") == "reference"]
    assert lines[-1]["done"] == lines[-1]["total"] == 24  # of thirty rows those of six steps
    for step, line in logged(lazily).items():
        for name in ("loss", "reward_chosen", "reward_rejected"):
            assert logged(passed)[step][name] == pytest.approx(line[name], abs=1e-5), (step, name)
    assert logged(lazily)[1]["loss"] == pytest.approx(LN_2, abs=1e-6)


def test_lora_with_half_precision_weights_shares_nothing_with_full_fine_tuning_under_autocast(tiny, tmp_path):
    run = in_cache(tiny, tmp_path)
    rows = dpo_rows(8)
    _, use = run("lora", rows, precision="bf16", max_steps=2)
    assert use == {"hits": 0, "computed": 16}
    full, use = run("full", rows, precision="bf16", max_steps=2, lora=None, learning_rate=1e-3)
    assert use == {"hits": 0, "computed": 16}
    assert logged(full)[1]["reward_chosen"] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(("tensor", "value"), [("model.norm.weight", math.nan), ("lm_head.weight", math.inf)])
def test_a_model_whose_log_probabilities_are_not_finite_is_refused_by_name(tiny, tmp_path, tensor, value):
    from safetensors.torch import load_file, save_file

    broken = shutil.copytree(tiny.base, tmp_path / "broken")
    tensors = load_file(broken / "model.safetensors")
    name = tensor if tensor in tensors else "model.embed_tokens.weight"
    tensors[name].view(-1)[3] = value
    save_file(tensors, broken / "model.safetensors", metadata={"format": "pt"})
    config = training("train_dpo", ModelSource(base=str(broken)), max_steps=1, reference_cache=str(tmp_path / "cache"))
    directory = make_run(tmp_path / "run", config, dpo_rows(8))
    assert run_here("train_dpo", directory) == 1
    error = directory.read_result()["error"]
    assert name in error or "not finite" in error, error
    for file in (tmp_path / "cache").glob("*.sqlite3"):
        with sqlite3.connect(file) as connection:
            tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            if "logps" in tables:
                assert connection.execute("SELECT count(*) FROM logps WHERE logp IS NULL").fetchone() == (0,)
