"""What a batch was opened without, and why: counted when it is opened, said on pages and by the command."""

from collections.abc import Mapping
from typing import Any

from django.db import connection
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from annotation.text.formatting import comma_list

EXAMPLES = 5
# Of the chosen prompts that got no task, how many there are for each reason, and the first of them.
REASONS = """
    SELECT reason, count(*), (array_agg(id ORDER BY id))[:%(examples)s] FROM (
        SELECT chosen.id, CASE
            WHEN count(u.id) = 0 THEN 'no_candidate'
            WHEN count(u.id) = 1 THEN 'one_candidate'
            WHEN count(DISTINCT u.words) = 1 THEN 'same_reading'
            ELSE 'origin_missing' END AS reason
        FROM chosen LEFT JOIN usable u ON u.prompt_id = chosen.id
        WHERE NOT EXISTS (SELECT FROM made m WHERE m.prompt_id = chosen.id)
        GROUP BY chosen.id
    ) AS each_prompt GROUP BY reason ORDER BY reason
"""
# Candidates of the other prompts that nobody is asked about, because another one reads the same.
LOOK_ALIKES = """
    SELECT count(*) FROM reads_like r WHERE EXISTS (SELECT FROM made m WHERE m.prompt_id = r.prompt_id)
"""


def count_left_out(usable: str, params: dict[str, Any]) -> dict[str, Any]:
    """For `Batch.selection["left_out_reasons"]`, while `chosen` and `made` are there: {reason: {"count", "prompts":
    [id, …]}}. `usable` is the query of the candidates."""
    with connection.cursor() as cursor:
        cursor.execute(f"WITH usable AS MATERIALIZED ({usable}) {REASONS}", {**params, "examples": EXAMPLES})
        return {reason: {"count": count, "prompts": prompts} for reason, count, prompts in cursor.fetchall()}


def count_same_reading() -> int:
    """The number of candidates that read like another of their prompt, while `made` and `reads_like` are there."""
    with connection.cursor() as cursor:
        cursor.execute(LOOK_ALIKES)
        return int(cursor.fetchone()[0])


def left_out_sentences(selection: Mapping[str, Any]) -> list[str]:
    """What a batch was opened without, in sentences. A batch from before reasons were counted has none."""
    sentences = []
    for reason, found in sorted(selection.get("left_out_reasons", {}).items()):
        count = found["count"]
        sentence = reason_sentence(reason, count, bool(selection.get("origins"))) % {"count": f"{count:,}"}
        numbers = comma_list(found["prompts"]) + (", …" if count > len(found["prompts"]) else "")
        sentences.append(_("%(sentence)s (prompt %(numbers)s)") % {"sentence": sentence, "numbers": numbers})
    if same := selection.get("same_reading"):
        sentence = ngettext(
            "%(count)s candidate is not shown because it reads like another one of its prompt",
            "%(count)s candidates are not shown because they read like another one of their prompt",
            same,
        )
        sentences.append(sentence % {"count": f"{same:,}"})
    if withdrawn := selection.get("withdrawn"):
        sentence = ngettext(
            "%(count)s withdrawn prompt of the project is not used",
            "%(count)s withdrawn prompts of the project are not used",
            withdrawn,
        )
        sentences.append(sentence % {"count": f"{withdrawn:,}"})
    return sentences


def reason_sentence(reason: str, count: int, with_origins: bool) -> str:
    if reason == "no_candidate" and with_origins:
        return ngettext(
            "%(count)s prompt left out: no candidate from these origins",
            "%(count)s prompts left out: no candidate from these origins",
            count,
        )
    if reason == "no_candidate":
        return ngettext("%(count)s prompt left out: no candidate", "%(count)s prompts left out: no candidate", count)
    if reason == "one_candidate":
        return ngettext(
            "%(count)s prompt left out: only one candidate", "%(count)s prompts left out: only one candidate", count
        )
    if reason == "same_reading":
        return ngettext(
            "%(count)s prompt left out: its candidates read the same",
            "%(count)s prompts left out: their candidates read the same",
            count,
        )
    return ngettext(
        "%(count)s prompt left out: no two different texts from these origins",
        "%(count)s prompts left out: no two different texts from these origins",
        count,
    )
