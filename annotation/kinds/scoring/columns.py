"""Scores in the columns of an export."""

from typing import Any

from annotation.kinds.columns import AnswerContext, mark_columns
from annotation.kinds.scoring.payload import ScoringPayload
from annotation.kinds.scoring.votes import weighted_score


def columns(answer: ScoringPayload, about: AnswerContext) -> dict[str, Any]:
    sizes = {key: aspect.points for key, aspect in about.aspects.items()}
    scores = []
    for candidate, points in answer.scores.items():
        for key, score in points.items():
            aspect = about.aspects.get(key)
            scores.append(
                {
                    "candidate_id": candidate,
                    "aspect": key,
                    "name": aspect.name if aspect else None,
                    "points": score,
                    "most": aspect.points if aspect else None,
                }
            )
    weighted = [
        {"candidate_id": candidate, "score": weighted_score(points, about.weights, sizes)}
        for candidate, points in answer.scores.items()
    ]
    return {
        "scores": scores,
        "weighted_scores": weighted,
        "marks": mark_columns(answer.spans, about.texts),
        "comment": answer.comment,
    }
