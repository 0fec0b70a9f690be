from django.db import models
from django.utils.translation import gettext_lazy as _

from annotation.models.project import Project
from annotation.models.user import User


class AnswerExport(models.Model):
    """A file with a project's answers that a manager asked for; theirs alone. It is written in the background, and the
    file is deleted after some days (`annotation.exchange.requests.DAYS_KEPT`)."""

    class Format(models.TextChoices):
        CSV = "csv", _("CSV, for spreadsheets")
        JSONL = "jsonl", _("JSONL, one JSON object per line")
        PARQUET = "parquet", _("Parquet, typed columns")

    class Status(models.TextChoices):
        QUEUED = "queued", _("Waiting")
        RUNNING = "running", _("Being written")
        DONE = "done", _("Done")
        CANCELLED = "cancelled", _("Cancelled")
        FAILED = "failed", _("Failed")
        DELETED = "deleted", _("File deleted")

    project = models.ForeignKey(Project, models.CASCADE, related_name="answer_exports")
    format = models.CharField(max_length=8, choices=Format.choices)
    selection = models.JSONField(help_text="See `annotation.exchange.selection.Selection`.")
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.QUEUED)
    cancel_requested = models.BooleanField(default=False, help_text="Its worker stops at the next look.")
    attempts = models.PositiveSmallIntegerField(default=0, help_text="How often a worker began it.")
    rows_written = models.PositiveBigIntegerField(default=0)
    rows_total = models.PositiveBigIntegerField(default=0)
    report = models.JSONField(default=dict, help_text="Counts of rows and of what was left out.")
    path = models.CharField(max_length=300, blank=True, help_text="The file, below var; empty while there is none.")
    size = models.PositiveBigIntegerField(default=0, help_text="Bytes.")
    sha256 = models.CharField(max_length=64, blank=True)
    error = models.TextField(blank=True)
    created_by = models.ForeignKey(User, models.CASCADE, related_name="answer_exports")
    created_at = models.DateTimeField(auto_now_add=True)
    queued_at = models.DateTimeField(help_text="When it was last asked for.")
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(format__in=["csv", "jsonl", "parquet"]), name="answer_export_format"
            ),
            models.CheckConstraint(
                condition=~models.Q(status="done") | (~models.Q(path="") & models.Q(finished_at__isnull=False)),
                name="answer_export_done_has_a_file",
            ),
        ]
        indexes = [
            models.Index(fields=["created_by", "project", "-id"], name="answer_export_of_person"),
            models.Index(
                fields=["status"],
                condition=models.Q(status__in=["queued", "running", "done"]),
                name="answer_export_due",
            ),
        ]

    def __str__(self) -> str:
        return f"answer export {self.pk}"

    @property
    def is_live(self) -> bool:
        return self.status in (self.Status.QUEUED, self.Status.RUNNING)
