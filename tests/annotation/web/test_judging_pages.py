"""Rankings, marks, fixes and texts side by side through the pages, as a browser without JavaScript sends them."""

import json
import re

import pytest
from django.core.management import call_command
from django.urls import reverse

from annotation.models import Annotation, Assignment, Batch, Candidate, Kind, Prompt, Role
from tests.annotation.helpers import ONE, TWO, batch_of, hotel
from tests.factories import CandidateFactory, join

pytestmark = pytest.mark.django_db


@pytest.fixture
def project():
    project = hotel(prompts=1)
    CandidateFactory(prompt=Prompt.objects.get(), text="三つ目の訳です。", origin="checkpoint:9")
    return project


def begin(sign_in, project, batch):
    client = sign_in(join(project, Role.ANNOTATOR, name="Kei Sato"))
    page = client.get(reverse("work", args=[batch.pk]))
    return client, page.content.decode(), Assignment.objects.get(batch=batch, state="held")


def test_a_ranking_without_javascript_and_how_it_reads(sign_in, project):
    batch = batch_of(project, alternatives=3)
    client, page, held = begin(sign_in, project, batch)
    assert re.findall(r'<select id="(rank-.)"', page) == ["rank-a", "rank-b", "rank-c"]
    url = reverse("submit", args=[held.pk])
    refused = client.post(url, {"rank-a": "1", "rank-b": "2"})
    assert refused.status_code == 422
    assert "C has no place yet." in refused.content.decode()
    assert re.search(r'id="rank-c" name="rank-c" data-letter="c" aria-invalid="true"', refused.content.decode())
    client.post(url, {"rank-a": "2", "rank-b": "1", "rank-c": "2", "fix-b": "直した訳です。"})
    payload = Annotation.objects.get().payload
    a, b, c = payload["shown"]
    assert (payload["ranking"], payload["fixes"]) == ([[b], [a, c]], {str(b): "直した訳です。"})
    mine = client.get(reverse("my_work")).content.decode()
    texts = dict(Candidate.objects.values_list("pk", "text"))
    first, _, rest = mine.partition("</li>")
    assert "Ranked" in mine
    assert texts[b] in first
    assert all(texts[key] in rest for key in (a, c))
    assert "equally good" in rest
    client = sign_in(join(project, Role.MANAGER))
    assert "Ranked" in client.get(reverse("batch", args=[batch.pk])).content.decode()


def test_outputs_that_read_the_same_are_not_asked_about(sign_in, project):
    batch = batch_of(project)
    Candidate.objects.update(text="同じ訳です。\r\n")
    client, page, held = begin(sign_in, project, batch)
    assert "there is nothing to choose" in page
    assert 'type="radio" name="choice"' not in page
    client.post(reverse("submit", args=[held.pk]), {"choice": "tie"})
    assert Annotation.objects.get().payload["choice"] == "tie"


@pytest.mark.parametrize(("kind", "alternatives"), [(Kind.CHOOSING, 3), (Kind.SCORING, 3)])
def test_several_texts_are_as_blind_as_two(sign_in, project, kind, alternatives):
    project.show_total = True
    project.save()
    for candidate in Candidate.objects.order_by("pk"):  # ids that mean something where they are found
        Candidate.objects.filter(pk=candidate.pk).update(id=candidate.pk + 8_100_000)
    batch = batch_of(project, kind, alternatives=alternatives)
    _, page, _ = begin(sign_in, project, batch)
    for origin in (ONE, TWO, "checkpoint:9"):
        assert origin not in page
    assert page.count("data-text=") == 3
    assert not re.search(r"\b81\d{5}\b", page), "a candidate's id is in the page"


def test_marks_read_back_on_the_page_of_the_task(sign_in, project):
    batch = batch_of(project, Kind.SCORING, origins=["checkpoint:9"])
    client, _, held = begin(sign_in, project, batch)
    marks = [{"start": 0, "end": 3, "category": "Style", "severity": "critical"}]
    form = {"score-a-meaning": "5", "score-a-register": "3", "spans-a": json.dumps(marks)}
    client.post(reverse("draft", args=[held.pk]), form)
    again = client.get(reverse("work", args=[batch.pk])).content.decode()
    assert "&quot;category&quot;: &quot;Style&quot;" in again
    client.post(reverse("submit", args=[held.pk]), form)
    reviewer = sign_in(join(project, Role.REVIEWER))
    listed = reviewer.get(reverse("batch", args=[batch.pk])).content.decode()
    assert "1 mark" in listed
    assert "Meaning 5: Perfect · Register 3: Polite" in listed
    seen = reviewer.get(reverse("task", args=[held.task_id])).content.decode()
    assert '<mark class="mark bad">三つ目</mark><sup class="mark-note">1</sup>' in seen
    assert "Style · Critical" in seen
    assert "Meaning 5: Perfect · Register 3: Polite" in seen


def test_a_command_opens_a_ranking(project, capsys):
    call_command("open_batch", project.slug, "choosing", "--alternatives", "3")
    assert capsys.readouterr().out.endswith(": 1 task, overlap 1\n")
    assert Batch.objects.get().alternatives == 3
