from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from annotation.models.guideline import Guideline
from annotation.models.project import Project
from annotation.models.task import Task
from annotation.models.user import User


class Remark(models.Model):
    """What an annotator says about a task to whoever reviews: a comment, a question that wants an answer, or a flag
    that something is wrong with the task itself."""

    class Kind(models.TextChoices):
        COMMENT = "comment", _("Comment")
        QUESTION = "question", _("Question")
        FLAG = "flag", _("Flag")

    task = models.ForeignKey(Task, models.CASCADE, related_name="remarks")
    author = models.ForeignKey(User, models.PROTECT, related_name="remarks")
    kind = models.CharField(max_length=16, choices=Kind.choices)
    text = models.TextField()
    created_at = models.DateTimeField(auto_now_add=True)
    answer = models.TextField(blank=True)
    answered_by = models.ForeignKey(User, models.PROTECT, related_name="+", null=True, blank=True)
    answered_at = models.DateTimeField(
        null=True, blank=True, help_text="When it was answered, or resolved without an answer."
    )
    read_at = models.DateTimeField(null=True, blank=True, help_text="When its author saw the answer.")

    class Meta:
        ordering = ["created_at", "id"]
        constraints = [
            models.CheckConstraint(condition=Q(kind__in=["comment", "question", "flag"]), name="remark_kind")
        ]
        indexes = [
            models.Index(fields=["task"], condition=Q(answered_at=None), name="remark_open"),
            models.Index(fields=["author", "-created_at"], name="remark_by_person"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} on task {self.task_id}"


class GuidelineReading(models.Model):
    """Which version of a project's guideline a person read last: what changed since is marked for them."""

    user = models.ForeignKey(User, models.CASCADE, related_name="+")
    project = models.ForeignKey(Project, models.CASCADE, related_name="+")
    guideline = models.ForeignKey(Guideline, models.CASCADE, related_name="+")
    read_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "project"], name="guideline_reading_once")]

    def __str__(self) -> str:
        return f"{self.user_id} read guideline {self.guideline_id}"
