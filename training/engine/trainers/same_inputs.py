"""A resumed run goes on with what it began with: dataset, base, adapters, settings and the shape of what is trained.

The first start writes inputs.json into the run directory; every later one compares. A run directory of an earlier
version has none: it is written when the run is resumed, and the log says so.
"""

import json
import logging
from pathlib import Path
from typing import Any

from training.contract import lineage
from training.contract.config import LoraSettings, ModelSource, TrainingConfig
from training.contract.errors import CheckpointError
from training.contract.hyperparameters import all_parameters
from training.contract.run_directory import INPUTS, RunDirectory, write_atomically
from training.contract.weights import listed
from training.engine.artifacts.checkpoints import checkpoints
from training.engine.data.frozen import check_frozen, file_sha256
from training.engine.runtime import distributed

log = logging.getLogger("konomi.engine")

# Settings that a resume may change: how long, how often saved and logged, and on what. The others decide what is
# learnt. Of the rows in a step the number is compared, not how it is made up.
MAY_CHANGE = {
    *("epochs", "max_steps", "max_seconds", "save_steps", "save_total_limit", "logging_steps", "report_to", "threads"),
    *("processes", "accelerate_config", "micro_batch_tokens", "gradient_checkpointing", "precision"),
    *("batch_size", "gradient_accumulation"),
}
START_OVER = "or delete its checkpoint folders to start over with what is there now"


def check(directory: RunDirectory, config: TrainingConfig) -> None:
    """Raises DatasetError for a dataset that is not the frozen one, CheckpointError for a resume with other inputs.

    Of several processes the main one looks: it reads every byte of dataset and models.
    """
    if not distributed.is_main_process():
        return
    found: dict[str, dict[str, Any]] = {"dataset": check_frozen(directory.path / config.dataset, config.dataset_sha256)}
    found["model"] = model_inputs(config.model)
    found["settings"] = settings_of(config)
    saved = checkpoints(directory.path)
    path = directory.path / INPUTS
    if not saved:
        write_atomically(path, json.dumps(found, indent=2) + "\n")
        return
    for folder in saved:
        check_checkpoint(folder, config)
    if not path.is_file():
        log.warning("this run was begun by a version that did not note its inputs: they are not compared")
        write_atomically(path, json.dumps(found, indent=2) + "\n")
        return
    before = json.loads(path.read_text(encoding="utf-8"))
    changed = [
        name
        for part in ("dataset", "model")
        for name in {**before.get(part, {}), **found[part]}
        if before.get(part, {}).get(name) != found[part].get(name)
    ]
    now = found["settings"]
    changed += [  # earlier versions noted none, or not all that there are today
        f"{name} ({json.dumps(value)}, now {json.dumps(now[name])})"
        for name, value in before.get("settings", {}).items()
        if name in now and now[name] != value
    ]
    if changed:
        raise CheckpointError(
            f"The run cannot be resumed: {listed(changed)} changed since it began. Put back what it began with, "
            f"{START_OVER}"
        )


def settings_of(config: TrainingConfig) -> dict[str, Any]:
    """The settings that decide what is learnt, as JSON gives them back. What an adapter is, its checkpoint says."""
    settings = {
        parameter.attribute: getattr(config, parameter.attribute)
        for parameter in all_parameters()
        if not parameter.nested and parameter.attribute not in MAY_CHANGE
    }
    settings["rows in a step"] = config.batch_size * config.gradient_accumulation * config.processes
    if config.lora is not None:
        settings |= {"lora.dropout": config.lora.dropout, "lora.quantization": config.lora.quantization}
    values: dict[str, Any] = json.loads(json.dumps(settings))
    return values


def model_inputs(source: ModelSource) -> dict[str, str]:
    """sha256 of the weights of each link by its name, and of the base's configuration."""
    inputs = {}
    for place, link in enumerate((source.base, *source.adapters)):
        made = lineage.link_of(link)
        what = f"adapter {place} ({made.name})" if place else f"base ({made.name})"
        inputs[f"weights of the {what}"] = made.sha256
        config = Path(link) / ("adapter_config.json" if place else "config.json")
        if config.is_file():
            inputs[f"{config.name} of the {what}"] = file_sha256(config)
    return inputs


def check_checkpoint(folder: Path, config: TrainingConfig) -> None:
    """Raises CheckpointError where a checkpoint holds another adapter than run.json asks for, or none."""
    settings = folder / "adapter_config.json"
    if config.lora is None or not settings.is_file():
        if settings.is_file() or (config.lora is not None and (folder / "config.json").is_file()):
            holds, asks = ("an adapter", "all weights") if config.lora is None else ("all weights", "an adapter")
            raise CheckpointError(
                f"{folder.name} holds {holds}, and run.json asks for {asks}: set lora back, {START_OVER}"
            )
        return
    saved: dict[str, Any] = json.loads(settings.read_text(encoding="utf-8"))
    for name, before, now in differing(saved, config.lora):
        raise CheckpointError(
            f"{folder.name} holds an adapter of lora.{name} {before}, and run.json asks for {now}: set it back to "
            f"{before}, {START_OVER}"
        )


def differing(saved: dict[str, Any], lora: LoraSettings) -> list[tuple[str, Any, Any]]:
    """(name, in the checkpoint, in run.json) of the settings that decide what an adapter is."""
    pairs: list[tuple[str, Any, Any]] = [
        ("r", saved.get("r"), lora.r),
        ("alpha", saved.get("lora_alpha"), lora.alpha),
        ("dora", bool(saved.get("use_dora")), lora.dora),
    ]
    if lora.targets != ("all-linear",) and isinstance(saved.get("target_modules"), list):
        pairs.append(("targets", ",".join(sorted(saved["target_modules"])), ",".join(sorted(lora.targets))))
    return [pair for pair in pairs if pair[1] != pair[2]]
