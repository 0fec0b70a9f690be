"""What a manager decides, as actions: each leaves an event, and what labels refer to is never edited away."""

import pytest
from django.core.management import CommandError, call_command

from annotation.core.errors import Conflict, InvalidInput
from annotation.members.memberships import add_member
from annotation.models import Annotation, Aspect, Assignment, Batch, Event, Guideline, Project, Role, Task
from annotation.projects.aspects import restore_aspect, retire_aspect, save_aspect, save_aspects, save_weights
from annotation.projects.guidelines import publish_guideline
from annotation.projects.reasons import save_reason_tags
from annotation.projects.settings import create_project, update_project
from annotation.text.differences import differences
from tests.factories import PASSWORD, PromptFactory, UserFactory

pytestmark = pytest.mark.django_db
BASICS = {"goal": "translation", "source_language": "en", "target_language": "ja"}
FIVE = ["Unusable", "Poor", "Fair", "Good", "Perfect"]


@pytest.fixture
def hana():
    return UserFactory(name="Hana")


@pytest.fixture
def project(hana):
    return create_project(name="Hotel replies", actor=hana, **BASICS)


def test_who_creates_a_project_manages_it(project, hana):
    assert project.slug == "hotel-replies"
    assert project.memberships.get().role == Role.MANAGER
    verbs = list(Event.objects.order_by("id").values_list("verb", "actor"))
    assert verbs == [("project.created", hana.pk), ("member.added", hana.pk)]


def test_addresses_are_free_and_never_a_page_of_ours(hana, project):
    assert create_project(name="Hotel replies", actor=hana, **BASICS).slug == "hotel-replies-2"
    assert create_project(name="好み", actor=hana, **BASICS).slug == "project"
    assert create_project(name="New", actor=hana, **BASICS).slug == "new-project"
    with pytest.raises(Conflict, match="hotel-replies"):
        create_project(name="Other", slug="hotel-replies", actor=hana, **BASICS)


@pytest.mark.parametrize(
    ("wrong", "right"),
    [("jp", "ja (Japanese)"), ("jpn", "ja"), ("en-UK", "en-GB (British English)"), ("English", "en")],
)
def test_a_wrong_language_tag_is_refused_with_the_right_one(hana, project, wrong, right):
    for field in ("source_language", "target_language"):
        with pytest.raises(InvalidInput) as refused:
            create_project(**({"name": "X", "actor": hana} | BASICS | {field: wrong}))
        assert right in dict(refused.value.problems)[field]
        with pytest.raises(InvalidInput, match=f"Did you mean {right.split()[0]} "):
            update_project(project=project, actor=hana, **{field: wrong})


def test_a_project_that_has_a_wrong_tag_stays_usable(hana, project):
    Project.objects.update(target_language="jp")
    row = update_project(project=project, actor=hana, name="Renamed", target_language="jp", source_language="en-US")
    assert (row.name, row.source_language, row.target_language) == ("Renamed", "en-US", "jp")
    with pytest.raises(InvalidInput):
        update_project(project=project, actor=hana, target_language="jpn")
    assert update_project(project=project, actor=hana, target_language="ja").target_language == "ja"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"source_language": "English, I think"}, "source_language"),
        ({"goal": "persona"}, "persona"),
        ({"goal": "conquest"}, "goal"),
        ({"default_overlap": 0}, "default_overlap"),
        ({"held_out_share": 1.0}, "held_out_share"),
        ({"name": ""}, "name"),
    ],
)
def test_nonsense_is_refused_by_field_and_leaves_nothing(hana, changes, field):
    with pytest.raises(InvalidInput) as refused:
        create_project(**({"name": "X", "actor": hana} | BASICS | changes))
    assert field in dict(refused.value.problems)
    assert not Project.objects.exists()
    assert not Event.objects.exists()


def test_a_change_leaves_what_it_was(project, hana):
    update_project(project=project, actor=hana, name="Hotel, polite", default_overlap=3)
    event = Event.objects.get(verb="project.changed")
    assert event.before == {"name": "Hotel replies", "default_overlap": 1}
    assert event.after == {"name": "Hotel, polite", "default_overlap": 3}
    update_project(project=project, actor=hana, default_overlap=3)
    assert Event.objects.filter(verb="project.changed").count() == 1, "no change, no event"


# ---- guideline ----


def test_guidelines_are_versions_and_the_second_writer_is_told(project, hana):
    first = publish_guideline(project=project, text="Be polite.\r\n", based_on=0, actor=hana)
    assert (first.version, first.text) == (1, "Be polite.\n")
    publish_guideline(project=project, text="Be polite. Be brief.", based_on=1, actor=hana)
    with pytest.raises(Conflict, match="Version 2 was published"):
        publish_guideline(project=project, text="Be kind.", based_on=1, actor=hana)
    with pytest.raises(InvalidInput, match="changed"):
        publish_guideline(project=project, text="Be polite. Be brief.", based_on=2, actor=hana)
    with pytest.raises(InvalidInput, match="empty"):
        publish_guideline(project=project, text=" \n ", based_on=2, actor=hana)
    assert list(project.guidelines.values_list("version", flat=True)) == [2, 1]
    assert Guideline.objects.get(version=1).text == "Be polite.\n"


def test_differences_read_as_the_new_text():
    old, new = "Be polite.\nKeep it.\nOld line.\n", "Be very polite.\nKeep it.\n"
    segments = differences(old, new)
    assert "".join(text for kind, text in segments if kind != "del") == new
    assert "".join(text for kind, text in segments if kind != "ins") == old
    assert ("ins", "very ") in segments or ("ins", " very") in segments
    assert differences("丁寧に書く。", "とても丁寧に書く。") == [("ins", "とても"), ("same", "丁寧に書く。")]


# ---- aspects, weights, tags ----


def test_weights_follow_the_aspects(project, hana):
    meaning = save_aspect(project=project, name="Meaning", anchors=FIVE, actor=hana)
    register = save_aspect(project=project, name="Register", question="Polite?", anchors=FIVE[:3], actor=hana)
    assert project.weight_sets.first().weights == {"meaning": 1.0, "register": 1.0}
    save_weights(project=project, weights={"meaning": 3.0, "register": 1.0}, actor=hana)
    retire_aspect(aspect=register, actor=hana)
    assert project.weight_sets.first().weights == {"meaning": 3.0}
    restore_aspect(aspect=register, actor=hana)
    assert project.weight_sets.first().weights == {"meaning": 3.0, "register": 1.0}
    with pytest.raises(Conflict):
        restore_aspect(aspect=register, actor=hana)
    versions = list(project.weight_sets.values_list("version", flat=True))
    assert versions == [5, 4, 3, 2, 1], "each is kept: labels name the one they were given under"
    assert Aspect.objects.filter(pk=meaning.pk, key="meaning").exists()


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"meaning": 1}, "missing"),
        ({"meaning": 1, "register": 1, "style": 1}, "no such aspect"),
        ({"meaning": -1, "register": 1}, "from 0 to 100"),
        ({"meaning": float("nan"), "register": 1}, "from 0 to 100"),
        ({"meaning": 0, "register": 0}, "above 0"),
    ],
)
def test_weights_are_about_the_active_aspects(project, hana, weights, message):
    save_aspects(
        project=project,
        aspects=[{"name": "Meaning", "anchors": FIVE}, {"name": "Register", "anchors": FIVE}],
        actor=hana,
    )
    with pytest.raises(InvalidInput, match=message):
        save_weights(project=project, weights=weights, actor=hana)
    assert project.weight_sets.count() == 1


def test_the_second_to_weigh_is_told(project, hana):
    save_aspect(project=project, name="Meaning", anchors=FIVE, actor=hana)
    save_weights(project=project, weights={"meaning": 2.0}, actor=hana, based_on=1)
    with pytest.raises(Conflict):
        save_weights(project=project, weights={"meaning": 3.0}, actor=hana, based_on=1)


def test_save_aspects_makes_them_exactly_these(project, hana):
    save_aspects(
        project=project, aspects=[{"name": "Meaning", "anchors": FIVE}, {"name": "Style", "anchors": FIVE}], actor=hana
    )
    second = [{"key": "style", "name": "Tone", "anchors": FIVE}, {"name": "Fluency", "anchors": ["no", "yes"]}]
    save_aspects(project=project, aspects=second, actor=hana)
    active = project.aspects.filter(retired_at=None)
    assert [(row.key, row.name, row.points) for row in active] == [("style", "Tone", 5), ("fluency", "Fluency", 2)]
    assert project.aspects.get(key="meaning").retired_at
    assert [row.version for row in project.weight_sets.all()] == [2, 1]


@pytest.mark.parametrize("anchors", [[], ["only one"], [str(n) for n in range(10)], ["a", "  ", ""]])
def test_a_scale_has_two_to_nine_points(project, hana, anchors):
    with pytest.raises(InvalidInput, match="2 to 9"):
        save_aspect(project=project, name="Meaning", anchors=anchors, actor=hana)


def test_a_scored_scale_keeps_its_points(project, hana):
    aspect = save_aspect(project=project, name="Meaning", anchors=FIVE, actor=hana)
    batch = Batch.objects.create(project=project, name="Scores", kind="scoring", overlap=1, seed=1)
    task = Task.objects.create(batch=batch, prompt=PromptFactory(project=project), position=0)
    slot = Assignment.objects.create(task=task, batch=batch, slot=0, position=0, state="done", annotator=hana)
    payload = {"scores": {"17": {"meaning": 4}}, "comment": ""}
    Annotation.objects.create(assignment=slot, task=task, annotator=hana, kind="scoring", payload=payload)
    save_aspect(project=project, aspect=aspect, name="Meaning", anchors=[*FIVE[:4], "Flawless"], actor=hana)
    with pytest.raises(InvalidInput, match="scored on 5 points"):
        save_aspect(project=project, aspect=aspect, name="Meaning", anchors=FIVE[:3], actor=hana)
    other = save_aspect(project=project, name="Style", anchors=FIVE, actor=hana)
    assert save_aspect(project=project, aspect=other, name="Style", anchors=FIVE[:3], actor=hana).points == 3


def test_names_in_any_script_get_a_key(project, hana):
    keys = [
        save_aspect(project=project, name=name, anchors=FIVE, actor=hana).key for name in ("丁寧さ", "意味", "Meaning")
    ]
    assert keys == ["aspect", "aspect-2", "meaning"]


def test_reason_tags_are_retired_and_come_back(hana):
    project = create_project(name="Hotel replies", actor=hana, reason_tags=(), **BASICS)
    save_reason_tags(project=project, names=["Register", "Meaning", " Register ", ""], actor=hana)
    save_reason_tags(project=project, names=["Meaning", "Fluency"], actor=hana)
    active = project.reason_tags.filter(retired_at=None)
    assert [tag.name for tag in active] == ["Meaning", "Fluency"]
    assert project.reason_tags.get(name="Register").retired_at
    save_reason_tags(project=project, names=["Register"], actor=hana)
    assert project.reason_tags.count() == 3
    assert Event.objects.filter(verb="reasons.saved").count() == 3
    with pytest.raises(InvalidInput, match="longer than 40"):
        save_reason_tags(project=project, names=["x" * 41], actor=hana)


# ---- the command line ----


def test_create_project_with_its_members(capsys, tmp_path, hana):
    kei = UserFactory(email="kei@example.org")
    guideline = tmp_path / "guideline.md"
    guideline.write_text("# Be polite\n", encoding="utf-8")
    call_command(
        "create_project",
        "hotel",
        "--name",
        "Hotel",
        "--target-language",
        "ja",
        "--overlap",
        "3",
        "--manager",
        hana.email,
        "--annotator",
        kei.email,
        "--guideline",
        str(guideline),
    )
    assert capsys.readouterr().out == "project hotel: Hotel, 2 members\n"
    project = Project.objects.get()
    assert (project.default_overlap, project.target_language) == (3, "ja")
    assert project.guidelines.get().text == "# Be polite\n"
    assert set(project.memberships.values_list("user__email", "role")) == {
        (hana.email, "manager"),
        (kei.email, "annotator"),
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--manager", "nobody@example.org"], "create_user"),
        (["--goal", "persona"], "persona"),
        (["--overlap", "0"], "default_overlap"),
        (["--guideline", "/nowhere/guideline.md"], "cannot read the guideline"),
        (["--source-language", "?"], "language tag"),
        (["--source-language", "jp"], "Did you mean ja"),
        (["--target-language", "en-UK"], "Did you mean en-GB"),
        (["--target-language", "English"], "Did you mean en "),
    ],
)
def test_create_project_refuses_with_a_reason_and_leaves_nothing(arguments, message):
    with pytest.raises(CommandError, match=message):
        call_command("create_project", "hotel", "--name", "Hotel", *arguments)
    assert not Project.objects.exists()


def test_add_member_gives_a_member_the_new_role(project, hana):
    kei = UserFactory(password=PASSWORD)
    add_member(project=project, user=kei, role="annotator", actor=hana)
    assert add_member(project=project, user=kei, role="reviewer", actor=hana).role == "reviewer"
    with pytest.raises(InvalidInput, match="no such role"):
        add_member(project=project, user=kei, role="emperor", actor=hana)
