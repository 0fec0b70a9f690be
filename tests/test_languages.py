"""The pages in each language: who gets which, and that no word was forgotten."""

import pytest
from django.urls import reverse

from annotation.models import Event, Role
from tests.factories import PASSWORD, ProjectFactory, join

pytestmark = pytest.mark.django_db
JAPANESE = {"HTTP_ACCEPT_LANGUAGE": "ja,en;q=0.5"}


def language_of(response) -> str:
    return response.content.decode().split('<html lang="')[1].split('"')[0]


def test_a_visitor_gets_the_browsers_language_and_can_change_it_without_a_script(client):
    page = client.get("/accounts/login/?next=/my-work/", **JAPANESE)
    assert language_of(page) == page.headers["Content-Language"] == "ja"
    assert language_of(client.get("/accounts/login/", HTTP_ACCEPT_LANGUAGE="fr")) == "en"
    assert '<button class="link" name="language" value="en" lang="en">English</button>' in page.content.decode()
    changed = client.post("/language/", {"language": "en", "next": "/accounts/login/?next=/my-work/"})
    assert changed.headers["Location"] == "/accounts/login/?next=/my-work/"
    assert language_of(client.get("/accounts/login/", **JAPANESE)) == "en"


def test_a_persons_choice_holds_on_every_machine(client, sign_in):
    mio = join(ProjectFactory(), Role.ANNOTATOR, name="Mio", email="mio@example.org")
    sign_in(mio)
    assert language_of(client.get("/")) == "en"
    assert client.post("/language/", {"language": "ja", "next": "/my-work/"}).headers["Location"] == "/my-work/"
    assert Event.objects.get(verb="user.language_chosen").after == {"language": "ja"}
    client.post("/language/", {"language": "ja", "next": "/"})
    assert Event.objects.filter(verb="user.language_chosen").count() == 1, "nothing changed, nothing to tell"
    client.cookies.clear()
    client.post("/accounts/login/", {"login": "mio@example.org", "password": PASSWORD})
    assert language_of(client.get("/")) == "ja", "another browser, no cookie of ours"
    assert "django_language" not in client.cookies


@pytest.mark.parametrize("elsewhere", ["https://evil.example/", "//evil.example", "javascript:alert(1)", ""])
def test_the_switch_leads_nowhere_else(client, elsewhere):
    assert client.post("/language/", {"language": "ja", "next": elsewhere}).headers["Location"] == reverse("home")


def test_the_switch_knows_its_languages(client):
    assert client.post("/language/", {"language": "xx", "next": "/"}).status_code == 400
    assert client.get("/language/").status_code == 405


def test_the_language_costs_no_query(client, sign_in, django_assert_num_queries):
    with django_assert_num_queries(0):
        client.get("/accounts/login/", **JAPANESE)
    sign_in(join(ProjectFactory(), Role.ANNOTATOR, language="ja"))
    with django_assert_num_queries(2):  # the session and the person, as on every page
        client.get("/nowhere/")
