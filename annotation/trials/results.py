"""What a trial found: agreement among the annotators of each version, and the difference, with intervals.

The result (`GuidelineClause.result`) is JSON:

    answers      {"present": n, "proposed": n}
    measures     [{"kind", "measure", "aspect", "present", "proposed", "difference"}], the last three figures
                 (`annotation.quality.results`); the difference is alpha with the clause minus alpha without it
    computed_at  ISO 8601
"""

from typing import Any

import numpy as np
from django.utils import timezone

from annotation.models import Annotation, Batch, GuidelineClause, Project, TrialArm
from annotation.quality import columns
from annotation.quality.agreement import Ratings, counted, interval_alpha, interval_features, nominal_alpha
from annotation.quality.agreement import nominal_features as features_of
from annotation.quality.agreements import FEWEST, named, verdict
from annotation.quality.figures import TOO_FEW, Figure, Statistic, by_cluster, figure_of, no_figure
from annotation.quality.material import Material
from annotation.quality.source import material_of

PRESENT, PROPOSED = TrialArm.PRESENT.value, TrialArm.PROPOSED.value
Features = tuple[np.ndarray, np.ndarray, Statistic]  # (units, k), task of each unit, alpha of sums


def update_results(project: Project) -> int:
    """Compute the results of the project's running trials that have new answers; returns how many. For jobs."""
    count = 0
    for clause in GuidelineClause.objects.filter(project=project, status=GuidelineClause.Status.TRIAL):
        answers = answers_of(clause)
        if clause.result is None or clause.result["answers"] != answers:
            result = {"answers": answers, "measures": measures_of(clause), "computed_at": timezone.now().isoformat()}
            GuidelineClause.objects.filter(pk=clause.pk).update(result=result)
            count += 1
    return count


def answers_of(clause: GuidelineClause) -> dict[str, int]:
    rows = Annotation.objects.filter(task__batch__trial=clause, is_current=True, assignment__state="done")
    arms = list(rows.values_list("task__batch__trial_arm", flat=True))
    return {arm: arms.count(arm) for arm in TrialArm.values}


def measures_of(clause: GuidelineClause) -> list[dict[str, Any]]:
    material = material_of(clause.project, trial=clause.pk)
    arms = dict(Batch.objects.filter(trial=clause).values_list("pk", "trial_arm"))
    found = []
    for at, measure in enumerate(material.measures):
        if measure.name in (columns.CHOICE, columns.SCORE):
            both = {
                arm: ratings_of(material, at, [pk for pk, own in arms.items() if own == arm])
                for arm in (PRESENT, PROPOSED)
            }
            found.append(named(measure) | compare(both[PRESENT], both[PROPOSED], measure.name))
    return found


def ratings_of(material: Material, at: int, batches: list[int]) -> Ratings:
    """The pairable first answers to one measure in these batches."""
    rated = material.rated
    rows = rated.where((rated.measure == at) & np.isin(rated.batch, batches)).first_answers()
    values = verdict(rows.given) if material.measures[at].name == columns.CHOICE else rows.given
    return rows.ratings(values).pairable()


def compare(present: Ratings, proposed: Ratings, measure: str) -> dict[str, Any]:
    """Alpha of both, and the difference. A draw of the bootstrap draws the same tasks for both arms, since a task that
    is hard is hard in both."""
    arms = [features(ratings, measure) if len(ratings.unit) else None for ratings in (present, proposed)]
    figures = [
        figure_of(by_cluster(arm[1], arm[0]), arm[2], n=len(arm[0]), fewest=FEWEST) if arm else no_figure(TOO_FEW)
        for arm in arms
    ]
    return {
        PRESENT: figures[0].as_dict(),
        PROPOSED: figures[1].as_dict(),
        "difference": difference(arms[0], arms[1]).as_dict(),
    }


def features(ratings: Ratings, measure: str) -> Features:
    if measure == columns.SCORE:
        return (*interval_features(ratings), interval_alpha)
    counts, tasks, _values = counted(ratings)
    return features_of(counts), tasks, nominal_alpha


def difference(present: Features | None, proposed: Features | None) -> Figure:
    if present is None or proposed is None or min(len(present[0]), len(proposed[0])) < FEWEST:
        return no_figure(TOO_FEW)
    width = present[0].shape[1]
    rows = np.zeros((len(present[0]) + len(proposed[0]), width + proposed[0].shape[1]))
    rows[: len(present[0]), :width] = present[0]
    rows[len(present[0]) :, width:] = proposed[0]
    sums = by_cluster(np.concatenate([present[1], proposed[1]]), rows)

    def of_both(drawn: np.ndarray) -> np.ndarray:
        return np.asarray(proposed[2](drawn[:, width:]) - present[2](drawn[:, :width]))

    return figure_of(sums, of_both, n=len(rows))
