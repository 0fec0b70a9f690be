from django.db import models

from annotation.models.project import Project
from annotation.models.user import User


class Event(models.Model):
    """Who did what to which object, when, and what it was before and after."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="events", null=True)
    actor = models.ForeignKey(User, models.PROTECT, related_name="+", null=True, help_text="Empty: the system.")
    verb = models.CharField(max_length=60)
    object_type = models.CharField(max_length=40)
    object_id = models.BigIntegerField(null=True)
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = [
            models.Index(fields=["project", "-at"], name="event_of_project"),
            models.Index(fields=["object_type", "object_id"], name="event_of_object"),
        ]

    def __str__(self) -> str:
        return f"{self.verb} {self.object_type} {self.object_id}"
