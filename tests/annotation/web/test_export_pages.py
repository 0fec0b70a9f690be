"""The page *Export answers*: managers ask for files, see how far they are, and download their own."""

import json

import pytest
from django.urls import reverse

from annotation import jobs
from annotation.exchange import requests
from annotation.models import AnswerExport, Kind, Membership, Role
from tests.annotation.exchange.story import Story
from tests.factories import UserFactory, join

pytestmark = pytest.mark.django_db(transaction=True)
PAGE = "/projects/hotel/exports/"


@pytest.fixture
def story():
    return Story()


@pytest.fixture(autouse=True)
def sent(monkeypatch):
    found: list[int] = []
    monkeypatch.setattr("celery.current_app.send_task", lambda name, args, **options: found.append(*args))
    return found


def downloaded(client, export) -> list[dict]:
    response = client.get(f"/exports/{export.pk}/file/")
    assert response.status_code == 200
    assert response.headers["Content-Disposition"] == f'attachment; filename="hotel-answers-{export.pk}.jsonl"'
    return [json.loads(line) for line in b"".join(response.streaming_content).decode().splitlines()]


def test_a_manager_exports_and_downloads(story, sign_in, sent):
    client = sign_in(story.hana)
    assert "Your exports" not in client.get(PAGE).content.decode()
    batch = story.batches[Kind.CHOOSING]
    response = client.post(
        PAGE,
        {"format": "jsonl", "batches": [batch.pk], "people": ["kei@example.org"], "current_only": "on"},
    )
    assert response.status_code == 302
    export = AnswerExport.objects.get()
    assert sent == [export.pk]
    page = client.get(PAGE).content.decode()
    assert "Waiting" in page
    assert "choosing batch" in page
    assert 'hx-trigger="every 1s"' in page
    jobs.export_answers(export.pk)
    page = client.get(PAGE).content.decode()
    assert "replaced or withdrawn versions: 1" in page
    assert "drafts: 2" in page
    assert "hx-trigger" not in page
    rows = downloaded(client, export)
    assert {(row["batch_id"], row["person"]) for row in rows} == {(batch.pk, "Kei")}
    assert sorted(row["version"] for row in rows) == [1, 2]


def test_days_are_the_sites(story, sign_in):
    client = sign_in(story.hana)
    client.post(PAGE, {"format": "csv", "since": "2026-11-01", "until": "2026-11-30"})
    selection = AnswerExport.objects.get().selection
    assert selection["since"].startswith("2026-11-01T00:00:00")
    assert selection["until"].startswith("2026-12-01T00:00:00")


def test_what_cannot_be_exported_is_said_beside_the_field(story, sign_in):
    client = sign_in(story.hana)
    response = client.post(PAGE, {"format": "csv", "since": "2026-11-30", "until": "2026-11-01"})
    assert response.status_code == 422
    assert "must be after the time since" in response.content.decode()
    assert client.post(PAGE, {"format": "xlsx"}).status_code == 422
    assert client.post(PAGE, {"format": "csv", "batches": ["999999"]}).status_code == 422
    assert not AnswerExport.objects.exists()


def test_a_batch_chooses_itself(story, sign_in):
    client = sign_in(story.hana)
    batch = story.batches[Kind.SCORING]
    address = f"{PAGE}?batch={batch.pk}"
    for page in (f"/batches/{batch.pk}/", "/projects/hotel/", "/projects/hotel/datasets/"):
        assert PAGE in client.get(page).content.decode(), page
    assert address in client.get(f"/batches/{batch.pk}/").content.decode()
    page = client.get(address).content.decode()
    assert f'value="{batch.pk}" id="id_batches' in page
    assert page.count("checked") == 2, "the format and the batch"


def test_progress_is_polled_until_there_is_nothing_to_wait_for(story, sign_in):
    client = sign_in(story.hana)
    client.post(PAGE, {"format": "jsonl"})
    export = AnswerExport.objects.get()
    AnswerExport.objects.update(status="running", rows_written=3, rows_total=12)
    polled = client.get(PAGE, headers={"HX-Request": "true"})
    assert polled.status_code == 200
    assert "3 of 12" in polled.content.decode()
    assert "<h1>" not in polled.content.decode()
    AnswerExport.objects.update(status="queued")
    jobs.export_answers(export.pk)
    polled = client.get(PAGE, headers={"HX-Request": "true"})
    assert polled.status_code == 286
    assert f"/exports/{export.pk}/file/" in polled.content.decode()


def test_cancel_again_and_delete(story, sign_in, settings):
    client = sign_in(story.hana)
    client.post(PAGE, {"format": "jsonl"})
    export = AnswerExport.objects.get()

    def post(name):
        return client.post(reverse(f"answer_export_{name}", args=[export.pk]), follow=True).content.decode()

    assert "Export again" in post("cancel")
    assert "finished already" in post("cancel")
    assert client.get(f"/exports/{export.pk}/file/").status_code == 404
    assert "Waiting" in post("again")
    jobs.export_answers(export.pk)
    assert len(downloaded(client, export)) == 13
    assert "File deleted" in post("delete")
    assert client.get(f"/exports/{export.pk}/file/").status_code == 404
    assert "This export has no file." in post("delete")
    assert [path for path in (settings.VAR / "exports").rglob("*") if path.is_file()] == []


def test_an_export_is_its_owners_alone(story, sign_in):
    export = requests.request_export(
        project=story.project, format="jsonl", selection=requests.Selection(), actor=story.hana
    )
    jobs.export_answers(export.pk)
    addresses = {
        name: reverse(f"answer_export_{name}", args=[export.pk]) for name in ("file", "cancel", "again", "delete")
    }
    others = {
        "another manager": join(story.project, Role.MANAGER),
        "an annotator": story.kei,
        "a reviewer": join(story.project, Role.REVIEWER),
        "an administrator": UserFactory(is_superuser=True),
        "a stranger": UserFactory(),
    }
    for who, person in others.items():
        client = sign_in(person)
        for name, address in addresses.items():
            response = client.get(address) if name == "file" else client.post(address)
            assert response.status_code == 404, f"{name} for {who}"
        page = client.get(PAGE)
        if who in ("another manager", "an administrator"):
            assert "Your exports" not in page.content.decode()
        else:
            assert page.status_code == 404, who
            assert client.post(PAGE, {"format": "csv"}).status_code == 404, who
    client = sign_in(story.hana)
    assert client.get(addresses["file"]).status_code == 200
    Membership.objects.filter(user=story.hana).update(role=Role.REVIEWER)
    assert client.get(addresses["file"]).status_code == 404, "she manages the project no longer"
    export.refresh_from_db()
    assert export.status == AnswerExport.Status.DONE
