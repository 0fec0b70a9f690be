"""The glossary: kept by managers, read by members, found in a prompt as words."""

import unicodedata
from importlib import import_module

import pytest
from django.apps import apps
from django.core.files.uploadedfile import SimpleUploadedFile
from hypothesis import given
from hypothesis import strategies as st

from annotation.core.errors import InvalidInput
from annotation.models import Event, GlossaryTerm, Role
from annotation.reference import glossary
from annotation.text.typography import lookup_form
from tests.factories import ProjectFactory, UserFactory, join

pytestmark = pytest.mark.django_db


@pytest.fixture
def project():
    return ProjectFactory(slug="hotel", name="Hotel replies")


def found(project, text):
    return [hit.source for hit in glossary.terms_in(project=project, text=text)]


def add(project, *sources, target="訳"):
    for source in sources:
        glossary.add_term(project=project, source=source, target=target, actor=None)


def test_terms_are_found_as_words_whatever_their_case_and_width(project):
    add(project, "room", "Deposit", "front desk", "CAFÉ", "Straße")
    text = "Rooms? The  FRONT\ndesk holds a deposit；ask the ＣＡＦÉ in Strasse, or Café staff."
    assert found(project, text) == ["room", "front desk", "Deposit", "CAFÉ", "Straße"]
    assert found(project, "bathroom and roommates, depositing") == []


@pytest.mark.parametrize(
    ("term", "text"),
    [
        ("guest's room", "The guest’s room is ready."),
        ("guest’s room", "The guest's room is ready."),
        ("guest's room", "The guest\u2019s\u00a0room is ready."),
        ("check-in", "The check\u2011in desk"),
        ("check‐in", "The check-in desk"),
        ("5–10 nights", "for 5-10 nights"),
        ('"Fuji" suite', "the “Fuji” suite"),
        ("“Fuji” suite", "the «Fuji» suite"),
        ("п'ята кімната", "наша пʼята кімната"),
        ("room", "the ro\u00adom"),
        ("Wi‑Fi", "free Ｗｉ－Ｆｉ"),
    ],
)
def test_typographic_variants_are_one_term(project, term, text):
    add(project, term)
    assert found(project, text) == [term]


def test_terms_of_an_older_version_are_found(project):
    """The migration stores the form that is looked for now."""
    add(project, "guest’s room")
    GlossaryTerm.objects.update(folded="guest’s room")
    assert found(project, "The guest’s room") == []
    migration = import_module("annotation.migrations.0010_glossary_terms_by_lookup_form")
    migration.fold(apps, None)
    assert found(project, "The guest’s room") == ["guest’s room"]


def test_two_spellings_of_a_term_are_one_hit(project):
    add(project, "guest's room", "guest’s room", target="客室")
    (hit,) = glossary.terms_in(project=project, text="The guest’s room")
    assert hit.targets == [("客室", "")]


def test_the_longer_term_wins_where_both_stand(project):
    add(project, "card", "credit card", "key card")
    assert found(project, "Is your credit card here?") == ["credit card"]
    assert found(project, "A credit card, or another card?") == ["credit card", "card"]


def test_scripts_without_spaces_and_korean_particles():
    japanese = ProjectFactory(source_language="ja", target_language="en")
    add(japanese, "客室", "露天風呂", "風呂")
    assert found(japanese, "当館の客室には露天風呂があります。") == ["客室", "露天風呂"]
    korean = ProjectFactory(source_language="ko", target_language="en")
    add(korean, "호텔")
    assert found(korean, "저는 호텔에서 잤어요.") == ["호텔"]
    hindi = ProjectFactory(source_language="hi", target_language="en")
    add(hindi, "क", "कमरा")
    assert found(hindi, "किताब और कमरा") == ["कमरा"]


def test_a_term_with_two_ways_to_put_it_is_one_hit(project):
    add(project, "lift", target="エレベーター")
    glossary.add_term(project=project, source="lift", target="リフト", note="only for ski lifts", actor=None)
    (hit,) = glossary.terms_in(project=project, text="The lift is broken.")
    assert hit.targets == [("エレベーター", ""), ("リフト", "only for ski lifts")]


def test_ten_thousand_terms_are_searched_by_one_query(project, django_assert_num_queries):
    rows = "\n".join(f"term number {n},用語{n}" for n in range(10_000))
    assert glossary.import_terms(project=project, text=rows, actor=None) == (10_000, 0)
    text = "Here is term number 77 and then term number 9999. " + "Nothing much is said about it here. " * 10
    with django_assert_num_queries(1):
        assert found(project, text) == ["term number 77", "term number 9999"]


def test_terms_are_added_changed_and_removed_with_events(project):
    hana = join(project, Role.MANAGER)
    term = glossary.add_term(project=project, source=" front  desk ", target="フロント", actor=hana)
    assert (term.source, term.folded) == ("front desk", "front desk")
    glossary.change_term(term=term, source="front desk", target="フロント", note="not 受付", actor=hana)
    glossary.change_term(term=term, source="front desk", target="フロント", note="not 受付", actor=hana)  # nothing new
    with pytest.raises(InvalidInput, match="already"):
        glossary.add_term(project=project, source="front desk", target="フロント", actor=hana)
    for source, target, field in (("", "x", "source"), ("x", " ", "target"), ("x" * 201, "y", "source")):
        with pytest.raises(InvalidInput) as refused:
            glossary.add_term(project=project, source=source, target=target, actor=hana)
        assert refused.value.problems[0][0] == field
    glossary.remove_term(term=term, actor=hana)
    glossary.remove_term(term=term, actor=hana)
    events = Event.objects.filter(project=project).order_by("id")
    assert list(events.values_list("verb", flat=True)) == ["glossary.added", "glossary.changed", "glossary.removed"]
    assert (events[1].before["note"], events[1].after["note"]) == ("", "not 受付")
    assert (events[2].object_id is not None, events[2].before["source"]) == (True, "front desk")


def test_an_import_is_all_or_nothing(project):
    with pytest.raises(InvalidInput) as refused:
        glossary.import_terms(project=project, text='lift,エレベーター\n,何か\n\nbar\na,b,c,d\n"x', actor=None)
    assert [row for row, _ in refused.value.problems] == ["Row 2", "Row 4", "Row 5", "Row 6"]
    assert not GlossaryTerm.objects.exists()
    text = '\ufeffSource,Target,Note\r\nlift,エレベーター\r\n"desk, front",フロント,"a ""desk"""\r\nlift,エレベーター'
    assert glossary.import_terms(project=project, text=text, actor=None) == (2, 0)
    assert glossary.import_terms(project=project, text="lift\tエレベーター\tnew note", actor=None) == (0, 1)
    assert GlossaryTerm.objects.get(source="lift").note == "new note"
    with pytest.raises(InvalidInput, match="Nothing was imported"):
        glossary.import_terms(project=project, text="\n", actor=None)


words = st.text(alphabet=st.characters(categories=["Lu", "Ll", "Lo", "Nd"]), min_size=1, max_size=20)


@given(words, words, words)
def test_a_term_between_commas_is_found_in_any_text(before, term, after):
    term, text = lookup_form(term), lookup_form(f"{before},{term},{after}")
    if f",{term}," in text and not unicodedata.category(term[0]).startswith("M"):
        assert f",{term}," in {text[at - 1 : at + len(term) + 1] for at in glossary.places(term, text, plural=False)}


# ---- the pages ----


def text_of(response, status=200):
    assert response.status_code == status, response.content.decode()[:1500]
    return response.content.decode()


def test_a_manager_keeps_the_glossary_on_its_page(sign_in, project):
    client = sign_in(join(project, Role.MANAGER, name="Hana"))
    page = "/projects/hotel/settings/glossary/"
    empty = text_of(client.get(page))
    assert "The glossary is empty" in empty
    assert f'href="{page}" aria-current="page">Glossary' in empty
    first = {"source": "lift", "target": "エレベーター", "note": "<b>not</b> リフト"}
    assert client.post(page, first).status_code == 302
    shown = text_of(client.get(page))
    assert "1 term in the glossary" in shown
    assert "&lt;b&gt;not&lt;/b&gt;" in shown
    assert "<b>not" not in shown
    assert "already" in text_of(client.post(page, {"source": "lift", "target": "エレベーター"}), 422)
    term = GlossaryTerm.objects.get()
    change = {"source": "lift", "target": "リフト", "note": ""}
    assert client.post(f"{page}{term.pk}/", change).status_code == 302
    assert GlossaryTerm.objects.get().target == "リフト"
    assert "required" in text_of(client.post(f"{page}{term.pk}/", {"source": "", "target": "x"}), 422)
    refused = text_of(client.post(f"{page}import/", {"text": "bar,バー\nno target"}), 422)
    assert "Row 2" in refused
    assert "bar,バー" in refused
    upload = SimpleUploadedFile("terms.csv", "bar,バー\nstair,階段".encode())
    assert client.post(f"{page}import/", {"file": upload}).status_code == 302
    broken = SimpleUploadedFile("terms.csv", "bar,バー".encode("cp932"))
    assert "UTF-8" in text_of(client.post(f"{page}import/", {"file": broken}), 422)
    assert "3 terms in the glossary" in text_of(client.get(page))
    search = text_of(client.get(page, {"q": "階"}))
    assert ("階段" in search, "リフト" in search) == (True, False)
    glossary.add_term(project=project, source="guest's room", target="chambre d’hôte", actor=None)
    for asked in ("guest’s", "d'hôte", "D’HÔTE", "ｃｈａｍｂｒｅ\u3000d'ho\u0302te", "Guest's  room"):
        assert "chambre d’hôte" in text_of(client.get(page, {"q": asked}))
    glossary.remove_term(term=GlossaryTerm.objects.get(source="guest's room"), actor=None)
    assert client.post(f"{page}{term.pk}/remove/").status_code == 302
    assert client.post(f"{page}{term.pk}/remove/").status_code == 404
    assert GlossaryTerm.objects.count() == 2


def test_members_read_it_and_strangers_do_not_know_it(sign_in, project):
    add(project, "lift", target="エレベーター")
    term = GlossaryTerm.objects.get()
    client = sign_in(join(project, Role.ANNOTATOR))
    shown = text_of(client.get("/projects/hotel/glossary/"))
    assert ("エレベーター" in shown, "settings/glossary" in shown) == (True, False)
    other = GlossaryTerm.objects.create(project=ProjectFactory(), source="a", target="b", folded="a")
    settings = "/projects/hotel/settings/glossary/"
    for path in (settings, f"{settings}import/", f"{settings}{term.pk}/", f"{settings}{term.pk}/remove/"):
        assert client.post(path).status_code == 404
    manager = sign_in(join(project, Role.MANAGER))
    assert manager.post(f"{settings}{other.pk}/remove/").status_code == 404
    stranger = sign_in(UserFactory())
    assert stranger.get("/projects/hotel/glossary/").status_code == 404
