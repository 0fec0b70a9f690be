"""Reviewers and authors at the same moment: one verdict an answer, and none on an answer that its author opened."""

import contextlib

import pytest

from annotation.answers.reopening import reopen_submission
from annotation.core.errors import Conflict
from annotation.models import Assignment, Event, Exclusion, Kind, Review, ReviewClaim, Role
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
