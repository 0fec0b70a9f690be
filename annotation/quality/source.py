"""A project's answers from the database into columns: a server-side cursor by prompt, some thousand rows at a time.

Left out, and counted: answers that are excluded (of people who withdrew consent among them), that wait for a review or
were sent back, those of trials of the guideline, and those to tasks that only check people (`checked_tasks`). Erased
answers are not current. What a person answered and what counts of it differ where it was corrected or its task
adjudicated: both are kept, since agreement is about people and labels are about what counts.

Memory: the columns, about 100 bytes an answer, one chunk, and the texts of a sample. Call it inside a transaction that
sees one moment.
"""

from itertools import groupby

from django.db import connection

from annotation.core.exclusions import EXCLUSION_ID, EXCLUSION_JOINS
from annotation.core.reviews import COUNTED_PAYLOAD, PENDING, REVIEW_JOIN
from annotation.core.trials import IN_TRIAL
from annotation.models import Project, TaskCheck
from annotation.quality.answers import Line, Said, Texts
from annotation.quality.arms import Selected
from annotation.quality.material import Check, Material
from annotation.quality.reading import Reader

ROWS_AT_ONCE = 5_000
ANSWERS = f"""
SELECT task.prompt_id, annotation.id, annotation.task_id, task.batch_id, annotation.annotator_id, annotation.kind,
    annotation.payload::text, nullif({COUNTED_PAYLOAD}, annotation.payload)::text,
    adjudication.payload IS NOT NULL, extract(epoch FROM annotation.created_at)::float8,
    NOT batch.selection ? 'judgements', {EXCLUSION_ID} IS NOT NULL,
    CASE WHEN {IN_TRIAL} AND %(trial)s::bigint IS NULL THEN 'trial' ELSE {PENDING} END
FROM annotation_annotation annotation
    JOIN annotation_assignment assignment ON assignment.id = annotation.assignment_id AND assignment.state = 'done'
    JOIN annotation_task task ON task.id = annotation.task_id
    JOIN annotation_batch batch ON batch.id = task.batch_id
    {EXCLUSION_JOINS}
    {REVIEW_JOIN}
WHERE batch.project_id = %(project)s AND annotation.is_current
    AND (%(trial)s::bigint IS NULL OR batch.trial_id = %(trial)s)
    AND (%(tasks)s::bigint[] IS NULL OR task.id = ANY(%(tasks)s))
    AND (%(annotations)s::bigint[] IS NULL OR annotation.id = ANY(%(annotations)s))
ORDER BY task.prompt_id, annotation.id
"""  # noqa: S608 - our own expressions
SELECTED = """
SELECT arm.task_id, arm.arm, (
    SELECT min(abs(margin.margin)) FROM annotation_pairmargin margin
    WHERE margin.prompt_id = task.prompt_id
        AND margin.one = ANY(task.candidate_ids) AND margin.other = ANY(task.candidate_ids))
FROM annotation_taskarm arm JOIN annotation_task task ON task.id = arm.task_id
    JOIN annotation_batch batch ON batch.id = arm.batch_id
WHERE batch.project_id = %s
"""
CANDIDATES = "SELECT prompt_id, id, text, origin FROM annotation_candidate WHERE id = ANY(%s)"


def checked_tasks(project: Project) -> dict[int, Check]:
    """The tasks of the project that check people, by id."""
    rows = TaskCheck.objects.filter(batch__project=project)
    return {task: Check(*values) for task, *values in rows.values_list("task", "what", "gold__expected")}


def material_of(
    project: Project,
    *,
    tasks: list[int] | None = None,
    annotations: list[int] | None = None,
    trial: int | None = None,
) -> Material:
    """Of the whole project, or of some tasks or annotations only; or of a trial of the guideline (a clause's id)."""
    reader = Reader(project.target_language, checked_tasks(project))
    with connection.chunked_cursor() as cursor:
        cursor.execute(ANSWERS, {"project": project.pk, "tasks": tasks, "annotations": annotations, "trial": trial})
        waiting: list[Line] = []
        while rows := cursor.fetchmany(ROWS_AT_ONCE):
            waiting += [Line(*row) for row in rows]
            # The last prompt may go on in the next rows.
            last = waiting[-1].prompt
            read(reader, [line for line in waiting if line.prompt != last])
            waiting = [line for line in waiting if line.prompt == last]
        read(reader, waiting)
    return reader.material()


def selected_tasks(project: Project) -> dict[int, Selected]:
    """How each task was selected, of those batches whose tasks were not all drawn at random."""
    with connection.cursor() as cursor:
        cursor.execute(SELECTED, [project.pk])
        return {task: Selected(arm, margin) for task, arm, margin in cursor}


def read(reader: Reader, lines: list[Line]) -> None:
    """Lines of whole prompts."""
    said = reader.read(lines)
    texts = texts_of(said)
    for prompt, of_prompt in groupby(said, key=lambda one: one.line.prompt):
        reader.read_prompt(list(of_prompt), texts.get(prompt, Texts()))


def texts_of(said: list[Said]) -> dict[int, Texts]:
    """The candidates that the answers are about, by prompt."""
    ids = {key for one in said for answer in (one.given, one.counted) for key in one.kind.candidates(answer)}
    found: dict[int, Texts] = {}
    with connection.cursor() as cursor:
        cursor.execute(CANDIDATES, [list(ids)])
        for prompt, key, text, origin in cursor:
            of_prompt = found.setdefault(prompt, Texts())
            of_prompt.text[key], of_prompt.origin[key] = text, origin
    for of_prompt in found.values():
        of_prompt.settle()
    return found
