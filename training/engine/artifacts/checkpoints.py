"""Atomic checkpoints with digests, and the newest intact one to resume from."""

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
    """Trainer (or mixin before a TRL trainer) whose checkpoints are written aside, digests last, and then renamed.

    `Trainer` writes into `checkpoint-<n>` file by file, so a kill would leave a partial checkpoint that looks like the
    newest one.
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
    """All checkpoint folders, intact or not, the newest first."""
    folders = [
        folder for folder in root.glob(f"{CHECKPOINT_PREFIX}*") if folder.name.removeprefix(CHECKPOINT_PREFIX).isdigit()
    ]
    return sorted(folders, key=lambda folder: -checkpoint_step(folder))


def write_digests(folder: Path) -> None:
    (folder / DIGESTS).write_text(json.dumps(_digests(folder), indent=1) + "\n", encoding="utf-8")


def fault(folder: Path) -> str | None:
    """Why a checkpoint cannot be used; None when it is intact."""
    try:
        expected = json.loads((folder / DIGESTS).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return f"{DIGESTS} is missing"
    except ValueError:
        return f"{DIGESTS} is not JSON"
    actual = _digests(folder)
    if missing := sorted(set(expected) - set(actual)):
        return f"{', '.join(missing)} missing"
    if changed := sorted(name for name in expected if actual[name] != expected[name]):
        return f"{', '.join(changed)} changed since it was written"
    return None


def newest_whole(directory: RunDirectory) -> Path | None:
    """The checkpoint to resume from; None for a run that has none yet. Raises CheckpointError if all are broken."""
    if distributed.is_main_process():
        shutil.rmtree(directory.path / PARTIAL, ignore_errors=True)
    distributed.barrier()
    candidates = checkpoints(directory.path)
    faults = []
    for folder in candidates:
        reason = fault(folder)
        if reason is None:
            return folder
        faults.append(f"{folder.name}: {reason}")
        log.warning("%s cannot be resumed from (%s): trying the one before", folder.name, reason)
        if distributed.is_main_process():
            directory.append_metric(event="checkpoint_skipped", checkpoint=folder.name, reason=reason)
    if candidates:
        raise CheckpointError(
            f"None of the checkpoints can be resumed from ({'; '.join(faults)}). Delete the checkpoint folders in "
            f"{directory.path} to start over, or restore them"
        )
    return None


def _digests(folder: Path) -> dict[str, str]:
    digests = {}
    for file in sorted(folder.rglob("*")):
        if file.is_file() and file.name != DIGESTS:
            with file.open("rb") as opened:
                digests[str(file.relative_to(folder))] = hashlib.file_digest(opened, "sha256").hexdigest()
    return digests
