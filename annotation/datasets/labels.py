"""Reads the labels that a dataset is made of: prompt by prompt, through a server-side cursor."""

import json
from array import array
from collections import Counter
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import chain, groupby, islice
from operator import itemgetter
from typing import Any

from django.db import connection

from annotation.core.arrays import id_array
from annotation.core.checks import CHECKS_PEOPLE
from annotation.core.errors import InvalidInput
from annotation.core.exclusions import EXCLUSION_ID, EXCLUSION_JOINS
from annotation.core.read_ahead import read_ahead
from annotation.core.reviews import COUNTED_PAYLOAD, PENDING, REVIEW_JOIN, SENT_BACK, WAITING
from annotation.core.trials import IN_TRIAL
from annotation.datasets.rows import ExportOptions, LabelledPrompt
from annotation.datasets.without import NOTHING, Without, checked_without
from annotation.kinds import KINDS
from annotation.kinds.votes import Label
from annotation.models import Aspect, Batch, Exclusion, Guideline, Kind, Project, Review, WeightSet
from annotation.text.conversation import conversation

JSON = json.JSONDecoder().raw_decode  # of what PostgreSQL writes: it begins and ends with the value
PROMPTS_AT_ONCE = 1_000
ROWS_AT_ONCE = 5_000

# Excluded answers and those that wait for review are read, too: what is left out and what is not is of one moment,
# and both are counted.
CURRENT_LABELS = f"""
    SELECT task.prompt_id, annotation.id, annotation.task_id, annotation.kind, {COUNTED_PAYLOAD}::text,
           annotation.weight_set_id, annotation.guideline_id, annotation.annotator_id, task.batch_id,
           {EXCLUSION_ID}, person.is_simulated, {PENDING}, review.verdict,
           adjudication.cause, adjudication.payload IS NULL, {CHECKS_PEOPLE}, {IN_TRIAL}
    FROM annotation_annotation annotation
    JOIN annotation_assignment assignment ON assignment.id = annotation.assignment_id AND assignment.state = 'done'
    JOIN annotation_task task ON task.id = annotation.task_id
    JOIN annotation_batch batch ON batch.id = task.batch_id
    {EXCLUSION_JOINS}
    {REVIEW_JOIN}
    WHERE batch.project_id = %(project)s AND annotation.is_current
      AND (%(batches)s::bigint[] IS NULL OR batch.id = ANY(%(batches)s))
      AND (%(kinds)s::text[] IS NULL OR annotation.kind = ANY(%(kinds)s))
    ORDER BY task.prompt_id, annotation.id
"""  # noqa: S608 - our own expressions
PROMPTS = """
    SELECT id, text, messages::text, digest, held_out, reference, source_document
    FROM annotation_prompt WHERE id = ANY(%s::bigint[]) ORDER BY id
"""
CANDIDATES = "SELECT prompt_id, id, text FROM annotation_candidate WHERE id = ANY(%s::bigint[])"


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which labels are frozen, and how they become rows. None means all batches, or all kinds."""

    purpose: str
    format: str
    batches: tuple[int, ...] | None = None
    kinds: tuple[str, ...] | None = None
    options: ExportOptions = field(default_factory=ExportOptions)
    without: Without = NOTHING

    def as_dict(self) -> dict[str, Any]:
        return {
            "purpose": self.purpose,
            "format": self.format,
            "batches": None if self.batches is None else list(self.batches),
            "kinds": None if self.kinds is None else list(self.kinds),
            **self.options.as_dict(),
            **({"without": self.without.as_dict()} if self.without else {}),
        }


def checked_selection(project: Project, selection: Selection) -> Selection:
    """The selection with its batches and kinds in canonical order; InvalidInput when one does not exist."""
    batches, kinds = selection.batches, selection.kinds
    if batches is not None:
        known = set(Batch.objects.filter(project=project, pk__in=batches).values_list("pk", flat=True))
        if unknown := sorted(set(batches) - known):
            raise InvalidInput(f"the project {project.slug} has no batch {unknown[0]}")
        batches = tuple(sorted(known)) or None
    if kinds is not None:
        if unknown_kinds := sorted(set(kinds) - set(Kind.values)):
            raise InvalidInput(f"{unknown_kinds[0]!r} is no kind of annotation; kinds are {', '.join(Kind.values)}")
        kinds = tuple(sorted(set(kinds))) or None
    return replace(selection, batches=batches, kinds=kinds, without=checked_without(project, selection.without))


@dataclass
class SourcesTally:
    """Facts about the selected labels, counted while they are streamed."""

    annotation_ids: array = field(default_factory=lambda: array("q"))
    kinds: Counter[str] = field(default_factory=Counter)
    annotators: set[int] = field(default_factory=set)
    guidelines: set[int] = field(default_factory=set)
    weight_sets: set[int] = field(default_factory=set)
    batches: Counter[int] = field(default_factory=Counter)
    excluded: Counter[int] = field(default_factory=Counter)  # by exclusion
    checks: int = 0  # answers to tasks that check people, which are no labels
    trials: int = 0  # answers of trials of the guideline, which are no labels
    without: Counter[str] = field(default_factory=Counter)  # by what the selection leaves out
    pending: Counter[str] = field(default_factory=Counter)  # by why they do not count yet (`core.reviews.PENDING`)
    verdicts: Counter[str] = field(default_factory=Counter)  # of the labels that were reviewed
    decided: dict[int, tuple[str, bool]] = field(default_factory=dict)  # (cause, was kept as divided) by task
    fingerprint: Any = None  # of the labels read (a hash object), where they are read twice

    def excluded_facts(self, without: Without) -> dict[str, Any]:
        """The answers that were left out, counted by exclusion, with its reason, and by part of `without`."""
        return {
            "annotations": self.excluded.total() + self.without.total(),
            "exclusions": [
                {
                    "id": row.pk,
                    "scope": row.scope,
                    "annotator": row.annotator_id,
                    "task": row.task_id,
                    "prompt": row.prompt_id,
                    "reason": row.reason,
                    "annotations": self.excluded[row.pk],
                }
                for row in Exclusion.objects.filter(pk__in=self.excluded).order_by("pk")
            ],
            "without": {part: self.without[part] for part in without.parts()},
        }

    def review_facts(self) -> dict[str, int]:
        """How many labels were accepted, and how many are the corrections of reviewers; and the answers that were left
        out because they wait for review, or for an author to whom they were sent back. Empty where nothing was reviewed
        or has to be."""
        if not self.pending and not self.verdicts:
            return {}
        accepted, corrected = self.verdicts[Review.Verdict.ACCEPTED], self.verdicts[Review.Verdict.CORRECTED]
        return {"accepted": accepted, "corrected": corrected} | {
            reason: self.pending[reason] for reason in (WAITING, SENT_BACK)
        }

    def adjudication_facts(self) -> dict[str, Any]:
        """How many tasks a reviewer decided, how many they kept as divided, and why annotators disagreed. Empty where
        no task was."""
        if not self.decided:
            return {}
        causes = Counter(cause for cause, _divided in self.decided.values())
        divided = sum(is_divided for _cause, is_divided in self.decided.values())
        return {"decided": len(self.decided) - divided, "kept_divided": divided, "causes": dict(sorted(causes.items()))}

    def guideline_versions(self) -> list[int]:
        return sorted(Guideline.objects.filter(pk__in=self.guidelines).values_list("version", flat=True))

    def weight_versions(self) -> list[int]:
        return sorted(WeightSet.objects.filter(pk__in=self.weight_sets).values_list("version", flat=True))


def aspect_points(project: Project) -> dict[str, int]:
    return {aspect.key: aspect.points for aspect in Aspect.objects.filter(project=project)}


def labelled_prompts(project: Project, selection: Selection, tally: SourcesTally) -> Generator[LabelledPrompt]:
    """Every prompt with selected labels, by id. Call it inside a transaction. Only current annotations of finished
    assignments are labels, and none that is excluded or does not count before its review."""
    weights: dict[int, dict[str, float]] = dict(WeightSet.objects.filter(project=project).values_list("pk", "weights"))
    parameters = {
        "project": project.pk,
        "batches": None if selection.batches is None else list(selection.batches),
        "kinds": None if selection.kinds is None else list(selection.kinds),
    }
    with closing(read_ahead(lambda: chunks(project, selection, tally, weights, parameters))) as read:
        yield from chain.from_iterable(read)


def chunks(
    project: Project,
    selection: Selection,
    tally: SourcesTally,
    weights: dict[int, dict[str, float]],
    parameters: dict[str, Any],
) -> Iterator[list[LabelledPrompt]]:
    with connection.chunked_cursor() as cursor:
        cursor.execute(CURRENT_LABELS, parameters)
        # Django's cursor fetches a hundred rows a trip.
        rows = chain.from_iterable(iter(lambda: cursor.fetchmany(ROWS_AT_ONCE), []))
        groups = ((prompt_id, list(of_prompt)) for prompt_id, of_prompt in groupby(rows, key=itemgetter(0)))
        while chunk := dict(islice(groups, PROMPTS_AT_ONCE)):
            made = {key: labels(of_prompt, weights, selection.without, tally) for key, of_prompt in chunk.items()}
            yield list(with_texts(project, {key: of_prompt for key, of_prompt in made.items() if of_prompt}))


def labels(
    rows: Iterable[tuple[Any, ...]], weights: dict[int, dict[str, float]], without: Without, tally: SourcesTally
) -> list[Label[Any]]:
    made = []
    for row in rows:
        _, annotation_id, task_id, kind, payload, weight_set, guideline, annotator, batch, *left_out = row
        exclusion, simulated, pending, verdict, cause, is_divided, checks_people, in_trial = left_out
        if checks_people:
            tally.checks += 1
            continue
        if in_trial:
            tally.trials += 1
            continue
        if exclusion is not None:
            tally.excluded[exclusion] += 1
            continue
        if without and (part := without.key_of(annotation_id, annotator, simulated)):
            tally.without[part] += 1
            continue
        if pending is not None:
            tally.pending[pending] += 1
            continue
        if verdict is not None:
            tally.verdicts[verdict] += 1
        if cause is not None:
            tally.decided[task_id] = cause, is_divided
        if tally.fingerprint is not None:
            tally.fingerprint.update(f"{annotation_id} {payload}".encode())
        tally.annotation_ids.append(annotation_id)
        tally.kinds[kind] += 1
        tally.annotators.add(annotator)
        tally.batches[batch] += 1
        if guideline is not None:
            tally.guidelines.add(guideline)
        if weight_set is not None:
            tally.weight_sets.add(weight_set)
        made.append(
            Label(
                annotation_id=annotation_id,
                annotator=annotator,
                task_id=task_id,
                kind=kind,
                payload=KINDS[kind].parse(JSON(payload)[0]),
                weights=weights.get(weight_set) if weight_set is not None else None,
            )
        )
    return made


def with_texts(project: Project, by_prompt: dict[int, list[Label[Any]]]) -> Iterator[LabelledPrompt]:
    ids = {
        key for labels in by_prompt.values() for label in labels for key in KINDS[label.kind].candidates(label.payload)
    }
    texts: dict[int, dict[int, str]] = {}
    with connection.cursor() as cursor:
        cursor.execute(CANDIDATES, [id_array(ids)])
        for prompt_id, candidate, text in cursor.fetchall():
            texts.setdefault(prompt_id, {})[candidate] = text
        cursor.execute(PROMPTS, [id_array(by_prompt)])
        for prompt_id, text, chat, digest, held_out, reference, document in cursor.fetchall():
            yield LabelledPrompt(
                prompt_id=prompt_id,
                messages=conversation(text, json.loads(chat) if chat else None, project.persona),
                digest=digest,
                held_out=held_out,
                labels=by_prompt[prompt_id],
                candidates=texts.get(prompt_id, {}),
                reference=reference,
                source_document=document,
                language=project.target_language,
            )
