"""Reason tags: what annotators tick to say why they chose."""

from collections.abc import Sequence

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from annotation.core.errors import InvalidInput
from annotation.core.events import record
from annotation.models import Project, ReasonTag, User
from annotation.projects.aspects import locked

MAX_TAGS = 20
MAX_NAME = 40


def save_reason_tags(*, project: Project, names: Sequence[str], actor: User | None) -> list[ReasonTag]:
    """Make the project's reason tags exactly these, in this order. A name that goes is retired, not deleted."""
    names = distinct(names)
    refuse_unusable(names, field="names")
    with transaction.atomic():
        locked(project)
        before = list(project.reason_tags.filter(retired_at=None).values_list("name", flat=True))
        if before != names:
            now = timezone.now()
            for position, name in enumerate(names):
                ReasonTag.objects.update_or_create(
                    project=project, name=name, defaults={"position": position, "retired_at": None}
                )
            project.reason_tags.filter(retired_at=None).exclude(name__in=names).update(retired_at=now)
            after = {"names": names}
            record(
                verb="reasons.saved",
                target=project,
                actor=actor,
                project=project,
                before={"names": before},
                after=after,
            )
    return list(project.reason_tags.filter(retired_at=None))


def refuse_unusable(names: Sequence[str], *, field: str) -> None:
    """Raises `InvalidInput` for too many names, or one that is too long."""
    problem = _("“{name}…” is longer than {most} characters.")
    problems = [(field, problem.format(name=name[:20], most=MAX_NAME)) for name in names if len(name) > MAX_NAME]
    if len(names) > MAX_TAGS:
        problem = _("At most {most} tags: people must see them at a glance; there are {count}.")
        problems.append((field, problem.format(most=MAX_TAGS, count=len(names))))
    if problems:
        raise InvalidInput("; ".join(message for _, message in problems), problems)


def distinct(names: Sequence[str]) -> list[str]:
    """Each name once, with single blanks and in the order given; empty ones do not count."""
    return list(dict.fromkeys(name for name in (" ".join(name.split()) for name in names) if name))
