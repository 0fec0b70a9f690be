"""A project's page, opening a batch, looking into one, and the guideline."""

import re

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from annotation.answers.submission import skip, submit, undo_last
from annotation.models import Batch, Kind, Role
from annotation.queue.batches import close_batch
from annotation.queue.claims import claim_next
from annotation.queue.progress import done_by, left_for, project_progress, work_for
from tests.annotation.helpers import ONE, TWO, batch_of, hotel
from tests.annotation.queue.test_claims import ANSWER
from tests.factories import GuidelineFactory, ProjectFactory, UserFactory, join

pytestmark = pytest.mark.django_db


def page(client, name, *args, **query):
    return client.get(reverse(name, args=args), query)


def test_progress_counts_slots_and_replaces_the_skipped():
    project = hotel(prompts=4)
    batch, hana, ken = batch_of(project, overlap=2), join(project, Role.ANNOTATOR), join(project, Role.ANNOTATOR)
    submit(assignment=claim_next(batch=batch, annotator=hana), payload=ANSWER)
    skip(assignment=claim_next(batch=batch, annotator=hana), reason="broken")
    claim_next(batch=batch, annotator=ken)
    (progress,) = project_progress(project)
    assert (progress.done, progress.claimed, progress.free, progress.skipped, progress.total) == (1, 1, 6, 1, 8)
    undo_last(annotator=hana, batch=batch)  # the answer stays current while its author looks at it again
    (progress,) = project_progress(project)
    assert (progress.done, progress.claimed, progress.free) == (1, 1, 6)
    assert done_by(hana, batch) == 1


def test_work_for_lists_open_batches_with_what_is_to_be_had():
    project, other = hotel(prompts=1), hotel(prompts=1)
    hana = join(project, Role.ANNOTATOR)
    done, fresh, closed = batch_of(project), batch_of(project, Kind.WRITING), batch_of(project, Kind.SCORING)
    batch_of(other)
    close_batch(batch=closed, actor=None)
    submit(assignment=claim_next(batch=done, annotator=hana), payload=ANSWER)
    work = work_for(hana)
    assert [(item.batch, item.project, item.done_by_me, item.available) for item in work] == [
        (fresh, project, 0, True),
        (done, project, 1, False),
    ]
    claim_next(batch=fresh, annotator=hana)
    assert work_for(hana)[0].available
    assert work_for(UserFactory()) == []


def test_where_there_is_work_is_asked_slot_by_slot():
    """A plan that joins all tasks of the site to find one free slot took 40 s with four batches of 100,000 tasks."""
    project = hotel(prompts=3)
    batch, hana = batch_of(project), join(project, Role.ANNOTATOR)
    for ask in (lambda: work_for(hana), lambda: left_for(hana, batch)):
        with CaptureQueriesContext(connection) as asked:
            ask()
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN {asked[0]['sql']}")
            plan = "\n".join(row[0] for row in cursor.fetchall())
        assert "SubPlan" in plan
        assert "Anti Join" not in plan, plan


def test_the_page_says_in_words_how_far_it_is(sign_in):
    project = hotel(prompts=3, name="Hotel replies")
    hana = join(project, Role.ANNOTATOR)
    client = sign_in(hana)
    assert "Nothing is open to annotate yet" in page(client, "project", project.slug).content.decode()
    batch = batch_of(project)
    html = page(client, "project", project.slug).content.decode()
    assert "choosing batch has not started yet" in html
    assert reverse("work", args=[batch.pk]) in html
    assert reverse("batch_new", args=[project.slug]) not in html
    for words in ("a third done", "two thirds done", "complete"):
        submit(assignment=claim_next(batch=batch, annotator=hana), payload=ANSWER)
        assert f"choosing batch is {words}" in page(client, "project", project.slug).content.decode()
    close_batch(batch=batch, actor=None)
    assert "Every batch is closed" in page(client, "project", project.slug).content.decode()


def test_managers_see_members_the_loop_and_their_buttons(sign_in):
    project = hotel(prompts=1)
    join(project, Role.ANNOTATOR)
    client = sign_in(join(project, Role.MANAGER))
    html = page(client, "project", project.slug).content.decode()
    assert "1 annotator, 1 manager" in html
    assert "Freeze a dataset" in html
    batch = batch_of(project)
    assert client.post(reverse("batch_close", args=[batch.pk])).status_code == 302
    assert Batch.objects.get().status == "closed"
    twice = client.post(reverse("batch_close", args=[batch.pk]), follow=True)
    assert "already closed" in twice.content.decode()
    client.post(reverse("batch_reopen", args=[batch.pk]))
    assert Batch.objects.get().status == "open"


def test_closing_a_batch_does_not_lower_what_is_done(sign_in):
    project = hotel(prompts=3)
    hana, first = join(project, Role.ANNOTATOR), batch_of(project)
    submit(assignment=claim_next(batch=first, annotator=hana), payload=ANSWER)
    second = batch_of(project)
    submit(assignment=claim_next(batch=second, annotator=hana), payload=ANSWER)
    client = sign_in(join(project, Role.MANAGER))
    assert "Done 2 answers in all batches In 2 open batches 2 of 6 answers" in text(client, project)
    close_batch(batch=first, actor=None)
    assert "Done 2 answers in all batches In 1 open batch 1 of 3 answers" in text(client, project)
    close_batch(batch=second, actor=None)
    assert "Done 2 answers in all batches Batches" in text(client, project)


def text(client, project):
    html = page(client, "project", project.slug).content.decode()
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", html))


def test_the_bar_of_a_task_shows_mine_of_mine_and_the_batch_apart(sign_in, monkeypatch):
    project = hotel(prompts=4)
    batch, hana, ken = batch_of(project, overlap=2), join(project, Role.ANNOTATOR), join(project, Role.ANNOTATOR)
    for person, answers in ((hana, 1), (ken, 3)):
        for _ in range(answers):
            submit(assignment=claim_next(batch=batch, annotator=person), payload=ANSWER)
    html = page(sign_in(hana), "work", batch.pk).content.decode()
    assert 'You: <b id="done-by-me">1</b> of 4' in html
    assert '<progress id="my-progress" value="1" max="4"' in html
    assert ">4 / 8</span>" in html
    skip(assignment=claim_next(batch=batch, annotator=hana), reason="broken")
    assert left_for(hana, batch) == (2, True), "a skipped task is not hers any more"
    assert left_for(ken, batch) == (1, True)
    assert left_for(join(project, Role.ANNOTATOR), batch) == (3, True), "one task has both of its answers"
    monkeypatch.setattr("annotation.queue.progress.COUNTED_SLOTS", 2)
    html = page(sign_in(join(project, Role.ANNOTATOR)), "work", batch.pk).content.decode()
    assert '<b id="done-by-me">0</b> done by you' in html
    assert "my-progress" not in html


def test_the_project_page_takes_as_many_queries_at_any_size(sign_in):
    counts = []
    for prompts, batches in ((1, 1), (40, 6)):
        project = hotel(prompts=prompts)
        for _ in range(batches):
            batch_of(project)
        client = sign_in(join(project, Role.MANAGER))
        with CaptureQueriesContext(connection) as captured:
            assert page(client, "project", project.slug).status_code == 200
        counts.append(len(captured))
    assert counts[0] == counts[1] <= 14, counts


def test_opening_a_batch_from_the_form(sign_in):
    project = hotel(prompts=4)
    join(project, Role.ANNOTATOR)
    client = sign_in(join(project, Role.MANAGER))
    url = reverse("batch_new", args=[project.slug])
    html = client.get(url).content.decode()
    assert f"{ONE} (4)" in html
    form = {
        "name": "First look",
        "kind": "choosing",
        "which": "without",
        "limit": "3",
        "overlap": "2",
        "origins": [ONE, TWO],
        "priority": "1",
    }
    done = client.post(url, form, follow=True)
    assert "First look is open with 3 tasks." in done.content.decode()
    batch = Batch.objects.get()
    assert (batch.kind, batch.overlap, batch.priority, batch.tasks.count()) == ("choosing", 2, 1, 3)
    assert batch.created_by is not None
    client.post(url, {**form, "limit": "", "name": "The rest"})
    assert Batch.objects.get(name="The rest").tasks.count() == 1
    refused = client.post(url, {**form, "limit": ""})
    assert refused.status_code == 422
    assert "No prompts match" in refused.content.decode()
    one_origin = client.post(url, {**form, "which": "all", "origins": [ONE]})
    assert one_origin.status_code == 422
    assert "compares two origins" in one_origin.content.decode()
    assert client.post(url, {}).status_code == 422


def test_inside_a_batch_each_answer_with_who_gave_it(sign_in):
    project = hotel(prompts=3)
    batch, hana = batch_of(project, Kind.POSTEDITING), join(project, Role.ANNOTATOR, name="Hana")
    first = claim_next(batch=batch, annotator=hana)
    original = first.task.prompt.candidates.get(pk=first.task.candidate_ids[0])
    payload = {"candidate": original.pk, "text": original.text + "！", "unchanged": False}
    submit(assignment=first, payload=payload)
    skip(assignment=claim_next(batch=batch, annotator=hana), reason="offensive")
    inside = claim_next(batch=batch, annotator=hana)
    html = page(sign_in(join(project, Role.MANAGER)), "batch", batch.pk).content.decode()
    assert "1 edit, HTER" in html
    assert "<ins>！</ins>" in html
    assert "Skipped: Offensive or distressing" in html
    assert reverse("release", args=[inside.pk]) in html
    assert original.origin in html
    review = page(sign_in(join(project, Role.REVIEWER)), "batch", batch.pk).content.decode()
    assert "Hana" in review
    assert original.origin not in review
    assert reverse("release", args=[inside.pk]) not in review
    for only, count in (("done", 1), ("held", 1), ("skipped", 1), ("free", 1), ("nonsense", 3)):
        assert (
            page(sign_in(join(project, Role.MANAGER)), "batch", batch.pk, only=only).content.decode().count('id="task-')
            == count
        )


@pytest.mark.parametrize("kind", Kind.values)
def test_a_batch_page_takes_as_many_queries_for_many_tasks(kind, sign_in):
    counts = []
    for prompts in (2, 20):
        project = hotel(prompts=prompts)
        batch, hana = batch_of(project, kind), join(project, Role.ANNOTATOR)
        claim_next(batch=batch, annotator=hana)
        client = sign_in(join(project, Role.MANAGER))
        with CaptureQueriesContext(connection) as captured:
            assert page(client, "batch", batch.pk).status_code == 200
        counts.append(len(captured))
    assert counts[0] == counts[1] <= 16, counts


def test_the_guideline_that_holds_and_the_older_ones(sign_in):
    project = hotel(prompts=0)
    GuidelineFactory(project=project, version=2, text="Now **register** first. <script>alert(1)</script>")
    client = sign_in(join(project, Role.ANNOTATOR))
    html = page(client, "guideline", project.slug).content.decode()
    assert "<strong>register</strong>" in html
    assert "<script>alert" not in html
    older = page(client, "guideline", project.slug, version=1).content.decode()
    assert "<em>meaning</em>" in older
    assert "an older version" in older
    for version in ("99", "x", "²", "9" * 30):
        assert page(client, "guideline", project.slug, version=version).status_code == 404
    empty = ProjectFactory()
    assert "no guideline yet" in page(sign_in(join(empty, Role.ANNOTATOR)), "guideline", empty.slug).content.decode()


@pytest.mark.parametrize(
    ("name", "roles"),
    [
        ("project", {Role.ANNOTATOR, Role.REVIEWER, Role.MANAGER}),
        ("guideline", {Role.ANNOTATOR, Role.REVIEWER, Role.MANAGER}),
        ("batch_new", {Role.MANAGER}),
        ("batch", {Role.REVIEWER, Role.MANAGER}),
        ("batch_close", {Role.MANAGER}),
        ("batch_reopen", {Role.MANAGER}),
    ],
)
def test_who_may_open_what(name, roles, sign_in):
    project, elsewhere = hotel(prompts=1), hotel(prompts=1)
    batch = batch_of(project)
    url = reverse(name, args=[batch.pk if name.startswith("batch") and name != "batch_new" else project.slug])
    method = "post" if name in ("batch_close", "batch_reopen") else "get"
    assert getattr(Client(), method)(url).url.startswith(reverse("account_login"))
    for stranger in (join(elsewhere, Role.MANAGER), UserFactory()):
        assert getattr(sign_in(stranger), method)(url).status_code == 404
    for role in Role:
        status = getattr(sign_in(join(project, role)), method)(url).status_code
        assert (status != 404) == (role in roles), role
    assert getattr(sign_in(UserFactory(is_superuser=True)), method)(url).status_code != 404
