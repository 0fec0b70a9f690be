from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from annotation.models.annotation import Annotation
from annotation.models.guideline import Guideline
from annotation.models.project import Project
from annotation.models.task import Batch, Task
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


class Review(models.Model):
    """What a reviewer decided about one version of an answer. The row stays; only the author's reply is added.

    The answer itself never changes: `payload` is the reviewer's corrected answer, in the form of `Annotation.payload`.
    Which answers count, SQL asks by `annotation.core.reviews`.
    """

    class Verdict(models.TextChoices):
        ACCEPTED = "accepted", _("Accepted")
        CORRECTED = "corrected", _("Corrected")
        LEFT_OUT = "left_out", _("Left out")
        SENT_BACK = "sent_back", _("Sent back")

    annotation = models.ForeignKey(Annotation, models.CASCADE, related_name="reviews")
    batch = models.ForeignKey(Batch, models.CASCADE, related_name="+")
    reviewer = models.ForeignKey(User, models.PROTECT, related_name="+")
    verdict = models.CharField(max_length=16, choices=Verdict.choices)
    note = models.TextField(blank=True, help_text="The reason, for the author to read.")
    payload = models.JSONField(null=True, blank=True, help_text="The corrected answer.")
    first_pass = models.BooleanField(help_text="Whether no earlier version of the answer was reviewed.")
    active_seconds = models.FloatField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)
    reply = models.TextField(blank=True, help_text="What the author answered, once.")
    replied_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["annotation"], name="review_once"),
            models.CheckConstraint(
                condition=Q(verdict__in=["accepted", "corrected", "left_out", "sent_back"]), name="review_verdict"
            ),
            models.CheckConstraint(
                condition=Q(verdict="corrected", payload__isnull=False)
                | Q(~Q(verdict="corrected"), payload__isnull=True),
                name="review_correction",
            ),
            models.CheckConstraint(condition=Q(verdict="accepted") | ~Q(note=""), name="review_reason"),
            models.CheckConstraint(
                condition=Q(reply="", replied_at=None) | Q(~Q(reply=""), replied_at__isnull=False), name="review_reply"
            ),
        ]
        indexes = [models.Index(fields=["batch", "created_at"], name="review_of_batch")]

    def __str__(self) -> str:
        return f"review {self.pk}"


class ReviewClaim(models.Model):
    """The answer that a reviewer looks at now: nobody else gets it until the lease ends. A verdict deletes the row."""

    annotation = models.ForeignKey(Annotation, models.CASCADE, related_name="+")
    project = models.ForeignKey(Project, models.CASCADE, related_name="+")
    reviewer = models.ForeignKey(User, models.CASCADE, related_name="+")
    claimed_at = models.DateTimeField()
    leased_until = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["annotation"], name="review_claim_once"),
            # Two tabs of one person show the same answer.
            models.UniqueConstraint(fields=["reviewer", "project"], name="review_claim_one_each"),
        ]

    def __str__(self) -> str:
        return f"person {self.reviewer_id} reviews annotation {self.annotation_id}"
