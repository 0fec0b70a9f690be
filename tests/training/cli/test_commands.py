"""The commands as processes: their last line, their exit code, Ctrl-C, and what they refuse."""

import dataclasses
import json
import os
import re
import shlex
import signal

import pytest
from django.core.management import CommandError, call_command
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from annotation.models import Candidate
from tests.training.conftest import ROOT, until, watched
from training.cli.training import TrainingCommand
from training.contract.config import LoraSettings, ModelSource, TrainingConfig, to_json
from training.contract.hyperparameters import all_parameters
from training.models import Checkpoint, Generation, Run
from training.reports.progress import read_progress
from training.results.promotion import promote
from training.runs import create
from training.runs.create import PROGRAMS, command_line

pytestmark = pytest.mark.django_db(transaction=True)


def test_ctrl_c_saves_and_the_exit_code_tells(manage, freeze, model_shell, settings):
    (settings.VAR / "runs").mkdir()
    (settings.VAR / "runs" / "behaviour").write_text("slow")
    dataset = freeze("sft", held_out=0)
    command = manage("train_sft", dataset.pk, "--model", "shell", "--lora-r", "4")
    run = until(lambda: Run.objects.first())
    until(lambda: read_progress(run.directory).done > 2)
    command.send_signal(signal.SIGINT)
    out, err = command.communicate(timeout=240)
    assert command.returncode == 3, err
    assert re.match(rf"run {run.pk}: cancelled, see .*log.txt", out.splitlines()[-1])
    run.refresh_from_db()
    assert (run.status, run.config["lora"]["r"], run.config["lora"]["alpha"]) == ("cancelled", 4, 8)


def test_a_killed_command_leaves_the_engine_to_the_worker(manage, freeze, model_shell, settings):
    (settings.VAR / "runs").mkdir()
    (settings.VAR / "runs" / "behaviour").write_text("slow")
    command = manage("train_sft", freeze("sft", held_out=0).pk, "--model", "shell")
    run = until(lambda: Run.objects.first())
    reached = until(lambda: read_progress(run.directory).done)
    command.kill()
    command.wait()
    until(lambda: read_progress(run.directory).done > reached)
    watched(run, "succeeded")
    assert Checkpoint.objects.get(run=run)


def test_a_killed_engine_ends_the_command_and_resume_goes_on(manage, freeze, model_shell, settings):
    (settings.VAR / "runs").mkdir()
    (settings.VAR / "runs" / "behaviour").write_text("slow")
    dataset = freeze("sft", held_out=0)
    command = manage("train_sft", dataset.pk, "--model", "shell", "--no-evaluate")
    run = until(lambda: Run.objects.first())
    until(lambda: read_progress(run.directory).done > 2)
    run.refresh_from_db()
    os.kill(run.pid, signal.SIGKILL)
    out, err = command.communicate(timeout=240)
    assert command.returncode == 1, err
    assert out.splitlines()[-1].startswith(f"run {run.pk}: failed")
    run.refresh_from_db()
    assert "was killed" in run.error
    reached = read_progress(run.directory).done
    (settings.VAR / "runs" / "behaviour").write_text("succeeds")
    resumed = manage("train_sft", "--resume", run.pk)
    out, err = resumed.communicate(timeout=240)
    assert resumed.returncode == 0, err
    assert re.match(rf"run {run.pk}: succeeded, checkpoint \d+, loss [\d.]+", out.splitlines()[-1])
    assert read_progress(run.directory).done >= reached > 2


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
        "train_dpo",
        str(data.pk),
        "--model",
        "shell",
        "--beta",
        "0.25",
        "--losses",
        "sigmoid",
        "--lora-targets",
        "q_proj,v_proj",
        "--no-evaluate",
        "--allow-other-base",
    )
    first = Run.objects.get()
    assert first.config["model"]["allow_other_base"] is True
    assert first.config["losses"] == ["sigmoid"]
    words = command_line(first).split()[1:]
    call_command(*words, "--no-evaluate")
    second = Run.objects.latest("id")
    own = ("run_id", "versions")
    assert {k: v for k, v in first.config.items() if k not in own} == {
        k: v for k, v in second.config.items() if k not in own
    }


SHARED = st.fixed_dictionaries(
    {},
    optional={
        "epochs": st.floats(0.1, 9),
        "max_steps": st.integers(1, 9),
        "max_seconds": st.floats(1, 1e6),
        "learning_rate": st.floats(1e-9, 1),
        "lr_scheduler": st.sampled_from(["linear", "constant_with_warmup"]),
        "warmup_ratio": st.floats(0, 1),
        "weight_decay": st.floats(0, 1),
        "max_grad_norm": st.floats(0.1, 9),
        "batch_size": st.integers(1, 99),
        "gradient_accumulation": st.integers(1, 99),
        "packing": st.just(False),
        "micro_batch_tokens": st.integers(0, 9999),
        "max_length": st.integers(1, 9999),
        "share": st.floats(0, 1, exclude_min=True),
        "seed": st.integers(0, 2**31),
        "save_steps": st.integers(1, 99),
        "save_total_limit": st.integers(1, 9),
        "logging_steps": st.integers(1, 9),
        "threads": st.integers(1, 8),
        "gradient_checkpointing": st.just(True),
        "precision": st.sampled_from(["auto", "fp32", "bf16"]),
        "processes": st.integers(1, 8),
        "report_to": st.just(("tensorboard", "wandb")),
        "accelerate_config": st.just(str(ROOT / "pyproject.toml")),
    },
)
PREFERENCE = {
    "sft": {},
    "dpo": {
        "beta": st.floats(1e-9, 9),
        "losses": st.sampled_from([("sigmoid",), ("ipo", "sft"), ("sigmoid", "sft")]),
        "soft_labels": st.just(False),
        "strength_offset": st.floats(0, 9),
        "ties": st.sampled_from(["learn", "drop"]),
        "tie_threshold": st.floats(0.01, 9),
    },
    "kto": {
        "beta": st.floats(1e-9, 9),
        "desirable_weight": st.floats(0, 9),
        "undesirable_weight": st.floats(0, 9),
    },
}
LORA = st.none() | st.builds(
    LoraSettings,
    r=st.integers(1, 99),
    alpha=st.integers(1, 99),
    dropout=st.floats(0, 0.9),
    dora=st.booleans(),
    targets=st.sampled_from([("all-linear",), ("q_proj", "v_proj")]),
    quantization=st.sampled_from(["none", "4bit", "8bit"]),
)


@pytest.mark.parametrize("trainer", list(PREFERENCE))
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_every_configuration_can_be_typed(trainer, data):
    own = st.fixed_dictionaries({}, optional=PREFERENCE[trainer])
    wanted = {**data.draw(SHARED), **data.draw(own), "lora": data.draw(LORA)}
    assume(trainer != "kto" or wanted.get("batch_size") != 1)  # refused: KTO needs the other rows of a batch
    if "losses" in wanted and data.draw(st.booleans()):
        wanted["loss_weights"] = tuple(0.1 * (number + 1) for number in range(len(wanted["losses"])))
    first = configuration(trainer, wanted)
    run = Run(pk=1, trainer=trainer, dataset_id=7, base_model="a folder/it's", config=json.loads(to_json(first)))
    words = shlex.split(command_line(run))
    assert words[:2] == ["manage.py", f"train_{trainer}"]
    command = TrainingCommand()
    command.trainer = trainer
    parsed = vars(command.create_parser("manage.py", words[1]).parse_args(words[2:]))
    assert (parsed["dataset"], parsed["model"]) == (7, "a folder/it's")
    assert configuration(trainer, command.chosen(parsed)) == first


def configuration(trainer, options):
    """As `create_run` makes it."""
    return TrainingConfig(program=PROGRAMS[trainer], run_id="run 1", model=ModelSource(base="x"), **options)


def test_every_choice_of_a_run_has_an_option():
    named = {parameter.attribute for parameter in all_parameters()}
    lora = {field.name for field in dataclasses.fields(LoraSettings)}
    assert named == (create.OPTIONS | lora) - {"lora", "architecture"}


def test_runs_share_the_reference_and_kto_has_rates_of_its_own(fake_engine, freeze, model_shell, settings):
    for extra in ([], ["--full"]):
        call_command("train_kto", str(freeze("kto", held_out=0, train=9 + len(extra)).pk), "--model", "shell", *extra)
    lora, full = Run.objects.order_by("id")
    assert (lora.config["learning_rate"], full.config["learning_rate"]) == (5e-5, 5e-6)
    assert lora.config["program"] == "train_kto"
    assert lora.config["reference_cache"] == str(settings.VAR / "cache" / "reference")


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["train_sft"], "no dataset: give"),
        (["train_sft", "999", "--model", "shell"], "no dataset 999"),
        (["train_sft", "{dpo}", "--model", "shell"], "frozen for dpo"),
        (["train_sft", "{sft}"], "choose a starting model"),
        (["train_sft", "{sft}", "--model", "/etc"], "allowed roots"),
        (["train_sft", "{sft}", "--model", "shell", "--full", "--lora-r", "3"], "omit the --lora options"),
        (["train_sft", "{sft}", "--model", "shell", "--epochs", "-1"], "epochs must be greater than 0"),
        (["train_dpo", "{dpo}", "--model", "shell", "--losses", "sigmoid,sft", "--loss-weights", "1"], "loss_weights"),
        (["train_sft", "{sft}", "--model", "shell", "--full", "--dora"], "omit the --lora options, --dora"),
        (["train_sft", "{sft}", "--model", "shell", "--quantization", "2bit"], "invalid choice: '2bit'"),
        (["train_sft", "{sft}", "--model", "shell", "--share", "2"], "share must lie in"),
        (["train_sft", "{sft}", "--model", "shell", "--report-to", "clouds"], "report_to knows tensorboard, mlflow"),
        (["train_sft", "{sft}", "--model", "shell", "--accelerate-config", "nowhere.yaml"], "no file .*nowhere.yaml"),
        (["train_sft", "{sft}", "--model", "shell", "--ties", "drop"], "unrecognized arguments: --ties"),
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


@pytest.mark.parametrize(
    ("option", "message"),
    [(["--report-to", "wandb"], r"konomi\[tracking\]"), (["--quantization", "4bit"], "bitsandbytes")],
)
def test_what_is_not_installed_is_said_before_anything_is_queued(freeze, model_shell, monkeypatch, option, message):
    monkeypatch.setattr(create, "find_spec", lambda name: None)
    with pytest.raises(CommandError, match=message):
        call_command("train_sft", str(freeze("sft").pk), "--model", "shell", *option)
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


def test_another_base_is_allowed_by_every_command_that_loads_a_model(fake_run, freeze, project, prompts, monkeypatch):
    from training.management.commands import merge
    from training.models import Evaluation

    run = watched(fake_run("succeeds", freeze("sft")), "succeeded")
    checkpoint = str(Checkpoint.objects.get(run=run).pk)
    merged = []
    monkeypatch.setattr(merge, "run_engine", lambda argv, command: merged.append(argv) or exit(0))
    for more, allowed in (([], False), (["--allow-other-base"], True)):
        call_command("evaluate", checkpoint, *more)
        config = Evaluation.objects.latest("id").config
        assert [config[role]["allow_other_base"] for role in ("model", "parent")] == [allowed, allowed]
        call_command("generate", project.slug, "--checkpoint", checkpoint, "--limit", "1", *more)
        assert Generation.objects.latest("id").config["model"]["allow_other_base"] is allowed
        with pytest.raises(SystemExit):
            call_command("merge", checkpoint, *more)
        assert ("--allow-other-base" in merged[-1]) is allowed


@pytest.mark.parametrize(
    ("command", "named"),
    [
        (["train_sft", "--resume", "{run}", "--allow-other-base"], "--allow-other-base"),
        (["train_sft", "--resume", "{run}", "--no-packing", "--lora-r", "4"], "--no-packing, --lora-r"),
        (["train_sft", "--resume", "{run}", "--no-evaluate"], "--no-evaluate"),
        (["generate", "concierge", "--resume", "{generation}", "--temperature", "0"], "--temperature"),
        (["generate", "concierge", "--resume", "{generation}", "--model", "shell"], "--model"),
    ],
)
def test_an_option_that_resume_ignores_is_refused(fake_run, project, prompts, command, named):
    run = fake_run("succeeds")
    generation = Generation.objects.create(project=project, status="failed")
    Run.objects.filter(pk=run.pk).update(status="failed")
    with pytest.raises(CommandError, match=named):
        call_command(*(word.format(run=run.pk, generation=generation.pk) for word in command))
    assert not Generation.objects.exclude(status="failed").exists()
    assert not Run.objects.exclude(status="failed").exists()


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
        project=checkpoint.project,
        checkpoint=checkpoint,
        dataset=checkpoint.dataset,
        status="succeeded",
        result={"metrics": {"reward_accuracy": 0.55, "chrf": 30.5, "chrf_signature": "x"}},
    )
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
