"""Merge adapters into their base, along the whole lineage (SFT, then DPO), into a model that loads on its own.

`python -m training.engine.merge --base FOLDER --adapter FOLDER [--adapter FOLDER …] --to FOLDER`

Merged in float32, on the CPU. Before and after are compared on token sequences of the dataset, or of the vocabulary;
only then are the weights rounded to `--dtype`, written to a temporary folder, checked again, and renamed. Progress goes
to stderr, the outcome to stdout as one line of JSON: `{"status": "succeeded", …}` or `{"status": "failed", "error"}`.
Exit code 0: succeeded, 1: failed, 130: interrupted, with nothing left behind.
"""

import argparse
import gc
import json
import logging
import os
import re
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import psutil

from training.contract import hardware, lineage
from training.contract.config import ALLOW_OTHER_BASE, ModelSource
from training.contract.errors import MergeError, ModelError
from training.contract.run_directory import CONFIG
from training.contract.weights import tensors, weight_files
from training.contract.wording import counted

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

DTYPES = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}
STORED = {"F32": "fp32", "BF16": "bf16", "F16": "fp16"}
BYTES = {"fp32": 4, "bf16": 2, "fp16": 2}
TOLERANCE = 1e-4
SHARD = re.compile(r"\d+(\.\d+)?[KMG]B")
MEMORY_MARGIN, DISK_MARGIN = 1.1, 1.02

log = logging.getLogger("konomi.engine")


def merge(
    source: ModelSource,
    to: Path,
    *,
    dtype: str = "",
    shard_size: str = "2GB",
    dataset: Path | None = None,
    tolerance: float = TOLERANCE,
) -> dict[str, Any]:
    """Write the chain as one model into `to`, which must not exist yet; returns what was done and measured.

    `dtype` is fp32, bf16 or fp16; empty: as the base is stored. `dataset` is a folder with train.parquet, whose texts
    are compared. Raises MergeError where there is nothing to merge, no room, or logits that differ by more than
    `tolerance` (of the largest one, where that is above 1); ModelError for a link that cannot be loaded.
    """
    began = time.monotonic()
    to = to.resolve()
    parameters, stored = weights_of(Path(source.base))
    dtype = dtype or stored
    check(source, to, parameters, dtype, shard_size)
    with written_aside(to) as partial:
        from training.engine.artifacts import model_card
        from training.engine.models import adapter_merge, loading, same_base

        log.info(
            "loading %s (%s parameters) and %s",
            source.base,
            f"{parameters:,}",
            counted(len(source.adapters), "adapter"),
        )
        loading.check_folders(source)
        same_base.check(source)
        tokenizer = loading.load_tokenizer(source)
        model = loading.load_model(ModelSource(base=source.base)).requires_grad_(False)
        loading.check_fits(model, tokenizer)
        sequences, compared_on = adapter_merge.token_sequences(dataset, tokenizer)
        log.info("comparing logits on %s", compared_on)
        merged = adapter_merge.merge_adapters(model, source.adapters, sequences)
        model, after, difference = merged.model, merged.logits, merged.difference
        # float32 rounds in proportion: for logits of 30, the order of summation alone causes differences of 1e-4.
        allowed = tolerance * max(1.0, adapter_merge.largest(after))
        log.info("merged: logits differ by %.2g at most (allowed: %.2g)", difference, allowed)
        if not difference <= allowed:  # a NaN is not
            raise MergeError(
                f"After merging, the logits differ by {difference:.3g}, more than {allowed:.2g}: nothing was written. "
                "An adapter may have been trained on another base, or in another order"
            )
        parameters = model.num_parameters()  # more than before where head and embedding are not tied any more
        set_stop_tokens(model, tokenizer)
        write(model, partial, DTYPES[dtype], shard_size)
        del model
        gc.collect()
        tokenizer.save_pretrained(partial)
        keep_sentencepiece(source, partial)
        rounding = adapter_merge.difference_of(adapter_merge.logits_of_folder(partial, sequences), after)
        log.info("written as %s and loaded back: logits differ by %.2g at most", dtype, rounding)
        if not rounding < float("inf") or (dtype == "fp32" and rounding > allowed):
            raise MergeError(
                f"The written model, loaded back, gives logits that differ by {rounding:.3g}: {dtype} cannot hold "
                "these weights. Choose another --dtype (bf16 has the range of fp32)"
            )
        facts = {
            "dtype": dtype,
            "compared": compared_on,
            "largest_difference": difference,
            "largest_difference_as_written": rounding,
            "largest_effect": merged.effect,
            "parameters": parameters,
        }
        written = write_lineage(source, facts, partial)
        (partial / "README.md").write_text(model_card.merged_card(written), "utf-8")
        shards = len(list(partial.glob("*.safetensors")))
    size = sum(file.stat().st_size for file in to.iterdir())
    return {"folder": str(to), "shards": shards, "bytes": size, "wall_s": round(time.monotonic() - began, 1), **facts}


# ---- checks before loading ----


def weights_of(base: Path) -> tuple[int, str]:
    """(parameters, dtype) from the headers of the base's safetensors files; nothing is loaded."""
    if not base.is_dir():
        raise ModelError(f"Model folder {str(base)!r} does not exist: download a base from a hub into a folder first")
    parameters, by_dtype = 0, dict[str, int]()
    for tensor in (tensor for file in weight_files(base) for tensor in tensors(file)):
        parameters += tensor.count
        by_dtype[tensor.dtype] = by_dtype.get(tensor.dtype, 0) + tensor.count
    if not parameters:
        raise ModelError(f"{base} has no safetensors weights that are loaded: not a model that can be merged into")
    return parameters, STORED.get(max(by_dtype, key=lambda name: by_dtype[name]), "fp32")


def check(source: ModelSource, to: Path, parameters: int, dtype: str, shard_size: str) -> None:
    """Raises MergeError for everything that can be known to fail before the weights are loaded."""
    if not source.adapters:
        raise MergeError(f"{source.base} holds full weights: there is no adapter to merge. It loads as it is")
    if dtype not in DTYPES:
        raise MergeError(f"--dtype is one of {', '.join(DTYPES)}, not {dtype!r}")
    if not SHARD.fullmatch(shard_size):
        raise MergeError(f"--shard-size is a number with KB, MB or GB, such as 2GB, not {shard_size!r}")
    if to.exists():
        raise MergeError(f"{to} exists already: remove it, or name another folder")
    to.parent.mkdir(parents=True, exist_ok=True)
    memory = int(4 * parameters * MEMORY_MARGIN)
    available = hardware.available_ram()
    needed, left = hardware.gibibytes(memory), hardware.gibibytes(available)
    log.info("merging needs about %s of memory (%s are free)", needed, left)
    if memory > available:
        raise MergeError(
            f"Merging needs about {needed} of memory (4 bytes for each of {parameters:,} parameters, "
            f"plus 10 %), and {left} are free: end other programs, or merge on a larger machine"
        )
    disk = int(BYTES[dtype] * parameters * DISK_MARGIN)
    free = shutil.disk_usage(to.parent).free
    if disk > free:
        raise MergeError(
            f"The merged model takes {hardware.gibibytes(disk)} as {dtype}, and {to.parent} has "
            f"{hardware.gibibytes(free)} left: free space there, or name another folder"
        )


@contextmanager
def written_aside(to: Path) -> Iterator[Path]:
    """A temporary folder that is synced and renamed to `to` at the end; it is removed on any failure."""
    from training.engine.artifacts.publishing import publish

    for stale in to.parent.glob(f".{to.name}.partial-*"):
        pid = stale.name.rpartition("-")[2]
        if pid.isdigit() and not psutil.pid_exists(int(pid)):  # of a merge that was killed
            shutil.rmtree(stale, ignore_errors=True)
    partial = to.parent / f".{to.name}.partial-{os.getpid()}"
    partial.mkdir()
    try:
        yield partial
        if to.exists():
            raise MergeError(
                f"{to} was created in the meantime and is left unchanged: remove it, or name another folder"
            )
        publish(partial, to)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


# ---- writing ----


def set_stop_tokens(model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase") -> None:
    """Generation settings that stop where the tokenizer's answers end."""
    from training.engine.models.loading import stop_token_ids

    settings = model.generation_config
    stops = sorted(stop_token_ids(model, tokenizer))
    settings.eos_token_id = stops if len(stops) > 1 else stops[0]
    settings.pad_token_id = tokenizer.pad_token_id


def write(model: "PreTrainedModel", folder: Path, dtype: str, shard_size: str) -> None:
    import torch

    model.to(getattr(torch, dtype)).save_pretrained(folder, max_shard_size=shard_size)


def keep_sentencepiece(source: ModelSource, folder: Path) -> None:
    """tokenizer.model, where the base has one: other programs read it in place of tokenizer.json."""
    file = Path(source.base) / "tokenizer.model"
    if file.is_file() and not (folder / file.name).exists():
        shutil.copyfile(file, folder / file.name)


def write_lineage(source: ModelSource, facts: dict[str, Any], folder: Path) -> dict[str, Any]:
    """lineage.json: full weights (`this`), and what was merged into what, each link with what is known of its run."""
    from training.engine.models import same_base

    links = []
    for adapter in source.adapters:
        made = lineage.link_of(adapter)
        link: dict[str, Any] = {"name": made.name, "sha256": made.sha256}
        run = Path(adapter).parent / CONFIG
        if run.is_file():
            config = json.loads(run.read_text(encoding="utf-8"))
            link |= {name: config.get(name) for name in ("run_id", "program", "dataset_sha256")}
        links.append(link)
    base = lineage.link_of(source.base)
    merged = {"base": base.name, "base_sha256": base.sha256, "adapters": links, **facts}
    return lineage.write(folder, source, adapter=False, other_base=same_base.overruled(source), merged=merged)


# ---- the program ----


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m training.engine.merge", description=__doc__.splitlines()[0])
    parser.add_argument("--base", required=True, metavar="FOLDER")
    parser.add_argument("--adapter", action="append", default=[], metavar="FOLDER", help="in order; may be repeated")
    parser.add_argument("--to", required=True, type=Path, metavar="FOLDER")
    parser.add_argument("--dtype", default="", metavar="|".join(DTYPES), help="default: as the base is stored")
    parser.add_argument("--shard-size", default="2GB")
    parser.add_argument("--dataset", type=Path, metavar="FOLDER", help="with train.parquet, whose texts are compared")
    parser.add_argument(
        "--tolerance",
        type=float,
        default=TOLERANCE,
        help="of the logits, as a share of the largest above 1; default 1e-4",
    )
    parser.add_argument(ALLOW_OTHER_BASE.flag, action="store_true", help=ALLOW_OTHER_BASE.help)
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(message)s")
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGINT, _interrupt)
    if os.environ.get("KONOMI_ALLOW_HUB") != "1":
        os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
    os.environ.setdefault("TQDM_DISABLE", "1")
    outcome: dict[str, Any]
    try:
        facts = merge(
            ModelSource(base=options.base, adapters=tuple(options.adapter), allow_other_base=options.allow_other_base),
            options.to,
            dtype=options.dtype,
            shard_size=options.shard_size,
            dataset=options.dataset,
            tolerance=options.tolerance,
        )
        outcome, code = {"status": "succeeded", **facts}, 0
    except KeyboardInterrupt:
        outcome, code = {"status": "cancelled", "error": "interrupted: nothing was written"}, 130
    except Exception as error:
        from training.engine.runtime.failures import explain

        if not isinstance(error, MergeError | ModelError):
            log.exception("merging failed")
        message = explain(error, options.to.parent)
        if isinstance(error, MemoryError) or "allocate memory" in str(error):
            message = f"Out of memory: end other programs, or merge on a larger machine. ({error})"
        outcome, code = {"status": "failed", "error": message}, 1
    sys.stdout.write(json.dumps(outcome, ensure_ascii=False) + "\n")
    return code


def _interrupt(number: int, frame: FrameType | None) -> None:
    for ignored in (signal.SIGTERM, signal.SIGINT):
        signal.signal(ignored, signal.SIG_IGN)  # a second signal must not interrupt the clean-up
    raise KeyboardInterrupt


if __name__ == "__main__":
    raise SystemExit(main())
