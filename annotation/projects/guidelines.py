"""A project's guideline as somebody who works by it meets it: what holds now, and what is new to them.

Showing a guideline is not reading it: a reading is recorded when the person says so (`record_reading`), for the version
that was on their screen.
"""

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from annotation.core.events import record
from annotation.core.prepared import execute
from annotation.models import Guideline, GuidelineReading, Project, User
from annotation.text.differences import Segment, differences

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
            verb="guideline.read", target=guideline, actor=user, project=guideline.project,
            before={"version": before} if before else None, after={"version": guideline.version},
        )  # fmt: skip
    return reading


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
