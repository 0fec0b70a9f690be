"""Checkpoints: registered from finished runs, walked up and down, promoted by a person or by a rule."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.db import transaction

from annotation.core.errors import Conflict
from annotation.core.events import record
from annotation.models import Project
from training.contract.config import ModelSource
from training.contract.run_directory import LINEAGE
from training.engine_jobs import model_folders
from training.models import Checkpoint, Evaluation, Run

# ---- registering ----


@transaction.atomic
def register_checkpoint(run: Run) -> Checkpoint:
    """The checkpoint of a run that succeeded; the same one however often it is called. Raises Conflict."""
    existing = Checkpoint.objects.filter(run=run).first()
    if existing is not None:
        return existing
    folder = run.directory.model
    if not any(folder.glob("*.safetensors")):
        raise Conflict(f"{run} left no model: {folder} has no *.safetensors")
    path = folder.relative_to(settings.VAR)
    parent = run.parent
    checkpoint = Checkpoint.objects.create(
        project=run.project,
        run=run,
        parent=parent,
        dataset=run.dataset,
        base_model=parent.base_model if parent else (run.base_model or str(folder.resolve())),
        form=_form_of(folder),
        path=str(path),
        sha256=folder_sha256(folder),
    )
    record(
        verb="checkpoint.registered",
        target=checkpoint,
        actor=run.created_by,
        project=run.project,
        after={"run": run.pk, "sha256": checkpoint.sha256, "parent": run.parent_id, "dataset": run.dataset_id},
    )
    return checkpoint


def folder_sha256(folder: Path) -> str:
    """sha256 over the lines `<sha256 of the content>  <path in the folder>`, sorted by path (as sha256sum prints)."""
    lines = []
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        with file.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
        lines.append((file.relative_to(folder).as_posix(), digest))
    return hashlib.sha256("".join(f"{digest}  {name}\n" for name, digest in sorted(lines)).encode()).hexdigest()


def _form_of(folder: Path) -> str:
    lineage = folder / LINEAGE
    if lineage.is_file():
        return str(json.loads(lineage.read_text(encoding="utf-8"))["this"])
    return Checkpoint.Form.ADAPTER if (folder / "adapter_config.json").is_file() else Checkpoint.Form.FULL


# ---- lineage ----


def model_folder(checkpoint: Checkpoint) -> Path:
    return Path(settings.VAR) / checkpoint.path


def model_source(checkpoint: Checkpoint) -> ModelSource:
    """What loads this checkpoint: the nearest full weights above it (or the base), then the adapters down to it.

    Where another base was allowed for one of its runs, it stays allowed.
    """
    adapters: list[str] = []
    allowed = False
    for link in ancestors(checkpoint, with_self=True):
        if link.form == Checkpoint.Form.FULL:
            return ModelSource(
                base=str(model_folder(link)), adapters=tuple(reversed(adapters)), allow_other_base=allowed
            )
        adapters.append(str(model_folder(link)))
        allowed = allowed or other_base_allowed(link.run)
    base = model_folders.source_of(checkpoint.base_model)
    return ModelSource(base=base.base, adapters=(*base.adapters, *reversed(adapters)), allow_other_base=allowed)


def other_base_allowed(run: Run) -> bool:
    return bool((run.config.get("model") or {}).get("allow_other_base"))


def ancestors(checkpoint: Checkpoint, *, with_self: bool = False) -> list[Checkpoint]:
    """From the parent (or the checkpoint itself) up to the first that was trained on a base model."""
    chain = [checkpoint] if with_self else []
    while checkpoint.parent is not None:
        checkpoint = checkpoint.parent
        chain.append(checkpoint)
    return chain


@dataclass(frozen=True)
class Lineage:
    """`up`: from the base's first checkpoint to the parent. `down`: every descendant, with its depth (1: child).

    `base_model` is empty where the first of the line was made from scratch.
    """

    base_model: str
    up: list[Checkpoint]
    down: list[tuple[int, Checkpoint]]


def lineage(checkpoint: Checkpoint) -> Lineage:
    everyone = Checkpoint.objects.filter(project=checkpoint.project).select_related("run", "dataset", "parent")
    children: dict[int | None, list[Checkpoint]] = {}
    by_id: dict[int, Checkpoint] = {}
    for other in everyone.order_by("id"):
        by_id[other.pk] = other
        children.setdefault(other.parent_id, []).append(other)
    up = []
    parent_id = checkpoint.parent_id
    while parent_id is not None:
        up.append(by_id[parent_id])
        parent_id = by_id[parent_id].parent_id

    def below(parent: int, depth: int) -> Iterable[tuple[int, Checkpoint]]:
        for child in children.get(parent, []):
            yield depth, child
            yield from below(child.pk, depth + 1)

    first = up[-1] if up else checkpoint
    base = model_folders.short_name(first.run.base_model) if first.run.base_model else ""
    return Lineage(base_model=base, up=up[::-1], down=list(below(checkpoint.pk, 1)))


# ---- promoting ----


def promoted_checkpoint(project: Project) -> Checkpoint | None:
    """The checkpoint that was promoted last: its output is what the next round judges."""
    rows = Checkpoint.objects.filter(project=project, promoted_at__isnull=False)
    return rows.select_related("parent", "run").order_by("-promoted_at", "-id").first()


def last_evaluation(checkpoint: Checkpoint) -> Evaluation | None:
    """The newest evaluation that came to its end."""
    return checkpoint.evaluations.filter(status=Evaluation.Status.SUCCEEDED).order_by("-id").first()
