"""A batch before it has a row: its settings, checked, and its tasks dealt out into a temporary table.

Opening a batch and previewing one go through here, so that what the preview counts is what opens.
"""

from collections.abc import Sequence
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from annotation.core.errors import InvalidInput
from annotation.core.exclusions import usable_prompts
from annotation.kinds import KINDS
from annotation.models import Aspect, Batch, Kind, Project, Prompt, Qualification, WeightSet
from annotation.queue.arms import RANDOM, check, select_tasks
from annotation.queue.batch_changes import qualification_problems
from annotation.queue.left_out import count_left_out, count_same_reading, left_out_sentences
from annotation.queue.prompt_selection import PromptSelection
from annotation.queue.same_reading import find_same_reading
from annotation.queue.task_selection import USABLE, tasks_query

MOST_OVERLAP = 50
SURE, LEAST_SURE = 0.95, 0.5


def plan_batch(
    *,
    project: Project,
    kind: str,
    overlap: int | None,
    origins: Sequence[str] | None,
    alternatives: int | None,
    qualification: Qualification | None,
    seed: int,
    overlap_most: int | None = None,
    sure: float | None = None,
) -> Batch:
    """The batch with these settings, without a row. Call it in a transaction. Raises InvalidInput by field."""
    if kind not in Kind.values:
        values = {"kind": kind[:40], "kinds": ", ".join(Kind.values)}
        raise InvalidInput(_("Unknown kind “%(kind)s”. The kinds are %(kinds)s.") % values, [("kind", _("Unknown"))])
    overlap = project.default_overlap if overlap is None else overlap
    if not 1 <= overlap <= MOST_OVERLAP:
        message = _("An overlap of %(overlap)d is not possible: 1 to 50.") % {"overlap": overlap}
        raise InvalidInput(message, [("overlap", _("1 to 50"))])
    sure = SURE if sure is None else sure
    if problem := adaptive_problem(kind, overlap, overlap_most, sure):
        raise InvalidInput(problem[1], [problem])
    chosen_kind = KINDS[kind]
    distinct = list(dict.fromkeys(origins)) if origins and chosen_kind.takes_candidates else None
    alternatives = checked_alternatives(kind, alternatives, distinct)
    if chosen_kind.uses_aspects and not Aspect.objects.filter(project=project, retired_at=None).exists():
        raise InvalidInput(
            _("Scoring needs aspects: add them in the project's settings."),
            [("kind", _("This project has no aspects."))],
        )
    batch = Batch(
        project=project,
        kind=kind,
        overlap=overlap,
        overlap_most=overlap_most,
        sure=sure,
        seed=seed,
        alternatives=alternatives,
        qualification=qualification,
        weight_set=WeightSet.objects.filter(project=project).first() if chosen_kind.uses_aspects else None,
        selection={"origins": distinct},
    )
    if qualification is not None and (problems := qualification_problems(qualification, batch)):
        raise InvalidInput(problems[0], [("qualification", problem) for problem in problems])
    return batch


def adaptive_problem(kind: str, overlap: int, most: int | None, sure: float) -> tuple[str, str] | None:
    """(field, reason) why a batch cannot have this adaptive overlap; None where it can, or has a fixed one."""
    if most is None:
        return None
    if not KINDS[kind].compares:
        return "overlap_most", _("Only choosing can have adaptive overlap: leave the maximum empty.")
    if overlap < 2:
        return "overlap", _(
            "Adaptive overlap begins with at least 2 annotators per task: from one answer nobody sees who differs."
        )
    if not overlap < most <= MOST_OVERLAP:
        values = {"fewest": overlap + 1, "most": MOST_OVERLAP}
        return "overlap_most", _("The maximum of annotators per task must be %(fewest)d to %(most)d.") % values
    if not LEAST_SURE <= sure < 1:
        return "sure", _("A label counts as sure from a probability of %(least)s up to below 1.") % {
            "least": LEAST_SURE
        }
    return None


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


def deal_tasks(batch: Batch, prompts: QuerySet[Prompt] | PromptSelection | None) -> dict[str, Any]:
    """Make the temporary table `made` (prompt_id, candidate_ids) of the batch's tasks, which lasts until the
    transaction ends or `clear_tasks`; returns `Batch.selection`: how many prompts got a task, how many tasks there are,
    and what was left out. Raises InvalidInput, with the reason, when there is no task."""
    selection: dict[str, Any] = batch.selection | {
        "prompts": 0,
        "tasks": 0,
        "left_out": 0,
        "left_out_reasons": {},
        "same_reading": 0,
    }
    rows = usable_prompts(batch.project)
    asked = prompts if isinstance(prompts, PromptSelection) and prompts.select != RANDOM else None
    if asked is not None:
        check(asked.select, asked.limit, asked.random_share)
    if isinstance(prompts, PromptSelection):
        prompts = prompts.prompts_for(batch)
    if prompts is not None:
        rows = rows.filter(pk__in=prompts.values("pk"))
    try:
        chosen, chosen_params = rows.order_by().values("pk").query.sql_with_params()
    except EmptyResultSet:
        raise no_tasks(batch.kind, selection) from None
    compared = KINDS[batch.kind].most_alternatives > 1
    origins = selection["origins"]
    params: dict[str, Any] = {"seed": batch.seed, "origins": origins, "alternatives": batch.alternatives}
    # Django's SQL has positional parameters and ours named ones: the selection goes into a temporary table first.
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TEMPORARY TABLE chosen (id) ON COMMIT DROP AS {chosen}", chosen_params)
        find_same_reading(compared=compared, origins=origins)
        cursor.execute(
            f"""CREATE TEMPORARY TABLE made (prompt_id, candidate_ids) ON COMMIT DROP AS
            WITH usable AS MATERIALIZED ({USABLE}) SELECT prompt_id, candidate_ids
            FROM ({tasks_query(batch, origins)}) AS made""",  # noqa: S608 - only our own constants
            params,
        )
        if asked is not None:
            selection["select"] = select_tasks(
                batch, how=asked.select, limit=asked.limit, random_share=asked.random_share
            )
        cursor.execute(
            """SELECT (SELECT count(*) FROM chosen), count(*), count(DISTINCT prompt_id), (
                SELECT count(*) FROM annotation_exclusion
                WHERE project_id = %s AND lifted_at IS NULL AND prompt_id IS NOT NULL) FROM made""",
            [batch.project_id],
        )
        offered, selection["tasks"], selection["prompts"], withdrawn = cursor.fetchone()
    if withdrawn:
        selection["withdrawn"] = withdrawn
    selection["left_out"] = offered - selection["prompts"]
    if selection["left_out"]:
        selection["left_out_reasons"] = count_left_out(USABLE, params)
    if compared:
        selection["same_reading"] = count_same_reading()
    if not selection["tasks"]:
        raise no_tasks(batch.kind, selection)
    return selection


def clear_tasks() -> None:
    """Drop what `deal_tasks` made, so that another batch can be opened in the same transaction."""
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE chosen, reads_like, made")


def no_tasks(kind: str, selection: dict[str, Any]) -> InvalidInput:
    return InvalidInput(no_tasks_reason(kind, selection), [("prompts", _("No task could be made."))])


def no_tasks_reason(kind: str, selection: dict[str, Any]) -> str:
    offered, origins = selection["left_out"], selection["origins"]
    if not offered and selection.get("withdrawn"):
        sentences = " ".join(f"{sentence}." for sentence in left_out_sentences(selection))
        return f"{_('No prompts match: import prompts first, or widen the selection.')} {sentences}"
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
