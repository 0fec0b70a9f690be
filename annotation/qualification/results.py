"""Results of a test, by person and by item. Each takes a fixed number of queries, whatever the number of attempts."""

from collections import defaultdict
from dataclasses import dataclass, field

from annotation.models import Membership, Qualification, QualificationAttempt, QualificationItem, User
from annotation.qualification.tests import grade
from annotation.queue.workforce import granted_to

# After this many first attempts, an item that at most this share gets right is suspected of having a wrong key.
ENOUGH_TRIES = 3
SUSPECT_SHARE = 0.25


@dataclass
class Taker:
    """A current or former member of the project, with their attempts in order."""

    user: User
    is_member: bool
    allowed: int
    attempts: list[QualificationAttempt] = field(default_factory=list)

    @property
    def passing(self) -> QualificationAttempt | None:
        return next((attempt for attempt in self.attempts if attempt.passed), None)

    @property
    def best(self) -> float | None:
        return max((attempt.share for attempt in self.attempts if attempt.share is not None), default=None)

    @property
    def is_running(self) -> bool:
        return any(attempt.finished_at is None for attempt in self.attempts)

    @property
    def left(self) -> int:
        return max(self.allowed - len(self.attempts), 0)

    @property
    def may_be_granted(self) -> bool:
        return self.is_member and not (self.passing or self.is_running or self.left)


@dataclass(frozen=True)
class Rate:
    """One item: how many first attempts got it right. Later attempts know the items."""

    item: QualificationItem
    tries: int
    right: int

    @property
    def share(self) -> float | None:
        return self.right / self.tries if self.tries else None

    @property
    def is_suspect(self) -> bool:
        return self.tries >= ENOUGH_TRIES and self.right / self.tries <= SUSPECT_SHARE


def takers(test: Qualification) -> list[Taker]:
    """Every member of the project and everybody who tried: those who passed first, then those who tried, by name."""
    granted = granted_to(test)
    people: dict[int, Taker] = {}
    for membership in Membership.objects.filter(project=test.project_id).select_related("user"):
        allowed = test.attempts + granted.get(membership.user_id, 0)
        people[membership.user_id] = Taker(user=membership.user, is_member=True, allowed=allowed)
    for attempt in test.taken.select_related("user").order_by("number"):
        allowed = test.attempts + granted.get(attempt.user_id, 0)
        taker = people.setdefault(attempt.user_id, Taker(user=attempt.user, is_member=False, allowed=allowed))
        taker.attempts.append(attempt)
    return sorted(people.values(), key=lambda one: (one.passing is None, not one.attempts, str(one.user)))


def item_rates(test: Qualification) -> list[Rate]:
    """The items in their order, with the results of first attempts."""
    items = list(test.items.select_related("prompt"))
    right: dict[int, int] = defaultdict(int)
    tries = 0
    for answers in test.taken.filter(number=1, finished_at__isnull=False).values_list("answers", flat=True):
        tries += 1
        for item_id, is_right in grade(test, items, answers).items():
            right[item_id] += is_right
    return [Rate(item=item, tries=tries, right=right[item.pk]) for item in items]
