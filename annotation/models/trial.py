"""A proposed clause of the guideline, and its trial: the same tasks, annotated under the present text and under the
proposed one, before it is adopted."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from annotation.models.guideline import Guideline
from annotation.models.project import Project
from annotation.models.user import User


class GuidelineClause(models.Model):
    """A clause that a manager proposes, with the tasks that it is about (by id).

    While it is tried, `based_on` is the guideline of the arm `present`, and `proposed` the whole text of the arm
    `proposed`. `Batch.trial` and `Batch.trial_arm` name the two batches; `result` is what
    `annotation.trials.results` computed last.
    """

    class Status(models.TextChoices):
        DRAFT = "draft", _("Draft")
        TRIAL = "trial", _("Being tried")
        ADOPTED = "adopted", _("Adopted")
        DISCARDED = "discarded", _("Discarded")

    project = models.ForeignKey(Project, models.CASCADE, related_name="clauses")
    text = models.TextField()
    task_ids = ArrayField(models.BigIntegerField(), default=list)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.DRAFT)
    based_on = models.ForeignKey(Guideline, models.PROTECT, related_name="+", null=True, blank=True)
    proposed = models.TextField(blank=True)
    seed = models.PositiveIntegerField(null=True, blank=True, help_text="Draws who sees which version.")
    result = models.JSONField(null=True, blank=True)
    adopted_as = models.ForeignKey(Guideline, models.PROTECT, related_name="+", null=True, blank=True)
    created_by = models.ForeignKey(User, models.PROTECT, related_name="+", null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    decided_by = models.ForeignKey(User, models.PROTECT, related_name="+", null=True, blank=True)
    decided_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=["draft", "trial", "adopted", "discarded"]), name="clause_status"
            ),
            models.CheckConstraint(
                condition=~Q(status="trial") | Q(based_on__isnull=False, seed__isnull=False), name="clause_trial"
            ),
            # Two trials at once would share annotators, and each would blur the other.
            models.UniqueConstraint(fields=["project"], condition=Q(status="trial"), name="clause_one_trial"),
        ]

    def __str__(self) -> str:
        return f"clause {self.pk}"


class TrialArm(models.TextChoices):
    PRESENT = "present", _("Present guideline")
    PROPOSED = "proposed", _("With the clause")


class TrialPerson(models.Model):
    """Which version an annotator sees in a trial, as drawn when it began."""

    clause = models.ForeignKey(GuidelineClause, models.CASCADE, related_name="people", db_index=False)
    annotator = models.ForeignKey(User, models.PROTECT, related_name="+")
    arm = models.CharField(max_length=8, choices=TrialArm.choices)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["clause", "annotator"], name="trial_person_once"),
            models.CheckConstraint(condition=Q(arm__in=["present", "proposed"]), name="trial_person_arm"),
        ]

    def __str__(self) -> str:
        return f"person {self.annotator_id}: {self.arm}"
