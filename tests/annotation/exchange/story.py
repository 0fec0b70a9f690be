"""A project in which three people have done everything that an export has a column for."""

from datetime import timedelta

from django.utils import timezone

from annotation.answers import remarks
from annotation.answers.reopening import reopen_submission
from annotation.answers.submission import save_draft, skip, submit
from annotation.models import Annotation, Batch, Kind, Project, Prompt, Role, User
from annotation.queue.claims import claim_next
from tests.annotation.helpers import batch_of, hotel
from tests.factories import CandidateFactory, join

EDITED = "静かなお部屋をご用意できます。"


class Story:
    """Hana manages; Kei, Rin and Aoi answer. `payloads` are the answers by annotation id."""

    def __init__(self, slug: str = "hotel") -> None:
        self.project: Project = hotel(prompts=2, slug=slug, name="Hotel")
        first = Prompt.objects.filter(project=self.project).order_by("pk")[0]
        Prompt.objects.filter(pk=first.pk).update(
            external_id="=1+1",
            source_document="mail 1",
            reference="静かなお部屋をご用意いたします。",
            metadata={"sender": {"age": 41}, "temperature": -5},
            messages=[
                {"role": "user", "content": "Hello"},
                {"role": "assistant", "content": "Good morning."},
                {"role": "user", "content": first.text},
            ],
        )
        self.hana = join(self.project, Role.MANAGER, name="Hana", email="hana@example.org")
        self.kei = join(self.project, Role.ANNOTATOR, name="Kei", email="kei@example.org")
        self.rin = join(self.project, Role.ANNOTATOR, name="Rin", email="rin@example.org")
        self.aoi = join(self.project, Role.ANNOTATOR, name="Aoi", email="aoi@example.org", is_simulated=True)
        self.batches: dict[str, Batch] = {}
        self.payloads: dict[int, dict] = {}
        self.answers()

    def answers(self) -> None:
        writing = self.open(Kind.WRITING, overlap=2)
        self.answer(writing, self.kei, lambda task: {"text": "=朝食は、\n付きます。"})
        self.answer(writing, self.rin, lambda task: {"text": "朝食付きです。"})
        editing = self.open(Kind.POSTEDITING)
        self.answer(editing, self.kei, lambda task: {**editable(task), "text": EDITED, "unchanged": False})
        self.answer(editing, self.kei, lambda task: {**editable(task), "unchanged": True})
        scoring = self.open(Kind.SCORING, alternatives=2)
        self.answer(scoring, self.rin, scores)
        first = Prompt.objects.get(project=self.project, external_id="=1+1")
        CandidateFactory(prompt=first, text="お静かに。", origin=f"human:{self.hana.pk}", generation={"seed": 7})
        choosing = self.open(Kind.CHOOSING, alternatives=3, overlap=2)
        first = self.answer(choosing, self.kei, ranking)
        self.answer(choosing, self.kei, choice)
        self.answer(choosing, self.rin, choice)
        self.change(first, {**self.payloads[first.pk], "reasons": ["Fluency"]})
        slot = claim_next(batch=choosing, annotator=self.aoi)
        remark = remarks.add_remark(task=slot.task, author=self.aoi, kind="question", text="Which one is polite?")
        remarks.answer_remark(remark=remark, text="Neither.", actor=self.hana)
        skip(assignment=slot, reason="other", comment="-1, says the text")
        draft = claim_next(batch=choosing, annotator=self.rin)
        save_draft(assignment=draft, payload={"shown": []})
        open_again = self.answer(writing, self.kei, lambda task: {"text": "ございます。"})
        reopen_submission(annotation=open_again, actor=self.kei)
        withdrawn = self.answer(writing, self.rin, lambda task: {"text": "しりません。"})
        skip(assignment=reopen_submission(annotation=withdrawn, actor=self.rin), reason="unclear")
        Annotation.objects.filter(pk=first.pk).update(created_at=timezone.now() - timedelta(days=30))

    def open(self, kind: str, **fields: object) -> Batch:
        self.batches[kind] = batch_of(self.project, kind, **fields)
        return self.batches[kind]

    def answer(self, batch: Batch, person: User, payload_of) -> Annotation:
        slot = claim_next(batch=batch, annotator=person)
        assert slot is not None
        return self.keep(submit(assignment=slot, payload=payload_of(slot.task)).annotation)

    def change(self, annotation: Annotation, payload: dict) -> Annotation:
        slot = reopen_submission(annotation=annotation, actor=annotation.annotator)
        return self.keep(submit(assignment=slot, payload=payload).annotation)

    def keep(self, annotation: Annotation) -> Annotation:
        self.payloads[annotation.pk] = Annotation.objects.get(pk=annotation.pk).payload
        return annotation


def editable(task):
    (candidate,) = task.candidate_ids
    return {"candidate": candidate, "text": task.texts[candidate] if task.texts else "静かな部屋"}


def scores(task):
    one, two = task.candidate_ids
    return {
        "scores": {str(one): {"meaning": 4, "register": 3}, str(two): {"meaning": 2, "register": 1}},
        "comment": "The second is rude.",
        "spans": {str(two): [{"start": 0, "end": 2, "category": "Register", "severity": "major"}]},
    }


def ranking(task):
    ids = task.candidate_ids
    return {
        "choice": "ranking",
        "chosen": None,
        "shown": list(ids),
        "strength": None,
        "reasons": ["Register", "Meaning"],
        "ranking": [[ids[0]], list(ids[1:])],
        "reasons_by_side": {str(ids[0]): ["Meaning"]},
        "fixes": {str(ids[0]): EDITED},
        "spans": {str(ids[-1]): [{"start": 0, "end": 1, "quality": "bad"}]},
    }


def choice(task):
    ids = task.candidate_ids
    return {"choice": "one", "chosen": ids[0], "shown": list(ids), "strength": 2, "reasons": []}
