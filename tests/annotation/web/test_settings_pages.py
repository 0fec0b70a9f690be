"""Home, a new project, and its settings, through the pages and without JavaScript."""

import pytest

from annotation.models import Assignment, Batch, Event, Project, Role, Task
from annotation.projects.aspects import save_aspects
from annotation.projects.guidelines import publish_guideline
from annotation.projects.reasons import save_reason_tags
from tests.factories import ProjectFactory, PromptFactory, UserFactory, join

pytestmark = pytest.mark.django_db
SETTINGS = "/projects/hotel/settings/"


@pytest.fixture
def project():
    return ProjectFactory(name="Hotel replies", slug="hotel")


@pytest.fixture
def hana(project):
    return join(project, Role.MANAGER, name="Hana")


@pytest.fixture
def manager(sign_in, hana):
    return sign_in(hana)


def text(response, status=200):
    assert response.status_code == status, response.content.decode()[:2000]
    return response.content.decode()


def open_batch(project, name, tasks=1):
    batch = Batch.objects.create(project=project, name=name, kind="writing", overlap=1, seed=1)
    for position in range(tasks):
        task = Task.objects.create(batch=batch, prompt=PromptFactory(project=project), position=position)
        Assignment.objects.create(task=task, batch=batch, slot=0, position=position)
    return batch


# ---- home ----


def test_home_says_what_waits(sign_in, project):
    kei = join(project, Role.ANNOTATOR)
    first, done = open_batch(project, "Lobby"), open_batch(project, "Breakfast")
    Assignment.objects.filter(batch=done).update(state="done", annotator=kei)
    page = text(sign_in(kei).get("/"))
    assert "<h1>One batch has work for you</h1>" in page
    assert f"/batches/{first.pk}/work/" in page
    assert "1 done by you" in page
    open_batch(project, "Pool")
    assert "Two batches have work for you" in text(sign_in(kei).get("/"))
    assert "New project" not in page


def test_home_with_nothing(sign_in, project):
    assert "You are not in a project yet" in text(sign_in(UserFactory()).get("/"))
    page = text(sign_in(join(project, Role.ANNOTATOR)).get("/"))
    assert "Nothing waits for you" in page
    assert "Hotel replies" in page


def test_home_asks_the_database_the_same_however_much_there_is(sign_in, project, django_assert_num_queries):
    kei = join(project, Role.ANNOTATOR)
    open_batch(project, "One")
    client = sign_in(kei)
    client.get("/")
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as before:
        client.get("/")
    for number in range(5):
        open_batch(project, f"More {number}", tasks=3)
        other = ProjectFactory()
        other.memberships.create(user=kei, role=Role.REVIEWER)
    with django_assert_num_queries(len(before)):
        client.get("/")


# ---- a new project ----

NEW = {
    "name": "Concierge",
    "goal": "persona",
    "source_language": "en",
    "target_language": "en",
    "persona": "A polite hotel concierge.",
    "default_overlap": 3,
    "held_out_share": 0.1,
    "lease_minutes": 60,
    "idle_minutes": 5,
    "edit_hours": 24,
    "error_categories": "Omission",
}


@pytest.mark.parametrize("fields", [{"is_staff": True}, {"is_superuser": True}])
def test_staff_create_projects(sign_in, fields):
    user = UserFactory(**fields)
    client = sign_in(user)
    assert "New project" in text(client.get("/"))
    assert "What should the model learn?" in text(client.get("/projects/new/"))
    response = client.post("/projects/new/", NEW)
    assert response.url == "/projects/concierge/settings/guideline/"
    project = Project.objects.get()
    assert project.memberships.get(user=user).role == Role.MANAGER
    assert project.persona == "A polite hotel concierge."


def test_others_do_not(sign_in, hana):
    client = sign_in(hana)
    assert client.get("/projects/new/").status_code == 403
    assert client.post("/projects/new/", NEW).status_code == 403
    assert Project.objects.count() == 1


def test_a_faulty_project_form_keeps_what_was_typed(sign_in):
    client = sign_in(UserFactory(is_staff=True))
    page = text(client.post("/projects/new/", NEW | {"persona": "", "source_language": "Klingon!"}), 422)
    assert 'value="Concierge"' in page
    assert "“Klingon!” is not a BCP 47 language tag. Did you mean tlh (Klingon)?" in page
    assert "Say who answers" in page
    page = text(client.post("/projects/new/", NEW | {"target_language": "en-UK"}), 422)
    assert "Did you mean en-GB (British English)?" in page
    assert 'list="language-tags"' in page
    assert '<option value="ja">Japanese</option>' in page
    assert not Project.objects.exists()


# ---- general ----


def test_general_settings(manager, project):
    data = NEW | {"name": "Hotel, polite", "goal": "translation", "target_language": "ja"}
    assert "Saved." in text(manager.post(SETTINGS, data, follow=True))
    project.refresh_from_db()
    assert (project.name, project.slug, project.default_overlap) == ("Hotel, polite", "hotel", 3)
    page = text(manager.post(SETTINGS, data | {"default_overlap": 0}), 422)
    assert "greater than or equal to 1" in page
    assert "Hotel, polite" in page


def test_how_people_work_is_set_there_too(manager, project, hana):
    page = text(manager.get(SETTINGS))
    for heading in ("General", "Assignment", "Annotating", "Scoring and choosing"):
        assert f"<legend>{heading}</legend>" in page
    assert "Mistranslation\nOmission" in page, "kinds of error, one a line"
    said = {
        "avoid_seen": "on",
        "lease_minutes": 30,
        "idle_minutes": 2,
        "edit_hours": 0,
        "show_total": "on",
        "reasons_by_side": "on",
        "error_categories": " Wrong  term\r\nOmission\r\n\r\nOmission\r\n",
    }
    text(manager.post(SETTINGS, NEW | said, follow=True))
    project.refresh_from_db()
    assert (project.avoid_seen, project.show_total, project.reasons_by_side) == (True, True, True)
    assert (project.lease_minutes, project.idle_minutes, project.edit_hours) == (30, 2, 0)
    assert project.error_categories == ["Wrong term", "Omission"]
    event = Event.objects.get(verb="project.changed")
    assert (event.actor, event.before["edit_hours"], event.after["edit_hours"]) == (hana, 24, 0)
    text(manager.post(SETTINGS, NEW | {"error_categories": ""}, follow=True))
    project.refresh_from_db()
    assert (project.error_categories, project.avoid_seen) == ([], False)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"idle_minutes": 0}, "greater than or equal to 1"),
        ({"idle_minutes": 121}, "less than or equal to 120"),
        ({"edit_hours": -1}, "greater than or equal to 0"),
        ({"edit_hours": 9000}, "At most a year"),
        ({"error_categories": "x" * 61}, "longer than 60"),
        ({"error_categories": "\r\n".join(map(str, range(41)))}, "At most 40"),
    ],
)
def test_settings_that_cannot_be_are_refused_beside_their_field(manager, project, changes, words):
    page = text(manager.post(SETTINGS, NEW | changes), 422)
    assert words in page
    assert "Please fix the fields marked below" in page
    project.refresh_from_db()
    assert project.name == "Hotel replies"


# ---- guideline ----


def test_write_preview_publish(manager, project, hana):
    address = f"{SETTINGS}guideline/"
    assert "No guideline yet" in text(manager.get(address))
    data = {"text": "# Tone\n\nBe *polite*.<script>", "based_on": 0}
    page = text(manager.post(address, data | {"action": "preview"}))
    assert "<h2>Tone</h2>" in page
    assert "&lt;script&gt;" in page
    assert not project.guidelines.exists()
    assert "Version 1 is now current." in text(manager.post(address, data | {"action": "publish"}, follow=True))
    manager.post(address, {"text": "# Tone\n\nBe *very* polite.", "based_on": 1, "action": "publish"})
    page = text(manager.get(f"{address}2/"))
    assert "Changes in version 2" in page
    assert "<ins>" in page
    assert "Version 1 is the first" in text(manager.get(f"{address}1/"))
    assert manager.get(f"{address}3/").status_code == 404


def test_two_writers_lose_nothing(manager, project, hana):
    address = f"{SETTINGS}guideline/"
    publish_guideline(project=project, text="Be polite.", based_on=0, actor=hana)
    publish_guideline(project=project, text="Be polite. Be brief.", based_on=1, actor=hana)
    mine = {"text": "Be polite. Never argue.", "based_on": 1, "action": "publish"}
    page = text(manager.post(address, mine), 409)
    assert "Version 2 was published while you were writing on version 1" in page
    assert "Never argue." in page, "what was typed is still in the form"
    assert "Changes made meanwhile in version 2" in page
    assert "<ins> Be brief." in page
    assert 'name="based_on" value="2"' in page
    assert project.guidelines.count() == 2
    manager.post(address, {"text": "Be polite. Be brief. Never argue.", "based_on": 2, "action": "publish"})
    assert project.guidelines.first().version == 3


def test_a_guideline_too_long_or_unchanged(manager, project, hana):
    address = f"{SETTINGS}guideline/"
    publish_guideline(project=project, text="Be polite.", based_on=0, actor=hana)
    page = text(manager.post(address, {"text": "Be polite.", "based_on": 1}), 422)
    assert "word for word" in page
    page = text(manager.post(address, {"text": "x" * 100_001, "based_on": 1}), 422)
    assert "at most 100000 characters" in page


# ---- aspects and weights ----

MEANING = {"name": "Meaning", "question": "Is it all there?", "anchors": "None\r\nSome\r\n\r\nAll"}


def test_aspects_come_change_and_retire(manager, project):
    page = text(manager.post(f"{SETTINGS}aspects/", MEANING, follow=True))
    assert "Scoring asks one question" in page
    aspect = project.aspects.get()
    assert aspect.anchors == ["None", "Some", "All"]
    manager.post(f"{SETTINGS}aspects/{aspect.pk}/", MEANING | {"name": "Sense"})
    aspect.refresh_from_db()
    assert (aspect.key, aspect.name) == ("meaning", "Sense")
    page = text(manager.post(f"{SETTINGS}aspects/{aspect.pk}/retire/", follow=True))
    assert "Retired" in page
    page = text(manager.post(f"{SETTINGS}aspects/{aspect.pk}/retire/", follow=True))
    assert "already" in page
    manager.post(f"{SETTINGS}aspects/{aspect.pk}/restore/")
    aspect.refresh_from_db()
    assert aspect.retired_at is None


def test_a_faulty_aspect_is_shown_where_it_was_typed(manager, project):
    page = text(manager.post(f"{SETTINGS}aspects/", MEANING | {"anchors": "only one"}), 422)
    assert "2 to 9 sentences" in page
    assert "only one" in page
    assert not project.aspects.exists()
    save_aspects(project=project, aspects=[{"name": "Meaning", "anchors": ["a", "b"]}], actor=None)
    aspect = project.aspects.get()
    page = text(manager.post(f"{SETTINGS}aspects/{aspect.pk}/", MEANING | {"name": ""}), 422)
    assert '<details class="card aspect" open>' in page


def test_an_aspect_of_another_project_is_not_there(manager):
    other = ProjectFactory()
    (aspect,) = save_aspects(project=other, aspects=[{"name": "Meaning", "anchors": ["a", "b"]}], actor=None)
    for path in ("", "retire/", "restore/"):
        assert manager.post(f"{SETTINGS}aspects/{aspect.pk}/{path}", MEANING).status_code == 404


def test_weights_get_versions(manager, project):
    save_aspects(
        project=project,
        aspects=[{"name": "Meaning", "anchors": ["a", "b"]}, {"key": "based_on", "name": "B", "anchors": ["a", "b"]}],
        actor=None,
    )
    address = f"{SETTINGS}weights/"
    page = text(manager.post(address, {"weight-meaning": "2.5", "weight-based_on": "1", "based_on": 1}, follow=True))
    assert "Weights 2 apply" in page
    assert project.weight_sets.first().weights == {"meaning": 2.5, "based_on": 1.0}
    page = text(manager.post(address, {"weight-meaning": "9", "weight-based_on": "1", "based_on": 1}), 409)
    assert "Weights 2 were saved while you were editing weights 1" in page
    assert 'value="9"' in page
    page = text(manager.post(address, {"weight-meaning": "much", "weight-based_on": "1", "based_on": 2}), 422)
    assert "Enter a number" in page
    text(manager.post(address, {"weight-meaning": "0", "weight-based_on": "0", "based_on": 2}), 422)
    assert project.weight_sets.count() == 2


# ---- reason tags ----


def test_reason_tags_are_lines(manager, project):
    page = text(manager.post(f"{SETTINGS}reasons/", {"names": "Register\r\n Meaning\r\n\r\n"}, follow=True))
    assert "Annotators choose from two reasons" in page
    assert [tag.name for tag in project.reason_tags.all()] == ["Register", "Meaning"]
    save_reason_tags(project=project, names=["Meaning"], actor=None)
    assert "Retired: Register" in text(manager.get(f"{SETTINGS}reasons/"))
    page = text(manager.post(f"{SETTINGS}reasons/", {"names": "x" * 50}), 422)
    assert "longer than 40" in page


# ---- people ----


def test_people_and_invitations_are_listed_once_each(manager, project):
    join(project, Role.ANNOTATOR, name="Kei", email="kei@example.org")
    page = text(manager.post(f"{SETTINGS}people/", {"role": "annotator", "email": "kei@example.org"}), 409)
    assert "member of Hotel replies already" in page
    page = text(manager.post(f"{SETTINGS}people/", {"role": "annotator", "email": "nonsense"}), 422)
    assert "valid email" in page
    assert "Two people are in this project" in text(manager.get(f"{SETTINGS}people/"))
    assert "no-store" in manager.get(f"{SETTINGS}people/").headers["Cache-Control"], "links are secrets"
