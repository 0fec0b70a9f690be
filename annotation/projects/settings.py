"""Create a project and change its settings; guideline, aspects and reason tags have modules of their own."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils.text import slugify
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from annotation.core.counts import pause_counting, rebuild_counts
from annotation.core.errors import Conflict, InvalidInput
from annotation.core.events import record
from annotation.core.time_zones import known_time_zones
from annotation.members.memberships import add_member
from annotation.models import Project, ReasonTag, Role, User
from annotation.models.project import site_time_zone
from annotation.models.typology import ERROR_CATEGORIES, REASON_TAGS
from annotation.projects.pay import currencies
from annotation.projects.reasons import distinct, refuse_unusable
from annotation.text.language_tags import is_registered, name_of, right_tag
from annotation.text.normalization import has_ink

LANGUAGES = ("source_language", "target_language")
RESERVED_SLUGS = {"new"}
EDITABLE = (
    "name",
    "goal",
    "source_language",
    "target_language",
    "persona",
    "default_overlap",
    "held_out_share",
    "avoid_seen",
    "lease_minutes",
    "idle_minutes",
    "edit_hours",
    "review_share",
    "review_anonymous",
    "adjudicate_below",
    "agreement_floor",
    "shows_own_figures",
    "time_zone",
    "show_total",
    "reasons_by_side",
    "error_categories",
    "currency",
    "budget",
)
MAX_CATEGORIES = 40
YEAR_OF_HOURS = 8_784


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
    review_share: int = 0,
    review_anonymous: bool = False,
    adjudicate_below: int = 100,
    agreement_floor: float | None = None,
    shows_own_figures: bool = False,
    time_zone: str = "",
    show_total: bool = False,
    reasons_by_side: bool = False,
    error_categories: Sequence[str] | None = None,
    reason_tags: Sequence[str] | None = None,
    is_demo: bool = False,
) -> Project:
    """A new project; who creates it becomes its manager.

    Without a `slug` a free one is made from the name. Without `error_categories` and `reason_tags` they are those that
    fit the goal (`annotation.models.typology`); without a `time_zone` it is the site's. Raises `InvalidInput` by
    field, `Conflict` for a taken slug.
    """
    error_categories = ERROR_CATEGORIES.get(goal, ()) if error_categories is None else error_categories
    tags = distinct(REASON_TAGS.get(goal, ()) if reason_tags is None else reason_tags)
    refuse_unusable(tags, field="reason_tags")
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
        review_share=review_share,
        review_anonymous=review_anonymous,
        adjudicate_below=adjudicate_below,
        agreement_floor=agreement_floor,
        shows_own_figures=shows_own_figures,
        time_zone=time_zone or site_time_zone(),
        show_total=show_total,
        reasons_by_side=reasons_by_side,
        error_categories=distinct(error_categories),
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
                ReasonTag.objects.bulk_create(
                    ReasonTag(project=project, name=tag, position=position) for position, tag in enumerate(tags)
                )
                after = values_of(project) | {"reason_tags": tags}
                record(verb="project.created", target=project, actor=actor, project=project, after=after)
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
        if changes.get("time_zone", project.time_zone) != project.time_zone:
            pause_counting()  # an answer that is written meanwhile would be counted by the zone of before
        # Not FOR UPDATE: events of people at work refer to the row, and must not wait.
        row = Project.objects.select_for_update(no_key=True).get(pk=project.pk)
        before = {name: getattr(row, name) for name in changes if getattr(row, name) != changes[name]}
        if not before:
            return row
        for name in before:
            setattr(row, name, changes[name])
        # A tag from before tags were checked may stay as it is.
        check(row, languages=[name for name in LANGUAGES if name in before])
        if "currency" in before and row.pay_rates.exists():
            message = _("The rates are in {currency}: delete them first.").format(currency=before["currency"])
            raise InvalidInput(message, [("currency", message)])
        row.save(update_fields=list(before))
        before, after = recorded(before), recorded({name: changes[name] for name in before})
        record(verb="project.changed", target=row, actor=actor, project=row, before=before, after=after)
        if "time_zone" in before:
            rebuild_counts(row.pk)  # its days begin at another moment
    return row


def check(project: Project, *, languages: Sequence[str] = LANGUAGES) -> None:
    """Raises `InvalidInput` by field; of the fields with language tags, only those named are checked."""
    problems = [(field, problem) for field in languages if (problem := tag_problem(getattr(project, field)))]
    if project.name and not has_ink(project.name):  # an empty one is refused below
        problems.append(("name", _("Enter a name.")))
    if project.goal == Project.Goal.PERSONA and not project.persona.strip():
        problems.append(("persona", _("Say who answers, and how: the model gets it with every prompt.")))
    if project.edit_hours > YEAR_OF_HOURS:
        problems.append(("edit_hours", _("At most a year: {hours} hours.").format(hours=YEAR_OF_HOURS)))
    if project.currency and project.currency not in currencies():
        problem = _("“{code}” is not a currency. Give its ISO 4217 code, such as EUR or JPY.")
        problems.append(("currency", problem.format(code=project.currency)))
    if project.time_zone not in known_time_zones():
        problem = _("“{zone}” is not a time zone. Give a name such as Asia/Tokyo or UTC.")
        problems.append(("time_zone", problem.format(zone=project.time_zone)))
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


def tag_problem(tag: str) -> str | None:
    if is_registered(tag):
        return None
    right = right_tag(tag)
    if right is None:
        return _("“{tag}” is not a BCP 47 language tag. Give one, such as en, ja or pt-BR.").format(tag=tag)
    return _("“{tag}” is not a BCP 47 language tag. Did you mean {right} ({name})?").format(
        tag=tag, right=right, name=name_of(right, get_language() or "en") or right
    )


def values_of(project: Project) -> dict[str, Any]:
    return recorded({name: getattr(project, name) for name in ("slug", *EDITABLE)})


def recorded(values: dict[str, Any]) -> dict[str, Any]:
    """As an event keeps them."""
    return {name: str(value) if isinstance(value, Decimal) else value for name, value in values.items()}
