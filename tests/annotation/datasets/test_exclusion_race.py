"""Exclusions that are made and lifted while a dataset is frozen: an answer is in it or is not, and the manifest says
which."""

import json
import threading

import pytest
from django.conf import settings
from django.db import connection

from annotation.answers.exclusions import exclude_person, lift_exclusion
from annotation.answers.submission import submit
from annotation.datasets import labels
from annotation.datasets.freeze import freeze_dataset
from annotation.models import Role
from annotation.queue.claims import claim_next
from tests.annotation.helpers import batch_of, hotel
from tests.factories import join

pytestmark = pytest.mark.django_db(transaction=True)
PROMPTS = 12


@pytest.fixture
def answered():
    project = hotel(prompts=PROMPTS, slug="hotel", held_out_share=0)
    batch = batch_of(project, overlap=2)
    people = [join(project, Role.ANNOTATOR, name=name) for name in ("Hana", "Ken")]
    for person in people:
        while held := claim_next(batch=batch, annotator=person):
            shown = held.task.candidate_ids
            payload = {"choice": "one", "chosen": shown[0], "shown": shown, "strength": 1, "reasons": []}
            submit(assignment=held, payload=payload)
    return project, people[1]


def elsewhere(action):
    """Run in a thread with a connection of its own; returns when it is committed."""
    failures = []

    def run():
        try:
            action()
        except Exception as error:
            failures.append(error)
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(60)
    assert not thread.is_alive()
    assert not failures, failures


def freeze(project):
    version = freeze_dataset(project=project, purpose="dpo", actor=None)
    directory = settings.VAR / version.directory
    rows = [json.loads(line) for line in (directory / "train.jsonl").read_text(encoding="utf-8").splitlines()]
    return version, {row["votes"] for row in rows}, len((directory / "annotation_ids.txt").read_text().split())


def test_an_exclusion_made_while_labels_are_read_is_wholly_out_or_wholly_in(answered, monkeypatch):
    project, ken = answered
    monkeypatch.setattr(labels, "PROMPTS_AT_ONCE", 1)
    real, made = labels.with_texts, []

    def interrupted(*arguments):
        if not made:  # the first prompt has been read, the others have not
            made.append(True)
            elsewhere(lambda: exclude_person(project=project, annotator=ken, reason="Noise", actor=None))
        return real(*arguments)

    monkeypatch.setattr(labels, "with_texts", interrupted)
    version, votes, count = freeze(project)
    assert made
    assert (votes, count) == ({2}, 2 * PROMPTS)
    assert "excluded" not in version.manifest
    version, votes, count = freeze(project)
    assert (votes, count) == ({1}, PROMPTS)
    assert version.manifest["excluded"]["annotations"] == PROMPTS
    assert version.manifest["excluded"]["exclusions"][0]["reason"] == "Noise"


def test_while_exclusions_come_and_go_every_version_fits_its_manifest(answered, monkeypatch):
    project, ken = answered
    monkeypatch.setattr(labels, "PROMPTS_AT_ONCE", 1)
    until, counts = threading.Event(), []

    def come_and_go():
        try:
            while not until.is_set():
                exclusion = exclude_person(project=project, annotator=ken, reason="Noise", actor=None)
                lift_exclusion(exclusion=exclusion, actor=None)
                counts.append(exclusion.pk)
        finally:
            connection.close()

    thread = threading.Thread(target=come_and_go)
    thread.start()
    try:
        for _ in range(15):
            version, votes, count = freeze(project)
            facts = version.asked_manifest or version.manifest
            excluded = facts.get("excluded", {"annotations": 0})["annotations"]
            assert excluded in (0, PROMPTS)
            assert votes == ({1} if excluded else {2})
            assert facts["annotations"]["count"] == count == 2 * PROMPTS - excluded
    finally:
        until.set()
        thread.join(60)
    assert counts
