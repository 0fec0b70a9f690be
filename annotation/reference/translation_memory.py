"""Translation memory: earlier answers with text, looked up by the similarity of their source.

Each entry carries a sketch of its source: 32 numbers, each of three min-hashes over the text's character n-grams
(Broder 1997; banded as by Leskovec, Rajaraman and Ullman, "Mining of Massive Datasets", 3.4). Two texts that share the
fraction J of their n-grams share any one number with probability J³, so the GIN index finds similar texts by a few
numbers, and ignores the many texts that share only a common word or two. rapidfuzz then ranks the matches.
"""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from statistics import median
from zlib import crc32

from django.db import connection, transaction
from django.db.models import Exists, OuterRef
from django.db.models.functions import Length
from rapidfuzz import process
from rapidfuzz.distance import Levenshtein

from annotation.core.checks import is_check
from annotation.core.exclusions import is_excluded
from annotation.core.reviews import counted_payload
from annotation.kinds import KINDS
from annotation.models import Annotation, MemoryEntry, Project, User
from annotation.text.normalization import UNSPACED, folded

BANDS = 32
# The beginning of a long text is enough for a sketch, and bounds its cost.
SKETCHED = 2_000
COMPARED = 20_000
CANDIDATES = 500
RANKED = 40
THRESHOLD = 0.6


def fixed_number(text: str) -> int:
    """64 bits that are the same in every process and version."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest())


MASKS = [tuple(fixed_number(f"{band} {row}") for row in range(3)) for band in range(BANDS)]


@dataclass(frozen=True)
class Similar:
    """`similarity` is 1 less the edit distance by characters over the longer length, of the folded texts."""

    entry: int
    source: str
    target: str
    similarity: float


def store(*, annotation: Annotation) -> None:
    """Store the text of an answer that was just submitted, replacing this person's earlier one for the task.

    One statement (and one to read the prompt, unless `annotation.task.prompt` is loaded). An answer without a
    text of its own (a score, a choice without a fix) is ignored; a new version without one removes the entry.
    """
    target = text_of(annotation)
    if target is not None:
        upsert([entry_of(annotation, target)])
    elif annotation.version > 1:
        discard(task_id=annotation.task_id, author=annotation.annotator)


def discard(*, task_id: int, author: User) -> None:
    """Remove this person's entry for the task: the answer was withdrawn."""
    MemoryEntry.objects.filter(author=author, task_id=task_id).delete()


def text_of(annotation: Annotation) -> str | None:
    return KINDS[annotation.kind].own_text(annotation.payload)


def entry_of(annotation: Annotation, target: str) -> MemoryEntry:
    prompt = annotation.task.prompt
    return MemoryEntry(
        project_id=prompt.project_id,
        task_id=annotation.task_id,
        author_id=annotation.annotator_id,
        source=prompt.text,
        target=target,
        grams=sketch(prompt.text, prompt.project_id),
    )


def upsert(entries: list[MemoryEntry]) -> None:
    MemoryEntry.objects.bulk_create(
        entries,
        update_conflicts=True,
        unique_fields=["author", "task"],
        update_fields=["source", "target", "grams", "created_at"],
    )


# ---- the sketch: pure ----


def ngrams(text: str) -> set[str]:
    """Character n-grams of a folded text: of 4 within spaced scripts, of 2 where words have no spaces."""
    grams: set[str] = set()
    for run in UNSPACED.findall(text):
        grams.update(run[at : at + 2] for at in range(max(len(run) - 1, 1)))
    spaced = UNSPACED.sub(" ", text)
    if spaced.strip():
        spaced = f" {' '.join(spaced.split())} "
        grams.update(spaced[at : at + 4] for at in range(max(len(spaced) - 3, 1)))
    return grams


def sketch(text: str, project_id: int) -> list[int]:
    """32 signed 32-bit numbers, different in each project; none for a text without characters."""
    # CRC is fast, and the odd factor (2⁶⁴ by the golden ratio) spreads it over all the bits.
    grams = [gram.encode("utf-8", "surrogatepass") for gram in ngrams(folded(text)[:SKETCHED])]
    hashes = [crc32(gram) * 0x9E3779B97F4A7C15 % 2**64 for gram in grams]
    if not hashes:
        return []
    numbers = []
    for band, masks in enumerate(MASKS):
        # XOR with a fixed random number permutes the hashes: the minimum is an independent random n-gram.
        least = [min(map(mask.__xor__, hashes)) for mask in masks]
        numbers.append(crc32(b"%d %d %d %d %d" % (project_id, band, *least)) - 2**31)
    return numbers


# ---- lookup ----

# Entries that share all numbers or two adjacent ones are searched first: among many similar texts, those that share a
# single number could fill the limit of the last part.
SEARCH = """
    WITH found AS MATERIALIZED (
        (SELECT id, grams FROM annotation_memoryentry
         WHERE grams @> %(grams)s::int[] AND {allowed} LIMIT %(ranked)s)
        UNION
        (SELECT id, grams FROM annotation_memoryentry WHERE ({pairs}) AND {allowed} LIMIT %(candidates)s)
        UNION
        (SELECT id, grams FROM annotation_memoryentry
         WHERE grams && %(grams)s::int[] AND {allowed} LIMIT %(candidates)s)
    )
    SELECT id, (SELECT count(*) FROM unnest(grams) AS gram WHERE gram = ANY(%(grams)s::int[])) AS common
    FROM found ORDER BY common DESC, id DESC LIMIT %(ranked)s
"""
PAIRS = " OR ".join(f"grams @> (%(grams)s::int[])[{at}:{at + 1}]" for at in range(1, BANDS, 2))
# Answers to one prompt are independent of each other: at a prompt nobody sees another person's text for it.
# The `+ 0` keeps the planner from using the index of projects.
ALLOWED = """
    project_id + 0 = %(project)s AND task_id <> %(task)s AND (author_id = %(person)s
        OR task_id NOT IN (SELECT id FROM annotation_task WHERE prompt_id = %(prompt)s))
    AND task_id NOT IN (
        SELECT of_task_id FROM annotation_taskcheck WHERE task_id = %(task)s AND of_task_id IS NOT NULL)
"""


def similar(
    *, project: Project, text: str, person: User, task_id: int, prompt_id: int, limit: int = 3
) -> list[Similar]:
    """The most similar earlier texts of the project that this person may see at this task, best first. Texts of
    excluded answers are left out; where they were among the most similar ones, there may be fewer."""
    wanted = folded(text)[:COMPARED]
    grams = sketch(text, project.pk)
    if not grams:
        return []
    with transaction.atomic(), connection.cursor() as cursor:
        # The planner underestimates the cost of comparing arrays and would scan the table instead of its index.
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(
            SEARCH.format(allowed=ALLOWED, pairs=PAIRS),
            {
                "grams": grams,
                "project": project.pk,
                "task": task_id,
                "person": person.pk,
                "prompt": prompt_id,
                "candidates": CANDIDATES,
                "ranked": RANKED,
            },
        )
        ids = [row[0] for row in cursor.fetchall()]
    counting = MemoryEntry.objects.filter(pk__in=ids).exclude(is_excluded(project="project", annotator="author"))
    rows = {row.pk: row for row in counting}
    near = process.extract(
        wanted,
        {pk: folded(rows[pk].source)[:COMPARED] for pk in ids if pk in rows},
        scorer=Levenshtein.normalized_similarity,
        score_cutoff=THRESHOLD,
        limit=None,
    )
    hits: list[Similar] = []
    for _, similarity, pk in near:
        row = rows[pk]
        # Show the same translation of the same text once.
        if any((hit.source, hit.target) == (row.source, row.target) for hit in hits):
            continue
        hits.append(Similar(entry=pk, source=row.source, target=row.target, similarity=similarity))
        if len(hits) == limit:
            break
    return hits


def length_ratio(project: Project) -> float | None:
    """Characters of an answer for each of its source: the median of the last 200, once there are 20."""
    last = MemoryEntry.objects.filter(project=project).order_by("-id")[:200]
    lengths = last.annotate(source_length=Length("source"), target_length=Length("target"))
    ratios = [target / source for source, target in lengths.values_list("source_length", "target_length") if source]
    return median(ratios) if len(ratios) >= 20 else None


# ---- rebuilding ----


def rebuild(*, project: Project, progress: Callable[[int, int], None] = lambda done, total: None) -> int:
    """Rebuild the project's memory from the current answers; returns the number of entries.

    Works in chunks while people annotate: it may be interrupted at any time and run again.
    """
    kinds = [name for name, kind in KINDS.items() if kind.keeps_own_text]
    current = Annotation.objects.filter(is_current=True, kind__in=kinds)
    rows = current.filter(~is_check(), task__batch__project=project).select_related("task__prompt").order_by("pk")
    rows = rows.annotate(counted=counted_payload())
    total, done, last = rows.count(), 0, 0
    while chunk := list(rows.filter(pk__gt=last)[:500]):
        for annotation in chunk:
            annotation.payload = annotation.counted  # as a reviewer corrected it
        texts = [(annotation, text_of(annotation)) for annotation in chunk]
        upsert([entry_of(annotation, target) for annotation, target in texts if target is not None])
        done, last = done + len(chunk), chunk[-1].pk
        progress(done, total)
    entries = MemoryEntry.objects.filter(project=project)
    entries.filter(~Exists(current.filter(task=OuterRef("task"), annotator=OuterRef("author")))).delete()
    return entries.count()
