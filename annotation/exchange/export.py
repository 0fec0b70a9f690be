"""Export a project's answers into one file: whole, or not at all."""

import hashlib
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from annotation.core.collection import rare_collection
from annotation.core.errors import InvalidInput
from annotation.core.events import record as record_event
from annotation.core.read_ahead import read_ahead
from annotation.exchange.columns import COLUMNS
from annotation.exchange.files import check_target, whole_file
from annotation.exchange.records import Records
from annotation.exchange.selection import Selection
from annotation.exchange.source import Counts, Whole, chunks, counts_of, snapshot
from annotation.exchange.writers import WRITERS, written
from annotation.models import Project, User

Progress = Callable[[int, int], None]  # called with the number of rows written so far, and of all


@dataclass(frozen=True)
class Exported:
    """What was written."""

    path: Path
    counts: Counts
    size: int
    sha256: str

    @property
    def rows(self) -> int:
        return self.counts.rows

    @property
    def skips(self) -> int:
        return self.counts.states["skipped"]

    @property
    def answers(self) -> int:
        """Versions of answers."""
        return self.rows - self.skips

    def report(self) -> dict[str, Any]:
        return {
            "answers": self.answers,
            "skips": self.skips,
            "columns": len(COLUMNS),
            "states": dict(sorted(self.counts.states.items())),
            "excluded": self.counts.excluded,
            "left_out": dict(sorted(self.counts.left_out.items())),
            "never": dict(sorted(self.counts.never.items())),
        }


def export_answers(
    *,
    project: Project,
    format: str,
    path: Path,
    selection: Selection | None = None,
    replace: bool = False,
    actor: User | None,
    progress: Progress | None = None,
) -> Exported:
    """Write the selected answers to a file, as they are at this moment: jsonl, csv or parquet. An export without an
    answer is a file without a row.

    Raises:
        Conflict: the file exists, and `replace` is false.
        InvalidInput: an unknown format, or a folder that cannot be written.
        Whatever `progress` raises, to stop: then nothing is written.
    """
    exported = write_answers(project, format, path, selection or Selection(), replace=replace, progress=progress)
    after = {"format": format, "sha256": exported.sha256, "selection": (selection or Selection()).as_dict()}
    record_event(verb="answers.exported", target=project, actor=actor, project=project, after=after | exported.report())
    return exported


def write_answers(
    project: Project,
    format: str,
    path: Path,
    selection: Selection,
    *,
    replace: bool,
    progress: Progress | None = None,
) -> Exported:
    """`export_answers` without its event."""
    if format not in WRITERS:
        raise InvalidInput(f"{format!r} is no format of an export; formats are {', '.join(WRITERS)}")
    check_target(path, replace=replace)
    with whole_file(path, replace=replace) as file:
        with snapshot(), rare_collection():
            counts = counts_of(project, selection)
            records = Records(Whole.of(project), pseudonyms=selection.pseudonyms)
            if progress:
                progress(0, counts.rows)
            count = 0
            with closing(read_ahead(lambda: chunks(project, selection))) as lines:
                for count in written(WRITERS[format](file), map(records.of, lines)):
                    if progress:
                        progress(count, counts.rows)
        if count != counts.rows:
            raise RuntimeError(f"{count} rows were read, and {counts.rows} counted at the same moment")
        file.flush()
        size = file.tell()
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return Exported(path=path, counts=counts, size=size, sha256=sha256)
