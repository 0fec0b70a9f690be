"""Periodic jobs go on when somebody sets the clock back, and after a start with a schedule from the future."""

from datetime import timedelta

import pytest

from deploy import scheduler
from deploy.celery import app


@pytest.fixture
def sent(monkeypatch):
    names = []
    monkeypatch.setattr(scheduler.Scheduler, "apply_async", lambda self, entry, **options: names.append(entry.name))
    return names


def opened(tmp_path):
    return scheduler.Scheduler(app=app, schedule_filename=str(tmp_path / "schedule"))


def ticks(beat, count=40):
    for _ in range(count):
        beat.tick()


def test_the_site_uses_this_scheduler(settings):
    assert settings.CELERY_BEAT_SCHEDULER == "deploy.scheduler:Scheduler"


def test_a_clock_that_is_set_back_delays_no_job(tmp_path, sent, monkeypatch):
    beat = opened(tmp_path)
    ticks(beat)
    for entry in beat.schedule.values():
        entry.last_run_at += timedelta(hours=2)  # all ran; then the clock went back by two hours
    beat.populate_heap()
    sent.clear()
    monkeypatch.setattr(beat, "_drift", beat._drift + 2 * 3600)
    ticks(beat)
    assert {"watch engine jobs", "expire leases", "resume imports"} <= set(sent)
    assert len(sent) == len(set(sent)), "each once"
    beat.close()


def test_a_schedule_from_the_future_is_not_believed(tmp_path, sent):
    beat = opened(tmp_path)
    for entry in beat.schedule.values():
        entry.last_run_at += timedelta(hours=2)
    beat.close()
    beat = opened(tmp_path)
    ticks(beat)
    assert {"watch engine jobs", "expire leases", "resume imports"} <= set(sent)
    beat.close()
