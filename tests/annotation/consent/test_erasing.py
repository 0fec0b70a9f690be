"""Erasing: not a trace of what a person wrote, in any table or file, and all that counts on it holds."""

import json

import pytest
from django.conf import settings as site
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction
from django.urls import reverse

from annotation.answers.exclusions import exclude_person, lift_exclusion
from annotation.consent.erasing import remaining_in
from annotation.consent.withdrawals import finish_all, withdraw
from annotation.core import counts, journal
from annotation.core.errors import Conflict
from annotation.models import Annotation, Assignment, DatasetRemoval, Event, Exclusion, Membership, Withdrawal
from tests.annotation.consent.planted import SECRET, Planted, tables_with

pytestmark = pytest.mark.django_db

PLANTED = {
    "annotation_adjudication",
    "annotation_annotation",
    "annotation_assignment",
    "annotation_candidate",
    "annotation_draft",
    "annotation_event",
    "annotation_exclusion",
    "annotation_gold",
    "annotation_memoryentry",
    "annotation_message",
    "annotation_qualificationattempt",
    "annotation_qualificationitem",
    "annotation_remark",
    "annotation_review",
}


@pytest.fixture
def world():
    return Planted()


def erase(world):
    return withdraw(
        project=world.project, person=world.kei, mode="erase", actor=world.kei, confirmation="Kei@example.org"
    )


def test_no_table_has_a_trace_and_counts_and_the_journal_hold(world, settings):
    versions = [world.freeze("sft"), world.freeze("dpo")]
    journal.seal_all()
    assert set(tables_with(SECRET)) == PLANTED, "the text is planted in every place that there is"
    finished = Assignment.objects.filter(batch__project=world.project, finished_at__isnull=False)
    done = finished.count()  # one of them was sent back, and returns to its answer
    kept = Annotation.objects.filter(annotator=world.kei).count()
    events = Event.objects.count()
    withdrawal = erase(world)
    assert tables_with(SECRET) == {}
    files = [path for path in settings.VAR.rglob("*") if path.is_file()]
    assert not [path for path in files if SECRET.encode() in path.read_bytes()]
    assert not list(settings.DATASETS_DIR.glob("*/*.parquet")), "compressed files are gone, too"
    assert set(withdrawal.erased) >= {"answers", "drafts", "remarks", "reviews", "memory_entries", "events"}
    assert withdrawal.dataset_ids == [version.pk for version in versions]

    assert finished.count() == done
    assert Annotation.objects.filter(annotator=world.kei).count() == kept, "that they answered stays"
    assert not Annotation.objects.filter(annotator=world.kei, is_current=True).exists()
    assert not Membership.objects.filter(user=world.kei).exists()
    assert Assignment.objects.get(pk=world.held.pk).state == "free"
    before = counted()
    counts.rebuild_counts()
    assert counted() == before

    journal.seal_all()
    chain = journal.verify_chain(world.project)
    assert (chain.faults, chain.redacted) == ((), 1)
    assert Event.objects.count() > events, "what was done is recorded"
    assert Event.objects.filter(verb="journal.redacted").count() == 1


def counted():
    with connection.cursor() as cursor:
        cursor.execute("""SELECT batch_id, annotator_id, day, hour, sum(answered), sum(changed), sum(skipped)
            FROM annotation_workcount GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4""")
        work = cursor.fetchall()
        cursor.execute("""SELECT batch_id, state, sum(slots) FROM annotation_slotcount GROUP BY 1, 2
            HAVING sum(slots) <> 0 ORDER BY 1, 2""")
        return work, cursor.fetchall()


def test_nothing_of_it_is_in_what_is_frozen_exported_or_shown_afterwards(world, sign_in):
    erase(world)
    version = world.freeze("sft")
    ids = set(Annotation.objects.filter(annotator=world.kei).values_list("pk", flat=True))
    frozen = {int(line) for line in (folder_of(version) / "annotation_ids.txt").read_text().split()}
    assert not frozen & ids
    client = sign_in(world.hana)
    for batch in world.batches.values():
        page = client.get(reverse("batch", args=[batch.pk]))
        assert page.status_code == 200
        assert SECRET not in page.content.decode()
    for answer in world.answers.values():
        page = client.get(reverse("task", args=[answer.task_id]))
        assert page.status_code == 200
    assert client.get(reverse("remarks", args=["hotel"])).status_code == 200
    assert client.get(reverse("dashboard", args=["hotel"])).status_code == 200
    mine = sign_in(world.kei).get(reverse("my_work"))
    assert mine.status_code == 200


def folder_of(version):
    return site.VAR / version.directory


def test_the_manifest_says_what_was_removed_and_the_version_stays_verifiable(world, capsys):
    version = world.freeze("sft")
    folder = folder_of(version)
    recorded = version.manifest["files"]
    withdrawal = erase(world)
    manifest = json.loads((folder / "manifest.json").read_text())
    removed = manifest.pop("removed")
    assert manifest == version.manifest, "what was frozen is not rewritten"
    assert removed["withdrawal"] == withdrawal.pk
    assert removed["files"] == {name: facts for name, facts in recorded.items() if name != "annotation_ids.txt"}
    call_command("verify_datasets")
    assert "files removed after a withdrawal" in capsys.readouterr().out
    with pytest.raises(IntegrityError), transaction.atomic():
        DatasetRemoval.objects.update(files={})


def test_events_change_only_as_a_redaction_says(world):
    event = Event.objects.filter(verb="remark.added").first()
    with pytest.raises(IntegrityError), transaction.atomic():
        Event.objects.filter(pk=event.pk).update(after={"text": "something else"})
    erase(world)
    with pytest.raises(IntegrityError), transaction.atomic():
        Event.objects.filter(pk=event.pk).update(after={"text": "something else"})


def test_a_journal_that_was_changed_is_not_redacted(world):
    journal.seal_all()
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE annotation_event DISABLE TRIGGER annotation_event_redacted")
        cursor.execute("UPDATE annotation_event SET at = now() WHERE verb = 'remark.added'")
        cursor.execute("ALTER TABLE annotation_event ENABLE TRIGGER annotation_event_redacted")
    with pytest.raises(Conflict, match="does not fit its events"):
        erase(world)
    assert not Withdrawal.objects.exists()
    assert set(tables_with(SECRET)) == PLANTED


def test_what_arrives_late_is_erased_by_the_job(world):
    withdrawal = erase(world)
    task = world.held.task
    task.remarks.create(author=world.kei, kind="comment", text=f"{SECRET} late")
    task.drafts.create(annotator=world.kei, payload={"text": SECRET})
    assert finish_all() == 1
    assert tables_with(SECRET) == {}
    withdrawal.refresh_from_db()
    assert withdrawal.erased["drafts"] == 3, "of the held task, of the answer sent back, and the late one"
    assert finish_all() == 0


def test_an_answer_that_was_corrected_by_the_person_counts_no_more(world):
    erase(world)
    other = world.others["postediting"]
    exclusion = Exclusion.objects.get(task=other.task_id, annotator=world.hana)
    assert "withdrew consent" in exclusion.reason
    with pytest.raises(Conflict):
        lift_exclusion(exclusion=exclusion, actor=world.hana)


def test_manifests_that_quote_why_somebody_was_excluded_are_named(world):
    """A frozen version never changes, so that what stays is said."""
    exclusion = exclude_person(project=world.project, annotator=world.kei, reason="Ill until May", actor=world.hana)
    version = world.freeze("dpo")
    lift_exclusion(exclusion=exclusion, actor=world.hana)
    assert f"those of datasets {version.pk} quote why" in " ".join(remaining_in(erase(world)))
