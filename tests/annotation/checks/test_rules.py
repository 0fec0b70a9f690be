"""Rules on checks: they fire on intervals, propose, and act only when a manager confirms."""

import pytest

from annotation.analyses.intervals import wilson
from annotation.checks.requeue import requeue
from annotation.checks.results import results_of
from annotation.checks.rules import confirm, dismiss, propose, set_rules
from annotation.core.errors import Conflict, InvalidInput
from annotation.dashboards.attention import waiting_for_words
from annotation.models import Assignment, CheckProposal, Event, Exclusion, Membership, Message, Role
from annotation.queue.progress import progress_of
from tests.annotation.checks.helpers import answer_all, batch_with, gold_in, labels_in, of_kind
from tests.annotation.helpers import hotel
from tests.factories import join

pytestmark = pytest.mark.django_db


@pytest.fixture
def site():
    """Twelve items of gold; one person gets all of them right, the other none."""
    project = hotel(prompts=40, slug="hotel", held_out_share=0)
    prompts = list(project.prompts.values_list("pk", flat=True))
    gold_in(project, 12)
    batch = batch_with(project, prompts, overlap=2, gold=30)
    good, bad = join(project, Role.ANNOTATOR), join(project, Role.ANNOTATOR)
    answer_all(batch, good)
    answer_all(batch, bad, best=1)
    return project, batch, good, bad, project.memberships.get(role=Role.MANAGER).user


def test_results_have_wilsons_interval_and_none_below_ten_answers(site):
    project, _batch, good, bad, _manager = site
    people = results_of(project).people
    assert (people[good.pk, "gold"].right, people[good.pk, "gold"].n) == (12, 12)
    found = people[bad.pk, "gold"].estimate
    assert (found.value, found.n) == (0.0, 12)
    assert (found.low, found.high) == wilson(0.0, 12)
    assert found.high == pytest.approx(0.2425, abs=1e-4)
    tally = people[bad.pk, "gold"]
    tally.n = 9
    assert tally.estimate is None
    assert tally.missing == 1


def test_a_rule_fires_only_where_the_whole_interval_is_below_it(site):
    project, _batch, _good, bad, manager = site
    set_rules(project=project, rules={"gold": {"warn": 24}}, actor=manager)
    assert propose(project) == 0  # 0 of 12, but the interval reaches 24.25 %
    set_rules(project=project, rules={"gold": {"warn": 25}}, actor=manager)
    assert propose(project) == 1
    assert propose(project) == 0  # it waits already
    proposal = CheckProposal.objects.get()
    assert (proposal.annotator, proposal.action, proposal.batch, proposal.estimate["n"]) == (bad, "warn", None, 12)
    assert not Message.objects.exists()
    assert Membership.objects.get(user=bad).paused_at is None
    assert waiting_for_words([project])[2] == {project.pk: 1}
    with pytest.raises(InvalidInput):
        set_rules(project=project, rules={"gold": {"warn": 0}}, actor=manager)


def test_a_dismissed_proposal_returns_only_with_ten_more_answers(site):
    project, _batch, _good, _bad, manager = site
    set_rules(project=project, rules={"gold": {"pause": 50}}, actor=manager)
    propose(project)
    proposal = CheckProposal.objects.get()
    dismiss(proposal=proposal, actor=manager)
    with pytest.raises(Conflict, match="decided already"):
        confirm(proposal=proposal, actor=manager, text="Please stop.")
    assert propose(project) == 0
    CheckProposal.objects.update(estimate={"n": 2})
    assert propose(project) == 1
    verbs = Event.objects.filter(verb__startswith="check.").order_by("pk").values_list("verb", flat=True)
    assert list(verbs) == ["check.proposed", "check.dismissed", "check.proposed"]


def test_a_confirmed_warning_and_pause_reach_the_person(site):
    project, _batch, _good, bad, manager = site
    set_rules(project=project, rules={"gold": {"pause": 50, "warn": 50}}, actor=manager)
    assert propose(project) == 2
    for action in ("warn", "pause"):
        confirm(proposal=CheckProposal.objects.get(action=action), actor=manager, text=f"About {action}")
    assert Message.objects.get(member=bad).text == "About warn"
    member = Membership.objects.get(user=bad)
    assert (member.paused_by, member.paused_reason) == (manager, "About pause")
    set_rules(project=project, rules={}, actor=manager)
    assert propose(project) == 0


def test_what_is_confirmed_without_a_word_is_not_done(site):
    project, _batch, _good, _bad, manager = site
    set_rules(project=project, rules={"gold": {"warn": 50}}, actor=manager)
    propose(project)
    with pytest.raises(InvalidInput):
        confirm(proposal=CheckProposal.objects.get(), actor=manager, text=" ")
    assert CheckProposal.objects.get().decided_at is None


def test_re_queueing_excludes_the_labels_and_opens_their_slots_for_others(site):
    project, batch, good, bad, manager = site
    set_rules(project=project, rules={"gold": {"requeue": 50}}, actor=manager)
    propose(project)
    proposal = CheckProposal.objects.get()
    assert proposal.batch == batch
    confirm(proposal=proposal, actor=manager, text="Against the gold")
    labels = labels_in(batch)
    assert Exclusion.objects.filter(annotator=bad, reason="Against the gold", lifted_at=None).count() == labels
    (progress,) = progress_of(type(batch).objects.filter(pk=batch.pk))
    assert progress.free == labels
    event = Event.objects.get(verb="batch.requeued")
    assert event.after == {"annotator": bad.pk, "answers": labels, "slots": labels, "reason": "Against the gold"}
    assert not answer_all(batch, bad)
    assert not answer_all(batch, good)
    third = join(project, Role.ANNOTATOR)
    tasks = {task.pk for task in answer_all(batch, third)}
    assert len(tasks) == labels
    assert not tasks & of_kind(batch, "gold")
    with pytest.raises(Conflict, match="no labels"):
        requeue(batch=batch, annotator=bad, reason="Again", actor=manager)
    assert Assignment.objects.filter(batch=batch, state="free").count() == 0
    assert results_of(project).people[bad.pk, "gold"].n == 12  # the evidence stays


def test_the_page_shows_results_and_a_manager_decides_on_it(sign_in, site):
    project, batch, good, bad, manager = site
    client = sign_in(manager)
    page = client.post("/projects/hotel/checks/", {"gold-warn": "50", "gold-pause": "101"})
    assert page.status_code == 422
    page = client.post("/projects/hotel/checks/", {"gold-warn": "50"}, follow=True).content.decode()
    assert "0 % to 24 %, 0 of 12" in page.replace("\xa0", " ").replace("0%", "0 %").replace("24%", "24 %")
    assert str(bad) in page
    assert "All of the interval is below" in page
    proposal = CheckProposal.objects.get()
    address = f"/proposals/{proposal.pk}/decide/"
    refused = client.post(address, {"decision": "confirm", "text": ""})
    assert refused.status_code == 422
    client.post(address, {"decision": "confirm", "text": "Read rule 3, please."})
    assert Message.objects.get(member=bad).text == "Read rule 3, please."
    again = client.post(address, {"decision": "dismiss"}, follow=True).content.decode()
    assert "This was decided already." in again
    assert "check people and are no labels" in client.get(f"/batches/{batch.pk}/").content.decode()
    assert "check people" in client.get("/projects/hotel/").content.decode()
    task = batch.tasks.filter(pk__in=of_kind(batch, "gold")).first()
    assert "Gold" in client.get(f"/tasks/{task.pk}/").content.decode()
    reviewer = sign_in(join(project, Role.REVIEWER))
    page = reviewer.get("/projects/hotel/checks/").content.decode()
    assert str(good) in page
    assert "朝食" not in page
    assert 'class="badge">Gold' not in reviewer.get(f"/batches/{batch.pk}/?q=%23{task.position}").content.decode()


def test_a_manager_makes_gold_of_answers_and_enters_it_and_retires_it(sign_in, site):
    project, batch, _good, _bad, manager = site
    client = sign_in(manager)
    assert "Room requests" in client.get("/projects/hotel/checks/gold/new/").content.decode()
    address = f"/projects/hotel/checks/gold/new/?batch={batch.pk}"
    assert "known to be right yet" in client.get(address).content.decode()
    Membership.objects.filter(user=_good).update(role=Role.REVIEWER)
    page = client.get(address)
    answer = page.context["rows"][0]["annotation"]
    assert client.post(address, {}).status_code == 422
    client.post(address, {f"item-{answer.pk}": "on", f"why-{answer.pk}": "Polite."})
    gold = project.gold.get(source=f"annotation:{answer.pk}")
    assert (gold.explanation, gold.prompt_id, gold.created_by) == ("Polite.", answer.task.prompt_id, manager)
    other = batch.tasks.exclude(pk__in=of_kind(batch, "gold")).exclude(pk=answer.task_id).first()
    entering = f"/tasks/{other.pk}/gold/"
    assert "Enter the right answer" in client.get(entering).content.decode()
    assert client.post(entering, {"strength": "2"}).status_code == 422
    client.post(entering, {"choice": "a", "strength": "2", "explanation": "So."}, headers={"HX-Request": "true"})
    entered = project.gold.get(prompt=other.prompt)
    assert (entered.explanation, entered.source) == ("So.", "")
    client.post(f"/gold/{entered.pk}/retire/")
    entered.refresh_from_db()
    assert entered.retired_at is not None


def test_shares_are_set_on_the_page_that_opens_a_batch_and_the_one_that_edits_it(sign_in, site):
    project, _batch, _good, _bad, manager = site
    client = sign_in(manager)
    form = {"name": "Next", "kind": "choosing", "overlap": "1", "priority": "0", "which": "all", "seed": "7"}
    form |= {"repeats": "5", "twins": "5"}
    preview = client.post("/projects/hotel/batches/new/", {**form, "action": "preview"}).content.decode()
    assert "3 repeated tasks." in preview
    client.post("/projects/hotel/batches/new/", form)
    opened = project.batches.get(name="Next")
    assert (len(of_kind(opened, "repeat")), len(of_kind(opened, "twin"))) == (3, 3)
    change = {"name": "Next", "priority": "0", "repeats": "10", "twins": "5"}
    client.post(f"/batches/{opened.pk}/change/", change)
    assert (len(of_kind(opened, "repeat")), len(of_kind(opened, "twin"))) == (6, 3)
    assert client.post(f"/batches/{opened.pk}/change/", {**change, "gold": "99"}).status_code == 422
