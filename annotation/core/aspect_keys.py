"""The keys by which stored scores name aspects."""

from django.utils.text import slugify

from annotation.models import Project


def free_key(project: Project, name: str) -> str:
    """A key that no aspect of the project has had: from the name where it is Latin, else by number."""
    wish = slugify(name)[:36].strip("-") or "aspect"
    taken = set(project.aspects.values_list("key", flat=True))
    return next(key for key in (wish, *(f"{wish}-{n}" for n in range(2, 1000))) if key not in taken)
