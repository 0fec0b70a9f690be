"""Our DPO trainer, as its users run it: a run directory, and the engine's program on it in a process of its own."""

import json
import shutil
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from training.contract.config import LoraSettings, ModelSource, TrainingConfig
from training.contract.errors import ConfigError
from training.contract.run_directory import TRAIN, RunDirectory, checkpoint_step
from training.engine.runtime.environment import versions
from training.engine.verification import apart
from training.engine.verification.jobs import Job, Labels, Outcome, Pair, Refused

LIBRARIES = ("torch", "transformers", "trl", "peft")
Call = Callable[..., Any]


def in_this_process(function: Call, *arguments: Any, log: Path) -> Any:
    """In place of `apart.call`, for tests: it saves the start of a process, and is not isolated."""
    return function(*arguments)


class Konomi:
    """`call` runs a function in a process of its own (`apart.call`), or in this one (`in_this_process`)."""

    name = "Konomi"

    def __init__(self, call: Call = apart.call) -> None:
        self.call = call

    def versions(self) -> dict[str, str]:
        libraries = {name: version for name, version in versions().items() if name in LIBRARIES}
        return {"konomi": metadata.version("konomi"), **libraries}

    def train(self, job: Job) -> Outcome:
        directory = RunDirectory(job.folder / "run")
        if job.resume_after:
            rewind(directory, job.resume_after)
        else:
            try:
                directory.create(configuration(job))
            except ConfigError as error:
                raise Refused(str(error)) from error
            directory.dataset.mkdir()
            pq.write_table(pa.Table.from_pylist([row(pair) for pair in job.pairs]), directory.dataset / TRAIN)
        code = self.call(run_program, directory.path, log=directory.log_path)
        result = directory.read_result()
        if result is None:
            raise apart.Crashed(f"exit code {code} and no result.json: {directory.log_tail(3)}")
        if result["status"] != "succeeded":
            raise Refused(result["error"])
        return outcome(job, directory, result)

    def merge(self, outcome: Outcome, folder: Path) -> None:
        """By the program that merges adapters."""
        log = outcome.trained.parent / "merge.txt"
        if self.call(merge_program, outcome.base, outcome.adapters, folder, log=log):
            lines = log.read_text(encoding="utf-8").strip().splitlines() if log.exists() else []
            raise Refused(json.loads(lines[-1])["error"] if lines else "merging failed")


def configuration(job: Job) -> TrainingConfig:
    settings = job.settings
    lora = settings.lora
    return TrainingConfig(
        program="train_dpo",
        run_id="verify",
        model=ModelSource(base=str(job.model), adapters=(str(job.adapter),) if job.adapter else ()),
        max_steps=settings.steps,
        batch_size=settings.batch_size,
        gradient_accumulation=settings.accumulation,
        processes=settings.processes,
        learning_rate=settings.learning_rate,
        lr_scheduler=settings.schedule,
        warmup_ratio=settings.warmup,
        beta=settings.beta,
        losses=settings.losses,
        lora=LoraSettings(r=lora.r, alpha=lora.alpha, targets=lora.targets) if lora else None,
        packing=settings.packing is not False,
        max_length=settings.max_length,
        save_steps=settings.save_every or settings.steps + 1,
        save_total_limit=100,
        strength_offset=1.0,
        precision="fp32",
        threads=1,
        seed=settings.seed,
    )


def row(pair: Pair) -> dict[str, Any]:
    """A row as datasets are frozen: `probability` counts ties half."""
    votes: Labels = pair.labels
    return {
        **pair.messages(),
        "probability": votes.preferred * (1 - votes.tie) + votes.tie / 2,
        "tie": votes.tie,
        "weight": votes.weight,
        "strength": votes.margin,
    }


def rewind(directory: RunDirectory, step: int) -> None:
    """The directory as a run left it that was killed after this step's checkpoint."""
    shutil.rmtree(directory.model, ignore_errors=True)
    directory.clear_for_resume()
    for folder in directory.path.glob("checkpoint-*"):
        if checkpoint_step(folder) > step:
            shutil.rmtree(folder)


def run_program(folder: Path) -> int:
    from training.engine import train_dpo
    from training.engine.runtime.program import main

    return main("train_dpo", train_dpo.train, [str(folder)])


def merge_program(base: Path, adapters: tuple[Path, ...], folder: Path) -> int:
    from training.engine import merge

    arguments = ["--base", str(base), "--to", str(folder)]
    for adapter in adapters:
        arguments += ["--adapter", str(adapter)]
    return merge.main(arguments)


def outcome(job: Job, directory: RunDirectory, result: dict[str, Any]) -> Outcome:
    lines = {line["step"]: line for line in directory.read_metrics()[0] if "loss" in line}
    method = result.get("method", {})
    fell_back = job.settings.packing is not False and method.get("packing") is False
    notices = (f"plain TRL: {method.get('why')}",) if fell_back else ()
    steps = [{k: v for k, v in lines[step].items() if isinstance(v, int | float)} for step in sorted(lines)]
    if job.settings.lora is None:
        return Outcome(steps, directory.model, notices=notices)
    earlier = (job.adapter,) if job.adapter else ()
    return Outcome(steps, job.model, (*earlier, directory.model), notices)
