"""What a new project starts with, through the page and the command, and in whose language it is shown."""

import json
import re
from html import unescape

import pytest
from django.core.management import call_command
from django.urls import reverse
from django.utils.translation import get_language, override

from annotation.models import Event, Kind, Project, Role, typology
from annotation.models.typology import ERROR_CATEGORIES, NAMES, REASON_TAGS, label, stored_name
from annotation.projects.settings import create_project
from annotation.queue.claims import claim_next
from tests.annotation.helpers import batch_of, hotel
from tests.factories import UserFactory, join

pytestmark = pytest.mark.django_db
NEW = {
    "name": "Concierge",
    "goal": "persona",
    "source_language": "en",
    "target_language": "en",
    "persona": "A polite hotel concierge.",
    "default_overlap": 1,
    "held_out_share": 0.1,
    "lease_minutes": 60,
    "idle_minutes": 5,
    "edit_hours": 24,
}
ACCURACY = ["Mistranslation", "Omission", "Addition", "Untranslated", "Overtranslation", "Undertranslation"]


@pytest.fixture
def staff(sign_in):
    return sign_in(UserFactory(is_staff=True))


def categories_on(html):
    found = re.search(r'<textarea name="error_categories".*?>\n?(.*?)</textarea>', html, re.S)
    return unescape(found[1]).splitlines()


def tags_of(project):
    return list(project.reason_tags.filter(retired_at=None).values_list("name", flat=True))


def as_posted(names):
    return "\r\n".join(names)


@pytest.fixture
def japanese(monkeypatch):
    """Translations of our own, whatever the catalogue has."""
    words = {"Mistranslation": "誤訳", "Omission": "訳抜け", "Register": "文体", "Meaning": "意味"}
    monkeypatch.setattr(typology, "gettext", lambda name: words.get(name, name) if get_language() == "ja" else name)
    typology.names_by_label.cache_clear()
    yield words
    typology.names_by_label.cache_clear()


def test_a_translation_starts_with_mqm_core_and_reasons(staff):
    shown = categories_on(staff.get("/projects/new/").content.decode())
    assert shown[:6] == ACCURACY
    assert {"Terminology", "Grammar", "Unintelligible", "Register", "Unidiomatic", "Locale", "Audience"} < set(shown)
    staff.post("/projects/new/", NEW | {"goal": "translation", "error_categories": as_posted(shown)})
    project = Project.objects.get()
    assert project.error_categories == shown == list(ERROR_CATEGORIES["translation"])
    assert tags_of(project) == list(REASON_TAGS["translation"])
    created = Event.objects.get(verb="project.created").after
    assert (created["error_categories"], created["reason_tags"]) == (shown, tags_of(project))


def test_replies_start_with_their_own_also_without_a_script(staff):
    shown = categories_on(staff.get("/projects/new/").content.decode())
    # A browser without scripts posts the list that it was shown, which is a translation's.
    staff.post("/projects/new/", NEW | {"error_categories": as_posted(shown)})
    project = Project.objects.get()
    assert project.error_categories == list(ERROR_CATEGORIES["persona"])
    assert {"Wrong fact", "Made-up content", "Does not answer", "Missing content", "Tone", "Unsafe"} < set(
        project.error_categories
    )
    assert "Mistranslation" not in project.error_categories
    assert tags_of(project) == list(REASON_TAGS["persona"])


def test_choosing_the_goal_brings_its_list_but_never_over_what_was_typed(staff):
    def chosen(goal, names):
        posted = NEW | {"goal": goal, "error_categories": as_posted(names), "action": "goal", "name": ""}
        response = staff.post("/projects/new/", posted, headers={"HX-Request": "true"})
        assert response.status_code == 200
        return categories_on(response.content.decode())

    assert chosen("persona", ERROR_CATEGORIES["translation"]) == list(ERROR_CATEGORIES["persona"])
    assert chosen("translation", ERROR_CATEGORIES["persona"]) == list(ERROR_CATEGORIES["translation"])
    assert chosen("persona", ["Keigo", "Omission"]) == ["Keigo", "Omission"]
    assert chosen("persona", []) == []
    assert chosen("conquest", ERROR_CATEGORIES["persona"]) == list(ERROR_CATEGORIES["translation"])
    assert chosen("persona", ["nul\0"]) == []
    assert not Project.objects.exists()


def test_what_was_typed_and_an_empty_list_are_kept(staff):
    staff.post("/projects/new/", NEW | {"error_categories": "Keigo\r\nOmission"})
    staff.post("/projects/new/", NEW | {"name": "None", "error_categories": ""})
    assert [project.error_categories for project in Project.objects.order_by("pk")] == [["Keigo", "Omission"], []]


@pytest.mark.parametrize("goal", ["translation", "persona"])
def test_the_command_starts_with_them_too(goal):
    call_command("create_project", "hotel", "--name", "Hotel", "--goal", goal, "--persona", "Polite.")
    project = Project.objects.get()
    assert project.error_categories == list(ERROR_CATEGORIES[goal])
    assert tags_of(project) == list(REASON_TAGS[goal])


def test_an_action_that_names_them_gets_those():
    project = create_project(
        name="Own",
        goal="translation",
        source_language="en",
        target_language="ja",
        error_categories=["Keigo"],
        reason_tags=["politer", "politer ", ""],
        actor=None,
    )
    assert (project.error_categories, tags_of(project)) == (["Keigo"], ["politer"])


def test_a_mark_of_a_new_project_is_asked_and_stored(sign_in):
    project = hotel(prompts=1, error_categories=list(ERROR_CATEGORIES["translation"]))
    batch = batch_of(project, Kind.SCORING, alternatives=1)
    kei = join(project, Role.ANNOTATOR)
    client = sign_in(kei)
    held = claim_next(batch=batch, annotator=kei)
    page = client.get(reverse("work", args=[batch.pk])).content.decode()
    assert 'data-value="Undertranslation"' in page
    marks = [{"start": 0, "end": 2, "category": "Undertranslation", "severity": "minor"}]
    form = {"score-a-meaning": "4", "score-a-register": "2", "spans-a": json.dumps(marks)}
    assert client.post(reverse("submit", args=[held.pk]), form).status_code in (200, 302)
    payload = held.annotations.get().payload
    assert payload["spans"][str(held.task.candidate_ids[0])][0]["category"] == "Undertranslation"


# ---- languages ----


def test_names_are_distinct_in_every_list_and_language_and_fit():
    for language in ("en", "ja"):
        with override(language):
            labels = [label(name) for name in sorted(NAMES)]
            assert len(set(labels)) == len(labels)
    for names in ERROR_CATEGORIES.values():
        assert len(names) <= 20, "each has a key"
    for names in REASON_TAGS.values():
        assert len(names) <= 10, "each has a key"
        assert all(len(name) <= 40 for name in names)


def test_a_japanese_manager_reads_and_saves_them_in_japanese(sign_in, japanese):
    project = hotel(prompts=0, error_categories=["Mistranslation", "Omission", "Keigo"])
    client = sign_in(join(project, Role.MANAGER, language="ja"))
    address = reverse("project_settings", args=[project.slug])
    assert categories_on(client.get(address).content.decode()) == ["誤訳", "訳抜け", "Keigo"]
    posted = NEW | {"error_categories": as_posted(["訳抜け", "誤訳", "数字"])}
    client.post(address, posted)
    project.refresh_from_db()
    assert project.error_categories == ["Omission", "Mistranslation", "数字"]
    tags = reverse("settings_reasons", args=[project.slug])
    assert "文体\n意味\nFluency" in client.get(tags).content.decode()
    client.post(tags, {"names": "意味"})
    assert tags_of(project) == ["Meaning"]
    assert "文体" in client.get(tags).content.decode(), "retired ones, too"


def test_a_name_that_a_project_typed_in_japanese_stays_its_own(sign_in, japanese):
    project = hotel(prompts=0, error_categories=["誤訳", "Omission"])
    client = sign_in(join(project, Role.MANAGER, language="ja"))
    client.post(reverse("project_settings", args=[project.slug]), NEW | {"error_categories": "誤訳\r\n訳抜け"})
    project.refresh_from_db()
    assert project.error_categories == ["誤訳", "Omission"]
    assert stored_name("誤訳") == "Mistranslation"
    assert label("Meeting") == "Meeting"


def test_annotators_are_asked_in_their_language_and_answers_store_the_name(sign_in, japanese):
    project = hotel(prompts=1, error_categories=["Mistranslation", "Keigo"])
    project.reason_tags.filter(name="Fluency").delete()
    kei = join(project, Role.ANNOTATOR, language="ja")
    client = sign_in(kei)
    scoring, choosing = batch_of(project, Kind.SCORING), batch_of(project, Kind.CHOOSING)
    held = claim_next(batch=scoring, annotator=kei)
    page = client.get(reverse("work", args=[scoring.pk])).content.decode()
    assert re.search(r'data-value="Mistranslation".*?<span>誤訳</span>', page, re.S)
    marks = [{"start": 0, "end": 2, "category": "Mistranslation", "severity": "minor"}]
    form = {"score-a-meaning": "4", "score-a-register": "2", "spans-a": json.dumps(marks)}
    client.post(reverse("submit", args=[held.pk]), form)
    assert "誤訳" in client.get(reverse("my_answer", args=[held.annotations.get().pk])).content.decode()
    other = claim_next(batch=choosing, annotator=kei)
    page = client.get(reverse("work", args=[choosing.pk])).content.decode()
    assert re.search(r'name="reasons" value="Register".*?文体', page, re.S)
    client.post(reverse("submit", args=[other.pk]), {"choice": "a", "reasons": ["Register"]})
    assert other.annotations.get().payload["reasons"] == ["Register"]
    assert "文体" in client.get(reverse("my_answer", args=[other.annotations.get().pk])).content.decode()
