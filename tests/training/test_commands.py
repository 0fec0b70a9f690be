"""The commands as processes: their last line, their exit code, Ctrl-C, and what they refuse."""

import re
import signal

import pytest
from django.core.management import CommandError, call_command

from annotation.models import Candidate
from tests.training.conftest import until, watched
from training.checkpoints import promote
from training.metrics import read_progress
from training.models import Checkpoint, Generation, Run
from training.runs import command_line

pytestmark = pytest.mark.django_db(transaction=True)


def test_ctrl_c_saves_and_the_exit_code_tells(manage, freeze, model_shell, settings):
    (settings.VAR / "runs").mkdir()
    (settings.VAR / "runs" / "behaviour").write_text("slow")
    dataset = freeze("sft", held_out=0)
    command = manage("train_sft", dataset.pk, "--model", "shell", "--lora-r", "4")
    run = until(lambda: Run.objects.first(), 60)
    until(lambda: read_progress(run.directory).done > 2)
    command.send_signal(signal.SIGINT)
    out, err = command.communicate(timeout=60)
    assert command.returncode == 3, err
    assert re.match(rf"run {run.pk}: cancelled, see .*log.txt", out.splitlines()[-1])
    run.refresh_from_db()
    assert (run.status, run.config["lora"]["r"], run.config["lora"]["alpha"]) == ("cancelled", 4, 8)


def test_a_killed_command_leaves_the_engine_to_the_worker(manage, freeze, model_shell, settings):
    (settings.VAR / "runs").mkdir()
    (settings.VAR / "runs" / "behaviour").write_text("slow")
    command = manage("train_sft", freeze("sft", held_out=0).pk, "--model", "shell")
    run = until(lambda: Run.objects.first(), 60)
    reached = until(lambda: read_progress(run.directory).done)
    command.kill()
    command.wait()
    until(lambda: read_progress(run.directory).done > reached)
    watched(run, "succeeded")
    assert Checkpoint.objects.get(run=run)


def test_success_ends_with_one_plain_line(fake_engine, freeze, model_shell, capsys):
    call_command("train_sft", str(freeze("sft", held_out=0).pk), "--model", "shell", "--full", "--epochs", "3")
    run = Run.objects.get()
    assert run.config["lora"] is None
    assert Checkpoint.objects.get().form == "full"
    said = capsys.readouterr().out.splitlines()[-1]
    assert re.match(rf"run {run.pk}: succeeded, checkpoint {run.checkpoint.pk}, loss 0.5, took 2 s", said)
    assert "--full --epochs 3 " in command_line(run)


def test_the_printed_command_makes_the_same_run(fake_engine, freeze, model_shell):
    data = freeze("dpo", held_out=0)
    call_command(
        "train_dpo", str(data.pk), "--model", "shell", "--beta", "0.25", "--losses", "sigmoid", "--lora-targets",
        "q_proj,v_proj", "--no-evaluate",
    )  # fmt: skip
    first = Run.objects.get()
    assert first.config["losses"] == ["sigmoid"]
    words = command_line(first).split()[1:]
    call_command(*words, "--no-evaluate")
    second = Run.objects.latest("id")
    own = ("run_id", "versions")
    assert {k: v for k, v in first.config.items() if k not in own} == {
        k: v for k, v in second.config.items() if k not in own
    }


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["train_sft"], "which dataset"),
        (["train_sft", "999", "--model", "shell"], "no dataset 999"),
        (["train_sft", "{dpo}", "--model", "shell"], "frozen for dpo"),
        (["train_sft", "{sft}"], "choose a model"),
        (["train_sft", "{sft}", "--model", "/etc"], "allowed roots"),
        (["train_sft", "{sft}", "--model", "shell", "--full", "--lora-r", "3"], "leave the --lora options out"),
        (["train_sft", "{sft}", "--model", "shell", "--epochs", "-1"], "epochs must be greater than 0"),
        (["train_dpo", "{dpo}", "--model", "shell", "--losses", "sigmoid,sft", "--loss-weights", "1"], "loss_weights"),
        (["train_sft", "--resume", "77"], "no run 77"),
        (["evaluate", "77"], "no checkpoint 77"),
        (["promote", "77"], "no checkpoint 77"),
        (["generate", "nowhere", "--model", "shell"], "no project 'nowhere'"),
        (["generate", "concierge"], "choose one model"),
        (["generate", "concierge", "--model", "shell"], "no prompts"),
        (["start_round", "concierge"], "no checkpoint is promoted"),
        (["start_round", "concierge", "--retry"], "has not failed"),
    ],
)
def test_bad_input_is_refused_with_the_remedy(fake_engine, freeze, model_shell, command, message):
    ids = {"sft": freeze("sft").pk, "dpo": freeze("dpo").pk}
    with pytest.raises(CommandError, match=message):
        call_command(*(word.format(**ids) for word in command))
    assert not Run.objects.exists()


def test_generate_asks_for_what_is_missing(fake_run, project, prompts, capsys):
    checkpoint = Checkpoint.objects.get(run=watched(fake_run("succeeds"), "succeeded"))
    call_command("generate", project.slug, "--checkpoint", str(checkpoint.pk), "--limit", "2")
    assert "2 new candidates for 2 prompts" in capsys.readouterr().out
    call_command("generate", project.slug, "--checkpoint", str(checkpoint.pk), "--only-without", checkpoint.origin)
    assert "4 new candidates for 4 prompts" in capsys.readouterr().out
    made = Candidate.objects.filter(origin=checkpoint.origin)
    assert made.count() == len(prompts)
    assert made.first().generation["temperature"] == 0.8


def test_a_generation_that_was_killed_is_taken_up(fake_engine, project, prompts, model_shell, settings, capsys):
    (settings.VAR / "generations").mkdir()
    behaviour = settings.VAR / "generations" / "behaviour"
    behaviour.write_text("exits")
    with pytest.raises(SystemExit) as ended:
        call_command("generate", project.slug, "--model", "shell")
    assert ended.value.code == 1
    behaviour.write_text("succeeds")
    call_command("generate", project.slug, "--resume", str(Generation.objects.get().pk))
    assert f"succeeded, {len(prompts)} new candidates" in capsys.readouterr().out
    assert set(Candidate.objects.values_list("origin", flat=True)) == {"import:model/shell"}


def test_a_rule_needs_figures(fake_run):
    checkpoint = Checkpoint.objects.get(run=watched(fake_run("succeeds"), "succeeded"))
    with pytest.raises(CommandError, match="no finished evaluation"):
        call_command("promote", str(checkpoint.pk), "--if", "reward_accuracy>=0.6")
    with pytest.raises(CommandError, match="not of the form"):
        call_command("promote", str(checkpoint.pk), "--if", "import os")


def test_rules_on_figures(fake_run, freeze):
    from training.models import Evaluation

    checkpoint = Checkpoint.objects.get(run=watched(fake_run("succeeds"), "succeeded"))
    Evaluation.objects.create(
        project=checkpoint.project, checkpoint=checkpoint, dataset=checkpoint.dataset, status="succeeded",
        result={"metrics": {"reward_accuracy": 0.55, "chrf": 30.5, "chrf_signature": "x"}},
    )  # fmt: skip
    with pytest.raises(CommandError, match=r"reward_accuracy is 0.55, the rule asks for >= 0.6"):
        call_command("promote", str(checkpoint.pk), "--if", "reward_accuracy>=0.6", "--if", "chrf>20")
    with pytest.raises(CommandError, match="has no figure 'bleu'"):
        call_command("promote", str(checkpoint.pk), "--if", "bleu>1")
    checkpoint.refresh_from_db()
    assert checkpoint.promoted_at is None
    call_command("promote", str(checkpoint.pk), "--if", "reward_accuracy >= .5", "--note", "Good enough")
    checkpoint.refresh_from_db()
    assert checkpoint.promotion_note == "Good enough; reward_accuracy is 0.55, the rule asks for >= 0.5"
    at = checkpoint.promoted_at
    assert promote(checkpoint=checkpoint, actor=None).promoted_at == at
