"""Tasks opened together, with their assignment slots. All set-based: 100,000 tasks are a few statements."""

import secrets
from collections.abc import Sequence
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connection, transaction
from django.db.models import QuerySet
from django.utils import timezone

from annotation.errors import Conflict, InvalidInput
from annotation.events import record
from annotation.models import Aspect, Batch, Kind, Project, Prompt, Qualification, User, WeightSet

SEED_LIMIT = 2**31 - 1
# So large an insert leaves the planner with stale figures, and the first claims would scan.
ANALYZE_FROM_TASKS = 1_000

# Each takes the chosen prompts as `chosen(id)` and yields (prompt_id, candidate_ids): one row a task. What is picked
# depends on the seed and the ids alone. Candidate ids come in import order.
TASKS_OF = {
    Kind.WRITING: "SELECT id AS prompt_id, '{}'::bigint[] AS candidate_ids FROM chosen",
    Kind.POSTEDITING: """
        SELECT DISTINCT ON (prompt_id) prompt_id, ARRAY[id] AS candidate_ids FROM usable
        ORDER BY prompt_id, md5(%(seed)s::text || ':' || id)""",
    # The same words from two origins are one task; with origins given, one candidate of each.
    Kind.SCORING: """
        SELECT DISTINCT ON (prompt_id, words) prompt_id, ARRAY[id] AS candidate_ids FROM (
            SELECT DISTINCT ON (prompt_id, CASE WHEN %(origins)s::text[] IS NULL THEN id::text ELSE origin END)
                prompt_id, id, words FROM usable
            ORDER BY prompt_id, CASE WHEN %(origins)s::text[] IS NULL THEN id::text ELSE origin END,
                md5(%(seed)s::text || ':' || id)
        ) AS one_an_origin ORDER BY prompt_id, words, id""",
    Kind.CHOOSING: """
        SELECT DISTINCT ON (a.prompt_id) a.prompt_id, ARRAY[least(a.id, b.id), greatest(a.id, b.id)] AS candidate_ids
        FROM usable a JOIN usable b ON b.prompt_id = a.prompt_id AND b.words <> a.words AND CASE
            WHEN %(origins)s::text[] IS NULL THEN a.id < b.id
            ELSE a.origin = (%(origins)s::text[])[1] AND b.origin = (%(origins)s::text[])[2] END
        ORDER BY a.prompt_id, md5(%(seed)s::text || ':' || a.id || ':' || b.id)""",
}
# Two candidates that differ only in the blanks around them are the same to a reader.
USABLE = """
    SELECT c.id, c.prompt_id, c.origin, md5(btrim(c.text, E' \\t\\n\\r')) AS words
    FROM annotation_candidate c JOIN chosen ON chosen.id = c.prompt_id
    WHERE %(origins)s::text[] IS NULL OR c.origin = ANY(%(origins)s::text[])"""


def open_batch(
    *,
    project: Project,
    kind: str,
    name: str,
    actor: User | None,
    overlap: int | None = None,
    prompts: QuerySet[Prompt] | None = None,
    origins: Sequence[str] | None = None,
    priority: int = 0,
    alternatives: int | None = None,
    qualification: Qualification | None = None,
    seed: int | None = None,
) -> Batch:
    """Open tasks of one kind over the project's prompts (or those of `prompts`), each with `overlap` free slots.

    Writing takes no candidates; post-editing one a prompt; scoring one a task and each candidate a task (with
    `origins`: one of each origin); choosing one pair a prompt whose texts differ (with `origins`: exactly two, one
    candidate of each). The seed shuffles tasks, picks candidates and decides sides: the same seed, the same batch.

    A prompt that yields no task is left out and counted in `batch.selection["left_out"]`.
    Raises InvalidInput when nothing is left, saying why.
    """
    if kind not in Kind.values:
        raise InvalidInput(f"There is no kind {kind!r}; the kinds are {', '.join(Kind.values)}.", [("kind", "Unknown")])
    overlap = project.default_overlap if overlap is None else overlap
    if not 1 <= overlap <= 50:
        raise InvalidInput(f"An overlap of {overlap} is not possible: 1 to 50.", [("overlap", "1 to 50")])
    name = name.strip()[:120]
    if not name:
        raise InvalidInput("A batch needs a name.", [("name", "Give it a name.")])
    origins = list(dict.fromkeys(origins)) if origins else None
    if kind == Kind.WRITING:
        origins = None
    if kind == Kind.CHOOSING and origins is not None and len(origins) != 2:
        raise InvalidInput(
            f"Choosing compares two origins; {len(origins)} given.", [("origins", "Name two origins, or none.")]
        )
    if kind == Kind.SCORING and not Aspect.objects.filter(project=project, retired_at=None).exists():
        raise InvalidInput(
            "Scoring needs aspects: add them in the project's settings.", [("kind", "This project has no aspects.")]
        )
    seed = secrets.randbelow(SEED_LIMIT) if seed is None else seed
    with transaction.atomic():
        batch = Batch.objects.create(
            project=project, name=name, kind=kind, overlap=overlap, priority=priority, seed=seed, created_by=actor,
            alternatives=alternatives or (2 if kind == Kind.CHOOSING else 1), qualification=qualification,
            weight_set=WeightSet.objects.filter(project=project).first() if kind == Kind.SCORING else None,
        )  # fmt: skip
        offered, served, tasks = insert_tasks(batch, prompts, origins)
        if not tasks:
            raise InvalidInput(why_nothing(kind, offered, origins), [("prompts", "No task could be made.")])
        insert_slots(batch)
        batch.selection = {
            "origins": origins, "prompts": served, "tasks": tasks, "left_out": offered - served,
        }  # fmt: skip
        batch.save(update_fields=["selection"])
        record(
            verb="batch.opened", target=batch, actor=actor, project=project,
            after={"name": name, "kind": kind, "overlap": overlap, "priority": priority, "seed": seed,
                   **batch.selection},
        )  # fmt: skip
        if tasks >= ANALYZE_FROM_TASKS:
            transaction.on_commit(analyze)
    return batch


def insert_tasks(batch: Batch, prompts: QuerySet[Prompt] | None, origins: list[str] | None) -> tuple[int, int, int]:
    """Insert the batch's tasks in seeded order: (prompts offered, prompts that got a task, tasks)."""
    rows = Prompt.objects.filter(project_id=batch.project_id)
    if prompts is not None:
        rows = rows.filter(pk__in=prompts.values("pk"))
    try:
        chosen, chosen_params = rows.order_by().values("pk").query.sql_with_params()
    except EmptyResultSet:
        return 0, 0, 0
    params: dict[str, Any] = {"seed": batch.seed, "origins": origins, "batch": batch.pk}
    # Django's own SQL is positional and ours named: the selection is made first, into a table of this transaction.
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TEMPORARY TABLE chosen (id) ON COMMIT DROP AS {chosen}", chosen_params)
        cursor.execute("SELECT count(*) FROM chosen")
        offered = cursor.fetchone()[0]
        cursor.execute(
            f"""WITH usable AS MATERIALIZED ({USABLE}), made AS ({TASKS_OF[Kind(batch.kind)]}),
            inserted AS (
                INSERT INTO annotation_task (batch_id, prompt_id, candidate_ids, position, created_at)
                SELECT %(batch)s, prompt_id, candidate_ids, row_number() OVER (
                    ORDER BY md5(%(seed)s::text || ':' || prompt_id || ':' || candidate_ids::text), prompt_id
                ), now() FROM made
                RETURNING prompt_id
            ) SELECT count(*), count(DISTINCT prompt_id) FROM inserted""",  # noqa: S608 - only our own constants
            params,
        )
        tasks, served = cursor.fetchone()
        cursor.execute("DROP TABLE chosen")
    return offered, served, tasks


def insert_slots(batch: Batch) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            """INSERT INTO annotation_assignment
                (task_id, batch_id, slot, priority, position, state, skip_reason, skip_comment)
            SELECT t.id, t.batch_id, slot, %s, t.position, 'free', '', ''
            FROM annotation_task t CROSS JOIN generate_series(1, %s) AS slot
            WHERE t.batch_id = %s ORDER BY t.position, slot""",
            [batch.priority, batch.overlap, batch.pk],
        )


def analyze() -> None:
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE annotation_task, annotation_assignment")


def why_nothing(kind: str, offered: int, origins: list[str] | None) -> str:
    if not offered:
        return "No prompts match: import prompts first, or widen the selection."
    of = f" from {' and '.join(origins)}" if origins else ""
    if kind == Kind.CHOOSING:
        return (
            f"None of the {offered} prompts has two candidates{of} with different texts: "
            "import or generate more candidates."
        )
    return f"None of the {offered} prompts has a candidate{of}: import or generate candidates first."


def close_batch(*, batch: Batch, actor: User | None) -> Batch:
    """No task is handed out any more; what is in hand may still be submitted. Raises Conflict when already closed."""
    return change_status(batch, actor, old=Batch.Status.OPEN, new=Batch.Status.CLOSED, verb="batch.closed")


def reopen_batch(*, batch: Batch, actor: User | None) -> Batch:
    """Hand out its free slots again. Raises Conflict when it is open."""
    return change_status(batch, actor, old=Batch.Status.CLOSED, new=Batch.Status.OPEN, verb="batch.reopened")


def change_status(batch: Batch, actor: User | None, *, old: str, new: str, verb: str) -> Batch:
    with transaction.atomic():
        closed_at = timezone.now() if new == Batch.Status.CLOSED else None
        if not Batch.objects.filter(pk=batch.pk, status=old).update(status=new, closed_at=closed_at):
            raise Conflict(f"The batch {batch.name} is {new} already.")
        batch.status, batch.closed_at = new, closed_at
        record(
            verb=verb, target=batch, actor=actor, project=batch.project, before={"status": old}, after={"status": new}
        )
    return batch
