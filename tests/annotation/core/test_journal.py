"""Recorded events stay as they are: the database refuses changes, and the chain shows those made past it."""

import json
import threading

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction

from annotation.core import journal
from annotation.core.events import record
from annotation.models import Event, EventSeal
from tests.annotation.helpers import hotel


@pytest.fixture
def project(db):
    return hotel(prompts=1)


def add(project, count=1, **values):
    for number in range(count):
        record(verb="batch.opened", target=project, actor=None, project=project, after={"number": number, **values})


def past_the_triggers(statement, parameters=()):
    """What a superuser of the database can do."""
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        cursor.execute(statement, parameters)
        cursor.execute("SET session_replication_role = origin")


def faults():
    return [fault for chain in journal.verify() for fault in chain.faults]


@pytest.mark.parametrize(
    "change",
    [
        lambda: Event.objects.update(verb="nothing.happened"),
        lambda: Event.objects.all().delete(),
        lambda: Event.objects.filter(pk=Event.objects.latest("pk").pk).update(at="2020-01-01T00:00Z"),
        lambda: EventSeal.objects.update(sha256=""),
        lambda: EventSeal.objects.all().delete(),
    ],
)
def test_the_database_refuses(project, change):
    add(project, 2)
    journal.seal_all()
    with pytest.raises(IntegrityError, match="kept as they are"), transaction.atomic():
        change()
    assert not faults()


def test_every_event_is_sealed_once_and_seals_continue_each_other(project):
    add(project, 3)
    assert journal.seal_all() == Event.objects.count()
    assert journal.seal_all() == 0
    add(project, 2, text='数 — é \\ "quoted" \n')
    assert journal.seal_all() == 2
    (first, second) = EventSeal.objects.filter(project=project).order_by("number")
    assert second.previous == first.sha256
    assert sorted(Event.objects.values_list("pk", flat=True)) == sorted(
        event for seal in EventSeal.objects.all() for event in seal.event_ids
    )
    assert not faults()


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("UPDATE annotation_event SET verb = 'x' WHERE id = %s", "an event was changed"),
        ("""UPDATE annotation_event SET "after" = '{"number": 7}' WHERE id = %s""", "an event was changed"),
        ("UPDATE annotation_event SET at = at - interval '1 second' WHERE id = %s", "an event was changed"),
        ("UPDATE annotation_event SET actor_id = NULL, object_id = 0 WHERE id = %s", "an event was changed"),
        ("DELETE FROM annotation_event WHERE id = %s", "1 of 3 events are missing"),
        ("DELETE FROM annotation_eventseal WHERE %s = ANY(event_ids)", "1 seals are missing"),
        (
            "INSERT INTO annotation_event (verb, object_type, at, project_id)"
            " SELECT 'x', 'batch', at - interval '2 hours', project_id FROM annotation_event WHERE id = %s",
            "are in no seal",
        ),
    ],
)
def test_what_is_done_past_the_triggers_shows(project, statement, expected):
    journal.seal_all()
    add(project, 3)
    journal.seal_all()
    add(project)
    journal.seal_all()
    assert not faults()
    past_the_triggers(statement, [Event.objects.order_by("pk").filter(project=project).reverse()[2].pk])
    assert expected in " ".join(faults())


def test_a_chain_made_again_is_told_from_the_heads_that_were_kept(project, tmp_path, capsys):
    add(project, 3)
    call_command("verify_events", seal=True, heads=tmp_path / "heads.json")
    add(project)
    call_command("verify_events", seal=True, expect=tmp_path / "heads.json")
    past_the_triggers("DELETE FROM annotation_eventseal")
    past_the_triggers("DELETE FROM annotation_event WHERE verb = 'batch.opened'")
    call_command("verify_events", seal=True)
    with pytest.raises(CommandError, match="journal was changed"):
        call_command("verify_events", expect=tmp_path / "heads.json")
    assert "the chain was made again" in capsys.readouterr().out


@pytest.mark.parametrize("content", ["", "[]", '{"site": 3}', '{"site": {"seals": "x", "sha256": ""}}', None])
def test_a_file_that_holds_no_heads_is_refused(db, tmp_path, content):
    path = tmp_path / "heads.json"
    if content is not None:
        path.write_text(content)
    if content == "[]":
        path.write_text(json.dumps([1]))
    with pytest.raises(CommandError, match=r"heads\.json"):
        call_command("verify_events", expect=path)


@pytest.mark.django_db(transaction=True)
def test_two_workers_seal_each_event_once():
    project = hotel(prompts=1)
    add(project, 20)
    gate, failures = threading.Barrier(4), []

    def work():
        try:
            gate.wait()
            add(project, 3)
            journal.seal_all()
        except BaseException as error:
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    journal.seal_all()
    assert not failures
    sealed = [event for seal in EventSeal.objects.all() for event in seal.event_ids]
    assert sorted(sealed) == sorted(Event.objects.values_list("pk", flat=True))
    assert not faults()
