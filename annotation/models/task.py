from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from annotation.models.project import Project, WeightSet
from annotation.models.prompt import Prompt
from annotation.models.user import User


class Kind(models.TextChoices):
    WRITING = "writing", _("Writing")
    POSTEDITING = "postediting", _("Post-editing")
    SCORING = "scoring", _("Scoring")
    CHOOSING = "choosing", _("Choosing")


class Batch(models.Model):
    """Tasks opened together, of one kind, with one overlap; with `overlap_most`, a task gets more answers while its
    label is unsure (see `annotation.quality.overlap`)."""

    class Status(models.TextChoices):
        OPEN = "open", _("Open")
        CLOSED = "closed", _("Closed")

    project = models.ForeignKey(Project, models.CASCADE, related_name="batches")
    name = models.CharField(max_length=120)
    kind = models.CharField(max_length=16, choices=Kind.choices)
    overlap = models.PositiveSmallIntegerField()
    overlap_most = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        help_text="Adaptive: a task that is unsure after `overlap` answers gets more, up to this. None: it does not.",
    )
    sure = models.FloatField(
        default=0.95, help_text="The calibrated probability of a label from which on no more answers are asked for."
    )
    assessed = models.PositiveIntegerField(
        default=0, help_text="Of an adaptive batch: answers that the newest analysis has taken into account."
    )
    priority = models.SmallIntegerField(default=0, help_text="Batches of a higher priority are served first.")
    alternatives = models.PositiveSmallIntegerField(default=1, help_text="How many candidates a task shows at most.")
    qualification = models.ForeignKey(
        "annotation.Qualification",
        models.PROTECT,
        related_name="batches",
        null=True,
        blank=True,
        help_text="Only annotators who passed this test get tasks of the batch.",
    )
    requires_review = models.BooleanField(
        default=False, help_text="Answers count only once a reviewer accepted or corrected them."
    )
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.OPEN)
    weight_set = models.ForeignKey(WeightSet, models.PROTECT, related_name="+", null=True, blank=True)
    seed = models.PositiveIntegerField(help_text="Shuffles the tasks and hides which candidate is which.")
    selection = models.JSONField(default=dict, help_text="Which prompts and candidates it was opened with.")
    # A trial of the guideline: its answers are no labels (`annotation.core.trials`).
    trial = models.ForeignKey(
        "annotation.GuidelineClause", models.PROTECT, related_name="batches", null=True, blank=True
    )
    trial_arm = models.CharField(max_length=8, blank=True, help_text="present or proposed; see `TrialPerson`.")
    checks = models.JSONField(
        default=dict, blank=True, help_text="Which tasks check people; see `annotation.checks.shares`. Empty: none."
    )
    created_by = models.ForeignKey(User, models.PROTECT, related_name="+", null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    closed_at = models.DateTimeField(null=True, blank=True)
    saved = models.PositiveIntegerField(
        default=0, help_text="By the newest analysis: answers fewer than the most, of the tasks that need no more."
    )

    # The arm of each prompt that was selected, between dealing the tasks and inserting them (`annotation.queue.arms`).
    arms: dict[int, str] | None = None

    class Meta:
        verbose_name_plural = "batches"
        ordering = ["-priority", "id"]
        constraints = [
            models.CheckConstraint(condition=Q(overlap__gte=1), name="batch_overlap_positive"),
            models.CheckConstraint(
                condition=Q(overlap_most__isnull=True)
                | Q(overlap__gte=2, overlap_most__gt=F("overlap"), kind=Kind.CHOOSING),
                name="batch_overlap_adaptive",
            ),
            models.CheckConstraint(condition=Q(sure__gt=0, sure__lt=1), name="batch_sure"),
            models.CheckConstraint(condition=Q(kind__in=Kind.values), name="batch_kind"),
            models.CheckConstraint(
                condition=Q(trial__isnull=True, trial_arm="")
                | Q(trial__isnull=False, trial_arm__in=["present", "proposed"]),
                name="batch_trial",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def most(self) -> int:
        """The most answers that a task may get."""
        return self.overlap_most or self.overlap


class Task(models.Model):
    """One prompt with its candidates, to be annotated `batch.overlap` times or more. `candidate_ids` is in import
    order: what an annotator sees is shuffled by the batch's seed (see `annotation.kinds.side_order.presented_order`).
    """

    batch = models.ForeignKey(Batch, models.CASCADE, related_name="tasks", db_index=False)  # task_position_once has it
    prompt = models.ForeignKey(Prompt, models.PROTECT, related_name="tasks")
    candidate_ids = ArrayField(models.BigIntegerField(), default=list)
    position = models.PositiveIntegerField()
    created_at = models.DateTimeField(auto_now_add=True)
    # The candidates' texts by id, where the statement that loaded the task brought them along (see `TASK_TEXTS`).
    texts: dict[int, str] | None = None

    class Meta:
        constraints = [models.UniqueConstraint(fields=["batch", "position"], name="task_position_once")]

    def __str__(self) -> str:
        return f"task {self.pk}"


class Assignment(models.Model):
    """One of a task's slots. Free until an annotator claims it; a skipped slot stays as a record and a free one with a
    fresh number takes its place, so that a task always has `overlap` slots that are not skipped (in an adaptive batch
    sometimes more). The slots of a withdrawn prompt that have no answer are withdrawn, and free again when the prompt
    is restored."""

    class State(models.TextChoices):
        FREE = "free", "Free"
        HELD = "held", "In progress"
        DONE = "done", "Done"
        SKIPPED = "skipped", "Skipped"
        WITHDRAWN = "withdrawn", "Withdrawn"

    # No indexes of their own, which each claim and submission would write: constraints and indexes below begin with
    # each of the three. The batch is that of the task, which has a foreign key: checking it for each slot as well would
    # take half a second of opening 100,000 tasks.
    task = models.ForeignKey(Task, models.CASCADE, related_name="assignments", db_index=False)
    batch = models.ForeignKey(Batch, models.CASCADE, related_name="assignments", db_index=False, db_constraint=False)
    slot = models.PositiveSmallIntegerField()
    priority = models.SmallIntegerField(default=0)
    position = models.PositiveIntegerField()
    state = models.CharField(max_length=10, choices=State.choices, default=State.FREE)
    annotator = models.ForeignKey(
        User, models.PROTECT, related_name="assignments", null=True, blank=True, db_index=False
    )
    claimed_at = models.DateTimeField(null=True, blank=True)
    leased_until = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    skip_reason = models.CharField(max_length=40, blank=True)
    skip_comment = models.TextField(blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["task", "slot"], name="assignment_slot_once"),
            # Annotator first: the index serves “has this person had the task?”, asked for each slot a claim visits,
            # and a person's own slots. Lookups by task use the constraint above.
            models.UniqueConstraint(
                fields=["annotator", "task"], condition=Q(annotator__isnull=False), name="assignment_person_once"
            ),
            # One claimed task per person and batch: two tabs show the same task.
            models.UniqueConstraint(
                fields=["annotator", "batch"], condition=Q(state="held"), name="assignment_one_in_hand"
            ),
            models.CheckConstraint(
                condition=Q(state__in=["free", "withdrawn"], annotator__isnull=True)
                | Q(~Q(state__in=["free", "withdrawn"]), annotator__isnull=False),
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


class QueueCursor(models.Model):
    """How far down a batch's queue a person has been served. Slots before it were theirs or claimed by others when they
    passed; they are scanned again once nothing is left behind it (see `annotation.queue.claims`)."""

    annotator = models.ForeignKey(User, models.CASCADE, related_name="+")
    batch = models.ForeignKey(Batch, models.CASCADE, related_name="+")
    priority = models.SmallIntegerField()
    position = models.PositiveIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["annotator", "batch"], name="queue_cursor_once")]

    def __str__(self) -> str:
        return f"at {self.position} of batch {self.batch_id}"


class TimeSpent(models.Model):
    """Seconds that a person spent on one showing of a task, as their page counted them. The page sends its totals with
    every draft and answer; a row only grows, and a person's rows together never exceed the time that really passed."""

    annotator = models.ForeignKey(User, models.PROTECT, related_name="+")
    batch = models.ForeignKey(Batch, models.PROTECT, related_name="+")
    assignment = models.ForeignKey(Assignment, models.PROTECT, related_name="+")
    visit = models.CharField(max_length=40, help_text="Made up by the page for each showing of a task.")
    active_seconds = models.FloatField(default=0)
    idle_seconds = models.FloatField(default=0)
    began_at = models.DateTimeField()
    seen_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["annotator", "visit"], name="time_spent_once")]
        indexes = [
            models.Index(fields=["annotator", "assignment"], name="time_spent_on"),
            models.Index(fields=["batch", "began_at"], name="time_spent_in"),
        ]

    def __str__(self) -> str:
        return f"{self.active_seconds:.0f} s on assignment {self.assignment_id}"


class WorkClock(models.Model):
    """How many seconds of work a person may still report, so that tasks held at the same time do not count twice."""

    annotator = models.OneToOneField(User, models.CASCADE, related_name="+")
    credit = models.FloatField(help_text="Seconds that had passed at `at` and were not reported as work.")
    granted = models.FloatField(help_text="Seconds of work accepted with the last message.")
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.credit:.0f} s left of person {self.annotator_id}"
