"""Who wants a project's figures by e-mail."""

from django.db import models

from annotation.models.project import Project
from annotation.models.user import User


class WeeklySummary(models.Model):
    """A person's wish to get a project's figures each Monday.

    `address` is the dashboard as this person reached it when they asked: a job knows no other address of the site.
    """

    project = models.ForeignKey(Project, models.CASCADE, related_name="+")
    user = models.ForeignKey(User, models.CASCADE, related_name="+")
    address = models.URLField(max_length=500)
    language = models.CharField(max_length=10, help_text="Of the pages when the person asked.")
    sent_for = models.DateField(null=True, blank=True, help_text="The Monday of the last one.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name_plural = "weekly summaries"
        constraints = [models.UniqueConstraint(fields=["project", "user"], name="weekly_summary_once")]

    def __str__(self) -> str:
        return f"weekly summary of project {self.project_id} for person {self.user_id}"
