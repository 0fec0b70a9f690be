"""Which frozen dataset versions contain something of a person: their rows name annotations and candidates."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings

from annotation.consent.contributions import row_ids
from annotation.models import DatasetVersion, Project, User

SPLITS = {"train": "train.parquet", "held_out": "held_out.parquet"}
IDS = "annotation_ids.txt"


@dataclass(frozen=True)
class ReachedVersion:
    """A version with the numbers of its rows that contain something of a person. None: its files are not here, so that
    it counts as containing them where its annotations' ids do, or where even those are missing."""

    version: DatasetVersion
    train: int | None
    held_out: int | None

    def as_dict(self) -> dict[str, Any]:
        return {
            "dataset": self.version.pk,
            "sha256": self.version.sha256,
            "train": self.train,
            "held_out": self.held_out,
        }


def versions_with(project: Project, person: User) -> list[ReachedVersion]:
    """The project's dataset versions that contain something of this person, oldest first."""
    annotations, candidates = row_ids(project, person)
    if not annotations and not candidates:
        return []
    found = []
    for version in DatasetVersion.objects.filter(project=project).order_by("pk"):
        reached = rows_with(version, annotations, candidates)
        if reached is not None:
            found.append(reached)
    return found


def rows_with(
    version: DatasetVersion, annotations: Collection[int], candidates: Collection[int]
) -> ReachedVersion | None:
    """How many rows of the version name one of these annotations or candidates; None where no row does."""
    folder = Path(settings.VAR) / version.directory
    if all((folder / name).is_file() for name in SPLITS.values()):
        counts = {split: count_rows(folder / name, annotations, candidates) for split, name in SPLITS.items()}
        return ReachedVersion(version, **counts) if any(counts.values()) else None
    if (folder / IDS).is_file():
        with (folder / IDS).open(encoding="ascii") as lines:
            if not any(int(line) in annotations for line in lines):
                return None
    return ReachedVersion(version, None, None)


def count_rows(path: Path, annotations: Collection[int], candidates: Collection[int]) -> int:
    """How many rows of a Parquet file name one of them. Memory does not grow with the file."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    count = 0
    with pq.ParquetFile(path) as file:
        known = {"annotation_ids": annotations, "candidate_ids": candidates}
        columns = [name for name in known if name in file.schema_arrow.names]
        for batch in file.iter_batches(columns=columns):
            rows: set[int] = set()
            for name in columns:
                column = batch.column(name)
                hits = pc.is_in(pc.list_flatten(column), pa.array(sorted(known[name]), pa.int64()))
                rows.update(pc.list_parent_indices(column).filter(hits).to_pylist())
            count += len(rows)
    return count
