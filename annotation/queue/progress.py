"""Progress of batches, and where a person has work. Each read is one statement, whatever the size."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from django.db.models import (
    BigIntegerField,
    Count,
    Exists,
    ExpressionWrapper,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Sum,
    Value,
)
from django.db.models.functions import Coalesce, JSONObject

from annotation.core.access import MEMBERS, within
from annotation.core.trials import may_join, open_batches_of
from annotation.models import (
    Annotation,
    Assignment,
    Batch,
    Candidate,
    Membership,
    Project,
    QualificationAttempt,
    QueueCursor,
    SlotCount,
    Task,
    TaskCheck,
    User,
    WorkCount,
)
from annotation.queue.check_claims import REPEAT_AFTER

State = Assignment.State
# A reopened answer stays current until it is replaced, so it counts as done.
REOPENED = Q(state=State.HELD, finished_at__isnull=False)
COUNTED_SLOTS = 2_000


@dataclass(frozen=True)
class Progress:
    """A batch's slots; `total` leaves out skipped ones, which are replaced, and those of withdrawn prompts."""

    batch: Batch
    done: int
    claimed: int
    free: int
    skipped: int
    withdrawn: int = 0

    @property
    def total(self) -> int:
        return self.done + self.claimed + self.free

    @property
    def share(self) -> float:
        return self.done / self.total if self.total else 0.0

    @property
    def is_open(self) -> bool:
        return self.batch.status == Batch.Status.OPEN

    @property
    def is_complete(self) -> bool:
        """Every answer that it asks for is there, and it will not ask for more."""
        return self.done == self.total and not self.awaits_analysis

    @property
    def awaits_analysis(self) -> bool:
        """Its overlap is adaptive, and the newest analysis does not know all answers yet: tasks that are unsure get
        one more."""
        adaptive = self.batch.overlap_most is not None and self.is_open
        return adaptive and self.done == self.total and self.batch.assessed != self.done

    @property
    def more(self) -> int:
        """How many more answers than `total` it may come to ask for, if the label of every task stays unsure."""
        if self.batch.overlap_most is None or not self.is_open or self.is_complete:
            return 0
        most = int(self.batch.selection.get("tasks", 0)) * self.batch.overlap_most
        return max(most - self.batch.saved - self.total, 0)


@dataclass(frozen=True)
class Work:
    """A batch in which a person may work. `available`: they hold a task or one is free for them now; `needs_test`: they
    have to pass the batch's test first (`available` is false then). Who is paused gets no further task."""

    batch: Batch
    project: Project
    done_by_me: int
    available: bool
    needs_test: bool = False


def project_progress(project: Project) -> list[Progress]:
    """How far each batch of the project is, in one query: open ones first, then by priority, newest first."""
    return progress_of(Batch.objects.filter(project=project))


@dataclass(frozen=True)
class ProjectState:
    """What a manager sees of a project first: `done` counts the answers of all batches, the rest open ones."""

    project: Project
    done: int
    done_in_open: int
    total: int
    claimed: int
    open_batches: int
    awaits_analysis: bool = False

    @property
    def is_waiting(self) -> bool:
        """Nothing is left to annotate, and no batch will ask for more."""
        return self.done_in_open == self.total and not self.awaits_analysis


def project_states(projects: Collection[Project]) -> list[ProjectState]:
    """Of each project, in one query."""
    rows: dict[int, list[Progress]] = {project.pk: [] for project in projects}
    for item in progress_of(Batch.objects.filter(project__in=rows)):
        rows[item.batch.project_id].append(item)
    return [project_state(project, rows[project.pk]) for project in projects]


def project_state(project: Project, batches: Collection[Progress]) -> ProjectState:
    open_ones = [item for item in batches if item.is_open]
    return ProjectState(
        project=project,
        done=sum(item.done for item in batches),
        done_in_open=sum(item.done for item in open_ones),
        total=sum(item.total for item in open_ones),
        claimed=sum(item.claimed for item in open_ones),
        open_batches=len(open_ones),
        awaits_analysis=any(item.awaits_analysis for item in open_ones),
    )


def progress_of(batches: QuerySet[Batch]) -> list[Progress]:
    """Read from the counts that triggers keep: the same cost in a batch of a million."""
    slots = (
        SlotCount.objects.filter(batch=OuterRef("pk"))
        .order_by()
        .values("batch")
        .annotate(by_state=JSONObject(**{state: state_sum(state) for state in SlotCount.State.values}))
        .values("by_state")
    )
    counted = batches.annotate(slots=Subquery(slots)).order_by("-status", "-priority", "-id")
    rows = []
    for batch in counted:
        slots_in = Counter(batch.slots or {})
        rows.append(
            Progress(
                batch,
                done=slots_in["done"] + slots_in["reopened"],
                claimed=slots_in["held"],
                free=slots_in["free"],
                skipped=slots_in["skipped"],
                withdrawn=slots_in["withdrawn"],
            )
        )
    return rows


def state_sum(state: str) -> Coalesce:
    return Coalesce(Sum("slots", filter=Q(state=state)), 0)


def done_by(user: User, batch: Batch) -> int:
    """How many tasks of the batch this person has submitted."""
    return Assignment.objects.filter(Q(state=State.DONE) | REOPENED, annotator=user, batch=batch).count()


def left_for(user: User, batch: Batch) -> tuple[int, bool]:
    """How many tasks of the batch this person may still do, the one that they hold included, and whether that is all.

    Counted among the next slots of the queue, so that it costs the same in a batch of a million.
    """
    free = open_to(user, batch).order_by("-priority", "position")
    slots = free.values("task")[:COUNTED_SLOTS]
    tasks = {slot["task"] for slot in slots}
    held = Assignment.objects.filter(batch=batch, annotator=user, state=State.HELD, finished_at=None).count()
    return len(tasks) + held, len(slots) < COUNTED_SLOTS


class AskedOfEach(Exists):
    """EXISTS that PostgreSQL asks of one row after the other, by an index.

    It would make a join of it otherwise, and by an unlucky sample of statistics walk through all tasks of the site to
    find the first free slot of a batch: with four batches of 100,000 tasks a page took 40 s. OFFSET forbids that.
    """

    template = "EXISTS(%(subquery)s OFFSET 0)"


def open_to(user: User, batch: Batch) -> QuerySet[Assignment]:
    """The free slots of the batch that this person may claim."""
    if not may_join(user, batch):
        return Assignment.objects.none()
    trial = Value(batch.trial_id, output_field=BigIntegerField())
    return eligible(user, Assignment.objects.filter(batch=batch, state=State.FREE), trial)


def eligible(user: User, free: QuerySet[Assignment], trial: Any) -> QuerySet[Assignment]:
    """Of these free slots those that this person may claim: not had, not written by them, not met elsewhere, and no
    check that is not for them. A `trial` (an expression for that of their batch) shows tasks again."""
    had = Assignment.objects.filter(annotator=user, task=OuterRef("task"))
    written = Candidate.objects.filter(origin=f"human:{user.pk}").order_by().values("pk")
    wrote = Task.objects.filter(pk=OuterRef("task"), candidate_ids__overlap=written)
    met = Assignment.objects.filter(
        annotator=user, task__prompt=OuterRef("task__prompt"), batch__project__avoid_seen=True
    ).exclude(batch=OuterRef("batch"))
    met = met.annotate(again=trial).filter(again__isnull=True)
    return free.filter(
        ~AskedOfEach(had), ~AskedOfEach(wrote), ~AskedOfEach(met), ~AskedOfEach(closed_checks(user, OuterRef("task")))
    )


def closed_checks(user: User, task: Any) -> QuerySet[TaskCheck]:
    """The row of the task if it checks people, and is not for this person now (`check_claims.CHECKS` asks the same)."""
    met = Assignment.objects.filter(annotator=user, task__prompt=OuterRef("gold__prompt"))
    since = Annotation.objects.filter(annotator=user, created_at__gt=OuterRef("finished_at")).order_by()
    answered = Assignment.objects.filter(task=OuterRef("of_task"), annotator=user, state=State.DONE)
    answered = answered.filter(Exists(since[REPEAT_AFTER - 1 : REPEAT_AFTER]))
    is_known = Q(Exists(met.exclude(task=OuterRef("task")))) | Q(gold__created_by=user)
    return TaskCheck.objects.filter(task=task).filter(
        (Q(gold__isnull=False) & is_known) | (Q(of_task__isnull=False) & ~Q(Exists(answered)))
    )


def work_for(user: User) -> list[Work]:
    """The open batches of this person's projects, those with something to do first: one query."""
    cursors = QueueCursor.objects.filter(annotator=user)
    cursor = cursors.filter(batch=OuterRef(OuterRef("pk")))  # of the batch, not of each slot: asked once
    trial = ExpressionWrapper(OuterRef(OuterRef("trial")), output_field=BigIntegerField())
    free = eligible(user, Assignment.objects.filter(batch=OuterRef("pk"), state=State.FREE), trial)
    # Nearly always there is one ahead of their cursor; only otherwise is the whole queue scanned.
    ahead = free.filter(
        priority=Subquery(cursor.values("priority")[:1]), position__gt=Subquery(cursor.values("position")[:1])
    )
    claimed = Assignment.objects.filter(batch=OuterRef("pk"), annotator=user, state=State.HELD)
    done = (
        Assignment.objects.filter(Q(state=State.DONE) | REOPENED, batch=OuterRef("pk"), annotator=user)
        .order_by()
        .values("batch")
        .annotate(n=Count("pk"))
        .values("n")
    )
    passed = QualificationAttempt.objects.filter(qualification=OuterRef("qualification"), user=user, passed=True)
    paused = Membership.objects.filter(project=OuterRef("project"), user=user, paused_at__isnull=False)
    batches = (
        within(Batch.objects.select_related("project"), user, MEMBERS)
        .filter(open_batches_of(user), status=Batch.Status.OPEN, project__archived_at=None)
        .annotate(
            done_by_me=Coalesce(Subquery(done), 0),
            claimed=Exists(claimed),
            needs_test=Q(qualification__isnull=False) & ~Exists(passed),
            is_paused=Exists(paused),
            free=(Exists(cursors.filter(batch=OuterRef("pk"))) & Exists(ahead)) | Exists(free),
        )
        .order_by("-priority", "id")
    )
    work = [
        Work(
            batch,
            batch.project,
            batch.done_by_me,
            available=batch.claimed or (batch.free and not batch.needs_test and not batch.is_paused),
            needs_test=batch.needs_test and batch.free and not batch.claimed and not batch.is_paused,
        )
        for batch in batches
    ]
    return sorted(work, key=lambda item: not item.available)


def test_due(batch: Batch, user: User) -> bool:
    """Whether this person still has to pass the batch's test before they get its tasks."""
    if batch.qualification_id is None or batch.status != Batch.Status.OPEN:
        return False
    taken = QualificationAttempt.objects.filter(qualification=batch.qualification_id, user=user, passed=True)
    return not taken.exists()


def submitted_by(user: User) -> QuerySet[Annotation]:
    """This person's current answers, newest first, in the projects they are a member of.

    Somebody who never left a project needs no look at the projects: then counting and paging read one index.
    """
    rows = Annotation.objects.filter(annotator=user, is_current=True).order_by("-created_at", "-id")
    worked = WorkCount.objects.filter(annotator=user).order_by().values("batch")
    visible = within(Batch.objects.all(), user, MEMBERS)
    left = list(Batch.objects.filter(pk__in=worked).exclude(pk__in=visible.values("pk")).values_list("pk", flat=True))
    return rows.exclude(assignment__batch__in=left) if left else rows


def answers_to_show(user: User, answers: Any) -> QuerySet[Annotation]:
    """Those of these answers (a query of ids) that this person may see, with what they are about, newest first."""
    rows = Annotation.objects.filter(pk__in=answers, annotator=user, is_current=True)
    rows = rows.select_related("task__prompt", "assignment__batch__project").order_by("-created_at", "-id")
    return within(rows, user, MEMBERS, "assignment__batch__project")
