"""Run a training: resume, preflight, progress, cancel, and model/ at the end."""

import logging
import shutil
from collections.abc import Callable
from typing import Any

from transformers import PreTrainedTokenizerBase, PrinterCallback, Trainer

from training.contract.config import TrainingConfig
from training.engine.artifacts import checkpoints, publishing
from training.engine.data.rows import Counts
from training.engine.models import same_base
from training.engine.runtime import distributed
from training.engine.runtime.run import Outcome, Run
from training.engine.trainers import dropout
from training.engine.trainers.callbacks import ProgressCallback

log = logging.getLogger("konomi.engine")


def run_training(
    run: Run,
    trainer: Trainer,
    tokenizer: PreTrainedTokenizerBase,
    counts: Counts,
    *,
    details: dict[str, Any] | None = None,
    preflight: Callable[[], dict[str, Any]] | None = None,
) -> Outcome:
    """Train (or resume), then publish model/. The trainer must have the mixin WholeCheckpoints.

    `preflight` is called before the first step of a run that is not resumed. `details` go to result.json.
    """
    config: TrainingConfig = run.config
    progress = ProgressCallback(run)
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(progress)
    resume = checkpoints.newest_whole(run.directory)
    if resume:
        log.info("resuming from %s", resume.name)
    elif preflight is not None:
        preflight()
    run.stop_if_cancelled()
    trainer.train(resume_from_checkpoint=str(resume) if resume else None)
    details = {**(details or {}), "rows": counts.as_dict(), "resumed_from": resume.name if resume else ""}
    metrics = publishing.final_metrics(run)
    if progress.cancelled:
        return Outcome(metrics=metrics, tokens=progress.tokens, cancelled=True, details=details)
    run.before_the_end()
    publish_model(run, trainer, tokenizer, metrics, counts)
    trainable = sum(p.numel() for p in trainer.model.parameters() if p.requires_grad)
    metrics["trainable_parameters"] = trainable
    log.info("model/ is written: %s", "adapter" if config.lora else "full weights")
    return Outcome(metrics=metrics, tokens=progress.tokens, details=details)


def publish_model(
    run: Run, trainer: Trainer, tokenizer: PreTrainedTokenizerBase, metrics: dict[str, Any], counts: Counts
) -> None:
    config: TrainingConfig = run.config
    partial = run.directory.path / ".model.partial"
    if distributed.is_main_process():
        shutil.rmtree(partial, ignore_errors=True)
    distributed.barrier()
    dropout.restore_configuration(trainer.model)
    trainer.save_model(str(partial))  # in all processes: sharded weights are gathered
    distributed.barrier()
    if not distributed.is_main_process():
        return
    (partial / "training_args.bin").unlink(missing_ok=True)  # a pickle; run.json has the same settings
    publishing.finish_model(
        partial,
        run,
        tokenizer,
        adapter=config.lora is not None,
        metrics=metrics,
        counts=counts.as_dict(),
        other_base=same_base.overruled(config.model),
    )
