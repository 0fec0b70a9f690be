"""Annotating through the door: the four kinds without JavaScript, htmx, blindness, strangers, constant queries."""

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from annotation.answers.submission import submit
from annotation.models import Annotation, Assignment, Candidate, Draft, Kind, Membership, Role, Task
from annotation.queue.batches import close_batch
from annotation.queue.claims import claim_next, expire_leases
from annotation.text.edit_distance import edits_between
from tests.annotation.helpers import ONE, TWO, batch_of, hotel, many
from tests.annotation.queue.test_claims import run_out
from tests.factories import AspectFactory, UserFactory, join

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}


def held(user):
    return Assignment.objects.get(annotator=user, state="held")


def work(client, batch, **options):
    return client.get(reverse("work", args=[batch.pk]), **options)


def post(client, name, pk, data=None, **options):
    return client.post(reverse(name, args=[pk]), data or {}, **options)


FORMS = {
    Kind.WRITING: {"text": "静かなお部屋をお願いします。"},
    Kind.POSTEDITING: {"text": "静かなお部屋をお願いいたします。"},
    Kind.SCORING: {"score-a-meaning": "4", "score-a-register": "3", "comment": "Good."},
    Kind.CHOOSING: {"choice": "a", "strength": "2", "reasons": ["Meaning", "Fluency"]},
}


@pytest.mark.parametrize("kind", Kind.values)
def test_each_kind_from_first_task_to_finished_without_javascript(kind, sign_in):
    project = hotel(prompts=2)
    batch, hana = batch_of(project, kind), join(project, Role.ANNOTATOR)
    client = sign_in(hana)
    total = Assignment.objects.filter(batch=batch).count()
    for _ in range(total):
        page = work(client, batch)
        assert page.status_code == 200
        task = held(hana).task
        assert task.prompt.text in page.content.decode()
        Assignment.objects.filter(state="held").update(claimed_at=timezone.now() - timedelta(minutes=1))
        answer = post(client, "submit", held(hana).pk, {**FORMS[kind], "active_seconds": "7.5"})
        assert (answer.status_code, answer.url) == (302, reverse("work", args=[batch.pk]))
    assert "This batch is finished" in work(client, batch).content.decode()
    assert Annotation.objects.filter(annotator=hana, active_seconds=7.5, is_current=True).count() == total
    assert f"submitted {total} answers" in client.get(reverse("my_work")).content.decode()


@pytest.mark.parametrize("kind", Kind.values)
def test_htmx_gets_the_next_task_in_the_answer(kind, sign_in):
    project = hotel(prompts=3)
    batch, hana = batch_of(project, kind), join(project, Role.ANNOTATOR)
    client = sign_in(hana)
    work(client, batch)
    first = held(hana)
    answer = post(client, "submit", first.pk, FORMS[kind], headers=HTMX)
    html = answer.content.decode()
    assert answer.status_code == 200
    assert "<html" not in html
    assert html.strip().startswith('<section id="task"')
    assert reverse("submit", args=[held(hana).pk]) in html
    assert held(hana).pk != first.pk


@pytest.mark.parametrize("kind", [Kind.WRITING, Kind.SCORING, Kind.CHOOSING])
@pytest.mark.parametrize("headers", [{}, HTMX])
def test_what_is_missing_is_named_and_entries_are_kept(kind, headers, sign_in):
    project = hotel(prompts=1)
    batch, hana = batch_of(project, kind), join(project, Role.ANNOTATOR)
    client = sign_in(hana)
    work(client, batch)
    partial = {
        Kind.WRITING: {"text": "  "},
        Kind.SCORING: {"score-a-register": "2", "comment": "kept <b>"},
        Kind.CHOOSING: {"reasons": ["Fluency"]},
    }[kind]
    answer = post(client, "submit", held(hana).pk, partial, headers=headers)
    html = answer.content.decode()
    assert answer.status_code == 422
    problem = {
        Kind.WRITING: ('href="#text"', "Nothing is written yet."),
        Kind.SCORING: ('href="#score-a-meaning"', "Meaning has no score yet."),
        Kind.CHOOSING: ('href="#choice"', "Nothing is chosen yet"),
    }[kind]
    assert all(part in html for part in problem)
    if kind == Kind.SCORING:
        assert 'value="2" checked' in html
        assert "kept &lt;b&gt;" in html
    if kind == Kind.CHOOSING:
        assert re.search(r'value="Fluency"[^>]* checked', html)
    assert not Annotation.objects.exists()


def test_a_double_submission_is_one_annotation_and_no_error(sign_in):
    project = hotel(prompts=2)
    batch, hana = batch_of(project), join(project, Role.ANNOTATOR)
    client = sign_in(hana)
    work(client, batch)
    first = held(hana)
    for choice in ("a", "a", "b"):
        answer = post(client, "submit", first.pk, {"choice": choice}, headers=HTMX)
        assert answer.status_code == 200
    assert "your answer was kept" in answer.content.decode()
    assert Annotation.objects.get().payload["choice"] == "one"
    assert Annotation.objects.get().payload["chosen"] == Annotation.objects.get().payload["shown"][0]


def test_accept_unchanged_is_one_button(sign_in):
    project = hotel(prompts=1)
    batch, hana = batch_of(project, Kind.POSTEDITING), join(project, Role.ANNOTATOR)
    client = sign_in(hana)
    assert 'name="unchanged" value="1"' in work(client, batch).content.decode()
    original = Candidate.objects.get(pk=held(hana).task.candidate_ids[0])
    post(client, "submit", held(hana).pk, {"unchanged": "1", "text": "half an edit"})
    assert Annotation.objects.get().payload == {"candidate": original.pk, "text": original.text, "unchanged": True}


def test_a_draft_is_kept_and_comes_back(sign_in):
    project = hotel(prompts=1)
    batch, hana = batch_of(project, Kind.WRITING), join(project, Role.ANNOTATOR)
    client = sign_in(hana)
    work(client, batch)
    assert post(client, "draft", held(hana).pk, {"text": "half <i>"}).status_code == 204
    assert "half &lt;i&gt;" in work(client, batch).content.decode()
    plain = post(client, "draft", held(hana).pk, {"text": "more", "then": "page"}, follow=True)
    assert "Saved as a draft" in plain.content.decode()
    assert "more" in plain.content.decode()


def test_a_lost_lease_loses_no_text(sign_in):
    project = hotel(prompts=1)
    batch, hana, ken = batch_of(project, Kind.WRITING), join(project, Role.ANNOTATOR), join(project, Role.ANNOTATOR)
    client = sign_in(hana)
    work(client, batch)
    mine = held(hana)
    run_out(mine)
    expire_leases()
    assert post(client, "draft", mine.pk, {"text": "my long text"}).status_code == 204
    claim_next(batch=batch, annotator=ken)
    answer = post(client, "submit", mine.pk, {"text": "my long text"}, headers=HTMX)
    assert answer.status_code == 409
    assert "kept as a draft" in answer.content.decode()
    assert Draft.objects.get(annotator=hana).payload == {"text": "my long text"}
    run_out(held(ken))
    expire_leases()
    assert "my long text" in work(client, batch).content.decode()
    assert post(client, "submit", mine.pk, {"text": "my long text"}).status_code == 302
    assert Annotation.objects.get().annotator == hana


def test_skipping_says_why_and_moves_on(sign_in):
    project = hotel(prompts=2)
    batch, hana = batch_of(project), join(project, Role.ANNOTATOR)
    client = sign_in(hana)
    work(client, batch)
    first = held(hana)
    refused = post(client, "skip", first.pk, {}, headers=HTMX)
    assert refused.status_code == 422
    assert "Choose one of the reasons." in refused.content.decode()
    answer = post(client, "skip", first.pk, {"reason": "unclear", "comment": "typo"}, headers=HTMX)
    assert answer.status_code == 200
    assert held(hana).task_id != first.task_id
    assert post(client, "skip", held(hana).pk, {"reason": "broken"}).status_code == 302


def test_undo_opens_the_last_answer_again(sign_in):
    project = hotel(prompts=2)
    batch, hana = batch_of(project, Kind.WRITING), join(project, Role.ANNOTATOR)
    client = sign_in(hana)
    work(client, batch)
    assert "nothing to undo" in post(client, "undo", batch.pk, headers=HTMX).content.decode()
    post(client, "submit", held(hana).pk, {"text": "first try"})
    work(client, batch)
    page = post(client, "undo", batch.pk, follow=True).content.decode()
    assert "first try" in page
    assert "you are editing a submitted answer" in page
    post(client, "submit", held(hana).pk, {"text": "second try"})
    assert Annotation.objects.get(is_current=True).payload == {"text": "second try"}
    assert Annotation.objects.count() == 2


def test_putting_a_task_back_and_a_manager_taking_it_out_of_a_hand(sign_in):
    project = hotel(prompts=1)
    batch, hana, mio = batch_of(project), join(project, Role.ANNOTATOR), join(project, Role.MANAGER)
    work(sign_in(hana), batch)
    assert post(sign_in(hana), "release", held(hana).pk).url == reverse("home")
    work(sign_in(hana), batch)
    taken = held(hana).pk
    assert post(sign_in(join(project, Role.REVIEWER)), "release", taken).status_code == 404
    assert post(sign_in(mio), "release", taken).url == reverse("batch", args=[batch.pk])
    assert not Assignment.objects.filter(state="held").exists()


def test_empty_states_say_why(sign_in):
    project = hotel(prompts=1)
    hana, ken = join(project, Role.ANNOTATOR), join(project, Role.ANNOTATOR)
    one, both = batch_of(project), batch_of(project, overlap=2)
    claim_next(batch=one, annotator=ken)
    client = sign_in(hana)
    assert "No tasks available right now" in work(client, one).content.decode()
    work(client, both)
    html = post(client, "submit", held(hana).pk, {"choice": "tie"}, headers=HTMX).content.decode()
    assert "You've finished your tasks here" in html
    assert "1 answer is left for other annotators" in html
    close_batch(batch=both, actor=None)
    assert "This batch is closed" in work(client, both).content.decode()


def test_another_batch_is_offered_when_one_is_finished(sign_in):
    project = hotel(prompts=1)
    batch, other, hana = batch_of(project), batch_of(project, Kind.WRITING), join(project, Role.ANNOTATOR)
    client = sign_in(hana)
    work(client, batch)
    post(client, "submit", held(hana).pk, {"choice": "tie"})
    assert reverse("work", args=[other.pk]) in work(client, batch).content.decode()


def test_a_batch_of_the_same_project_is_offered_before_more_urgent_ones_elsewhere(sign_in):
    elsewhere, project = hotel(prompts=1, name="Spa"), hotel(prompts=1)
    hana = join(project, Role.ANNOTATOR)
    elsewhere.memberships.create(user=hana, role=Role.ANNOTATOR)
    urgent = [batch_of(elsewhere, kind, priority=5) for kind in (Kind.WRITING, Kind.CHOOSING, Kind.POSTEDITING)]
    batch, same = batch_of(project), batch_of(project, Kind.WRITING)
    client = sign_in(hana)
    work(client, batch)
    post(client, "submit", held(hana).pk, {"choice": "tie"})
    page = work(client, batch).content.decode()
    places = [page.find(f'href="{reverse("work", args=[row.pk])}"') for row in (same, *urgent)]
    assert places[0] > 0
    assert places[0] < min(place for place in places[1:] if place > 0)


@pytest.mark.parametrize("kind", [Kind.POSTEDITING, Kind.SCORING, Kind.CHOOSING])
def test_blind_means_blind(kind, sign_in):
    """No candidate id, origin or import order in the page, the partial, its headers or its cookies."""
    project = hotel(prompts=12)
    # Ids far from those of tasks and slots, so that finding one in the page means something.
    offset = 8_100_000
    for candidate in Candidate.objects.order_by("pk"):
        Candidate.objects.filter(pk=candidate.pk).update(id=candidate.pk + offset)
    batch, hana = batch_of(project, kind), join(project, Role.ANNOTATOR)
    client = sign_in(hana)
    answer = work(client, batch)
    first_shown = []
    while Assignment.objects.filter(annotator=hana, state="held").exists():
        task = held(hana).task
        seen = answer.content.decode() + str(answer.headers) + str(client.cookies)
        assert ONE not in seen
        assert TWO not in seen
        assert "checkpoint" not in seen
        assert "import" not in seen
        assert not re.search(r"\b81\d{5}\b", seen), "a candidate's id is in the page"
        if kind == Kind.CHOOSING:
            texts = dict(Candidate.objects.filter(pk__in=task.candidate_ids).values_list("text", "origin"))
            first_shown.append(texts[min(texts, key=seen.index)])
        answer = post(client, "submit", held(hana).pk, FORMS[kind], headers=HTMX)
    if kind == Kind.CHOOSING:
        assert set(first_shown) == {ONE, TWO}, "one origin is always on the same side"


def test_model_text_is_never_markup(sign_in):
    project = hotel(prompts=1)
    hostile = '<script>alert(1)</script>"><img src=x>{{ 7 }}'
    Candidate.objects.filter(origin=ONE).update(text=hostile)
    for kind in (Kind.CHOOSING, Kind.SCORING, Kind.POSTEDITING):
        options = {"origins": [ONE]} if kind != Kind.CHOOSING else {}
        html = work(sign_in(join(project, Role.ANNOTATOR)), batch_of(project, kind, **options)).content.decode()
        assert "<script>alert" not in html
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html


@pytest.mark.parametrize(
    ("name", "method"),
    [("work", "get"), ("undo", "post"), ("submit", "post"), ("skip", "post"), ("draft", "post"), ("release", "post")],
)
def test_strangers_get_404_and_the_anonymous_sign_in(name, method, sign_in):
    project, elsewhere = hotel(prompts=1), hotel(prompts=1)
    batch, hana = batch_of(project), join(project, Role.ANNOTATOR)
    assignment = claim_next(batch=batch, annotator=hana)
    url = reverse(name, args=[batch.pk if name in ("work", "undo") else assignment.pk])
    anonymous = getattr(Client(), method)(url)
    assert anonymous.status_code == 302
    assert anonymous.url.startswith(reverse("account_login"))
    for stranger in (join(elsewhere, Role.MANAGER), UserFactory()):
        assert getattr(sign_in(stranger), method)(url, {"choice": "a", "reason": "unclear"}).status_code == 404
    if name not in ("work", "undo"):
        assert getattr(sign_in(join(project, Role.ANNOTATOR)), method)(url, {"choice": "a"}).status_code == 404
        Membership.objects.filter(user=hana).delete()
        assert getattr(sign_in(hana), method)(url, {"choice": "a"}).status_code == 404
    assert Assignment.objects.get(pk=assignment.pk).state == "held"


def test_a_session_that_ended_sends_the_whole_page_to_the_sign_in_and_back():
    project = hotel(prompts=1)
    batch, hana = batch_of(project), join(project, Role.ANNOTATOR)
    assignment = claim_next(batch=batch, annotator=hana)
    here = reverse("work", args=[batch.pk])
    headers = {**HTMX, "HX-Current-URL": f"http://testserver{here}"}
    answer = post(Client(), "submit", assignment.pk, {"choice": "a"}, headers=headers)
    assert answer.headers["HX-Redirect"] == f"{reverse('account_login')}?next={here}"
    assert not Annotation.objects.exists()


def test_only_the_right_method(sign_in):
    project = hotel(prompts=1)
    batch, hana = batch_of(project), join(project, Role.ANNOTATOR)
    client = sign_in(hana)
    assert client.post(reverse("work", args=[batch.pk])).status_code == 405
    for name in ("submit", "skip", "draft", "time", "release"):
        assert client.get(reverse(name, args=[1])).status_code == 405


@pytest.mark.parametrize("seconds", ["nan", "inf", "-3", "soon", "", "1e400"])
def test_nonsense_seconds_are_no_seconds(seconds, sign_in):
    project = hotel(prompts=1)
    batch, hana = batch_of(project), join(project, Role.ANNOTATOR)
    client = sign_in(hana)
    work(client, batch)
    post(client, "submit", held(hana).pk, {"choice": "tie", "active_seconds": seconds})
    assert Annotation.objects.get().active_seconds == 0


@pytest.mark.parametrize("kind", Kind.values)
def test_submitting_takes_as_many_queries_at_any_size(kind, sign_in):
    counts = []
    for size in (3, 300):
        project = hotel(prompts=0)
        many(project, size)
        AspectFactory(project=project, key="tone")
        batch, hana = batch_of(project, kind, overlap=2), join(project, Role.ANNOTATOR)
        client = sign_in(hana)
        work(client, batch)
        form = {**FORMS[kind], "score-a-tone": "1"}
        post(client, "submit", held(hana).pk, form, headers=HTMX)
        with CaptureQueriesContext(
            connection,
        ) as submitting:
            assert post(client, "submit", held(hana).pk, form, headers=HTMX).status_code == 200
        with CaptureQueriesContext(connection) as opening:
            work(client, batch)
        with CaptureQueriesContext(connection) as saving:
            assert post(client, "draft", held(hana).pk, form).status_code == 204
        counts.append((len(submitting), len(opening), len(saving)))
    assert counts[0] == counts[1]
    # Two of each are the session and the person; claiming is in a savepoint, because the test is in a transaction.
    assert all(count <= most for count, most in zip(counts[0], (18, 18, 14), strict=True)), counts


def test_my_work_lists_what_stands_newest_first(sign_in):
    project = hotel(prompts=30)
    batch, hana = batch_of(project, Kind.WRITING), join(project, Role.ANNOTATOR)
    client = sign_in(hana)
    for n in range(30):
        submit(assignment=claim_next(batch=batch, annotator=hana), payload={"text": f"answer {n:02}"}, annotator=hana)
    first = client.get(reverse("my_work")).content.decode()
    assert first.index("answer 29") < first.index("answer 28")
    assert "answer 04" not in first
    assert "answer 04" in client.get(reverse("my_work") + "?page=2").content.decode()
    assert client.get(reverse("my_work") + "?page=nonsense").status_code == 200
    assert Task.objects.filter(batch=batch).count() == 30
    other = sign_in(join(project, Role.ANNOTATOR)).get(reverse("my_work")).content.decode()
    assert "Nothing submitted yet" in other


def test_a_draft_brings_feedback_on_the_text_where_the_page_asks_for_it(sign_in):
    project = hotel(prompts=1)
    hana = join(project, Role.ANNOTATOR)
    batch = batch_of(project, Kind.WRITING)
    client = sign_in(hana)
    work(client, batch)
    slot = held(hana)
    slot.task.prompt.text = "Dear {name}, room 12 is ready."
    slot.task.prompt.save(update_fields=["text"])
    begun = post(client, "draft", slot.pk, {"text": "{name}", "feedback": "typing"})
    assert begun.status_code == 200
    assert "<li>" not in begun.content.decode()  # what is not written yet is not missing
    rested = post(client, "draft", slot.pk, {"text": "{nane}様、11号室", "feedback": "resting"})
    assert "<bdi>{name}</bdi> is in the source and missing here." in rested.content.decode()
    assert "The number <bdi>12</bdi> is missing or different here." in rested.content.decode()
    assert Draft.objects.get().payload["text"] == "{nane}様、11号室"
    assert (
        "The number <bdi>12</bdi> is missing" in work(client, batch).content.decode()
    )  # a page without scripts has it


def test_feedback_on_a_post_edit_counts_as_the_submission_does(sign_in):
    project = hotel(prompts=1)
    hana = join(project, Role.ANNOTATOR)
    batch = batch_of(project, Kind.POSTEDITING)
    client = sign_in(hana)
    work(client, batch)
    slot = held(hana)
    original = Candidate.objects.get(pk=slot.task.candidate_ids[0]).text
    answer = post(client, "draft", slot.pk, {"text": "<b>" + original, "feedback": "typing"})
    assert "<ins>&lt;b&gt;</ins>" in answer.content.decode()
    edits = edits_between(original, "<b>" + original, project.target_language)
    assert f"{edits.count} edits · HTER {edits.rate:.0%}".rstrip("%") in answer.content.decode()
    assert "Unchanged" in post(client, "draft", slot.pk, {"text": original, "feedback": "typing"}).content.decode()
