"""The event log: every write records an event in the same transaction.

`record` is for code that writes with the ORM, `insert_events` for statements of our own.
"""

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


def insert_events(
    *,
    verb: str,
    object_type: str,
    rows: str,
    before: str = "NULL",
    after: str = "NULL",
    project: str = "%(project)s",
    actor: str = "%(annotator)s",
    object_id: str = "id",
) -> str:
    """The INSERT that records one event for each row of `rows` (the body of a FROM clause), as `record` would.

    All arguments are SQL expressions written in this repository, never input; `object_type` is the model's name.
    """
    return f"""INSERT INTO annotation_event (project_id, actor_id, verb, object_type, object_id, "before", "after", at)
    SELECT {project}, {actor}, {verb}, '{object_type}', {object_id}, {before}, {after}, now()
    FROM {rows}"""  # noqa: S608 - our own expressions
