"""Staged answers → tasks, assignments and annotations of one closed batch. What is there already is not added again."""

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import Max
from django.utils import timezone
from django.utils.translation import gettext as _

from annotation.core.events import insert_events, record
from annotation.importing.judgements.people import Workers
from annotation.importing.judgements.report import Tally
from annotation.importing.judgements.staging import StagedAnswer
from annotation.kinds import KINDS
from annotation.kinds.choosing.payload import ChoosingPayload
from annotation.kinds.scoring.payload import ScoringPayload
from annotation.models import Annotation, Assignment, Batch, Import, Kind, Task, User

Key = tuple[int, tuple[int, ...]]  # a prompt, and the candidates that were compared
SEED_LIMIT = 2**31 - 1

# `created_at` is the file's, which the ORM would overwrite.
WRITE_ANSWERS = """
WITH answer AS (
    SELECT * FROM unnest(%(assignments)s::bigint[], %(tasks)s::bigint[], %(annotators)s::bigint[], %(payloads)s::text[],
        %(seconds)s::float8[], %(times)s::timestamptz[], %(rows)s::integer[])
        WITH ORDINALITY AS a (assignment, task, annotator, payload, seconds, at, file_row, place)
), written AS (
    INSERT INTO annotation_annotation (assignment_id, task_id, annotator_id, kind, version, is_current, payload,
        guideline_id, weight_set_id, active_seconds, idle_seconds, created_at)
    SELECT assignment, task, annotator, %(kind)s, 1, true, payload::jsonb, NULL, NULL, seconds, 0, at
    FROM answer ORDER BY place
    RETURNING *
), spent AS (
    INSERT INTO annotation_timespent (annotator_id, batch_id, assignment_id, visit, active_seconds, idle_seconds,
        began_at, seen_at)
    SELECT annotator, %(batch)s, assignment, 'recorded-' || assignment, seconds, 0, at - make_interval(secs => seconds),
        at
    FROM answer WHERE seconds > 0
)
{event}
""".replace(
    "{event}",
    insert_events(
        verb="'annotation.recorded'",
        object_type="annotation",
        rows="written JOIN answer ON answer.assignment = written.assignment_id",
        object_id="written.id",
        actor="%(actor)s::bigint",
        after="jsonb_build_object('assignment', assignment, 'annotator', annotator, 'import', %(import)s::bigint, "
        "'row', file_row)",
    ),
)


@dataclass
class Recorder:
    """Writes the answers of one import, chunk by chunk. `aspects` are the keys of the aspects that the file names."""

    source: Import
    actor: User | None
    name: str
    workers: Workers
    kind: Kind = Kind.CHOOSING
    aspects: dict[str, str] = field(default_factory=dict)
    batch: Batch | None = None
    tally: Tally = field(default_factory=Tally)
    most_texts: int = 1
    newest_before: int = field(default_factory=lambda: Annotation.objects.aggregate(last=Max("id"))["last"] or 0)

    def write(self, chunk: Sequence[StagedAnswer]) -> None:
        """Call it inside a transaction."""
        there = recorded_answers(
            self.source.project_id, {answer.prompt_id for answer in chunk}, until=self.newest_before
        )
        new: list[tuple[StagedAnswer, Key, int, dict[str, Any]]] = []
        for answer in chunk:
            person = self.workers.account(answer.worker)
            shown, payload = payload_of(answer, self.aspects)
            key = answer.prompt_id, tuple(sorted(shown))
            times = there[key, person, stored(payload)]
            # Without a time, the second of two equal answers is in the project if two of them are.
            if answer.at in times if answer.at else answer.nth <= len(times):
                self.tally.there_already += 1
            elif answer.at and answer.nth > 1:
                self.tally.twice += 1
            else:
                new.append((answer, key, person, payload))
        if new:
            self.add(new)

    def add(self, new: Sequence[tuple[StagedAnswer, Key, int, dict[str, Any]]]) -> None:
        batch = self.batch = self.batch or self.open()
        self.most_texts = max(self.most_texts, *(len(candidates) for _answer, (_prompt, candidates), *_ in new))
        slots = self.slots_of(batch, [(key, person) for _answer, key, person, _payload in new])
        now = timezone.now()
        assignments = [
            Assignment(
                task=task,
                batch=batch,
                slot=slot,
                position=task.position,
                state=Assignment.State.DONE,
                annotator_id=person,
                claimed_at=(answer.at or now) - timedelta(seconds=answer.seconds),
                finished_at=answer.at or now,
            )
            for (answer, _key, person, _payload), (task, slot) in zip(new, slots, strict=True)
        ]
        Assignment.objects.bulk_create(assignments)
        values: dict[str, Any] = {
            "assignments": [row.pk for row in assignments],
            "tasks": [row.task_id for row in assignments],
            "annotators": [row.annotator_id for row in assignments],
            "payloads": [stored(payload) for _answer, _key, _person, payload in new],
            "seconds": [answer.seconds for answer, *_ in new],
            "times": [row.finished_at for row in assignments],
            "rows": [answer.number for answer, *_ in new],
            "batch": batch.pk,
            "kind": batch.kind,
            "project": batch.project_id,
            "actor": self.actor.pk if self.actor else None,
            "import": self.source.pk,
        }
        with connection.cursor() as cursor:
            cursor.execute(WRITE_ANSWERS, values)
        self.tally.added += len(new)

    def open(self) -> Batch:
        """The batch of this file: a new one, or that of an earlier import of it, of which other answers were new. It is
        closed: there is nothing to do in it."""
        project, file = self.source.project, {"file": self.source.filename, "sha256": self.source.sha256}
        of_file = Batch.objects.filter(project=project, selection__judgements__sha256=self.source.sha256)
        begun = of_file.filter(kind=self.kind).first()
        if begun is not None:
            return begun
        batch = Batch.objects.create(
            project=project,
            name=(self.name or _("Recorded: %(file)s") % {"file": self.source.filename})[:120],
            kind=self.kind,
            overlap=1,
            alternatives=KINDS[self.kind].fewest_alternatives,
            status=Batch.Status.CLOSED,
            closed_at=timezone.now(),
            seed=self.source.pk % SEED_LIMIT,
            selection={"origins": None, "judgements": file},
            created_by=self.actor,
        )
        record(
            verb="batch.recorded", target=batch, actor=self.actor, project=project, after={"name": batch.name, **file}
        )
        return batch

    def slots_of(self, batch: Batch, wanted: Sequence[tuple[Key, int]]) -> list[tuple[Task, int]]:
        """A task and a slot of it for each answer. Nobody has a task twice: further answers of one person about the
        same texts go to further tasks of them."""
        tasks: dict[Key, list[Task]] = defaultdict(list)
        takers: dict[int, set[int]] = defaultdict(set)
        prompts = {prompt for (prompt, _candidates), _person in wanted}
        for task in Task.objects.filter(batch=batch, prompt__in=prompts).order_by("id"):
            tasks[task.prompt_id, tuple(task.candidate_ids)].append(task)
        of_batch = Assignment.objects.filter(batch=batch, task__prompt__in=prompts)
        for task_id, annotator in of_batch.values_list("task_id", "annotator_id"):
            takers[task_id].add(annotator)
        position = Task.objects.filter(batch=batch).aggregate(last=Max("position"))["last"] or 0
        slots: list[tuple[Task, int]] = []
        new: list[Task] = []
        unsaved: dict[int, set[int]] = defaultdict(set)  # by position: a task that is not saved has no id
        for (prompt, candidates), person in wanted:
            of_key = tasks[prompt, candidates]
            for task in of_key:
                own = takers[task.pk] if task.pk else unsaved[task.position]
                if person not in own:
                    break
            else:
                position += 1
                task = Task(batch=batch, prompt_id=prompt, candidate_ids=list(candidates), position=position)
                self.tally.repeated += bool(of_key)
                of_key.append(task)
                new.append(task)
                own = unsaved[position]
            own.add(person)
            slots.append((task, len(own)))
        Task.objects.bulk_create(new)
        self.tally.tasks += len(new)
        return slots

    def close(self) -> None:
        """Write what the batch has become. Call it inside a transaction, when all chunks are written."""
        if self.batch is None:
            return
        batch = self.batch
        tasks = Task.objects.filter(batch=batch)
        batch.overlap = Assignment.objects.filter(batch=batch).aggregate(most=Max("slot"))["most"] or 1
        batch.alternatives = max(batch.alternatives, self.most_texts)
        batch.selection = {
            **batch.selection,
            "prompts": tasks.values("prompt").distinct().count(),
            "tasks": tasks.count(),
            "left_out": 0,
        }
        batch.save(update_fields=["overlap", "alternatives", "selection"])


def payload_of(answer: StagedAnswer, aspects: dict[str, str]) -> tuple[list[int], dict[str, Any]]:
    """(the candidates, what `submit` would have stored of it), sides in the order of the file."""
    ids = answer.candidate_ids
    if answer.groups is None:
        scores: dict[int, dict[str, int]] = {}
        for place, aspect, point in answer.scores:
            scores.setdefault(ids[place], {})[aspects[aspect]] = point
        return list(scores), ScoringPayload(scores=scores).to_json()
    shown = list(dict.fromkeys(ids[place] for place in answer.kept))
    groups = [[ids[place] for place in group] for group in answer.groups]
    if not groups:
        payload = ChoosingPayload(shown=shown, choice="both_bad")
    elif answer.is_best_only and len(groups) > 1:
        payload = ChoosingPayload(shown=shown, choice="one", chosen=groups[0][0])
    elif len(shown) > 2:
        payload = ChoosingPayload(shown=shown, choice="ranking", ranking=groups)
    elif len(groups) == 1:
        payload = ChoosingPayload(shown=shown, choice="tie")
    else:
        payload = ChoosingPayload(shown=shown, choice="one", chosen=groups[0][0], strength=answer.strength)
    return shown, payload.to_json()


def stored(payload: dict[str, Any]) -> str:
    return json.dumps(payload, sort_keys=True)


Answered = defaultdict[tuple[Key, int, str], list[datetime]]


def recorded_answers(project_id: int, prompts: Iterable[int], *, until: int) -> Answered:
    """The times of all answers about these prompts that came from files, by what was answered and by whom. First
    versions count: an answer that was changed since is there all the same."""
    there: Answered = defaultdict(list)
    rows = Annotation.objects.filter(
        pk__lte=until,
        task__prompt__in=list(prompts),
        task__batch__project=project_id,
        task__batch__selection__has_key="judgements",
        version=1,
    )
    columns = ("task__prompt_id", "task__candidate_ids", "annotator_id", "payload", "created_at")
    for prompt, candidates, annotator, payload, at in rows.values_list(*columns):
        there[(prompt, tuple(candidates)), annotator, stored(payload)].append(at)
    return there
