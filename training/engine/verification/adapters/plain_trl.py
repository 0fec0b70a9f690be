"""TRL's DPOTrainer as its documentation has it: a model folder, conversational rows, DPOConfig, LoraConfig.

Of several processes each gets the environment variables that torchrun and `accelerate launch` set.
"""

import os
import socket
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path
from typing import Any

from training.contract.metrics import TRL_NAMES
from training.engine.verification import apart
from training.engine.verification.jobs import Job, NotOffered, Outcome, Refused, without_labels


class PlainTRL:
    """A new adapter is given by `peft_config`; on top of an SFT adapter, training goes on with that adapter.

    Of both ways that TRL documents, that is the one in which TRL makes the reference: a frozen copy of the adapter.
    """

    name = "TRL"

    def versions(self) -> dict[str, str]:
        return {name: metadata.version(name) for name in ("trl", "torch", "transformers", "peft", "accelerate")}

    def train(self, job: Job) -> Outcome:
        without_labels(job, name="TRL")
        if job.settings.packing:
            raise NotOffered("packed rows: padding_free has no effect on preference data in this version")
        log = job.folder / "log.txt"
        alone = job.settings.processes == 1
        steps = apart.call(train_here, job, log=log) if alone else in_several_processes(job, log)
        final = job.folder / "final"
        return Outcome(steps, job.model, (final,)) if job.settings.lora else Outcome(steps, final)

    def merge(self, outcome: Outcome, folder: Path) -> None:
        """By PEFT, as TRL's documentation does it."""
        apart.call(merge_adapter, outcome.base, outcome.trained, folder, log=outcome.trained.parent / "merge.txt")


def in_several_processes(job: Job, log: Path) -> list[dict[str, float]]:
    count = job.settings.processes
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    common = {"WORLD_SIZE": count, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "ACCELERATE_USE_CPU": "true"}
    with ThreadPoolExecutor(count) as threads:
        environments = [{**common, "RANK": rank, "LOCAL_RANK": rank} for rank in range(count)]
        ranks = [threads.submit(apart.call, train_as_rank, job, each, log=log) for each in environments]
        steps: list[list[dict[str, float]]] = [rank.result() for rank in ranks]
    return steps[0]


def train_as_rank(job: Job, environment: dict[str, Any]) -> list[dict[str, float]]:
    os.environ.update({name: str(value) for name, value in environment.items()})
    return train_here(job)


def train_here(job: Job) -> list[dict[str, float]]:
    """Run the job with TRL and return what it logged for each step. What TRL raises is its refusal."""
    try:
        trainer = make_trainer(job)
        checkpoint = job.folder / f"checkpoint-{job.resume_after}"
        trainer.train(resume_from_checkpoint=str(checkpoint) if job.resume_after else None)
    except (ValueError, TypeError, RuntimeError, KeyError, NotImplementedError, OSError) as error:
        raise Refused(f"{type(error).__name__}: {apart.first_line(error)}") from error
    trainer.save_model(str(job.folder / "final"))
    lines = {line["step"]: line for line in trainer.state.log_history if "loss" in line}
    return [{TRL_NAMES[k]: v for k, v in lines[step].items() if k in TRL_NAMES} for step in sorted(lines)]


def make_trainer(job: Job) -> Any:
    import torch
    from datasets import Dataset
    from peft import LoraConfig, PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import DPOConfig, DPOTrainer

    torch.set_num_threads(1)
    settings = job.settings
    model: Any = str(job.model)
    peft = None
    if job.adapter:
        base = AutoModelForCausalLM.from_pretrained(job.model, dtype=torch.float32)
        model = PeftModel.from_pretrained(base, job.adapter, is_trainable=True)
    elif settings.lora:
        targets = settings.lora.targets
        peft = LoraConfig(
            r=settings.lora.r,
            lora_alpha=settings.lora.alpha,
            target_modules="all-linear" if targets == ("all-linear",) else list(targets),
            task_type="CAUSAL_LM",
        )
    arguments = DPOConfig(
        output_dir=str(job.folder),
        max_steps=settings.steps,
        per_device_train_batch_size=settings.batch_size,
        gradient_accumulation_steps=settings.accumulation,
        learning_rate=settings.learning_rate,
        lr_scheduler_type=settings.schedule,
        warmup_steps=settings.warmup,  # below 1 it is a fraction of all steps
        beta=settings.beta,
        loss_type=list(settings.losses),
        max_length=settings.max_length,
        bf16=False,
        gradient_checkpointing=False,
        use_cpu=True,
        logging_steps=1,
        save_strategy="steps" if settings.save_every else "no",
        save_steps=settings.save_every or 500,
        seed=settings.seed,
        data_seed=settings.seed,
        report_to="none",
        disable_tqdm=True,
    )
    return DPOTrainer(
        model=model,
        args=arguments,
        train_dataset=Dataset.from_list([pair.messages() for pair in job.pairs]),
        processing_class=AutoTokenizer.from_pretrained(job.model),
        peft_config=peft,
    )


def merge_adapter(base: Path, adapter: Path, folder: Path) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    PeftModel.from_pretrained(model, adapter).merge_and_unload().save_pretrained(folder)
    AutoTokenizer.from_pretrained(base).save_pretrained(folder)
