"""Excluding answers, people and simulated annotators: by HTTP, and what it does wherever answers are counted."""

import re

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction
from django.urls import reverse

from annotation.answers.exclusions import exclude_answer, exclude_person, exclude_simulated, lift_exclusion
from annotation.answers.submission import submit
from annotation.core.errors import Conflict, InvalidInput
from annotation.datasets.freeze import freeze_dataset
from annotation.datasets.rows import ExportOptions
from annotation.models import Annotation, DatasetVersion, Event, Exclusion, Kind, Role
from annotation.qualification.tests import model_answers
from annotation.queue.claims import claim_next
from annotation.reference.translation_memory import similar
from tests.annotation.helpers import batch_of, hotel
from tests.factories import UserFactory, join

pytestmark = pytest.mark.django_db


class World:
    """Three tasks, each chosen by Hana and Ken (who disagree) and by a simulated annotator (who sides with Hana)."""

    def __init__(self) -> None:
        self.project = hotel(prompts=3, slug="hotel", held_out_share=0)
        self.mio = join(self.project, Role.MANAGER, name="Mio")
        self.hana = join(self.project, Role.ANNOTATOR, name="Hana")
        self.ken = join(self.project, Role.ANNOTATOR, name="Ken")
        self.robot = join(self.project, Role.ANNOTATOR, name="Robot", is_simulated=True)
        self.batch = batch_of(self.project, overlap=3)
        for person, side in ((self.hana, 0), (self.ken, 1), (self.robot, 0)):
            self.answer(person, side)

    def answer(self, person, side: int) -> None:
        while held := claim_next(batch=self.batch, annotator=person):
            shown = held.task.candidate_ids
            payload = {"choice": "one", "chosen": shown[side], "shown": shown, "strength": 2, "reasons": []}
            submit(assignment=held, payload=payload)

    def of(self, person, position: int = 1) -> Annotation:
        return Annotation.objects.get(annotator=person, task__batch=self.batch, task__position=position)

    def freeze(self) -> DatasetVersion:
        options = ExportOptions(keep_ties=True)
        return freeze_dataset(project=self.project, purpose="dpo", actor=None, options=options)


@pytest.fixture
def world():
    return World()


def facts(version: DatasetVersion) -> tuple[int, float, dict]:
    return version.manifest["annotations"]["count"], version.train_rows, version.manifest.get("excluded", {})


# ---- by HTTP ----


def test_an_answer_is_excluded_and_counts_again_when_it_is_lifted(world, sign_in):
    before = world.freeze()
    answer = world.of(world.ken)
    client, page = sign_in(world.mio), reverse("batch", args=[world.batch.pk])
    address = reverse("answer_exclude", args=[answer.pk])
    assert "Give a reason" in client.post(address, {"reason": "  ", "back": page}, follow=True).text
    assert not Exclusion.objects.exists()
    done = client.post(address, {"reason": "Clicked at random", "back": page}, follow=True)
    assert done.redirect_chain[-1][0] == page
    assert "The answer of Ken to task 1 is excluded." in done.text
    assert "Clicked at random" in done.text
    assert "1 answer excluded" in done.text
    event = Event.objects.get(verb="exclusion.made")
    assert (event.actor, event.project) == (world.mio, world.project)
    expected = {"scope": "answer", "task": answer.task_id, "annotator": world.ken.pk, "reason": "Clicked at random"}
    assert event.after == expected | {"answers": 1}
    version = world.freeze()
    assert facts(version)[0] == 8
    assert version.manifest["agreement"] != before.manifest["agreement"]
    assert version.manifest["excluded"]["annotations"] == 1
    assert version.manifest["excluded"]["exclusions"][0]["reason"] == "Clicked at random"
    again = client.post(address, {"reason": "Twice"}, follow=True)
    assert "excluded already" in again.text
    exclusion = Exclusion.objects.get()
    lifted = client.post(reverse("exclusion_lift", args=[exclusion.pk]), {"back": page}, follow=True)
    assert "the answers count again" in lifted.text
    assert Event.objects.get(verb="exclusion.lifted").before == expected
    assert world.freeze().sha256 == before.sha256
    assert "has been lifted already" in client.post(reverse("exclusion_lift", args=[exclusion.pk]), follow=True).text
    frozen = DatasetVersion.objects.get(pk=version.pk)
    assert (frozen.sha256, frozen.manifest) == (version.sha256, version.manifest)


def test_a_person_is_excluded_from_the_members_page_with_what_they_answer_later(world, sign_in):
    client, people = sign_in(world.mio), reverse("settings_people", args=["hotel"])
    assert "Exclude answers…" in client.get(people).text
    data = {"who": str(world.ken.pk), "reason": "Left the guideline unread", "back": people}
    page = client.post(reverse("exclusions", args=["hotel"]), data, follow=True)
    assert page.redirect_chain[-1][0] == people
    assert "answers excluded" in page.text
    assert "Left the guideline unread" in page.text
    version = world.freeze()
    assert facts(version)[0] == 6
    (row,) = version.manifest["excluded"]["exclusions"]
    assert (row["scope"], row["annotator"], row["annotations"]) == ("person", world.ken.pk, 3)
    other = batch_of(world.project, Kind.CHOOSING, overlap=1)
    world.batch = other
    world.answer(world.ken, 0)
    again = world.freeze()
    assert (again.pk, again.asked_manifest["excluded"]["annotations"]) == (version.pk, 6)
    listing = client.get(reverse("exclusions", args=["hotel"])).text
    assert "6 answers are excluded" in listing
    frozen = client.get(reverse("dataset", args=[version.pk])).text
    assert "Excluded answers" in frozen
    assert "Ken (Left the guideline unread)" in frozen


def test_all_simulated_annotators_are_excluded_at_once(world, sign_in):
    client = sign_in(world.mio)
    assert "Exclude all their answers…" in client.get(reverse("settings_people", args=["hotel"])).text
    data = {"who": "simulated", "reason": "Not people"}
    page = client.post(reverse("exclusions", args=["hotel"]), data, follow=True).text
    assert "3 answers are excluded" in page
    assert "all simulated annotators" in page
    version = world.freeze()
    assert facts(version)[0] == 6
    assert version.manifest["excluded"]["exclusions"][0]["scope"] == "simulated"
    datasets = client.get(reverse("datasets", args=["hotel"])).text
    assert re.search(r"3 answers excluded:\s+all simulated annotators", datasets)
    refused = client.post(reverse("exclusions", args=["hotel"]), data)
    assert refused.status_code == 422
    assert "excluded already" in refused.text
    stranger = {"who": str(UserFactory().pk), "reason": "No"}
    assert client.post(reverse("exclusions", args=["hotel"]), stranger).status_code == 422


def test_reviewers_see_exclusions_and_only_managers_make_and_lift_them(world, sign_in):
    exclusion = exclude_answer(annotation=world.of(world.ken), reason="Noise", actor=world.mio)
    reviewer = sign_in(join(world.project, Role.REVIEWER))
    batch = reviewer.get(reverse("batch", args=[world.batch.pk])).text
    assert "Noise" in batch
    assert "Lift exclusion" not in batch
    assert "Exclude this answer" not in batch
    listing = reviewer.get(reverse("exclusions", args=["hotel"])).text
    assert "Noise" in listing
    assert ">Lift<" not in listing
    for address in (
        reverse("answer_exclude", args=[world.of(world.hana).pk]),
        reverse("exclusion_lift", args=[exclusion.pk]),
        reverse("exclusions", args=["hotel"]),
    ):
        assert reviewer.post(address, {"reason": "x", "who": "simulated"}).status_code == 404
    assert sign_in(world.hana).get(reverse("exclusions", args=["hotel"])).status_code == 404
    assert Exclusion.objects.filter(lifted_at=None).count() == 1


def test_what_comes_back_after_an_exclusion_is_a_page_of_this_site(world, sign_in):
    address = reverse("answer_exclude", args=[world.of(world.ken).pk])
    done = sign_in(world.mio).post(address, {"reason": "Noise", "back": "https://elsewhere.example/"})
    assert done.url == reverse("exclusions", args=["hotel"])


# ---- what it changes, and what not ----


def test_the_first_of_several_exclusions_counts_an_answer_once(world):
    exclude_simulated(project=world.project, reason="Programs", actor=None)
    exclude_person(project=world.project, annotator=world.robot, reason="Broken", actor=None)
    exclude_answer(annotation=world.of(world.robot), reason="Empty", actor=None)
    rows = {row["scope"]: row["annotations"] for row in world.freeze().manifest["excluded"]["exclusions"]}
    assert rows == {"answer": 1, "person": 2}


def test_an_excluded_answer_stays_excluded_when_its_author_changes_it(world):
    answer = world.of(world.ken)
    exclude_answer(annotation=answer, reason="Noise", actor=None)
    Annotation.objects.filter(pk=answer.pk).update(is_current=False)
    newer = Annotation.objects.create(
        assignment=answer.assignment,
        task=answer.task,
        annotator=world.ken,
        kind=answer.kind,
        version=2,
        payload=answer.payload,
    )
    assert facts(world.freeze())[0] == 8
    with pytest.raises(Conflict, match="excluded already"):
        exclude_answer(annotation=newer, reason="Noise", actor=None)


def test_what_cannot_be_excluded_says_why(world):
    answer = world.of(world.ken)
    for reason in ("", " \n\t", "\0"):
        with pytest.raises(InvalidInput, match="Give a reason"):
            exclude_answer(annotation=answer, reason=reason, actor=None)
    with pytest.raises(InvalidInput, match="At most 500"):
        exclude_answer(annotation=answer, reason="x" * 501, actor=None)
    with pytest.raises(InvalidInput, match="has no answers in this project"):
        exclude_person(project=world.project, annotator=UserFactory(name="Nobody"), reason="x", actor=None)
    Annotation.objects.filter(pk=answer.pk).update(is_current=False)
    with pytest.raises(Conflict, match="withdrawn"):
        exclude_answer(annotation=answer, reason="x", actor=None)
    assert not Event.objects.filter(verb__startswith="exclusion").exists()
    with pytest.raises(IntegrityError), transaction.atomic():
        Exclusion.objects.create(project=world.project, annotator=world.ken, reason="")


def test_progress_and_my_work_stay_and_tests_and_similar_texts_do_without(world, sign_in):
    other = batch_of(world.project, Kind.WRITING)
    held = claim_next(batch=other, annotator=world.mio)
    submit(assignment=held, payload={"text": "静かなお部屋をご用意いたします。"})
    chosen = batch_of(world.project, Kind.CHOOSING, overlap=1)
    world.batch = chosen
    world.answer(world.mio, 0)

    def found():
        text = held.task.prompt.text
        return len(similar(project=world.project, text=text, person=world.hana, task_id=0, prompt_id=0))

    assert (found(), model_answers(chosen).count()) == (1, 3)
    exclusion = exclude_person(project=world.project, annotator=world.mio, reason="Trial", actor=None)
    assert (found(), model_answers(chosen).count()) == (0, 0)
    client = sign_in(world.mio)
    assert "3 of 3 answers" in client.get(reverse("batch", args=[chosen.pk])).text
    assert "You have submitted 4 answers" in client.get(reverse("my_work")).text
    lift_exclusion(exclusion=exclusion, actor=None)
    assert (found(), model_answers(chosen).count()) == (1, 3)


# ---- for one dataset: the command ----


def frozen(capsys, *arguments: str) -> tuple[DatasetVersion, str]:
    call_command("freeze_dataset", "hotel", "--for", "dpo", *arguments)
    out = capsys.readouterr().out
    return DatasetVersion.objects.get(pk=re.search(r"^dataset (\d+):", out, re.MULTILINE)[1]), out


def test_the_command_leaves_out_people_answers_and_simulated(world, capsys):
    plain, _ = frozen(capsys)
    version, out = frozen(capsys, "--without", "person:KEN", "--without", "simulated")
    assert "excluded: Ken, in this dataset: 3 answers\n" in out
    assert "excluded: simulated annotators, in this dataset: 3 answers\n" in out
    assert version.manifest["annotations"]["count"] == 3
    assert version.selection["without"] == {"people": [world.ken.pk], "answers": [], "simulated": True}
    parts = {f"person:{world.ken.pk}": 3, "simulated": 3}
    assert version.manifest["excluded"] == {"annotations": 6, "exclusions": [], "without": parts}
    same, _ = frozen(capsys, "--without", "simulated", "--without", f"person:{world.ken.email}")
    assert same.pk == version.pk
    answer = world.of(world.ken)
    one, out = frozen(capsys, "--without", f"answer:{answer.pk}")
    assert f"excluded: answer {answer.pk}, in this dataset: 1 answer\n" in out
    ids = {plain.sha256, version.sha256, one.sha256}
    assert len(ids) == 3
    assert [row.manifest["annotations"]["count"] for row in (plain, version, one)] == [9, 3, 8]


def test_an_exclusion_counts_before_what_the_command_leaves_out(world, capsys):
    exclude_person(project=world.project, annotator=world.ken, reason="Noise", actor=None)
    version, out = frozen(capsys, "--without", "person:Ken")
    assert "excluded: Ken (Noise): 3 answers\n" in out
    assert "excluded: Ken, in this dataset: 0 answers\n" in out
    assert version.manifest["excluded"]["without"] == {f"person:{world.ken.pk}": 0}


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ("person:Nobody", r"nobody called 'Nobody' has answered in hotel\. Who has: Hana, Ken, Robot"),
        ("person:Mio", "nobody called 'Mio' has answered"),
        ("answer:999999999", "the project hotel has no answer 999999999"),
        ("answer:x", "is none of: person:NAME, answer:ID, simulated"),
        ("robots", "is none of: person:NAME, answer:ID, simulated"),
    ],
)
def test_what_cannot_be_left_out_is_named(world, part, said):
    with pytest.raises(CommandError, match=said):
        call_command("freeze_dataset", "hotel", "--for", "dpo", "--without", part)


def test_a_name_of_two_people_is_not_guessed(world):
    world.hana.name = "Ken"
    world.hana.save()
    with pytest.raises(CommandError, match="several people are called 'Ken'") as error:
        call_command("freeze_dataset", "hotel", "--for", "dpo", "--without", "person:Ken")
    assert world.hana.email in str(error.value)
    assert world.ken.email in str(error.value)


def test_when_everything_is_excluded_the_error_says_so(world):
    with pytest.raises(CommandError, match="all 9 selected annotations are excluded"):
        call_command(
            "freeze_dataset", "hotel", "--for", "dpo", "--without", "simulated", "--without", "person:Hana",
            "--without", "person:Ken",
        )  # fmt: skip


def test_equal_rows_of_another_selection_are_said_to_be_that(world, capsys):
    tied = Annotation.objects.filter(annotator=world.ken)
    for answer in tied:
        payload = answer.payload | {"choice": "both_bad", "chosen": None}
        Annotation.objects.filter(pk=answer.pk).update(payload=payload)
    plain, _ = frozen(capsys)
    same, out = frozen(capsys, "--without", "person:Ken")
    assert same.pk == plain.pk
    assert "excluded: Ken, in this dataset: 3 answers" in out
    assert f"the same rows were frozen before, from another selection: the manifest of dataset {plain.pk}" in out
    assert "excluded" not in same.manifest


# ---- minimum agreement ----


def test_rows_need_the_agreement_that_was_asked_for(world, capsys):
    exclude_answer(annotation=world.of(world.ken, 1), reason="Noise", actor=None)
    for person in (world.ken, world.robot):
        exclude_answer(annotation=world.of(person, 2), reason="Noise", actor=None)
    # Task 1: two of two; task 2: Hana alone; task 3: two of three.
    version, out = frozen(capsys, "--min-agreement", "0.67")
    assert version.train_rows == 3
    assert "kept: rows of one annotator, whatever --min-agreement: 1\n" in out
    version, out = frozen(capsys, "--min-agreement", "0.68")
    assert version.train_rows == 2
    assert "left out: rows on which annotators agree less than was asked for: 1\n" in out
    assert version.selection["min_agreement"] == 0.68
    assert version.manifest["rows"]["single_votes"] == 1
    for wrong in ("0", "1.01", "nan"):
        with pytest.raises(CommandError, match="min_agreement must be above 0"):
            call_command("freeze_dataset", "hotel", "--for", "dpo", "--min-agreement", wrong)


def test_the_page_freezes_what_the_command_does(world, sign_in, capsys):
    by_command, _ = frozen(capsys, "--without", "simulated", "--without", "person:Hana", "--min-agreement", "0.5")
    client, address = sign_in(world.mio), reverse("datasets", args=["hotel"])
    page = client.get(address).text
    assert "Minimum agreement" in page
    data = {
        "purpose": "dpo",
        "format": "conversational",
        "score_difference": "0.2",
        "score_good": "0.75",
        "score_bad": "0.35",
    }
    narrowed = {"without_simulated": "on", "without_people": [str(world.hana.pk)], "min_agreement": "0.5"}
    done = client.post(address, data | narrowed, follow=True)
    assert done.redirect_chain[-1][0] == reverse("dataset", args=[by_command.pk])
    assert "Minimum agreement" in done.text
    assert "Hana, in this dataset" in done.text
    wrong = client.post(address, data | {"without_answers": "12, x"})
    assert wrong.status_code == 422
    assert "Give numbers of answers, separated by commas." in wrong.text
    wrong = client.post(address, data | {"without_answers": "999999999"})
    assert "has no answer 999999999" in wrong.text
    assert client.post(address, data | {"without_people": [str(world.mio.pk)]}).status_code == 422
