"""Only folders below the allowed roots, with safetensors, are models."""

import json

import pytest

from training.contract.config import ModelSource
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
