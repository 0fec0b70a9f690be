"""Counts that pages read instead of the rows behind them.

Database triggers append to these tables in the transaction that changes a row, so they are exact after every write,
whatever wrote it; `annotation.core.counts` adds up, folds and recounts them (docs/decisions has the reasons). A row is
a difference, or, with `is_sum`, many differences folded into one. There are no foreign keys in the database: a key
check for every answer would cost more than the row.
"""

from django.db import models
from django.db.models import Q

from annotation.models.project import Project
from annotation.models.task import Batch
from annotation.models.user import User


class SlotCount(models.Model):
    """How many slots of a batch are in a state, or by how many that number changed."""

    class State(models.TextChoices):
        FREE = "free", "Free"
        HELD = "held", "In progress"
        REOPENED = "reopened", "Reopened"  # held, with an answer that stays in effect until it is replaced
        DONE = "done", "Done"
        SKIPPED = "skipped", "Skipped"
        WITHDRAWN = "withdrawn", "Withdrawn"

    batch = models.ForeignKey(Batch, models.CASCADE, related_name="+", db_constraint=False)
    state = models.CharField(max_length=10, choices=State.choices)
    slots = models.IntegerField()
    is_sum = models.BooleanField(default=False)

    class Meta:
        indexes = [
            models.Index(fields=["batch", "state"], include=["slots"], name="slot_count_of_batch"),
            models.Index(fields=["id"], condition=Q(is_sum=False), name="slot_count_to_fold"),
        ]

    def __str__(self) -> str:
        return f"{self.slots:+} {self.state} in batch {self.batch_id}"


class WorkCount(models.Model):
    """What one person did in one hour of one batch, or an addition to it.

    Day and hour are those of the project's time zone. An answer belongs to the hour in which it was first submitted,
    and to whoever submitted it; seconds to the hour in which the task was shown.
    """

    batch = models.ForeignKey(Batch, models.CASCADE, related_name="+", db_constraint=False)
    annotator = models.ForeignKey(User, models.CASCADE, related_name="+", db_constraint=False)
    day = models.DateField()
    hour = models.PositiveSmallIntegerField()
    answered = models.IntegerField(default=0)
    changed = models.IntegerField(default=0, help_text="Later versions of answers.")
    skipped = models.IntegerField(default=0)
    active_seconds = models.FloatField(default=0)
    idle_seconds = models.FloatField(default=0)
    is_sum = models.BooleanField(default=False)

    class Meta:
        indexes = [
            models.Index(fields=["batch", "day"], name="work_count_of_batch"),
            models.Index(fields=["annotator", "day"], name="work_count_of_person"),
            models.Index(fields=["id"], condition=Q(is_sum=False), name="work_count_to_fold"),
        ]

    def __str__(self) -> str:
        return f"{self.answered:+} answers of person {self.annotator_id} on {self.day}"


class PromptCount(models.Model):
    """How many prompts of a project are on a side of the split, or by how many that number changed."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="+", db_constraint=False, db_index=False)
    held_out = models.BooleanField()
    prompts = models.IntegerField()
    is_sum = models.BooleanField(default=False)

    class Meta:
        indexes = [
            models.Index(fields=["project", "held_out"], include=["prompts"], name="prompt_count_of_project"),
            models.Index(fields=["id"], condition=Q(is_sum=False), name="prompt_count_to_fold"),
        ]

    def __str__(self) -> str:
        return f"{self.prompts:+} prompts in project {self.project_id}"


class CandidateCount(models.Model):
    """How many candidates of a project's prompts have an origin, or by how many that number changed."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="+", db_constraint=False, db_index=False)
    origin = models.CharField(max_length=200)
    candidates = models.IntegerField()
    is_sum = models.BooleanField(default=False)

    class Meta:
        indexes = [
            models.Index(fields=["project", "origin"], include=["candidates"], name="candidate_count_of_project"),
            models.Index(fields=["id"], condition=Q(is_sum=False), name="candidate_count_to_fold"),
        ]

    def __str__(self) -> str:
        return f"{self.candidates:+} candidates of {self.origin} in project {self.project_id}"
