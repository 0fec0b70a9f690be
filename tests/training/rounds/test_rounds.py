"""Rounds: two models write, a blind batch opens, and nothing happens twice."""

from threading import Thread

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.urls import reverse
from django.utils import timezone

from annotation.core.errors import Conflict, InvalidInput
from annotation.datasets.freeze import freeze_dataset
from annotation.datasets.lineage import labels_by_batch
from annotation.models import Annotation, Assignment, Candidate, Event, Prompt, Task
from annotation.queue.batches import close_batch, open_batch, reopen_batch
from tests.factories import PromptFactory, UserFactory
from tests.training.conftest import until, watched
from training.models import Checkpoint, Generation, Round
from training.results.promotion import promote
from training.rounds import lifecycle, lineage
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


def test_a_round_for_too_few_people_opens_with_a_warning(project, promoted, prompts, manager, sign_in, capsys):
    call_command(
        "start_round", project.slug, "--prompts", "4", "--overlap", "3", "--max-new-tokens", "12", "--threads", "1"
    )
    sentence = "When this batch opened, 1 person could work on it: 8 of its 12 answers could not be given."
    assert sentence in capsys.readouterr().err
    batch = project.batches.get()
    assert (batch.overlap, batch.tasks.count(), batch.selection["shortage"]["missing"]) == (3, 4, 8)
    client = sign_in(manager)
    for address in (reverse("rounds", args=[project.slug]), reverse("batch", args=[batch.pk])):
        assert sentence in client.get(address).content.decode()
    close_batch(batch=batch, actor=None)
    assert sentence not in client.get(reverse("rounds", args=[project.slug])).content.decode()


def test_page_and_command_start_the_same_round(project, promoted, prompts, manager, sign_in):
    client, address = sign_in(manager), reverse("rounds", args=[project.slug])
    form = client.get(address).context["form"]
    values = {name: form[name].value() for name in form.fields if form[name].value() is not None}

    def started(start_it):
        """What the round asks of which models about which prompts; nothing stays."""
        with transaction.atomic():
            start_it()
            last = Round.objects.order_by("number").last()
            settings = {name: value for name, value in last.settings.items() if name != "options"}
            asked = [
                {name: value for name, value in row.config.items() if name != "run_id"}
                for row in last.generations.order_by("id")
            ]
            overlap = settings.pop("overlap") or project.default_overlap
            transaction.set_rollback(True)
        return settings, overlap, asked

    by_page = started(lambda: client.post(reverse("round_start", args=[project.slug]), values))
    assert by_page == started(lambda: call_command("start_round", project.slug, "--no-wait"))
    assert len(by_page[0]["prompts"]) == Prompt.objects.filter(tasks=None).count()


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
    PromptFactory(project=project)
    batch = open_batch(project=project, kind="writing", name="By hand", actor=None)
    lifecycle.start_round(project=project, actor=None, prompts=1, reuse=True)
    assert list(batch.rounds.values_list("number", flat=True)) == [1]


def test_a_new_round_closes_the_open_batches_of_earlier_ones_unless_told_otherwise(
    project, promoted, prompts, settings, capsys
):
    PromptFactory.create_batch(4, project=project)
    behave(settings, "succeeds")
    first = open_batch(project=project, kind="writing", name="By hand", actor=None)
    call_command("start_round", project.slug, "--prompts", "1", "--reuse-prompts", "--no-wait")
    assert f"batch {first.pk} (By hand) of an earlier round: will be closed when the new batch opens" in (
        capsys.readouterr().out
    )
    first.refresh_from_db()
    assert first.status == "open", "people keep their work while the models write"
    second = settled(Round.objects.get(number=2))
    first.refresh_from_db()
    assert (first.status, statuses()) == ("closed", ["closed", "collecting"])
    assert list(Event.objects.filter(verb="round.closed").values_list("object_id", flat=True)) == [
        Round.objects.get(number=1).pk
    ]

    third = settled(lifecycle.start_round(project=project, actor=None, prompts=1, reuse=True, close_batches=False))
    assert statuses() == ["closed", "collecting", "collecting"], "its batch is still open"
    close_batch(batch=second.batches.get(), actor=None)
    lifecycle.advance_all()
    assert statuses() == ["closed", "closed", "collecting"]
    reopen_batch(batch=second.batches.get(), actor=None)
    lifecycle.advance_all()
    assert statuses() == ["closed", "collecting", "collecting"]
    close_batch(batch=third.batches.get(), actor=None)
    lifecycle.advance_all()
    assert statuses()[-1] == "collecting", "nothing came after it"


def answered(batch, number):
    """The first tasks of a writing batch, each written by somebody."""
    for assignment in Assignment.objects.filter(batch=batch).order_by("id")[:number]:
        writer = UserFactory()
        Assignment.objects.filter(pk=assignment.pk).update(
            state="done", annotator=writer, leased_until=timezone.now(), finished_at=timezone.now()
        )
        Annotation.objects.create(
            assignment=assignment,
            task_id=assignment.task_id,
            annotator=writer,
            kind="writing",
            payload={"text": f"Answer {assignment.pk}"},
        )


def statuses():
    return list(Round.objects.order_by("number").values_list("status", flat=True))


def test_a_dataset_is_listed_in_the_rounds_whose_labels_it_holds(
    project, promoted, prompts, settings, freeze, fake_run, client, manager
):
    """Whatever was trained on it and whenever: three labels of the first round and one of the second."""
    behave(settings, "succeeds")
    first = open_batch(project=project, kind="writing", name="First", actor=None)
    answered(first, 3)
    of_first = freeze_dataset(project=project, purpose="sft", actor=None)
    assert of_first.manifest["annotations"]["by_batch"] == {str(first.pk): 3}
    PromptFactory.create_batch(4, project=project)
    settled(lifecycle.start_round(project=project, actor=None, prompts=2, reuse=True))
    by_hand = open_batch(project=project, kind="writing", name="Second", actor=None)
    answered(by_hand, 1)
    of_both = freeze_dataset(project=project, purpose="sft", actor=None)
    late = fake_run("succeeds", dataset=of_first)

    rounds = list(Round.objects.order_by("number"))
    batches = lineage.batches_by_round(project, rounds)
    assert by_hand.pk in batches[rounds[1].pk], "it was opened while the second was the newest"
    assert lineage.labels_by_round(of_first, batches) == {rounds[0].pk: 3}
    assert lineage.labels_by_round(of_both, batches) == {rounds[0].pk: 3, rounds[1].pk: 1}
    assert late.round == rounds[0], "trained in the second round, on labels of the first"
    assert lineage.round_of(of_both) == rounds[1]
    # Frozen before manifests said it: counted from the file of ids, or, without it, told from the selection.
    without = {key: value for key, value in of_both.manifest["annotations"].items() if key != "by_batch"}
    of_both.manifest = {**of_both.manifest, "annotations": without}
    assert labels_by_batch(of_both) == {first.pk: 3, by_hand.pk: 1}
    of_both.directory = "datasets/moved"
    assert labels_by_batch(of_both).keys() >= {first.pk, by_hand.pk}

    client.force_login(manager)
    page = client.get(f"/projects/{project.slug}/rounds/").content.decode()
    assert page.count(f"Dataset {of_both.pk}</a>") == 2
    assert "3 of its 4 answers are from this round" in page
    assert "1 of its 4 answers are from this round" in page
