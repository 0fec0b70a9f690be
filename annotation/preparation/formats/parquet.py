"""Parquet files."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from annotation.preparation.files import Unreadable
from annotation.preparation.formats.table import Row, check_columns

PARQUET_BATCH = 512  # rows, fewer where they are large
PARQUET_BATCH_BYTES = 64 << 20
PARQUET_GROUP_LIMIT = 1 << 30  # bytes, unpacked


class ParquetTable:
    """Parquet, unpacked a few hundred rows at a time."""

    format = "parquet"
    encoding = "utf-8"

    def __init__(self, path: Path, filename: str) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        # Arrow's own allocator takes a gigabyte of address space at once, which a limit of memory would count.
        pa.set_memory_pool(pa.system_memory_pool())
        self.path, self.filename, self.errors = path, filename, (pa.ArrowException, OSError)
        try:
            self.file = pq.ParquetFile(path, pre_buffer=False)
            self.schema = self.file.schema_arrow
            metadata = self.file.metadata
        except MemoryError:
            raise
        except self.errors as error:
            raise self.unreadable(error) from None
        self.columns = list(self.schema.names)
        if len(set(self.columns)) != len(self.columns):
            twice = next(name for name in self.columns if self.columns.count(name) > 1)
            raise Unreadable(f"{filename}: two columns are called {twice!r}; rename one", column=twice)
        check_columns(filename, self.columns)
        for group in range(metadata.num_row_groups):
            unpacked = metadata.row_group(group).total_byte_size
            if unpacked > PARQUET_GROUP_LIMIT:
                raise Unreadable(
                    f"{filename}: row group {group} unpacks to {unpacked:,} bytes, more than {PARQUET_GROUP_LIMIT:,}; "
                    "write it with smaller row groups"
                )
        self.total, self.read = max(1, metadata.num_rows), 0
        size = sum(metadata.row_group(group).total_byte_size for group in range(metadata.num_row_groups))
        self.batch = max(1, min(PARQUET_BATCH, PARQUET_BATCH_BYTES * self.total // max(1, size)))

    def reading(self) -> list[str]:
        """How the file is read, in words."""
        return ["Parquet"]

    def unreadable(self, error: Exception) -> Unreadable:
        reason = str(error).split("\n")[0][:200]
        return Unreadable(f"{self.filename} is damaged or incomplete Parquet ({reason}); write or copy it again")

    def rows(self) -> Iterator[Row]:
        self.read = number = 0
        batches = self.file.iter_batches(batch_size=self.batch, use_threads=False)
        while True:
            try:
                batch = next(batches, None)
            except MemoryError:
                raise  # said by whoever has set the limit
            except self.errors as error:
                raise self.unreadable(error) from None
            if batch is None:
                return
            for index, (values, fault) in enumerate(unpacked_rows(batch)):
                number += 1
                yield Row(number, values, fault, (batch, index))
            self.read = number

    def share_read(self) -> float:
        return float(self.read / self.total)


def unpacked_rows(batch: Any) -> Iterator[tuple[dict[str, Any] | None, str]]:
    try:
        yield from ((values, "") for values in batch.to_pylist())
        return
    except (ValueError, OverflowError):
        pass  # one cell cannot be turned into a Python value: find it
    for index in range(batch.num_rows):
        values: dict[str, Any] = {}
        fault = ""
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            try:
                values[name] = column[index].as_py()
            except (ValueError, OverflowError) as error:
                fault = f"column {name!r} cannot be read: {error}"
        yield (None, fault) if fault else (values, "")
