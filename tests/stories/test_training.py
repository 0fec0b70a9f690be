"""The commands with the real engines and a tiny model: SFT, killed and resumed, DPO, figures, promotion, a round."""

import json
import os
import re
import signal
from threading import Thread

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from annotation.models import Candidate
from tests.training.conftest import until
from training.models import Checkpoint, Evaluation, Generation, Run
from training.reports.progress import read_progress
from training.results.checkpoints import folder_sha256, lineage, model_folder, model_source
from training.results.evaluations import read_samples

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.engine]
QUICK = ["--batch-size", "4", "--max-length", "200", "--lora-r", "4", "--threads", "1"]


def said(capsys):
    return capsys.readouterr().out.strip().splitlines()[-1]


def kill_when_saved(run):
    until(lambda: run.directory.last_checkpoint(), seconds=300)
    run.refresh_from_db()
    os.kill(run.pid, signal.SIGKILL)
    connection.close()


def test_from_a_dataset_to_the_next_round(project, freeze, tiny_model, prompts, capsys):
    sft_data, dpo_data = freeze("sft"), freeze("dpo")

    # SFT on the base model, killed once it has saved; the command tells, and --resume goes on from there.
    command = ["train_sft", str(sft_data.pk), "--model", "tiny", "--epochs", "40", "--save-steps", "2"]
    killer = Thread(target=lambda: kill_when_saved(until(lambda: Run.objects.first())))
    killer.start()
    with pytest.raises(SystemExit) as ended:
        call_command(*command, *QUICK, "--no-evaluate")
    killer.join()
    run = Run.objects.get()
    assert ended.value.code == 1
    assert said(capsys).startswith(f"run {run.pk}: failed")
    assert "was killed" in run.error
    reached = int(run.directory.last_checkpoint().name.removeprefix("checkpoint-"))
    call_command("train_sft", "--resume", str(run.pk))
    assert re.match(rf"run {run.pk}: succeeded, checkpoint \d+, loss [\d.]+", said(capsys))
    run.refresh_from_db()
    assert run.result["resumed_from"] == f"checkpoint-{reached}"
    assert read_progress(run.directory).done == 120
    sft = Checkpoint.objects.get(run=run)
    assert sft.sha256 == folder_sha256(model_folder(sft))
    assert json.loads(run.directory.config_path.read_text())["dataset_sha256"] == sft_data.sha256
    assert not Evaluation.objects.exists()

    # DPO on the SFT checkpoint.
    call_command(
        "train_dpo", str(dpo_data.pk), "--adapter", str(sft.pk), "--epochs", "4", "--learning-rate", "1e-2", *QUICK
    )
    dpo = Checkpoint.objects.get(parent=sft)
    assert "evaluation" in said(capsys)
    source = model_source(dpo)
    assert source.base == str(tiny_model)
    assert source.adapters == (str(model_folder(sft)), str(model_folder(dpo)))
    assert lineage(sft).down == [(1, dpo)]
    assert lineage(dpo).up == [sft]
    evaluation = Evaluation.objects.get(checkpoint=dpo)
    assert evaluation.config["reference"] == evaluation.config["parent"]
    figures = set(evaluation.result["metrics"])
    assert {"reward_accuracy", "reward_accuracy_interval", "reward_margin", "perplexity"} <= figures
    assert {"chrf", "bleu", "parent_chrf", "parent_bleu"} <= figures
    assert {"output", "parent_output"} <= set(read_samples(evaluation)[0])
    assert read_progress(dpo.run.directory).figures["reward_margin"] != 0

    # A rule that does not hold refuses with the figures, one that does promotes.
    with pytest.raises(CommandError, match="reward_accuracy is"):
        call_command("promote", str(dpo.pk), "--if", "reward_accuracy>=1.5")
    call_command("promote", str(dpo.pk), "--if", "reward_accuracy>=0")
    assert "reward_accuracy is" in said(capsys)

    # The next round: texts of both models, a blind batch.
    call_command("start_round", project.slug, "--prompts", "4", "--max-new-tokens", "12", "--threads", "1")
    assert said(capsys).startswith("round 2: collecting annotations, batch ")
    batch = project.batches.get()
    assert list(batch.rounds.values_list("number", flat=True)) == [2]
    assert batch.kind == "choosing"
    origins = set(Candidate.objects.filter(prompt__project=project).values_list("origin", flat=True))
    assert origins == {dpo.origin, sft.origin}
    assert Generation.objects.filter(round__number=2, status="succeeded").count() == 2
    for task in batch.tasks.all():
        both = Candidate.objects.filter(pk__in=task.candidate_ids)
        assert {candidate.origin for candidate in both} == {dpo.origin, sft.origin}
    assert not Run.objects.exclude(status="succeeded").exists()
