from django.db import models

from training.models.engine_job import EngineJob


class MarginScoring(EngineJob):
    """What a checkpoint makes of a project's candidates: the margins that `annotation` selects tasks by and that list
    labels for a second look (`annotation.models.PairMargin`)."""

    FOLDER = "margins"

    checkpoint = models.ForeignKey("training.Checkpoint", models.CASCADE, related_name="margin_scorings")
    prompts_count = models.PositiveIntegerField(default=0)
    margins_count = models.PositiveIntegerField(default=0)

    class Meta(EngineJob.Meta):
        abstract = False

    def __str__(self) -> str:
        return f"margin scoring {self.pk}"
