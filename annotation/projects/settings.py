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
from django.utils.translation import gettext as _

from annotation.core.errors import Conflict, InvalidInput
from annotation.core.events import record
from annotation.members.memberships import add_member
from annotation.models import Guideline, Project, ReasonTag, Role, User
from annotation.models.project import mqm_core
from annotation.projects.aspects import locked, retire_aspect, save_aspect, save_aspects, save_weights

__all__ = [
    "create_project", "publish_guideline", "retire_aspect", "save_aspect", "save_aspects", "save_reason_tags",
    "save_weights", "update_project",
]  # fmt: skip

GUIDELINE_LIMIT = 100_000
LANGUAGE_TAG = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")
RESERVED_SLUGS = {"new"}
EDITABLE = (
    "name", "goal", "source_language", "target_language", "persona", "default_overlap", "held_out_share",
    "avoid_seen", "lease_minutes", "idle_minutes", "edit_hours", "show_total", "reasons_by_side", "error_categories",
)  # fmt: skip
MAX_CATEGORIES = 40
YEAR_OF_HOURS = 8_784


# ---- the project ----


def create_project(
    *,
    name: str,
    goal: str,
    source_language: str,
    target_language: str,
    actor: User | None,
    slug: str = "",
    persona: str = "",
    default_overlap: int = 1,
    held_out_share: float = 0.1,
    avoid_seen: bool = False,
    lease_minutes: int = 60,
    idle_minutes: int = 5,
    edit_hours: int = 24,
    show_total: bool = False,
    reasons_by_side: bool = False,
    error_categories: Sequence[str] | None = None,
    is_demo: bool = False,
) -> Project:
    """A new project; who creates it becomes its manager.

    Without a `slug` a free one is made from the name, and without `error_categories` they are MQM's. Raises
    `InvalidInput` by field, `Conflict` for a taken slug.
    """
    project = Project(
        name=" ".join(name.split()),
        goal=goal,
        source_language=source_language,
        target_language=target_language,
        persona=persona.strip(),
        default_overlap=default_overlap,
        held_out_share=held_out_share,
        avoid_seen=avoid_seen,
        lease_minutes=lease_minutes,
        idle_minutes=idle_minutes,
        edit_hours=edit_hours,
        show_total=show_total,
        reasons_by_side=reasons_by_side,
        error_categories=mqm_core() if error_categories is None else distinct(error_categories),
        is_demo=is_demo,
        created_by=actor,
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
                record(verb="project.created", target=project, actor=actor, project=project, after=values_of(project))
                if actor:
                    add_member(project=project, user=actor, role=Role.MANAGER, actor=actor)
            return project
        except IntegrityError:
            continue
    raise Conflict(_("there is a project with the address {address} already").format(address=wish))


def update_project(*, project: Project, actor: User | None, **changes: Any) -> Project:
    """Change any of `EDITABLE`. What is already imported or opened keeps its split and its overlap."""
    unknown = set(changes) - set(EDITABLE)
    if unknown:
        raise TypeError(f"not editable: {', '.join(sorted(unknown))}")
    if "error_categories" in changes:
        changes["error_categories"] = distinct(changes["error_categories"])
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
        record(verb="project.changed", target=row, actor=actor, project=row, before=before, after=after)
    return row


def check(project: Project) -> None:
    problems: list[tuple[str, str]] = []
    for field in ("source_language", "target_language"):
        if not LANGUAGE_TAG.fullmatch(getattr(project, field)):
            problems.append((field, _("Give a BCP 47 language tag, such as en, ja or pt-BR.")))
    if project.goal == Project.Goal.PERSONA and not project.persona.strip():
        problems.append(("persona", _("Say who answers, and how: the model gets it with every prompt.")))
    if project.edit_hours > YEAR_OF_HOURS:
        problems.append(("edit_hours", _("At most a year: {hours} hours.").format(hours=YEAR_OF_HOURS)))
    long = [name for name in project.error_categories if len(name) > 60]
    if long:
        problem = _("“{name}…” is longer than {most} characters.").format(name=long[0][:20], most=60)
        problems.append(("error_categories", problem))
    if len(project.error_categories) > MAX_CATEGORIES:
        problem = _("At most {most}: people must find one at a glance; there are {count}.")
        problems.append(("error_categories", problem.format(most=MAX_CATEGORIES, count=len(project.error_categories))))
    try:
        project.clean_fields(exclude=["created_by", *(["error_categories"] if long else [])])
    except ValidationError as error:
        problems += [(field, message) for field, messages in error.message_dict.items() for message in messages]
    if problems:
        raise InvalidInput("; ".join(f"{field}: {message}" for field, message in problems), problems)


def values_of(project: Project) -> dict[str, Any]:
    return {name: getattr(project, name) for name in ("slug", *EDITABLE)}


def distinct(names: Sequence[str]) -> list[str]:
    """Each name once, with single blanks and in the order given; empty ones do not count."""
    return list(dict.fromkeys(name for name in (" ".join(name.split()) for name in names) if name))


# ---- guideline ----


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
            said = _(
                "Version {version} was published while you were writing on version {based_on}. Your text is below, "
                "unpublished: bring the two together, then publish."
            )
            raise Conflict(said.format(version=version, based_on=based_on))
        if latest and latest.text == text:
            problem = _("This is version {version} word for word.").format(version=version)
            raise InvalidInput(_("Nothing has changed."), [("text", problem)])
        guideline = Guideline.objects.create(project=project, version=version + 1, text=text, created_by=actor)
        record(
            verb="guideline.published", target=guideline, actor=actor, project=project,
            before={"version": version}, after={"version": guideline.version},
        )  # fmt: skip
    return guideline


# ---- reason tags ----


def save_reason_tags(*, project: Project, names: Sequence[str], actor: User | None) -> list[ReasonTag]:
    """Make the project's reason tags exactly these, in this order. A name that goes is retired, not deleted."""
    names = distinct(names)
    problem = _("“{name}…” is longer than {most} characters.")
    problems = [("names", problem.format(name=name[:20], most=40)) for name in names if len(name) > 40]
    if len(names) > 20:
        problem = _("At most {most} tags: people must see them at a glance; there are {count}.")
        problems.append(("names", problem.format(most=20, count=len(names))))
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
                verb="reasons.saved",
                target=project,
                actor=actor,
                project=project,
                before={"names": before},
                after=after,
            )
    return list(project.reason_tags.filter(retired_at=None))
