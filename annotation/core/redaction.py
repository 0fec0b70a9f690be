"""Erasing what people wrote from recorded events, so that the journal still proves that nothing else was changed.

The event stays: who did what to which object, and when. Its texts become `ERASED`. A redaction says by hashes what the
event was and what it is, a trigger in the database lets the event change to exactly that, and each seal over such
events gets a second hash (`SealRedaction`). A seal that does not fit its events is not redacted: a redaction never
covers up a change. Which events of which seals were redacted is recorded as an event of its own, which is sealed.
"""

from typing import Any

from django.db import connection, transaction
from django.db.backends.postgresql.psycopg_any import Jsonb
from django.db.models import QuerySet

from annotation.core.errors import Conflict
from annotation.core.events import record
from annotation.core.journal import EVENT_TEXT, LOCK, expected_hash, hash_of
from annotation.models import Event, EventRedaction, EventSeal, SealRedaction, User, Withdrawal

ERASED = "[erased]"
# The keys of events under which people's texts and answers are.
TEXT_KEYS = ("text", "answer", "comment", "reply", "note", "payload", "reason")
SHA256 = "encode(sha256(convert_to({text}, 'UTF8')), 'hex')"
HASH_NOW = f"SELECT {SHA256.format(text=EVENT_TEXT)} FROM annotation_event e WHERE e.id = %(event)s"  # noqa: S608
CHANGED_TEXT = EVENT_TEXT.replace('e."before"', "%(before)s::jsonb").replace('e."after"', "%(after)s::jsonb")
HASH_THEN = f"SELECT {SHA256.format(text=CHANGED_TEXT)} FROM annotation_event e WHERE e.id = %(event)s"  # noqa: S608


def redact_events(*, events: QuerySet[Event], withdrawal: Withdrawal, actor: User | None) -> int:
    """Erase the texts of these events; returns how many events had any. Call it in a transaction.

    Raises Conflict where a seal over one of them does not fit its events: the journal was changed before.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [LOCK])  # nothing is sealed meanwhile
        due = [event for event in events.order_by("pk") if has_text(event.before) or has_text(event.after)]
        if not due:
            return 0
        ids = [event.pk for event in due]
        seals = list(EventSeal.objects.filter(project=withdrawal.project_id, event_ids__overlap=ids).order_by("number"))
        was: dict[int, str] = {}
        for seal in seals:
            was[seal.pk] = expected_hash(seal)
            if hash_of(seal) != (len(seal.event_ids), was[seal.pk]):
                raise Conflict(
                    f"seal {seal.number} of {withdrawal.project.slug} does not fit its events: verify_events"
                )
        for event in due:
            redact_event(cursor, event, withdrawal)
        now = {}
        for seal in seals:
            sha256 = hash_of(seal)[1]
            SealRedaction.objects.create(seal=seal, sha256=sha256)
            now[str(seal.number)] = [was[seal.pk], sha256]
        record(
            verb="journal.redacted",
            target=withdrawal,
            actor=actor,
            project=withdrawal.project,
            after={"events": ids, "seals": now},
        )
    return len(due)


def redact_event(cursor: Any, event: Event, withdrawal: Withdrawal) -> None:
    before, after = without_text(event.before), without_text(event.after)
    values = {
        "event": event.pk,
        "before": None if before is None else Jsonb(before),
        "after": None if after is None else Jsonb(after),
    }
    cursor.execute(HASH_NOW, values)
    was = cursor.fetchone()[0]
    cursor.execute(HASH_THEN, values)
    sha256 = cursor.fetchone()[0]
    EventRedaction.objects.create(event=event, withdrawal=withdrawal, was_sha256=was, sha256=sha256)
    Event.objects.filter(pk=event.pk).update(before=before, after=after)


def has_text(values: dict[str, Any] | None) -> bool:
    return any(values.get(key) not in (None, "", ERASED) for key in TEXT_KEYS) if values else False


def without_text(values: dict[str, Any] | None) -> dict[str, Any] | None:
    if values is None:
        return None
    return {key: ERASED if key in TEXT_KEYS and value else value for key, value in values.items()}
