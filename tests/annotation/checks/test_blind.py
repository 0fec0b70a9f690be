"""Nothing that an annotator gets tells a task that checks people from any other."""

import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from annotation.core.checks import is_check
from annotation.models import Assignment, Role
from annotation.queue.claims import claim_next
from tests.annotation.checks.helpers import batch_with, gold_in, of_kind
from tests.annotation.helpers import hotel
from tests.factories import join

pytestmark = pytest.mark.django_db
WORDS = ("gold", "twin", "damage", "repeat", "check_", "taskcheck", "tutorial", "expected")


@pytest.fixture
def site():
    """Fourteen ordinary tasks, gold, twins and repeats, and somebody who has done none."""
    project = hotel(prompts=14, slug="hotel", held_out_share=0)
    prompts = list(project.prompts.order_by("pk").values_list("pk", flat=True))
    gold_in(project, 2)
    # Fewer prompts in the batch than there are: twins come from the others.
    batch = batch_with(project, prompts, gold=10, twins=10, repeats=10)
    return batch, join(project, Role.ANNOTATOR)


def shape(page: bytes) -> str:
    """The page without what belongs to the task: ids, texts, tokens."""
    text = page.decode()
    text = re.sub(r'(name="csrfmiddlewaretoken" value=|nonce=|"X-CSRFToken": )"[^"]*"', r"\1", text)
    text = re.sub(r"\d+", "0", text)
    text = re.sub(r'data-differing="[^"]*"', "", text)
    return re.sub(r"(?s)(<(?:span|div|textarea)[^>]*\bclass=\"[^\"]*text[^\"]*\"[^>]*>)[^<]*", r"\1", text)


def test_all_pages_and_answers_of_the_stream_have_one_shape_and_one_number_of_queries(sign_in, site):
    batch, person = site
    client = sign_in(person)
    client.get(f"/batches/{batch.pk}/work/")
    shapes, queries, seen = {}, {}, {}
    checks = {task: what for what in ("gold", "twin", "repeat") for task in of_kind(batch, what)}
    for _n in range(40):
        held = claim_next(batch=batch, annotator=person)
        if held is None:
            break
        what = checks.get(held.task_id, "label")
        page = client.get(f"/batches/{batch.pk}/work/").content
        assert not [word for word in WORDS if word in page.decode().lower()]
        with CaptureQueriesContext(connection) as captured:
            answer = client.post(
                f"/assignments/{held.pk}/submit/", {"choice": "a", "strength": "2"}, headers={"HX-Request": "true"}
            )
        assert answer.status_code == 200
        if _n and b"data-assignment" in answer.content:  # the last answer has no next task
            shapes.setdefault(what, set()).add(shape(page))
            queries.setdefault(what, set()).add(len(captured))
        seen[what] = seen.get(what, 0) + 1
    assert seen == {"label": 14, "gold": 2, "twin": 2, "repeat": 2}
    assert len(set.union(*shapes.values())) == 1
    assert len(set.union(*queries.values())) == 1
    for address in ("/my-work/", "/", "/projects/hotel/", "/my-time/", f"/batches/{batch.pk}/work/"):
        page = client.get(address).content.decode().lower()
        assert not [word for word in WORDS if word in re.sub(r"[\w.-]*\.(?:css|js)", "", page)], address


def test_a_faulty_answer_to_gold_gets_the_same_words_as_any_other(sign_in, site):
    batch, person = site
    client = sign_in(person)
    pages = set()
    for task in [next(iter(of_kind(batch, "gold"))), batch.tasks.exclude(is_check("pk")).first().pk]:
        slot = Assignment.objects.filter(task=task).first()
        Assignment.objects.filter(batch=batch, annotator=person).update(state="free", annotator=None)
        Assignment.objects.filter(pk=slot.pk).update(state="free")
        while (held := claim_next(batch=batch, annotator=person)).task_id != task:
            Assignment.objects.filter(pk=held.pk).update(state="free", annotator=None, position=10_000)
        answer = client.post(f"/assignments/{held.pk}/submit/", {"strength": "2"}, headers={"HX-Request": "true"})
        assert answer.status_code == 422
        pages.add(shape(answer.content))
    assert len(pages) == 1
