from django.db import models
from django.utils.translation import gettext_lazy as _

from annotation.models import DatasetVersion
from training.models.engine_job import EngineJob

NAME_LENGTH, NOTE_LENGTH = 80, 300


class Run(EngineJob):
    """One execution of a trainer. It starts from `base_model` (a folder) or from `parent` (a checkpoint)."""

    FOLDER = "runs"

    class Trainer(models.TextChoices):
        PRETRAIN = "pretrain", _("Base model from scratch")
        SFT = "sft", "SFT"
        DPO = "dpo", "DPO"
        KTO = "kto", "KTO"

    trainer = models.CharField(max_length=16, choices=Trainer.choices)
    round = models.ForeignKey("training.Round", models.PROTECT, related_name="runs", null=True, blank=True)
    dataset = models.ForeignKey(DatasetVersion, models.PROTECT, related_name="runs", null=True, blank=True)
    base_model = models.CharField(max_length=500, blank=True)
    parent = models.ForeignKey("training.Checkpoint", models.PROTECT, related_name="runs", null=True, blank=True)
    curve = models.ForeignKey(
        "training.LearningCurve",
        models.CASCADE,
        related_name="runs",
        null=True,
        blank=True,
        help_text="The learning curve that this run is a point of.",
    )
    replaces = models.ForeignKey(
        "self",
        models.PROTECT,
        related_name="replacements",
        null=True,
        blank=True,
        help_text="The run whose options it was started with again, without answers that were withdrawn.",
    )
    name = models.CharField(
        max_length=NAME_LENGTH, blank=True, help_text="What people call it; the number stays its identity."
    )
    note = models.CharField(max_length=NOTE_LENGTH, blank=True, help_text="Why it was started, or what it showed.")
    evaluate = models.BooleanField(default=True, help_text="Evaluate the checkpoint as soon as it is there.")

    class Meta(EngineJob.Meta):
        abstract = False

    def __str__(self) -> str:
        return f"run {self.pk} ({self.trainer}{f': {self.name}' if self.name else ''})"
