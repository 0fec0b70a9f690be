"""Cache of reference log-probabilities: computed once for each (model, prompt, completion), kept across runs.

One SQLite file for each reference model, named by the sha256 of everything that decides its log-probabilities: the
content of its files, how its weights are held and computed with, and the libraries that compute. Its keys are token
ids, which covers tokenizer and template. A new round computes only its new texts; a killed run goes on where it was.
"""

import array
import hashlib
import importlib.metadata
import logging
import math
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training.contract.config import ModelSource
from training.contract.errors import ModelError
from training.engine.runtime.digests import file_sha256

if TYPE_CHECKING:
    from training.engine.packed.layout import Row

log = logging.getLogger("konomi.engine")

# Part of every key: increase it when the same inputs give other values.
VERSION = "2"
# All that a loader may read weights or an architecture from, whichever of them it takes.
FILES = (
    *("*.safetensors", "*.safetensors.index.json", "*.bin", "*.bin.index.json", "*.pt", "*.pth", "*.gguf", "*.h5"),
    *("*.msgpack", "config.json", "adapter_config.json"),
)
LIBRARIES = ("torch", "transformers", "peft", "trl", "bitsandbytes")
LOOKUP = 500  # keys in one SELECT


def model_key(
    source: ModelSource,
    *,
    dtype: str,
    quantization: str = "none",
    facts: Mapping[str, str] | None = None,
    memory: Path | None = None,
) -> str:
    """sha256 over all that moves a log-probability: the chain's files link by link, and how they are computed with.

    `dtype` is that of the weights; `facts` are further ones by name (see `computing_facts`); versions of the libraries
    are added here. `memory` is a folder that remembers digests of files.
    """
    known = {"version": VERSION, "dtype": dtype, "quantization": quantization, **library_versions(), **(facts or {})}
    digest = hashlib.sha256(repr(sorted(known.items())).encode())
    for link in (source.base, *source.adapters):
        digest.update(b"\0link")
        folder = folder_of(link)
        if folder is None:  # not to be mistaken for another model, at least
            digest.update(b"name " + link.encode())
            continue
        for file in sorted({file for pattern in FILES for file in folder.glob(pattern) if file.is_file()}):
            digest.update(f"{file.name} {file_sha256(file, memory)}\n".encode())
    return digest.hexdigest()


def folder_of(link: str) -> Path | None:
    """A model's folder: itself, or of a hub's model the snapshot that was downloaded; None where there is neither."""
    if Path(link).is_dir():
        return Path(link)
    from transformers.utils.hub import cached_file

    for name in ("config.json", "adapter_config.json"):
        try:
            found = cached_file(link, name, local_files_only=True)
        except (OSError, ValueError):
            continue
        if found:
            return Path(found).parent
    return None


def library_versions() -> dict[str, str]:
    versions = {}
    for name in LIBRARIES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = ""
    return versions


def computing_facts(model: Any, *, autocast: str, tile: int) -> dict[str, str]:
    """What about a loaded model and this machine moves a log-probability, but for its files."""
    import torch

    device = model.device
    config = model.config
    return {
        "weights": ",".join(sorted({str(parameter.dtype) for parameter in model.parameters()})),
        "autocast": autocast,
        "attention": str(config.get_text_config()._attn_implementation),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "matmul": torch.get_float32_matmul_precision(),
        "head_tile": str(tile),
        "class": type(model).__name__,
    }


def sequence_key(prompt_ids: Sequence[int], completion_ids: Sequence[int]) -> bytes:
    """sha256 over the token ids of a completion in its context."""
    digest = hashlib.sha256(len(prompt_ids).to_bytes(8, "little"))
    digest.update(array.array("q", prompt_ids).tobytes())
    digest.update(array.array("q", completion_ids).tobytes())
    return digest.digest()


def row_keys(row: "Row") -> list[bytes]:
    """The key of each of the row's texts."""
    return [sequence_key(text[:at], text[at:]) for text, at in zip(row.texts, row.prompt_tokens, strict=True)]


class ReferenceCache:
    """Summed log-probabilities by key, in one file that any number of processes may use at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with self._open() as connection:
                connection.execute("CREATE TABLE IF NOT EXISTS logps (key BLOB PRIMARY KEY, logp REAL) WITHOUT ROWID")
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise  # locked for too long, or the disk is full: the content is not at fault
            aside = path.with_suffix(f".broken-{int(time.time())}")
            log.warning("%s is damaged (%s): moved to %s; log-probabilities are recomputed", path, error, aside.name)
            path.rename(aside)
            self.__init__(path)  # type: ignore[misc]

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self.path, timeout=60)) as connection, connection:
            yield connection

    def find(self, keys: Iterable[bytes]) -> dict[bytes, float]:
        """The cached log-probabilities, by key; keys that are not cached (or not with a number) are absent."""
        wanted = list(dict.fromkeys(keys))
        cached: dict[bytes, float] = {}
        with self._open() as connection:
            for start in range(0, len(wanted), LOOKUP):
                chunk = wanted[start : start + LOOKUP]
                marks = ",".join("?" * len(chunk))
                query = f"SELECT key, logp FROM logps WHERE key IN ({marks})"  # noqa: S608 (question marks only)
                cached.update(connection.execute(query, chunk).fetchall())
        return {key: logp for key, logp in cached.items() if logp is not None and math.isfinite(logp)}

    def add(self, values: Mapping[bytes, float]) -> None:
        """Store these values; one that another process stored first stays, so that concurrent runs read the same.

        Raises ModelError for one that is not finite: SQLite would keep it as NULL, and every later run would read that.
        """
        broken = sum(not math.isfinite(value) for value in values.values())
        if broken:
            raise ModelError(f"{broken} of {len(values)} reference log-probabilities are not finite: nothing is stored")
        with self._open() as connection:
            connection.executemany(
                "INSERT INTO logps VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET logp = excluded.logp "
                "WHERE logps.logp IS NULL OR abs(logps.logp) > 1e300",
                values.items(),
            )
