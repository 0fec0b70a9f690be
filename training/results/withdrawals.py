"""What was trained on dataset versions whose answers were withdrawn: runs, checkpoints and all that started from them.

A checkpoint contains what its run's dataset contains, and what the model contains that the run started from: its parent
checkpoint, or a folder that another run or a merge wrote. A merge of a model that left this machine's folders, or was
renamed by hand, is not followed.
"""

import json
from collections.abc import Collection, Iterable
from pathlib import Path

from django.conf import settings
from django.utils.translation import gettext as _

from annotation.core.errors import Conflict
from annotation.core.withdrawals import withdrawn_datasets
from annotation.models import Project
from training.contract.run_directory import LINEAGE, MODEL
from training.engine_jobs.queue import job_name
from training.models import Checkpoint, EngineJob, Evaluation, LearningCurve, Run


class Reached:
    """The runs of a project that learned from these dataset versions; `reason` says by which way."""

    def __init__(self, project: Project, datasets: Collection[int]) -> None:
        self.datasets = frozenset(datasets)
        rows = Run.objects.filter(project=project).select_related("parent__run", "dataset")
        self.runs = list(rows.order_by("pk")) if datasets else []
        self.why: dict[int, int] = {}  # run → the dataset that it, or what it started from, was trained on
        self.starts: dict[int, int] = {}  # run → the reached run whose model it starts from
        self.folders = {str(model_folder(run)): run.pk for run in self.runs}
        # A run only starts from what was there before it.
        for run in self.runs:
            start = run.parent.run_id if run.parent is not None else self.start_of(run)
            if run.dataset_id in self.datasets:
                self.why[run.pk] = run.dataset_id
            elif start in self.why:
                self.starts[run.pk], self.why[run.pk] = start, self.why[start]

    def reason(self, run_id: int) -> str:
        """By which way a reached run contains the answers, in words."""
        values = {"dataset": self.why[run_id], "run": self.starts.get(run_id)}
        if run_id in self.starts:
            return _("starts from run %(run)s, which learned from dataset %(dataset)s") % values
        return _("trained on dataset %(dataset)s") % values

    def start_of(self, run: Run) -> int | None:
        """The reached run whose model this run starts from by its folder, or by one that a merge wrote."""
        model = run.config.get("model") or {}
        for link in [model.get("base"), *(model.get("adapters") or ())]:
            if not link:
                continue
            known = self.folders.get(str(Path(link)))
            if known in self.why:
                return known
            merged = set(merged_from(Path(link)))
            for other in self.runs:
                if other.pk in self.why and job_name(other) in merged:
                    return other.pk
        return None

    def checkpoints(self) -> list[Checkpoint]:
        rows = Checkpoint.objects.filter(run__in=self.why).select_related("run", "parent", "dataset")
        return list(rows.order_by("pk"))

    def reached_runs(self) -> list[Run]:
        return [run for run in self.runs if run.pk in self.why]


def model_folder(run: Run) -> Path:
    return Path(settings.VAR) / Run.FOLDER / str(run.pk) / MODEL


def merged_from(folder: Path) -> Iterable[str]:
    """The names of the runs whose adapters a merge put into this folder, as its lineage.json says."""
    try:
        merged = json.loads((folder / LINEAGE).read_text(encoding="utf-8")).get("merged") or {}
        links = [merged.get("base"), *(merged.get("adapters") or ())]
        return [link.get("name", "") if isinstance(link, dict) else str(link) for link in links if link]
    except (OSError, ValueError, AttributeError):
        return []


def refuse_withdrawn_checkpoint(checkpoint: Checkpoint) -> None:
    """Raise Conflict for a checkpoint that contains answers whose consent was withdrawn."""
    reached = Reached(checkpoint.project, withdrawn_datasets(checkpoint.project))
    if checkpoint.run_id in reached.why:
        raise Conflict(
            _("checkpoint %(number)s contains answers of somebody who withdrew consent (%(why)s)")
            % {"number": checkpoint.pk, "why": reached.reason(checkpoint.run_id)}
        )


def jobs_on(project: Project, datasets: Collection[int]) -> list[EngineJob]:
    """The runs and evaluations that have copies of these datasets' rows."""
    own = {"project": project, "dataset__in": datasets}
    return [*Run.objects.filter(**own), *Evaluation.objects.filter(**own)]


def curves_on(project: Project, datasets: Collection[int]) -> list[LearningCurve]:
    return list(LearningCurve.objects.filter(project=project, dataset__in=datasets).order_by("pk"))
