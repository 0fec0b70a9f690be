from pathlib import Path
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from annotation.models import Project, User
from training.contract.run_directory import RunDirectory
from training.models.shown_paths import without_folders


class EngineJob(models.Model):
    """What runs as an engine subprocess in a run directory of its own: a Run, a Generation, an Evaluation …"""

    class Status(models.TextChoices):
        QUEUED = "queued", _("Waiting")
        RUNNING = "running", _("Running")
        SUCCEEDED = "succeeded", _("Done")
        CANCELLED = "cancelled", _("Cancelled")
        FAILED = "failed", _("Failed")

    FOLDER: ClassVar[str]

    project = models.ForeignKey(Project, models.CASCADE, related_name="+")
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.QUEUED)
    config = models.JSONField(default=dict, help_text="What run.json says.")
    pid = models.PositiveIntegerField(null=True, blank=True)
    error = models.TextField(blank=True)
    result = models.JSONField(null=True, blank=True, help_text="What result.json says.")
    created_by = models.ForeignKey(User, models.PROTECT, related_name="+", null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        abstract = True
        ordering = ["-id"]

    @property
    def directory(self) -> RunDirectory:
        return RunDirectory(Path(settings.VAR) / self.FOLDER / str(self.pk))

    @property
    def shown_error(self) -> str:
        """The error without folders of this machine, for pages."""
        return without_folders(self.error)

    @property
    def seconds(self) -> float | None:
        """How long it has been running since its last start, or ran until its end; None where it never started."""
        if self.started_at is None:
            return None
        return ((self.finished_at or timezone.now()) - self.started_at).total_seconds()

    @property
    def is_live(self) -> bool:
        return self.status in (self.Status.QUEUED, self.Status.RUNNING)
