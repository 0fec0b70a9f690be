"""Which answers belong to a trial of the guideline: for queries of the ORM, and for statements of our own.

They are work, which is paid, and no labels: half of them were given under a text that may never hold. Everything that
reads labels leaves them out by these expressions (`exclusions.is_excluded` contains `is_trial`).
"""

from django.db.models import Exists, OuterRef, Q

from annotation.models import Batch, Task, TrialPerson, User

# For a statement with `batch`.
IN_TRIAL = "batch.trial_id IS NOT NULL"
IS_ORDINARY = "batch.trial_id IS NULL"


def is_trial(task: str = "task") -> Exists:
    """Whether a task belongs to a trial; `task` names its column in the outer query."""
    return Exists(Task.objects.filter(pk=OuterRef(task), batch__trial__isnull=False).order_by())


def may_join(user: User, batch: Batch) -> bool:
    """Whether the tasks of the batch are for this person: those of a trial are for the people of its arm."""
    if batch.trial_id is None:
        return True
    return TrialPerson.objects.filter(clause=batch.trial_id, annotator=user, arm=batch.trial_arm).exists()


def open_batches_of(user: User) -> Q:
    """The same, for a query over batches."""
    own = TrialPerson.objects.filter(clause=OuterRef("trial"), annotator=user, arm=OuterRef("trial_arm"))
    return Q(trial__isnull=True) | Q(Exists(own))
