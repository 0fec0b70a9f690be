"""A person's own keys: moved, refused, put back, and known to every page and device."""

import json

import pytest
from lxml import html

from annotation.members.shortcuts import actions, faults
from annotation.models import Event, Kind, Role
from tests.annotation.helpers import batch_of, hotel
from tests.factories import join

pytestmark = pytest.mark.django_db


@pytest.fixture
def hana():
    return join(hotel(prompts=2), Role.ANNOTATOR, name="Hana Mori")


@pytest.fixture
def page_of_hana(sign_in, hana):
    return sign_in(hana)


def person_on(client, path):
    page = html.fromstring(client.get(path).content)
    return json.loads(page.get_element_by_id("person").text)


def test_the_usual_keys_are_without_a_conflict():
    assert faults({}) == []


def test_a_key_is_moved_and_every_page_knows(page_of_hana, hana):
    batch = batch_of(hana.projects.get())
    response = page_of_hana.post("/preferences/keys/", {"key-skip": "K", "single": ["off", "on"]}, follow=True)
    assert response.redirect_chain == [("/preferences/", 302)]
    field = html.fromstring(response.content).get_element_by_id("key-skip")
    assert field.get("value") == "K"
    assert person_on(page_of_hana, f"/batches/{batch.pk}/work/")["moved"] == {"skip": "k"}
    event = Event.objects.get(verb="user.keys_moved")
    assert (event.actor, event.after["keys"]) == (hana, {"skip": "k"})


def test_two_keys_may_change_places(page_of_hana, hana):
    page_of_hana.post("/preferences/keys/", {"key-skip": "z", "key-undo": "x"})
    hana.refresh_from_db()
    assert hana.keys == {"skip": "z", "undo": "x"}
    page_of_hana.post("/preferences/keys/", {"key-skip": "x", "key-undo": "z"})
    hana.refresh_from_db()
    assert hana.keys == {}


def test_a_conflict_is_refused_with_words_and_changes_nothing(page_of_hana, hana):
    response = page_of_hana.post("/preferences/keys/", {"key-skip": "g", "key-undo": "u2", "single": "off"})
    assert response.status_code == 422
    page = html.fromstring(response.content)
    assert page.get_element_by_id("fault-skip").text == "“G” is the key of “Open the guideline” on the same page."
    assert page.get_element_by_id("fault-undo").text == "Give one character, such as a letter or a digit."
    # What was typed is in the field, to be corrected.
    assert page.get_element_by_id("key-skip").get("value") == "G"
    hana.refresh_from_db()
    assert (hana.keys, hana.single_keys) == ({}, True)


def test_pages_that_never_meet_may_share_a_key(page_of_hana, hana):
    page_of_hana.post("/preferences/keys/", {"key-accept": "q"})
    hana.refresh_from_db()
    assert hana.keys == {"accept": "q"}


def test_single_keys_off_and_all_back_to_usual(page_of_hana, hana):
    page_of_hana.post("/preferences/keys/", {"key-skip": "k", "single": "off"})
    hana.refresh_from_db()
    assert (hana.keys, hana.single_keys) == ({"skip": "k"}, False)
    page_of_hana.post("/preferences/keys/", {"reset": "1", "key-skip": "g"})
    hana.refresh_from_db()
    assert (hana.keys, hana.single_keys) == ({}, True)


def test_a_script_is_told_in_short_and_never_for_somebody_else(page_of_hana, hana, client):
    mine = {"Konomi-Person": str(hana.pk)}
    assert page_of_hana.post("/preferences/keys/", {"single": "off"}, headers=mine).status_code == 204
    other = {"Konomi-Person": str(hana.pk + 1)}
    assert page_of_hana.post("/preferences/keys/", {"single": "on"}, headers=other).status_code == 401
    page_of_hana.logout()
    assert page_of_hana.post("/preferences/keys/", {"single": "on"}, headers=mine).status_code == 401
    assert page_of_hana.post("/preferences/keys/", {"single": "on"}).status_code == 302
    hana.refresh_from_db()
    assert hana.single_keys is False


@pytest.mark.parametrize("kind", Kind.values)
def test_every_key_that_a_page_shows_can_be_moved(kind, page_of_hana, hana):
    page = html.fromstring(page_of_hana.get(f"/batches/{batch_of(hana.projects.get(), kind).pk}/work/").content)
    usual = {action.name: action.key for action in actions()}
    controls = page.xpath("//*[@data-key]")
    assert len(controls) > 6
    for control in controls:
        assert usual[control.get("data-action")] == control.get("data-key"), control.get("data-action")
    taken = [control.get("data-key") for control in controls]
    assert sorted(taken) == sorted(set(taken))
