"""Withdrawal reaches the promoted checkpoint, and its receipt verifies: from the form to openssl.

Engines are not started: what a run leaves behind is put into the database.
"""

import json
import shutil
import subprocess

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse

from annotation.answers.submission import submit
from annotation.datasets.freeze import freeze_dataset
from annotation.models import DatasetSuccessor, Kind, Role, Withdrawal
from annotation.queue.claims import claim_next
from tests.annotation.consent.planted import SECRET, tables_with
from tests.annotation.helpers import batch_of, hotel
from tests.factories import join
from training.models import Checkpoint, EngineJob, Evaluation, Run
from training.results.checkpoints import register_checkpoint
from training.results.promotion import promote
from training.runs.create import create_run

pytestmark = pytest.mark.django_db


@pytest.fixture
def model_shell(own_var):
    folder = own_var / "models" / "shell"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"weights")
    return folder


class Story:
    """Kei and Hana each wrote translations; a model was trained on both, a second one on top, which is promoted."""

    def __init__(self, model_shell) -> None:
        self.project = hotel(prompts=3, slug="hotel", held_out_share=0)
        self.mio = join(self.project, Role.MANAGER, name="Mio", email="mio@example.org")
        self.kei = join(self.project, Role.ANNOTATOR, name="Kei", email="kei@example.org")
        self.hana = join(self.project, Role.ANNOTATOR, name="Hana", email="hana@example.org")
        self.batch = batch_of(self.project, Kind.WRITING, overlap=2)
        for person, text in ((self.kei, SECRET), (self.hana, "plain")):
            for number in range(2):
                held = claim_next(batch=self.batch, annotator=person)
                submit(assignment=held, payload={"text": f"{text} {number}"}, annotator=person)
        self.dataset = freeze_dataset(project=self.project, purpose="sft", actor=self.mio)
        self.first = self.run(dataset=self.dataset, base_model=str(model_shell), options={"seed": 5})
        self.base = self.finish(self.first)
        self.second = self.run(dataset=self.dataset, parent=self.base)
        self.top = self.finish(self.second)
        Evaluation.objects.create(project=self.project, checkpoint=self.top, dataset=self.dataset)
        promote(checkpoint=self.top, actor=self.mio)

    def run(self, **values) -> Run:
        return create_run(project=self.project, trainer="sft", actor=self.mio, **values)

    def finish(self, run: Run) -> Checkpoint:
        """As the engine and its watcher leave a run that succeeded."""
        folder = run.directory.model
        folder.mkdir()
        (folder / "adapter_config.json").write_text("{}")
        (folder / "adapter.safetensors").write_bytes(str(run.pk).encode())
        run.directory.log_path.write_text(f"learned {SECRET}")
        Run.objects.filter(pk=run.pk).update(status=EngineJob.Status.SUCCEEDED)
        run.refresh_from_db()
        return register_checkpoint(run)


@pytest.fixture
def story(model_shell):
    return Story(model_shell)


def test_withdrawal_reaches_the_promoted_checkpoint_and_its_receipt_verifies(story, client, settings, tmp_path, capsys):
    # Kei withdraws on their own page, and erases.
    client.force_login(story.kei, backend="annotation.members.auth_backend.PeopleBackend")
    page = client.get(reverse("my_consent")).content.decode()
    assert reverse("consent", args=["hotel"]) in page
    wrong = client.post(reverse("consent", args=["hotel"]), {"mode": "erase", "confirmation": "someone@example.org"})
    assert wrong.status_code == 422
    assert "cannot be restored" in wrong.content.decode()
    done = client.post(reverse("consent", args=["hotel"]), {"mode": "erase", "confirmation": "kei@example.org"})
    withdrawal = Withdrawal.objects.get()
    address = reverse("withdrawal", args=[withdrawal.pk])
    assert done.url == address
    assert tables_with(SECRET) == {}
    files = [path for path in settings.VAR.rglob("*") if path.is_file()]
    assert not [path for path in files if SECRET.encode() in path.read_bytes()]
    assert not list(settings.VAR.glob("runs/*/dataset/*.parquet"))

    # The page lists what contains the answers, and says what is in the way of a receipt.
    page = client.get(address).content.decode()
    for name in ("Dataset", "Run", "Checkpoint"):
        assert name in page
    assert "A promoted model still contains the answers" in page
    assert f"Checkpoint {story.top.pk} is promoted and contains the answers" in page
    assert "/datasets/" not in page, "Kei is not in the project any more"
    client.post(reverse("withdrawal_receipt", args=[withdrawal.pk]))
    withdrawal.refresh_from_db()
    assert withdrawal.receipt == ""
    kept = client.get(reverse("withdrawal_file", args=[withdrawal.pk, "receipt.json"]))
    assert kept.status_code == 404

    # Nothing is trained on it any more, and a manager rebuilds: the dataset, each run, the promotion.
    client.force_login(story.mio, backend="annotation.members.auth_backend.PeopleBackend")
    back = {"back": address}
    for name, pk in (("dataset", story.dataset.pk), ("run", story.first.pk), ("checkpoint", story.top.pk)):
        assert client.get(reverse(name, args=[pk])).status_code == 200
    assert "Freeze again" in client.get(address).content.decode()
    assert client.post(reverse("dataset_rebuild", args=[story.dataset.pk]), back).url == address
    newer = DatasetSuccessor.objects.get(dataset=story.dataset).successor
    assert newer.train_rows == 2
    page = client.get(address).content.decode()
    assert reverse("run_rebuild", args=[story.first.pk]) in page
    assert reverse("run_rebuild", args=[story.second.pk]) not in page, "its parent comes first"
    client.post(reverse("run_rebuild", args=[story.first.pk]), back)
    client.post(reverse("run_rebuild", args=[story.first.pk]), back)  # a double click
    again = Run.objects.get(replaces=story.first)
    assert (again.dataset_id, again.config["seed"]) == (newer.pk, 5)
    assert again.config["lora"] == story.first.config["lora"]
    story.finish(again)
    client.post(reverse("run_rebuild", args=[story.second.pk]), back)
    top = story.finish(Run.objects.get(replaces=story.second))
    assert top.parent.run_id == again.pk
    page = client.get(address).content.decode()
    assert reverse("checkpoint_promote", args=[top.pk]) in page
    client.post(reverse("checkpoint_promote", args=[top.pk]), back)

    # Kei gets the receipt; anybody checks it with openssl, and no byte of it can be changed.
    client.force_login(story.kei, backend="annotation.members.auth_backend.PeopleBackend")
    client.post(reverse("withdrawal_receipt", args=[withdrawal.pk]))
    withdrawal.refresh_from_db()
    page = client.get(address).content.decode()
    assert "No promoted model contains the answers" in page
    assert withdrawal.salt in page
    for name in ("receipt.json", "receipt.sig", "public-key.pem"):
        (tmp_path / name).write_bytes(client.get(reverse("withdrawal_file", args=[withdrawal.pk, name])).content)
    receipt = json.loads((tmp_path / "receipt.json").read_text())
    assert receipt["datasets"][0]["sha256"] == story.dataset.sha256
    assert receipt["datasets"][0]["superseded_by"] == {"dataset": newer.pk, "sha256": newer.sha256}
    assert receipt["promoted"][0]["sha256"] == top.sha256
    assert receipt["promoted"][0]["chain"][1]["dataset_sha256"] == newer.sha256
    assert {row["sha256"] for row in receipt["trained"] if row["kind"] == "checkpoint"} == {
        story.base.sha256,
        story.top.sha256,
    }
    assert receipt["person"] == {"id": story.kei.pk, "email_sha256": receipt["person"]["email_sha256"]}
    call_command("verify_receipt", str(tmp_path / "receipt.json"))
    assert "unchanged" in capsys.readouterr().out
    assert openssl(tmp_path) == 0
    content = (tmp_path / "receipt.json").read_bytes()
    for place in (0, len(content) // 2, len(content) - 1):
        changed = bytearray(content)
        changed[place] ^= 1
        (tmp_path / "receipt.json").write_bytes(changed)
        with pytest.raises(CommandError, match="was changed"):
            call_command("verify_receipt", str(tmp_path / "receipt.json"))
    assert openssl(tmp_path) == 1

    # What contained the answers is not promoted again: the receipt stays true.
    client.force_login(story.mio, backend="annotation.members.auth_backend.PeopleBackend")
    refused = client.post(reverse("checkpoint_promote", args=[story.top.pk]), follow=True)
    assert "contains answers of somebody who withdrew consent" in refused.content.decode()
    assert client.get(address).content.decode().count("Run ") >= 2


def openssl(folder) -> int:
    """The exit status of the command that the page shows."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl on this machine")
    command = "openssl pkeyutl -verify -pubin -inkey public-key.pem -rawin -in receipt.json -sigfile receipt.sig"
    return subprocess.run(command.split(), cwd=folder, capture_output=True).returncode
