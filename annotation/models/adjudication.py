from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from annotation.models.annotation import Annotation
from annotation.models.project import Project
from annotation.models.task import Batch, Task
from annotation.models.user import User


class Adjudication(models.Model):
    """A reviewer's final decision on a task whose annotators disagree. The answers themselves never change.

    With a `payload`, in the form of `Annotation.payload`, every answer to the task counts as it; without one they were
    kept as divided, and each counts as it is. Which answers count, SQL asks by `annotation.core.reviews`.
    """

    class Cause(models.TextChoices):
        UNDERSPECIFIED = "underspecified", _("Underspecified task")
        STYLE = "style", _("Matter of style")
        REFUSAL = "refusal", _("Refusal or policy")
        ERROR = "error", _("Somebody's error")

    task = models.ForeignKey(Task, models.CASCADE, related_name="adjudications", db_index=False)
    batch = models.ForeignKey(Batch, models.CASCADE, related_name="+")
    adjudicator = models.ForeignKey(User, models.PROTECT, related_name="+")
    payload = models.JSONField(null=True, blank=True, help_text="The answer that counts; none: kept as divided.")
    chosen = models.ForeignKey(
        Annotation,
        models.SET_NULL,
        related_name="+",
        null=True,
        blank=True,
        help_text="The annotator's answer that was chosen; none: the adjudicator's own.",
    )
    cause = models.CharField(max_length=16, choices=Cause.choices, help_text="Why the annotators disagreed.")
    note = models.TextField(blank=True, help_text="For the annotators to read.")
    doubt = models.FloatField(default=0, help_text="Of the task when it was decided; see `TaskDoubt`.")
    active_seconds = models.FloatField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["task"], name="adjudication_once"),
            models.CheckConstraint(
                condition=Q(cause__in=["underspecified", "style", "refusal", "error"]), name="adjudication_cause"
            ),
            models.CheckConstraint(
                condition=Q(chosen__isnull=True) | Q(payload__isnull=False), name="adjudication_chosen"
            ),
        ]

    def __str__(self) -> str:
        return f"adjudication {self.pk}"

    @property
    def is_divided(self) -> bool:
        return self.payload is None


class AdjudicationClaim(models.Model):
    """The task that a reviewer decides now: nobody else gets it until the lease ends. A decision deletes the row."""

    task = models.ForeignKey(Task, models.CASCADE, related_name="+", db_index=False)
    project = models.ForeignKey(Project, models.CASCADE, related_name="+", db_index=False)
    reviewer = models.ForeignKey(User, models.CASCADE, related_name="+")
    claimed_at = models.DateTimeField()
    leased_until = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["task"], name="adjudication_claim_once"),
            # Two tabs of one person show the same task.
            models.UniqueConstraint(fields=["project", "reviewer"], name="adjudication_claim_one_each"),
        ]

    def __str__(self) -> str:
        return f"person {self.reviewer_id} decides task {self.task_id}"


class TaskDoubt(models.Model):
    """A task on which annotators disagree, as the newest analysis found it; a decision deletes the row.

    `doubt` is the number of its questions (pairs of texts, scores of an aspect) whose answer is expected to be wrong.
    """

    task = models.OneToOneField(Task, models.CASCADE, related_name="doubt", primary_key=True)
    project = models.ForeignKey(Project, models.CASCADE, related_name="+", db_index=False)
    doubt = models.FloatField()

    class Meta:
        indexes = [models.Index(fields=["project", "-doubt", "task"], name="task_doubt_worst")]

    def __str__(self) -> str:
        return f"{self.doubt:.2f} of task {self.task_id}"
