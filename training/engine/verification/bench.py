"""Where checks are run: makes models and adapters once, runs each training once, and keeps its outcome."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from training.engine.verification import models, oracle
from training.engine.verification.jobs import Job, Lora, NotOffered, Outcome, Pair, Refused, Settings, Trainer

JobKey = tuple[Path, Path | None, tuple[Pair, ...], Settings]


class Bench:
    """One trainer under test, and a folder for everything that it reads and writes."""

    def __init__(self, trainer: Trainer, folder: Path, sources: Path | None = None) -> None:
        """`sources`: where models and adapters are made, if not in `folder`; benches may share it."""
        self.trainer = trainer
        self.folder = folder
        self.sources = sources or folder / "models"
        self._outcomes: dict[JobKey, Outcome | Refused | NotOffered] = {}
        self._folders: dict[JobKey, Path] = {}

    # ---- what is trained ----

    def model(self, family: str) -> Path:
        """A folder with a random model of this family."""
        folder = self.sources / family
        if not folder.exists():
            models.write_model(family, folder)
        return folder

    def sft_adapter(self, family: str = "llama") -> Path:
        """A folder with an adapter on that model, as an SFT leaves it."""
        folder = self.sources / f"{family}-sft"
        if not folder.exists():
            models.write_adapter(self.model(family), folder)
        return folder

    def copied(self, folder: Path, name: str) -> Path:
        """A copy of a model's or an adapter's folder, to be damaged."""
        copy = self.folder / "damaged" / name
        shutil.rmtree(copy, ignore_errors=True)
        return models.copy(folder, copy)

    # ---- trainings ----

    def train(
        self, pairs: Sequence[Pair], settings: Settings, *, model: Path | None = None, adapter: Path | None = None
    ) -> Outcome:
        """The outcome of this training, which is run once. Raises what the trainer raises."""
        key = (model or self.model("llama"), adapter, tuple(pairs), settings)
        if key not in self._outcomes:
            try:
                self._outcomes[key] = self.trainer.train(self._job(key))
            except (Refused, NotOffered) as error:
                self._outcomes[key] = error
        outcome = self._outcomes[key]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def resume(self, pairs: Sequence[Pair], settings: Settings, *, after: int) -> Outcome:
        """The same training again, from its own checkpoint after that step, as if it had been killed there."""
        key = (self.model("llama"), None, tuple(pairs), settings)
        self.train(pairs, settings)
        copy = models.copy(self._folders[key], self._new_folder())
        return self.trainer.train(replace(self._job(key, copy), resume_after=after))

    def _job(self, key: JobKey, folder: Path | None = None) -> Job:
        model, adapter, pairs, settings = key
        if folder is None:
            folder = self._folders[key] = self._new_folder()
            folder.mkdir(parents=True)
        return Job(folder=folder, model=model, pairs=pairs, settings=settings, adapter=adapter)

    def _new_folder(self) -> Path:
        return self.folder / "trainings" / f"{len(list((self.folder / 'trainings').glob('*'))) + 1:03d}"

    # ---- outcomes ----

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def logps(self, base: Path, adapters: tuple[Path, ...], pairs: Sequence[Pair], max_length: int = 1 << 20) -> Tensor:
        """The oracle's log-probabilities under a model on disk (pairs, 2), each sequence in a model's fresh state."""
        tokenizer = models.load_tokenizer(base)
        model = models.load(base, adapters)
        return oracle.logps(model, tokenizer, pairs, max_length)

    def first_reported(self, family: str, pairs: Sequence[Pair], settings: Settings) -> list[float]:
        """The reported means of the completions' log-probabilities in each step, chosen and rejected in turn."""
        outcome = self.train(pairs, settings, model=self.model(family))
        both = zip(outcome.reported("logps_chosen"), outcome.reported("logps_rejected"), strict=True)
        return [value for step in both for value in step]

    def two_steps(
        self,
        pairs: Sequence[Pair],
        *,
        lora: Lora | None = None,
        adapter: Path | None = None,
        family: str = "llama",
        learning_rate: float = 3e-3,
    ) -> "TwoSteps":
        """One training of a single step and the same of two, each step over all pairs: see TwoSteps."""
        settings = Settings(steps=1, batch_size=len(pairs), learning_rate=learning_rate, lora=lora)
        model = self.model(family)
        one = self.train(pairs, settings, model=model, adapter=adapter)
        two = self.train(pairs, replace(settings, steps=2), model=model, adapter=adapter)
        start = self.logps(model, (adapter,) if adapter else (), pairs)
        policy = self.logps(one.base, one.adapters, pairs)
        return TwoSteps(one, two, start, policy, tuple(pairs), settings.beta)


@dataclass(frozen=True)
class TwoSteps:
    """A policy that has left its reference, and the loss that the trainer computed for it.

    `policy` are the oracle's log-probabilities (pairs, 2) of the model after one step, on which the second step's loss
    depends; `start` those of the model that the training started from, its reference.
    """

    one: Outcome
    two: Outcome
    start: Tensor
    policy: Tensor
    pairs: tuple[Pair, ...]
    beta: float

    @property
    def measured(self) -> float:
        return self.two.reported("loss")[1]

    def expected(self, reference: Tensor | None = None, pairs: Sequence[Pair] | None = None) -> float:
        """The second step's loss by closed form; with another reference or other labels for comparison."""
        reference = self.start if reference is None else reference
        return float(oracle.dpo_losses(self.policy, reference, pairs or self.pairs, self.beta).mean())


def tensors(folder: Path) -> dict[str, Tensor]:
    """All tensors of a folder's safetensors files."""
    merged: dict[str, Tensor] = {}
    for file in sorted(folder.glob("*.safetensors")):
        merged.update(load_file(file))
    return merged
