"""Practice items come first, and say the right answer."""

import pytest

from annotation.models import Annotation, Role
from annotation.queue.claims import claim_next
from tests.annotation.checks.helpers import answer_all, batch_with, gold_in, of_kind
from tests.annotation.helpers import hotel
from tests.factories import join

pytestmark = pytest.mark.django_db


@pytest.fixture
def batch():
    project = hotel(prompts=3, slug="hotel", held_out_share=0)
    prompts = list(project.prompts.values_list("pk", flat=True))
    gold_in(project, 2, explanation="The guideline asks for polite forms (rule 7).")
    return batch_with(project, prompts, overlap=1, tutorial=2)


def test_each_person_has_the_practice_items_first_whatever_the_overlap(batch):
    practice = of_kind(batch, "tutorial")
    first, second = join(batch.project, Role.ANNOTATOR), join(batch.project, Role.ANNOTATOR)
    held = claim_next(batch=batch, annotator=first)
    assert held.task_id in practice
    assert claim_next(batch=batch, annotator=first).pk == held.pk
    assert {task.pk for task in answer_all(batch, second, most=2)} == practice
    tasks = answer_all(batch, first)
    assert {task.pk for task in tasks[:2]} == practice
    assert len(tasks) == 5
    assert Annotation.objects.filter(task__in=practice).count() == 4


def test_the_page_says_that_it_is_practice_and_after_the_answer_what_was_right(sign_in, batch):
    client = sign_in(join(batch.project, Role.ANNOTATOR))
    for sides in ("a", "b"):
        page = client.get(f"/batches/{batch.pk}/work/")
        assert "Practice item" in page.content.decode()
        assert "rule 7" not in page.content.decode()
        form = {"choice": sides, "strength": "2"}
        answer = client.post(
            f"/assignments/{page.context['assignment'].pk}/submit/", form, headers={"HX-Request": "true"}
        ).content.decode()
        assert "Practice items are no labels." in answer
        assert "The guideline asks for polite forms (rule 7)." in answer
        assert "朝食" in answer
        is_right = answer.count("Your answer to the practice item is right.")
        assert is_right + answer.count("Your answer to the practice item differs from the right one.") == 1
    page = client.get(f"/batches/{batch.pk}/work/").content.decode()
    assert "Practice item" not in page
    assert "rule 7" not in page


def test_a_page_without_scripts_gets_the_feedback_as_well(sign_in, batch):
    client = sign_in(join(batch.project, Role.ANNOTATOR))
    held = client.get(f"/batches/{batch.pk}/work/").context["assignment"]
    answer = client.post(f"/assignments/{held.pk}/submit/", {"choice": "a", "strength": "2"})
    assert answer.status_code == 200
    assert "rule 7" in answer.content.decode()
