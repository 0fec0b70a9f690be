"""Exports asked for on the page: queued, written by a job, cancelled, begun again, deleted after a week."""

import errno
import json
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from django.core.management import call_command
from django.db import OperationalError, connection
from django.utils import timezone

from annotation import jobs
from annotation.core.errors import Conflict
from annotation.core.locks import Lock
from annotation.exchange import requests
from annotation.exchange.selection import Selection
from annotation.models import AnswerExport, Event
from tests.annotation.exchange.story import Story

# The progress of a job is written by a connection of its own: it must see what the test has written.
pytestmark = pytest.mark.django_db(transaction=True)
Status = AnswerExport.Status


@pytest.fixture
def story():
    return Story()


@pytest.fixture(autouse=True)
def sent(monkeypatch):
    """The jobs that were sent, by export."""
    found: list[int] = []
    monkeypatch.setattr("celery.current_app.send_task", lambda name, args, **options: found.append(*args))
    monkeypatch.setattr(requests, "PROGRESS_SECONDS", 0)
    return found


def asked(story, format="jsonl", **selection) -> AnswerExport:
    return requests.request_export(
        project=story.project, format=format, selection=Selection(**selection), actor=story.hana
    )


def file_of(export, settings) -> Path:
    return settings.VAR / export.path


def leftovers(settings) -> list[Path]:
    return [path for path in (settings.VAR / "exports").rglob("*") if path.is_file()]


def worker():
    """A connection that holds locks, as another worker's would."""
    database = connection.settings_dict
    return psycopg.connect(
        host=database["HOST"],
        port=database["PORT"] or None,
        user=database["USER"],
        password=database["PASSWORD"],
        dbname=database["NAME"],
        autocommit=True,
    )


def test_a_job_writes_the_file_once(story, sent, settings):
    export = asked(story, current_only=True)
    assert sent == [export.pk]
    jobs.export_answers(export.pk)
    export.refresh_from_db()
    rows = [json.loads(line) for line in file_of(export, settings).read_text().splitlines()]
    assert (export.status, export.rows_written, export.rows_total, len(rows)) == (Status.DONE, 11, 11, 11)
    assert export.size == file_of(export, settings).stat().st_size
    assert export.report["left_out"] == {"versions": 2}
    assert export.report["never"]["drafts"] == 2
    written = file_of(export, settings).stat().st_mtime_ns
    jobs.export_answers(export.pk)
    assert file_of(export, settings).stat().st_mtime_ns == written
    verbs = list(Event.objects.filter(object_type="answerexport").order_by("pk").values_list("verb", flat=True))
    assert verbs == ["answers.export_requested", "answers.exported"]


def test_a_double_click_is_one_export(story, sent):
    first, second, other = asked(story), asked(story), asked(story, format="csv")
    assert first == second != other
    assert sent == [first.pk, other.pk]
    jobs.export_answers(first.pk)
    assert asked(story) != first, "the answers may have changed since"


def test_a_waiting_export_is_cancelled_at_once(story, settings):
    export = requests.cancel_export(export=asked(story), actor=story.hana)
    assert export.status == Status.CANCELLED
    jobs.export_answers(export.pk)
    export.refresh_from_db()
    assert (export.status, leftovers(settings)) == (Status.CANCELLED, [])
    with pytest.raises(Conflict, match="finished already"):
        requests.cancel_export(export=export, actor=story.hana)


def test_one_that_is_being_written_stops_and_leaves_nothing(story, settings, monkeypatch):
    export = asked(story)
    real = requests.write_answers

    def cancelled_meanwhile(*arguments, progress, **options):
        def report(rows, total):
            if rows:
                requests.cancel_export(export=AnswerExport.objects.get(pk=export.pk), actor=story.hana)
            progress(rows, total)

        return real(*arguments, progress=report, **options)

    with monkeypatch.context() as patch:
        patch.setattr(requests, "cancel_export", outside(requests.cancel_export))
        patch.setattr(requests, "write_answers", cancelled_meanwhile)
        jobs.export_answers(export.pk)
    export.refresh_from_db()
    assert (export.status, export.path, leftovers(settings)) == (Status.CANCELLED, "", [])
    requests.restart_export(export=export, actor=story.hana)
    jobs.export_answers(export.pk)
    export.refresh_from_db()
    assert export.status == Status.DONE


def outside(action):
    """The action in a thread, which has a connection of its own, as another request has."""
    from concurrent.futures import ThreadPoolExecutor

    def run(**arguments):
        def and_close():
            try:
                return action(**arguments)
            finally:
                connection.close()

        with ThreadPoolExecutor(1) as pool:
            return pool.submit(and_close).result()

    return run


def test_progress_is_seen_while_the_file_is_written(story, monkeypatch):
    seen = []
    real = requests.write_answers

    def watched(*arguments, progress, **options):
        def report(rows, total):
            progress(rows, total)
            seen.append(
                outside(lambda: AnswerExport.objects.values_list("status", "rows_written", "rows_total").get())()
            )

        return real(*arguments, progress=report, **options)

    monkeypatch.setattr(requests, "write_answers", watched)
    jobs.export_answers(asked(story).pk)
    assert seen == [("running", 0, 13), ("running", 13, 13)]


def test_a_cancel_after_the_last_row_counts(story, settings, monkeypatch):
    export = asked(story)
    real = requests.finish

    def too_late(*arguments):
        requests.cancel_export(export=AnswerExport.objects.get(pk=export.pk), actor=story.hana)
        return real(*arguments)

    monkeypatch.setattr(requests, "finish", too_late)
    jobs.export_answers(export.pk)
    export.refresh_from_db()
    assert (export.status, leftovers(settings)) == (Status.CANCELLED, [])


def test_lost_jobs_are_found_and_done_again(story):
    export = asked(story)
    assert requests.due_exports() == [], "its job may yet come"
    AnswerExport.objects.update(queued_at=timezone.now() - timedelta(minutes=2))
    assert requests.due_exports() == [export.pk]
    AnswerExport.objects.update(status=Status.RUNNING)
    with worker() as other:
        other.execute("SELECT pg_advisory_lock(%s, %s)", [Lock.ANSWER_EXPORT, export.pk])
        assert requests.due_exports() == [], "its worker lives"
        with pytest.raises(Conflict):
            requests.run_export(export)
    assert requests.due_exports() == [export.pk], "its worker died"
    jobs.export_answers(export.pk)
    export.refresh_from_db()
    assert export.status == Status.DONE
    assert requests.due_exports() == []


def test_one_that_kills_its_workers_is_given_up_and_a_cancelled_one_is_ended(story):
    export, other = asked(story), asked(story, format="csv")
    AnswerExport.objects.update(status=Status.RUNNING)
    AnswerExport.objects.filter(pk=export.pk).update(attempts=requests.ATTEMPTS)
    AnswerExport.objects.filter(pk=other.pk).update(cancel_requested=True)
    assert requests.due_exports() == []
    export.refresh_from_db()
    other.refresh_from_db()
    assert (export.status, export.error) == (Status.FAILED, requests.DIED)
    assert other.status == Status.CANCELLED


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (OperationalError("server closed the connection"), Status.RUNNING, ""),
        (OSError(errno.ENOSPC, "No space left on device"), Status.FAILED, requests.NO_SPACE),
        (ValueError("broken"), Status.FAILED, "ValueError: broken"),
    ],
    ids=["database", "disk", "ours"],
)
def test_what_breaks_it_off(story, settings, monkeypatch, error, status, message):
    export = asked(story)

    def breaks_off(*arguments):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr("annotation.exchange.records.positions", breaks_off)
        with pytest.raises(type(error)):
            jobs.export_answers(export.pk)
    export.refresh_from_db()
    assert (export.status, export.error, leftovers(settings)) == (status, message, [])
    if status == Status.RUNNING:
        assert requests.due_exports() == [export.pk]
        jobs.export_answers(export.pk)
    else:
        requests.restart_export(export=export, actor=story.hana)
        jobs.export_answers(export.pk)
    export.refresh_from_db()
    assert export.status == Status.DONE


def test_files_are_deleted_after_a_week_and_whatever_nobody_needs(story, settings, capsys):
    old, new, waiting = asked(story), asked(story, format="csv"), asked(story, format="parquet")
    jobs.export_answers(old.pk)
    jobs.export_answers(new.pk)
    AnswerExport.objects.filter(pk=old.pk).update(finished_at=timezone.now() - timedelta(days=7, minutes=1))
    for name in ("999999", "no number"):
        (settings.VAR / "exports" / name).mkdir()
    call_command("delete_old_exports")
    assert capsys.readouterr().out == "1 file deleted\n"
    old.refresh_from_db()
    new.refresh_from_db()
    assert (old.status, old.path) == (Status.DELETED, "")
    assert [path.parent.name for path in leftovers(settings)] == [str(new.pk)]
    assert sorted(path.name for path in (settings.VAR / "exports").iterdir()) == [str(new.pk)]
    assert Event.objects.get(verb="answers.export_deleted").actor is None
    jobs.delete_old_exports()
    assert leftovers(settings) == [file_of(new, settings)]
    waiting.refresh_from_db()
    assert waiting.status == Status.QUEUED
    requests.restart_export(export=old, actor=story.hana)
    jobs.export_answers(old.pk)
    old.refresh_from_db()
    assert old.status == Status.DONE


def test_two_exports_at_the_same_time_have_the_same_content(story, settings):
    from concurrent.futures import ThreadPoolExecutor

    first, second = asked(story), asked(story, current_only=False, without_skips=True)

    def run(export):
        try:
            jobs.export_answers(export.pk)
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(run, (first, second)))
    first.refresh_from_db()
    second.refresh_from_db()
    both = file_of(first, settings).read_text().splitlines(), file_of(second, settings).read_text().splitlines()
    assert [line for line in both[0] if '"state":"skipped"' not in line] == both[1]


def test_one_export_is_written_by_one_worker(story):
    export = asked(story)
    with worker() as other:
        other.execute("SELECT pg_advisory_lock(%s, %s)", [Lock.ANSWER_EXPORT, export.pk])
        jobs.export_answers(export.pk)
        export.refresh_from_db()
        assert (export.status, export.attempts) == (Status.QUEUED, 0)
