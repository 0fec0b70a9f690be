"""The weights in a model folder: which files are loaded, what is in them, and a sha256 of it. Free of torch.

A safetensors file begins with its header's length (8 bytes, little-endian), then the header as JSON: for each tensor
its type, its shape and where its bytes are, counted from the header's end.
"""

import hashlib
import json
import math
import mmap
import os
import struct
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

from training.contract.errors import ModelError
from training.contract.model_files import read_json

WHOLE, INDEX, ADAPTER = "model.safetensors", "model.safetensors.index.json", "adapter_model.safetensors"
NAMED = 5  # names listed in an error


@dataclass(frozen=True)
class Tensor:
    """One tensor of a safetensors file: its bytes are at [start, end) of the file."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int

    @property
    def count(self) -> int:
        return math.prod(self.shape)


def weight_files(folder: Path) -> list[Path]:
    """The files that are loaded from a folder, as transformers and PEFT choose them; none where there are none.

    Those are model.safetensors, or else the shards that model.safetensors.index.json names, or else
    adapter_model.safetensors. What lies beside them (such as Mistral's consolidated.safetensors) is a copy that is not
    read. Raises ModelError for an index that cannot be read, that names files elsewhere, or files that are not there.
    """
    for name in (WHOLE, INDEX, ADAPTER):
        if (folder / name).is_file():
            return _shards(folder / name) if name == INDEX else [folder / name]
    return []


def _shards(index: Path) -> list[Path]:
    try:
        names = sorted(set(read_json(index)["weight_map"].values()))
        elsewhere = [name for name in names if Path(name).name != name or not name.isprintable()]
    except (ModelError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{index} is not a readable index of shards ({error}): download it again") from error
    if elsewhere:
        raise ModelError(f"{index} names files outside of its folder ({listed(elsewhere)}): download the model again")
    missing = [name for name in names if not (index.parent / name).is_file()]
    if missing:
        raise ModelError(
            f"{index.parent} is incomplete: of the {len(names)} files that {INDEX} names, {listed(missing)} "
            f"{'is' if len(missing) == 1 else 'are'} missing. Download the missing ones, or copy the whole folder again"
        )
    return [index.parent / name for name in names]


def tensors(path: Path) -> list[Tensor]:
    """The tensors of a safetensors file. Raises ModelError for a file that is none, or was cut off."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > size:
                raise ValueError("its header is longer than the file")
            header = json.loads(file.read(length))
        found = [
            Tensor(name, entry["dtype"], tuple(entry["shape"]), *(8 + length + at for at in entry["data_offsets"]))
            for name, entry in header.items()
            if name != "__metadata__"
        ]
        if any(tensor.end > size for tensor in found):
            raise ValueError("it ends before its last tensor does")
        return found
    except (OSError, ValueError, struct.error, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ModelError(f"{path} is not a complete safetensors file: {error}. Download it again") from error


def weights_sha256(folder: Path) -> str:
    """sha256 over names, types, shapes and values of all tensors, in the order of their names.

    It does not depend on how they are cut into files. Empty for a folder without weights. Computed once for each
    state of the files in a process. Raises ModelError for files that cannot be read.
    """
    files = weight_files(folder)
    if not files:
        return ""
    return _sha256(tuple((str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in files))


@lru_cache(maxsize=64)
def _sha256(files: tuple[tuple[str, int, int], ...]) -> str:
    lines: list[str] = []
    with ThreadPoolExecutor(min(16, os.cpu_count() or 1)) as pool:  # hashlib computes without Python's lock
        for path, _size, _changed in files:
            parts = tensors(Path(path))  # first: an empty file cannot be mapped
            with Path(path).open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                lines += pool.map(partial(_line, content), parts)
    return hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()


def _line(content: mmap.mmap, tensor: Tensor) -> str:
    with memoryview(content) as view, view[tensor.start : tensor.end] as values:
        digest = hashlib.sha256(values).hexdigest()
    return f"{tensor.name}\0{tensor.dtype}\0{tensor.shape}\0{digest}\n"


def listed(names: Iterable[str], first: int = NAMED) -> str:
    """The first few names, and how many more there are."""
    ordered = sorted(names)
    more = len(ordered) - first
    return ", ".join(ordered[:first]) + (f" and {more} more" if more > 0 else "")
