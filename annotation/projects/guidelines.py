"""The guideline: publishing a version, and what annotators see of it (current version and unread changes).

Showing a guideline is not reading it: a reading is recorded when the person confirms it (`record_reading`), for the
version that was on their screen.
"""

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext as _

from annotation.core.errors import Conflict, InvalidInput
from annotation.core.events import record
from annotation.core.prepared import execute
from annotation.models import Guideline, GuidelineReading, Project, User
from annotation.projects.aspects import locked
from annotation.text.differences import Segment, differences

GUIDELINE_LIMIT = 100_000  # characters
# Unchanged text around a change, in lines: enough to find the place.
CONTEXT_LINES = 2


@dataclass(frozen=True)
class ForReader:
    """The guideline that holds, for one person. `changes` are against the version they read last, shortened; empty
    where they read this one, or none."""

    guideline: Guideline
    read: Guideline | None
    read_at: datetime | None
    changes: list[Segment]

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
        return ForReader(guideline, None, None, [])
    changes = []
    if reading.guideline_id != guideline.pk:
        changes = around_changes(differences(reading.guideline.text.strip(), guideline.text.strip()))
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


def around_changes(segments: list[Segment], lines: int = CONTEXT_LINES) -> list[Segment]:
    """The changes with a few unchanged lines around each; what is left out is one segment ("gap", "")."""
    shortened: list[Segment] = []
    segments = merged(segments)
    for at, (kind, text) in enumerate(segments):
        rows = text.splitlines(keepends=True)
        head = lines if at else 0
        tail = lines if at < len(segments) - 1 else 0
        if kind != "same" or len(rows) <= head + tail + 1:
            shortened.append((kind, text))
            continue
        if head:
            shortened.append(("same", "".join(rows[:head])))
        shortened.append(("gap", ""))
        if tail:
            shortened.append(("same", "".join(rows[-tail:])))
    return shortened


def merged(segments: list[Segment]) -> list[Segment]:
    """Neighbours of one kind as one."""
    joined: list[Segment] = []
    for kind, text in segments:
        if joined and joined[-1][0] == kind:
            joined[-1] = (kind, joined[-1][1] + text)
        else:
            joined.append((kind, text))
    return joined
