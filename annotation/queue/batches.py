"""Tasks opened together, with their assignment slots. All set-based: 100,000 tasks are a few statements."""

import secrets
from collections.abc import Sequence
from dataclasses import asdict

from django.db import connection, transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from annotation.core.errors import Conflict, InvalidInput
from annotation.core.events import record
from annotation.core.locks import Lock, key_of, lock_until_commit
from annotation.models import Batch, Project, Prompt, Qualification, User
from annotation.queue.arms import insert_arms
from annotation.queue.batch_plan import clear_tasks, deal_tasks, plan_batch
from annotation.queue.prompt_selection import PromptSelection
from annotation.queue.workforce import TooFewPeople, describe_shortage, find_shortage, workforce_of
from annotation.text.normalization import has_ink

SEED_LIMIT = 2**31 - 1
# After an insert this large the planner's statistics are stale, and the first claims would scan the table.
ANALYZE_FROM_TASKS = 1_000


def open_batch(
    *,
    project: Project,
    kind: str,
    name: str,
    actor: User | None,
    overlap: int | None = None,
    prompts: QuerySet[Prompt] | PromptSelection | None = None,
    origins: Sequence[str] | None = None,
    priority: int = 0,
    alternatives: int | None = None,
    qualification: Qualification | None = None,
    seed: int | None = None,
    accept_missing: int | None = None,
    once: bool = False,
    requires_review: bool = False,
    overlap_most: int | None = None,
    sure: float | None = None,
) -> Batch:
    """Open tasks of one kind over the project's prompts (or those of `prompts`), each with `overlap` free slots.

    With `overlap_most` (choosing only, and an `overlap` of 2 at least) the overlap is adaptive: a task gets one more
    slot at a time, up to so many, while the best answer's probability is below `sure` (default 0.95; see
    `annotation.quality.overlap`).

    Writing takes no candidates; post-editing one a prompt. Scoring takes each different text of a prompt (with
    `origins`: one of each origin), `alternatives` of them side by side in a task (default 1). Choosing takes up to
    `alternatives` (default 2) texts of a prompt that differ, two at least (with `origins`: exactly as many origins,
    one candidate of each). The seed draws the prompts of a limited selection, shuffles tasks, picks candidates and
    decides sides: the same seed, the same batch. With `requires_review`, answers count only after review.

    Where the selection asks for uncertain or diverse prompts, `TaskArm` says how each task was selected
    (`queue.arms`).

    Texts of a prompt that read the same count as one. A prompt that yields no task is left out and counted in
    `batch.selection["left_out"]`; see `queue.left_out` for the reasons.
    Where the batch asks for more answers than the project's people can give, `batch.selection["shortage"]` says so
    (`queue.workforce.Shortage`). With `accept_missing`, more answers than these that nobody can give are refused.
    With `once`, the batch that this person opened with the same seed and settings is returned: a form that is sent
    twice, which a person does while a long one is being opened, opens one.
    Raises InvalidInput when nothing is left, saying why, and TooFewPeople.
    """
    with transaction.atomic():
        if once:
            lock_until_commit(Lock.BATCHES, project.pk)
        batch = plan_batch(
            project=project,
            kind=kind,
            overlap=overlap,
            origins=origins,
            alternatives=alternatives,
            qualification=qualification,
            seed=new_seed() if seed is None else seed,
            overlap_most=overlap_most,
            sure=sure,
        )
        batch.name, batch.priority, batch.created_by = name.strip()[:120], priority, actor
        batch.requires_review = requires_review
        if not has_ink(batch.name):
            raise InvalidInput(_("A batch needs a name."), [("name", _("Enter a name."))])
        if isinstance(prompts, PromptSelection):
            batch.selection["asked"] = asdict(prompts)
        if once and (known := opened_before(batch)):
            return known
        batch.selection = deal_tasks(batch, prompts)
        shortage = find_shortage(batch, workforce_of(batch))
        if shortage is not None:
            batch.selection["shortage"] = asdict(shortage)
        if shortage is not None and accept_missing is not None and shortage.missing > accept_missing:
            message = describe_shortage(shortage)
            raise TooFewPeople(message, [("accept_missing", message)])
        batch.save(force_insert=True)
        insert_tasks(batch)
        insert_arms(batch)
        insert_slots(batch)
        clear_tasks()
        record(
            verb="batch.opened",
            target=batch,
            actor=actor,
            project=project,
            after={
                "name": batch.name,
                "kind": kind,
                "overlap": batch.overlap,
                **({"overlap_most": batch.overlap_most, "sure": batch.sure} if batch.overlap_most else {}),
                "priority": priority,
                "seed": batch.seed,
                "requires_review": requires_review,
                **batch.selection,
            },
        )
        if batch.selection["tasks"] >= ANALYZE_FROM_TASKS:
            transaction.on_commit(analyze)
    return batch


def opened_before(batch: Batch) -> Batch | None:
    """The batch that the same form opened."""
    same = (
        "project",
        "kind",
        "name",
        "seed",
        "overlap",
        "overlap_most",
        "sure",
        "priority",
        "alternatives",
        "qualification",
        "created_by",
        "requires_review",
    )
    rows = Batch.objects.filter(**{name: getattr(batch, name) for name in same})
    return rows.filter(**{f"selection__{name}": batch.selection[name] for name in ("asked", "origins")}).first()


def new_seed() -> int:
    return secrets.randbelow(SEED_LIMIT)


def insert_tasks(batch: Batch) -> None:
    """Insert the tasks that were dealt out, in the order of the seed. From here until they are committed no prompt of
    the project is withdrawn or restored."""
    with connection.cursor() as cursor:
        cursor.execute(
            """WITH locked AS MATERIALIZED (SELECT pg_advisory_xact_lock_shared(%s, %s))
            INSERT INTO annotation_task (batch_id, prompt_id, candidate_ids, position, created_at)
            SELECT %s, prompt_id, candidate_ids, row_number() OVER (
                ORDER BY md5(%s::text || ':' || prompt_id || ':' || candidate_ids::text), prompt_id
            ), now() FROM made CROSS JOIN locked""",
            [Lock.TASKS, key_of(batch.project_id), batch.pk, batch.seed],
        )


def insert_slots(batch: Batch) -> None:
    """The slots of the batch's tasks: free, but for those of a prompt that was withdrawn since the tasks were dealt."""
    with connection.cursor() as cursor:
        cursor.execute(
            """INSERT INTO annotation_assignment
                (task_id, batch_id, slot, priority, position, state, skip_reason, skip_comment)
            SELECT t.id, t.batch_id, slot, %s, t.position,
                CASE WHEN e.prompt_id IS NULL THEN 'free' ELSE 'withdrawn' END, '', ''
            FROM annotation_task t CROSS JOIN generate_series(1, %s) AS slot
                LEFT JOIN annotation_exclusion e ON e.prompt_id = t.prompt_id AND e.lifted_at IS NULL
            WHERE t.batch_id = %s ORDER BY t.position, slot""",
            [batch.priority, batch.overlap, batch.pk],
        )


def analyze() -> None:
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE annotation_task, annotation_assignment")


def close_batch(*, batch: Batch, actor: User | None) -> Batch:
    """Stop handing out tasks; held ones may still be submitted. Raises Conflict when already closed."""
    return change_status(batch, actor, old=Batch.Status.OPEN, new=Batch.Status.CLOSED, verb="batch.closed")


def reopen_batch(*, batch: Batch, actor: User | None) -> Batch:
    """Hand out its free slots again. Raises Conflict when already open."""
    return change_status(batch, actor, old=Batch.Status.CLOSED, new=Batch.Status.OPEN, verb="batch.reopened")


def change_status(batch: Batch, actor: User | None, *, old: str, new: str, verb: str) -> Batch:
    with transaction.atomic():
        closed_at = timezone.now() if new == Batch.Status.CLOSED else None
        if not Batch.objects.filter(pk=batch.pk, status=old).update(status=new, closed_at=closed_at):
            message = _("The batch %(name)s is already open.")
            if new == Batch.Status.CLOSED:
                message = _("The batch %(name)s is already closed.")
            raise Conflict(message % {"name": batch.name})
        batch.status, batch.closed_at = new, closed_at
        record(
            verb=verb, target=batch, actor=actor, project=batch.project, before={"status": old}, after={"status": new}
        )
    return batch
