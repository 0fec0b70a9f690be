"""Rounds: fresh prompts, output of the promoted checkpoint and its parent, and a blind batch that compares them."""

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils.translation import gettext as _

from annotation.core.errors import Conflict, DomainError, InvalidInput
from annotation.core.events import record
from annotation.core.exclusions import usable_prompts
from annotation.models import Batch, Kind, Project, Prompt, User
from annotation.queue.batches import close_batch, open_batch
from training.engine_jobs.queue import resume
from training.models import Checkpoint, Generation, Round, Run
from training.results.checkpoints import other_base_allowed, promoted_checkpoint
from training.results.generations import create_generation, origin_of

DEFAULT_PROMPTS = 100
# Statuses of a round whose batch has opened.
OPENED = (Round.Status.COLLECTING, Round.Status.CLOSED)


@transaction.atomic
def current_round(project: Project) -> Round:
    """The project's newest round. The first is made when it is needed, with all batches that exist."""
    current = Round.objects.filter(project=project).order_by("-number").first()
    if current is None:
        current, created = Round.objects.get_or_create(project=project, number=1)
        if created:
            current.batches.set(Batch.objects.filter(project=project))
            record(verb="round.started", target=current, actor=None, project=project, after={"number": 1})
    return current


def fresh_prompts(project: Project) -> QuerySet[Prompt]:
    """Prompts without a task in any batch, and not withdrawn."""
    return usable_prompts(project).filter(tasks=None)


def start_round(
    *,
    project: Project,
    actor: User | None,
    prompts: int = DEFAULT_PROMPTS,
    reuse: bool = False,
    overlap: int | None = None,
    options: dict[str, Any] | None = None,
    after: int | None = None,
    close_batches: bool = True,
) -> Round:
    """Round n+1: two generations are queued, and when both are done a blind batch opens (see `advance`).

    Then the earlier rounds' open batches are closed, so that people have one round to work on; without
    `close_batches` they stay open, and so does their round until the last of them is closed (see `settle`).

    `prompts` fresh prompts are drawn, the oldest first; with `reuse`, prompts that had a task already make up for what
    is missing. Each is answered `overlap` times, never adaptively: which model is preferred is not to depend on where
    people differed. `options` are the generations' (samples, temperature …). `after` is the number of the round that
    the person saw: a second click finds a newer one and gets that. A round that is being prepared is returned as it
    is; one that failed is started again under its number (`retry_round` reuses what it has instead).
    Raises Conflict without a promoted checkpoint or without anything to compare it with, InvalidInput without prompts.
    """
    with transaction.atomic():
        # One at a time: the row of the project is the lock, and the round's unique number decides.
        Project.objects.select_for_update().get(pk=project.pk)
        last = current_round(project)
        if last.status == Round.Status.PREPARING or (after is not None and last.number > after):
            return last
        last.batches.add(*Batch.objects.filter(project=project, rounds=None))
        checkpoint = _checkpoint_to_judge(project)
        chosen = _draw_prompts(project, prompts, reuse)
        values = {
            "status": Round.Status.PREPARING,
            "checkpoint": checkpoint,
            "settings": {
                "prompts": chosen,
                "overlap": overlap,
                "options": options or {},
                "close_batches": close_batches,
            },
            "created_by": actor,
            "error": "",
        }
        number = last.number if last.status == Round.Status.FAILED else last.number + 1
        started, created = Round.objects.update_or_create(project=project, number=number, defaults=values)
        if not created:
            started.generations.update(round=None)
        _queue_generations(started, checkpoint, actor)
        record(
            verb="round.started",
            target=started,
            actor=actor,
            project=project,
            after={"number": started.number, "checkpoint": checkpoint.pk, "prompts": len(chosen)},
        )
    return started


@transaction.atomic
def retry_round(*, round: Round, actor: User | None) -> Round:
    """Retry a failed round: generations that failed are resumed, finished ones stay."""
    if not Round.objects.filter(pk=round.pk, status=Round.Status.FAILED).update(
        status=Round.Status.PREPARING, error=""
    ):
        raise Conflict(_("round %(number)s has not failed") % {"number": round.number})
    for generation in round.generations.filter(status__in=(Generation.Status.FAILED, Generation.Status.CANCELLED)):
        resume(generation, actor)
    record(verb="round.retried", target=round, actor=actor, project=round.project)
    round.refresh_from_db()
    advance(round)
    round.refresh_from_db()
    return round


@transaction.atomic
def advance(round: Round) -> None:
    """Open the batch of a prepared round once its generations are done, or say why it cannot be.

    Called when a generation ends and by the watcher; the row's lock lets one caller at a time look.
    """
    locked = Round.objects.select_for_update().filter(pk=round.pk, status=Round.Status.PREPARING).first()
    if locked is None:
        return
    generations = list(locked.generations.select_related("checkpoint").order_by("id"))
    over = [generation for generation in generations if not generation.is_live]
    ended_badly = [generation for generation in over if generation.status != Generation.Status.SUCCEEDED]
    if ended_badly:
        _fail(locked, f"generation {ended_badly[0].pk} {ended_badly[0].status}: {ended_badly[0].error[:2000]}")
    elif len(over) == len(generations):
        try:
            with transaction.atomic():
                _open_batch(locked, generations)
        except DomainError as error:
            _fail(locked, str(error))


def advance_all() -> None:
    """Advance every round that is being prepared, in case an earlier call was lost."""
    for round in Round.objects.filter(status=Round.Status.PREPARING):
        advance(round)
    settle()


def settle(project: Project | None = None) -> None:
    """Close the rounds before the newest that have no open batch, and reopen those whose batch was reopened.

    Batches are closed and reopened without knowing of rounds, so the watcher looks here, too.
    """
    rounds = Round.objects.filter(status__in=(Round.Status.COLLECTING, Round.Status.CLOSED))
    if project is not None:
        rounds = rounds.filter(project=project)
    newer = Round.objects.filter(project=OuterRef("project"), number__gt=OuterRef("number"), status__in=OPENED)
    open_batches = Batch.objects.filter(rounds=OuterRef("pk"), status=Batch.Status.OPEN)
    asked = rounds.annotate(is_over=Exists(newer) & ~Exists(open_batches))
    for round in asked.filter(
        Q(is_over=True, status=Round.Status.COLLECTING) | Q(is_over=False, status=Round.Status.CLOSED)
    ):
        old, new = Round.Status.COLLECTING, Round.Status.CLOSED
        if not round.is_over:
            old, new = new, old
        with transaction.atomic():
            if Round.objects.filter(pk=round.pk, status=old).update(status=new):
                record(
                    verb="round.closed" if round.is_over else "round.reopened",
                    target=round,
                    actor=None,
                    project=round.project,
                    before={"status": old},
                    after={"status": new},
                )


def open_batches_before(project: Project, number: int) -> QuerySet[Batch]:
    """The open batches of the project's rounds before this number."""
    earlier = Round.objects.filter(project=project, number__lt=number)
    return Batch.objects.filter(rounds__in=earlier, status=Batch.Status.OPEN).distinct().order_by("id")


def _checkpoint_to_judge(project: Project) -> Checkpoint:
    checkpoint = promoted_checkpoint(project)
    if checkpoint is None:
        raise Conflict(_("no checkpoint is promoted yet: promote one, so that its output can be compared"))
    if checkpoint.run.trainer == Run.Trainer.PRETRAIN:
        raise Conflict(
            _("checkpoint %(number)s was trained from scratch: there is no earlier model to compare it with")
            % {"number": checkpoint.pk}
        )
    return checkpoint


def _draw_prompts(project: Project, number: int, reuse: bool) -> list[int]:
    if number < 1:
        raise InvalidInput(
            _("prompts must be at least 1, got %(number)s") % {"number": number}, [("prompts", _("at least 1"))]
        )
    chosen = list(fresh_prompts(project).order_by("id").values_list("pk", flat=True)[:number])
    if reuse and len(chosen) < number:
        used = usable_prompts(project).exclude(tasks=None).order_by("id")
        chosen += list(used.values_list("pk", flat=True)[: number - len(chosen)])
    if not chosen:
        raise InvalidInput(
            _("every prompt already has a task: import more prompts, or reuse the existing ones (--reuse-prompts)"),
            [("prompts", _("no fresh prompts are left: import more, or reuse"))],
        )
    return chosen


def _queue_generations(round: Round, checkpoint: Checkpoint, actor: User | None) -> None:
    prompts = Prompt.objects.filter(pk__in=round.settings["prompts"])
    options = round.settings["options"]
    # Two seeds: with one, models that are close to each other would say the same.
    seed = options.get("seed", 17)
    for model, own_seed in ((checkpoint, seed), (checkpoint.parent, seed + 1)):
        create_generation(
            project=round.project,
            prompts=prompts,
            actor=actor,
            checkpoint=model,
            base_model="" if model else checkpoint.base_model,
            allow_other_base=other_base_allowed(checkpoint.run),
            options={**options, "seed": own_seed},
            round=round,
        )


def _open_batch(round: Round, generations: Iterable[Generation]) -> None:
    batch = open_batch(
        project=round.project,
        kind=Kind.CHOOSING,
        name=f"Round {round.number}",
        actor=round.created_by,
        overlap=round.settings.get("overlap"),
        prompts=Prompt.objects.filter(pk__in=round.settings["prompts"]),
        origins=[origin_of(generation) for generation in generations],
    )
    round.batches.add(batch)
    Round.objects.filter(pk=round.pk, status=Round.Status.PREPARING).update(status=Round.Status.COLLECTING)
    if round.settings.get("close_batches", False):
        for earlier in open_batches_before(round.project, round.number):
            # Somebody may have closed it at this moment.
            with suppress(Conflict):
                close_batch(batch=earlier, actor=round.created_by)
    settle(round.project)
    record(
        verb="round.collecting",
        target=round,
        actor=round.created_by,
        project=round.project,
        before={"status": Round.Status.PREPARING},
        after={"status": Round.Status.COLLECTING, "batch": batch.pk},
    )


def _fail(round: Round, error: str) -> None:
    Round.objects.filter(pk=round.pk, status=Round.Status.PREPARING).update(status=Round.Status.FAILED, error=error)
    record(
        verb="round.failed",
        target=round,
        actor=None,
        project=round.project,
        before={"status": Round.Status.PREPARING},
        after={"status": Round.Status.FAILED, "error": error},
    )
