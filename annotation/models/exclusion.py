"""What is left out of what is computed from answers, although it was answered."""

from django.db import models
from django.db.models import Q

from annotation.models.project import Project
from annotation.models.prompt import Prompt
from annotation.models.task import Task
from annotation.models.user import User


class Exclusion(models.Model):
    """Answers that do not count, with the reason. It is in effect until it is lifted; then the row stays as a record.

    With a task and a person: their answer to it, whatever its version. With a person alone: all their answers in the
    project, those to come included. With neither: those of all simulated annotators. With a prompt alone: the prompt is
    withdrawn; all answers to it are excluded, and it gets no further ones. Which answers an exclusion is about, SQL
    asks by `annotation.core.exclusions`.
    """

    project = models.ForeignKey(Project, models.CASCADE, related_name="exclusions")
    task = models.ForeignKey(Task, models.CASCADE, related_name="exclusions", null=True, blank=True)
    annotator = models.ForeignKey(User, models.PROTECT, related_name="+", null=True, blank=True)
    prompt = models.ForeignKey(Prompt, models.CASCADE, related_name="exclusions", null=True, blank=True)
    reason = models.CharField(max_length=500)
    created_by = models.ForeignKey(User, models.PROTECT, related_name="+", null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    lifted_by = models.ForeignKey(User, models.PROTECT, related_name="+", null=True, blank=True)
    lifted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(condition=Q(task=None) | Q(annotator__isnull=False), name="exclusion_of_somebody"),
            models.CheckConstraint(
                condition=Q(prompt=None) | Q(task__isnull=True, annotator__isnull=True), name="exclusion_of_one_thing"
            ),
            models.CheckConstraint(condition=~Q(reason=""), name="exclusion_reason"),
            models.UniqueConstraint(
                fields=["project", "annotator", "task", "prompt"],
                condition=Q(lifted_at=None),
                nulls_distinct=False,
                name="exclusion_once",
            ),
        ]

    def __str__(self) -> str:
        return f"exclusion {self.pk}"

    @property
    def scope(self) -> str:
        """prompt, answer, person or simulated."""
        if self.prompt_id is not None:
            return "prompt"
        if self.annotator_id is None:
            return "simulated"
        return "person" if self.task_id is None else "answer"
