"""Tests before a batch: made by Mio, a manager; taken by Hana and Ken; blind until the end; no part of the data."""

import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from annotation.answers.submission import submit
from annotation.core.errors import Conflict, InvalidInput
from annotation.kinds import KINDS
from annotation.models import (
    Annotation,
    Assignment,
    Candidate,
    Event,
    Kind,
    Qualification,
    QualificationAttempt,
    Role,
)
from annotation.projects.aspects import retire_aspect
from annotation.qualification.attempts import (
    answer_item,
    grant_attempt,
    items_in_order,
    next_item,
    passed,
    shown_item,
    standing,
    start_attempt,
)
from annotation.qualification.results import item_rates, takers
from annotation.qualification.tests import (
    NewItem,
    create_qualification,
    qualification_for,
    retire_qualification,
)
from annotation.queue.batch_changes import change_batch
from annotation.queue.batches import close_batch
from annotation.queue.claims import claim_next
from annotation.queue.progress import project_progress, work_for
from tests.annotation.helpers import batch_of, hotel, many
from tests.factories import UserFactory, join

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}
FAR = 81_000_000
WHY = "The guest is addressed with respect in it."


def answered(batch, person, payload_of):
    """All tasks of the batch, answered by this person."""
    rows = []
    while (assignment := claim_next(batch=batch, annotator=person)) is not None:
        rows.append(submit(assignment=assignment, payload=payload_of(assignment.task)).annotation)
    return rows


def first_is_better(task):
    shown = list(task.candidate_ids)
    return {"choice": "one", "chosen": shown[0], "shown": shown, "strength": 2, "reasons": ["Meaning"]}


def scores_of(task, meaning=4, register=2):
    return {"scores": {str(task.candidate_ids[0]): {"meaning": meaning, "register": register}}, "comment": ""}


@pytest.fixture
def project():
    return hotel(prompts=4)


@pytest.fixture
def mio(project):
    return join(project, Role.MANAGER, name="Mio")


@pytest.fixture
def hana(project):
    return join(project, Role.ANNOTATOR, name="Hana")


@pytest.fixture
def choosing_test(project, mio):
    return make_test(project, mio)


def make_test(project, mio, kind=Kind.CHOOSING, **fields):
    gold = batch_of(project, kind)
    answers = answered(gold, mio, first_is_better if kind == Kind.CHOOSING else scores_of)
    close_batch(batch=gold, actor=mio)
    items = [NewItem(annotation=answer, explanation=WHY) for answer in answers]
    return create_qualification(project=project, name="Politeness", kind=kind, items=items, actor=mio, **fields)


def form_for(shown, payload):
    """What a browser would send for this answer."""
    letters = {side.candidate: side.letter for side in shown.sides}
    if "choice" in payload:
        return {"choice": letters[payload["chosen"]] if payload["choice"] == "one" else payload["choice"]}
    return {
        f"score-{letters[int(candidate)]}-{key}": str(score)
        for candidate, scores in payload["scores"].items()
        for key, score in scores.items()
    }


def take(client, test, user, wrong=0, headers=None):
    """The attempt that is running, to its end, through the pages: the first `wrong` items get another answer."""
    html, response = "", None
    while (attempt := standing(user, test).running) is not None:
        attempt.qualification = test
        item = next_item(attempt, items_in_order(attempt))
        page = client.get(reverse("qualification_item", args=[test.pk]))
        html = page.content.decode()
        action = reverse("qualification_answer", args=[test.pk, attempt.number, item.pk])
        assert f'action="{action}"' in html
        shown = shown_item(attempt, item)
        sent = form_for(shown, item.expected)
        if wrong:
            wrong -= 1
            sent = {"choice": "both_bad"} if test.kind == Kind.CHOOSING else dict.fromkeys(sent, "1")
        response = client.post(action, sent, headers=headers or {})
    return response


# ---- making ----


def test_a_test_is_made_of_answers_on_the_page(sign_in, project, mio, hana):
    gold = batch_of(project, Kind.SCORING)
    mine = answered(gold, mio, scores_of)
    client = sign_in(mio)
    assert "No tests yet" in client.get(reverse("settings_tests", args=[project.slug])).content.decode()
    address = reverse("settings_tests_new", args=[project.slug])
    assert f"?batch={gold.pk}" in client.get(address).content.decode()
    page = client.get(f"{address}?batch={gold.pk}").content.decode()
    assert page.count("answered by <bdi>Mio</bdi>") == len(mine)
    data = {
        "name": "Scores",
        "bar": "75",
        "tolerance": "1",
        "attempts": "2",
        f"item-{mine[0].pk}": "on",
        f"why-{mine[0].pk}": WHY,
    }
    refused = client.post(f"{address}?batch={gold.pk}", data | {"bar": "0"})
    assert refused.status_code == 422
    assert WHY in refused.content.decode(), "what was typed is kept"
    nothing = client.post(f"{address}?batch={gold.pk}", {name: data[name] for name in data if "-" not in name})
    assert "Choose at least one answer" in nothing.content.decode()
    answer = client.post(f"{address}?batch={gold.pk}", data)
    test = Qualification.objects.get()
    assert answer.url == reverse("settings_tests_results", args=[project.slug, test.pk])
    assert (test.kind, test.pass_share, test.tolerance, test.items.get().explanation) == (Kind.SCORING, 0.75, 1, WHY)
    assert "no attempts yet" in client.get(answer.url).content.decode()
    assert Event.objects.filter(verb="qualification.created", actor=mio, object_id=test.pk).exists()


def test_annotators_answers_make_no_test(project, mio, hana):
    batch = batch_of(project)
    theirs = answered(batch, hana, first_is_better)
    with pytest.raises(InvalidInput, match="managers or reviewers"):
        create_qualification(
            project=project, name="X", kind=Kind.CHOOSING, items=[NewItem(annotation=theirs[0])], actor=mio
        )
    assert not Qualification.objects.exists()


def test_each_task_is_in_it_once_and_writing_cannot_be_tested(project, mio):
    batch = batch_of(project, overlap=2)
    rin = join(project, Role.REVIEWER, name="Rin")
    both = [answered(batch, mio, first_is_better)[0], answered(batch, rin, first_is_better)[0]]
    items = [NewItem(annotation=answer) for answer in both]
    with pytest.raises(InvalidInput, match="for the same task"):
        create_qualification(project=project, name="X", kind=Kind.CHOOSING, items=items, actor=mio)
    with pytest.raises(InvalidInput, match="Only scoring and choosing"):
        create_qualification(project=project, name="X", kind=Kind.WRITING, items=items[:1], actor=mio)


def test_what_changes_later_leaves_the_test_as_it_is(project, mio, choosing_test):
    before = list(choosing_test.items.values_list("expected", flat=True))
    Annotation.objects.update(payload={"choice": "tie", "chosen": None, "shown": [], "strength": None, "reasons": []})
    assert list(choosing_test.items.values_list("expected", flat=True)) == before


# ---- right and wrong ----

ONE = {"choice": "one", "chosen": 7, "shown": [7, 8], "strength": 2, "reasons": []}
RANKED = {"choice": "ranking", "ranking": [[7, 8], [9]], "shown": [7, 8, 9], "chosen": None}


@pytest.mark.parametrize(
    ("expected", "given", "right"),
    [
        (ONE, ONE | {"strength": None, "reasons": ["Meaning"], "shown": [8, 7]}, True),
        (ONE, ONE | {"chosen": 8}, False),
        (ONE, ONE | {"choice": "tie", "chosen": None}, False),
        (ONE | {"choice": "tie", "chosen": None}, ONE | {"choice": "tie", "chosen": None}, True),
        (ONE | {"choice": "both_bad", "chosen": None}, ONE | {"choice": "tie", "chosen": None}, False),
        (RANKED, RANKED | {"ranking": [[8, 7], [9]]}, True),
        (RANKED, RANKED | {"ranking": [[7], [8], [9]]}, False),
        (RANKED, RANKED | {"choice": "both_bad", "ranking": []}, False),
    ],
)
def test_a_choice_is_right_when_the_verdict_is_the_same(expected, given, right):
    assert KINDS[Kind.CHOOSING].is_right(expected, given, tolerance=1) is right


@pytest.mark.parametrize(
    ("given", "tolerance", "right"),
    [
        ({"meaning": 4, "register": 2}, 0, True),
        ({"meaning": 5, "register": 1}, 1, True),
        ({"meaning": 5, "register": 2}, 0, False),
        ({"meaning": 4, "register": 4}, 1, False),
        ({"meaning": 4}, 8, False),
    ],
)
def test_scores_are_right_when_each_aspect_is_within_the_tolerance(given, tolerance, right):
    expected = {"scores": {"7": {"meaning": 4, "register": 2}}}
    assert KINDS[Kind.SCORING].is_right(expected, {"scores": {"7": given}}, tolerance=tolerance) is right


# ---- taking ----


@pytest.mark.parametrize("kind", [Kind.CHOOSING, Kind.SCORING])
@pytest.mark.parametrize("headers", [{}, HTMX], ids=["plain", "htmx"])
def test_from_the_batch_through_the_test_to_the_work(kind, headers, sign_in, project, mio, hana):
    test = make_test(project, mio, kind)
    batch = batch_of(project, kind, qualification=test)
    client = sign_in(hana)
    work = client.get(reverse("work", args=[batch.pk]))
    assert work.url == reverse("qualification", args=[test.pk])
    page = client.get(work.url).content.decode()
    assert "A test is waiting" in page
    assert "You have 2 attempts left." in page
    assert batch.name in page
    assert not claim_next(batch=batch, annotator=hana)
    assert client.post(reverse("qualification_start", args=[test.pk])).url == reverse(
        "qualification_item", args=[test.pk]
    )
    end = take(client, test, hana, headers=headers)
    assert (end.headers.get("HX-Redirect") or end.url) == reverse("qualification", args=[test.pk])
    page = client.get(reverse("qualification", args=[test.pk])).content.decode()
    assert "You have passed the test" in page
    assert reverse("work", args=[batch.pk]) in page
    assert passed(hana, test)
    assert client.get(reverse("work", args=[batch.pk])).status_code == 200
    assert claim_next(batch=batch, annotator=hana) is not None


def test_nothing_of_what_is_expected_is_seen_before_the_end(sign_in, project, mio, hana, choosing_test):
    # Ids far from all others, so that finding one in the page means something.
    for candidate in Candidate.objects.all():
        Candidate.objects.filter(pk=candidate.pk).update(id=candidate.pk + FAR)
    for item in choosing_test.items.all():
        item.candidate_ids = [pk + FAR for pk in item.candidate_ids]
        item.expected |= {"chosen": item.expected["chosen"] + FAR, "shown": item.candidate_ids}
        item.save()
    test, client = choosing_test, sign_in(hana)
    start_attempt(qualification=test, user=hana)
    seen = [client.get(reverse("qualification", args=[test.pk]))]
    item = client.get(reverse("qualification_item", args=[test.pk]))
    asked = items_in_order(standing(hana, test).running)
    action = reverse("qualification_answer", args=[test.pk, 1, asked[0].pk])
    seen += [item, client.post(action, {}, headers=HTMX), client.post(action, {"choice": "tie"}, headers=HTMX)]
    for response in seen:
        page = response.content.decode()
        assert WHY not in page
        assert "expected" not in page
        assert "Undo" not in page
        assert "Skip…" not in page
        assert "data-draft" not in page
        for candidate in asked[0].candidate_ids:
            assert not re.search(rf"\b{candidate}\b", re.sub(r'"now": \d+|csrfmiddlewaretoken[^>]*>', "", page)), (
                candidate
            )
    assert seen[2].status_code == 422


def test_a_failed_test_may_be_taken_again_and_explains_nothing(sign_in, project, mio, hana, choosing_test):
    test, client = choosing_test, sign_in(hana)
    start_attempt(qualification=test, user=hana)
    take(client, test, hana, wrong=2)
    page = client.get(reverse("qualification", args=[test.pk])).content.decode()
    assert "Test not passed" in page
    assert "2 of 4 answers were correct" in page
    assert "50 %" in page
    assert WHY not in page, "the same items are asked again"
    assert "Expected" not in page
    assert "Both bad" not in page
    assert "You have 1 attempt left." in page
    client.post(reverse("qualification_start", args=[test.pk]))
    running = client.get(reverse("qualification", args=[test.pk])).content.decode()
    assert WHY not in running, "not while the same items are being asked"
    first, second = QualificationAttempt.objects.order_by("number")
    assert {item.pk for item in items_in_order(first)} == {item.pk for item in items_in_order(second)}
    take(client, test, hana)
    assert passed(hana, test)


@pytest.mark.parametrize("wrong", [0, 1, 2])
def test_whoever_passed_sees_what_was_wrong(sign_in, project, mio, hana, wrong):
    test, client = make_test(project, mio, pass_share=0.5), sign_in(hana)
    client.post(reverse("qualification_start", args=[test.pk]))
    take(client, test, hana, wrong=wrong)
    page = client.get(reverse("qualification", args=[test.pk])).content.decode()
    assert "You have passed the test" in page
    assert page.count(WHY) == page.count("Both bad") == wrong


def test_an_expected_verdict_is_shown_without_the_strength_that_is_not_judged(sign_in, project, mio, hana):
    test = make_test(project, mio, pass_share=0.5)
    attempt = start_attempt(qualification=test, user=hana)
    for number, item in enumerate(items_in_order(attempt)):
        one, other = item.expected["shown"]
        answer = {**item.expected, "chosen": one if number else other, "strength": 1}
        answer_item(attempt=attempt, item=item, payload=answer)
    page = sign_in(hana).get(reverse("qualification", args=[test.pk])).content.decode()
    assert "1 wrong answer" in page
    assert page.count("Better") == 2
    assert "Clearly" not in page
    assert "Slightly" not in page


@pytest.mark.parametrize("wrong", [1, 2, 3, 4])
def test_a_failed_test_shows_no_expected_answer_even_without_attempts(sign_in, project, mio, hana, wrong):
    """A manager may grant another attempt, with the same items."""
    test, client = make_test(project, mio, attempts=1, pass_share=1.0), sign_in(hana)
    client.post(reverse("qualification_start", args=[test.pk]))
    take(client, test, hana, wrong=wrong)
    page = client.get(reverse("qualification", args=[test.pk])).content.decode()
    assert f"{4 - wrong} of 4 answers were correct" in page
    assert WHY not in page
    assert "Expected" not in page
    assert "once you have passed" in page


def test_the_order_is_another_in_another_attempt(project, mio, hana):
    test = make_test(hotel_with(project, 6), mio)
    orders = {
        number: [item.pk for item in items_in_order(QualificationAttempt(qualification=test, user=hana, number=number))]
        for number in range(1, 6)
    }
    assert len({tuple(order) for order in orders.values()}) > 2


def hotel_with(project, more):
    many(project, more)
    return project


def test_no_attempt_is_left_until_a_manager_grants_one(sign_in, project, mio, hana):
    test = make_test(project, mio, attempts=1)
    client = sign_in(hana)
    client.post(reverse("qualification_start", args=[test.pk]))
    take(client, test, hana, wrong=4)
    refused = client.post(reverse("qualification_start", args=[test.pk]), follow=True).content.decode()
    assert "a manager can grant you another" in refused
    grant = reverse("settings_tests_grant", args=[project.slug, test.pk])
    assert client.post(grant, {"user": hana.pk}).status_code == 404, "not by themselves"
    client = sign_in(mio)
    results = client.get(reverse("settings_tests_results", args=[project.slug, test.pk])).content.decode()
    assert "Grant another attempt" in results
    for said in ("Hana has one more attempt", "Hana has an attempt left already"):
        assert said in client.post(grant, {"user": hana.pk}, follow=True).content.decode()
    assert standing(hana, test).left == 1
    start_attempt(qualification=test, user=hana)
    take(sign_in(hana), test, hana)
    assert passed(hana, test)
    with pytest.raises(Conflict, match="passed already"):
        grant_attempt(qualification=test, user=hana, actor=mio)
    with pytest.raises(Conflict, match="passed this test already"):
        start_attempt(qualification=test, user=hana)


def test_an_answer_stays_whatever_tabs_and_the_back_button_send(sign_in, project, mio, hana, choosing_test):
    test, client = choosing_test, sign_in(hana)
    attempt = start_attempt(qualification=test, user=hana)
    assert start_attempt(qualification=test, user=hana).pk == attempt.pk, "two tabs begin one attempt"
    item = items_in_order(attempt)[0]
    action = reverse("qualification_answer", args=[test.pk, 1, item.pk])
    assert client.post(action, {"choice": "tie"}).url == reverse("qualification_item", args=[test.pk])
    again = client.post(action, {"choice": "both_bad"}, follow=True)
    assert "your answer was kept" in again.content.decode()
    empty = client.post(action, {}, headers=HTMX)
    assert empty.status_code == 200, "no fault is found with a page that is out of date"
    attempt.refresh_from_db()
    assert attempt.answers[str(item.pk)]["choice"] == "tie"
    take(client, test, hana)
    late = client.post(action, {"choice": "a"})
    assert late.url == reverse("qualification", args=[test.pk])
    assert QualificationAttempt.objects.get().answers[str(item.pk)]["choice"] == "tie"
    assert client.get(reverse("qualification_item", args=[test.pk])).url == reverse("qualification", args=[test.pk])


def test_answering_again_changes_nothing(project, mio, hana, choosing_test):
    attempt = start_attempt(qualification=choosing_test, user=hana)
    item = items_in_order(attempt)[0]
    tie = {"choice": "tie", "chosen": None}
    assert answer_item(attempt=attempt, item=item, payload=tie)
    assert not answer_item(attempt=attempt, item=item, payload=tie | {"choice": "both_bad"})
    assert attempt.answers == {str(item.pk): tie}


def test_items_of_other_tests_and_attempts_of_others_are_not_there(sign_in, project, mio, hana, choosing_test):
    ken = join(project, Role.ANNOTATOR, name="Ken")
    attempt = start_attempt(qualification=choosing_test, user=hana)
    item = items_in_order(attempt)[0]
    client = sign_in(ken)
    for number, pk in ((1, item.pk), (1, 10**9)):
        address = reverse("qualification_answer", args=[choosing_test.pk, number, pk])
        assert client.post(address, {"choice": "tie"}).status_code == 404
    attempt.refresh_from_db()
    assert attempt.answers == {}


def test_strangers_get_404_and_annotators_no_results(sign_in, project, mio, hana, choosing_test):
    pk = choosing_test.pk
    mine = [reverse(name, args=[pk]) for name in ("qualification", "qualification_item")]
    managed = [
        reverse("settings_tests", args=[project.slug]),
        reverse("settings_tests_new", args=[project.slug]),
        reverse("settings_tests_results", args=[project.slug, pk]),
    ]
    client = sign_in(UserFactory())
    assert {client.get(address).status_code for address in [*mine, *managed]} == {404}
    assert client.post(reverse("qualification_start", args=[pk])).status_code == 404
    client = sign_in(hana)
    assert {client.get(address).status_code for address in managed} == {404}
    assert client.post(reverse("settings_tests_retire", args=[project.slug, pk])).status_code == 404
    assert qualification_for(hana, pk) == choosing_test
    other = hotel(prompts=1)
    boss = join(other, Role.MANAGER)
    assert sign_in(boss).get(reverse("settings_tests_results", args=[other.slug, pk])).status_code == 404


# ---- what managers see ----


def test_rates_come_from_first_tries_and_name_a_bad_item(sign_in, project, mio, choosing_test):
    test = choosing_test
    bad = test.items.first()
    people = [join(project, Role.ANNOTATOR, name=name) for name in ("Hana", "Ken", "Rin")]
    for person in people:
        attempt = start_attempt(qualification=test, user=person)
        for item in items_in_order(attempt):
            payload = item.expected if item.pk != bad.pk else item.expected | {"choice": "tie", "chosen": None}
            answer_item(attempt=attempt, item=item, payload=payload)
        assert attempt.share == 0.75
        assert attempt.passed is False
    again = start_attempt(qualification=test, user=people[0])
    for item in items_in_order(again):
        answer_item(attempt=again, item=item, payload=item.expected)
    rates = {rate.item.pk: rate for rate in item_rates(test)}
    assert (rates[bad.pk].right, rates[bad.pk].tries, rates[bad.pk].is_suspect) == (0, 3, True)
    assert [rate.is_suspect for pk, rate in rates.items() if pk != bad.pk] == [False, False, False]
    rows = {taker.user: taker for taker in takers(test)}
    assert rows[people[0]].passing.number == 2
    assert rows[people[1]].passing is None
    client = sign_in(mio)
    address = reverse("settings_tests_results", args=[project.slug, test.pk])
    with CaptureQueriesContext(connection) as before:
        page = client.get(address).content.decode()
    assert "1 of 3 people passed" in page
    assert page.count("Almost no one gets this right") == 1
    for name in ("Aki", "Yuki"):
        person = join(project, Role.ANNOTATOR, name=name)
        attempt = start_attempt(qualification=test, user=person)
        for item in items_in_order(attempt):
            answer_item(attempt=attempt, item=item, payload=item.expected)
    with CaptureQueriesContext(connection) as after:
        client.get(address)
    assert len(after) == len(before)


def test_retiring_keeps_the_batches_that_ask_for_it_going(sign_in, project, mio, hana, choosing_test):
    test = choosing_test
    batch = batch_of(project, qualification=test)
    client = sign_in(mio)
    address = reverse("settings_tests_retire", args=[project.slug, test.pk])
    assert "is retired" in client.post(address, follow=True).content.decode()
    assert "was retired already" in client.post(address, follow=True).content.decode()
    assert start_attempt(qualification=test, user=hana)
    other = batch_of(project)
    test.refresh_from_db()
    with pytest.raises(InvalidInput, match="retired"):
        change_batch(batch=other, actor=mio, name="Other", priority=0, qualification=test)
    close_batch(batch=batch, actor=mio)
    ken = join(project, Role.ANNOTATOR, name="Ken")
    with pytest.raises(Conflict, match="no open batch requires"):
        start_attempt(qualification=test, user=ken)
    with pytest.raises(Conflict):
        retire_qualification(qualification=test, actor=mio)


def test_nothing_of_a_test_reaches_queue_progress_or_answers(project, mio, hana, choosing_test):
    before = [(row.batch.pk, row.done, row.total) for row in project_progress(project)]
    annotations, slots = Annotation.objects.count(), Assignment.objects.count()
    attempt = start_attempt(qualification=choosing_test, user=hana)
    for item in items_in_order(attempt):
        answer_item(attempt=attempt, item=item, payload=item.expected)
    assert [(row.batch.pk, row.done, row.total) for row in project_progress(project)] == before
    assert (Annotation.objects.count(), Assignment.objects.count()) == (annotations, slots)
    assert work_for(hana) == []


def test_a_retired_aspect_is_still_asked_by_a_test_that_is_about_it(sign_in, project, mio, hana):
    test = make_test(project, mio, Kind.SCORING)
    retire_aspect(aspect=project.aspects.get(key="register"), actor=mio)
    client = sign_in(hana)
    start_attempt(qualification=test, user=hana)
    assert "score-a-register" in client.get(reverse("qualification_item", args=[test.pk])).content.decode()
    take(client, test, hana)
    assert passed(hana, test)
