"""The Quality page says the stored figures in words, with intervals, to those who may see them; CSV has all of them."""

import csv
import io

import pytest
from django.test import Client
from django.urls import reverse

from annotation.members.accounts import BACKEND
from annotation.models import Analysis, Annotation, Candidate, Role
from annotation.quality.run import assess
from tests.annotation.datasets.test_soft_labels import PROMPTS, Crowd
from tests.factories import join

pytestmark = pytest.mark.django_db


@pytest.fixture
def crowd():
    return Crowd()


def page_of(person, name="quality"):
    client = Client()
    client.force_login(person, backend=BACKEND)
    return client.get(reverse(name, args=["hotel"]))


def words(response):
    return " ".join(response.content.decode().split())


def test_figures_stand_with_their_intervals_and_origins_and_names_are_for_those_who_may_see_them(crowd):
    manager, reviewer = (join(crowd.project, role) for role in (Role.MANAGER, Role.REVIEWER))
    assert "Nothing has been analysed yet" in words(page_of(manager))
    assert page_of(crowd.people[0]).status_code in (403, 404)
    assess(crowd.project)
    stored = Analysis.objects.get(project=crowd.project, name="quality").result
    alpha = stored["agreement"][0]["alpha"]
    page = words(page_of(manager))
    assert f"Of {3 * PROMPTS} answers" in page
    assert f"{alpha['value']:.2f}" in page
    assert f"{alpha['low']:.2f} – {alpha['high']:.2f}" in page
    assert "50 more gold pairs with answers are needed" in page
    for person in crowd.people:
        assert str(person) in page
    origin = Candidate.objects.filter(prompt__project=crowd.project).first().origin
    assert origin in page
    seen = words(page_of(reviewer))
    assert origin not in seen
    assert str(crowd.people[0]) in seen
    crowd.project.review_anonymous = True
    crowd.project.save(update_fields=["review_anonymous"])
    blind, file = words(page_of(reviewer)), words(page_of(reviewer, "quality_file"))
    for person in crowd.people:
        assert str(person) not in blind
        assert str(person) not in file
    assert str(crowd.people[0]) in words(page_of(manager))


def test_the_file_has_every_figure_unrounded(crowd):
    manager = join(crowd.project, Role.MANAGER)
    assess(crowd.project)
    stored = Analysis.objects.get(project=crowd.project, name="quality").result
    text = page_of(manager, "quality_file").content.decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text)))
    by_section = {}
    for row in rows:
        by_section.setdefault(row["section"], []).append(row)
    (alpha,) = [row for row in by_section["agreement"] if row["figure"] == "alpha"]
    assert float(alpha["value"]) == stored["agreement"][0]["alpha"]["value"]
    assert len(by_section["pair of people"]) == 2 * 3, "percent and kappa of three pairs"
    assert {row["of"] for row in by_section["person"]} == {person.name for person in crowd.people}
    accuracy = {row["of"]: float(row["value"]) for row in by_section["person"] if row["figure"] == "accuracy"}
    worst = crowd.people[2]
    assert min(accuracy, key=accuracy.get) == worst.name, "who is mostly wrong is found"
    assert {row["undefined"] for row in by_section["person"] if row["figure"] == "right"} == {"too few"}


def test_answers_without_variation_are_undefined_and_not_1(crowd):
    for answer in Annotation.objects.all():
        better = min(answer.payload["shown"])
        Annotation.objects.filter(pk=answer.pk).update(payload={**answer.payload, "chosen": better})
    assess(crowd.project)
    figures = Analysis.objects.get(project=crowd.project, name="quality").result["agreement"][0]
    assert (figures["percent"]["value"], figures["alpha"]["value"]) == (1.0, None)
    page = words(page_of(join(crowd.project, Role.MANAGER)))
    assert "undefined: no variation" in page
    assert "1.00" not in page


def test_the_dashboard_opens_while_only_the_quality_is_computed(crowd):
    assess(crowd.project)
    page = page_of(join(crowd.project, Role.MANAGER), "dashboard")
    assert page.status_code == 200
    assert "Nothing has been analysed yet" in words(page)
