"""How long an answer takes: from this project's own work, or an assumption where there is too little of it."""

from dataclasses import dataclass
from typing import Any

from django.db import connection

from annotation.kinds import KINDS
from annotation.models import Batch

ENOUGH_ANSWERS = 20
# The newest showings that are read of each of the newest batches: the same cost in a project of a million answers.
NEWEST_BATCHES, NEWEST_SHOWINGS = 50, 1_000
# Active seconds of each finished answer, with all showings of its task: the time sheet's figures. Simulated annotators
# and answers without a recorded time do not count.
ANSWER_SECONDS = """
    WITH batches AS (
        SELECT id FROM annotation_batch
        WHERE project_id = %(project)s AND kind = %(kind)s AND alternatives = %(alternatives)s
        ORDER BY id DESC LIMIT %(batches)s
    ), recent AS (
        SELECT DISTINCT newest.annotator_id, newest.assignment_id FROM batches CROSS JOIN LATERAL (
            SELECT annotator_id, assignment_id FROM annotation_timespent t
            WHERE t.batch_id = batches.id ORDER BY began_at DESC LIMIT %(showings)s
        ) AS newest
            JOIN annotation_assignment a ON a.id = newest.assignment_id
                AND a.annotator_id = newest.annotator_id AND a.state = 'done'
            JOIN annotation_user u ON u.id = newest.annotator_id AND NOT u.is_simulated
    ), answers AS (
        SELECT sum(t.active_seconds) AS seconds
        FROM recent JOIN annotation_timespent t USING (annotator_id, assignment_id)
        GROUP BY annotator_id, assignment_id
    )
    SELECT count(*), percentile_cont(ARRAY[0.25, 0.5, 0.75]) WITHIN GROUP (ORDER BY seconds)
    FROM answers WHERE seconds > 0
"""


@dataclass(frozen=True)
class Pace:
    """Active seconds an answer: the median, and between which half of the answers lie. `answers` is how many it was
    measured on; with fewer than `ENOUGH_ANSWERS` the seconds are assumed, from half to twice `median`."""

    median: float
    low: float
    high: float
    answers: int

    @property
    def is_measured(self) -> bool:
        return self.answers >= ENOUGH_ANSWERS


def pace_of(batch: Batch) -> Pace:
    """Of answers to such tasks: of this project, kind and number of texts. The batch may be without a row."""
    params: dict[str, Any] = {
        "project": batch.project_id,
        "kind": batch.kind,
        "alternatives": batch.alternatives,
        "batches": NEWEST_BATCHES,
        "showings": NEWEST_SHOWINGS,
    }
    with connection.cursor() as cursor:
        cursor.execute(ANSWER_SECONDS, params)
        answers, quartiles = cursor.fetchone()
    if answers >= ENOUGH_ANSWERS:
        low, median, high = quartiles
        return Pace(median=median, low=low, high=high, answers=answers)
    assumed = KINDS[batch.kind].assumed_seconds(batch.alternatives)
    return Pace(median=assumed, low=assumed / 2, high=assumed * 2, answers=answers)
