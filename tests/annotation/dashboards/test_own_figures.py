"""One's own figures, and what one's work changed: Kei edits a model's texts, then a newer model answers again."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone
from lxml import html

from annotation.analyses.run import analyse
from annotation.answers.submission import skip, submit
from annotation.dashboards.own import answered_again, changes_of, effect_of
from annotation.models import Candidate, Kind, Role
from annotation.projects.settings import update_project
from annotation.queue.batches import close_batch
from annotation.queue.claims import claim_next
from tests.annotation.helpers import batch_of, hotel
from tests.factories import CandidateFactory, join

pytestmark = pytest.mark.django_db
OLD, NEW = "checkpoint:1", "checkpoint:2"


@pytest.fixture
def project():
    return update_project(project=hotel(prompts=14, slug="hotel", name="Hotel"), actor=None, shows_own_figures=True)


@pytest.fixture
def kei(project):
    return join(project, Role.ANNOTATOR, name="Kei")


@pytest.fixture
def edited(project, kei):
    """Kei skipped one text of the old model and corrected eleven."""
    Candidate.objects.filter(prompt__project=project).delete()
    for prompt in project.prompts.all():
        CandidateFactory(prompt=prompt, text="はいはい。", origin=OLD)
    batch = batch_of(project, Kind.POSTEDITING)
    skip(assignment=claim_next(batch=batch, annotator=kei), reason="unclear")
    for _ in range(11):
        slot = claim_next(batch=batch, annotator=kei)
        (shown,) = slot.task.candidate_ids
        payload = {"candidate": shown, "text": "はい、ただ。", "unchanged": False}
        submit(assignment=slot, payload=payload, annotator=kei)
    close_batch(batch=batch, actor=None)
    return batch


def answer_again(project, text="はい、まだ。"):
    for prompt in project.prompts.all():
        CandidateFactory(prompt=prompt, text=text, origin=NEW, created_at=timezone.now() + timedelta(hours=1))


def page_of(client):
    return html.fromstring(client.get(reverse("own_figures", args=["hotel"])).content).text_content()


def test_before_and_after(project, kei, edited):
    assert not answered_again(project, kei).exists()
    answer_again(project)
    changes = changes_of(list(answered_again(project, kei)), "ja")
    assert len(changes) == 11
    # はいはい。 and はい、ただ。 are 3 edits apart, of 6 characters; はい、まだ。 is 1.
    assert {(row.before, row.own, row.after) for row in changes} == {("はいはい。", "はい、ただ。", "はい、まだ。")}
    assert {(row.edits_before, round(row.edits_after, 4)) for row in changes} == {(0.5, 0.1667)}
    effect = effect_of(changes)
    assert (effect.before, round(effect.after, 4), effect.n) == (0.5, 0.1667, 11)
    assert effect.low <= effect.before - effect.after <= effect.high
    assert effect_of(changes[:9]) is None


def test_texts_of_open_batches_stay_unknown(project, kei, edited):
    answer_again(project)
    batch_of(project, Kind.CHOOSING)  # compares the old model with the new one on the same prompts
    assert not answered_again(project, kei).exists()


def test_the_page(project, kei, edited, sign_in):
    client = sign_in(kei)
    text = page_of(client)
    assert "You have given 11 answers in" in text
    assert "No model has answered a text again" in text
    answer_again(project)
    analyse(project)
    text = page_of(client)
    assert "50 %" in text
    assert "17 %" in text
    assert "33 to 33 percentage points" in text
    assert "The model today" in text
    assert "checkpoint" not in text
    assert client.get(reverse("my_work")).content.decode().count(reverse("own_figures", args=["hotel"])) == 1


def test_it_is_the_projects_choice_and_nobody_elses_figures(project, kei, edited, sign_in):
    ken = join(project, Role.ANNOTATOR, name="Ken")
    text = page_of(sign_in(ken))
    assert "You have given 0 answers in" in text
    assert "Kei" not in text
    update_project(project=project, actor=None, shows_own_figures=False)
    assert sign_in(kei).get(reverse("own_figures", args=["hotel"])).status_code == 404
    assert reverse("own_figures", args=["hotel"]) not in sign_in(kei).get(reverse("my_work")).content.decode()
    assert "Annotators do not have it" in page_of(sign_in(join(project, Role.MANAGER)))
