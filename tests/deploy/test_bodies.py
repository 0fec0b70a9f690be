"""A body larger than its address takes is refused before a byte of it is read."""

import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from annotation.members.accounts import BACKEND
from annotation.models import Role
from tests.factories import ProjectFactory, UserFactory, join

pytestmark = pytest.mark.django_db


class Unread:
    """A body that must not be read."""

    def read(self, *size):
        raise AssertionError("the body was read")

    readline = read


def send(client, address, length, content_type="multipart/form-data; boundary=x"):
    return client.post(address, b"", content_type=content_type, CONTENT_LENGTH=str(length), **{"wsgi.input": Unread()})


@pytest.mark.parametrize("name", ["account_login", "account_reset_password", "home", "account_signup"])
def test_visitors_send_no_more_than_a_form(name):
    answer = send(Client(), reverse(name), settings.VISITORS_BODY_LIMIT_BYTES + 1)
    assert answer.status_code == 413
    assert "64" in answer.text
    assert answer["X-Frame-Options"] == "DENY"


def test_a_visitor_is_refused_at_an_address_that_takes_files():
    project = ProjectFactory()
    assert send(Client(), reverse("import_new", args=[project.slug]), 400 << 20).status_code == 413


def test_signed_in_people_send_texts_and_not_files():
    client = Client()
    client.force_login(UserFactory(), backend=BACKEND)
    assert send(client, reverse("account_change_password"), settings.BODY_LIMIT_BYTES + 1).status_code == 413


def test_an_upload_is_bounded_by_the_setting(settings):
    project = ProjectFactory()
    client = Client(raise_request_exception=False)
    client.force_login(join(project, Role.MANAGER), backend=BACKEND)
    address = reverse("import_new", args=[project.slug])
    assert send(client, address, 3 * settings.UPLOAD_LIMIT_BYTES).status_code == 413
    file = SimpleUploadedFile("texts.csv", b"source\n" + b"text\n" * 20_000)
    assert client.post(address, {"file": file}).status_code == 302


@pytest.mark.parametrize("length", ["x", "-1", "1e9", "9" * 30])
def test_a_length_that_is_none(length):
    assert send(Client(), reverse("account_login"), length).status_code in (200, 400, 413)
