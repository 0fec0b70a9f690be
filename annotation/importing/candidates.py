"""Add candidates, texts that answer prompts, to a project."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from annotation.core.errors import InvalidInput
from annotation.core.events import record
from annotation.models import Project, Prompt, User
from annotation.text.digests import canonical_json, text_digest

CHUNK = 2000
ORIGIN = re.compile(r"(checkpoint|import|human):[^\x00-\x1f\x7f]{1,180}")


@dataclass(frozen=True, kw_only=True, slots=True)
class NewCandidate:
    """A text that answers a prompt. `origin` is checkpoint:<id>, import:<name> or human:<id>; `generation` says how
    it was made (temperature, seed, index …)."""

    prompt_id: int
    text: str
    origin: str
    generation: dict[str, Any] = field(default_factory=dict)


def add_candidates(*, project: Project, candidates: Iterable[NewCandidate], actor: User | None) -> int:
    """Add candidates to the project's prompts, all or none; returns how many are new.

    A text that the prompt already has from the same origin is left as it is, and a blank one is passed over (a model
    may say nothing): both are counted in the event. A NUL, which PostgreSQL cannot hold, becomes U+FFFD.

    Raises:
        InvalidInput: a prompt is not the project's, or an origin is not one of the three forms.
    """
    added, given, blank = 0, 0, 0
    origins: Counter[str] = Counter()
    with transaction.atomic():
        for chunk in chunks(candidates, CHUNK):
            given += len(chunk)
            kept = [candidate for candidate in chunk if candidate.text.strip()]
            blank += len(chunk) - len(kept)
            added += insert_chunk(project, kept)
            origins.update(candidate.origin for candidate in kept)
        if given:
            after = {"given": given, "added": added, "blank": blank, "origins": dict(sorted(origins.items()))}
            record(verb="candidates.added", target=project, actor=actor, project=project, after=after)
    return added


def insert_chunk(project: Project, chunk: list[NewCandidate]) -> int:
    bad = next((candidate for candidate in chunk if not ORIGIN.fullmatch(candidate.origin)), None)
    if bad:
        raise InvalidInput(
            f"candidate of prompt {bad.prompt_id}: the origin {bad.origin[:60]!r} is none of checkpoint:ID, "
            "import:NAME, human:ID"
        )
    wanted = {candidate.prompt_id for candidate in chunk}
    known = set(Prompt.objects.filter(project=project, pk__in=wanted).values_list("pk", flat=True))
    if strangers := sorted(wanted - known):
        raise InvalidInput(f"prompt {strangers[0]} is not a prompt of the project {project.slug}")
    texts = [candidate.text.replace("\0", "\ufffd").encode(errors="replace").decode() for candidate in chunk]
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO annotation_candidate (prompt_id, text, origin, digest, generation, created_at)
            SELECT n.prompt_id, n.text, n.origin, n.digest, n.generation::jsonb, %s
            FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::text[], %s::text[])
                WITH ORDINALITY AS n (prompt_id, text, origin, digest, generation, place)
            ORDER BY n.place
            ON CONFLICT (prompt_id, origin, digest) DO NOTHING
            """,
            [
                timezone.now(),
                [candidate.prompt_id for candidate in chunk],
                texts,
                [candidate.origin for candidate in chunk],
                [text_digest(text) for text in texts],
                [canonical_json(candidate.generation) for candidate in chunk],
            ],
        )
        return int(cursor.rowcount)


def chunks(items: Iterable[NewCandidate], size: int) -> Iterator[list[NewCandidate]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk
