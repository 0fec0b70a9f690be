"""What is at hand beside a task: terms of the glossary and similar texts, for the person who has the task."""

import pytest

from annotation.models import Annotation, Assignment, Kind, MemoryEntry, Role
from annotation.reference import glossary, translation_memory
from tests.annotation.helpers import batch_of, hotel
from tests.factories import UserFactory, join

pytestmark = pytest.mark.django_db


@pytest.fixture
def project():
    return hotel(prompts=5)


@pytest.fixture
def hana(project):
    return join(project, Role.ANNOTATOR, name="Hana Mori")


@pytest.fixture
def kei(project):
    return join(project, Role.ANNOTATOR, name="Kei Sato")


def hold(batch, person):
    slot = Assignment.objects.filter(batch=batch, state="free").order_by("position").first()
    Assignment.objects.filter(pk=slot.pk).update(state="held", annotator=person, leased_until="2100-01-01T00:00Z")
    return slot


def answer_all(batch, person):
    for slot in Assignment.objects.filter(batch=batch):
        Assignment.objects.filter(pk=slot.pk).update(state="done", annotator=person)
        annotation = Annotation.objects.create(
            assignment=slot,
            task=slot.task,
            annotator=person,
            kind=batch.kind,
            payload={"text": f"{slot.task.prompt.text} <b>訳</b>"},
        )
        translation_memory.store(annotation=annotation)


def test_terms_and_similar_texts_without_names(sign_in, project, hana, kei):
    answer_all(batch_of(project, Kind.WRITING), kei)
    glossary.add_term(project=project, source="room", target="お部屋", note="not <i>部屋</i>", actor=None)
    slot = hold(batch_of(project, Kind.POSTEDITING), hana)
    part = sign_in(hana).get(f"/assignments/{slot.pk}/reference/", headers={"HX-Request": "true"}).content.decode()
    assert part.count('data-insert="put-') == 3
    assert "&lt;b&gt;訳&lt;/b&gt;" in part
    assert "お部屋" in part
    assert "not &lt;i&gt;部屋" in part
    for hidden in ("Kei", "checkpoint", "import:", "<html"):
        assert hidden not in part
    # What others said of this very prompt stays out of sight.
    assert f"{slot.task.prompt.text} &lt;b&gt;" not in part
    whole = sign_in(hana).get(f"/assignments/{slot.pk}/reference/").content.decode()
    assert "<html" in whole
    assert "Back to the task" in whole


def test_nothing_at_hand_is_said(sign_in, project, hana):
    slot = hold(batch_of(project, Kind.WRITING), hana)
    page = sign_in(hana).get(f"/assignments/{slot.pk}/reference/").content.decode()
    assert "no similar texts have been answered yet" in page


def test_only_for_the_person_and_the_kinds_that_write(sign_in, project, hana, kei):
    slot = hold(batch_of(project, Kind.WRITING), hana)
    for stranger in (kei, UserFactory(), join(project, Role.MANAGER)):
        assert sign_in(stranger).get(f"/assignments/{slot.pk}/reference/").status_code == 404
    choosing = hold(batch_of(project, Kind.CHOOSING), hana)
    assert sign_in(hana).get(f"/assignments/{choosing.pk}/reference/").status_code == 404


def test_as_many_queries_for_many_texts_as_for_few(sign_in, project, hana, kei, django_assert_num_queries):
    slot = hold(batch_of(project, Kind.POSTEDITING), hana)
    client = sign_in(hana)
    answer_all(batch_of(project, Kind.WRITING), kei)
    for few in (True, False):
        with django_assert_num_queries(10):
            client.get(f"/assignments/{slot.pk}/reference/", headers={"HX-Request": "true"})
        answer_all(batch_of(project, Kind.WRITING), kei)
        for n in range(10 * few):
            glossary.add_term(project=project, source=f"room, number {n}", target=f"部屋{n}", actor=None)


def test_the_usual_length_is_learnt_from_twenty_texts(project, kei):
    for _ in range(3):
        answer_all(batch_of(project, Kind.WRITING), kei)
    assert translation_memory.length_ratio(project) is None
    answer_all(batch_of(project, Kind.WRITING), kei)
    MemoryEntry.objects.update(source="12345", target="123456789")
    assert translation_memory.length_ratio(project) == pytest.approx(1.8)
