"""lineage.json: from which base and adapters a model folder was trained, by name and by the sha256 of their weights.

`model/` is meant to be handed on, so its files hold names and hashes and no path of the machine that made them. Where
the links are on this machine, the run's own run.json says, beside `model/`; it is not handed on.
"""

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.contract.config import ModelSource, TrainingConfig
from training.contract.errors import ModelError
from training.contract.model_files import read_json
from training.contract.run_directory import CONFIG, LINEAGE, MODEL, write_atomically
from training.contract.weights import weights_sha256


@dataclass(frozen=True)
class Link:
    """A base or an adapter of a chain. `sha256` is empty where its weights were not known."""

    name: str
    sha256: str = ""


@dataclass(frozen=True, kw_only=True)
class Lineage:
    """`full`: the folder holds all weights; else an adapter on the chain. `merged`: what `merge` folded together.

    `other_base` says what was overruled when an adapter of another base was allowed.
    """

    base: Link
    adapters: tuple[Link, ...]
    full: bool
    merged: "tuple[Link, ...]" = ()
    other_base: str = ""

    @property
    def links(self) -> tuple[Link, ...]:
        return (self.base, *self.adapters)


def link_name(link: str) -> str:
    """What a base or an adapter folder is called in files that are handed on.

    The run's name where a run made it, `publisher/model` for a hub name and in a hub's cache, else the folder's name.
    """
    folder = Path(link)
    if not folder.is_dir():
        return link if not folder.is_absolute() else folder.name
    run = folder.parent / CONFIG
    if folder.name == MODEL and run.is_file():
        return str(read_json(run).get("run_id") or folder.name)
    cache = folder.parent.parent.name  # models--publisher--model/snapshots/<commit>
    if folder.parent.name == "snapshots" and cache.startswith("models--"):
        return cache.removeprefix("models--").replace("--", "/")
    return folder.resolve().name


def link_of(folder: str) -> Link:
    return Link(link_name(folder), weights_sha256(Path(folder)) if Path(folder).is_dir() else "")


def named(source: ModelSource) -> ModelSource:
    """The chain by its names, for whatever is handed on."""
    return ModelSource(
        base=link_name(source.base) if source.base else "",
        adapters=tuple(map(link_name, source.adapters)),
        allow_other_base=source.allow_other_base,
    )


def named_config(config: TrainingConfig) -> TrainingConfig:
    """A run's configuration with names for paths, for whatever is handed on: cards, trackers."""
    return dataclasses.replace(
        config,
        model=named(config.model),
        dataset=Path(config.dataset).name,
        accelerate_config=Path(config.accelerate_config).name,
        reference_cache="",
        token_cache="",
    )


def write(folder: Path, source: ModelSource, *, adapter: bool, other_base: str = "", **more: Any) -> dict[str, Any]:
    """Write lineage.json for what was trained (or merged) from this chain; returns its content."""
    base = link_of(source.base) if source.base else Link("")
    adapters = [link_of(link) for link in source.adapters]
    content: dict[str, Any] = {
        "base": base.name,
        "base_sha256": base.sha256,
        "adapters": [link.name for link in adapters],
        "adapters_sha256": [link.sha256 for link in adapters],
        "this": "adapter" if adapter else "full",
        **more,
    }
    if other_base:
        content["other_base"] = other_base
    write_atomically(folder / LINEAGE, json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    return content


def read(folder: Path) -> Lineage | None:
    """The folder's lineage.json; None where there is none. Raises ModelError for one that cannot be read.

    Files of earlier versions hold paths for names, and no hashes.
    """
    file = folder / LINEAGE
    if not file.is_file():
        return None
    content = read_json(file)
    try:
        names = list(map(str, content["adapters"]))
        hashes = list(content.get("adapters_sha256") or [""] * len(names))
        merged = content.get("merged") or {}
        parts = [link["sha256"] for link in merged.get("adapters", [])] if merged.get("base_sha256") else []
        return Lineage(
            base=Link(str(content["base"]), str(content.get("base_sha256") or "")),
            adapters=tuple(Link(name, sha) for name, sha in zip(names, hashes, strict=True)),
            full=content["this"] == "full",
            merged=tuple(Link("", sha) for sha in ([merged["base_sha256"], *parts] if parts else [])),
            other_base=str(content.get("other_base") or ""),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelError(f"{file} is no lineage that Konomi wrote ({error}): restore it, or remove it") from error


def local_chain(folder: Path) -> ModelSource | None:
    """The chain that loads a `model/` folder, where this machine knows it; None where only the names are known."""
    lineage = read(folder)
    if lineage is None:
        return None
    if lineage.full:
        return ModelSource(base=str(folder))
    paths: Sequence[str] = [link.name for link in lineage.links]
    if not all(Path(path).is_absolute() for path in paths):
        paths = _paths_of_run(folder, len(paths))
    return ModelSource(base=paths[0], adapters=(*paths[1:], str(folder))) if paths else None


def _paths_of_run(folder: Path, count: int) -> Sequence[str]:
    run = folder.parent / CONFIG
    if folder.name != MODEL or not run.is_file():
        return []
    model = read_json(run).get("model")
    if not isinstance(model, dict) or not isinstance(model.get("adapters") or [], list):
        return []
    paths = [str(model.get("base") or ""), *map(str, model.get("adapters") or ())]
    return paths if len(paths) == count and all(paths) else []
