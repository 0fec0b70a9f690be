"""Ctrl-C of `serve` or `demo` while an engine runs: it is named, and the remedy stops it."""

import shlex
import subprocess
from types import SimpleNamespace

import pytest
from django.db import DatabaseError

from deploy import engines
from tests.training.conftest import until, watched
from training.contract.run_directory import RunDirectory
from training.models import Evaluation, Generation, Run
from training.reports.progress import read_progress
from training.supervision import launch

pytestmark = pytest.mark.django_db(transaction=True)


def said():
    lines = []
    engines.say_what_goes_on(lines.append)
    return lines


def test_a_run_goes_on_and_the_command_that_is_shown_stops_it(fake_run):
    run = fake_run("slow")
    assert said() == []  # it waits
    launch.watch_engine_jobs()
    until(lambda: read_progress(run.directory).done)
    (line,) = said()
    assert line.startswith(f"Run {run.pk} goes on without the site")
    command = line.partition(":  ")[2]
    subprocess.run(shlex.split(command), check=True)
    watched(run, "cancelled")
    assert said() == []


@pytest.mark.parametrize("kind", [Run, Generation, Evaluation])
def test_every_kind_of_engine_is_named_and_a_dead_one_is_not(kind, tmp_path, monkeypatch):
    folder = RunDirectory(tmp_path / "it's here")
    job = SimpleNamespace(_meta=kind._meta, pk=7, directory=folder)
    manager = SimpleNamespace(filter=lambda status: [job] if status == "running" else [])
    monkeypatch.setattr(engines, "JOBS", (SimpleNamespace(_default_manager=manager),))
    assert said() == []  # nobody holds its lock
    with folder.acquire_lock():
        (line,) = said()
    assert line.startswith(f"{kind.__name__} 7 goes on")
    subprocess.run(shlex.split(line.partition(":  ")[2]), check=True)
    assert folder.cancel_requested()


def test_a_database_that_is_gone_is_no_obstacle(monkeypatch):
    class Gone:
        class _default_manager:
            @staticmethod
            def filter(**conditions):
                raise DatabaseError("connection refused")

    monkeypatch.setattr(engines, "JOBS", (Gone,))
    assert said() == []
