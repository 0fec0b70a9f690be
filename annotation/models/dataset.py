from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _

from annotation.models.project import Project
from annotation.models.user import User


class DatasetVersion(models.Model):
    """A frozen, content-addressed set of rows. A database trigger refuses every update and delete."""

    class Purpose(models.TextChoices):
        SFT = "sft", _("SFT: prompt and completion")
        DPO = "dpo", _("DPO: prompt, chosen and rejected")
        KTO = "kto", _("KTO: prompt, completion and label")

    class Format(models.TextChoices):
        STANDARD = "standard", _("Standard (strings)")
        CONVERSATIONAL = "conversational", _("Conversational (messages)")

    project = models.ForeignKey(Project, models.PROTECT, related_name="datasets")
    purpose = models.CharField(max_length=8, choices=Purpose.choices)
    format = models.CharField(max_length=16, choices=Format.choices)
    sha256 = models.CharField(max_length=64)
    selection = models.JSONField(help_text="Batches, kinds and thresholds that it was made with.")
    manifest = models.JSONField()
    train_rows = models.PositiveIntegerField()
    held_out_rows = models.PositiveIntegerField()
    directory = models.CharField(max_length=200, help_text="Below var: datasets/<sha256>.")
    created_by = models.ForeignKey(User, models.PROTECT, related_name="+", null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    # Where equal rows had been frozen before: the manifest of what was selected this time.
    asked_manifest: dict[str, Any] | None = None

    class Meta:
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["project", "sha256"], name="dataset_version_once")]

    def __str__(self) -> str:
        return f"dataset {self.pk} ({self.purpose}, {self.sha256[:8]})"

    @property
    def was_frozen_otherwise(self) -> bool:
        """Whether this version was found for another selection or other exclusions than its manifest describes."""
        asked = self.asked_manifest
        return asked is not None and any(
            asked.get(part) != self.manifest.get(part) for part in ("selection", "excluded", "annotations")
        )
