"""The event journal as evidence: hash chains over the events of each project, and the check of them.

Triggers refuse to change or delete an event; the chain shows it where somebody got past them. A job seals once a
minute: events of a project that no seal has yet are hashed together with the hash of the seal before them. Sealing
afterwards instead of with each write keeps people who work at the same time from waiting for each other.

Who can rewrite the whole database can also rewrite the chain: keep its heads elsewhere (`verify_events --heads`) and
compare later (`--expect`).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction

from annotation.models import EventSeal, Project, SealRedaction

# Events become visible when their transaction ends; none may last longer than this after the event's time.
LONGEST_TRANSACTION = "1 hour"
MOST_EVENTS = 100_000  # of one seal
LOCK = "konomi.event_seals"

# The text of an event that is hashed. `jsonb` has one text for equal values.
EVENT_TEXT = """jsonb_build_array(e.id, e.project_id, e.actor_id, e.verb, e.object_type, e.object_id, e."before",
    e."after", (extract(epoch FROM e.at) * 1000000)::bigint)::text"""
CHAIN = f"encode(sha256(convert_to(%(previous)s || string_agg({EVENT_TEXT}, E'\\n' ORDER BY e.id), 'UTF8')), 'hex')"

SEAL = f"""
WITH since AS (
    SELECT coalesce(max(created_at) - interval '{LONGEST_TRANSACTION}', '-infinity'::timestamptz) AS at
    FROM annotation_eventseal
    WHERE project_id IS NOT DISTINCT FROM %(project)s AND created_at < now() - interval '{LONGEST_TRANSACTION}'
), chosen AS (
    SELECT e.* FROM annotation_event AS e, since
    WHERE {{of_project}} AND e.at >= since.at AND e.id NOT IN (
        SELECT unnest(event_ids) FROM annotation_eventseal
        WHERE project_id IS NOT DISTINCT FROM %(project)s AND created_at >= since.at
    )
    ORDER BY e.at, e.id LIMIT {MOST_EVENTS}
)
INSERT INTO annotation_eventseal (project_id, number, event_ids, previous, sha256, created_at)
SELECT %(project)s, %(number)s, array_agg(e.id ORDER BY e.id), %(previous)s, {CHAIN}, now()
FROM chosen AS e HAVING count(*) > 0
RETURNING cardinality(event_ids)
"""  # noqa: S608 - our own expressions
HASH = f"SELECT count(*), {CHAIN} FROM annotation_event AS e WHERE e.id = ANY(%(ids)s)"  # noqa: S608
UNSEALED = f"""
SELECT e.project_id, count(*), count(*) FILTER (WHERE e.at < now() - interval '{LONGEST_TRANSACTION}'), min(e.id)
FROM annotation_event AS e
WHERE e.id NOT IN (SELECT unnest(event_ids) FROM annotation_eventseal)
GROUP BY e.project_id
"""  # noqa: S608


@dataclass(frozen=True)
class Chain:
    """One project's journal (None: events of the site) as it was checked."""

    project: Project | None
    seals: int
    events: int
    head: str  # the hash of the last seal, empty without one
    faults: tuple[str, ...]
    waiting: int = 0  # events that no seal has yet
    redacted: int = 0  # seals over events whose texts were erased after a withdrawal of consent

    @property
    def name(self) -> str:
        return self.project.slug if self.project else "site"


def seal_all() -> int:
    """Seal what no seal has yet, in every project; returns the number of events sealed."""
    return sum(seal(project_id) for project_id in [None, *Project.objects.order_by("pk").values_list("pk", flat=True)])


def seal(project_id: int | None) -> int:
    """Append seals to this project's chain until none of its events is without; returns the number of events."""
    count = 0
    while True:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [LOCK])
            last = seals_of(project_id).order_by("-number").first()
            params = {
                "project": project_id,
                "number": last.number + 1 if last else 1,
                "previous": last.sha256 if last else "",
            }
            of_project = "e.project_id IS NULL" if project_id is None else "e.project_id = %(project)s"
            cursor.execute(SEAL.replace("{of_project}", of_project), params)
            added = cursor.fetchone()
        if not added:
            return count
        count += added[0]


def seals_of(project_id: int | None) -> Any:
    if project_id is None:
        return EventSeal.objects.filter(project__isnull=True)
    return EventSeal.objects.filter(project_id=project_id)


def verify(expected: dict[str, dict[str, Any]] | None = None) -> Iterator[Chain]:
    """Check the chain of the site and of each project. `expected` are heads written down before (`heads`)."""
    with connection.cursor() as cursor:
        cursor.execute(UNSEALED)
        unsealed = {row[0]: row[1:] for row in cursor.fetchall()}
    for project in [None, *Project.objects.order_by("pk")]:
        project_id = project.pk if project else None
        chain = verify_chain(project, (expected or {}).get(project.slug if project else "site"))
        waiting, late, first = unsealed.get(project_id, (0, 0, None))
        faults = chain.faults
        if late:
            faults += (
                f"{late:,} events older than {LONGEST_TRANSACTION} are in no seal, the first is event {first}: they "
                "were added later, or sealing does not run (the worker's job, or verify_events --seal)",
            )
        yield Chain(project, chain.seals, chain.events, chain.head, faults, waiting, chain.redacted)


def verify_chain(project: Project | None, expected: dict[str, Any] | None = None) -> Chain:
    faults: list[str] = []
    previous, number, events, redacted = "", 0, 0, 0
    hashes: dict[int, str] = {}
    rows = SealRedaction.objects.filter(seal__in=seals_of(project.pk if project else None)).order_by("pk")
    redactions = dict(rows.values_list("seal", "sha256"))  # the newest of each
    for seal in seals_of(project.pk if project else None).order_by("number").iterator(chunk_size=200):
        number += 1
        between = (
            f"seal {seal.number} (events {seal.event_ids[0]} to {seal.event_ids[-1]}, {seal.created_at:%Y-%m-%d %H:%M})"
        )
        if seal.number != number:
            faults.append(f"before {between}, {seal.number - number} seals are missing")
            number = seal.number
        if seal.previous != previous:
            faults.append(f"{between} does not continue the one before it")
        found, sha256 = hash_of(seal)
        if found != len(seal.event_ids):
            faults.append(f"{between}: {len(seal.event_ids) - found:,} of {len(seal.event_ids):,} events are missing")
        elif sha256 != redactions.get(seal.pk, seal.sha256):
            faults.append(f"{between}: an event was changed")
        else:
            redacted += seal.pk in redactions
        previous = hashes[number] = seal.sha256
        events += found
    if expected and hashes.get(expected["seals"], "") != expected["sha256"]:
        faults.append(f"seal {expected['seals']} is not the one that was written down: the chain was made again")
    return Chain(project, number, events, previous, tuple(faults), redacted=redacted)


def hash_of(seal: EventSeal) -> tuple[int, str]:
    """The number of events of the seal that still exist, and their hash as the seal should have it."""
    with connection.cursor() as cursor:
        cursor.execute(HASH, {"previous": seal.previous, "ids": seal.event_ids})
        count, sha256 = cursor.fetchone()
    return count, sha256 or ""


def expected_hash(seal: EventSeal) -> str:
    """The hash that the seal's events must have now: its own, or that of its newest redaction."""
    newest = SealRedaction.objects.filter(seal=seal).order_by("-pk").first()
    return newest.sha256 if newest else seal.sha256


def heads(chains: list[Chain]) -> dict[str, dict[str, Any]]:
    """What to keep elsewhere: the last seal of each chain, by the project's slug."""
    return {chain.name: {"seals": chain.seals, "sha256": chain.head} for chain in chains if chain.seals}
