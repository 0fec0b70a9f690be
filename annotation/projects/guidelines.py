"""The guideline: publishing a version, and what annotators see of it (current version and unread changes).

Showing a guideline is not reading it: a reading is recorded when the person confirms it (`record_reading`), for the
version that was on their screen.
"""

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from annotation.core.errors import Conflict, InvalidInput
from annotation.core.events import record
from annotation.core.markdown_changes import markdown_changes
from annotation.core.prepared import execute
from annotation.models import Guideline, GuidelineReading, Project, User
from annotation.projects.aspects import locked

GUIDELINE_LIMIT = 100_000  # characters
# Unchanged blocks around a change: enough to find the place.
CONTEXT_BLOCKS = 1


@dataclass(frozen=True)
class ForReader:
    """The guideline that holds, for one person. `changes` are those since the version they read last, as HTML with
    little around them; empty where they read this one, or none."""

    guideline: Guideline
    read: Guideline | None
    read_at: datetime | None
    changes: SafeString

    @property
    def is_read(self) -> bool:
        return self.read is not None and self.read.pk == self.guideline.pk


# Asked with every task that is shown, so prepared. The first row is the version that holds.
NEWS = """
SELECT g.version, r.version
FROM annotation_guideline g
    LEFT JOIN annotation_guidelinereading reading ON reading.user_id = %(user)s AND reading.project_id = g.project_id
    LEFT JOIN annotation_guideline r ON r.id = reading.guideline_id
WHERE g.project_id = %(project)s ORDER BY g.version DESC LIMIT 1
"""


def guideline_news(user: User, project: Project) -> int | None:
    """The number of the version that holds, while this person has not read it; else None. One query."""
    rows = execute(NEWS, {"user": user.pk, "project": project.pk})
    return rows[0][0] if rows and rows[0][0] != rows[0][1] else None


def for_reader(user: User, project: Project) -> ForReader | None:
    """What this person sees of the guideline now; None where the project has none."""
    guideline = Guideline.objects.filter(project=project).order_by("-version").first()
    if guideline is None:
        return None
    reading = GuidelineReading.objects.select_related("guideline").filter(user=user, project=project).first()
    if reading is None:
        return ForReader(guideline, None, None, SafeString())
    changes = SafeString()
    if reading.guideline_id != guideline.pk:
        changes = markdown_changes(reading.guideline.text, guideline.text, context=CONTEXT_BLOCKS)
    return ForReader(guideline, reading.guideline, reading.read_at, changes)


def record_reading(*, guideline: Guideline, user: User) -> GuidelineReading:
    """This person says that they have read this version. An older one never takes the place of a newer one."""
    with transaction.atomic():
        reading, is_new = GuidelineReading.objects.select_related("guideline").get_or_create(
            user=user, project=guideline.project, defaults={"guideline": guideline}
        )
        before = None if is_new else reading.guideline.version
        if before is not None and before >= guideline.version:
            return reading
        if not is_new:
            reading.guideline = guideline
            reading.save(update_fields=["guideline", "read_at"])
        record(
            verb="guideline.read",
            target=guideline,
            actor=user,
            project=guideline.project,
            before={"version": before} if before else None,
            after={"version": guideline.version},
        )
    return reading


def publish_guideline(*, project: Project, text: str, based_on: int, actor: User | None) -> Guideline:
    """A new version of the guideline. `based_on` is the version that was edited, 0 when there was none.

    Raises `Conflict` when somebody published since, `InvalidInput` for an empty, unchanged or too long text.
    """
    text = text.replace("\r\n", "\n").strip() + "\n"
    if not text.strip():
        raise InvalidInput(_("The guideline is empty."), [("text", _("Write what a good answer is."))])
    if len(text) > GUIDELINE_LIMIT:
        problem = _("At most {most} characters.").format(most=f"{GUIDELINE_LIMIT:,}")
        raise InvalidInput(_("The guideline is too long."), [("text", problem)])
    with transaction.atomic():
        locked(project)
        latest = project.guidelines.first()
        version = latest.version if latest else 0
        if version != based_on:
            message = _(
                "Version {version} was published while you were writing on version {based_on}. Your text is below, "
                "unpublished: bring the two together, then publish."
            )
            raise Conflict(message.format(version=version, based_on=based_on))
        if latest and latest.text == text:
            problem = _("This is version {version} word for word.").format(version=version)
            raise InvalidInput(_("Nothing has changed."), [("text", problem)])
        guideline = Guideline.objects.create(project=project, version=version + 1, text=text, created_by=actor)
        record(
            verb="guideline.published",
            target=guideline,
            actor=actor,
            project=project,
            before={"version": version},
            after={"version": guideline.version},
        )
    return guideline
