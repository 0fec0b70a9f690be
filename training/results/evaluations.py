"""Evaluations: figures and sample outputs of a checkpoint on held-out rows, beside its parent's."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext as _

from annotation.core.errors import InvalidInput
from annotation.core.withdrawals import refuse_withdrawn_dataset
from annotation.models import DatasetVersion, User
from training.contract.config import EvaluationConfig, ModelSource
from training.engine_jobs import model_folders
from training.engine_jobs.queue import code_versions, enqueue, link_dataset
from training.models import Checkpoint, Evaluation, Run
from training.results.checkpoints import model_source, other_base_allowed

OPTIONS = {"max_new_tokens", "sample_outputs", "metrics_limit", "batch_size", "max_length", "seed", "threads"}


@transaction.atomic
def create_evaluation(
    *,
    checkpoint: Checkpoint,
    actor: User | None,
    dataset: DatasetVersion | None = None,
    options: Mapping[str, Any] | None = None,
    allow_other_base: bool = False,
) -> Evaluation:
    """A queued evaluation on the held-out rows of `dataset` (by default the one that the checkpoint was trained on).

    Raises InvalidInput where there is no such dataset, or it has no held-out rows; Conflict for one that
    contains answers of somebody who withdrew consent.
    """
    dataset = dataset or checkpoint.dataset
    if dataset is None:
        raise InvalidInput(
            _("checkpoint %(number)s was not trained on a dataset: choose one with --dataset")
            % {"number": checkpoint.pk}
        )
    if dataset.project_id != checkpoint.project_id:
        raise InvalidInput(_("dataset %(number)s does not belong to the checkpoint's project") % {"number": dataset.pk})
    refuse_withdrawn_dataset(dataset)
    if not dataset.held_out_rows:
        raise InvalidInput(
            _("dataset %(number)s has no held-out rows to evaluate on: annotate some, freeze again")
            % {"number": dataset.pk}
        )
    unknown = sorted(set(options or {}) - OPTIONS)
    if unknown:
        raise InvalidInput(
            _("unknown option: %(names)s (available: %(known)s)")
            % {"names": ", ".join(unknown), "known": ", ".join(sorted(OPTIONS))}
        )
    run = checkpoint.run
    start = starting_model(run)
    model = model_source(checkpoint)
    if allow_other_base:
        model = replace(model, allow_other_base=True)
        start = start and replace(start, allow_other_base=True)
    evaluation = Evaluation(project=checkpoint.project, checkpoint=checkpoint, dataset=dataset)
    enqueue(
        evaluation,
        configure=lambda name: EvaluationConfig(
            run_id=name,
            model=model,
            parent=start,
            # The implicit reward of DPO and KTO is measured against the model that the run started from.
            reference=start if run.trainer in (Run.Trainer.DPO, Run.Trainer.KTO) else None,
            dataset_sha256=dataset.sha256,
            token_cache=str(settings.VAR / "cache" / "tokens"),
            versions=code_versions(),
            **{
                "beta": run.config.get("beta", 0.1),
                "max_length": run.config.get("max_length", 1024),
                "threads": run.config.get("threads", 0),
                "target_language": checkpoint.project.target_language,
                **(options or {}),
            },
        ),
        actor=actor,
    )
    link_dataset(evaluation, dataset)
    return evaluation


def starting_model(run: Run) -> ModelSource | None:
    """What the run started from: its parent checkpoint, its base model, or nothing (a base made from scratch)."""
    if run.parent is not None:
        return model_source(run.parent)
    if not run.base_model:
        return None
    return replace(model_folders.source_of(run.base_model), allow_other_base=other_base_allowed(run))


def read_samples(evaluation: Evaluation, limit: int = 50) -> list[dict[str, Any]]:
    """The first sample outputs: what `samples.jsonl` holds, or nothing while there is none."""
    path = evaluation.directory.samples_path
    if not path.exists():
        return []
    samples: list[dict[str, Any]] = []
    with path.open(encoding="utf-8") as file:
        for line in file:
            if len(samples) == limit:
                break
            if line.endswith("\n"):  # else torn, by an engine that was killed
                samples.append(json.loads(line))
    return samples
