"""Withdrawing by the pages and the command: who may, what is refused, and what follows."""

import json

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse

from annotation.answers.exclusions import lift_exclusion
from annotation.consent.withdrawals import withdraw
from annotation.core.errors import Conflict
from annotation.core.withdrawals import withdrawn_datasets
from annotation.exchange import requests
from annotation.exchange.selection import Selection
from annotation.members.memberships import LastManager, add_member
from annotation.models import Annotation, AnswerExport, Event, Exclusion, Kind, Membership, Role, Withdrawal
from annotation.queue.claims import claim_next
from tests.annotation.consent.planted import SECRET, Planted
from tests.factories import UserFactory, join

pytestmark = pytest.mark.django_db


@pytest.fixture
def world():
    return Planted()


def exclude(world, **options):
    return withdraw(project=world.project, person=world.kei, mode="exclude", actor=world.kei, **options)


def test_excluded_answers_are_kept_and_in_no_later_version(world, sign_in):
    before = world.freeze()
    client = sign_in(world.kei)
    client.post(reverse("consent", args=["hotel"]), {"mode": "exclude", "named": "on"})
    withdrawal = Withdrawal.objects.get()
    assert withdrawal.named
    assert withdrawal.dataset_ids == [before.pk]
    assert Annotation.objects.filter(annotator=world.kei, payload__text__icontains=SECRET).exists()
    after = world.freeze()
    assert after.train_rows < before.train_rows
    assert after.manifest["excluded"]["annotations"] >= 4
    assert not Membership.objects.filter(user=world.kei).exists()
    assert client.get(reverse("project", args=["hotel"])).status_code == 404
    assert client.get(reverse("withdrawal", args=[withdrawal.pk])).status_code == 200
    assert client.get(reverse("my_consent")).status_code == 200


def test_an_exclusion_is_lifted_only_after_the_person_consents_again(world, sign_in):
    version = world.freeze()
    withdrawal = exclude(world)
    exclusion = Exclusion.objects.get(annotator=world.kei, task=None, lifted_at=None)
    for attempt in (
        lambda: lift_exclusion(exclusion=exclusion, actor=world.hana),
        lambda: add_member(project=world.project, user=world.kei, role=Role.ANNOTATOR, actor=world.hana),
    ):
        with pytest.raises(Conflict, match="consent"):
            attempt()
    again = reverse("withdrawal_again", args=[withdrawal.pk])
    page = sign_in(world.hana).post(again, follow=True)
    assert "Only the person themselves" in page.content.decode()
    assert withdrawn_datasets(world.project) == {version.pk}
    sign_in(world.kei).post(again)
    withdrawal.refresh_from_db()
    assert withdrawal.ended_at
    assert withdrawn_datasets(world.project) == set()
    lift_exclusion(exclusion=exclusion, actor=world.hana)
    add_member(project=world.project, user=world.kei, role=Role.ANNOTATOR, actor=world.hana)
    assert claim_next(batch=world.batches[Kind.WRITING], annotator=world.kei)
    assert exclude(world).pk != withdrawal.pk, "and may withdraw again"


def test_excluded_answers_can_still_be_erased(world, sign_in):
    first = exclude(world)
    client = sign_in(world.kei)
    address = reverse("consent", args=["hotel"])
    assert client.get(address).url == reverse("withdrawal", args=[first.pk])
    assert "Erase the answers" in client.get(f"{address}?mode=erase").content.decode()
    client.post(address, {"mode": "erase", "confirmation": "kei@example.org"})
    withdrawal = Withdrawal.objects.get()
    assert (withdrawal.pk, withdrawal.mode) == (first.pk, "erase")
    assert not Annotation.objects.filter(payload__text__icontains=SECRET).exists()
    again = client.post(address, {"mode": "erase", "confirmation": "kei@example.org"})
    assert again.status_code == 422
    assert "withdrawn already" in again.content.decode()


def test_erased_answers_stay_away_when_the_person_comes_back(world, sign_in):
    withdrawal = withdraw(
        project=world.project, person=world.kei, mode="erase", actor=None, confirmation="kei@example.org"
    )
    version_ids = set(withdrawal.dataset_ids)
    sign_in(world.kei).post(reverse("withdrawal_again", args=[withdrawal.pk]))
    assert withdrawn_datasets(world.project) == version_ids
    lift_exclusion(exclusion=Exclusion.objects.get(annotator=world.kei, task=None, lifted_at=None), actor=world.hana)
    version = world.freeze()
    kinds = version.manifest["annotations"]
    assert kinds["annotators"] == 3, "Hana, and the two whose disagreement was decided; not the person who left"


def test_managers_record_it_and_others_do_not(world, sign_in):
    address = reverse("settings_consent", args=["hotel", world.kei.pk])
    client = sign_in(world.hana)
    assert address in client.get(reverse("settings_people", args=["hotel"])).content.decode()
    assert client.get(reverse("settings_consent", args=["hotel", UserFactory().pk])).status_code == 404
    missing = client.post(address, {"mode": "erase", "confirmation": ""})
    assert missing.status_code == 422
    assert not Withdrawal.objects.exists()
    client.post(address, {"mode": "exclude", "note": "A letter of 3 May"})
    withdrawal = Withdrawal.objects.get()
    assert (withdrawal.recorded_by, withdrawal.note) == (world.hana, "A letter of 3 May")
    page = client.get(reverse("withdrawal", args=[withdrawal.pk])).content.decode()
    assert "A letter of 3 May" in page
    assert withdrawal.salt not in page
    listed = client.get(reverse("withdrawals", args=["hotel"])).content.decode()
    assert reverse("withdrawal", args=[withdrawal.pk]) in listed
    event = Event.objects.get(verb="consent.withdrawn")
    assert (event.actor, event.after["person"]) == (world.hana, world.kei.pk)
    reviewer = sign_in(join(world.project, Role.REVIEWER))
    for name, keys in (("withdrawal", [withdrawal.pk]), ("withdrawals", ["hotel"])):
        assert reviewer.get(reverse(name, args=keys)).status_code == 404


def test_the_last_manager_makes_somebody_else_manager_first(world):
    with pytest.raises(LastManager):
        withdraw(project=world.project, person=world.hana, mode="exclude", actor=world.hana)
    assert not Withdrawal.objects.exists()


def test_answers_that_were_exported_are_deleted(world, sign_in, settings):
    export = requests.request_export(project=world.project, format="jsonl", selection=Selection(), actor=world.hana)
    folder = settings.VAR / "exports" / str(export.pk)
    folder.mkdir(parents=True)
    (folder / "answers.jsonl").write_text(SECRET)
    done = {"status": "done", "path": f"exports/{export.pk}/answers.jsonl", "finished_at": export.created_at}
    AnswerExport.objects.filter(pk=export.pk).update(**done)
    withdraw(project=world.project, person=world.kei, mode="erase", actor=None, confirmation="kei@example.org")
    export.refresh_from_db()
    assert export.status == "deleted"
    assert not folder.exists()
    out = settings.VAR / "later.jsonl"
    call_command("export_annotations", "hotel", "--out", str(out))
    assert SECRET not in out.read_text()


def test_the_command_withdraws_reports_and_signs(world, tmp_path, capsys):
    version = world.freeze()
    options = ["--project", "hotel", "--person", "KEI@example.org"]
    with pytest.raises(CommandError, match="has not withdrawn"):
        call_command("withdraw_consent", *options, "--receipt", str(tmp_path / "receipt.json"))
    call_command("withdraw_consent", *options, "--erase", "--named", "--note", "By mail")
    out = capsys.readouterr().out
    assert f"contains them: dataset {version.pk}" in out
    assert "erased: answers" in out
    call_command("withdraw_consent", *options, "--receipt", str(tmp_path / "receipt.json"))
    call_command("verify_receipt", str(tmp_path / "receipt.json"), "--key", str(tmp_path / "receipt.pem"))
    receipt = json.loads((tmp_path / "receipt.json").read_text())
    assert receipt["person"] == {"id": world.kei.pk, "name": "Kei", "email": "kei@example.org"}
    assert receipt["datasets"][0]["files_removed"] is True
    assert receipt["promoted"] == []
    assert receipt["events"]["sha256"]
    call_command("withdraw_consent", "--finish")
    for wrong in (["--project", "none"], ["--project", "hotel", "--person", "nobody@example.org"]):
        with pytest.raises(CommandError, match="there is no"):
            call_command("withdraw_consent", *wrong)


def test_a_receipt_of_another_key_is_refused(world, tmp_path, settings):
    exclude(world)
    options = ["--project", "hotel", "--person", "kei@example.org"]
    call_command("withdraw_consent", *options, "--receipt", str(tmp_path / "receipt.json"))
    (settings.VAR / "keys" / "receipts-key.pem").unlink()
    with pytest.raises(CommandError, match="was changed"):
        call_command("verify_receipt", str(tmp_path / "receipt.json"))
    call_command("verify_receipt", str(tmp_path / "receipt.json"), "--key", str(tmp_path / "receipt.pem"))
    (tmp_path / "receipt.pem").write_text("no key")
    with pytest.raises(CommandError, match="no public key"):
        call_command("verify_receipt", str(tmp_path / "receipt.json"), "--key", str(tmp_path / "receipt.pem"))


def test_a_version_that_was_changed_is_found(world, capsys, settings):
    version = world.freeze()
    path = settings.VAR / version.directory / "train.jsonl"
    path.chmod(0o600)
    path.write_text(path.read_text().replace("fine", "bad"))
    with pytest.raises(CommandError, match="broken"):
        call_command("verify_datasets", "--project", "hotel")
    assert "train.jsonl was changed" in capsys.readouterr().out
