"""What an engine program is asked to do: frozen dataclasses, written to and read from `run.json`. Free of torch."""

import dataclasses
import json
import types
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from training.contract.declarations import BY_TRAINER, resolve_defaults, validate
from training.contract.errors import ConfigError as ConfigError
from training.contract.hyperparameters import TIE_THRESHOLD as TIE_THRESHOLD
from training.contract.hyperparameters import TRACKERS as TRACKERS
from training.contract.hyperparameters import Hyperparameters, default_lora
from training.contract.hyperparameters import LoraSettings as LoraSettings
from training.contract.hyperparameters import Precision as Precision
from training.contract.hyperparameters import Quantization as Quantization
from training.contract.wording import counted

Program = Literal["pretrain", "train_sft", "train_dpo", "train_kto", "generate", "evaluate"]


@dataclass(frozen=True, kw_only=True)
class ModelSource:
    """A model as a chain: a base folder, then adapter folders merged into it in order (SFT first, then DPO).

    `base` is a folder in Hugging Face layout (or a hub name where the operator allows a hub). `adapters` are PEFT
    folders; a fully fine-tuned checkpoint is a base of its own with no adapters. `allow_other_base`: a person decided
    that adapters may be used on another base than they were trained on (`ALLOW_OTHER_BASE`).
    """

    base: str
    adapters: tuple[str, ...] = ()
    allow_other_base: bool = False


def _(text: str) -> str:
    """Mark a text for makemessages; this module cannot import Django's gettext."""
    return text


@dataclass(frozen=True)
class ModelOption:
    """A choice about a model, as commands and forms offer it."""

    flag: str
    label: str
    help: str


ALLOW_OTHER_BASE = ModelOption(
    flag="--allow-other-base",
    label=_("Allow another base"),
    help=_("use an adapter on another base than it was trained on; it is recorded with the result"),
)


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """The small Llama that `pretrain` makes from scratch (about 2 M parameters by default).

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
class RunSubject:
    """Which program runs, from which model, on which rows; written first in `run.json`."""

    program: Program
    run_id: str
    model: ModelSource
    dataset: str = "dataset"
    dataset_sha256: str = ""


@dataclass(frozen=True, kw_only=True)
class TrainingConfig(Hyperparameters, RunSubject):
    """One execution of a trainer (`pretrain`, `train_sft`, `train_dpo`, `train_kto`).

    The hyper-parameters are declared in `hyperparameters.py`, with the defaults of each trainer: what `run.json` does
    not name is as the command would set it. `dataset` is the folder (relative to the run directory) with train.parquet
    and held_out.parquet; `share` of its training prompts is used (subsets are nested: `training.engine.data.subsets`).
    `lora=None` means full fine-tuning. One optimizer step learns from `batch_size * gradient_accumulation` rows on
    each of `processes`. With `packing` (SFT, DPO) these rows are cut into micro-batches of at most
    `micro_batch_tokens` tokens (0: what the memory allows), whatever the split into the two factors; without, plain
    TRL computes them `batch_size` at a time.
    `soft_labels` takes a row's `probability` as its target; `strength_offset` times its `strength` is the margin
    required (ODPO's α). `reference_cache` and `token_cache` are the folders of reference log-probabilities
    and of token ids that runs share (empty: in the run directory). `architecture` is for `pretrain`, which has no model
    to start from (`model=ModelSource(base="")`).
    """

    reference_cache: str = ""
    token_cache: str = ""
    architecture: Architecture = field(default_factory=Architecture)
    versions: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.lora is typing.cast(Any, BY_TRAINER):
            object.__setattr__(self, "lora", default_lora(self.trainer))
        resolve_defaults(self, self.trainer, full=self.lora is None)
        validate(self)
        if self.loss_weights and len(self.loss_weights) != len(self.losses):
            raise ConfigError(
                f"loss_weights has {counted(len(self.loss_weights), 'entry', 'entries')} for "
                f"{counted(len(self.losses), 'loss', 'losses')}: give one for each of {', '.join(self.losses)}"
            )
        if self.loss_weights and not any(self.loss_weights):
            raise ConfigError("loss_weights are all 0: nothing would be learnt")
        if self.trainer == "kto" and self.batch_size < 2:
            # A row's own completion is no estimate of the KL term.
            raise ConfigError(
                "KTO estimates its KL term from the other rows of a batch: batch_size must be 2 or more, got "
                f"{self.batch_size}. Lower max_length if memory is short; gradient_accumulation does not help here"
            )

    @property
    def trainer(self) -> str:
        return self.program.removeprefix("train_")


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
    reward is measured against (the DPO run's starting point); None leaves reward figures out. `token_cache` is the
    folder of token ids that runs and evaluations share (empty: in the run directory).
    """

    program: Program = "evaluate"
    run_id: str
    model: ModelSource
    parent: ModelSource | None = None
    reference: ModelSource | None = None
    dataset: str = "dataset"
    dataset_sha256: str = ""
    token_cache: str = ""
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
    "train_kto": TrainingConfig,
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
