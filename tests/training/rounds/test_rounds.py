"""Rounds: two models write, a blind batch opens, and nothing happens twice."""

from threading import Thread

import pytest
from django.core.management import call_command
from django.db import connection

from annotation.core.errors import Conflict, InvalidInput
from annotation.models import Candidate, Event, Task
from tests.factories import PromptFactory
from tests.training.conftest import until, watched
from training.models import Checkpoint, Generation, Round
from training.results.promotion import promote
from training.rounds import lifecycle
from training.supervision import launch

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def promoted(fake_run):
    """A promoted checkpoint with a parent."""
    parent = Checkpoint.objects.get(run=watched(fake_run("succeeds"), "succeeded"))
    run = watched(fake_run("succeeds", parent=parent), "succeeded")
    return promote(checkpoint=Checkpoint.objects.get(run=run), actor=None)


def settled(round):
    def over():
        launch.watch_engine_jobs()
        round.refresh_from_db()
        return round.status != Round.Status.PREPARING

    until(over)
    return round


def behave(settings, behaviour):
    folder = settings.VAR / "generations"
    folder.mkdir(exist_ok=True)
    (folder / "behaviour").write_text(behaviour)


def test_a_round_asks_both_models_and_opens_a_blind_batch(project, promoted, prompts, manager):
    started = lifecycle.start_round(project=project, actor=manager, prompts=4, overlap=2)
    assert (started.number, started.status) == (2, "preparing")
    settled(started)
    assert started.status == "collecting"
    batch = started.batches.get()
    assert (batch.kind, batch.overlap, batch.tasks.count()) == ("choosing", 2, 4)
    assert set(Candidate.objects.values_list("origin", flat=True)) == {promoted.origin, promoted.parent.origin}
    verbs = Event.objects.filter(object_type="round", object_id=started.pk).order_by("id")
    assert list(verbs.values_list("verb", flat=True)) == ["round.started", "round.collecting"]
    # The next one takes what is fresh, and then there is nothing left.
    third = settled(lifecycle.start_round(project=project, actor=manager, prompts=4))
    assert third.batches.get().tasks.count() == 2
    with pytest.raises(InvalidInput, match="reuse"):
        lifecycle.start_round(project=project, actor=manager)
    assert lifecycle.start_round(project=project, actor=manager, reuse=True, prompts=3).number == 4


def test_the_command_waits_until_the_batch_is_open(project, promoted, prompts, capsys):
    call_command("start_round", project.slug, "--prompts", "4", "--max-new-tokens", "12", "--threads", "1")
    batch = project.batches.get()
    assert capsys.readouterr().out.splitlines()[-1] == f"round 2: collecting annotations, batch {batch.pk} with 4 tasks"
    assert (batch.kind, list(batch.rounds.values_list("number", flat=True))) == ("choosing", [2])
    asked = Generation.objects.filter(round__number=2)
    assert [generation.config["max_new_tokens"] for generation in asked] == [12, 12]
    assert set(asked.values_list("status", flat=True)) == {"succeeded"}


def test_a_second_click_is_the_same_round(project, promoted, prompts, manager):
    first = lifecycle.start_round(project=project, actor=manager, prompts=2, after=1)
    again = lifecycle.start_round(project=project, actor=manager, prompts=2, after=1)
    settled(first)
    late = lifecycle.start_round(project=project, actor=manager, prompts=2, after=1)
    assert first == again == late
    assert Generation.objects.count() == 2


def test_clicks_at_one_time_make_one_round(project, promoted, prompts):
    def click():
        lifecycle.start_round(project=project, actor=None, prompts=2)
        connection.close()

    threads = [Thread(target=click) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Round.objects.filter(project=project).count() == 2
    assert Generation.objects.count() == 2


def test_two_watchers_open_one_batch(project, promoted, prompts, settings):
    settings.ENGINES = 2
    started = lifecycle.start_round(project=project, actor=None, prompts=3)

    def watch():
        for _ in range(20):
            launch.watch_engine_jobs()
        connection.close()

    threads = [Thread(target=watch) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    settled(started)
    assert project.batches.count() == 1
    assert Task.objects.count() == 3


def test_without_a_parent_the_base_model_is_compared(project, fake_run, prompts):
    run = watched(fake_run("succeeds"), "succeeded")
    checkpoint = promote(checkpoint=Checkpoint.objects.get(run=run), actor=None)
    settled(lifecycle.start_round(project=project, actor=None, prompts=2))
    assert set(Candidate.objects.values_list("origin", flat=True)) == {checkpoint.origin, "import:model/shell"}


def test_without_a_promoted_checkpoint_there_is_no_round(project, prompts):
    with pytest.raises(Conflict, match="promote"):
        lifecycle.start_round(project=project, actor=None)


def test_models_that_say_the_same_end_the_round_and_it_can_begin_anew(project, promoted, prompts, settings):
    behave(settings, "repeats")
    started = settled(lifecycle.start_round(project=project, actor=None, prompts=2))
    assert started.status == "failed"
    assert "different texts" in started.error
    behave(settings, "succeeds")
    again = settled(lifecycle.start_round(project=project, actor=None, prompts=3))
    assert (again, again.status) == (started, "collecting")
    assert again.batches.get().tasks.count() == 3


def test_a_failed_generation_fails_the_round_until_it_is_taken_up(project, promoted, prompts, settings):
    behave(settings, "exits")
    started = settled(lifecycle.start_round(project=project, actor=None, prompts=2))
    assert started.status == "failed"
    assert "the ninth layer is on fire" in started.error
    behave(settings, "succeeds")
    settled(lifecycle.retry_round(round=started, actor=None))
    assert started.status == "collecting"
    with pytest.raises(Conflict):
        lifecycle.retry_round(round=started, actor=None)


def test_batches_that_no_round_has_belong_to_the_newest(project, promoted, prompts):
    from annotation.queue.batches import open_batch

    PromptFactory(project=project)
    batch = open_batch(project=project, kind="writing", name="By hand", actor=None)
    lifecycle.start_round(project=project, actor=None, prompts=1, reuse=True)
    assert list(batch.rounds.values_list("number", flat=True)) == [1]
