"""Bad input: each malformed file gets a clear error that names place and remedy, and changes nothing."""

import os
import re
from html import unescape

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command

from annotation import jobs
from annotation.models import Import, Role
from tests.annotation.importing.malformed import FILES, Malformed
from tests.factories import ProjectFactory, PromptFactory, join

pytestmark = pytest.mark.django_db

# A refusal is on record, and that is all.
RECORDS = {"annotation_import", "annotation_event"}


def row_counts() -> dict[str, int]:
    tables = {model._meta.db_table: model for model in apps.get_models(include_auto_created=True)}
    return {table: model._default_manager.count() for table, model in tables.items() if table not in RECORDS}


@pytest.fixture
def hotel():
    project = ProjectFactory(slug="hotel")
    PromptFactory(project=project)
    return project


def test_there_are_enough_of_them():
    assert len(FILES) >= 40
    assert len({file.name for file in FILES}) == len(FILES)


@pytest.mark.parametrize("file", FILES, ids=str)
def test_refused_by_the_command(file: Malformed, hotel, tmp_path):
    path = tmp_path / file.name
    path.write_bytes(file.content)
    before = row_counts()
    with pytest.raises(CommandError) as refusal:
        call_command("import_prompts", "hotel", str(path), *file.options)
    message = str(refusal.value)
    for words in file.says:
        assert re.search(words, message), message
    assert row_counts() == before
    assert Import.objects.exclude(status=Import.Status.REFUSED).count() == 0
    record = Import.objects.first()
    if file.row and record:
        assert (record.faults[0]["row"], record.faults[0]["column"]) == (file.row, file.column or "")
        assert f"{file.row:,}" in message
    if file.column:
        assert file.column in message


@pytest.mark.parametrize("keep_good", [[], ["--keep-good"]], ids=["all-or-nothing", "keep-good"])
def test_structural_damage_keeps_nothing(hotel, tmp_path, keep_good):
    """After an open quotation mark, which rows are good is anybody's guess: none is kept."""
    path = tmp_path / "open.csv"
    path.write_text('text\nOne\nTwo\n"Three\nFour\n')
    with pytest.raises(CommandError, match="none closes it"):
        call_command("import_prompts", "hotel", str(path), *keep_good)
    assert hotel.prompts.count() == 1


@pytest.mark.parametrize(
    ("name", "message"),
    [("folder.csv", "is a folder"), ("missing.csv", "No such file"), ("pipe.csv", "is not a regular file")],
)
def test_what_is_no_file(hotel, tmp_path, name, message):
    (tmp_path / "folder.csv").mkdir()
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(CommandError, match=message):
        call_command("import_prompts", "hotel", str(tmp_path / name))
    assert not Import.objects.exists()


def test_too_large_a_file(hotel, tmp_path, settings):
    settings.UPLOAD_LIMIT_BYTES = 20
    path = tmp_path / "large.csv"
    path.write_text("text\n" + "A long sentence.\n" * 3)
    with pytest.raises(
        CommandError, match=r"has 56 bytes and the limit is 20; split it, or raise the site's setting KONOMI_UPLOAD"
    ):
        call_command("import_prompts", "hotel", str(path))


@pytest.mark.parametrize("file", [file for file in FILES if not file.options][::7], ids=str)
def test_refused_by_the_page(file: Malformed, hotel, tmp_path, sign_in):
    path = tmp_path / file.name
    path.write_bytes(file.content)
    client = sign_in(join(hotel, Role.MANAGER))
    before = row_counts()
    with path.open("rb") as upload:
        answer = client.post("/projects/hotel/import/", {"file": upload})
    if answer.status_code == 302:
        record = Import.objects.get()
        page = client.get(f"/imports/{record.pk}/")
        form = page.context["form"]
        values = {name: form[name].value() or "" for name in form.fields if name != "keep_good"}
        answer = client.post(f"/imports/{record.pk}/columns/", values) if values else page
        if answer.status_code == 302:
            jobs.import_file(record.pk)
            answer = client.get(f"/imports/{record.pk}/")
            assert Import.objects.get().status == Import.Status.REFUSED
    text = unescape(answer.content.decode())
    assert any(re.search(words, text) for words in file.says), text
    assert row_counts() == before
