from django.db import models
from django.utils.translation import gettext_lazy as _

from annotation.models import Batch, Project, User
from training.models.shown_paths import without_folders


class Round(models.Model):
    """One trip round the loop. `checkpoint` is the promoted one whose output this round judges; none in the first."""

    class Status(models.TextChoices):
        PREPARING = "preparing", _("Generating candidates")
        COLLECTING = "collecting", _("Collecting annotations")
        CLOSED = "closed", _("Closed")
        FAILED = "failed", _("Failed")

    project = models.ForeignKey(Project, models.CASCADE, related_name="rounds")
    number = models.PositiveIntegerField()
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.COLLECTING)
    checkpoint = models.ForeignKey("training.Checkpoint", models.PROTECT, related_name="rounds", null=True, blank=True)
    batches = models.ManyToManyField(Batch, related_name="rounds", blank=True)
    settings = models.JSONField(default=dict, blank=True, help_text="What it was started with: prompts, sampling …")
    error = models.TextField(blank=True)
    created_by = models.ForeignKey(User, models.PROTECT, related_name="+", null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["number"]
        constraints = [models.UniqueConstraint(fields=["project", "number"], name="round_number_once")]

    def __str__(self) -> str:
        return f"round {self.number}"

    @property
    def shown_error(self) -> str:
        """The error without folders of this machine, for pages."""
        return without_folders(self.error)
