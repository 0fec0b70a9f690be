"""Tasks opened together, with their assignment slots. All set-based: 100,000 tasks are a few statements."""

import secrets
from collections.abc import Sequence
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connection, transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from annotation.core.errors import Conflict, InvalidInput
from annotation.core.events import record
from annotation.kinds import KINDS
from annotation.models import Aspect, Batch, Kind, Project, Prompt, Qualification, User, WeightSet
from annotation.queue.batch_changes import qualification_problems
from annotation.queue.left_out import count_left_out, left_out_sentences
from annotation.queue.same_reading import find_same_reading
from annotation.queue.task_selection import USABLE, tasks_query

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
    prompts: QuerySet[Prompt] | None = None,
    origins: Sequence[str] | None = None,
    priority: int = 0,
    alternatives: int | None = None,
    qualification: Qualification | None = None,
    seed: int | None = None,
) -> Batch:
    """Open tasks of one kind over the project's prompts (or those of `prompts`), each with `overlap` free slots.

    Writing takes no candidates; post-editing one a prompt. Scoring takes each different text of a prompt (with
    `origins`: one of each origin), `alternatives` of them side by side in a task (default 1). Choosing takes up to
    `alternatives` (default 2) texts of a prompt that differ, two at least (with `origins`: exactly as many origins,
    one candidate of each). The seed shuffles tasks, picks candidates and decides sides: the same seed, the same batch.

    Texts of a prompt that read the same count as one. A prompt that yields no task is left out and counted in
    `batch.selection["left_out"]`; see `queue.left_out` for the reasons.
    Raises InvalidInput when nothing is left, saying why.
    """
    if kind not in Kind.values:
        values = {"kind": kind[:40], "kinds": ", ".join(Kind.values)}
        raise InvalidInput(_("Unknown kind “%(kind)s”. The kinds are %(kinds)s.") % values, [("kind", _("Unknown"))])
    overlap = project.default_overlap if overlap is None else overlap
    if not 1 <= overlap <= 50:
        message = _("An overlap of %(overlap)d is not possible: 1 to 50.") % {"overlap": overlap}
        raise InvalidInput(message, [("overlap", _("1 to 50"))])
    name = name.strip()[:120]
    if not name:
        raise InvalidInput(_("A batch needs a name."), [("name", _("Enter a name."))])
    origins = list(dict.fromkeys(origins)) if origins else None
    chosen_kind = KINDS[kind]
    if not chosen_kind.takes_candidates:
        origins = None
    alternatives = checked_alternatives(kind, alternatives, origins)
    if chosen_kind.uses_aspects and not Aspect.objects.filter(project=project, retired_at=None).exists():
        raise InvalidInput(
            _("Scoring needs aspects: add them in the project's settings."),
            [("kind", _("This project has no aspects."))],
        )
    seed = secrets.randbelow(SEED_LIMIT) if seed is None else seed
    with transaction.atomic():
        batch = Batch.objects.create(
            project=project,
            name=name,
            kind=kind,
            overlap=overlap,
            priority=priority,
            seed=seed,
            created_by=actor,
            alternatives=alternatives,
            qualification=qualification,
            weight_set=WeightSet.objects.filter(project=project).first() if chosen_kind.uses_aspects else None,
        )
        if qualification is not None and (problems := qualification_problems(qualification, batch)):
            raise InvalidInput(problems[0], [("qualification", problem) for problem in problems])
        batch.selection = insert_tasks(batch, prompts, origins)
        if not batch.selection["tasks"]:
            raise InvalidInput(no_tasks_reason(kind, batch.selection), [("prompts", _("No task could be made."))])
        insert_slots(batch)
        batch.save(update_fields=["selection"])
        record(
            verb="batch.opened",
            target=batch,
            actor=actor,
            project=project,
            after={
                "name": name,
                "kind": kind,
                "overlap": overlap,
                "priority": priority,
                "seed": seed,
                **batch.selection,
            },
        )
        if batch.selection["tasks"] >= ANALYZE_FROM_TASKS:
            transaction.on_commit(analyze)
    return batch


def checked_alternatives(kind: str, alternatives: int | None, origins: list[str] | None) -> int:
    """How many candidates a task of this kind shows at most; InvalidInput when it is out of range."""
    fewest, most = KINDS[kind].fewest_alternatives, KINDS[kind].most_alternatives
    if most == 1:
        return 1
    alternatives = fewest if alternatives is None else alternatives
    if not fewest <= alternatives <= most:
        range_ = {"fewest": fewest, "most": most}
        raise InvalidInput(
            _("A task cannot show %(count)d alternatives: %(fewest)d to %(most)d.") % {"count": alternatives, **range_},
            [("alternatives", _("%(fewest)d to %(most)d") % range_)],
        )
    if KINDS[kind].compares and origins is not None and len(origins) != alternatives:
        if alternatives == 2:
            message = _("Choosing compares two origins; %(count)d given.") % {"count": len(origins)}
            raise InvalidInput(message, [("origins", _("Name two origins, or none."))])
        values = {"alternatives": alternatives, "count": len(origins)}
        raise InvalidInput(
            _("Ranking %(alternatives)d alternatives compares as many origins; %(count)d given.") % values,
            [("origins", _("Name %(alternatives)d origins, or none.") % values)],
        )
    return alternatives


def insert_tasks(batch: Batch, prompts: QuerySet[Prompt] | None, origins: list[str] | None) -> dict[str, Any]:
    """Insert the batch's tasks in seeded order; returns `Batch.selection`: how many prompts got a task, how many tasks
    there are, and what was left out."""
    selection: dict[str, Any] = {
        "origins": origins,
        "prompts": 0,
        "tasks": 0,
        "left_out": 0,
        "left_out_reasons": {},
        "same_reading": 0,
    }
    rows = Prompt.objects.filter(project_id=batch.project_id)
    if prompts is not None:
        rows = rows.filter(pk__in=prompts.values("pk"))
    try:
        chosen, chosen_params = rows.order_by().values("pk").query.sql_with_params()
    except EmptyResultSet:
        return selection
    compared = KINDS[batch.kind].most_alternatives > 1
    params: dict[str, Any] = {
        "seed": batch.seed,
        "origins": origins,
        "batch": batch.pk,
        "alternatives": batch.alternatives,
    }
    # Django's SQL has positional parameters and ours named ones: the selection goes into a temporary table first.
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TEMPORARY TABLE chosen (id) ON COMMIT DROP AS {chosen}", chosen_params)
        cursor.execute("SELECT count(*) FROM chosen")
        offered = cursor.fetchone()[0]
        find_same_reading(compared=compared, origins=origins)
        cursor.execute(
            f"""WITH usable AS MATERIALIZED ({USABLE}), made AS ({tasks_query(batch, origins)}),
            inserted AS (
                INSERT INTO annotation_task (batch_id, prompt_id, candidate_ids, position, created_at)
                SELECT %(batch)s, prompt_id, candidate_ids, row_number() OVER (
                    ORDER BY md5(%(seed)s::text || ':' || prompt_id || ':' || candidate_ids::text), prompt_id
                ), now() FROM made
                RETURNING prompt_id
            ) SELECT count(*), count(DISTINCT prompt_id) FROM inserted""",  # noqa: S608 - only our own constants
            params,
        )
        selection["tasks"], selection["prompts"] = cursor.fetchone()
        selection["left_out"] = offered - selection["prompts"]
        if compared or selection["left_out"]:
            selection |= count_left_out(USABLE, params, compared=compared)
        cursor.execute("DROP TABLE chosen, reads_like")
    return selection


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


def no_tasks_reason(kind: str, selection: dict[str, Any]) -> str:
    offered, origins = selection["left_out"], selection["origins"]
    if not offered:
        return _("No prompts match: import prompts first, or widen the selection.")
    if KINDS[kind].compares and origins:
        message = _(
            "None of the %(count)d prompts has two candidates with different texts from these origins: "
            "%(origins)s. Import or generate more candidates."
        )
    elif KINDS[kind].compares:
        message = _(
            "None of the %(count)d prompts has two candidates with different texts: import or generate more candidates."
        )
    elif origins:
        message = _(
            "None of the %(count)d prompts has a candidate from these origins: %(origins)s. "
            "Import or generate candidates first."
        )
    else:
        message = _("None of the %(count)d prompts has a candidate: import or generate candidates first.")
    said = message % {"count": offered, "origins": " · ".join(origins or [])}
    # Where it is that alone, the message has said already that there is no candidate.
    if set(selection["left_out_reasons"]) <= {"no_candidate"}:
        return said
    return f"{said} {'; '.join(left_out_sentences(selection))}."


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
