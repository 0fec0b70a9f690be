from django.db import models

from annotation.models.project import Project
from annotation.models.user import User


class Guideline(models.Model):
    """One version of a project's guideline, in Markdown. A version is never edited: a change is a new version."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="guidelines")
    version = models.PositiveIntegerField()
    text = models.TextField()
    created_by = models.ForeignKey(User, models.PROTECT, related_name="+", null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-version"]
        constraints = [models.UniqueConstraint(fields=["project", "version"], name="guideline_version_once")]

    def __str__(self) -> str:
        return f"guideline {self.version}"
