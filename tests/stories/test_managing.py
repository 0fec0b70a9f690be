"""A manager and three annotators (careful, fast, random) over 120 tasks: what the dashboard says is what happened.

Forecast and cost on a planted calendar are in tests/annotation/dashboards/test_dashboard_page.py, a withdrawal up to
its receipt in test_withdrawal.py.
"""

import random
from datetime import timedelta

import pytest
from django.db.models import F
from django.urls import reverse
from lxml import html

from annotation.analyses.run import analyse
from annotation.answers.exclusions import exclude_person, withdraw_prompt
from annotation.answers.reopening import reopen_submission
from annotation.answers.submission import skip, submit, undo_last
from annotation.answers.worktime import Spent
from annotation.consent.withdrawals import withdraw
from annotation.core import counts
from annotation.dashboards.collection import collection_of
from annotation.datasets.freeze import freeze_dataset
from annotation.members.memberships import remove_member
from annotation.members.pausing import pause_member
from annotation.models import Annotation, Assignment, Kind, Membership, Role, TimeSpent
from annotation.queue.batch_changes import change_batch
from annotation.queue.batches import close_batch
from annotation.queue.claims import claim_next
from annotation.queue.manual_assignment import assign, release_all
from annotation.reviewing import verdicts
from tests.annotation.helpers import ONE, batch_of, hotel
from tests.factories import join

pytestmark = [pytest.mark.django_db, pytest.mark.story]
TASKS = 120


class Collection:
    """Each answers every task: the careful one prefers the first origin in 45 s, the fast one likewise in 4 s, the
    random one the left text whatever it is, in 40 s."""

    def __init__(self) -> None:
        self.draw = random.Random(7)
        self.project = hotel(prompts=TASKS + 10, slug="hotel", name="Hotel replies", held_out_share=0)
        self.mio = join(self.project, Role.MANAGER, name="Mio")
        self.rin = join(self.project, Role.REVIEWER, name="Rin")
        self.careful, self.fast, self.random = (
            join(self.project, Role.ANNOTATOR, name=name, email=f"{name.lower()}@example.org")
            for name in ("Careful", "Fast", "Random")
        )
        self.batch = batch_of(self.project, Kind.CHOOSING, overlap=3)
        for person, seconds in ((self.careful, 45), (self.fast, 4), (self.random, 40)):
            for _ in range(TASKS):
                self.answer(person, seconds)

    def answer(self, person, seconds):
        held = claim_next(batch=self.batch, annotator=person)
        Assignment.objects.filter(pk=held.pk).update(claimed_at=F("claimed_at") - timedelta(minutes=5))
        origins = dict(held.task.prompt.candidates.values_list("pk", "origin"))
        shown = sorted(origins, key=lambda _: self.draw.random())
        better = shown[0] if person == self.random else next(key for key in shown if origins[key] == ONE)
        payload = {"choice": "one", "chosen": better, "shown": shown, "strength": 2, "reasons": []}
        active = seconds * self.draw.uniform(0.7, 1.4)
        spent = Spent(visit=f"visit-{held.pk:05}", active=active)
        answer = submit(assignment=held, payload=payload, spent=spent, annotator=person).annotation
        # The clock of the site has not moved; on that of the story it has.
        Annotation.objects.filter(pk=answer.pk).update(active_seconds=active)
        TimeSpent.objects.filter(assignment=held).update(active_seconds=active)
        return answer

    def check(self):
        """The counts are those of a recount, table by table, and what the dashboard sums is in the rows."""
        assert counts.differences(self.project.pk) == []
        found = collection_of(self.project)
        first = Annotation.objects.filter(task__batch__project=self.project, version=1)
        by_person = {person.user.pk: person.in_all.answered for person in found.people}
        assert sum(by_person.values()) == first.count()
        for person in (self.careful, self.fast, self.random):
            assert by_person[person.pk] == first.filter(annotator=person).count()
        return found


@pytest.fixture
def story():
    return Collection()


def test_three_annotators_and_everything_that_a_manager_does(story, sign_in):
    assert story.check().done == 3 * TASKS
    analyse(story.project)
    client = sign_in(story.mio)

    # The page names the fast and the random one, with why.
    page = html.fromstring(client.get(reverse("dashboard", args=["hotel"])).content)
    needing = {row.xpath(".//bdi")[0].text: row.text_content() for row in page.xpath("//ul[@class='needs']/li")}
    assert {"Fast", "Random"} <= set(needing)
    assert "many very fast answers" in needing["Fast"]
    assert "follows the side" in needing["Random"]
    assert "Pause…" in needing["Random"]

    # Every kind of action, and a recount after each.
    undo_last(annotator=story.careful, batch=story.batch)
    story.check()
    held = claim_next(batch=story.batch, annotator=story.careful)
    submit(assignment=held, payload=held.annotations.get().payload, annotator=story.careful)
    story.check()
    answer = Annotation.objects.filter(annotator=story.careful, is_current=True).earliest("pk")
    reopen_submission(annotation=answer, actor=story.careful)
    story.check()
    release_all(project=story.project, annotator=story.careful, actor=story.mio)
    story.check()
    skip(assignment=claim_next(batch=story.batch, annotator=story.careful), reason="unclear")
    story.check()
    free = Assignment.objects.filter(batch=story.batch, state="free", task__assignments__annotator=story.careful)
    target = free.exclude(task__assignments__annotator=story.mio).first().task
    assign(task=target, annotator=story.mio, actor=story.mio)
    story.check()
    withdraw_prompt(prompt=answer.task.prompt, reason="Two texts in one", actor=story.mio)
    story.check()
    exclude_person(project=story.project, annotator=story.random, reason="Always left", actor=story.mio)
    story.check()
    pause_member(membership=Membership.objects.get(user=story.fast), reason="Please slow down", actor=story.mio)
    assert claim_next(batch=story.batch, annotator=story.fast) is None
    remove_member(membership=Membership.objects.get(user=story.random), actor=story.mio)
    story.check()

    # Review changes the dataset: with review required, only what was accepted or corrected counts.
    before = freeze_dataset(project=story.project, purpose="dpo", actor=story.mio)
    change_batch(batch=story.batch, name="Pairs", priority=0, qualification=None, requires_review=True, actor=story.mio)
    own = Annotation.objects.filter(annotator=story.careful, is_current=True, assignment__state="done").order_by("pk")
    accepted, corrected = [row for row in own if row.task_id != answer.task_id][:2]
    verdicts.accept(annotation=accepted, reviewer=story.rin)
    other = next(key for key in corrected.payload["shown"] if key != corrected.payload["chosen"])
    payload = {**corrected.payload, "chosen": other}
    verdicts.correct(annotation=corrected, reviewer=story.rin, payload=payload, note="The other is more polite")
    story.check()
    after = freeze_dataset(project=story.project, purpose="dpo", actor=story.mio)
    assert after.train_rows == 2 < before.train_rows

    # Who withdraws consent is in no later version; the work stays counted.
    withdraw(project=story.project, person=story.careful, mode="exclude", actor=story.careful)
    found = story.check()
    assert found.spent == 0
    close_batch(batch=story.batch, actor=story.mio)
    assert story.check().total == 0
    assert "No batch is open." in client.get(reverse("dashboard", args=["hotel"])).content.decode()
