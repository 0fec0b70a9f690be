from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q

from annotation.models.project import Project, WeightSet
from annotation.models.prompt import Prompt
from annotation.models.user import User


class Kind(models.TextChoices):
    WRITING = "writing", "Writing"
    POSTEDITING = "postediting", "Post-editing"
    SCORING = "scoring", "Scoring"
    CHOOSING = "choosing", "Choosing"


class Batch(models.Model):
    """Tasks opened together, of one kind, with one overlap."""

    class Status(models.TextChoices):
        OPEN = "open", "Open"
        CLOSED = "closed", "Closed"

    project = models.ForeignKey(Project, models.CASCADE, related_name="batches")
    name = models.CharField(max_length=120)
    kind = models.CharField(max_length=16, choices=Kind.choices)
    overlap = models.PositiveSmallIntegerField()
    priority = models.SmallIntegerField(default=0, help_text="Batches of a higher priority are served first.")
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.OPEN)
    weight_set = models.ForeignKey(WeightSet, models.PROTECT, related_name="+", null=True, blank=True)
    seed = models.PositiveIntegerField(help_text="Shuffles the tasks and hides which candidate is which.")
    selection = models.JSONField(default=dict, help_text="Which prompts and candidates it was opened with.")
    created_by = models.ForeignKey(User, models.PROTECT, related_name="+", null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    closed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-priority", "id"]
        constraints = [
            models.CheckConstraint(condition=Q(overlap__gte=1), name="batch_overlap_positive"),
            models.CheckConstraint(condition=Q(kind__in=Kind.values), name="batch_kind"),
        ]

    def __str__(self) -> str:
        return self.name


class Task(models.Model):
    """One prompt with its candidates, to be annotated `batch.overlap` times. `candidate_ids` is in import order:
    what an annotator sees is shuffled by the batch's seed (see `annotation.candidates.presented_order`)."""

    batch = models.ForeignKey(Batch, models.CASCADE, related_name="tasks")
    prompt = models.ForeignKey(Prompt, models.PROTECT, related_name="tasks")
    candidate_ids = ArrayField(models.BigIntegerField(), default=list)
    position = models.PositiveIntegerField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["batch", "position"], name="task_position_once")]

    def __str__(self) -> str:
        return f"task {self.pk}"


class Assignment(models.Model):
    """One of a task's slots. Free until somebody claims it; a skipped slot stays as a record and a free one with a
    fresh number takes its place, so that a task always has `overlap` slots that are not skipped."""

    class State(models.TextChoices):
        FREE = "free", "Free"
        HELD = "held", "In hand"
        DONE = "done", "Done"
        SKIPPED = "skipped", "Skipped"

    task = models.ForeignKey(Task, models.CASCADE, related_name="assignments")
    batch = models.ForeignKey(Batch, models.CASCADE, related_name="assignments")
    slot = models.PositiveSmallIntegerField()
    priority = models.SmallIntegerField(default=0)
    position = models.PositiveIntegerField()
    state = models.CharField(max_length=8, choices=State.choices, default=State.FREE)
    annotator = models.ForeignKey(User, models.PROTECT, related_name="assignments", null=True, blank=True)
    claimed_at = models.DateTimeField(null=True, blank=True)
    leased_until = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    skip_reason = models.CharField(max_length=40, blank=True)
    skip_comment = models.TextField(blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["task", "slot"], name="assignment_slot_once"),
            # In this column order: see the house plan, data rules.
            models.UniqueConstraint(
                fields=["annotator", "task"], condition=Q(annotator__isnull=False), name="assignment_person_once"
            ),
            # One task in hand a person and batch: two tabs show the same task.
            models.UniqueConstraint(
                fields=["annotator", "batch"], condition=Q(state="held"), name="assignment_one_in_hand"
            ),
            models.CheckConstraint(
                condition=Q(state="free", annotator__isnull=True) | Q(~Q(state="free"), annotator__isnull=False),
                name="assignment_free_has_nobody",
            ),
            models.CheckConstraint(
                condition=~Q(state="held") | Q(leased_until__isnull=False), name="assignment_held_is_leased"
            ),
        ]
        indexes = [
            models.Index("batch", F("priority").desc(), "position", condition=Q(state="free"), name="assignment_free"),
            models.Index(fields=["leased_until"], condition=Q(state="held"), name="assignment_leases"),
            models.Index(fields=["batch", "state"], name="assignment_progress"),
        ]

    def __str__(self) -> str:
        return f"slot {self.slot} of task {self.task_id}"
