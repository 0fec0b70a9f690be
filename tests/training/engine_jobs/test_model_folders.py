"""Only folders below the allowed roots, with safetensors, are models."""

import json
import os

import pytest

from training.contract import model_files
from training.contract.config import ModelSource
from training.contract.errors import ModelError
from training.contract.weights import weights_sha256
from training.engine_jobs.model_folders import ModelRefused, base_models, name_to_give, resolve, short_name, source_of
from training.supervision.launch import engine_environment


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
    assert short_name(str(folder)) == name_to_give(str(folder)) == "publisher/small"
    assert short_name("/home/x/.cache/hub/models--publisher--small/snapshots/0a1b") == "publisher/small"


def test_a_name_to_type_is_short_unless_it_means_another_model(models, tmp_path, settings):
    second = make(tmp_path / "second" / "base", "config.json", "model.safetensors")
    settings.MODEL_ROOTS = [*settings.MODEL_ROOTS, second.parent]
    assert name_to_give(str(second)) == "base"
    first = make(models / "base", "config.json", "model.safetensors")
    assert name_to_give(str(first)) == "base"
    assert name_to_give(str(second)) == "second/base", "base is the other one"
    assert resolve("second/base") == second
    assert [folder.name for folder in base_models()] == ["base", "second/base"]
    assert name_to_give("/elsewhere/gone") == "gone"


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


@pytest.mark.parametrize(
    "name", ["a\0b", "a\nb", "x" * 5000, "x" * 300, "publisher/" + "y" * 300, "~nobody-of-that-name", "\ud800"]
)
def test_names_that_no_file_system_takes_are_refused(models, name):
    with pytest.raises(ModelRefused):
        source_of(name)


LINKS = {
    "a file": "chat_template.jinja",
    "a file below": "additional_chat_templates/tools.jinja",
    "a file deep below": "a/b/c/d/notes.txt",
    "a folder": "additional_chat_templates",
}


@pytest.mark.parametrize("place", LINKS.values(), ids=LINKS)
def test_no_link_leads_out_at_any_depth(models, tmp_path, place):
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "key").write_text("0123456789")
    folder = make(models / "small", "config.json", "model.safetensors")
    target = secret if place == LINKS["a folder"] else secret / "key"
    (folder / place).parent.mkdir(parents=True, exist_ok=True)
    (folder / place).symlink_to(target)
    with pytest.raises(ModelRefused, match="points outside of"):
        source_of("small")
    assert base_models() == []
    (folder / place).unlink()
    inside = make(models / "shared", "template.jinja")
    (folder / place).symlink_to(inside if place == LINKS["a folder"] else inside / "template.jinja")
    assert source_of("small") == ModelSource(base=str(folder))


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_no_link_leads_out_of_a_folder_that_a_link_leads_to(models, tmp_path, steps):
    """Each folder lies below the roots and is linked from the one before it; the last one has a link out of them."""
    folder = at = make(models / "small", "config.json", "model.safetensors")
    for step in range(steps):
        beside = models / f"shared-{step}"
        beside.mkdir()
        (at / "additional_chat_templates").symlink_to(beside)
        (beside / "back").symlink_to(folder)  # round in a circle, which is no fault
        at = beside
    assert source_of("small") == ModelSource(base=str(folder))
    (at / "tools.jinja").symlink_to(make(tmp_path / "secret", "key") / "key")
    with pytest.raises(ModelRefused, match="points outside of"):
        source_of("small")


def test_links_in_a_circle_to_nothing_and_to_what_is_no_file(models):
    for number, spoil in enumerate(
        (
            lambda at: at.symlink_to(at),
            lambda at: at.symlink_to(at.parent / "nothing"),
            os.mkfifo,
            lambda at: at.symlink_to("/dev/zero"),
        )
    ):
        folder = make(models / f"small-{number}", "config.json", "model.safetensors")
        spoil(folder / "chat_template.jinja")
        with pytest.raises(ModelRefused, match="chat_template"):
            source_of(folder.name)


def test_a_snapshot_in_a_hub_cache_is_made_of_links(models):
    cache = make(models / "models--publisher--small" / "blobs", "aa", "bb").parent
    snapshot = cache / "snapshots" / "0123"
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").symlink_to("../../blobs/aa")
    (snapshot / "model.safetensors").symlink_to("../../blobs/bb")
    assert source_of(str(snapshot)) == ModelSource(base=str(snapshot))


def named(folder, base):
    make(folder, "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": base}))


def test_an_adapter_on_an_adapter_is_a_chain_and_never_its_own_base(models):
    base = make(models / "base", "config.json", "model.safetensors")
    named(models / "first", "base")
    named(models / "second", str(models / "first"))
    assert source_of("second") == ModelSource(base=str(base), adapters=(str(models / "first"), str(models / "second")))
    named(models / "own", "own")
    named(models / "one", "two")
    named(models / "two", "one")
    for name in ("own", "one", "two"):
        with pytest.raises(ModelRefused, match="an adapter of itself"):
            source_of(name)
    own = {"base": "lineage", "adapters": [], "this": "adapter"}
    (make(models / "lineage", "adapter_config.json", "adapter_model.safetensors") / "lineage.json").write_text(
        json.dumps(own)
    )
    with pytest.raises(ModelRefused, match="was trained on lineage"):
        source_of("lineage")


@pytest.mark.parametrize("content", ["[]", "{", "[" * 100_000, '{"base_model_name_or_path": ["base"]}', "\0"])
def test_an_adapter_config_that_is_none_is_refused(models, content):
    folder = make(models / "adapter", "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text(content)
    with pytest.raises(ModelRefused, match="adapter"):
        source_of("adapter")


@pytest.mark.parametrize("name", ["../secret.safetensors", "/etc/passwd", "..", "a\0b", "sub/model.safetensors"])
def test_an_index_names_files_of_its_own_folder_only(models, name):
    (models / "secret.safetensors").write_text("{}")
    folder = make(models / "sharded", "config.json")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"w": name}}))
    with pytest.raises(ModelRefused, match="sharded"):
        source_of("sharded")


def test_engines_are_told_the_roots_and_hold_to_them(models, tmp_path, monkeypatch):
    told = engine_environment()[model_files.ROOTS_VARIABLE]
    assert str(models) in told.split(os.pathsep)
    folder = make(models / "small", "config.json", "model.safetensors")
    (folder / "chat_template.jinja").symlink_to(make(tmp_path / "secret", "key") / "key")
    model_files.check(folder, model_files.roots_of_environment())  # started by a person, who may link as they like
    monkeypatch.setenv(model_files.ROOTS_VARIABLE, told)
    with pytest.raises(ModelError, match="points outside of"):
        model_files.check(folder, model_files.roots_of_environment())


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
