"""What an engine program is asked to do: frozen dataclasses, written to and read from `run.json`. Free of torch."""

import dataclasses
import json
import types
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

Program = Literal["pretrain", "train_sft", "train_dpo", "generate", "evaluate"]


class ConfigError(ValueError):
    """A configuration that cannot be run; the message names the field and the remedy."""


@dataclass(frozen=True, kw_only=True)
class ModelSource:
    """A model as a chain: a base folder, then adapter folders merged into it in order (SFT first, then DPO).

    `base` is a folder in Hugging Face layout (or a hub name where the operator allows a hub). `adapters` are PEFT
    folders; a fully fine-tuned checkpoint is a base of its own with no adapters.
    """

    base: str
    adapters: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class LoraSettings:
    """LoRA (Hu et al. 2021): rank r, scaling alpha / r, and the modules that get an adapter."""

    r: int = 16
    alpha: int = 32
    dropout: float = 0.0
    targets: tuple[str, ...] = ("all-linear",)


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """The small Llama that `pretrain` makes from scratch (about 2 M parameters as it stands).

    `initializer_range` is the standard deviation of the random weights: narrow models learn sooner from wider ones.
    """

    vocab_size: int = 2048
    hidden_size: int = 160
    layers: int = 4
    heads: int = 5
    intermediate_size: int = 448
    context: int = 512
    initializer_range: float = 0.02


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """One execution of a trainer (`pretrain`, `train_sft`, `train_dpo`).

    `dataset` is the folder (relative to the run directory) with train.parquet and held_out.parquet.
    `lora=None` means full fine-tuning. `batch_size` counts rows in one optimizer step on one process is
    `batch_size * gradient_accumulation`. `losses`/`loss_weights` are TRL's `loss_type`/`loss_weights` (DPO only).
    `max_seconds` ends the training after so much wall time (0: no such limit), as if it had come to its last step.
    `gradient_checkpointing` trades a third more computing for memory. `architecture` is for `pretrain`, which has no
    model to start from (`model=ModelSource(base="")`).
    """

    program: Program
    run_id: str
    model: ModelSource
    dataset: str = "dataset"
    dataset_sha256: str = ""
    lora: LoraSettings | None = field(default_factory=LoraSettings)
    epochs: float = 1.0
    max_steps: int = -1
    learning_rate: float = 2e-4
    lr_scheduler: str = "cosine"
    warmup_ratio: float = 0.03
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    batch_size: int = 8
    gradient_accumulation: int = 1
    max_length: int = 1024
    beta: float = 0.1
    losses: tuple[str, ...] = ("sigmoid",)
    loss_weights: tuple[float, ...] = ()
    seed: int = 17
    save_steps: int = 50
    save_total_limit: int = 2
    logging_steps: int = 1
    threads: int = 0
    max_seconds: float = 0.0
    gradient_checkpointing: bool = False
    architecture: Architecture = field(default_factory=Architecture)
    report_to: tuple[str, ...] = ()
    versions: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("epochs", "learning_rate", "batch_size", "gradient_accumulation", "max_length", "beta"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"{name} must be greater than 0, got {getattr(self, name)}")
        if self.loss_weights and len(self.loss_weights) != len(self.losses):
            raise ConfigError(f"loss_weights has {len(self.loss_weights)} entries for {len(self.losses)} losses")


@dataclass(frozen=True, kw_only=True)
class GenerationConfig:
    """Candidates for prompts: reads `prompts.jsonl`, appends `candidates.jsonl` in the same directory.

    A line of `prompts.jsonl` is `{"id": int, "messages": [{"role", "content"}, …]}`; of `candidates.jsonl`
    `{"prompt": id, "index": 0…samples-1, "text": str, "tokens": int}`. `temperature=0` is greedy decoding.
    """

    program: Program = "generate"
    run_id: str
    model: ModelSource
    samples: int = 1
    temperature: float = 0.8
    top_p: float = 0.95
    max_new_tokens: int = 256
    batch_size: int = 16
    seed: int = 17
    threads: int = 0
    versions: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.samples < 1:
            raise ConfigError(f"samples must be at least 1, got {self.samples}")
        if self.temperature < 0:
            raise ConfigError(f"temperature must be 0 (greedy) or more, got {self.temperature}")
        if not 0 < self.top_p <= 1:
            raise ConfigError(f"top_p must lie in (0, 1], got {self.top_p}")
        if self.temperature == 0 and self.samples > 1:
            raise ConfigError("greedy decoding (temperature 0) gives one text: set samples to 1, or a temperature")


@dataclass(frozen=True, kw_only=True)
class EvaluationConfig:
    """Figures of a checkpoint on the held-out rows, beside its parent's.

    Reads `dataset/held_out.parquet` (rows of any of the purposes). `reference` is the model that the implicit
    reward is measured against (the DPO run's starting point); None leaves reward figures out.
    """

    program: Program = "evaluate"
    run_id: str
    model: ModelSource
    parent: ModelSource | None = None
    reference: ModelSource | None = None
    dataset: str = "dataset"
    beta: float = 0.1
    max_length: int = 1024
    max_new_tokens: int = 128
    sample_outputs: int = 24
    metrics_limit: int = 500
    batch_size: int = 16
    target_language: str = ""
    seed: int = 17
    threads: int = 0
    versions: dict[str, str] = field(default_factory=dict)


Config = TrainingConfig | GenerationConfig | EvaluationConfig
ConfigT = TypeVar("ConfigT")

CONFIG_CLASSES: dict[str, type[Any]] = {
    "pretrain": TrainingConfig,
    "train_sft": TrainingConfig,
    "train_dpo": TrainingConfig,
    "generate": GenerationConfig,
    "evaluate": EvaluationConfig,
}


def to_json(config: Config) -> str:
    """The configuration as indented JSON; `from_json` gives an equal object back."""
    return json.dumps(dataclasses.asdict(config), indent=2, ensure_ascii=False) + "\n"


def from_json(text: str) -> Config:
    """The configuration that `to_json` wrote. Unknown or missing fields raise ConfigError by name."""
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigError(f"run.json is not JSON: {error}") from error
    if not isinstance(data, dict) or data.get("program") not in CONFIG_CLASSES:
        raise ConfigError(f"run.json: program must be one of {', '.join(CONFIG_CLASSES)}")
    return typing.cast(Config, _build(CONFIG_CLASSES[data["program"]], data, "run.json"))


def read_config(path: Path) -> Config:
    return from_json(path.read_text(encoding="utf-8"))


def _build(cls: type[Any], data: dict[str, Any], where: str) -> Any:
    known = {f.name for f in dataclasses.fields(cls)}
    unknown = sorted(set(data) - known)
    if unknown:
        raise ConfigError(f"{where}: unknown field {', '.join(unknown)} in {cls.__name__}")
    hints = typing.get_type_hints(cls)
    values = {name: _convert(hints[name], value, f"{where}: {name}") for name, value in data.items()}
    try:
        return cls(**values)
    except TypeError as error:
        raise ConfigError(f"{where}: {error}") from error


def _convert(hint: Any, value: Any, where: str) -> Any:
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        if value is None:
            return None
        hint = next(arm for arm in typing.get_args(hint) if arm is not type(None))
        return _convert(hint, value, where)
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, dict):
            raise ConfigError(f"{where} must be an object")
        return _build(typing.cast(type[Any], hint), value, where)
    if origin is tuple:
        return tuple(value)
    return value
