"""Mira signs in, forgets her password, and finds that nobody signs up without an invitation."""

import email
import re
from email import policy

import pytest
from django.apps import apps
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.urls import reverse
from lxml import html

from annotation.core.errors import Conflict, InvalidInput
from annotation.members.accounts import create_account
from annotation.models import Event, User
from tests.factories import PASSWORD, ProjectFactory, UserFactory

pytestmark = pytest.mark.django_db
LOGIN = "/accounts/login/"


@pytest.fixture
def mira():
    return create_account(email="Mira@Example.org", name="Mira Sato", password=PASSWORD)


def test_sign_in_is_by_address_in_any_case(client, mira):
    assert mira.email == "mira@example.org"
    response = client.post(LOGIN, {"login": "MIRA@example.org", "password": PASSWORD})
    assert response.status_code == 302
    assert response.url == reverse("home")
    page = client.get("/").content.decode()
    assert "Mira" in page
    assert "Successfully" not in page


def test_a_wrong_password_says_so_beside_the_form(client, mira):
    page = client.post(LOGIN, {"login": mira.email, "password": "wrong"}).content.decode()
    assert "not correct" in page
    assert 'role="alert"' in page


def test_guessing_is_slowed_down(client, mira):
    for _ in range(12):
        page = client.post(LOGIN, {"login": mira.email, "password": "wrong"})
    assert b"Too many" in page.content
    page = client.post(LOGIN, {"login": mira.email, "password": PASSWORD})
    assert b"Too many" in page.content, "also with the right one, until the time is over"


def test_sign_out_asks_on_get_and_acts_on_post(client, sign_in, mira):
    sign_in(mira)
    assert b"Sign out?" in client.get("/accounts/logout/").content
    assert client.get("/").status_code == 200
    response = client.post("/accounts/logout/")
    assert response.url == LOGIN
    assert client.get("/").status_code == 302


def test_sign_up_is_closed_and_says_what_to_do(client):
    for answer in (client.get("/accounts/signup/"), client.post("/accounts/signup/", {"email": "x@example.org"})):
        page = answer.content.decode()
        assert "by invitation only" in page
        assert "Ask a manager" in page
    assert not User.objects.exists()


@pytest.mark.parametrize("path", ["email/", "confirm-email/", "login/code/confirm/", "phone/change/"])
def test_what_we_do_not_use_of_allauth_does_not_exist(client, sign_in, mira, path):
    assert sign_in(mira).get(f"/accounts/{path}").status_code == 404


def mails(folder):
    return [email.message_from_bytes(path.read_bytes(), policy=policy.default) for path in sorted(folder.glob("*.log"))]


def test_password_reset_by_mail(client, mira, settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    page = client.get("/accounts/password/reset/").content.decode()
    assert "no mail server" in page, "without a mail server the page says where the mail is"
    done = client.post("/accounts/password/reset/", {"email": mira.email}, follow=True)
    assert b"operator" in done.content
    (mail,) = mails(settings.EMAIL_FILE_PATH)
    assert mail["To"] == mira.email
    assert mail["Subject"] == "[Konomi] Choose a new password"
    link = re.search(r"http://testserver(/\S+)", mail.get_content()).group(1)
    page = client.get(link, follow=True)
    assert b"Choose a new password" in page.content
    form = page.redirect_chain[-1][0]
    short = client.post(form, {"password1": "short", "password2": "short"})
    assert b"too short" in short.content
    new = "a wholly different staple"
    page = client.post(form, {"password1": new, "password2": new}, follow=True)
    assert b"Your password has been changed" in page.content
    assert client.post(LOGIN, {"login": mira.email, "password": new}).status_code == 302
    client.post("/accounts/logout/")
    assert b"no longer works" in client.get(link, follow=True).content, "a link works once"


def test_reset_for_an_unknown_address_looks_the_same(client, mira, settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    known = client.post("/accounts/password/reset/", {"email": mira.email}, follow=True)
    unknown = client.post("/accounts/password/reset/", {"email": "nobody@example.org"}, follow=True)
    first, second = (re.sub(rb'name="csrfmiddlewaretoken" value="\w+"', b"", page.content) for page in (known, unknown))
    assert first == second
    (mail,) = [mail for mail in mails(settings.EMAIL_FILE_PATH) if mail["To"] == "nobody@example.org"]
    assert "by invitation only" in mail.get_content()


def test_with_a_mail_server_the_page_promises_a_mail(client, settings):
    settings.EMAIL_HOST = "mail.example.org"
    assert b"no mail server" not in client.get("/accounts/password/reset/").content
    assert b"Check your email" in client.get("/accounts/password/reset/done/").content


def test_change_of_password(client, sign_in, mira):
    sign_in(mira)
    new = "another long staple"
    data = {"oldpassword": PASSWORD, "password1": new, "password2": new}
    page = client.post("/accounts/password/change/", data, follow=True)
    assert b"Your password has been changed." in page.content
    assert page.redirect_chain[-1][0] == "/"
    mira.refresh_from_db()
    assert mira.check_password(new)


@pytest.mark.parametrize("name", ["account_change_password", "account_reset_password", "account_login"])
def test_password_pages_speak_as_the_other_pages_do(client, sign_in, mira, name):
    if name == "account_change_password":
        sign_in(mira)
    page = html.fromstring(client.get(reverse(name)).content)
    labels = [" ".join(label.text_content().split()) for label in page.xpath('//main//div[@class="field"]/label')]
    expected = {
        "account_change_password": ["Current password", "New password", "Confirm new password"],
        "account_reset_password": ["Email"],
        "account_login": ["Email", "Password"],
    }
    assert labels == expected[name]
    assert page.xpath("//main//input[@placeholder]") == []
    if name == "account_change_password":
        help_text = page.get_element_by_id("id_password1_helptext").text_content()
        assert help_text.startswith("At least 10 characters, not only digits.")
        data = {"oldpassword": PASSWORD, "password1": "a wholly different one", "password2": "and another one"}
        refused = client.post(reverse(name), data)
        assert "The two passwords differ." in refused.content.decode()
        assert "same password each time" not in refused.content.decode()


def test_what_a_password_must_be_is_what_is_checked(client, mira):
    """The sentence below the field, rule by rule."""
    for weak in ("123456789", "82736450192837", "password123", "mira@example.org"):
        with pytest.raises(ValidationError):
            validate_password(weak, User(email="mira@example.org", name="Mira"))
    validate_password("a wholly different staple", mira)


def test_a_switched_off_account_stays_out(client, mira):
    User.objects.filter(pk=mira.pk).update(is_active=False)
    page = client.post(LOGIN, {"login": mira.email, "password": PASSWORD}, follow=True)
    assert b"deactivated" in page.content


def test_an_account_is_made_whole_or_not_at_all(mira):
    with pytest.raises(Conflict, match="already"):
        create_account(email="MIRA@example.org", name="Other", password=PASSWORD)
    with pytest.raises(InvalidInput) as refused:
        create_account(email="nonsense", name=" ", password="1234")
    assert {field for field, _ in refused.value.problems} == {"email", "name", "password"}
    assert User.objects.count() == 1
    event = Event.objects.get()
    assert (event.verb, event.object_id, event.after["email"]) == ("user.created", mira.pk, mira.email)


def test_the_database_refuses_a_second_account_in_another_case(mira):
    from django.db import IntegrityError, transaction

    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.bulk_create([User(email="MIRA@EXAMPLE.ORG", name="Double")])


# ---- the command line ----


def test_create_user_prints_one_line(capsys):
    call_command("create_user", "kei@example.org", "--name", "Kei", "--password", PASSWORD)
    user = User.objects.get()
    assert capsys.readouterr().out == f"user {user.pk}: kei@example.org (user)\n"
    call_command("create_user", "root@example.org", "--name", "Root", "--password", PASSWORD, "--administrator")
    root = User.objects.get(email="root@example.org")
    assert root.is_superuser
    assert root.is_staff


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["kei@example.org", "--name", "Kei", "--password", "short"], "too short"),
        (["kei", "--name", "Kei", "--password", PASSWORD], "valid email"),
        (["taken@example.org", "--name", "Kei", "--password", PASSWORD], "already"),
        (["kei@example.org", "--name", "Kei"], "no password: give --password or set KONOMI_PASSWORD"),
    ],
)
def test_create_user_refuses_with_a_reason(arguments, message, monkeypatch):
    monkeypatch.delenv("KONOMI_PASSWORD", raising=False)
    UserFactory(email="taken@example.org")
    with pytest.raises(CommandError, match=message):
        call_command("create_user", *arguments)
    assert User.objects.count() == 1


# ---- the administration pages ----


@pytest.fixture
def administrator():
    return UserFactory(is_superuser=True, is_staff=True, name="Ada")


def test_the_administration_counts_in_proper_plurals():
    models = [*apps.get_app_config("annotation").get_models(), *apps.get_app_config("training").get_models()]
    names = {str(model._meta.verbose_name_plural) for model in models}
    assert {"batches", "memory entries", "learning curves", "tasks"} <= names
    assert [name for name in names if re.search(r"(?:ch|sh|[sx]|[^aeiou]y)s$", name)] == []


def test_administration_signs_in_through_the_one_door(client, mira, sign_in):
    page = client.get("/administration/", follow=True)
    assert page.redirect_chain[-1][0].startswith(LOGIN), "where attempts are limited"
    assert sign_in(mira).get("/administration/", follow=True).status_code == 403


def test_staff_see_no_rows_of_projects_they_are_not_in(client, sign_in):
    sign_in(UserFactory(is_staff=True))
    for model in ("project", "user", "event", "annotation"):
        assert client.get(f"/administration/annotation/{model}/").status_code == 403


def test_administrators_change_accounts_and_look_at_the_rest(client, sign_in, administrator, mira):
    sign_in(administrator)
    project = ProjectFactory()
    from annotation.core.events import record

    event = record(verb="project.created", target=project, actor=administrator, project=project)
    for model in ("user", "project", "invitation", "guideline", "prompt", "assignment", "annotation", "datasetversion"):
        assert client.get(f"/administration/annotation/{model}/?q=x").status_code == 200, model
    UserFactory(name="Ｍüller  Eva")
    for asked in ("muller", "MÜLLER eva", "eva mu\u0308ller"):
        listed = client.get("/administration/annotation/user/", {"q": asked}).content.decode()
        assert ("Ｍüller  Eva" in listed) == (asked != "muller"), asked
    page = client.get(f"/administration/annotation/event/{event.pk}/change/").content.decode()
    assert 'name="_save"' not in page
    assert client.post(f"/administration/annotation/event/{event.pk}/delete/", {"post": "yes"}).status_code == 403

    address = f"/administration/annotation/user/{mira.pk}/change/"
    data = {
        "email": mira.email,
        "name": "Mira Ono",
        "is_active": "on",
        "memberships-TOTAL_FORMS": 0,
        "memberships-INITIAL_FORMS": 0,
    }
    assert client.post(address, data).status_code == 302
    changed = Event.objects.get(verb="user.changed")
    assert (changed.before["name"], changed.after["name"]) == ("Mira Sato", "Mira Ono")
    new = "set by the administrator"
    password = f"/administration/annotation/user/{mira.pk}/password/"
    assert client.get(password).status_code == 200
    done = client.post(password, {"password1": new, "password2": new, "usable_password": "true"})
    assert done.status_code == 302, done.content.decode()
    mira.refresh_from_db()
    assert mira.check_password(new)
    assert Event.objects.filter(verb="user.password_set").count() == 1
    data = {
        "email": "new@example.org",
        "name": "New",
        "usable_password": "true",
        "password1": new,
        "password2": new,
        "memberships-TOTAL_FORMS": 0,
        "memberships-INITIAL_FORMS": 0,
    }
    assert client.post("/administration/annotation/user/add/", data).status_code == 302
    assert User.objects.get(email="new@example.org").check_password(new)
    assert client.post(f"/administration/annotation/user/{mira.pk}/delete/", {"post": "yes"}).status_code == 403
