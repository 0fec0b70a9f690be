"""Deletes the files of versions that contain an erased person's answers; manifest and hashes stay as a record."""

import contextlib
import json
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction

from annotation.core.errors import Conflict
from annotation.core.events import record
from annotation.datasets.files import file_facts
from annotation.datasets.register import FILES
from annotation.exchange.files import whole_file
from annotation.exchange.requests import cancel_export, delete_export_file
from annotation.models import AnswerExport, DatasetRemoval, DatasetVersion, User, Withdrawal
from annotation.text.digests import canonical_json

WITH_TEXTS = ("train.jsonl", "train.parquet", "held_out.jsonl", "held_out.parquet")
MANIFEST = FILES[-1]
assert set(WITH_TEXTS) < set(FILES)


def remove_files(withdrawal: Withdrawal, actor: User | None) -> int:
    """Delete the rows' files of every version that the withdrawal reached; returns how many files there were.

    A tombstone is written first, in the database and in manifest.json: what was removed, why, when, and each file's
    sha256. Doing it again finishes what was interrupted.
    """
    count = 0
    for version in DatasetVersion.objects.filter(pk__in=withdrawal.dataset_ids).order_by("pk"):
        removal = bury(version, withdrawal, actor)
        folder = Path(settings.VAR) / version.directory
        if folder.is_dir():
            write_manifest(folder / MANIFEST, version, removal)
        for name in WITH_TEXTS:
            with contextlib.suppress(FileNotFoundError):
                (folder / name).unlink()
                count += 1
    return count


def bury(version: DatasetVersion, withdrawal: Withdrawal, actor: User | None) -> DatasetRemoval:
    """The version's tombstone, the one that is there already where there is one."""
    with transaction.atomic():
        removal = DatasetRemoval.objects.filter(dataset=version).first()
        if removal is not None:
            return removal
        removal, is_new = DatasetRemoval.objects.get_or_create(
            dataset=version, defaults={"withdrawal": withdrawal, "files": facts_of(version)}
        )
        if is_new:
            after = {"withdrawal": withdrawal.pk, "sha256": version.sha256, "files": removal.files}
            record(verb="dataset.files_removed", target=version, actor=actor, project=version.project, after=after)
    return removal


def facts_of(version: DatasetVersion) -> dict[str, Any]:
    """sha256 and size of each file with texts: as the manifest recorded them, measured where it does not."""
    recorded = version.manifest.get("files", {})
    folder = Path(settings.VAR) / version.directory
    facts = {name: recorded[name] for name in WITH_TEXTS if name in recorded}
    measured = {name: file_facts(folder / name) for name in WITH_TEXTS if (folder / name).is_file()}
    return measured | facts


def tombstone(removal: DatasetRemoval) -> dict[str, Any]:
    """What the manifest says of the files that are no longer there."""
    return {
        "why": "consent was withdrawn, and the person's answers were erased",
        "withdrawal": removal.withdrawal_id,
        "at": removal.at.isoformat(timespec="seconds"),
        "files": removal.files,
    }


def write_manifest(path: Path, version: DatasetVersion, removal: DatasetRemoval) -> None:
    manifest = version.manifest
    if path.is_file():
        manifest = json.loads(path.read_text(encoding="utf-8"))
    if "removed" in manifest:
        return
    content = canonical_json({**manifest, "removed": tombstone(removal)}) + "\n"
    with whole_file(path, replace=True) as file:  # beside it first: hard links in run directories keep the old one
        file.write(content.encode())


def remove_exports(withdrawal: Withdrawal, actor: User | None) -> int:
    """Delete the project's exported files, which hold everybody's answers, and stop those that are being written;
    returns how many."""
    count = 0
    rows = AnswerExport.objects.filter(project=withdrawal.project_id).select_related("project", "created_by")
    for export in rows.filter(created_at__lte=withdrawal.erased_at or withdrawal.at):
        with contextlib.suppress(Conflict):
            if export.is_live:
                cancel_export(export=export, actor=actor)
                count += 1
            elif export.status == AnswerExport.Status.DONE:
                delete_export_file(export=export, actor=actor)
                count += 1
    return count
