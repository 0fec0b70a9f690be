from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q

from annotation.models.project import Project
from annotation.models.prompt import Prompt
from annotation.models.task import Kind
from annotation.models.user import User


class Qualification(models.Model):
    """A test that a person passes before they work on a batch: tasks whose right answers are known."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="qualifications")
    name = models.CharField(max_length=120)
    kind = models.CharField(max_length=16, choices=Kind.choices)
    pass_share = models.FloatField(
        default=0.8,
        validators=[MinValueValidator(0.0), MaxValueValidator(1.0)],
        help_text="From 0 to 1: the share of items that must be right.",
    )
    tolerance = models.PositiveSmallIntegerField(default=1, help_text="Points by which a score may differ.")
    attempts = models.PositiveSmallIntegerField(default=2, validators=[MinValueValidator(1)])
    seed = models.PositiveIntegerField(help_text="Hides which candidate is which.")
    created_by = models.ForeignKey(User, models.PROTECT, related_name="+", null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    retired_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["name", "id"]
        constraints = [
            models.CheckConstraint(condition=Q(kind__in=["scoring", "choosing"]), name="qualification_kind"),
            models.CheckConstraint(
                condition=Q(pass_share__gte=0, pass_share__lte=1, attempts__gte=1), name="qualification_bar"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class QualificationItem(models.Model):
    """One task of a test. `expected` is an annotation's payload of the test's kind."""

    qualification = models.ForeignKey(Qualification, models.CASCADE, related_name="items")
    prompt = models.ForeignKey(Prompt, models.PROTECT, related_name="+")
    candidate_ids = ArrayField(models.BigIntegerField(), default=list)
    position = models.PositiveIntegerField()
    expected = models.JSONField()
    explanation = models.TextField(blank=True, help_text="Shown after the test beside an answer that was wrong.")

    class Meta:
        ordering = ["position"]
        constraints = [models.UniqueConstraint(fields=["qualification", "position"], name="qualification_item_once")]

    def __str__(self) -> str:
        return f"item {self.position} of test {self.qualification_id}"


class QualificationAttempt(models.Model):
    """One person's go at a test. `answers` is {"<item id>": payload}; the verdict comes with the last of them."""

    qualification = models.ForeignKey(Qualification, models.CASCADE, related_name="taken")
    user = models.ForeignKey(User, models.PROTECT, related_name="+")
    number = models.PositiveSmallIntegerField()
    answers = models.JSONField(default=dict)
    started_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    share = models.FloatField(null=True, blank=True, help_text="Of the items that were right.")
    passed = models.BooleanField(null=True, blank=True)

    class Meta:
        ordering = ["-number"]
        constraints = [
            models.UniqueConstraint(fields=["qualification", "user", "number"], name="qualification_attempt_once"),
            models.UniqueConstraint(
                fields=["qualification", "user"], condition=Q(finished_at=None), name="qualification_one_at_a_time"
            ),
        ]
        indexes = [
            models.Index(fields=["user", "qualification"], condition=Q(passed=True), name="qualification_passed")
        ]

    def __str__(self) -> str:
        return f"attempt {self.number} of {self.user_id} at test {self.qualification_id}"
