"""The journal: every write leaves an event, in the same transaction as the write itself."""

from typing import Any

from django.db import models

from annotation.models import Event, Project, User


def record(
    *,
    verb: str,
    target: models.Model,
    actor: User | None,
    project: Project | None,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> Event:
    """Add an event such as `batch.opened`. Call it inside the atomic block that makes the change."""
    return Event.objects.create(
        project=project,
        actor=actor,
        verb=verb,
        object_type=target._meta.model_name or "",
        object_id=target.pk,
        before=before,
        after=after,
    )
