from django.db import models

from annotation.models import DatasetVersion
from training.models.engine_job import EngineJob


class Evaluation(EngineJob):
    """Figures of a checkpoint on a dataset's held-out rows, beside its parent's; they are in `result["metrics"]`."""

    FOLDER = "evaluations"

    checkpoint = models.ForeignKey("training.Checkpoint", models.CASCADE, related_name="evaluations")
    dataset = models.ForeignKey(DatasetVersion, models.PROTECT, related_name="evaluations")

    class Meta(EngineJob.Meta):
        abstract = False

    def __str__(self) -> str:
        return f"evaluation {self.pk}"
