"""The steps of a run for its page: all of a short run, means of neighbours of a long one, quickly read.

A run of 20,000 steps has seven megabytes of metrics.jsonl. Arrow reads them into columns in a fraction of the time of
Python's parser; what the page then walks through does not grow with the run.
"""

import io
from collections.abc import Mapping
from typing import Any

from training.contract.headline import AS_IT_IS, Lines, steps_of
from training.contract.metrics import GRAD_NORM, METRICS
from training.contract.run_directory import RunDirectory

MOST = 2_000
SMALL = 250_000  # bytes of a file that is read as a whole
BLOCK = 1 << 22
FLOATS = [metric.key for metric in METRICS]
# Read one by one in a note or set by the step: the last of the neighbours stands for them.
NOT_AVERAGED = AS_IT_IS | {GRAD_NORM}


def history_of(directory: RunDirectory) -> tuple[list[Mapping[str, Any]], int]:
    """(step lines in order, at most about 2,000; the offset from which `read_metrics` goes on).

    Of a longer run the first line is as it was, and each other one is the mean of as many neighbours, under the last
    one's step. A file with a line that Arrow cannot read (torn by a kill) is read by Python.
    """
    path = directory.metrics_path
    if not path.exists() or path.stat().st_size < SMALL:
        lines, offset = directory.read_metrics()
        return steps_of(lines), offset
    data = path.read_bytes()
    end = data.rfind(b"\n") + 1
    columns = _columns(data[:end])
    if columns is None:
        columns = _columns_of(steps_of(directory.read_metrics()[0]))
    return _condensed(columns) if len(columns["step"]) else [], end


def _columns_of(steps: Lines) -> dict[str, Any]:
    import numpy as np

    nothing = float("nan")
    keys = ("total_steps", *FLOATS)
    floats = {key: np.array([float(line.get(key, nothing)) for line in steps]) for key in keys}
    return {"step": np.array([line["step"] for line in steps], dtype=np.int64), **floats}


def _columns(data: bytes) -> dict[str, Any] | None:
    """Numpy columns of the steps as they were last done; None where Arrow cannot read the lines."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.json as arrow_json

    fields = [("step", pa.int64()), ("total_steps", pa.int64()), ("event", pa.string())]
    schema = pa.schema([*fields, *((key, pa.float64()) for key in FLOATS)])
    parse = arrow_json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")
    read = arrow_json.ReadOptions(use_threads=False, block_size=BLOCK)
    try:
        table = arrow_json.read_json(io.BytesIO(data), read, parse)
    except pa.ArrowException:
        return None
    is_step = np.array(table["event"].is_null()) & ~np.array(table["step"].is_null())
    table = table.filter(pa.array(is_step))
    steps = np.array(table["step"])
    if not len(steps):
        return {"step": steps}
    # A step that comes again, and all that was done beyond it before, is forgotten.
    later = np.append(np.minimum.accumulate(steps[::-1])[::-1][1:], steps[-1] + 1)
    kept = steps < later
    numbers = {key: np.array(table[key].to_numpy())[kept] for key in ("total_steps", *FLOATS)}
    return {"step": steps[kept], **numbers}


def _condensed(columns: dict[str, Any]) -> list[Mapping[str, Any]]:
    import numpy as np

    count = len(columns["step"])
    size = -(-count // MOST)
    starts = np.append(0, np.arange(1, count, size))
    lasts = np.append(starts[1:], count) - 1
    table: dict[str, list[Any]] = {"step": columns["step"][lasts].tolist()}
    for key, values in columns.items():
        if key in NOT_AVERAGED or key == "total_steps":
            table[key] = values[lasts].tolist()
        elif key != "step":
            known = ~np.isnan(values)
            numbers = np.add.reduceat(known.astype(float), starts)
            sums = np.add.reduceat(np.where(known, values, 0.0), starts)
            with np.errstate(invalid="ignore"):
                table[key] = (sums / np.where(numbers, numbers, np.nan)).tolist()
    present = {key: values for key, values in table.items() if any(value == value for value in values)}
    rows = zip(*present.values(), strict=True)
    return [{key: value for key, value in zip(present, row, strict=True) if value == value} for row in rows]
