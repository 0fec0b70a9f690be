"""The administration: every table is there, is searched and read, and changes nothing but accounts."""

import re
from collections import Counter

import pytest
from django.apps import apps
from django.contrib import admin
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from annotation.models import Invitation, User
from tests.factories import ProjectFactory, UserFactory
from tests.walks.every_page import everything

MODELS = [
    model
    for app in ("annotation", "training")
    for model in apps.get_app_config(app).get_models()
    if not model._meta.auto_created
]
VALUES = re.compile(r"= ?(?:\d+|'[^']*')|\((?:\d+(?:, )?)+\)|\bLIMIT \d+|\"s\d+_x\d+\"")


def test_every_table_has_a_page():
    assert [model.__name__ for model in MODELS if model not in admin.site._registry] == []


def address(model, page, *args):
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)


def queries_of(client, url):
    with CaptureQueriesContext(connection) as captured:
        response = client.get(url)
    assert response.status_code == 200, url
    return Counter(VALUES.sub("", query["sql"]) for query in captured), response


@pytest.mark.django_db
def test_tables_are_read_and_searched_with_few_queries_and_nothing_changes(sign_in):
    everything()
    client = sign_in(UserFactory(is_superuser=True, is_staff=True))
    faults, rows = [], 0
    for model in MODELS:
        shapes, _page = queries_of(client, address(model, "changelist"))
        if again := [sql[:120] for sql, times in shapes.items() if times > 2 and "SAVEPOINT" not in sql]:
            faults.append(f"{model.__name__} asks once for each row: {again}")
        queries_of(client, f"{address(model, 'changelist')}?q=zzz")
        row = model._default_manager.first()
        if row is None:
            continue
        rows += 1
        _shapes, page = queries_of(client, address(model, "change", row.pk))
        if model is User:
            continue
        if b'name="_save"' in page.content:
            faults.append(f"{model.__name__} can be changed")
        for what, args in (("add", ()), ("delete", (row.pk,))):
            if client.post(address(model, what, *args), {"post": "yes"}).status_code != 403:
                faults.append(f"{model.__name__}: {what}")
    assert not faults, "\n".join(faults)
    assert rows > 30, "of so many tables the world has a row"
    token = Invitation.objects.first().token
    assert token not in client.get(address(Invitation, "change", Invitation.objects.first().pk)).content.decode()


@pytest.mark.django_db
def test_the_front_page_shows_how_collection_goes(sign_in):
    world = everything()
    ProjectFactory(name="Another project")
    page = sign_in(UserFactory(is_superuser=True, is_staff=True)).get(reverse("admin:index")).content.decode()
    assert reverse("dashboard", args=[world.project.slug]) in page
    assert "Another project" in page
    assert re.search(r"\d+ of \d+", page)
    # Staff see the projects that they belong to, and no table.
    staff = UserFactory(is_staff=True)
    page = sign_in(staff).get(reverse("admin:index"))
    assert page.status_code in (200, 403)
    assert "Another project" not in page.content.decode()
