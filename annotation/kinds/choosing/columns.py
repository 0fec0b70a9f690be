"""A choice in the columns of an export."""

from typing import Any

from annotation.kinds.choosing.payload import ChoosingPayload
from annotation.kinds.columns import AnswerContext, by_candidate, edit_columns, mark_columns


def columns(answer: ChoosingPayload, about: AnswerContext) -> dict[str, Any]:
    return {
        "shown_candidate_ids": answer.shown,
        "choice": answer.choice,
        "chosen_candidate_id": answer.chosen,
        "strength": answer.strength,
        "ranking": answer.ranking,
        "reasons": answer.reasons,
        "reasons_by_candidate": list(by_candidate(answer.reasons_by_side, "reasons")),
        "fixes": [
            {"candidate_id": candidate, "text": text} | edit_columns(about.texts.get(candidate), text, about.language)
            for candidate, text in answer.fixes.items()
        ],
        "marks": mark_columns(answer.spans, about.texts),
    }
