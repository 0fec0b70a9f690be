"""Checkpoints that are whole or absent, and the newest whole one to resume from."""

import hashlib
import json
import logging
import shutil
from pathlib import Path
from typing import Any

from transformers import Trainer

from training.contract.errors import CheckpointError
from training.contract.run_directory import CHECKPOINT_PREFIX, RunDirectory, checkpoint_step
from training.engine.artifacts.publishing import publish
from training.engine.runtime import distributed

log = logging.getLogger("konomi.engine")

PARTIAL = ".checkpoint.partial"
DIGESTS = "digests.json"


class WholeCheckpoints(Trainer):  # type: ignore[misc]
    """Mixin before a TRL trainer: a checkpoint is written aside, its digests last, and then renamed.

    `Trainer` writes into `checkpoint-<n>` file by file, so that a kill leaves half a checkpoint which looks like the
    newest.
    """

    def _get_output_dir(self, trial: Any) -> str:
        return str(Path(self.args.output_dir) / PARTIAL)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        root = Path(self.args.output_dir)
        if distributed.is_main_process():
            shutil.rmtree(root / PARTIAL, ignore_errors=True)
        distributed.barrier()
        # Past TRL's own method on purpose: it writes a model card into the run directory at each checkpoint.
        Trainer._save_checkpoint(self, model, trial)
        distributed.barrier()
        if distributed.is_main_process():
            folder = root / PARTIAL / f"{CHECKPOINT_PREFIX}{self.state.global_step}"
            write_digests(folder)
            publish(folder, root / folder.name)
            shutil.rmtree(root / PARTIAL, ignore_errors=True)
            limit = self.args.save_total_limit or 0
            for old in checkpoints(root)[limit:] if limit else []:
                shutil.rmtree(old, ignore_errors=True)
        distributed.barrier()


def checkpoints(root: Path) -> list[Path]:
    """The checkpoint folders, whole or not, the newest first."""
    found = [
        folder for folder in root.glob(f"{CHECKPOINT_PREFIX}*") if folder.name.removeprefix(CHECKPOINT_PREFIX).isdigit()
    ]
    return sorted(found, key=lambda folder: -checkpoint_step(folder))


def write_digests(folder: Path) -> None:
    (folder / DIGESTS).write_text(json.dumps(_digests(folder), indent=1) + "\n", encoding="utf-8")


def fault(folder: Path) -> str:
    """Why a checkpoint cannot be used; empty when it is whole."""
    try:
        expected = json.loads((folder / DIGESTS).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return f"{DIGESTS} is missing"
    except ValueError:
        return f"{DIGESTS} is not JSON"
    found = _digests(folder)
    if missing := sorted(set(expected) - set(found)):
        return f"{', '.join(missing)} missing"
    if changed := sorted(name for name in expected if found[name] != expected[name]):
        return f"{', '.join(changed)} changed since it was written"
    return ""


def newest_whole(directory: RunDirectory) -> Path | None:
    """The checkpoint to resume from; None for a run that has none yet. Raises CheckpointError if all are broken."""
    if distributed.is_main_process():
        shutil.rmtree(directory.path / PARTIAL, ignore_errors=True)
    distributed.barrier()
    found = checkpoints(directory.path)
    faults = []
    for folder in found:
        why = fault(folder)
        if not why:
            return folder
        faults.append(f"{folder.name}: {why}")
        log.warning("%s cannot be resumed from (%s): trying the one before", folder.name, why)
        if distributed.is_main_process():
            directory.append_metric(event="checkpoint_skipped", checkpoint=folder.name, reason=why)
    if found:
        raise CheckpointError(
            f"none of the checkpoints can be resumed from ({'; '.join(faults)}). Delete the checkpoint folders in "
            f"{directory.path} to begin again, or restore them"
        )
    return None


def _digests(folder: Path) -> dict[str, str]:
    digests = {}
    for file in sorted(folder.rglob("*")):
        if file.is_file() and file.name != DIGESTS:
            with file.open("rb") as opened:
                digests[str(file.relative_to(folder))] = hashlib.file_digest(opened, "sha256").hexdigest()
    return digests
