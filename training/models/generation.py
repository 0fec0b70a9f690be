from django.db import models

from training.models.engine_job import EngineJob


class Generation(EngineJob):
    """Candidates asked of a model for some prompts. `checkpoint` is empty when the model is a plain folder."""

    FOLDER = "generations"

    checkpoint = models.ForeignKey(
        "training.Checkpoint", models.PROTECT, related_name="generations", null=True, blank=True
    )
    base_model = models.CharField(max_length=500, blank=True)
    round = models.ForeignKey("training.Round", models.CASCADE, related_name="generations", null=True, blank=True)
    prompts_count = models.PositiveIntegerField(default=0)
    candidates_added = models.PositiveIntegerField(default=0)

    class Meta(EngineJob.Meta):
        abstract = False

    def __str__(self) -> str:
        return f"generation {self.pk}"
