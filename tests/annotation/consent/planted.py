"""A person who wrote a distinctive text into every place that the project has for one."""

from django.db import connection

from annotation.answers.exclusions import exclude_person, lift_exclusion
from annotation.answers.remarks import add_remark, answer_remark
from annotation.answers.reopening import undo_last
from annotation.answers.submission import save_draft, skip, submit
from annotation.checks.gold import enter_gold, known_answers, make_gold
from annotation.checks.requeue import requeue
from annotation.datasets.freeze import freeze_dataset
from annotation.members.messages import send_message
from annotation.members.pausing import pause_member, resume_member
from annotation.models import CheckProposal, Kind, Membership, Role
from annotation.qualification.attempts import answer_item, start_attempt
from annotation.qualification.tests import NewItem, create_qualification
from annotation.queue.claims import claim_next
from annotation.reviewing import adjudication
from annotation.reviewing.adjudication import adjudicate
from annotation.reviewing.undo import take_back
from annotation.reviewing.verdicts import correct, leave_out, reply_to_review, send_back
from tests.annotation.helpers import batch_of, hotel
from tests.factories import CandidateFactory, join

SECRET = "zebra-crossing-481"


class Planted:
    """Kei, a reviewer who also annotates, and Hana, a manager who answers the same tasks."""

    def __init__(self) -> None:
        self.project = hotel(prompts=4, slug="hotel", held_out_share=0)
        self.hana = join(self.project, Role.MANAGER, name="Hana", email="hana@example.org")
        self.kei = join(self.project, Role.REVIEWER, name="Kei", email="kei@example.org")
        self.batches = {kind: batch_of(self.project, kind, overlap=2) for kind in Kind.values}
        self.answers = {kind: self.answer(kind, self.kei, f"{SECRET} {kind}") for kind in Kind.values}
        self.others = {kind: self.answer(kind, self.hana, f"fine {kind}") for kind in Kind.values}
        self.plant_versions()
        self.plant_reviews()
        self.plant_decisions()
        self.plant_tests()
        self.plant_checks()
        self.plant_remarks_and_drafts()
        self.plant_measures()
        prompt = self.project.prompts.first()
        self.candidate = CandidateFactory(prompt=prompt, text=f"{SECRET} candidate", origin=f"human:{self.kei.pk}")

    def payload(self, kind, held, text):
        shown = held.task.candidate_ids
        if kind == Kind.WRITING:
            return {"text": text}
        if kind == Kind.POSTEDITING:
            return {"candidate": shown[0], "text": text, "unchanged": False}
        if kind == Kind.SCORING:
            scores = {str(key): {"meaning": 5 - at, "register": 1} for at, key in enumerate(shown)}
            return {"scores": scores, "comment": text}
        return {
            "choice": "one",
            "chosen": shown[0],
            "shown": shown,
            "strength": 2,
            "reasons": [],
            "fixes": {str(shown[0]): text},
        }

    def answer(self, kind, person, text):
        held = claim_next(batch=self.batches[kind], annotator=person)
        return submit(assignment=held, payload=self.payload(kind, held, text), annotator=person).annotation

    def plant_versions(self):
        """An answer that was changed: the first version is kept."""
        batch = self.batches[Kind.WRITING]
        held = undo_last(annotator=self.kei, batch=batch)
        submit(assignment=held, payload={"text": f"{SECRET} second version"}, annotator=self.kei)

    def plant_reviews(self):
        """Hana corrects one of Kei's answers and sends one back; Kei replies, and corrects one of Hana's."""
        corrected = self.answers[Kind.POSTEDITING]
        payload = {**corrected.payload, "text": f"{SECRET} corrected"}
        review = correct(annotation=corrected, reviewer=self.hana, payload=payload, note=f"not {SECRET}")
        reply_to_review(review=review, author=self.kei, text=f"{SECRET} reply")
        send_back(annotation=self.answers[Kind.SCORING], reviewer=self.hana, note=f"not {SECRET}, again")
        other = self.others[Kind.POSTEDITING]
        payload = {**other.payload, "text": f"{SECRET} by the reviewer"}
        correct(annotation=other, reviewer=self.kei, payload=payload, note=f"{SECRET} note")
        taken_back = leave_out(annotation=self.answers[Kind.CHOOSING], reviewer=self.hana, reason=f"not {SECRET}")
        take_back(review=taken_back, actor=self.hana)

    def plant_decisions(self):
        """Hana decides a task for Kei's answer, Kei decides one, and one decision is taken back."""
        batch = batch_of(self.project, Kind.CHOOSING, overlap=3)
        people = [join(self.project, Role.ANNOTATOR) for _ in range(2)]
        shared = {}
        for number, person in enumerate([self.kei, *people]):
            held = claim_next(batch=batch, annotator=person)
            payload = self.payload(Kind.CHOOSING, held, f"{SECRET} fix" if person == self.kei else "fine")
            payload["chosen"] = payload["shown"][number % 2]
            payload["fixes"] = {str(payload["chosen"]): f"{SECRET} fix"} if person == self.kei else {}
            shared[person] = submit(assignment=held, payload=payload, annotator=person).annotation
        task, about = shared[self.kei].task, {"adjudicator": self.hana, "cause": "style"}
        note = f"not {SECRET}"
        adjudication.take_back(adjudication=adjudicate(task=task, **about, note=note), actor=self.hana)
        self.decision = adjudicate(task=task, **about, chosen=shared[self.kei].pk, note=note)
        for number, person in enumerate(people):
            held = claim_next(batch=batch, annotator=person)
            payload = {**self.payload(Kind.CHOOSING, held, ""), "fixes": {}}
            payload["chosen"] = payload["shown"][number]
            last = submit(assignment=held, payload=payload, annotator=person).annotation
        own = {**payload, "fixes": {str(payload["chosen"]): f"{SECRET} best"}}
        adjudicate(task=last.task, adjudicator=self.kei, cause="error", note=f"{SECRET} note", payload=own)

    def plant_tests(self):
        """A test of one of Kei's answers, which Hana wrote; and Kei takes a test."""
        item = NewItem(annotation=self.answers[Kind.CHOOSING], explanation="")
        self.test = create_qualification(
            project=self.project, name="Made of Kei's", kind=Kind.CHOOSING, items=[item], actor=self.hana
        )
        attempt = start_attempt(qualification=self.test, user=self.kei)
        answer = {**self.answers[Kind.CHOOSING].payload}
        answer_item(attempt=attempt, item=self.test.items.get(), payload=answer)

    def plant_checks(self):
        """Gold that Kei made, gold of Kei's decision that Hana explained, work re-queued, and an open proposal."""
        own = self.answers[Kind.SCORING]
        entered = self.payload(Kind.SCORING, own.assignment, f"{SECRET} comment")
        enter_gold(task=own.task, expected=entered, explanation=f"{SECRET} explanation", actor=self.kei)
        batch = self.decision.task.batch
        answer = known_answers(batch).get(task=self.decision.task)
        make_gold(batch=batch, annotations=[answer.pk], explanations={answer.pk: f"as {SECRET}"}, actor=self.hana)
        requeue(batch=batch, annotator=self.kei, reason="careless", actor=self.hana)
        about = {"project": self.project, "annotator": self.kei, "estimate": {"n": 10}}
        CheckProposal.objects.create(action="warn", measure="gold", threshold=0.5, **about)

    def plant_remarks_and_drafts(self):
        send_message(project=self.project, member=self.kei, text=f"{SECRET} message", author=self.kei)
        send_message(project=self.project, member=self.kei, text=f"You wrote {SECRET}", author=self.hana)
        batch = self.batches[Kind.WRITING]
        held = claim_next(batch=batch, annotator=self.kei)
        remark = add_remark(task=held.task, author=self.kei, kind="question", text=f"{SECRET} question")
        answer_remark(remark=remark, text=f"about {SECRET}", actor=self.hana)
        other = add_remark(task=held.task, author=self.hana, kind="question", text="And this?")
        answer_remark(remark=other, text=f"{SECRET} answer", actor=self.kei)
        skip(assignment=held, reason="other", comment=f"{SECRET} comment")
        self.held = claim_next(batch=batch, annotator=self.kei)
        save_draft(assignment=self.held, payload={"text": f"{SECRET} draft"})

    def plant_measures(self):
        """Hana pauses Kei, and excluded all of Kei's answers for a while: her reasons are about Kei."""
        membership = Membership.objects.get(project=self.project, user=self.kei)
        pause_member(membership=membership, reason=f"{SECRET}: ill until May", actor=self.hana)
        resume_member(membership=membership, actor=self.hana)
        reason = f"{SECRET} all day"
        made = exclude_person(project=self.project, annotator=self.kei, reason=reason, actor=self.hana)
        lift_exclusion(exclusion=made, actor=self.hana)

    def freeze(self, purpose="sft"):
        return freeze_dataset(project=self.project, purpose=purpose, actor=self.hana)


def tables_with(text: str) -> dict[str, int]:
    """{table: rows} of every table in which any column, as text, has it."""
    found = {}
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT count(*) FROM "{table}" AS row WHERE row::text LIKE %s', [f"%{text}%"])
            if count := cursor.fetchone()[0]:
                found[table] = count
    return found
