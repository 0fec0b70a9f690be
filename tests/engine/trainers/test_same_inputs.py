"""A run trains on the dataset that was frozen, and goes on with what it began with."""

import dataclasses
import hashlib
import json
import shutil
from pathlib import Path

import pytest

from tests.engine.conftest import dpo_rows, make_run, run_here, sft_rows, training, write_rows
from tests.engine.models.weights import changed, reconfigured
from training.contract.config import EvaluationConfig, LoraSettings, ModelSource
from training.contract.run_directory import RunDirectory

pytestmark = pytest.mark.engine


def freeze(directory: RunDirectory, **changes) -> str:
    """manifest.json as freezing writes it, for the Parquet files that are there; the dataset's sha256."""
    files = {
        f"{split}.jsonl": {"sha256": hashlib.sha256(split.encode()).hexdigest()} for split in ("train", "held_out")
    }
    parts = [
        "preferences",
        "conversational",
        *(f"{split} {files[f'{split}.jsonl']['sha256']}" for split in ("train", "held_out")),
    ]
    digest = hashlib.sha256("\n".join([*parts, ""]).encode()).hexdigest()
    for file in directory.dataset.glob("*.parquet"):
        files[file.name] = {"sha256": hashlib.sha256(file.read_bytes()).hexdigest()}
    manifest = {
        "sha256": digest,
        "selection": {"purpose": "preferences", "format": "conversational"},
        "files": files,
        **changes,
    }
    (directory.dataset / "manifest.json").write_text(json.dumps(manifest))
    return digest


def frozen_run(path: Path, program: str, model: ModelSource, **changes) -> RunDirectory:
    directory = make_run(path, training(program, model, **{"max_steps": 1, **changes}))
    write_rows(directory, dpo_rows(8) if program == "train_dpo" else sft_rows(8))
    set_config(directory, dataset_sha256=freeze(directory))
    return directory


def set_config(directory: RunDirectory, **changes) -> None:
    config = dataclasses.replace(directory.read_config(), **changes)
    from training.contract.config import to_json

    (directory.path / "run.json").write_text(to_json(config))


def other_rows(directory):
    write_rows(directory, sft_rows(9))


def other_number(directory):
    set_config(directory, dataset_sha256="0" * 64)


def no_manifest(directory):
    (directory.dataset / "manifest.json").unlink()


def other_manifest(directory):
    """Rows and manifest of another dataset: they fit each other, not the run."""
    write_rows(directory, sft_rows(9))
    freeze(directory, sha256="1" * 64)


def adapted_manifest(directory):
    """Another train.parquet, and the hash of one JSONL file changed in the manifest beside it."""
    content = json.loads((directory.dataset / "manifest.json").read_text())
    content["files"]["train.jsonl"]["sha256"] = "2" * 64
    (directory.dataset / "manifest.json").write_text(json.dumps(content))


def broken_manifest(directory):
    (directory.dataset / "manifest.json").write_text("{")


DATASETS = [
    (other_rows, r"train\.parquet was changed after the dataset was frozen"),
    (other_number, r"is not the dataset of this run: run\.json names 000000000000…"),
    (no_manifest, r"has no manifest\.json to check"),
    (other_manifest, "is not the dataset of this run"),
    (adapted_manifest, r"manifest\.json was changed"),
    (broken_manifest, r"manifest\.json cannot be read"),
]


@pytest.mark.parametrize(("change", "message"), DATASETS)
def test_a_dataset_that_is_not_the_frozen_one_is_not_trained_on(tiny, tmp_path, change, message):
    import re

    directory = frozen_run(tmp_path / "run", "train_sft", tiny)
    change(directory)
    assert run_here("train_sft", directory) == 1
    error = directory.read_result()["error"]
    assert re.search(message, error), error
    assert len(error) < 600


@pytest.mark.parametrize("program", ["train_sft", "train_dpo"])
def test_the_frozen_dataset_is(tiny, tmp_path, program):
    directory = frozen_run(tmp_path / "run", program, tiny)
    assert run_here(program, directory) == 0, directory.read_result()
    inputs = json.loads((directory.path / "inputs.json").read_text())
    assert set(inputs["dataset"]) == {"train.parquet"}


def test_held_out_rows_that_were_changed_are_not_evaluated(tiny, tmp_path):
    directory = make_run(tmp_path / "run", EvaluationConfig(run_id="e", model=tiny, max_new_tokens=2))
    write_rows(directory, sft_rows(4), "held_out")
    digest = freeze(directory)
    set_config(directory, dataset_sha256=digest)
    assert run_here("evaluate", directory) == 0, directory.read_result()
    write_rows(directory, sft_rows(5), "held_out")
    assert run_here("evaluate", directory) == 1
    assert "held_out.parquet was changed after" in directory.read_result()["error"]


# ---- resume ----


@pytest.fixture(scope="module")
def begun(tiny, tmp_path_factory) -> RunDirectory:
    """A DPO run on a chain of its own copy of base and adapter, with checkpoints, as if killed at its end."""
    root = tmp_path_factory.mktemp("begun")
    shutil.copytree(tiny.base, root / "base")
    source = ModelSource(base=str(root / "base"))
    sft = make_run(root / "sft", training("train_sft", source, max_steps=2, lora=LoraSettings(r=2)), sft_rows(8))
    assert run_here("train_sft", sft) == 0, sft.read_result()
    chain = ModelSource(base=source.base, adapters=(str(sft.model),))
    lora = LoraSettings(r=2, targets=("q_proj", "v_proj"))
    directory = frozen_run(root / "run", "train_dpo", chain, max_steps=4, save_steps=2, lora=lora)
    assert run_here("train_dpo", directory) == 0, directory.read_result()
    shutil.rmtree(directory.model)
    directory.clear_for_resume()
    return directory


def again(begun: RunDirectory, tmp_path: Path) -> RunDirectory:
    """A copy of everything, whose run.json means the copies."""
    root = Path(shutil.copytree(begun.path.parent, tmp_path / "copy"))
    directory = RunDirectory(root / "run")
    set_config(directory, model=ModelSource(base=str(root / "base"), adapters=(str(root / "sft" / "model"),)))
    return directory


def other_base(directory):
    base = directory.path.parent / "base"
    shutil.move(base, base.with_name("before"))
    changed(base.with_name("before"), base, lambda ts: {**ts, "model.norm.weight": ts["model.norm.weight"] * 1.01})
    config = directory.read_config()
    set_config(directory, model=dataclasses.replace(config.model, allow_other_base=True))


def other_configuration(directory):
    reconfigured(directory.path.parent / "base", rms_norm_eps=1e-3)


def other_adapter(directory):
    adapter = directory.path.parent / "sft" / "model"
    shutil.move(adapter, adapter.with_name("before"))
    changed(adapter.with_name("before"), adapter, lambda ts: {n: t * 2 for n, t in ts.items()})


def other_alpha(directory):
    reconfigured(directory.path.parent / "sft" / "model", lora_alpha=77)


def other_dataset(directory):
    write_rows(directory, dpo_rows(9))
    freeze(directory)


def lora(**changes):
    def change(directory):
        settings = directory.read_config().lora
        set_config(directory, lora=dataclasses.replace(settings, **changes))

    return change


def settings(**changes):
    return lambda directory: set_config(directory, **changes)


def all_weights(directory):
    set_config(directory, lora=None)


RESUMES = [
    (other_base, r"weights of the base \(base\) changed since it began"),
    (other_configuration, r"config\.json of the base \(base\) changed since"),
    (other_adapter, r"weights of the adapter 1 \(t\) changed since"),
    (other_alpha, r"adapter_config\.json of the adapter 1 \(t\) changed since"),
    (other_dataset, r"train\.parquet changed since"),
    (lora(r=4), r"holds an adapter of lora\.r 2, and run\.json asks for 4: set it back to 2"),
    (lora(alpha=5), r"lora\.alpha 32, and run\.json asks for 5|lora\.alpha \d+, and run\.json asks for 5"),
    (lora(dora=True), r"lora\.dora False, and run\.json asks for True"),
    (lora(targets=("q_proj", "k_proj")), r"lora\.targets q_proj,v_proj, and run\.json asks for k_proj,q_proj"),
    (all_weights, "holds an adapter, and run.json asks for all weights"),
    (lora(dropout=0.5), r"lora\.dropout \(0\.0, now 0\.5\) changed since"),
    (settings(learning_rate=1e-9), r"learning_rate \(0\.01, now 1e-09\) changed since"),  # the optimizer has its own
    (settings(beta=5.0, seed=3), r"beta \(0\.1, now 5\.0\), seed \(17, now 3\) changed since"),
    (settings(losses=("sigmoid", "sft")), r'losses \(\["sigmoid"\], now \["sigmoid", "sft"\]\) changed since'),
    (settings(packing=False), r"packing \(true, now false\) changed since"),
    (settings(batch_size=3), r"rows in a step \(\d+, now \d+\) changed since"),
]


@pytest.mark.parametrize(("change", "message"), RESUMES)
def test_a_resume_with_other_inputs_is_refused_in_a_sentence_and_its_remedy_works(begun, tmp_path, change, message):
    import re

    directory = again(begun, tmp_path)
    change(directory)
    assert run_here("train_dpo", directory) == 1
    error = directory.read_result()["error"]
    assert re.search(message, error), error
    assert "start over" in error
    assert len(error) < 500
    if change in (other_base, all_weights):  # the remedy
        for folder in directory.path.glob("checkpoint-*"):
            shutil.rmtree(folder)
        directory.clear_for_resume()
        assert run_here("train_dpo", directory) == 0, directory.read_result()


def test_what_is_the_same_goes_on_also_from_another_place_and_from_a_version_before(begun, tmp_path, caplog):
    directory = again(begun, tmp_path)
    (directory.path / "inputs.json").unlink()  # as before it was written
    assert run_here("train_dpo", directory) == 0, directory.read_result()
    assert directory.read_result()["resumed_from"].startswith("checkpoint-")
    assert "did not note its inputs" in caplog.text
    moved = again(begun, tmp_path / "more")
    assert run_here("train_dpo", moved) == 0, moved.read_result()
    assert moved.read_result()["resumed_from"].startswith("checkpoint-")


def test_how_long_and_on_what_may_change(begun, tmp_path):
    directory = again(begun, tmp_path)
    config = directory.read_config()
    more = {"max_steps": config.max_steps + 1, "batch_size": 1, "gradient_accumulation": config.batch_size}
    noted = json.loads((directory.path / "inputs.json").read_text())
    assert noted["settings"].pop("beta") == config.beta  # as if a later version had added it
    (directory.path / "inputs.json").write_text(json.dumps(noted))
    set_config(directory, **more, save_steps=7, logging_steps=1, micro_batch_tokens=500, precision="fp32")
    assert run_here("train_dpo", directory) == 0, directory.read_result()
    assert directory.read_result()["resumed_from"].startswith("checkpoint-")
