"""Adaptive overlap in words: how many tasks need no more answers, what that saved, and by which rule."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from annotation.dashboards.wording import number
from annotation.models import Analysis, Batch, Project
from annotation.queue.overlap import annotators_per_task
from annotation.queue.progress import Progress
from annotation.text.formatting import percentage

Stored = Mapping[str, Any]


@dataclass(frozen=True)
class AdaptiveRow:
    """Of one batch. `saved_share`: of what the settled tasks would have with the most answers each."""

    batch: Batch
    annotators: str
    settled: str
    saved: str
    saved_share: str
    note: str


def adaptive_rows(result: Stored, project: Project) -> list[AdaptiveRow]:
    rows = result.get("adaptive", [])
    batches = Batch.objects.filter(project=project).in_bulk([row["batch"] for row in rows])
    return [adaptive_row(row, batches[row["batch"]]) for row in rows if row["batch"] in batches]


def adaptive_row(row: Stored, batch: Batch) -> AdaptiveRow:
    full = row["answers"] + row["saved"]
    return AdaptiveRow(
        batch=batch,
        annotators=annotators_per_task(batch.overlap, batch.overlap_most),
        settled=_("%(settled)s of %(tasks)s") % {"settled": number(row["settled"]), "tasks": number(row["tasks"])},
        saved=_("%(saved)s of %(full)s") % {"saved": number(row["saved"]), "full": number(full)},
        saved_share=percentage(row["saved"] / full, 0) if full else "",
        note=nobody_left_sentence(row),
    )


def nobody_left_sentence(row: Stored) -> str:
    if not row["nobody_left"]:
        return ""
    return ngettext(
        "%(count)s task is unsure, but nobody is left who may answer it.",
        "%(count)s tasks are unsure, but nobody is left who may answer them.",
        row["nobody_left"],
    ) % {"count": number(row["nobody_left"])}


def rule_sentence(batch: Batch, calibration: Stored) -> str:
    if calibration["fit"]:
        return _("A task gets one more annotator while the calibrated probability of a label is below %(sure)s.") % {
            "sure": percentage(batch.sure)
        }
    return _(
        "A task gets one more annotator while its annotators differ: only %(gold)s of %(fewest)s gold pairs have "
        "answers, and a probability that is not calibrated would stop too early."
    ) % {"gold": number(calibration["gold"]), "fewest": number(calibration["fewest"])}


def batch_sentences(progress: Progress, analysis: Analysis | None) -> list[str]:
    """For the page of a batch; nothing where its overlap is fixed. `analysis`: the newest of quality."""
    batch = progress.batch
    if batch.overlap_most is None:
        return []
    lines = []
    if progress.awaits_analysis:
        lines.append(_("All answers are there. The next analysis, within minutes, says which tasks get one more."))
    if analysis is None:
        return lines
    lines.append(rule_sentence(batch, analysis.result["calibration"]))
    row = next((row for row in analysis.result.get("adaptive", []) if row["batch"] == batch.pk), None)
    if row is not None:
        values = {"tasks": adaptive_row(row, batch).settled, "saved": adaptive_row(row, batch).saved}
        lines.append(_("%(tasks)s tasks need no more; labels saved: %(saved)s.") % values)
        lines += [sentence for sentence in [nobody_left_sentence(row)] if sentence]
    return lines
