from django.contrib.postgres.fields import ArrayField
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


class EventSeal(models.Model):
    """A stretch of a project's events, hashed with the seal before it: an event changed later no longer fits.

    Events without a project have a chain of their own. A database trigger refuses every update and delete of events
    and seals.
    """

    project = models.ForeignKey(Project, models.CASCADE, related_name="+", null=True)
    number = models.PositiveIntegerField(help_text="1, 2, … in each chain.")
    event_ids = ArrayField(models.BigIntegerField(), help_text="In ascending order.")
    previous = models.CharField(max_length=64, help_text="The hash of the seal before it; empty for the first.")
    sha256 = models.CharField(max_length=64)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "number"], nulls_distinct=False, name="event_seal_once")
        ]

    def __str__(self) -> str:
        return f"seal {self.number} of project {self.project_id}"
