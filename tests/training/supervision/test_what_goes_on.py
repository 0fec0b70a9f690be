"""Ctrl-C of `serve` or `demo` while an engine runs: it is named, and the remedy stops it."""

import shlex
import subprocess

import pytest
from django.db import DatabaseError

from deploy import engines
from tests.training.conftest import until, watched
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
def test_every_kind_of_engine_is_named_and_a_dead_one_is_not(fake_run, kind, monkeypatch):
    run = fake_run("slow")
    monkeypatch.setattr(engines, "JOBS", (Run,))
    Run.objects.filter(pk=run.pk).update(status="running")
    assert said() == []  # nobody holds its lock
    monkeypatch.setattr(Run, "_meta", kind._meta)
    with run.directory.acquire_lock():
        assert said()[0].startswith(f"{kind.__name__} {run.pk} goes on")


def test_a_database_that_is_gone_is_no_obstacle(monkeypatch):
    class Gone:
        class _default_manager:
            @staticmethod
            def filter(**conditions):
                raise DatabaseError("connection refused")

    monkeypatch.setattr(engines, "JOBS", (Gone,))
    assert said() == []
