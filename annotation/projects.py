"""What a manager decides: the project itself, its guideline and reason tags; aspects and weights come from `aspects`.

What labels refer to is never edited away: guidelines and weights get a new version, aspects and tags are retired.
"""

import re
from collections.abc import Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.text import slugify

from annotation.aspects import locked, retire_aspect, save_aspect, save_aspects, save_weights
from annotation.errors import Conflict, InvalidInput
from annotation.events import record
from annotation.models import Guideline, Project, ReasonTag, Role, User
from annotation.people import add_member

__all__ = [
    "create_project", "publish_guideline", "retire_aspect", "save_aspect", "save_aspects", "save_reason_tags",
    "save_weights", "update_project",
]  # fmt: skip

GUIDELINE_LIMIT = 100_000
LANGUAGE_TAG = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")
RESERVED_SLUGS = {"new"}
EDITABLE = (
    "name", "goal", "source_language", "target_language", "persona", "default_overlap", "held_out_share",
    "lease_minutes",
)  # fmt: skip


# ---- the project ----


def create_project(
    *,
    name: str,
    goal: str,
    source_language: str,
    target_language: str,
    by: User | None,
    slug: str = "",
    persona: str = "",
    default_overlap: int = 1,
    held_out_share: float = 0.1,
    lease_minutes: int = 60,
    is_demo: bool = False,
) -> Project:
    """A new project; who creates it becomes its manager.

    Without a `slug` a free one is made from the name. Raises `InvalidInput` by field, `Conflict` for a taken slug.
    """
    project = Project(
        name=" ".join(name.split()),
        goal=goal,
        source_language=source_language,
        target_language=target_language,
        persona=persona.strip(),
        default_overlap=default_overlap,
        held_out_share=held_out_share,
        lease_minutes=lease_minutes,
        is_demo=is_demo,
        created_by=by,
    )
    wish = slug or slugify(name)[:50].strip("-") or "project"
    if wish in RESERVED_SLUGS:
        wish = f"{wish}-project"
    # Two people may choose one name at one moment: the loser takes the next number.
    for number in range(1, 1000):
        project.slug = wish if number == 1 else f"{wish}-{number}"
        check(project)
        if Project.objects.filter(slug=project.slug).exists():
            if slug:
                break
            continue
        try:
            with transaction.atomic():
                project.save(force_insert=True)
                record(verb="project.created", target=project, actor=by, project=project, after=values_of(project))
                if by:
                    add_member(project=project, user=by, role=Role.MANAGER, by=by)
            return project
        except IntegrityError:
            continue
    raise Conflict(f"there is a project with the address {wish} already")


def update_project(*, project: Project, by: User | None, **changes: Any) -> Project:
    """Change any of `EDITABLE`. What is already imported or opened keeps its split and its overlap."""
    unknown = set(changes) - set(EDITABLE)
    if unknown:
        raise TypeError(f"not editable: {', '.join(sorted(unknown))}")
    with transaction.atomic():
        row = Project.objects.select_for_update().get(pk=project.pk)
        before = {name: getattr(row, name) for name in changes if getattr(row, name) != changes[name]}
        if not before:
            return row
        for name in before:
            setattr(row, name, changes[name])
        check(row)
        row.save(update_fields=list(before))
        after = {name: changes[name] for name in before}
        record(verb="project.changed", target=row, actor=by, project=row, before=before, after=after)
    return row


def check(project: Project) -> None:
    problems: list[tuple[str, str]] = []
    for field in ("source_language", "target_language"):
        if not LANGUAGE_TAG.fullmatch(getattr(project, field)):
            problems.append((field, "Give a BCP 47 language tag, such as en, ja or pt-BR."))
    if project.goal == Project.Goal.PERSONA and not project.persona.strip():
        problems.append(("persona", "Say who answers, and how: the model gets it with every prompt."))
    try:
        project.clean_fields(exclude=["created_by"])
    except ValidationError as error:
        problems += [(field, message) for field, messages in error.message_dict.items() for message in messages]
    if problems:
        raise InvalidInput("; ".join(f"{field}: {message}" for field, message in problems), problems)


def values_of(project: Project) -> dict[str, Any]:
    return {name: getattr(project, name) for name in ("slug", *EDITABLE)}


# ---- guideline ----


def publish_guideline(*, project: Project, text: str, based_on: int, by: User | None) -> Guideline:
    """A new version of the guideline. `based_on` is the version that was edited, 0 when there was none.

    Raises `Conflict` when somebody published since, `InvalidInput` for an empty, unchanged or too long text.
    """
    text = text.replace("\r\n", "\n").strip() + "\n"
    if not text.strip():
        raise InvalidInput("The guideline is empty.", [("text", "Write what a good answer is.")])
    if len(text) > GUIDELINE_LIMIT:
        raise InvalidInput("The guideline is too long.", [("text", f"At most {GUIDELINE_LIMIT:,} characters.")])
    with transaction.atomic():
        locked(project)
        latest = project.guidelines.first()
        version = latest.version if latest else 0
        if version != based_on:
            raise Conflict(
                f"Version {version} was published while you were writing on version {based_on}. Your text is below, "
                "unpublished: bring the two together, then publish."
            )
        if latest and latest.text == text:
            raise InvalidInput("Nothing has changed.", [("text", f"This is version {version} word for word.")])
        guideline = Guideline.objects.create(project=project, version=version + 1, text=text, created_by=by)
        record(
            verb="guideline.published", target=guideline, actor=by, project=project,
            before={"version": version}, after={"version": guideline.version},
        )  # fmt: skip
    return guideline


# ---- reason tags ----


def save_reason_tags(*, project: Project, names: Sequence[str], by: User | None) -> list[ReasonTag]:
    """Make the project's reason tags exactly these, in this order. A name that goes is retired, not deleted."""
    names = list(dict.fromkeys(name for name in (" ".join(name.split()) for name in names) if name))
    problems = [("names", f"“{name[:20]}…” is longer than 40 characters.") for name in names if len(name) > 40]
    if len(names) > 20:
        problems.append(("names", f"At most 20 tags: people must see them at a glance; there are {len(names)}."))
    if problems:
        raise InvalidInput("; ".join(message for _, message in problems), problems)
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
                verb="reasons.saved", target=project, actor=by, project=project, before={"names": before}, after=after
            )
    return list(project.reason_tags.filter(retired_at=None))
