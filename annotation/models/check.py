"""Tasks that check people: gold, practice items, repeats and damaged twins; and what a manager is asked to decide."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from annotation.models.project import Project
from annotation.models.prompt import Prompt
from annotation.models.task import Batch, Kind, Task
from annotation.models.user import User


class Gold(models.Model):
    """A task whose right answer is known. `expected` is an annotation's payload of the kind, without free texts.

    Prompt, candidates and answer are copied from where it was made: later changes there do not change it.
    """

    project = models.ForeignKey(Project, models.CASCADE, related_name="gold")
    kind = models.CharField(max_length=16, choices=Kind.choices)
    prompt = models.ForeignKey(Prompt, models.PROTECT, related_name="+")
    candidate_ids = ArrayField(models.BigIntegerField(), default=list)
    expected = models.JSONField()
    explanation = models.TextField(blank=True, help_text="Why it is right; shown where the item is a practice item.")
    source = models.CharField(
        max_length=40, blank=True, help_text="annotation:<id> or adjudication:<id>; none: entered."
    )
    created_by = models.ForeignKey(User, models.PROTECT, related_name="+", null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    retired_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.CheckConstraint(condition=Q(kind__in=["scoring", "choosing"]), name="gold_kind"),
            models.UniqueConstraint(
                fields=["project", "kind", "prompt", "candidate_ids"], condition=Q(retired_at=None), name="gold_once"
            ),
        ]

    def __str__(self) -> str:
        return f"gold {self.pk}"


class TaskCheck(models.Model):
    """A task that is there to check people; its answers are no labels (`annotation.core.checks`).

    gold: the right answer is known. tutorial: a practice item; each person has it first, and is told the answer.
    repeat: `of_task` again, for those who answered it. twin: `worse_candidate` is `of_candidate` damaged by the rule
    `damage`, so that it must score or rank lower; with an `of_task` it is shown alone, to those who answered that.
    """

    class What(models.TextChoices):
        GOLD = "gold", _("Gold")
        TUTORIAL = "tutorial", _("Practice item")
        REPEAT = "repeat", _("Repeat")
        TWIN = "twin", _("Damaged twin")

    task = models.OneToOneField(Task, models.CASCADE, related_name="checking", primary_key=True)
    batch = models.ForeignKey(Batch, models.CASCADE, related_name="+")
    what = models.CharField(max_length=10, choices=What.choices)
    gold = models.ForeignKey(Gold, models.PROTECT, related_name="uses", null=True, blank=True)
    of_task = models.ForeignKey(Task, models.CASCADE, related_name="+", null=True, blank=True)
    damage = models.CharField(max_length=20, blank=True, help_text="The rule; see `annotation.checks.damage`.")
    worse_candidate = models.BigIntegerField(null=True, blank=True)
    of_candidate = models.BigIntegerField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(what__in=["gold", "tutorial"], gold__isnull=False, of_task__isnull=True)
                | Q(what="repeat", gold__isnull=True, of_task__isnull=False)
                | Q(what="twin", gold__isnull=True, worse_candidate__isnull=False, of_candidate__isnull=False),
                name="task_check_shape",
            ),
            models.CheckConstraint(condition=Q(what="twin") ^ Q(damage=""), name="task_check_damage"),
        ]

    def __str__(self) -> str:
        return f"{self.what} task {self.task_id}"


class CheckProposal(models.Model):
    """What a rule asks a manager to decide about a person: nothing happens before somebody confirms it.

    `measure` is one of `annotation.checks.rules.MEASURES`; `estimate` the share with its interval and n when the rule
    fired, `threshold` what it had to be below. The rules run again after a decision only on new answers.
    """

    class Action(models.TextChoices):
        WARN = "warn", _("Warn")
        PAUSE = "pause", _("Pause")
        REQUEUE = "requeue", _("Re-queue")

    project = models.ForeignKey(Project, models.CASCADE, related_name="proposals")
    batch = models.ForeignKey(Batch, models.CASCADE, related_name="+", null=True, blank=True)
    annotator = models.ForeignKey(User, models.PROTECT, related_name="+")
    action = models.CharField(max_length=10, choices=Action.choices)
    measure = models.CharField(max_length=10)
    threshold = models.FloatField()
    estimate = models.JSONField()
    created_at = models.DateTimeField(auto_now_add=True)
    decided_at = models.DateTimeField(null=True, blank=True)
    decided_by = models.ForeignKey(User, models.PROTECT, related_name="+", null=True, blank=True)
    confirmed = models.BooleanField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(decided_at__isnull=True, confirmed__isnull=True)
                | Q(decided_at__isnull=False, confirmed__isnull=False),
                name="check_proposal_decided",
            ),
            models.CheckConstraint(
                condition=~Q(action="requeue") | Q(batch__isnull=False), name="check_proposal_batch"
            ),
            models.UniqueConstraint(
                fields=["project", "annotator", "action", "measure", "batch"],
                condition=Q(decided_at=None),
                nulls_distinct=False,
                name="check_proposal_once",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.action} person {self.annotator_id}?"
