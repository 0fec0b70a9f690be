"""Publish model/: weights with tokenizer, lineage and card, complete or not at all."""

import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training.contract import lineage
from training.contract.headline import headline, steps_of
from training.contract.metrics import METRICS
from training.engine.artifacts import model_card
from training.engine.runtime.run import Run

if TYPE_CHECKING:
    from transformers import GenerationConfig, PreTrainedTokenizerBase


REPORTED = tuple(metric.key for metric in METRICS if metric.reported)


def finish_model(
    partial: Path,
    run: Run,
    tokenizer: "PreTrainedTokenizerBase",
    *,
    adapter: bool,
    metrics: dict[str, Any],
    counts: dict[str, int],
    other_base: str = "",
) -> None:
    """Write tokenizer, lineage and card next to the weights in `partial`, then publish it as model/.

    What is published names no path of this machine. `other_base` says what was overruled at loading.
    """
    tokenizer.save_pretrained(partial)
    written = lineage.write(partial, run.config.model, adapter=adapter, other_base=other_base)
    name_base(partial, written["base"])
    manifest = read_manifest(run.directory.path / run.config.dataset)
    card = model_card.model_card(
        run.config, lineage=written, adapter=adapter, metrics=metrics, counts=counts, manifest=manifest
    )
    (partial / "README.md").write_text(card, encoding="utf-8")
    publish(partial, run.directory.model)


def name_base(folder: Path, name: str) -> None:
    """Have adapter_config.json name the base as it is called, where PEFT has put its path."""
    file = folder / "adapter_config.json"
    if file.is_file():
        settings = json.loads(file.read_text(encoding="utf-8"))
        settings["base_model_name_or_path"] = name
        file.write_text(json.dumps(settings, indent=2, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")


def read_manifest(dataset: Path) -> dict[str, Any]:
    """The manifest.json of a dataset; empty for one without."""
    file = dataset / "manifest.json"
    manifest: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return manifest


def make_writable(settings: "GenerationConfig") -> None:
    """Fix generation settings that transformers would refuse to write after hours of training.

    Published models carry a temperature or top_p without `do_sample`: their authors mean to sample.
    """
    try:
        settings.validate(strict=True)
    except ValueError:
        settings.do_sample = True


def final_metrics(run: Run) -> dict[str, Any]:
    """Final metrics from metrics.jsonl, which includes steps before a resume: the first loss, and each headline."""
    lines, _ = run.directory.read_metrics()
    steps = [line for line in steps_of(lines) if "loss" in line]
    if not steps:
        return {}
    figures: dict[str, Any] = {"steps": steps[-1]["step"], "first_loss": steps[0]["loss"]}
    for name in REPORTED:
        if (value := headline(steps, name)) is not None:
            figures[name] = value
    figures["epochs"] = steps[-1].get("epoch", 0.0)
    return figures


def publish(partial: Path, final: Path) -> None:
    """Sync a temporary folder to disk and rename it to `final`, replacing what was there."""
    for file in partial.rglob("*"):
        if file.is_file():
            with file.open("rb") as opened:
                os.fsync(opened.fileno())
    if final.exists():
        shutil.rmtree(final)
    partial.rename(final)
    parent = os.open(final.parent, os.O_RDONLY)
    try:
        os.fsync(parent)
    finally:
        os.close(parent)
