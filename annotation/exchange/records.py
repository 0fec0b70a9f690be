"""One record for each line: a dict with every name of `columns`, ready for a writer. Pure but for what it is handed."""

from collections.abc import Callable
from typing import Any

from django.utils import translation
from django.utils.crypto import salted_hmac

from annotation.answers.submission import SKIP_REASONS
from annotation.exchange.columns import ANSWER_COLUMNS, TASK_COLUMNS
from annotation.exchange.source import Chunk, Line, Whole, from_json
from annotation.exchange.writers import Record, Values
from annotation.kinds import KINDS
from annotation.kinds.columns import AnswerContext
from annotation.kinds.side_order import presented_order
from annotation.models import User
from annotation.text.normalization import normal_form

HUMAN = "human:"
# All names in the order of the file.
NO_TASK: Values = dict.fromkeys(column.name for column in TASK_COLUMNS)
NO_ANSWER: Values = dict.fromkeys(column.name for column in ANSWER_COLUMNS)


class Names:
    """How people are named: as they are, or by pseudonyms, which are the same in every export of the project and which
    only the site's secret key leads back to."""

    def __init__(self, whole: Whole, pseudonyms: bool) -> None:
        self.whole, self.pseudonyms = whole, pseudonyms
        self.known: dict[int, Values] = {}

    def columns(self, user_id: int) -> Values:
        if user_id not in self.known:
            user = self.whole.people[user_id]
            self.known[user_id] = {
                "person_id": None if self.pseudonyms else user_id,
                "person": self.name(user),
                "person_email": None if self.pseudonyms else user.email,
                "is_simulated": user.is_simulated,
            }
        return self.known[user_id]

    def name(self, user: User) -> str:
        return self.pseudonym(user.pk) if self.pseudonyms else user.name

    def pseudonym(self, user_id: int) -> str:
        value = f"{self.whole.project.pk}:{user_id}"
        return f"person-{salted_hmac('annotation.exchange.pseudonym', value, algorithm='sha256').hexdigest()[:12]}"

    def origin(self, origin: str) -> str:
        """An origin says which person wrote a text."""
        if self.pseudonyms and origin.startswith(HUMAN) and origin.removeprefix(HUMAN).isdecimal():
            return HUMAN + self.pseudonym(int(origin.removeprefix(HUMAN)))
        return origin


class Records:
    """Makes the records of one export, chunk by chunk."""

    def __init__(self, whole: Whole, *, pseudonyms: bool) -> None:
        self.whole, self.names = whole, Names(whole, pseudonyms)
        with translation.override("en"):
            self.skip_reasons = {key: str(label) for key, label in SKIP_REASONS.items()}
        self.weights: dict[int | None, list[Values]] = {
            pk: [{"aspect": key, "weight": float(weight)} for key, weight in weight_set.weights.items()]
            for pk, weight_set in whole.weight_sets.items()
        }

    def of(self, chunk: Chunk) -> list[Record]:
        people = {line.annotator_id for line in chunk.lines}
        people |= {line.reviewer_id for line in chunk.lines if line.reviewer_id is not None}
        people |= {remark[5] for remarks in chunk.remarks.values() for remark in remarks if remark[5] is not None}
        self.whole.load_people(people)
        records: list[Record] = []
        task_id, task, texts = 0, {}, {}
        abouts: dict[int | None, AnswerContext] = {}  # of the task's answers, by their weights
        for line in chunk.lines:
            if line.task_id != task_id:
                task_id, task = line.task_id, self.task_columns(line, chunk)
                texts = {candidate["id"]: candidate["text"] for candidate in task["candidates"]}
                abouts = {}
            if line.state == "skipped":
                answer = NO_ANSWER | self.skip_columns(line, chunk)
            else:
                if (about := abouts.get(line.weight_set_id)) is None:
                    about = abouts[line.weight_set_id] = self.about(line, texts)
                answer = NO_ANSWER | self.answer_columns(line, about)
            answer.update(self.names.columns(line.annotator_id))
            answer["assignment_id"] = line.slot_id
            answer["slot"] = line.slot
            answer["annotation_id"] = line.answer_id
            answer["version"] = line.version
            answer["state"] = line.state
            answer["is_label"] = line.is_label
            answer["excluded"] = line.is_excluded
            answer["kind"] = line.kind
            answer["claimed_at"] = line.claimed_at
            answer["submitted_at"] = line.at
            answer["review"] = line.review
            if line.reviewer_id is not None:
                answer.update(self.review_columns(line, line.reviewer_id))
            remarks = chunk.remarks.get((line.task_id, line.annotator_id))
            answer["remarks"] = self.remarks(remarks) if remarks else []
            records.append(Record(task, answer))
        return records

    def task_columns(self, line: Line, chunk: Chunk) -> Values:
        project, batch = self.whole.project, self.whole.batches[line.batch_id]
        prompt_id, text, messages, external_id, document, reference, metadata, held_out = chunk.prompts[line.prompt_id]
        rows = [chunk.candidates[key] for key in line.candidate_ids if key in chunk.candidates]
        places = {} if batch.is_recorded else positions(batch.seed, line, chunk)
        return NO_TASK | {
            "project": project.slug,
            "batch_id": line.batch_id,
            "batch": batch.name,
            "task_id": line.task_id,
            "task": line.position,
            "prompt_id": prompt_id,
            "prompt": text,
            "messages": from_json(messages),
            "external_id": external_id,
            "source_document": document,
            "reference": reference,
            "metadata": from_json(metadata),
            "held_out": held_out,
            "source_language": project.source_language,
            "target_language": project.target_language,
            "candidates": [
                {
                    "id": key,
                    "text": text,
                    "origin": self.names.origin(origin),
                    "position": places.get(key),
                    "generation": from_json(generation),
                }
                for key, text, origin, generation in rows
            ],
        }

    def about(self, line: Line, texts: dict[int, str]) -> AnswerContext:
        """`texts` are the task's candidates by id."""
        weight_set = self.whole.weight_sets.get(line.weight_set_id or 0)
        return AnswerContext(
            texts=texts,
            language=self.whole.project.target_language,
            aspects=self.whole.aspects,
            weights=weight_set.weights if weight_set else None,
        )

    def answer_columns(self, line: Line, about: AnswerContext) -> Values:
        kind, weight_set = KINDS[line.kind], self.whole.weight_sets.get(line.weight_set_id or 0)
        columns = kind.columns(kind.parse(from_json(line.payload)), about)
        columns["active_seconds"] = line.active_seconds
        columns["idle_seconds"] = line.idle_seconds
        columns["guideline_version"] = self.whole.guidelines.get(line.guideline_id or 0)
        columns["weights_version"] = weight_set.version if weight_set else None
        columns["weights"] = self.weights.get(line.weight_set_id)
        return columns

    def review_columns(self, line: Line, reviewer_id: int) -> Values:
        return {
            "review_note": line.review_note,
            "correction": line.correction,
            "review_reply": line.review_reply,
            "reviewer": self.names.name(self.whole.people[reviewer_id]),
            "reviewed_at": line.reviewed_at,
        }

    def skip_columns(self, line: Line, chunk: Chunk) -> Values:
        active, idle = chunk.skip_times.get(line.slot_id, (0.0, 0.0))
        return {
            "skip_reason": line.skip_reason,
            "skip_reason_text": self.skip_reasons.get(line.skip_reason, line.skip_reason),
            "skip_comment": line.skip_comment,
            "active_seconds": active,
            "idle_seconds": idle,
        }

    def remarks(self, rows: Any) -> list[Values]:
        name: Callable[[int | None], str | None] = lambda key: (  # noqa: E731
            None if key is None else self.names.name(self.whole.people[key])
        )
        return [
            {
                "id": pk,
                "kind": kind,
                "text": text,
                "created_at": created_at,
                "answer": answer,
                "answered_by": name(answered_by),
                "answered_at": answered_at,
            }
            for pk, kind, text, created_at, answer, answered_by, answered_at in rows
        ]


def positions(seed: int, line: Line, chunk: Chunk) -> dict[int, int]:
    """The place of each candidate on the task's page, from 1: see `annotation.kinds.loading.show`."""
    order = presented_order(seed=seed, task_id=line.task_id, candidate_ids=line.candidate_ids)
    order = [key for key in order if key in chunk.candidates]
    if KINDS[line.kind].compares:
        first: dict[str, int] = {}
        for key in order:
            first.setdefault(normal_form(chunk.candidates[key][1]), key)
        order = list(first.values())
    return {key: place for place, key in enumerate(order, 1)}
