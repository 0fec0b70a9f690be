"""The scales of a file → aspects of the project. A new one is retired from the start: nobody is asked for it."""

from django.db.models import Max
from django.utils import timezone

from annotation.core.aspect_keys import free_key
from annotation.core.events import record
from annotation.importing.judgements.census import own_aspect, own_scale
from annotation.importing.judgements.scores import Scale
from annotation.models import Aspect, Project, User

NAME_LIMIT = 80


def recorded_aspects(
    project: Project, scales: dict[str, Scale], actor: User | None
) -> tuple[dict[str, str], list[str]]:
    """(the key of each aspect that the file names, the names of those that were added). Call it inside a
    transaction, with the project locked."""
    keys: dict[str, str] = {}
    added: list[str] = []
    for name, scale in scales.items():
        aspect = fitting(project, name, scale)
        if aspect is None:
            aspect = add(project, name_of(project, name, scale), scale, actor)
            added.append(aspect.name)
        keys[name] = aspect.key
    return keys, added


def name_of(project: Project, name: str, scale: Scale) -> str:
    """The file's name for it; with the scale where the project has another aspect of this name."""
    return name[:NAME_LIMIT] if own_aspect(project, name) is None else f"{name[: NAME_LIMIT - 24]} ({scale})"


def fitting(project: Project, name: str, scale: Scale) -> Aspect | None:
    """The aspect of the project that is called so and has this scale."""
    for wanted in (name, f"{name[: NAME_LIMIT - 24]} ({scale})"):
        aspect = own_aspect(project, wanted)
        if aspect is not None and own_scale(aspect) == scale:
            return aspect
    return None


def add(project: Project, name: str, scale: Scale, actor: User | None) -> Aspect:
    last = project.aspects.aggregate(last=Max("position"))["last"]
    aspect = Aspect.objects.create(
        project=project,
        key=free_key(project, name),
        name=name,
        anchors=scale.values(),
        position=0 if last is None else last + 1,
        retired_at=timezone.now(),
    )
    after = {"key": aspect.key, "name": name, "question": "", "anchors": aspect.anchors, "position": aspect.position}
    record(verb="aspect.added", target=aspect, actor=actor, project=project, after=after | {"retired": True})
    return aspect
