"""A dataset that was written becomes a version: its files move to their place, and its row is added."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction

from annotation.core.events import record
from annotation.core.locks import Lock, lock_until_commit
from annotation.core.withdrawals import state_of
from annotation.datasets.labels import Selection
from annotation.models import DatasetVersion, Project, User

FILES = ("train.jsonl", "train.parquet", "held_out.jsonl", "held_out.parquet", "annotation_ids.txt", "manifest.json")


@dataclass
class Content:
    """What was written."""

    sha256: str = ""
    train_rows: int = 0
    held_out_rows: int = 0
    manifest: dict[str, Any] = field(default_factory=dict)


def keep_files(folder: Path, directory: Path) -> None:
    """Move the written files to their content address. If equal content is there already, it is kept."""
    if all((directory / name).is_file() for name in FILES):
        return
    try:
        folder.rename(directory)
    except OSError:
        # Another process froze the same content first, or an older copy is incomplete: replace file by file.
        directory.mkdir(exist_ok=True)
        for name in FILES:
            (folder / name).replace(directory / name)


def register(
    project: Project,
    selection: Selection,
    content: Content,
    folder: Path,
    actor: User | None,
    withdrawn: tuple[tuple[object, ...], ...],
) -> DatasetVersion | None:
    """The version of what was written into `folder`, which moves to its place; the existing one of equal content.

    None, and nothing is kept, where consent was withdrawn since the project's withdrawals were `withdrawn`: an answer
    of that person may have been read. Whoever withdraws waits for the lock, and then finds the version.
    """
    with transaction.atomic():
        lock_until_commit(Lock.CONSENT, project.pk)
        if state_of(project) != withdrawn:
            return None
        directory = Path(settings.DATASETS_DIR) / content.sha256
        keep_files(folder, directory)
        return add_version(project, selection, content, directory, actor)


def add_version(
    project: Project, selection: Selection, content: Content, directory: Path, actor: User | None
) -> DatasetVersion:
    existing = DatasetVersion.objects.filter(project=project, sha256=content.sha256)
    if version := existing.first():
        version.asked_manifest = content.manifest
        return version
    try:
        with transaction.atomic():
            version = DatasetVersion.objects.create(
                project=project,
                purpose=selection.purpose,
                format=selection.format,
                sha256=content.sha256,
                selection=selection.as_dict(),
                manifest=content.manifest,
                train_rows=content.train_rows,
                held_out_rows=content.held_out_rows,
                directory=str(directory.relative_to(settings.VAR)),
                created_by=actor,
            )
            after = {"sha256": version.sha256, "train": version.train_rows, "held_out": version.held_out_rows}
            record(verb="dataset.frozen", target=version, actor=actor, project=project, after=after)
    except IntegrityError:
        version = existing.get()  # frozen by another process at the same moment
        version.asked_manifest = content.manifest
    return version
