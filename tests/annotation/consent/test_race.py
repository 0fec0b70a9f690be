"""Consent is withdrawn while datasets are frozen and answers arrive: later versions have nothing of the person."""

import contextlib
import threading

import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import connection

from annotation.answers.submission import save_draft, submit
from annotation.consent import keys
from annotation.consent.withdrawals import finish_all, withdraw
from annotation.core.errors import Conflict
from annotation.datasets import freeze, labels
from annotation.datasets.freeze import freeze_dataset
from annotation.models import Annotation, DatasetVersion, Draft, Kind, Role, Withdrawal
from annotation.queue.claims import claim_next
from tests.annotation.helpers import batch_of, hotel
from tests.factories import join

pytestmark = pytest.mark.django_db(transaction=True)
PROMPTS = 8


@pytest.fixture
def world():
    project = hotel(prompts=PROMPTS, slug="hotel", held_out_share=0)
    batch = batch_of(project, Kind.WRITING, overlap=2)
    hana, kei = (join(project, Role.ANNOTATOR, name=name) for name in ("Hana", "Kei"))
    join(project, Role.MANAGER)
    for person in (hana, kei):
        for _ in range(PROMPTS - 2):
            held = claim_next(batch=batch, annotator=person)
            submit(assignment=held, payload={"text": f"{person.name} {held.task_id}"}, annotator=person)
    return project, batch, kei


def in_threads(*actions):
    """Run them at once, each with a connection of its own; returns when all are done."""
    failures = []

    def run(action):
        try:
            action()
        except Exception as error:
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=[action]) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert not failures, failures


def erase(project, person):
    return withdraw(project=project, person=person, mode="erase", actor=None, confirmation=person.email)


def ids_in(version):
    return set(map(int, (settings.VAR / version.directory / "annotation_ids.txt").read_text().split()))


def of(person):
    return set(Annotation.objects.filter(annotator=person).values_list("pk", flat=True))


@pytest.mark.parametrize("mode", Withdrawal.Mode.values)
@pytest.mark.parametrize("moment", ["read", "register"])
def test_a_dataset_that_is_being_frozen_is_read_again(world, monkeypatch, mode, moment):
    project, _batch, kei = world
    monkeypatch.setattr(labels, "PROMPTS_AT_ONCE", 1)
    module, name = (labels, "with_texts") if moment == "read" else (freeze, "register")
    real, made = getattr(module, name), []

    def interrupted(*arguments):
        if not made:
            made.append(True)
            in_threads(lambda: withdraw(project=project, person=kei, mode=mode, actor=None, confirmation=kei.email))
        return real(*arguments)

    monkeypatch.setattr(module, name, interrupted)
    version = freeze_dataset(project=project, purpose="sft", actor=None)
    assert made
    assert not ids_in(version) & of(kei)
    assert Withdrawal.objects.get().dataset_ids == [], "no version ever contained them"
    assert [path.name for path in settings.DATASETS_DIR.iterdir()] == [version.sha256], "and no files are left of them"


def test_freezing_and_withdrawing_at_once_lists_the_version_or_keeps_it_clean(world):
    project, _batch, kei = world
    in_threads(
        lambda: freeze_dataset(project=project, purpose="sft", actor=None),
        lambda: erase(project, kei),
        lambda: freeze_dataset(project=project, purpose="sft", format="standard", actor=None),
    )
    reached = set(Withdrawal.objects.get().dataset_ids)
    for version in DatasetVersion.objects.all():
        assert bool(ids_in(version) & of(kei)) == (version.pk in reached)
        jsonl = settings.VAR / version.directory / "train.jsonl"
        assert jsonl.exists() == (version.pk not in reached)
    call_command("verify_datasets")


def test_answers_and_drafts_that_arrive_meanwhile_are_refused_or_erased(world):
    project, batch, kei = world
    held = claim_next(batch=batch, annotator=kei)
    other = join(project, Role.ANNOTATOR)

    def work():
        for number in range(20):
            with contextlib.suppress(Conflict):
                save_draft(assignment=held, payload={"text": f"late {number}"}, annotator=kei)
        with contextlib.suppress(Conflict):
            submit(assignment=held, payload={"text": "late answer"}, annotator=kei)

    def others():
        while found := claim_next(batch=batch, annotator=other):
            submit(assignment=found, payload={"text": "fine"}, annotator=other)

    in_threads(work, lambda: erase(project, kei), others)
    with pytest.raises(Conflict, match="withdrawn"):
        save_draft(assignment=held, payload={"text": "later"}, annotator=kei)
    version = freeze_dataset(project=project, purpose="sft", actor=None)
    assert not ids_in(version) & of(kei), "also before the job has swept"
    finish_all()
    assert not Annotation.objects.filter(annotator=kei).exclude(payload={"erased": True}).exists()
    assert not Annotation.objects.filter(annotator=kei, is_current=True).exists()
    assert not Draft.objects.filter(annotator=kei).exists()
    states = set(batch.assignments.values_list("state", flat=True))
    assert states <= {"done", "free"}


def test_two_withdrawals_at_once_are_one(world):
    project, _batch, kei = world
    results = []

    def once():
        try:
            results.append(withdraw(project=project, person=kei, mode="exclude", actor=None))
        except Conflict as error:
            results.append(str(error))

    in_threads(once, once, once)
    assert Withdrawal.objects.count() == 1
    assert sum(isinstance(row, str) for row in results) == 2


def test_processes_that_need_the_key_at_once_make_one(own_var):
    pems = []
    in_threads(*[lambda: pems.append(keys.public_pem())] * 8)
    assert len(set(pems)) == 1
    assert keys.key_path().stat().st_mode & 0o777 == 0o600
    assert [path.name for path in keys.key_path().parent.iterdir()] == [keys.KEY]
