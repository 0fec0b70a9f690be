"""Withdrawing a wrong prompt: by HTTP and by the command, what it does to the queue and to datasets, and back."""

import re

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse

from annotation.answers.exclusions import withdraw_prompt
from annotation.answers.submission import draft_of, submit, undo_last
from annotation.core.errors import Conflict, InvalidInput
from annotation.datasets.freeze import freeze_dataset
from annotation.datasets.rows import ExportOptions
from annotation.models import Annotation, Assignment, Event, Exclusion, Kind, Role
from annotation.queue.claims import claim_next
from annotation.queue.manual_assignment import assign
from annotation.queue.preview import preview_batch
from annotation.queue.progress import progress_of
from tests.annotation.helpers import batch_of, hotel
from tests.factories import UserFactory, join
from training.rounds.lifecycle import fresh_prompts

pytestmark = pytest.mark.django_db


class World:
    """Three tasks for two people each: Hana answered the first and holds the second, Ken holds the first."""

    def __init__(self) -> None:
        self.project = hotel(prompts=3, slug="hotel", held_out_share=0)
        self.mio = join(self.project, Role.MANAGER, name="Mio")
        self.hana = join(self.project, Role.ANNOTATOR, name="Hana")
        self.ken = join(self.project, Role.ANNOTATOR, name="Ken")
        self.batch = batch_of(self.project, overlap=2)
        self.held = claim_next(batch=self.batch, annotator=self.hana)
        self.answer = submit(assignment=self.held, payload=self.payload(self.held)).annotation
        self.ken_holds = claim_next(batch=self.batch, annotator=self.ken)
        self.hana_holds = claim_next(batch=self.batch, annotator=self.hana)
        self.prompt = self.held.task.prompt
        assert self.ken_holds.task_id == self.held.task_id

    def payload(self, held) -> dict:
        shown = held.task.candidate_ids
        return {"choice": "one", "chosen": shown[0], "shown": shown, "strength": 2, "reasons": []}

    def finish(self, person) -> int:
        count = 0
        while held := claim_next(batch=self.batch, annotator=person):
            submit(assignment=held, payload=self.payload(held))
            count += 1
        return count

    def freeze(self):
        return freeze_dataset(project=self.project, purpose="dpo", actor=None, options=ExportOptions(keep_ties=True))

    def states(self) -> list[str]:
        return sorted(Assignment.objects.filter(task__prompt=self.prompt).values_list("state", flat=True))

    def progress(self):
        return progress_of(type(self.batch).objects.filter(pk=self.batch.pk))[0]


@pytest.fixture
def world():
    return World()


def test_a_manager_withdraws_a_prompt_and_restores_it(world, sign_in):
    client, page = sign_in(world.mio), reverse("task", args=[world.held.task_id])
    assert "Withdraw the prompt…" in client.get(page).text
    address = reverse("prompt_withdraw", args=[world.prompt.pk])
    assert "Give a reason" in client.post(address, {"reason": " ", "back": page}, follow=True).text
    done = client.post(address, {"reason": "Not a sentence", "back": page}, follow=True)
    assert done.redirect_chain[-1][0] == page
    assert "The prompt is withdrawn." in done.text
    assert "Not a sentence" in done.text
    event = Event.objects.get(verb="prompt.withdrawn")
    exclusion = Exclusion.objects.get()
    assert (event.actor, event.object_id) == (world.mio, world.prompt.pk)
    facts = {"exclusion": exclusion.pk, "reason": "Not a sentence", "answers": 1, "slots": 1, "held": 1}
    assert event.after == facts
    assert world.states() == ["done", "withdrawn"]
    assert Event.objects.filter(verb="assignment.released", object_id=world.ken_holds.pk).exists()
    batch = client.get(reverse("batch", args=[world.batch.pk])).text
    assert "1 of 5 answers" in batch
    assert "1 answer excluded" in batch
    listed = client.get(reverse("exclusions", args=["hotel"])).text
    assert f"withdrawn prompt {world.prompt.pk}" in listed
    prompts = client.get(reverse("prompts", args=["hotel"]), {"only": "withdrawn"}).text
    assert f"prompt {world.prompt.pk}" in prompts
    assert prompts.count('class="cell"') == 1 + 2
    assert "withdrawn already" in client.post(address, {"reason": "Twice", "back": page}, follow=True).text
    back = client.post(reverse("exclusion_lift", args=[exclusion.pk]), {"back": page}, follow=True)
    assert "The prompt is restored" in back.text
    assert world.states() == ["done", "free"]
    assert Event.objects.get(verb="prompt.restored").after == {"slots": 1}
    assert (world.progress().done, world.progress().total) == (1, 6)


def test_the_queue_goes_on_without_it_and_ends(world):
    withdraw_prompt(prompt=world.prompt, reason="Wrong", actor=world.mio)
    assert world.finish(world.ken) == 2
    assert world.finish(world.hana) == 2
    progress = world.progress()
    assert (progress.done, progress.total, progress.is_complete) == (5, 5, True)
    with pytest.raises(Conflict, match="is withdrawn"):
        assign(task=world.held.task, annotator=world.mio, actor=world.mio)


def test_who_held_the_task_is_told_and_keeps_what_they_entered(world, sign_in):
    client = sign_in(world.ken)
    form = {"choice": "a", "strength": "2"}
    withdraw_prompt(prompt=world.prompt, reason="Wrong", actor=world.mio)
    for address, data in (
        (reverse("submit", args=[world.ken_holds.pk]), form),
        (reverse("submit", args=[world.ken_holds.pk]), {}),
        (reverse("skip", args=[world.ken_holds.pk]), {"reason": "unclear"}),
    ):
        said = client.post(address, data, headers={"HX-Request": "true"})
        assert said.status_code == 409
        assert "A manager withdrew this task" in said.text
        assert 'data-assignment="' in said.text, "and the next task is there"
    assert draft_of(assignment=world.ken_holds, annotator=world.ken).payload["choice"] == "one"
    assert Annotation.objects.count() == 1
    assert world.states() == ["done", "withdrawn"]


def test_an_answer_to_a_withdrawn_prompt_is_final(world, sign_in):
    """Also one that was being edited: it stays as it was."""
    done = Assignment.objects.get(pk=world.held.pk)
    world.hana_holds.refresh_from_db()
    undo_last(annotator=world.hana, batch=world.batch)
    assert Assignment.objects.get(pk=done.pk).state == "held"
    withdraw_prompt(prompt=world.prompt, reason="Wrong", actor=world.mio)
    assert Assignment.objects.get(pk=done.pk).state == "done"
    assert Annotation.objects.get(is_current=True) == world.answer
    with pytest.raises(Conflict, match="answers are final"):
        undo_last(annotator=world.hana, batch=world.batch)
    client = sign_in(world.hana)
    assert "A manager withdrew this task: its answers are final." in client.get(reverse("my_work")).text
    reopened = client.post(reverse("my_answer_reopen", args=[world.answer.pk]), follow=True)
    assert "its answers are final" in reopened.text


def test_later_datasets_and_batches_do_without_it(world, sign_in):
    world.finish(world.hana)
    world.finish(world.ken)
    before = world.freeze()
    assert before.manifest["annotations"]["count"] == 6
    exclusion = withdraw_prompt(prompt=world.prompt, reason="Wrong", actor=world.mio)
    version = world.freeze()
    assert version.manifest["annotations"]["count"] == 4
    (row,) = version.manifest["excluded"]["exclusions"]
    assert (row["scope"], row["prompt"], row["annotations"]) == ("prompt", world.prompt.pk, 2)
    assert (
        f"withdrawn prompt {world.prompt.pk} (Wrong)"
        in sign_in(world.mio).get(reverse("dataset", args=[version.pk])).text
    )
    preview = preview_batch(project=world.project, kind=Kind.WRITING)
    assert preview.tasks == 2
    batch = batch_of(world.project, Kind.WRITING)
    assert world.prompt.pk not in batch.tasks.values_list("prompt", flat=True)
    assert (
        "1 withdrawn prompt of the project is not used"
        in sign_in(world.mio).get(reverse("batch", args=[batch.pk])).text
    )
    assert not fresh_prompts(world.project).exists()
    client = sign_in(world.mio)
    client.post(reverse("exclusion_lift", args=[exclusion.pk]))
    assert world.freeze().sha256 == before.sha256


def test_only_managers_withdraw(world, sign_in):
    address = reverse("prompt_withdraw", args=[world.prompt.pk])
    exclusion = withdraw_prompt(prompt=world.ken_holds.task.prompt, reason="Wrong", actor=None)
    for person in (world.hana, join(world.project, Role.REVIEWER), UserFactory()):
        assert sign_in(person).post(address, {"reason": "x"}).status_code == 404
        assert sign_in(person).post(reverse("exclusion_lift", args=[exclusion.pk])).status_code == 404
    seen = sign_in(join(world.project, Role.REVIEWER)).get(reverse("task", args=[world.held.task_id])).text
    assert "Wrong" in seen
    assert "Restore" not in seen
    for reason in ("", "\0 "):
        with pytest.raises(InvalidInput, match="Give a reason"):
            withdraw_prompt(prompt=world.hana_holds.task.prompt, reason=reason, actor=None)


def test_the_command_withdraws_and_restores(world, capsys):
    world.prompt.external_id = "row-7"
    world.prompt.save()
    call_command("withdraw_prompt", "hotel", "--id", "row-7", "--reason", "Wrong")
    out = capsys.readouterr().out
    assert out == (
        f"prompt {world.prompt.pk} (row-7): withdrawn; answers excluded: 1, slots out of the queue: 1, "
        "of which somebody worked on: 1\n"
    )
    call_command("withdraw_prompt", "hotel", "--prompt", str(world.prompt.pk), "--restore")
    assert re.search(r"restored; slots back in the queue: 1$", capsys.readouterr().out.strip())
    for arguments, said in (
        (["--prompt", "999999999", "--reason", "x"], "has no prompt 999999999"),
        (["--id", "nothing", "--reason", "x"], "no prompt with the id 'nothing'"),
        (["--reason", "x"], "name a prompt"),
        (["--prompt", str(world.prompt.pk), "--restore"], "is not withdrawn"),
        (["--prompt", str(world.prompt.pk), "--reason", " "], "Give a reason"),
    ):
        with pytest.raises(CommandError, match=said):
            call_command("withdraw_prompt", "hotel", *arguments)
