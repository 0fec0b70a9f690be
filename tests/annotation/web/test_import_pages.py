"""Imports through the jobs and the pages."""

import errno
import io
from datetime import timedelta

import psycopg
import pytest
from celery import current_app
from django.core.management import call_command
from django.db import OperationalError, connection
from django.test import Client
from django.utils import timezone

from annotation import jobs
from annotation.core.locks import Lock
from annotation.importing import staging
from annotation.importing.locks import stranded_imports
from annotation.models import Event, Import, Prompt, Role
from tests.annotation.importing.helpers import EXPECTED, ROWS, as_csv, loaded
from tests.factories import ProjectFactory, join

pytestmark = pytest.mark.django_db


@pytest.fixture
def hotel():
    return ProjectFactory(slug="hotel", held_out_share=0.5)


# ---- jobs ----


def queued(hotel, settings, **fields) -> Import:
    (settings.UPLOADS_DIR / "1").mkdir(parents=True)
    (settings.UPLOADS_DIR / "1" / "x.csv").write_text("text\nOne\n")
    mapping = {"columns": None, "read": {"format": "", "encoding": "", "delimiter": "", "quoted": None}}
    record = Import.objects.create(project=hotel, filename="x.csv", path="1/x.csv", mapping=mapping, **fields)
    Import.objects.filter(pk=record.pk).update(created_at=timezone.now() - timedelta(minutes=2))
    record.refresh_from_db()
    return record


def test_the_job_reads_an_upload_once(hotel, settings):
    record = queued(hotel, settings)
    jobs.import_file(record.pk)
    record.refresh_from_db()
    assert (record.status, record.prompts_added, record.share_read) == ("done", 1, 1.0)
    jobs.import_file(record.pk)
    assert Event.objects.filter(verb="prompts.imported").count() == 1


def test_lost_jobs_are_found(hotel, settings):
    waiting = queued(hotel, settings)
    assert stranded_imports() == [waiting.pk]
    Import.objects.update(status=Import.Status.UPLOADED)
    assert stranded_imports() == [], "a person has not confirmed it yet"
    Import.objects.update(status=Import.Status.RUNNING)
    database = connection.settings_dict
    with psycopg.connect(
        host=database["HOST"],
        port=database["PORT"] or None,
        user=database["USER"],
        password=database["PASSWORD"],
        dbname=database["NAME"],
        autocommit=True,
    ) as worker:
        worker.execute("SELECT pg_advisory_lock(%s, %s)", [Lock.IMPORT, waiting.pk])
        assert stranded_imports() == [], "its worker lives"
    assert stranded_imports() == [waiting.pk], "its worker died"
    Import.objects.update(created_at=timezone.now() - timedelta(days=2))
    assert stranded_imports() == [waiting.pk], "the clock may have been set"
    Import.objects.update(report={"attempts": 10})
    assert stranded_imports() == []
    waiting.refresh_from_db()
    assert waiting.status == Import.Status.FAILED
    assert "Split the file" in waiting.error


def test_an_import_that_broke_off_leaves_nothing_and_is_done_again(hotel, settings, monkeypatch):
    record = queued(hotel, settings)
    real = staging.add_staged

    def dies(*arguments):
        real(*arguments)
        raise MemoryError("out of memory")

    with monkeypatch.context() as patch:
        patch.setattr(staging, "add_staged", dies)
        with pytest.raises(MemoryError):
            jobs.import_file(record.pk)
    assert not Prompt.objects.exists()
    Import.objects.update(status=Import.Status.RUNNING)  # as a kill -9 would have left it
    assert stranded_imports() == [record.pk]
    jobs.import_file(record.pk)
    assert Prompt.objects.count() == 1


@pytest.mark.parametrize(
    "problem",
    [
        (OperationalError("server closed the connection"), psycopg.OperationalError("gone")),
        (OperationalError("could not extend file"), psycopg.errors.DiskFull("full")),
        (OSError(errno.ENOSPC, "No space left on device"), None),
    ],
    ids=["database", "database's disk", "disk"],
)
def test_an_upload_outlasts_an_outage(hotel, settings, monkeypatch, problem):
    record = queued(hotel, settings)
    error, cause = problem

    def breaks_off(*arguments):
        raise error from cause

    with monkeypatch.context() as patch:
        patch.setattr(staging, "add_staged", breaks_off)
        with pytest.raises(type(error)):
            jobs.import_file(record.pk)
    record.refresh_from_db()
    assert record.status == Import.Status.RUNNING, "it was accepted: it has not failed"
    assert stranded_imports() == [record.pk]
    jobs.import_file(record.pk)
    assert Prompt.objects.count() == 1


def test_attempts_are_counted_unless_there_was_an_outage(hotel, settings, monkeypatch):
    record = queued(hotel, settings)

    def dies(*arguments):
        raise SystemExit  # as a kill -9: nothing is written about it

    with monkeypatch.context() as patch:
        patch.setattr(staging, "add_staged", dies)
        for _ in range(3):
            with pytest.raises(SystemExit):
                jobs.import_file(record.pk)
    record.refresh_from_db()
    assert (record.status, record.report) == ("running", {"attempts": 3})
    with monkeypatch.context() as patch:
        patch.setattr(staging, "add_staged", lambda *_: (_ for _ in ()).throw(OSError(errno.ENOSPC, "full")))
        with pytest.raises(OSError, match="full"):
            jobs.import_file(record.pk)
    record.refresh_from_db()
    assert (record.status, record.report) == ("running", {})
    jobs.import_file(record.pk)
    record.refresh_from_db()
    assert record.status == "done"
    assert "attempts" not in record.report


def test_a_file_of_the_command_line_fails_at_once_in_an_outage(hotel, tmp_path, monkeypatch):
    path = tmp_path / "x.csv"
    path.write_text("text\nOne\n")

    def breaks_off(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(staging, "add_staged", breaks_off)
    with pytest.raises(OSError, match="No space left"):
        call_command("import_prompts", "hotel", str(path))
    assert Import.objects.get().status == Import.Status.FAILED, "nobody does it again but who called"


def test_an_upload_from_before_the_clock_was_set_back_is_found(hotel, settings):
    record = queued(hotel, settings)
    Import.objects.update(created_at=timezone.now() + timedelta(hours=2))
    assert stranded_imports() == [record.pk]
    Import.objects.update(created_at=timezone.now())
    assert stranded_imports() == [], "its job is on its way"


# ---- pages ----


def upload(client, name, content):
    file = io.BytesIO(content.encode())
    file.name = name
    return client.post("/projects/hotel/import/", {"file": file})


def values_of(form) -> dict[str, str]:
    return {name: form[name].value() or "" for name in form.fields if name != "keep_good"}


def test_upload_look_confirm_read(hotel, sign_in, settings, monkeypatch, django_capture_on_commit_callbacks):
    client = sign_in(join(hotel, Role.MANAGER))
    assert b"Import the first file" in client.get("/projects/hotel/prompts/").content
    answer = upload(client, "reviews.csv", as_csv(ROWS))
    record = Import.objects.get()
    assert answer.headers["Location"] == f"/imports/{record.pk}/"
    page = client.get(f"/imports/{record.pk}/")
    assert "朝食は付いております。" in page.content.decode()
    form = page.context["form"]
    assert form["meaning-1"].value() == "text"
    assert form["meaning-4"].value() == "candidate"
    sent = []
    monkeypatch.setattr(current_app, "send_task", lambda name, args, **options: sent.append((name, args)))
    with django_capture_on_commit_callbacks(execute=True) as callbacks:
        client.post(f"/imports/{record.pk}/columns/", {**values_of(form), "origin-4": "polite"})
        assert sent == [], "nothing is sent before the commit"
    assert len(callbacks) == 1
    assert sent == [(jobs.import_file.name, [record.pk])]
    live = client.get(f"/imports/{record.pk}/").content.decode()
    assert 'hx-trigger="every 1s"' in live
    assert '<meta http-equiv="refresh" content="3">' in live
    polled = client.get(f"/imports/{record.pk}/", headers={"HX-Request": "true"})
    assert polled.status_code == 200
    assert b"Waiting for a worker" in polled.content
    jobs.import_file(record.pk)
    polled = client.get(f"/imports/{record.pk}/", headers={"HX-Request": "true"})
    assert polled.status_code == 286, "htmx stops asking"
    assert b"3 prompts and 3 candidates added" in polled.content
    prompts = client.get("/projects/hotel/prompts/").content.decode()
    assert "import:polite" in prompts
    assert "=SUM(1) is no formula here" in prompts
    assert client.get("/projects/hotel/prompts/?only=held_out").status_code == 200
    assert [path.name for path in settings.UPLOADS_DIR.iterdir()] == [str(hotel.pk)], "no half an upload is left"


def test_a_wrong_encoding_can_be_mended_on_the_page(hotel, sign_in):
    client = sign_in(join(hotel, Role.MANAGER))
    file = io.BytesIO(as_csv(ROWS).encode("cp932"))
    file.name = "old.csv"
    client.post("/projects/hotel/import/", {"file": file})
    record = Import.objects.get()
    page = client.get(f"/imports/{record.pk}/")
    assert b"is no such character" in page.content
    client.post(f"/imports/{record.pk}/reread/", {"encoding": "cp932", "delimiter": "", "quoted": ""})
    page = client.get(f"/imports/{record.pk}/columns/")
    assert "朝食は付いております。" in page.content.decode()
    client.post(f"/imports/{record.pk}/columns/", values_of(page.context["form"]))
    jobs.import_file(record.pk)
    assert loaded() == EXPECTED


def test_a_refused_upload_shows_faults_and_can_keep_the_good_rows(hotel, sign_in):
    client = sign_in(join(hotel, Role.MANAGER))
    upload(client, "bad.csv", "id,text\n1,One\n2,\n<b>,<script>\a\n")
    record = Import.objects.get()
    form = client.get(f"/imports/{record.pk}/").context["form"]
    client.post(f"/imports/{record.pk}/columns/", values_of(form))
    jobs.import_file(record.pk)
    page = client.get(f"/imports/{record.pk}/").content.decode()
    assert "Nothing was added." in page
    assert "the text is empty" in page
    faults = client.get(f"/imports/{record.pk}/faults/")
    assert faults.headers["Content-Disposition"].startswith("attachment")
    assert b"3,text,the text is empty" in b"".join(faults.streaming_content)
    assert client.get(f"/imports/{record.pk}/rest/").status_code == 404
    client.post(f"/imports/{record.pk}/columns/", {**values_of(form), "keep_good": "on"})
    jobs.import_file(record.pk)
    assert Prompt.objects.get().text == "One"
    rest = client.get(f"/imports/{record.pk}/rest/")
    assert b"".join(rest.streaming_content).splitlines()[1] == b"2,"
    answer = client.post(f"/imports/{record.pk}/columns/", values_of(form))
    assert answer.headers["Location"] == f"/imports/{record.pk}/", "what is done is not done again"


def test_a_mapping_that_does_not_fit_is_shown_again(hotel, sign_in):
    client = sign_in(join(hotel, Role.MANAGER))
    upload(client, "q.csv", "question,answer\nWho?,Me\n")
    record = Import.objects.get()
    answer = client.post(f"/imports/{record.pk}/columns/", {"meaning-0": "", "meaning-1": ""})
    assert answer.status_code == 422
    assert "no column is the prompt" in answer.content.decode()
    answer = client.post(f"/imports/{record.pk}/columns/", {"meaning-0": "text", "meaning-1": "text"})
    assert answer.status_code == 422
    assert "has this meaning already" in answer.content.decode()
    answer = client.post(
        f"/imports/{record.pk}/columns/", {"meaning-0": "text", "meaning-1": "candidate", "origin-1": "human:4"}
    )
    assert answer.status_code == 422
    assert "cannot come from a file" in answer.content.decode()


def test_imports_are_for_managers_only(hotel, sign_in, settings):
    client = sign_in(join(hotel, Role.MANAGER))
    upload(client, "a.csv", "text\nOne\n")
    record = Import.objects.get()
    pages = [
        "/projects/hotel/prompts/",
        "/projects/hotel/import/",
        f"/imports/{record.pk}/",
        f"/imports/{record.pk}/columns/",
        f"/imports/{record.pk}/faults/",
        f"/imports/{record.pk}/rest/",
    ]
    for person in [join(hotel, Role.ANNOTATOR), join(hotel, Role.REVIEWER), join(ProjectFactory(), Role.MANAGER)]:
        client = sign_in(person)
        assert [client.get(page).status_code for page in pages] == [404] * len(pages)
        assert upload(client, "b.csv", "text\nTwo\n").status_code == 404
    client.logout()
    assert upload(client, "b.csv", "text\nTwo\n").headers["Location"].startswith("/accounts/login/")
    files = [path for path in settings.UPLOADS_DIR.rglob("*") if path.is_file()]
    assert len(files) == 1, "nothing that a stranger sent is kept"


def test_an_upload_needs_its_token(hotel, settings):
    client = Client(enforce_csrf_checks=True)
    client.force_login(join(hotel, Role.MANAGER), backend="annotation.members.auth_backend.PeopleBackend")
    assert upload(client, "a.csv", "text\nOne\n").status_code == 403
    assert not list(settings.UPLOADS_DIR.rglob("*"))
    assert not Import.objects.exists()
    client.get("/projects/hotel/import/")
    file = io.BytesIO(b"text\nOne\n")
    file.name = "a.csv"
    form = {"file": file, "csrfmiddlewaretoken": client.cookies["csrftoken"].value}
    assert client.post("/projects/hotel/import/", form).status_code == 302


def test_a_path_that_leads_outside_is_not_served(hotel, sign_in, settings):
    (settings.VAR / "secret_key").write_text("secret")
    (settings.VAR.parent / "outside").write_text("secret")
    client = sign_in(join(hotel, Role.MANAGER))
    record = Import.objects.create(
        project=hotel,
        filename="a.csv",
        faults_path="../outside",
        path="../secret_key",
        mapping={"columns": None, "read": {}},
        status="refused",
    )
    assert client.get(f"/imports/{record.pk}/faults/").status_code == 404
    Import.objects.update(mapping={"columns": None, "read": {"format": "csv"}})
    page = client.get(f"/imports/{record.pk}/columns/")
    assert b"no longer here" in page.content
    assert b"secret" not in page.content.replace(b"secret_key", b"")


def test_queries_do_not_grow_with_rows(hotel, sign_in, tmp_path, django_assert_max_num_queries):
    client = sign_in(join(hotel, Role.MANAGER))
    (tmp_path / "a.csv").write_text("text,candidate_a,candidate_b\n" + "".join(f"S{n},A{n},B{n}\n" for n in range(60)))
    call_command("import_prompts", "hotel", str(tmp_path / "a.csv"))
    with django_assert_max_num_queries(14):
        client.get("/projects/hotel/prompts/")
