"""Cache of reference log-probabilities: computed once for each (model, prompt, completion), kept across runs.

One SQLite file for each reference model, named by the sha256 of everything that decides its log-probabilities
(weights and configurations of the whole chain, dtype, quantization). Its keys are token ids, which covers
tokenizer and template. A new round computes only its new pairs; a killed pass resumes where it stopped.
"""

import array
import hashlib
import logging
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training.contract.config import ModelSource
from training.contract.wording import counted

if TYPE_CHECKING:
    from training.engine.packed.layout import Row
    from training.engine.packed.step import Layout
    from training.engine.runtime.run import Run

log = logging.getLogger("konomi.engine")

# Part of every key: increase it when the same inputs give other values.
VERSION = "1"
WEIGHTS = ("*.safetensors", "config.json", "adapter_config.json")
SAVE_EVERY_SECONDS = 5.0
LOOKUP = 500  # keys in one SELECT
# Without gradients a token needs a fraction of the memory.
FORWARD_FACTOR = 4


@dataclass(frozen=True)
class Use:
    """Number of sequences read from the cache, and number computed."""

    hits: int
    computed: int

    def as_dict(self) -> dict[str, int]:
        return {"hits": self.hits, "computed": self.computed}


def model_key(source: ModelSource, *, dtype: str, quantization: str = "none") -> str:
    """sha256 over the chain's weights and configurations, file by file in order, with dtype and quantization."""
    digest = hashlib.sha256(f"{VERSION} {dtype} {quantization}".encode())
    for link in (source.base, *source.adapters):
        digest.update(b"\0link")
        for file in sorted(file for pattern in WEIGHTS for file in Path(link).glob(pattern)):
            with file.open("rb") as opened:
                digest.update(file.name.encode() + hashlib.file_digest(opened, "sha256").digest())
    return digest.hexdigest()


def sequence_key(prompt_ids: Sequence[int], completion_ids: Sequence[int]) -> bytes:
    """sha256 over the token ids of a completion in its context."""
    digest = hashlib.sha256(len(prompt_ids).to_bytes(8, "little"))
    digest.update(array.array("q", prompt_ids).tobytes())
    digest.update(array.array("q", completion_ids).tobytes())
    return digest.digest()


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
        """The cached log-probabilities, by key; keys that are not cached are absent."""
        wanted = list(dict.fromkeys(keys))
        cached: dict[bytes, float] = {}
        with self._open() as connection:
            for start in range(0, len(wanted), LOOKUP):
                chunk = wanted[start : start + LOOKUP]
                marks = ",".join("?" * len(chunk))
                query = f"SELECT key, logp FROM logps WHERE key IN ({marks})"  # noqa: S608 (question marks only)
                cached.update(connection.execute(query, chunk).fetchall())
        return cached

    def add(self, values: dict[bytes, float]) -> None:
        """Store these values; one that another process stored first stays, so that concurrent runs read the same."""
        with self._open() as connection:
            connection.executemany("INSERT OR IGNORE INTO logps VALUES (?, ?)", values.items())


def reference_logps(
    run: "Run", model: Any, rows: Sequence["Row"], layout: "Layout", cache: ReferenceCache
) -> tuple[list[list[float]], Use]:
    """The reference's log-probability of each row's completions [R][k], from the cache where it has them.

    `model` is the reference itself, on its device. Of several processes each computes its part, and all read the
    same file. Progress goes to metrics.jsonl; a cancel is noticed between micro-batches, and loses a few seconds' work
    at most. Raises Cancelled.
    """
    from training.engine.runtime import distributed

    keys = [_keys(row) for row in rows]
    cached = cache.find(key for pair in keys for key in pair)
    missing = [number for number, pair in enumerate(keys) if any(key not in cached for key in pair)]
    distributed.barrier()  # so that no process reads what another has already added: their parts would differ
    use = Use(sum(key in cached for pair in keys for key in pair), 2 * len(missing))
    if missing:
        log.info("reference log-probabilities: %d of %s to compute", len(missing), counted(len(rows), "row"))
        own = missing[distributed.rank() :: distributed.count()]
        _compute(run, model, [rows[number] for number in own], layout, cache, len(missing))
        distributed.barrier()
        cached = cache.find(key for pair in keys for key in pair)
    return [[cached[key] for key in pair] for pair in keys], use


def _compute(
    run: "Run", model: Any, rows: Sequence["Row"], layout: "Layout", cache: ReferenceCache, total: int
) -> None:
    import dataclasses

    import torch

    from training.engine.packed import forward
    from training.engine.runtime import distributed

    wide = dataclasses.replace(layout, budget=layout.budget * FORWARD_FACTOR)
    started = saved = time.monotonic()
    done = 0
    fresh: dict[bytes, float] = {}
    model.eval()
    try:
        for cut in wide.cut(rows):
            run.stop_if_cancelled()
            chunk = [rows[position] for position in cut]
            with torch.inference_mode():
                batch = wide.lay_out(chunk).to(model.device)
                sums = batch.sums(forward.score(model, batch, wide.mask_dtype).logps).tolist()
            for row, logps in zip(chunk, sums, strict=True):
                fresh.update(zip(_keys(row), logps, strict=True))
            done += len(chunk)
            now = time.monotonic()
            if now - saved > SAVE_EVERY_SECONDS:
                cache.add(fresh)
                fresh, saved = {}, now
            seen = min(total, done * distributed.count())
            left = (len(rows) - done) * (now - started) / done
            run.record(stage="reference", done=seen, total=total, time_left_s=round(left, 1))
    finally:
        cache.add(fresh)


def _keys(row: "Row") -> list[bytes]:
    prompt, common = row.shared[: row.prompt_tokens], row.shared[row.prompt_tokens :]
    return [sequence_key(prompt, common + tail) for tail in row.tails]
