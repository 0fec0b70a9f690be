"""Reviewers and authors at the same moment: one verdict an answer, and none on an answer that its author opened."""

import contextlib

import pytest

from annotation.answers.reopening import reopen_submission
from annotation.answers.submission import submit
from annotation.core.errors import Conflict
from annotation.models import (
    Adjudication,
    AdjudicationClaim,
    Assignment,
    Event,
    Exclusion,
    Kind,
    Review,
    ReviewClaim,
    Role,
)
from annotation.queue.claims import claim_next as claim_task_of
from annotation.reviewing.adjudication import adjudicate
from annotation.reviewing.disagreements import claim_next as claim_divided
from annotation.reviewing.queue import QueueFilter, claim_next
from annotation.reviewing.verdicts import accept, leave_out
from tests.annotation.answers.test_withdrawal_race import in_threads
from tests.annotation.helpers import batch_of, hotel
from tests.annotation.reviewing.test_review import write
from tests.factories import join

pytestmark = pytest.mark.django_db(transaction=True)


def test_one_verdict_an_answer_and_one_answer_a_reviewer():
    project = hotel(prompts=4)
    batch, kei = batch_of(project, Kind.WRITING, requires_review=True), join(project, Role.ANNOTATOR)
    answers = [write(batch, kei, f"answer {n}") for n in range(4)]
    reviewers = [join(project, Role.REVIEWER) for _ in range(3)]

    def claim(person):
        claim_next(project=project, reviewer=person, only=QueueFilter())

    in_threads(*[lambda person=person: claim(person) for person in reviewers * 2])
    claims = ReviewClaim.objects.values_list("annotation", "reviewer")
    assert (
        len(claims) == len({answer for answer, _person in claims}) == len({person for _answer, person in claims}) == 3
    )
    refused = []

    def decide(verdict, **options):
        try:
            verdict(**options)
        except Conflict as conflict:
            refused.append(str(conflict))

    for answer in answers:
        in_threads(
            lambda answer=answer: decide(accept, annotation=answer, reviewer=reviewers[0]),
            lambda answer=answer: decide(leave_out, annotation=answer, reviewer=reviewers[1], reason="Spam"),
            lambda answer=answer: decide(leave_out, annotation=answer, reviewer=reviewers[1], reason="Spam"),
            lambda answer=answer: reopened(answer, kei),
        )
        review = Review.objects.filter(annotation=answer).first()
        state = Assignment.objects.get(pk=answer.assignment_id).state
        assert (review is None) == (state == "held"), "either it was reviewed, or its author has it"
        if state == "held":
            break
    made = Review.objects.filter(verdict="left_out").count()
    assert made == Exclusion.objects.count() == Event.objects.filter(verb="review.left_out").count()
    assert refused


def reopened(answer, author):
    with contextlib.suppress(Conflict):
        reopen_submission(annotation=answer, actor=author)


def test_one_decision_a_task_and_none_on_a_task_that_an_author_opened():
    project = hotel(prompts=3, slug="hotel", held_out_share=0)
    batch = batch_of(project, Kind.CHOOSING, overlap=2)
    people = [join(project, Role.ANNOTATOR) for _ in range(2)]
    answers = {}
    for side, person in enumerate(people):
        for task in batch.tasks.order_by("position"):
            held = claim_task_of(batch=batch, annotator=person)
            shown = held.task.candidate_ids
            payload = {"choice": "one", "chosen": shown[side], "shown": shown, "strength": 1, "reasons": []}
            answers[side, task.pk] = submit(assignment=held, payload=payload, annotator=person).annotation
    reviewers = [join(project, Role.REVIEWER) for _ in range(3)]
    in_threads(*[lambda who=who: claim_divided(project=project, reviewer=who) for who in reviewers * 2])
    claims = AdjudicationClaim.objects.values_list("task", "reviewer")
    assert len(claims) == len({task for task, _who in claims}) == len({who for _task, who in claims}) == 3
    refused = []

    def decide(task, side, who):
        try:
            adjudicate(task=task, adjudicator=who, chosen=answers[side, task.pk].pk, cause="error")
        except Conflict as conflict:
            refused.append(str(conflict))

    for task in batch.tasks.order_by("position"):
        own = answers[0, task.pk]
        in_threads(
            lambda task=task: decide(task, 0, reviewers[0]),
            lambda task=task: decide(task, 1, reviewers[1]),
            lambda task=task: decide(task, 0, reviewers[0]),
            lambda own=own: reopened(own, people[0]),
        )
        decided = Adjudication.objects.filter(task=task).count()
        open_again = Assignment.objects.get(pk=own.assignment_id).state == "held"
        assert (decided, open_again) in {(1, False), (0, True)}, "either it is decided, or an author has it"
        if open_again:
            break
    assert Adjudication.objects.count() == Event.objects.filter(verb="task.adjudicated").count()
    assert refused
