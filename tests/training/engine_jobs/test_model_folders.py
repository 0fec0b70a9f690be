"""Only folders below the allowed roots, with safetensors, are models."""

import json

import pytest

from training.contract.config import ModelSource
from training.contract.weights import weights_sha256
from training.engine_jobs.model_folders import ModelRefused, base_models, resolve, short_name, source_of


@pytest.fixture
def models(own_var):
    folder = own_var / "models"
    folder.mkdir()
    return folder


def make(folder, *files):
    folder.mkdir(parents=True)
    for file in files:
        (folder / file).write_text("{}")
    return folder


def test_names_are_absolute_or_below_a_root(models):
    folder = make(models / "publisher" / "small", "config.json", "model.safetensors")
    assert resolve("publisher/small") == resolve(str(folder)) == folder
    assert [found.name for found in base_models()] == ["publisher/small"]
    assert short_name(str(folder)) == "publisher/small"


@pytest.mark.parametrize("name", ["/etc", "../../..", "publisher/../../../..", "nowhere", ""])
def test_nothing_outside_is_a_model_and_the_roots_are_named(models, name):
    with pytest.raises(ModelRefused, match=str(models)):
        resolve(name)


def test_links_that_lead_out_are_refused(models, tmp_path):
    outside = make(tmp_path / "outside", "config.json", "model.safetensors")
    (models / "linked").symlink_to(outside)
    with pytest.raises(ModelRefused):
        resolve("linked")
    half = make(models / "half", "config.json")
    (half / "model.safetensors").symlink_to(outside / "model.safetensors")
    with pytest.raises(ModelRefused, match="points outside"):
        resolve("half")
    assert base_models() == []


def test_pickles_and_folders_without_weights_are_refused(models):
    make(models / "pickled", "config.json", "pytorch_model.bin")
    with pytest.raises(ModelRefused, match="pickles"):
        resolve("pickled")
    make(models / "empty")
    with pytest.raises(ModelRefused, match=r"no config\.json"):
        resolve("empty")
    assert base_models() == []


def test_an_adapter_folder_is_a_chain(models):
    base = make(models / "base", "config.json", "model.safetensors")
    first = make(models / "first", "adapter_model.safetensors")
    (first / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": str(base)}))
    assert source_of("first") == ModelSource(base=str(base), adapters=(str(first),))
    second = make(models / "second", "adapter_config.json", "adapter_model.safetensors")
    chain = {"base": str(base), "adapters": [str(first)], "this": "adapter"}
    (second / "lineage.json").write_text(json.dumps(chain))
    assert source_of("second") == ModelSource(base=str(base), adapters=(str(first), str(second)))
    (second / "lineage.json").write_text(json.dumps({**chain, "base": "/etc"}))
    with pytest.raises(ModelRefused):
        source_of("second")


def test_a_hub_name_only_where_the_operator_allows_it(models, settings):
    with pytest.raises(ModelRefused):
        source_of("publisher/model")
    settings.ALLOW_HUB = True
    assert source_of("publisher/model") == ModelSource(base="publisher/model")
    with pytest.raises(ModelRefused):
        source_of("/etc/passwd")


# ---- lineages that hold names and hashes ----


def weights(folder, value):
    """A safetensors file of one tensor of one byte, and what else makes a folder a model."""
    folder.mkdir(parents=True)
    header = json.dumps({"w": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]}}).encode()
    (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes([value]))
    (folder / "config.json").write_text("{}")
    return folder


def adapter_of(folder, base, sha256, adapters=(), hashes=()):
    make(folder, "adapter_config.json", "adapter_model.safetensors")
    lineage = {"base": base, "base_sha256": sha256, "adapters": list(adapters), "adapters_sha256": list(hashes)}
    (folder / "lineage.json").write_text(json.dumps({**lineage, "this": "adapter"}))
    return folder


def test_a_base_is_found_by_its_name_and_of_several_by_its_weights(models):
    one = weights(models / "one" / "small", 1)
    two = weights(models / "two" / "small", 2)
    for number, base in enumerate((one, two)):
        adapter_of(models / f"adapter-{number}", "small", weights_sha256(base))
        found = source_of(f"adapter-{number}")
        assert found == ModelSource(base=str(base), adapters=(str(models / f"adapter-{number}"),))
    other = adapter_of(models / "other", "small", "0" * 64)  # the engine refuses it, or is told to use it
    assert source_of("other") == ModelSource(base=str(one), adapters=(str(other),))


def test_a_base_that_is_nowhere_is_named_with_its_hash(models):
    weights(models / "large", 1)
    adapter_of(models / "adapter", "small", "ab" * 32)
    with pytest.raises(ModelRefused, match=f"was trained on small \\(sha256 {'ab' * 32}\\), and no folder") as raised:
        source_of("adapter")
    assert str(models) in str(raised.value)


def test_an_adapter_copied_out_of_its_run_finds_the_run_below_it(models, own_var):
    """Its lineage names the run that made the adapter below it."""
    base = weights(models / "small", 1)
    run = own_var / "runs" / "7"
    below = adapter_of(run / "model", "small", weights_sha256(base))
    (below / "adapter_model.safetensors").unlink()
    (weights(run / "w", 5) / "model.safetensors").rename(below / "adapter_model.safetensors")
    (run / "run.json").write_text(json.dumps({"run_id": "run-7", "model": {"base": str(base), "adapters": []}}))
    assert source_of(str(below)) == ModelSource(base=str(base), adapters=(str(below),))
    top = adapter_of(models / "top", "small", weights_sha256(base), ["run-7"], [weights_sha256(below)])
    assert source_of("top") == ModelSource(base=str(base), adapters=(str(below), str(top)))


@pytest.mark.parametrize("content", ["[]", "{", '{"base": "x"}'])
def test_a_lineage_that_cannot_be_read_is_refused_with_its_name(models, content):
    make(models / "adapter", "adapter_config.json", "adapter_model.safetensors")
    (models / "adapter" / "lineage.json").write_text(content)
    with pytest.raises(ModelRefused, match=r"lineage\.json"):
        source_of("adapter")
