"""Reference log-probabilities as the steps need them: from the cache, or computed where it lacks them.

A training asks for those of a step's rows when it comes to them. What the cache lacks is computed then, by the same
weights without the adapter or by a frozen copy of the start (see `trainers.preference`), and stored for later epochs
and runs. Where there is neither, `compute_all` computes beforehand what the steps will reach.
"""

import dataclasses
import logging
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from training.contract.errors import ModelError
from training.contract.wording import counted
from training.engine.packed import forward
from training.engine.packed.layout import Row
from training.engine.packed.reference_cache import ReferenceCache, computing_facts, model_key, row_keys
from training.engine.runtime import distributed

if TYPE_CHECKING:
    from training.contract.config import ModelSource
    from training.engine.packed.step import Layout
    from training.engine.runtime.run import Run

log = logging.getLogger("konomi.engine")

SAVE_EVERY_SECONDS = 5.0
# Without gradients a token needs a fraction of the memory.
FORWARD_FACTOR = 4


class Reference:
    """Log-probabilities of texts under the reference, by the texts' keys.

    `model` and `name` are the reference's, for errors. `use` counts the texts that were read from the cache and those
    that were computed; it is one dictionary throughout.
    """

    def __init__(self, cache: ReferenceCache, model: Any = None, name: str = "the reference model") -> None:
        self.cache, self.model, self.name = cache, model, name
        self.use = {"hits": 0, "computed": 0}
        self.counting = True  # in the first epoch: later ones read what other processes computed in it
        self.values: dict[bytes, float] = {}
        self.unsaved: dict[bytes, float] = {}
        self.saved_at = time.monotonic()

    def missing(self, rows: Sequence[Row]) -> list[int]:
        """Numbers of the rows with a text that is not known; what the cache has is known afterwards."""
        keys = [row_keys(row) for row in rows]
        unknown = [key for each in keys for key in each if key not in self.values]
        found = self.cache.find(unknown) if unknown else {}
        self.values |= found
        if self.counting:
            self.use["hits"] += len(found)
        return [number for number, each in enumerate(keys) if any(key not in self.values for key in each)]

    def of(self, rows: Sequence[Row]) -> Tensor:
        """Log-probabilities of the rows' texts (S,), float64. Raises KeyError for one that is not known."""
        values = [self.values[key] for row in rows for key in row_keys(row)]
        return torch.tensor(values, dtype=torch.float64)

    def store(self, rows: Sequence[Row], logps: Sequence[Sequence[float]]) -> None:
        """Keep what is not known yet. Raises ModelError for a value that is not finite."""
        for row, values in zip(rows, logps, strict=True):
            for key, value in zip(row_keys(row), values, strict=True):
                if not math.isfinite(value):
                    raise ModelError(self._not_finite(row, value))
                if key not in self.values:
                    self.values[key] = self.unsaved[key] = value
                    self.use["computed"] += 1
        if time.monotonic() - self.saved_at > SAVE_EVERY_SECONDS:
            self.save()

    def save(self) -> None:
        """Write what is not in the file yet."""
        if self.unsaved:
            self.cache.add(self.unsaved)
        self.unsaved = {}
        self.saved_at = time.monotonic()

    def _not_finite(self, row: Row, value: float) -> str:
        found = (
            f"Row {row.index + 1}: its log-probability under {self.name} is {value}, so that nothing can be "
            "learnt from it; it was not stored. "
        )
        parameters = [] if self.model is None else self.model.named_parameters()
        broken = next((name for name, value in parameters if not torch.isfinite(value).all()), None)
        if broken:
            return (
                found + f"The model's weight {broken} holds values that are not finite: start from another checkpoint"
            )
        return found + "The model's weights are finite, so a computation overflowed: train with precision fp32"


def open_reference(
    folder: Path, source: "ModelSource", model: Any, layout: "Layout", quantization: str = "none"
) -> Reference:
    """The reference `source` in the caches of `folder`. `model` is loaded, and where it will be computed."""
    tile = forward.VOCABULARY_TILE.get(model.device.type, forward.VOCABULARY_TILE["cuda"])
    facts = computing_facts(model, autocast=str(layout.mask_dtype), tile=tile)
    key = model_key(source, dtype=facts["weights"], quantization=quantization, facts=facts, memory=folder)
    return Reference(ReferenceCache(folder / f"{key}.sqlite3"), model, " + ".join([source.base, *source.adapters]))


def compute_all(run: "Run", model: Any, rows: Sequence[Row], layout: "Layout", reference: Reference) -> None:
    """Compute what `reference` lacks of these rows, before a training that could not compute it in its steps.

    `model` is the reference itself, on its device. Of several processes each computes its part, and all read the same
    file. Progress goes to metrics.jsonl; a cancel is noticed between micro-batches, and loses a few seconds' work at
    most. Raises Cancelled.
    """
    missing = reference.missing(rows)
    distributed.barrier()  # so that no process reads what another has already added: their parts would differ
    if not missing:
        return
    log.info("reference log-probabilities of %d of %s are computed first", len(missing), counted(len(rows), "row"))
    own = [rows[number] for number in missing[distributed.rank() :: distributed.count()]]
    wide = dataclasses.replace(layout, budget=layout.budget * FORWARD_FACTOR)
    started = time.monotonic()
    done = 0
    model.eval()
    try:
        for cut in wide.cut(own):
            run.stop_if_cancelled()
            chunk = [own[position] for position in cut]
            with torch.inference_mode():
                batch = wide.lay_out(chunk).to(model.device)
                sums = batch.sums(forward.score(model, batch, wide.mask_dtype).logps)
            reference.store(chunk, batch.by_row(sums))
            done += len(chunk)
            seen = min(len(missing), done * distributed.count())
            left = (len(own) - done) * (time.monotonic() - started) / done
            run.record(stage="reference", done=seen, total=len(missing), time_left_s=round(left, 1))
    finally:
        reference.save()
    distributed.barrier()
    hits = reference.use["hits"]
    reference.missing(rows)  # what the others computed
    reference.use["computed"] += reference.use["hits"] - hits
    reference.use["hits"] = hits
