"""What one dataset version leaves out, besides the exclusions that are in effect: `--without` and its page."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils.translation import gettext as _

from annotation.core.errors import InvalidInput
from annotation.models import Annotation, Project, User
from annotation.text.formatting import comma_list
from annotation.text.normalization import folded

MAX_ID = 2**63 - 1
NAMES_SHOWN = 20
FORMS = "person:NAME, answer:ID, simulated"


@dataclass(frozen=True, kw_only=True)
class Without:
    """`people` and `answers` are ids of users and of current annotations, in ascending order."""

    people: tuple[int, ...] = ()
    answers: tuple[int, ...] = ()
    simulated: bool = False

    def __bool__(self) -> bool:
        return bool(self.people or self.answers or self.simulated)

    def as_dict(self) -> dict[str, Any]:
        return {"people": list(self.people), "answers": list(self.answers), "simulated": self.simulated}

    @cached_property
    def _sets(self) -> tuple[frozenset[int], frozenset[int]]:
        return frozenset(self.people), frozenset(self.answers)

    def parts(self) -> list[str]:
        """The parts, as manifests count them."""
        return [
            *(f"answer:{pk}" for pk in self.answers),
            *(f"person:{pk}" for pk in self.people),
            *(["simulated"] if self.simulated else []),
        ]

    def key_of(self, annotation: int, annotator: int, is_simulated: bool) -> str | None:
        """The part that leaves an answer out, or None."""
        people, answers = self._sets
        if annotation in answers:
            return f"answer:{annotation}"
        if annotator in people:
            return f"person:{annotator}"
        return "simulated" if self.simulated and is_simulated else None


NOTHING = Without()


def read_without(project: Project, parts: Iterable[str]) -> Without:
    """`person:NAME` (name or e-mail address of somebody who answered), `answer:ID`, `simulated`; each any number of
    times. Raises InvalidInput for what the project does not have, and for a name that several people have."""
    people: set[int] = set()
    answers: set[int] = set()
    simulated = False
    for part in parts:
        what, _colon, value = part.partition(":")
        if part == "simulated":
            simulated = True
        elif what == "person" and value.strip():
            people.add(person_named(project, value.strip()).pk)
        elif what == "answer" and value.isascii() and value.isdecimal() and int(value) <= MAX_ID:
            answers.add(int(value))
        else:
            raise _problem(_("%(part)s is none of: %(forms)s") % {"part": repr(part), "forms": FORMS})
    return checked_without(
        project, Without(people=tuple(sorted(people)), answers=tuple(sorted(answers)), simulated=simulated)
    )


def answered_in(project: Project) -> QuerySet[User]:
    """Everybody who answered in the project, members or not."""
    answers = Annotation.objects.filter(annotator=OuterRef("pk"), task__batch__project=project)
    return User.objects.filter(Exists(answers)).order_by("name", "email")


def person_named(project: Project, name: str) -> User:
    people = list(answered_in(project).filter(Q(email__iexact=name)))
    people = people or [user for user in answered_in(project) if folded(user.name) == folded(name)]
    if len(people) == 1:
        return people[0]
    if people:
        emails = comma_list(user.email for user in people)
        raise _problem(
            _("several people are called %(name)s: name one by e-mail address (%(emails)s)")
            % {"name": repr(name), "emails": emails}
        )
    known = comma_list(str(user) for user in answered_in(project)[:NAMES_SHOWN]) or _("nobody yet")
    raise _problem(
        _("nobody called %(name)s has answered in %(project)s. Who has: %(known)s")
        % {"name": repr(name), "project": project.slug, "known": known}
    )


def checked_without(project: Project, without: Without) -> Without:
    """Raises InvalidInput for a person who did not answer in the project, and for an answer that is not one of its
    current ones."""
    known = set(answered_in(project).filter(pk__in=without.people).values_list("pk", flat=True))
    if unknown := sorted(set(without.people) - known):
        raise _problem(_("person %(number)s has no answers in this project") % {"number": unknown[0]}, "without_people")
    rows = Annotation.objects.filter(pk__in=without.answers, task__batch__project=project)
    current = dict(rows.values_list("pk", "is_current"))
    for pk in without.answers:
        if pk not in current:
            raise _problem(
                _("the project %(project)s has no answer %(number)s") % {"project": project.slug, "number": pk},
                "without_answers",
            )
        if not current[pk]:
            raise _problem(_old(pk), "without_answers")
    return without


def _old(pk: int) -> str:
    old = Annotation.objects.get(pk=pk)
    newer = Annotation.objects.filter(assignment=old.assignment_id, annotator=old.annotator_id, is_current=True).first()
    if newer is None:
        return _("answer %(number)s was withdrawn: it is in no dataset") % {"number": pk}
    return _("answer %(number)s is an older version, which is in no dataset; the current one is answer:%(newer)s") % {
        "number": pk,
        "newer": newer.pk,
    }


def _problem(message: str, field: str = "without") -> InvalidInput:
    return InvalidInput(message, [(field, message)])
