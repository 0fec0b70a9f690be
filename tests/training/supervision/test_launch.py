"""Engines on bad days: killed, deaf, launched twice, their worker dead. A fake engine plays them."""

import errno
import os
import signal
import subprocess
import sys
import time
from threading import Thread

import pytest
from django.db import connection

from annotation.core.errors import Conflict, InvalidInput
from annotation.models import Event
from tests.training.conftest import ROOT, until, watched
from training.engine_jobs.queue import cancel, resume
from training.models import Checkpoint, Evaluation, Run
from training.reports.progress import read_progress
from training.results.checkpoints import model_source
from training.runs.create import create_run
from training.supervision import launch

pytestmark = pytest.mark.django_db(transaction=True)


def starts(run):
    path = run.directory.path / "starts"
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def test_a_run_succeeds_and_leaves_a_checkpoint_with_its_story(fake_run):
    run = watched(fake_run("succeeds"), "succeeded")
    checkpoint = Checkpoint.objects.get(run=run)
    assert checkpoint.form == "adapter"
    assert len(checkpoint.sha256) == 64
    assert run.result["tokens"] == 1234
    assert run.round.number == 1
    verbs = Event.objects.filter(object_id=run.pk, object_type="run").order_by("id").values_list("verb", flat=True)
    assert list(verbs) == ["run.created", "run.started", "run.succeeded"]
    assert Event.objects.filter(verb="checkpoint.registered", object_id=checkpoint.pk).exists()


@pytest.mark.parametrize("step", ["_start_engine", "_ingest"])
def test_a_full_disk_fails_no_run(fake_run, monkeypatch, step):
    run = fake_run("succeeds")
    if step == "_ingest":
        launch.watch_engine_jobs()
        until(lambda: run.directory.result_path.exists() and not run.directory.is_alive())

    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(launch, step, full)
        launch.watch_engine_jobs()
    run.refresh_from_db()
    assert run.is_live, run.error
    watched(run, "succeeded")
    assert Checkpoint.objects.get().run_id == run.pk


def test_registering_twice_is_registering_once(fake_run):
    from training.results.checkpoints import register_checkpoint

    run = watched(fake_run("succeeds"), "succeeded")
    again = register_checkpoint(run)
    assert Checkpoint.objects.get() == again


def test_a_killed_engine_is_seen_and_its_last_lines_are_shown(fake_run):
    run = fake_run("torn")
    launch.watch_engine_jobs()
    pid = until(lambda: starts(run))[0]
    until(lambda: read_progress(run.directory).done == 1)
    os.kill(pid, signal.SIGKILL)
    watched(run, "failed")
    assert "was killed" in run.error
    assert "if it does not, memory ran out" in run.error
    assert f"fake engine: torn, pid {pid}" in run.error
    assert read_progress(run.directory).figures == {"loss": 2.5}  # the torn line is passed over


def test_an_engine_that_exits_without_a_word_is_a_failure_with_its_log(fake_run):
    run = watched(fake_run("exits"), "failed")
    assert "the ninth layer is on fire" in run.error


def test_an_engine_that_explains_itself_is_quoted(fake_run):
    run = watched(fake_run("fails"), "failed")
    assert run.error.startswith("Out of memory. Lower batch_size.")


def test_resume_continues_from_the_last_checkpoint(fake_run):
    run = fake_run("slow")
    launch.watch_engine_jobs()
    until(lambda: read_progress(run.directory).done > 5)
    os.kill(starts(run)[0], signal.SIGKILL)
    watched(run, "failed")
    reached = int(run.directory.last_checkpoint().name.removeprefix("checkpoint-"))
    (run.directory.path / "behaviour").write_text("slow")
    resume(run, None)
    launch.watch_engine_jobs()
    steps = until(lambda: [line["step"] for line in run.directory.read_metrics()[0] if line["step"] > reached])
    assert steps[0] == reached + 1
    assert len(starts(run)) == 2
    cancel(run, None)
    watched(run, "cancelled")


def test_only_what_failed_or_was_cancelled_can_be_resumed(fake_run):
    run = watched(fake_run("succeeds"), "succeeded")
    with pytest.raises(Conflict):
        resume(run, None)
    with pytest.raises(Conflict):
        cancel(run, None)


def test_a_cancelled_engine_saves_and_stops(fake_run):
    run = fake_run("slow")
    launch.watch_engine_jobs()
    until(lambda: read_progress(run.directory).done > 2)
    assert cancel(run, None) == "running"
    watched(run, "cancelled")
    assert run.result["status"] == "cancelled"


def test_a_waiting_job_is_cancelled_at_once(fake_run):
    run = fake_run("succeeds")
    assert cancel(run, None) == "cancelled"
    launch.watch_engine_jobs()
    assert not starts(run)


def test_a_deaf_engine_is_ended_after_the_grace(fake_run, settings, monkeypatch):
    settings.CANCEL_GRACE_SECONDS = 0.2
    monkeypatch.setattr(launch, "KILL_AFTER_SECONDS", 0.5)
    run = fake_run("deaf")
    launch.watch_engine_jobs()
    pid = until(lambda: starts(run))[0]
    cancel(run, None)
    watched(run, "cancelled")
    assert "ended before it could save" in run.error
    until(lambda: not _alive(pid))


def test_the_grace_begins_again_when_the_clock_was_set_back(fake_run, settings, monkeypatch):
    settings.CANCEL_GRACE_SECONDS = 0.2
    monkeypatch.setattr(launch, "KILL_AFTER_SECONDS", 0.5)
    run = fake_run("deaf")
    launch.watch_engine_jobs()
    until(lambda: starts(run))
    cancel(run, None)
    tomorrow = time.time() + 24 * 3600
    os.utime(run.directory.cancel_path, (tomorrow, tomorrow))
    watched(run, "cancelled")


def _alive(pid):
    launch.watch_engine_jobs()  # waits for its own children
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_two_watchers_start_one_engine(fake_run):
    run = fake_run("slow")

    def watch():
        launch.watch_engine_jobs()
        connection.close()

    threads = [Thread(target=watch) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    until(lambda: starts(run))
    time.sleep(0.5)
    assert len(starts(run)) == 1
    run.refresh_from_db()
    assert run.status == "running"
    assert run.pid == starts(run)[0]
    cancel(run, None)
    watched(run, "cancelled")


def test_engines_wait_for_each_other(fake_run):
    first, second = fake_run("slow"), fake_run("succeeds")
    launch.watch_engine_jobs()
    second.refresh_from_db()
    assert second.status == "queued"
    assert not launch.launch(second)
    cancel(first, None)
    watched(second, "succeeded")


def test_an_engine_outlives_whoever_started_it(fake_run):
    """A worker (a process of its own here) launches the engine and is killed: the engine goes on."""
    run = fake_run("slow")
    worker = (
        "import sys, time\nfrom training.contract.run_directory import RunDirectory\nimport subprocess, os, pathlib\n"
    )
    worker += "d = RunDirectory(pathlib.Path(sys.argv[1])); lock = d.acquire_lock()\n"
    worker += "subprocess.Popen([sys.executable, '-m', 'tests.training.fake_engine', sys.argv[1]], "
    worker += "pass_fds=[lock.fileno()], start_new_session=True, "
    worker += "env={**os.environ, 'KONOMI_RUN_LOCK_FD': str(lock.fileno())}, stdout=subprocess.DEVNULL)\n"
    worker += "lock.close(); print('up', flush=True); time.sleep(60)\n"
    Run.objects.filter(pk=run.pk).update(status="running")
    process = subprocess.Popen(
        [sys.executable, "-c", worker, str(run.directory.path)], stdout=subprocess.PIPE, cwd=ROOT
    )
    assert process.stdout.readline() == b"up\n"
    process.kill()
    process.wait()
    reached = until(lambda: read_progress(run.directory).done)
    until(lambda: read_progress(run.directory).done > reached)
    launch.watch_engine_jobs()
    run.refresh_from_db()
    assert run.status == "running"  # alive by its lock, without a pid
    cancel(run, None)
    watched(run, "cancelled")


def test_a_job_whose_starter_died_before_the_engine_was_is_started_again(fake_run):
    run = fake_run("succeeds")
    Run.objects.filter(pk=run.pk).update(status="running", pid=None)
    watched(run, "succeeded")


def test_a_success_without_a_model_is_a_failure_that_says_so(fake_run):
    run = fake_run("succeeds")
    run.directory.write_result(status="succeeded", error="", metrics={}, tokens=0)
    Run.objects.filter(pk=run.pk).update(status="running", pid=1)
    watched(run, "failed")
    assert "left no model" in run.error


def test_without_held_out_rows_the_checkpoint_stands_without_evaluation(fake_run):
    watched(fake_run("succeeds"), "succeeded")
    assert not Evaluation.objects.exists()


def test_a_base_model_made_from_scratch_is_a_checkpoint_to_start_from(fake_run, project, tmp_path):
    corpus = tmp_path / "corpus.jsonl"
    corpus.write_text('{"text": "Good evening."}\n')
    architecture = {"hidden_size": 32, "layers": 1, "heads": 2}
    run = create_run(
        project=project,
        trainer="pretrain",
        dataset=None,
        actor=None,
        corpus=corpus,
        options={"architecture": architecture},
        evaluate=False,
    )
    assert (run.directory.dataset / "corpus.jsonl").read_text() == corpus.read_text()
    assert run.directory.read_config().architecture.layers == 1
    base = Checkpoint.objects.get(run=watched(run, "succeeded"))
    assert (base.form, base.parent) == ("full", None)
    assert model_source(base).base == base.base_model == str(run.directory.model)
    child = Checkpoint.objects.get(run=watched(fake_run("succeeds", parent=base), "succeeded"))
    assert model_source(child).base == str(run.directory.model)
    assert child.base_model == base.base_model
    with pytest.raises(InvalidInput, match="architecture"):
        create_run(
            project=project,
            trainer="pretrain",
            dataset=None,
            actor=None,
            corpus=corpus,
            options={"architecture": {"size": 3}},
        )


def test_engines_get_no_secrets(fake_run, monkeypatch):
    monkeypatch.setenv("KONOMI_SECRET_KEY", "x" * 40)
    monkeypatch.setenv("DATABASE_URL", "postgresql://secret")
    environment = launch.engine_environment()
    assert not {"KONOMI_SECRET_KEY", "DATABASE_URL"} & set(environment)
    assert environment["HF_HUB_OFFLINE"] == "1"


@pytest.mark.parametrize(
    "line",
    [
        "terminate called after throwing an instance of 'std::bad_alloc'",
        "memory allocation of 67108864 bytes failed",
        "RuntimeError: [enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory",
        "OpenBLAS blas_thread_init: pthread_create failed: can't start new thread",
        "MemoryError",
    ],
)
def test_an_engine_that_died_with_such_a_last_line_ran_out_of_memory(fake_run, line):
    run = fake_run("torn")
    launch.watch_engine_jobs()
    pid = until(lambda: starts(run))[0]
    until(lambda: read_progress(run.directory).done == 1)
    with run.directory.log_path.open("a") as log:
        log.write(line + "\n")
    os.kill(pid, signal.SIGKILL)
    watched(run, "failed")
    assert run.error.startswith("Out of memory. Lower batch_size")
    assert "left no result" in run.error
    assert line in run.error
