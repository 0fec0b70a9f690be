"""The guideline beside a task: what holds now, what is new to this person, and their word that they have read it."""

import pytest
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from lxml import html

from annotation.models import Event, GuidelineReading, Role
from annotation.projects.guidelines import guideline_news, publish_guideline
from tests.factories import ProjectFactory, join

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}
FIRST = "# Tone\n\nBe *polite*.\n\nOne.\n\nTwo.\n\nThree.\n\nFour.\n\nFive.\n\nAnswer in Japanese.\n"


@pytest.fixture
def project():
    project = ProjectFactory(slug="hotel")
    publish_guideline(project=project, text=FIRST, based_on=0, actor=None)
    return project


def panel(client, **options):
    return client.get("/projects/hotel/guideline/panel/", headers=HTMX, **options).content.decode()


def has_read(client, version, headers=HTMX):
    return client.post("/projects/hotel/guideline/panel/", {"version": version}, headers=headers)


def test_hana_reads_a_version_and_is_shown_what_the_next_one_changes(sign_in, project):
    hana = join(project, Role.ANNOTATOR)
    client = sign_in(hana)
    assert "You have not read this guideline yet" in panel(client)
    assert not GuidelineReading.objects.exists(), "showing is not reading"
    assert guideline_news(hana, project) == 1
    answer = has_read(client, 1).content.decode()
    assert "Marked as read" in answer
    assert 'id="guideline-news" hidden hx-swap-oob' in answer
    assert guideline_news(hana, project) is None
    assert "You read this version" in panel(client)
    publish_guideline(project=project, text=FIRST.replace("polite", "<b>formal</b>"), based_on=1, actor=None)
    assert guideline_news(hana, project) == 2
    html = panel(client)
    assert "Changed since you read version 1" in html
    assert "added:" in html
    assert "removed:" in html
    assert "<b>formal" not in html
    changes = html[html.index("difference") : html.index("<article")]
    assert "formal" in changes
    assert "Answer in Japanese." not in changes, "what did not change is left out"
    assert "Answer in Japanese." in html[html.index("<article") :], "the whole text follows"
    has_read(client, 2)
    assert Event.objects.filter(verb="guideline.read").count() == 2
    assert Event.objects.filter(verb="guideline.read").latest("pk").before == {"version": 1}


def test_a_version_published_while_she_read_is_still_news(sign_in, project):
    hana = join(project, Role.ANNOTATOR)
    client = sign_in(hana)
    publish_guideline(project=project, text="Be brief.", based_on=1, actor=None)
    has_read(client, 1)
    assert guideline_news(hana, project) == 2
    has_read(client, 2)
    has_read(client, 1)  # an old page, sent late
    assert guideline_news(hana, project) is None


def test_without_javascript_it_is_a_page(sign_in, project):
    hana = join(project, Role.ANNOTATOR)
    client = sign_in(hana)
    assert client.get("/projects/hotel/guideline/panel/").url == "/projects/hotel/guideline/"
    assert "Mark as read" in client.get("/projects/hotel/guideline/").content.decode()
    answer = has_read(client, 1, headers={})
    assert answer.url == "/projects/hotel/guideline/"
    assert "Mark as read" not in client.get(answer.url).content.decode()
    assert has_read(client, "99").status_code == has_read(client, "x").status_code == 404


def test_readings_are_each_persons_own_and_news_is_one_query(sign_in, project, django_assert_num_queries):
    hana, ken = join(project, Role.ANNOTATOR), join(project, Role.ANNOTATOR)
    has_read(sign_in(hana), 1)
    with django_assert_num_queries(1):
        assert guideline_news(ken, project) == 1
    assert guideline_news(hana, ProjectFactory()) is None


def test_the_panel_takes_as_many_queries_with_many_versions(sign_in, project):
    from django.db import connection

    client = sign_in(join(project, Role.ANNOTATOR))
    has_read(client, 1)
    counts = []
    for version in range(1, 8):
        publish_guideline(project=project, text=f"Version {version}", based_on=version, actor=None)
        with CaptureQueriesContext(connection) as captured:
            panel(client)
        counts.append(len(captured))
    assert len(set(counts)) == 1, counts


def test_a_project_without_a_guideline_says_so(sign_in):
    empty = ProjectFactory()
    client = sign_in(join(empty, Role.ANNOTATOR))
    html = client.get(reverse("guideline_panel", args=[empty.slug]), headers=HTMX).content.decode()
    assert "no guideline yet" in html


def test_changes_are_shown_as_they_read_and_not_as_markdown(sign_in):
    project = ProjectFactory(slug="hotel")
    first = "# 口調\n\n丁寧に答える。\n\n- greet\n- thank\n\n| a | b |\n|---|---|\n| x | y |\n"
    publish_guideline(project=project, text=first, based_on=0, actor=None)
    client = sign_in(join(project, Role.MANAGER))
    has_read(client, 1)
    second = (
        first.replace("丁寧に", "**とても**丁寧に").replace("- thank", "- thank *warmly*").replace("| y |", "| z |")
    )
    publish_guideline(project=project, text=second, based_on=1, actor=None)
    settings = client.get(reverse("settings_guideline_version", args=["hotel", 2])).content.decode()
    for page in (panel(client), settings):
        shown = html.fromstring(page).xpath('//div[contains(@class, "difference")]')[0]
        assert not set("*#|") & set(shown.text_content())
        assert [" ".join(part.text_content().split()) for part in shown.iter("ins")] == [
            "added: とても",
            "added: warmly",
            "added: z",
        ]
        assert [" ".join(part.text_content().split()) for part in shown.iter("del")] == ["removed: y"]
