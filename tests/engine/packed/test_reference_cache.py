"""Reference cache: computed once, shared by runs, never used when anything that determines the values changed."""

import json
import shutil

import pytest

from tests.engine.conftest import dpo_rows, make_run, run_here, training
from tests.engine.trainers.test_training import equal, logged, weights
from training.contract.config import ModelSource
from training.engine.packed.reference_cache import ReferenceCache, model_key, sequence_key

pytestmark = pytest.mark.engine


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


def test_a_key_follows_weights_adapters_and_precision(tiny, sft_adapter, tmp_path):
    copy = shutil.copytree(tiny.base, tmp_path / "copy")
    key = model_key(tiny, dtype="float32")
    assert model_key(ModelSource(base=str(copy)), dtype="float32") == key  # contents, not places
    assert model_key(tiny, dtype="bfloat16") != key
    assert model_key(ModelSource(base=tiny.base, adapters=(str(sft_adapter),)), dtype="float32") != key
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | {"rms_norm_eps": 1e-3}))
    assert model_key(ModelSource(base=str(copy)), dtype="float32") != key


def test_a_second_round_computes_only_its_new_pairs_and_trains_the_same(tiny, tmp_path):
    cache = str(tmp_path / "cache")

    def run(name, rows, **changes):
        config = training("train_dpo", tiny, max_steps=4, reference_cache=cache, **changes)
        directory = make_run(tmp_path / name, config, rows)
        assert run_here("train_dpo", directory) == 0, directory.read_result()
        return directory, directory.read_result()["reference_cache"]

    rows = dpo_rows(60)  # thirty prompts, each twice
    first, use = run("first", rows[:10])
    assert use == {"hits": 0, "computed": 20}
    again, use = run("again", rows[:10], learning_rate=1e-3, seed=5)
    assert use == {"hits": 20, "computed": 0}
    _, use = run("more", rows[:16])
    assert use == {"hits": 20, "computed": 12}
    alone, _ = run("alone", rows[:10])
    assert equal(weights(alone.model), weights(first.model))
    assert logged(again)[1]["loss"] == pytest.approx(0.693147, abs=1e-6)
