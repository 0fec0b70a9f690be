"""Runs: one execution of a trainer, from its choices to its directory."""

import dataclasses
import shlex
import shutil
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext as _

from annotation.core.errors import InvalidInput
from annotation.core.withdrawals import refuse_withdrawn_dataset
from annotation.datasets.label_balance import untrainable_reason
from annotation.models import DatasetVersion, Project, User
from training.contract.config import (
    ALLOW_OTHER_BASE,
    TRACKERS,
    Architecture,
    ConfigError,
    LoraSettings,
    ModelSource,
    Program,
    TrainingConfig,
)
from training.contract.run_directory import CORPUS
from training.engine_jobs import model_folders
from training.engine_jobs.queue import code_versions, enqueue, link_dataset
from training.models import Checkpoint, Run
from training.results.checkpoints import model_source
from training.results.withdrawals import refuse_withdrawn_checkpoint
from training.rounds import lifecycle, lineage
from training.runs import options as training_options
from training.runs.describe import clean_description

PROGRAMS: dict[str, Program] = {
    Run.Trainer.PRETRAIN: "pretrain",
    Run.Trainer.SFT: "train_sft",
    Run.Trainer.DPO: "train_dpo",
    Run.Trainer.KTO: "train_kto",
}
# Trainers that compare with a reference model: their runs share its log-probabilities.
REFERENCED = (Run.Trainer.DPO, Run.Trainer.KTO)
# What a person may choose; the rest of the configuration follows from the run itself.
OPTIONS = {field.name for field in dataclasses.fields(TrainingConfig)} - {
    "program",
    "run_id",
    "model",
    "dataset",
    "dataset_sha256",
    "reference_cache",
    "token_cache",
    "versions",
}


@transaction.atomic
def create_run(
    *,
    project: Project,
    trainer: str,
    dataset: DatasetVersion | None,
    actor: User | None,
    base_model: str = "",
    parent: Checkpoint | None = None,
    options: Mapping[str, Any] | None = None,
    corpus: Path | None = None,
    evaluate: bool = True,
    allow_other_base: bool = False,
    name: str = "",
    note: str = "",
    replaces: Run | None = None,
) -> Run:
    """A queued run with its directory; the worker (or a waiting command) launches it.

    It starts from `base_model` (a folder below the allowed roots) or from `parent`. `options` are fields of
    TrainingConfig; the others have the trainer's defaults. `lora=None` is full fine-tuning. A `pretrain` run starts
    from nothing and reads `corpus` (a file of lines `{"text"}` or `{"messages"}`) in place of a dataset. `name` and
    `note` are for people (see `describe`).
    `allow_other_base` lets it start from an adapter that was trained on another base than the one that it is put on.
    Raises InvalidInput, or Conflict where the dataset's files are missing, or where dataset or parent contain answers
    of somebody who withdrew consent. `replaces` is the run that this one is started in place of.
    """
    options = dict(options or {})
    _check_dataset(project, trainer, dataset, corpus)
    model = _starting_model(project, trainer, base_model, parent)
    model = dataclasses.replace(model, allow_other_base=allow_other_base or model.allow_other_base)
    unknown = sorted(set(options) - OPTIONS)
    if unknown:
        raise InvalidInput(
            _("unknown option: %(names)s (available: %(known)s)")
            % {"names": ", ".join(unknown), "known": ", ".join(sorted(OPTIONS))}
        )
    for part, shape in (("lora", LoraSettings), ("architecture", Architecture)):
        if isinstance(options.get(part), Mapping):
            try:
                options[part] = shape(**options[part])
            except TypeError as error:
                raise InvalidInput(f"{part}: {error}") from error
            except ConfigError as error:
                raise InvalidInput(str(error)) from error
    _check_installed(options.get("report_to", ()), options.get("lora"))
    run = Run(
        project=project,
        trainer=trainer,
        round=(dataset and lineage.round_of(dataset)) or lifecycle.current_round(project),
        dataset=dataset,
        base_model=base_model if parent is None else "",
        parent=parent,
        evaluate=evaluate,
        replaces=replaces,
        **clean_description(name=name, note=note),
    )
    enqueue(
        run,
        configure=lambda name: TrainingConfig(
            program=PROGRAMS[trainer],
            run_id=name,
            model=model,
            dataset_sha256=dataset.sha256 if dataset else "",
            reference_cache=str(settings.VAR / "cache" / "reference") if trainer in REFERENCED else "",
            token_cache=str(settings.VAR / "cache" / "tokens") if dataset else "",
            versions=code_versions(),
            **options,
        ),
        actor=actor,
    )
    if dataset is not None:
        link_dataset(run, dataset)
    elif corpus is not None:
        run.directory.dataset.mkdir()
        shutil.copyfile(corpus, run.directory.dataset / CORPUS)
    return run


def command_line(run: Run) -> str:
    """The command that makes the same run again."""
    start = ["--checkpoint", str(run.parent_id)]
    if not run.parent_id:
        start = ["--model", shlex.quote(model_folders.name_to_give(run.base_model))]
    chosen = training_options.to_argv(run.trainer, run.config)
    if run.config.get("model", {}).get("allow_other_base"):
        start.append(ALLOW_OTHER_BASE.flag)
    evaluate = [] if run.evaluate else ["--no-evaluate"]
    return " ".join(["manage.py", f"train_{run.trainer}", str(run.dataset_id), *start, *chosen, *evaluate])


def _check_dataset(project: Project, trainer: str, dataset: DatasetVersion | None, corpus: Path | None) -> None:
    if trainer not in PROGRAMS:
        raise InvalidInput(
            _("no trainer %(trainer)s (available: %(names)s)")
            % {"trainer": f"{trainer!r}", "names": ", ".join(PROGRAMS)}
        )
    if trainer == Run.Trainer.PRETRAIN:
        if dataset is not None or corpus is None:
            raise InvalidInput(_("a base model is trained on a corpus file, not on a dataset"))
        return
    if dataset is None:
        raise InvalidInput(_("choose a dataset to train on"), [("dataset", _("choose one"))])
    if dataset.project_id != project.pk:
        raise InvalidInput(
            _("dataset %(number)s does not belong to project %(slug)s") % {"number": dataset.pk, "slug": project.slug}
        )
    if dataset.purpose != trainer:
        raise InvalidInput(
            _(
                "dataset %(number)s was frozen for %(purpose)s, and %(trainer)s cannot train on it: "
                "freeze one with --for %(trainer)s"
            )
            % {"number": dataset.pk, "purpose": dataset.purpose, "trainer": trainer},
            [
                (
                    "dataset",
                    _("frozen for %(purpose)s, not for %(trainer)s") % {"purpose": dataset.purpose, "trainer": trainer},
                )
            ],
        )
    refuse_withdrawn_dataset(dataset)
    if not dataset.train_rows:
        raise InvalidInput(
            _("dataset %(number)s has no training rows: annotate more, then freeze again") % {"number": dataset.pk}
        )
    if reason := untrainable_reason(dataset):
        raise InvalidInput(
            _("nothing can be trained on dataset %(number)s. %(reason)s") % {"number": dataset.pk, "reason": reason},
            [("dataset", reason)],
        )


def _check_installed(trackers: Sequence[str], lora: Any) -> None:
    """The engine runs in this very environment: what it would miss is said before anything is queued."""
    missing = [name for name in trackers if name in TRACKERS and find_spec(name) is None]
    if missing:
        raise InvalidInput(
            _("%(names)s is not installed: pip install 'konomi[tracking]', or remove it from --report-to")
            % {"names": ", ".join(missing)}
        )
    if isinstance(lora, LoraSettings) and lora.quantization != "none" and find_spec("bitsandbytes") is None:
        raise InvalidInput(
            _("quantization needs bitsandbytes: pip install 'konomi[quantized]', or omit --quantization")
        )


def _starting_model(project: Project, trainer: str, base_model: str, parent: Checkpoint | None) -> ModelSource:
    if trainer == Run.Trainer.PRETRAIN:
        if base_model or parent:
            raise InvalidInput(_("a base model is trained from scratch: do not choose a starting model"))
        return ModelSource(base="")
    if parent is None:
        if not base_model:
            raise InvalidInput(_("choose a starting model: a base model or a checkpoint"))
        return model_folders.source_of(base_model)
    if parent.project_id != project.pk:
        raise InvalidInput(
            _("checkpoint %(number)s does not belong to project %(slug)s") % {"number": parent.pk, "slug": project.slug}
        )
    refuse_withdrawn_checkpoint(parent)
    if base_model and model_folders.source_of(base_model).base != root_base(parent):
        raise InvalidInput(
            _(
                "checkpoint %(number)s is based on %(root_base)s, not on %(base_model)s: omit --model, or give "
                "that folder"
            )
            % {"number": parent.pk, "root_base": root_base(parent), "base_model": base_model}
        )
    return model_source(parent)


def root_base(checkpoint: Checkpoint) -> str:
    return model_folders.source_of(checkpoint.base_model).base
