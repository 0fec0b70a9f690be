"""What a check asks of a trainer, and what a trainer answers. An adapter for another trainer needs this module only."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


class Refused(Exception):
    """The trainer declines the job; the text is what its user reads."""


class NotOffered(Exception):
    """The trainer has no such feature (and does not pretend to); the text names it."""


@dataclass(frozen=True)
class Labels:
    """Votes on one pair. `preferred`: the fraction, among those who took a side, that preferred the chosen one.

    `tie`: the fraction of all who called both equal. `weight`: ≥ 0, relative to the other pairs. `margin`: the
    β-scaled margin that is required (ODPO's offset).
    """

    preferred: float = 1.0
    tie: float = 0.0
    weight: float = 1.0
    margin: float = 0.0


CERTAIN = Labels()


@dataclass(frozen=True)
class Pair:
    """A question of one turn with its two answers."""

    prompt: str
    chosen: str
    rejected: str
    labels: Labels = CERTAIN

    def messages(self) -> dict[str, list[dict[str, str]]]:
        """The pair in the conversational format that trainers share: prompt, chosen, rejected."""
        return {
            "prompt": [{"role": "user", "content": self.prompt}],
            "chosen": [{"role": "assistant", "content": self.chosen}],
            "rejected": [{"role": "assistant", "content": self.rejected}],
        }


@dataclass(frozen=True)
class Lora:
    """A new adapter on `targets`: names of modules, or "all-linear" for every linear module except the head."""

    targets: tuple[str, ...] = ("all-linear",)
    r: int = 4
    alpha: int = 8


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All that a check may ask for. Everything is in float32, AdamW without weight decay, without dropout.

    `batch_size` rows on each of `processes`, `accumulation` times in one step. `lora` None is full fine-tuning.
    `schedule` is "constant" or "linear", `warmup` the fraction of the steps in which the rate rises. `losses` are
    added up: "sigmoid", "sft" (the chosen side's negative log-likelihood per token). `packing`: True or False where
    the check needs it, else None. `save_every`: keep a checkpoint after each that many steps.
    """

    steps: int
    batch_size: int
    accumulation: int = 1
    processes: int = 1
    learning_rate: float = 1e-3
    schedule: str = "constant"
    warmup: float = 0.0
    beta: float = 0.1
    losses: tuple[str, ...] = ("sigmoid",)
    lora: Lora | None = None
    packing: bool | None = None
    save_every: int = 0
    max_length: int = 256
    seed: int = 17


@dataclass(frozen=True)
class Job:
    """One training. `folder` is the trainer's own: empty, or where the job before was left after being killed.

    `model`: a folder with weights, tokenizer and chat template. `adapter`: an SFT adapter (PEFT) on it, from which the
    training starts; its reference is the model with that adapter. `resume_after`: go on from the checkpoint in
    `folder` that was saved after this step, as after a crash; 0 starts afresh.
    """

    folder: Path
    model: Path
    pairs: tuple[Pair, ...]
    settings: Settings
    adapter: Path | None = None
    resume_after: int = 0


@dataclass(frozen=True)
class Outcome:
    """What a training left and reported.

    `steps`: one dictionary for each optimizer step, `loss` in each; where the trainer reports them also
    `learning_rate`, `grad_norm`, `logps_chosen`, `logps_rejected` (sums over a completion's tokens, means over rows),
    `reward_margin`. `base` and `adapters` (PEFT, applied in order) are the trained model. `notices`: where the
    trainer told its user that it does otherwise than by default.
    """

    steps: list[dict[str, float]]
    base: Path
    adapters: tuple[Path, ...] = ()
    notices: tuple[str, ...] = ()

    @property
    def trained(self) -> Path:
        """The folder that the training wrote."""
        return self.adapters[-1] if self.adapters else self.base

    def reported(self, name: str) -> list[float]:
        """A metric of each step. Raises NotOffered where the trainer does not report it."""
        if any(name not in step for step in self.steps):
            raise NotOffered(f"the metric {name} for each step")
        return [float(step[name]) for step in self.steps]


class Trainer(Protocol):
    """A trainer under test. `train` raises Refused, or NotOffered; anything else is a crash, and fails the check.

    A trainer may also have `merge(outcome, folder)`, which writes the trained model as one, without adapters.
    """

    name: str

    def versions(self) -> dict[str, str]:
        """Names and versions of what was tested."""

    def train(self, job: Job) -> Outcome:
        """Run the job in its folder."""


def without_labels(job: Job, *, name: str) -> None:
    """For adapters of trainers that know certain pairs only: raises NotOffered where a pair has votes."""
    if any(pair.labels != CERTAIN for pair in job.pairs):
        raise NotOffered(f"soft labels, ties, weights or margins as columns of {name}'s dataset")
