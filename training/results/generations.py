"""Generations: candidates asked of a model for prompts, by an engine job."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from annotation.core.errors import Conflict, InvalidInput
from annotation.importing.candidates import NewCandidate, add_candidates
from annotation.models import Project, Prompt, User
from annotation.text.conversation import conversation
from training.contract.config import GenerationConfig
from training.engine_jobs import model_folders
from training.engine_jobs.queue import code_versions, enqueue
from training.models import Checkpoint, Generation, Round
from training.results.checkpoints import model_source

OPTIONS = {"samples", "temperature", "top_p", "max_new_tokens", "batch_size", "seed", "threads"}


@transaction.atomic
def create_generation(
    *,
    project: Project,
    prompts: QuerySet[Prompt],
    actor: User | None,
    checkpoint: Checkpoint | None = None,
    base_model: str = "",
    options: Mapping[str, Any] | None = None,
    round: Round | None = None,
    allow_other_base: bool = False,
) -> Generation:
    """A queued generation for these prompts, by a checkpoint or by a model folder below the allowed roots.

    Raises InvalidInput for no prompts, no model or options out of range.
    """
    if (checkpoint is None) == (not base_model):
        raise InvalidInput(_("choose one model: a checkpoint, or a model folder"))
    if checkpoint is not None and checkpoint.project_id != project.pk:
        raise InvalidInput(
            _("checkpoint %(number)s does not belong to project %(slug)s")
            % {"number": checkpoint.pk, "slug": project.slug}
        )
    unknown = sorted(set(options or {}) - OPTIONS)
    if unknown:
        raise InvalidInput(
            _("unknown option: %(names)s (available: %(known)s)")
            % {"names": ", ".join(unknown), "known": ", ".join(sorted(OPTIONS))}
        )
    model = model_source(checkpoint) if checkpoint else model_folders.source_of(base_model)
    model = replace(model, allow_other_base=allow_other_base or model.allow_other_base)
    generation = Generation(project=project, checkpoint=checkpoint, base_model=base_model, round=round)
    enqueue(
        generation,
        configure=lambda name: GenerationConfig(run_id=name, model=model, versions=code_versions(), **(options or {})),
        actor=actor,
    )
    generation.prompts_count = _write_prompts(generation, prompts)
    if not generation.prompts_count:
        raise InvalidInput(_("no prompts to generate for: import some, or widen the selection"))
    generation.save(update_fields=["prompts_count"])
    return generation


def origin_of(generation: Generation) -> str:
    """How its candidates name where they come from."""
    if generation.checkpoint is not None:
        return generation.checkpoint.origin
    return origin_of_base(generation.base_model)


def origin_of_base(base_model: str) -> str:
    return f"import:model/{model_folders.short_name(base_model)}"[:180]


def ingest_candidates(generation: Generation) -> int:
    """Add what the engine wrote as candidates; texts that are there already stay once. Returns how many are new."""
    return add_candidates(project=generation.project, candidates=_candidates(generation), actor=generation.created_by)


def read_candidates(generation: Generation) -> Iterator[dict[str, Any]]:
    """The lines of candidates.jsonl. A torn one (of an engine that was killed, then resumed) is passed over."""
    path = generation.directory.candidates_path
    if not path.exists():
        raise Conflict(
            _("%(generation)s wrote no candidates: %(path)s is missing") % {"generation": generation, "path": path}
        )
    with path.open(encoding="utf-8") as file:
        for line in file:
            try:
                row = json.loads(line)
            except json.JSONDecodeError:
                continue
            if isinstance(row, dict) and str(row.get("text", "")).strip():
                yield row


def _candidates(generation: Generation) -> Iterator[NewCandidate]:
    origin = origin_of(generation)
    config = generation.config
    sampling = {name: config[name] for name in ("temperature", "top_p", "seed", "max_new_tokens")}
    for row in read_candidates(generation):
        yield NewCandidate(
            prompt_id=row["prompt"],
            text=row["text"],
            origin=origin,
            generation={"generation": generation.pk, "index": row["index"], **sampling},
        )


def _write_prompts(generation: Generation, prompts: QuerySet[Prompt]) -> int:
    count = 0
    with generation.directory.prompts_path.open("w", encoding="utf-8") as file:
        for prompt in prompts.order_by("id").iterator(chunk_size=2000):
            messages = conversation(prompt.text, prompt.messages, generation.project.persona)
            file.write(json.dumps({"id": prompt.pk, "messages": messages}, ensure_ascii=False) + "\n")
            count += 1
    return count
