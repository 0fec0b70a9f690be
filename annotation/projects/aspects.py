"""The questions of scoring tasks and how much each counts.

Scores refer to both, so neither is edited away: an aspect is retired, weights get a new version, and the newest
weights are always about exactly the active aspects.
"""

from collections.abc import Sequence
from typing import Any, TypedDict

from django.db import transaction
from django.db.models import BooleanField, F, Func, Max, Value
from django.utils import timezone
from django.utils.text import slugify
from django.utils.translation import gettext as _

from annotation.core.aspect_keys import free_key
from annotation.core.errors import Conflict, InvalidInput
from annotation.core.events import record
from annotation.models import Annotation, Aspect, Kind, Project, User, WeightSet

MOST_POINTS = 9  # a page has keys for so many


class AspectSpec(TypedDict, total=False):
    """An aspect as data: `key` is optional for a new one, `anchors` has a sentence for each point from 1 up."""

    key: str
    name: str
    question: str
    anchors: Sequence[str]


def locked(project: Project) -> Project:
    """The project's row, locked: versions under it are numbered one after the other."""
    return Project.objects.select_for_update().get(pk=project.pk)


def save_aspect(
    *,
    project: Project,
    name: str,
    anchors: Sequence[str],
    actor: User | None,
    question: str = "",
    aspect: Aspect | None = None,
) -> Aspect:
    """Add an aspect, or change one. A new one gets weight 1 in a new version of the weights.

    Raises `InvalidInput` by field: 2 to 9 anchors, and as many as before once the aspect has been scored.
    """
    with transaction.atomic():
        locked(project)
        if aspect is None:
            last = project.aspects.aggregate(last=Max("position"))["last"]
            position = 0 if last is None else last + 1
            aspect = Aspect(project=project, key=free_key(project, name), position=position)
        else:
            aspect = Aspect.objects.get(pk=aspect.pk, project=project)
        write(aspect, {"name": name, "question": question, "anchors": anchors}, actor=actor)
        fit_weights(project, actor=actor)
    return aspect


def save_aspects(*, project: Project, aspects: Sequence[AspectSpec], actor: User | None) -> list[Aspect]:
    """Make the project's active aspects exactly these, in this order: found by key, the others retired."""
    kept: list[Aspect] = []
    with transaction.atomic():
        locked(project)
        for position, spec in enumerate(aspects):
            key = spec.get("key") or slugify(spec["name"])[:40]
            aspect = project.aspects.filter(key=key).first() or Aspect(project=project, key=key)
            if aspect.retired_at:
                set_retired(aspect, False, actor=actor)
            aspect.position = position
            kept.append(write(aspect, spec, actor=actor))
        for aspect in project.aspects.filter(retired_at=None).exclude(pk__in=[aspect.pk for aspect in kept]):
            set_retired(aspect, True, actor=actor)
        fit_weights(project, actor=actor)
    return kept


def retire_aspect(*, aspect: Aspect, actor: User | None) -> None:
    """Take an aspect off new tasks; scores that were given stay. It leaves the weights in a new version."""
    with transaction.atomic():
        project = locked(aspect.project)
        set_retired(aspect, True, actor=actor)
        fit_weights(project, actor=actor)


def restore_aspect(*, aspect: Aspect, actor: User | None) -> None:
    with transaction.atomic():
        project = locked(aspect.project)
        set_retired(aspect, False, actor=actor)
        fit_weights(project, actor=actor)


def write(aspect: Aspect, spec: AspectSpec, *, actor: User | None) -> Aspect:
    """Check the spec, put it into the aspect (new or old) and save. Call it with the project locked."""
    name, question = " ".join(spec["name"].split()), " ".join(spec.get("question", "").split())
    anchors = [" ".join(anchor.split()) for anchor in spec["anchors"] if anchor.strip()]
    problems: list[tuple[str, str]] = []
    if not 0 < len(name) <= 80:
        problems.append(("name", _("Give a name of 1 to 80 characters.")))
    if len(question) > 300:
        problems.append(("question", _("At most 300 characters.")))
    stored = Aspect.objects.filter(pk=aspect.pk).first()
    is_recorded = stored is not None and len(anchors) == stored.points  # of a file's scale: 0 to 100 has 101
    if not 2 <= len(anchors) <= MOST_POINTS and not is_recorded:
        problems.append(
            ("anchors", _("Give 2 to 9 sentences, one a line, worst first; there are %(n)s.") % {"n": len(anchors)})
        )
    if stored and not problems and len(anchors) != stored.points and was_scored(stored):
        message = f"It has been scored on {stored.points} points: retire it and add one with {len(anchors)}."
        problems.append(("anchors", message))
    if problems:
        raise InvalidInput("; ".join(f"{field}: {message}" for field, message in problems), problems)
    aspect.name, aspect.question, aspect.anchors = name, question, anchors
    before, after = aspect_values(stored) if stored else None, aspect_values(aspect)
    if before != after:
        aspect.save()
        verb = "aspect.changed" if stored else "aspect.added"
        record(verb=verb, target=aspect, actor=actor, project=aspect.project, before=before, after=after)
    return aspect


def set_retired(aspect: Aspect, retired: bool, *, actor: User | None) -> None:
    """Compare and set, so that retiring twice says so. Call it with the project locked."""
    if not retired and aspect.points > MOST_POINTS:
        text = _("“%(name)s” has %(points)s points, as a file's scale: people cannot be asked for it.")
        raise InvalidInput(text % {"name": aspect.name, "points": aspect.points})
    held = Aspect.objects.filter(pk=aspect.pk, retired_at__isnull=retired)
    if held.update(retired_at=timezone.now() if retired else None) != 1:
        message = _("%(name)s was retired already.") if retired else _("%(name)s is in use already.")
        raise Conflict(message % {"name": aspect.name})
    aspect.refresh_from_db(fields=["retired_at"])
    verb = "aspect.retired" if retired else "aspect.restored"
    record(verb=verb, target=aspect, actor=actor, project=aspect.project)


def save_weights(
    *, project: Project, weights: dict[str, float], actor: User | None, based_on: int | None = None
) -> WeightSet:
    """A new version of the weights, one for each active aspect; the present version when nothing changes.

    With `based_on` (a version, 0 for none) it raises `Conflict` when somebody saved since.
    """
    with transaction.atomic():
        locked(project)
        keys = active_keys(project)
        problems = [(key, _("There is no such aspect in use.")) for key in weights if key not in keys]
        problems += [(key, _("A weight is missing.")) for key in keys if key not in weights]
        problems += [(key, _("A weight is a number from 0 to 100.")) for key, w in weights.items() if not 0 <= w <= 100]
        if not problems and not any(weights.values()):
            problems += [(key, _("At least one weight must be above 0.")) for key in keys[:1]]
        if problems or not keys:
            text = "; ".join(f"{key}: {message}" for key, message in problems)
            raise InvalidInput(text or _("Add an aspect first."), problems)
        latest = project.weight_sets.first()
        version = latest.version if latest else 0
        if based_on is not None and based_on != version:
            raise Conflict(
                _("Weights %(version)s were saved while you were editing weights %(based_on)s. Reload the page.")
                % {"version": version, "based_on": based_on}
            )
        if latest and latest.weights == weights:
            return latest
        ordered = {key: weights[key] for key in keys}
        saved = WeightSet.objects.create(project=project, version=version + 1, weights=ordered, created_by=actor)
        before = {"version": version, "weights": latest.weights if latest else {}}
        after = {"version": saved.version, "weights": ordered}
        record(verb="weights.saved", target=saved, actor=actor, project=project, before=before, after=after)
    return saved


def fit_weights(project: Project, *, actor: User | None) -> None:
    """Keep the newest weights about exactly the active aspects: a new one weighs 1, a retired one goes."""
    latest = project.weight_sets.first()
    old = latest.weights if latest else {}
    keys = active_keys(project)
    if keys and set(keys) != set(old):
        weights = {key: old.get(key, 1.0) for key in keys}
        if not any(weights.values()):
            weights = dict.fromkeys(keys, 1.0)
        save_weights(project=project, weights=weights, actor=actor)


def active_keys(project: Project) -> list[str]:
    return list(project.aspects.filter(retired_at=None).order_by("position", "id").values_list("key", flat=True))


def aspect_values(aspect: Aspect) -> dict[str, Any]:
    return {name: getattr(aspect, name) for name in ("key", "name", "question", "anchors", "position")}


def was_scored(aspect: Aspect) -> bool:
    path = Value(f'$.scores.*."{aspect.key}"')
    hit = Func(F("payload"), path, template="%(expressions)s", arg_joiner=" @? ", output_field=BooleanField())
    rows = Annotation.objects.filter(kind=Kind.SCORING, task__batch__project=aspect.project)
    return rows.annotate(hit=hit).filter(hit=True).exists()
