"""The conversation between a member of a project and its managers.

A manager writes to one member, who finds the message on the home page and beside the next task, and may answer; a
member may also begin. All managers of the project see it, nobody else.
"""

from datetime import timedelta

from django.db import transaction
from django.db.models import Count, F, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from annotation.core.access import MANAGERS, MEMBERS, within
from annotation.core.errors import Conflict
from annotation.core.events import record
from annotation.core.typed_text import checked_text
from annotation.models import Membership, Message, Project, User

MAX_MESSAGE = 4_000
# The same text in the same conversation within this time is one message, sent twice.
DUPLICATE_WITHIN = timedelta(minutes=1)


# ---- reads ----


def conversation(project: Project, member: User) -> QuerySet[Message]:
    """Oldest first."""
    return Message.objects.filter(project=project, member=member).select_related("author")


def unread_by(user: User) -> QuerySet[Message]:
    """Messages of managers to this person that they have not marked as read, in projects that they belong to; oldest
    first."""
    rows = Message.objects.filter(member=user, read_at=None).exclude(author=user).select_related("project", "author")
    return within(rows, user, MEMBERS)


def has_unread(user: User, project: Project) -> bool:
    return Message.objects.filter(member=user, read_at=None, project=project).exclude(author=user).exists()


def waiting_for(manager: User) -> list[dict[str, object]]:
    """Whose messages wait for a manager, in the projects that this person manages: `project__slug`, `project__name`,
    `member`, `member__name` and `count` of each. One query."""
    rows = Message.objects.filter(read_at=None, author=F("member"), project__archived_at=None).exclude(member=manager)
    rows = within(rows, manager, MANAGERS).order_by("project__name", "member__name")
    counted = rows.values("project__slug", "project__name", "member", "member__name")
    return [dict(row) for row in counted.annotate(count=Count("pk"))]


# ---- actions ----


def send_message(*, project: Project, member: User, text: str, author: User) -> Message:
    """Add a message to the conversation; what was for its author counts as read. The same text twice within a minute is
    one message.

    Raises InvalidInput for a text that is empty or too long, Conflict when `member` does not belong to the project.
    """
    text = checked_text(text, field="text", limit=MAX_MESSAGE, missing=_("Write a message."))
    with transaction.atomic():
        # Locked, so that the same message sent twice comes one after the other, and nobody leaves meanwhile.
        members = Membership.objects.select_for_update(of=["self"], no_key=True)
        if members.filter(project=project, user=member).first() is None:
            raise Conflict(_("%(person)s is no longer a member of this project.") % {"person": member})
        since = timezone.now() - DUPLICATE_WITHIN
        own = Message.objects.filter(project=project, member=member, author=author)
        if same := own.filter(text=text, created_at__gte=since).first():
            return same
        mark_read(project=project, member=member, reader=author)
        message = Message.objects.create(project=project, member=member, author=author, text=text)
        # Without the text: the journal keeps what it has for good.
        after = {"member": member.pk}
        record(verb="message.sent", target=message, actor=author, project=project, after=after)
    return message


def mark_read(*, project: Project, member: User, reader: User) -> int:
    """Mark what is for this reader in the conversation as read; returns how many there were."""
    rows = Message.objects.filter(project=project, member=member, read_at=None)
    rows = rows.exclude(author=member) if reader == member else rows.filter(author=member)
    with transaction.atomic():
        seen = list(rows.select_for_update())
        for message in seen:
            record(verb="message.read", target=message, actor=reader, project=project)
        return Message.objects.filter(pk__in=[message.pk for message in seen]).update(read_at=timezone.now())
