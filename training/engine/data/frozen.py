"""Whether the dataset that a run reads is the one that was frozen, and the same from its first start to its last.

manifest.json has the sha256 of every frozen file; the dataset's own sha256 (in run.json: `dataset_sha256`) is made of
those of the two JSONL files, with purpose and format. Free of torch.
"""

import hashlib
import json
import logging
from pathlib import Path
from typing import Any

from training.contract.errors import DatasetError
from training.contract.run_directory import CORPUS, HELD_OUT, MANIFEST, TRAIN

log = logging.getLogger("konomi.engine")

READ = (TRAIN, HELD_OUT, CORPUS)
RESTORE = "Restore the folder of the frozen dataset, or start a new run on a dataset that is frozen again"


def check_frozen(folder: Path, expected: str) -> dict[str, str]:
    """The sha256 of each data file in the folder, once they are what was frozen as `expected` (empty: not known).

    What cannot be checked is logged. Raises DatasetError where a file, the manifest and `expected` do not fit.
    """
    found = {name: file_sha256(folder / name) for name in READ if (folder / name).is_file()}
    manifest = _manifest(folder / MANIFEST)
    if manifest is None:
        if expected:
            raise DatasetError(
                f"run.json names the dataset {expected[:12]}…, and {folder} has no {MANIFEST} to check that its files "
                f"are those: put it there, or leave dataset_sha256 empty in run.json to train without the check"
            )
        log.warning(
            "%s has no %s and run.json no dataset_sha256: that these rows are the frozen ones is not checked",
            folder,
            MANIFEST,
        )
        return found
    named = str(manifest.get("sha256") or "")
    if not expected:
        log.warning("run.json has no dataset_sha256: the files are checked against %s alone", MANIFEST)
    elif named != expected:
        raise DatasetError(
            f"{folder} is not the dataset of this run: run.json names {expected[:12]}…, {MANIFEST} "
            f"{named[:12] + '…' if named else 'no sha256'}. {RESTORE}"
        )
    files = manifest.get("files") or {}
    if not files:
        log.warning("%s has no hashes of its files: they are not checked", folder / MANIFEST)
        return found
    _check_manifest(folder, manifest, named)
    for name, digest in found.items():
        frozen = (files.get(name) or {}).get("sha256")
        if frozen and frozen != digest:
            raise DatasetError(f"{folder / name} was changed after the dataset was frozen. {RESTORE}")
    return found


def _check_manifest(folder: Path, manifest: dict[str, Any], named: str) -> None:
    """The manifest's own sha256 against the hashes in it: as `annotation.datasets.files.content_sha256` makes it."""
    files, selection = manifest["files"], manifest.get("selection") or {}
    try:
        train, held_out = (files[f"{split}.jsonl"]["sha256"] for split in ("train", "held_out"))
        parts = [selection["purpose"], selection["format"], f"train {train}", f"held_out {held_out}", ""]
    except (KeyError, TypeError):
        log.warning("%s has not all that its sha256 is made of: it is not checked", folder / MANIFEST)
        return
    if hashlib.sha256("\n".join(parts).encode()).hexdigest() != named:
        raise DatasetError(f"{folder / MANIFEST} was changed: its sha256 is not that of the files it lists. {RESTORE}")


def _manifest(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path} cannot be read: {error}. {RESTORE}") from error
    if not isinstance(content, dict):
        raise DatasetError(f"{path} holds no JSON object. {RESTORE}")
    return content


def file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
