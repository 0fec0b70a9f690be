"""The process's environment: variables that libraries read at import, peak memory, library versions. Free of torch."""

import os
import platform
import resource
import sys
from importlib import metadata

from training.contract.config import Config

LIBRARIES = ("torch", "transformers", "trl", "peft", "accelerate", "datasets", "tokenizers", "safetensors", "sacrebleu")


def prepare_environment(config: Config) -> None:
    """To be called before torch and the hub client are imported: they read these variables once, at import."""
    if os.environ.get("KONOMI_ALLOW_HUB") != "1":
        os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TQDM_DISABLE", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "warning")
    # Waiting threads sleep instead of spinning: on a machine with other work, spinning halves the speed or worse.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if config.threads:
        os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(config.threads)
    os.environ.setdefault("PYTORCH_CUDA_ALLOC_CONF", "expandable_segments:True")
    if "WORLD_SIZE" not in os.environ:
        # One process trains on one GPU: with several visible, Trainer would use torch's DataParallel, which neither
        # TRL nor the packed trainers support.
        os.environ.setdefault("CUDA_VISIBLE_DEVICES", "0")


def peak_memory() -> dict[str, int]:
    """The highest memory use of this process so far, in MiB; on a GPU torch's too."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    megabytes = peak >> 20 if sys.platform == "darwin" else peak >> 10  # bytes on macOS, kilobytes elsewhere
    values = {"peak_memory_mb": megabytes}
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        values["peak_gpu_memory_mb"] = torch.cuda.max_memory_allocated() >> 20
    return values


def versions() -> dict[str, str]:
    """Of Python and of the libraries that affect a result; those that are not installed are left out."""
    values = {"python": platform.python_version()}
    for library in LIBRARIES:
        try:
            values[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            continue
    return values
