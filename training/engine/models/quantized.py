"""QLoRA (Dettmers et al. 2023): the frozen base in 4 or 8 bits by bitsandbytes, the adapter in full precision."""

import logging
import os
import shutil
from importlib.util import find_spec
from pathlib import Path

import torch
from peft import prepare_model_for_kbit_training
from transformers import BitsAndBytesConfig, PreTrainedModel

from training.contract import hardware, lineage
from training.contract.config import LoraSettings, ModelSource
from training.contract.errors import ModelError
from training.contract.lineage import link_of
from training.contract.run_directory import QUANTIZATION_BASE
from training.contract.weights import weight_files
from training.engine.artifacts.publishing import publish
from training.engine.models import base_weights, loading, same_base
from training.engine.runtime import distributed
from training.engine.runtime.failures import is_out_of_memory

log = logging.getLogger("konomi.engine")


def load_quantized(
    source: ModelSource, settings: LoraSettings, *, run_folder: Path, dtype: torch.dtype = torch.float32
) -> PreTrainedModel:
    """The chain as one frozen model whose linear layers are quantized to `settings.quantization`, computing in `dtype`.

    4 bit is NF4 with double quantisation, 8 bit is LLM.int8(). What is not quantised (embeddings, norms, head) is
    float32. Adapters of the chain are merged in float32 first, into a folder in `run_folder` that a resumed run uses
    again. Raises ModelError where bitsandbytes is missing or does not run on this machine.
    """
    if settings.quantization == "none":
        raise ValueError("nothing to quantise: models.load_model loads this")
    if find_spec("bitsandbytes") is None:
        raise ModelError(
            f"Quantization {settings.quantization} needs bitsandbytes: pip install 'konomi[quantized]', or train "
            "without --quantization"
        )
    loading.check_folders(source)
    same_base.check(source)
    folder = merged_base(source, run_folder) if source.adapters else Path(source.base)
    # It warns at every product that float32 becomes float16, which is how 8 bit works.
    logging.getLogger("bitsandbytes.autograd._functions").setLevel(logging.ERROR)
    device: str | int = int(os.environ.get("LOCAL_RANK", "0")) if torch.cuda.is_available() else "cpu"
    try:
        model = base_weights.load_base(
            str(folder),
            quantization_config=quantization_config(settings, dtype),
            dtype=dtype,
            device_map={"": device},
        )
        model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)
    except (ModelError, OSError, ValueError, RuntimeError, ImportError, KeyError) as error:
        if is_out_of_memory(error):
            raise
        reason = str(error) if isinstance(error, ModelError) else base_weights.brief(error)
        raise ModelError(
            f"{folder} cannot be quantized to {settings.quantization} on this machine: {reason}. "
            "Or train without --quantization"
        ) from error
    footprint = hardware.gibibytes(model.get_memory_footprint())
    log.info("%s quantized to %s: %s", folder, settings.quantization, footprint)
    return model.eval()


def quantization_config(settings: LoraSettings, dtype: torch.dtype) -> BitsAndBytesConfig:
    if settings.quantization == "8bit":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
    )


def merged_base(source: ModelSource, run_folder: Path) -> Path:
    """The chain merged in float32, written once and atomically, by the main process."""
    folder = run_folder / QUANTIZATION_BASE
    if distributed.is_main_process() and not _is_of(folder, source):
        size = sum(file.stat().st_size for file in weight_files(Path(source.base)))
        free = shutil.disk_usage(run_folder).free
        if free < 2 * size:  # the base may be in half precision
            raise ModelError(
                f"Merging the chain before it is quantised takes up to {hardware.gibibytes(2 * size)} in {run_folder}, "
                f"which has {hardware.gibibytes(free)} left: free space there, or start from a merged model "
                "(manage.py merge)"
            )
        partial = run_folder / f".{QUANTIZATION_BASE}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        model = loading.load_model(source)
        model.save_pretrained(partial, max_shard_size="2GB")
        lineage.write(partial, source, adapter=False)
        publish(partial, folder)
    distributed.barrier()
    return folder


def _is_of(folder: Path, source: ModelSource) -> bool:
    """Whether the folder holds this chain, as its weights are now."""
    made = lineage.read(folder)
    return made is not None and list(made.links) == [link_of(link) for link in (source.base, *source.adapters)]
