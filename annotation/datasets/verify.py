"""Checks frozen versions against their sha256: by their files, or, where files were removed, by the record of them."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from annotation.datasets.files import sha256_of
from annotation.models import DatasetRemoval, DatasetVersion

SPLITS = ("train", "held_out")


@dataclass(frozen=True)
class Verified:
    """One version. `removed`: its files with texts were removed after a withdrawal, and its record is what was checked.
    `faults` are sentences, none where it is as it was frozen."""

    version: DatasetVersion
    removed: bool
    faults: tuple[str, ...]


def verify_datasets(versions: Iterator[DatasetVersion]) -> Iterator[Verified]:
    for version in versions:
        removal = DatasetRemoval.objects.filter(dataset=version).first()
        faults = tuple(faults_of(version, removal))
        yield Verified(version, removal is not None, faults)


def faults_of(version: DatasetVersion, removal: DatasetRemoval | None) -> Iterator[str]:
    folder = Path(settings.VAR) / version.directory
    recorded = removal.files if removal else version.manifest.get("files", {})
    hashes = []
    for split in SPLITS:
        name = f"{split}.jsonl"
        path = folder / name
        known = recorded.get(name, {}).get("sha256")
        if removal is not None:
            if path.exists():
                yield f"{name} is there, though it was removed"
            hashes.append(known or "")
            continue
        if not path.is_file():
            yield f"{name} is missing"
            return
        with path.open("rb") as file:
            hashes.append(hashlib.file_digest(file, "sha256").hexdigest())
        if known and hashes[-1] != known:
            yield f"{name} was changed"
    if sha256_of(version.purpose, version.format, *hashes) != version.sha256:
        yield "its record does not give its sha256" if removal else "its files do not give its sha256"
