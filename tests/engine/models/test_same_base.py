"""An adapter on another base than it was trained on: refused by every program, unless a person allows it."""

import json
import shutil
from pathlib import Path

import pytest

from tests.engine.conftest import dpo_rows, make_run, run_here, sft_rows, training, write_rows
from tests.engine.models.test_merge import arguments_of, run_merge
from tests.engine.models.weights import changed, reconfigured
from training.contract.config import EvaluationConfig, GenerationConfig, LoraSettings, ModelSource
from training.contract.errors import ModelError

pytestmark = pytest.mark.engine

ALLOW = "--allow-other-base"


@pytest.fixture(scope="module")
def twin(tiny, tmp_path_factory) -> str:
    """A base of the same shape with other weights, and another name."""
    to = tmp_path_factory.mktemp("twins") / "twin"
    return changed(tiny.base, to, lambda ts: {n: t * 1.25 if t.ndim == 2 else t for n, t in ts.items()})


def foreign(adapter: Path, to: Path, base: str) -> str:
    """The adapter as PEFT alone leaves it: no lineage, and the base's name in adapter_config.json."""
    shutil.copytree(adapter, to)
    (to / "lineage.json").unlink()
    reconfigured(to, base_model_name_or_path=base)
    return str(to)


def of_a_version_before(adapter: Path, to: Path, base: str, adapters: tuple[str, ...] = ()) -> str:
    """The adapter with a lineage of paths and without hashes."""
    shutil.copytree(adapter, to)
    lineage = {"base": base, "adapters": list(adapters), "this": "adapter"}
    (to / "lineage.json").write_text(json.dumps(lineage))
    return str(to)


@pytest.mark.parametrize("program", ["train_sft", "train_dpo", "evaluate", "generate", "merge"])
def test_every_program_refuses_an_adapter_of_another_base_and_goes_on_where_it_is_allowed(
    twin, sft_adapter, tmp_path, capfd, program
):
    for allowed in (False, True):
        source = ModelSource(base=twin, adapters=(str(sft_adapter),), allow_other_base=allowed)
        folder = tmp_path / str(allowed)
        if program == "merge":
            code, result = run_merge(capfd, *arguments_of(source, folder), *([ALLOW] if allowed else []))
            made = folder
        else:
            if program == "generate":
                config = GenerationConfig(run_id="g", model=source, max_new_tokens=2)
            elif program == "evaluate":
                config = EvaluationConfig(run_id="e", model=source, max_new_tokens=2)
            else:
                config = training(program, source, max_steps=1, lora=LoraSettings(r=2))
            directory = make_run(folder, config)
            if program == "generate":
                directory.prompts_path.write_text('{"id": 1, "messages": [{"role": "user", "content": "Hi"}]}\n')
            else:
                rows = dpo_rows(4) if program == "train_dpo" else sft_rows(4)
                write_rows(directory, rows, "held_out" if program == "evaluate" else "train")
            code, result, made = run_here(program, directory), directory.read_result(), directory.model
        assert code == (0 if allowed else 1), result
        if not allowed:
            assert result["error"].startswith(f"{sft_adapter} was trained on ")
            assert "and not on twin (sha256 " in result["error"]
            assert ALLOW in result["error"]
            assert len(result["error"]) < 600
        elif program in ("evaluate", "generate"):
            assert "was trained on" in result["other_base"]
            assert str(tmp_path.parent) not in result["other_base"]
        elif program in ("train_sft", "train_dpo", "merge"):
            assert "was trained on" in json.loads((made / "lineage.json").read_text())["other_base"]
            assert "**Another base was allowed:**" in (made / "README.md").read_text()


def test_the_same_weights_are_the_same_base_wherever_they_lie(tiny, sft_adapter, tmp_path):
    """Moved, renamed, or saved again in shards."""
    from training.engine.models import loading

    shutil.copytree(tiny.base, tmp_path / "moved")
    loading.load_model(ModelSource(base=str(tmp_path / "moved"), adapters=(str(sft_adapter),)))
    loading.load_model(tiny).save_pretrained(tmp_path / "shards", max_shard_size="40KB")
    loading.load_model(ModelSource(base=str(tmp_path / "shards"), adapters=(str(sft_adapter),)))


def test_one_changed_number_is_another_base(tiny, sft_adapter, tmp_path):
    from training.engine.models import loading

    def nudged(tensors):
        return {**tensors, "model.norm.weight": tensors["model.norm.weight"] + 1e-3}

    base = changed(tiny.base, tmp_path / "nudged", nudged)
    with pytest.raises(ModelError, match="was trained on"):
        loading.load_model(ModelSource(base=base, adapters=(str(sft_adapter),)))


@pytest.fixture(scope="module")
def chain(tiny, sft_adapter, tmp_path_factory) -> ModelSource:
    """SFT, then DPO on top of it."""
    source = ModelSource(base=tiny.base, adapters=(str(sft_adapter),))
    config = training("train_dpo", source, max_steps=2, lora=LoraSettings(r=2))
    directory = make_run(tmp_path_factory.mktemp("dpo"), config, dpo_rows(8))
    assert run_here("train_dpo", directory) == 0, directory.read_result()
    return ModelSource(base=tiny.base, adapters=(str(sft_adapter), str(directory.model)))


def test_a_link_that_is_left_out_twice_there_or_in_another_order_is_noticed(chain):
    from training.engine.models import loading

    sft, dpo = chain.adapters
    loading.load_model(chain)
    for adapters in ((dpo,), (dpo, sft), (sft, sft, dpo), (sft, dpo, dpo)):
        with pytest.raises(ModelError, match="was trained on"):
            loading.load_model(ModelSource(base=chain.base, adapters=adapters))


def test_a_merged_base_stands_for_what_was_merged_into_it(chain, tmp_path, capsys):
    from training.engine.models import loading

    sft, dpo = chain.adapters
    below = ModelSource(base=chain.base, adapters=(sft,))
    assert run_merge(capsys, *arguments_of(below, tmp_path / "merged", "--dtype", "fp32"))[0] == 0
    loading.load_model(ModelSource(base=str(tmp_path / "merged"), adapters=(dpo,)))
    with pytest.raises(ModelError, match="was trained on"):  # its SFT twice
        loading.load_model(ModelSource(base=str(tmp_path / "merged"), adapters=(sft,)))


@pytest.mark.parametrize("name", ["publisher/other", "/somewhere/else/entirely", "twin-2", "C:\\models\\other"])
def test_a_foreign_adapter_that_names_another_base_is_refused(tiny, sft_adapter, tmp_path, name):
    from training.engine.models import loading

    adapter = foreign(sft_adapter, tmp_path / "a", name)
    with pytest.raises(ModelError, match="as its base, and is used on") as raised:
        loading.load_model(ModelSource(base=tiny.base, adapters=(adapter,)))
    assert ALLOW in str(raised.value)
    assert loading.load_model(ModelSource(base=tiny.base, adapters=(adapter,), allow_other_base=True))


@pytest.mark.parametrize("place", ["{base}", "publisher/{name}", "/gone/{name}", "/gone/models/publisher/{name}/", ""])
def test_a_foreign_adapter_is_taken_where_the_name_fits_or_there_is_none(tiny, sft_adapter, tmp_path, caplog, place):
    from training.engine.models import loading

    name = place.format(base=tiny.base, name=Path(tiny.base).name)
    loading.load_model(ModelSource(base=tiny.base, adapters=(foreign(sft_adapter, tmp_path / "a", name),)))
    assert ("names no base" in caplog.text) == (place == "")


def test_a_foreign_adapter_that_names_a_folder_of_other_weights_here_is_refused(tiny, twin, sft_adapter, tmp_path):
    """Two folders of one name: the weights decide."""
    from training.engine.models import loading

    namesake = tmp_path / Path(tiny.base).name
    shutil.copytree(twin, namesake)
    adapter = foreign(sft_adapter, tmp_path / "a", str(namesake))
    with pytest.raises(ModelError, match="as its base"):
        loading.load_model(ModelSource(base=tiny.base, adapters=(adapter,)))


def test_a_lineage_of_a_version_before_is_compared_by_its_paths(tiny, twin, sft_adapter, tmp_path):
    from training.engine.models import loading

    old = of_a_version_before(sft_adapter, tmp_path / "old", tiny.base)
    loading.load_model(ModelSource(base=tiny.base, adapters=(old,)))
    assert loading.chain_of(Path(old)) == ModelSource(base=tiny.base, adapters=(old,))
    moved = of_a_version_before(sft_adapter, tmp_path / "moved", f"/gone/{Path(tiny.base).name}")
    loading.load_model(ModelSource(base=tiny.base, adapters=(moved,)))
    for adapter in (old, moved):
        with pytest.raises(ModelError, match=r"was trained on .*, not on twin"):
            loading.load_model(ModelSource(base=twin, adapters=(adapter,)))


@pytest.mark.parametrize("content", ["[]", "{", '{"base": "x"}', '{"base": "x", "adapters": 3, "this": "full"}'])
def test_a_lineage_that_cannot_be_read_is_named(tiny, sft_adapter, tmp_path, content):
    from training.engine.models import loading

    shutil.copytree(sft_adapter, tmp_path / "a")
    (tmp_path / "a" / "lineage.json").write_text(content)
    with pytest.raises(ModelError, match=r"lineage\.json"):
        loading.load_model(ModelSource(base=tiny.base, adapters=(str(tmp_path / "a"),)))


# ---- what is handed on ----


def test_no_file_that_is_handed_on_names_a_path_of_this_machine(tiny, chain, tmp_path, capfd):
    full = make_run(tmp_path / "full", training("train_sft", chain, max_steps=1, lora=None), sft_rows(4))
    assert run_here("train_sft", full) == 0, full.read_result()
    caches = {name: str(tmp_path / name) for name in ("reference_cache", "token_cache")}
    shared = training("train_kto", chain, max_steps=1, run_id="kto 3", **caches)
    rows = [{**row, "label": number % 2 == 0} for number, row in enumerate(sft_rows(8))]
    kto = make_run(tmp_path / "kto", shared, rows)
    assert run_here("train_kto", kto) == 0, kto.read_result()
    dataset = Path(chain.adapters[1]).parent / "dataset"
    merged = arguments_of(chain, tmp_path / "merged", "--dtype", "fp32", "--dataset", dataset)
    assert run_merge(capfd, *merged)[0] == 0
    folders = [*map(Path, chain.adapters), full.model, kto.model, tmp_path / "merged"]
    roots = [str(tmp_path.parent), str(Path(tiny.base).parent), str(Path.home()) + "/"]
    for folder in folders:
        for file in folder.rglob("*"):
            content = file.read_bytes() if file.is_file() else b""
            assert not any(root.encode() in content for root in roots), file
    name = Path(tiny.base).name
    assert json.loads((kto.model / "adapter_config.json").read_text())["base_model_name_or_path"] == name
    lineage = json.loads((kto.model / "lineage.json").read_text())
    assert (lineage["base"], len(lineage["base_sha256"]), lineage["adapters"]) == (name, 64, ["t", "t"])
    assert f"`{name}`, weights sha256 `{lineage['base_sha256']}`" in (kto.model / "README.md").read_text()
