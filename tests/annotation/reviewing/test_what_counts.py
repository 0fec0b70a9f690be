"""Datasets, results and exports take what reviewers accepted or corrected, and say what waits."""

import json

import pytest
from django.core.management import call_command
from django.urls import reverse

from annotation.core.errors import InvalidInput
from annotation.core.reviews import waiting_by_batch
from annotation.datasets.freeze import freeze_dataset
from annotation.models import Kind, Project, Role
from annotation.queue.batches import open_batch
from annotation.reviewing.verdicts import accept, correct, leave_out, send_back
from tests.annotation.helpers import batch_of, hotel
from tests.annotation.reviewing.test_review import write
from tests.factories import join

pytestmark = pytest.mark.django_db


@pytest.fixture
def story(settings, tmp_path):
    settings.VAR, settings.DATASETS_DIR = tmp_path, tmp_path / "datasets"
    project = hotel(prompts=6, slug="hotel", held_out_share=0)
    batch = batch_of(project, Kind.WRITING, requires_review=True)
    kei, rin = join(project, Role.ANNOTATOR), join(project, Role.REVIEWER)
    answers = [write(batch, kei, f"answer {n}") for n in range(5)]
    return batch, answers, rin


def rows_of(version, settings):
    path = settings.VAR / version.directory / "train.jsonl"
    return sorted(json.loads(line)["completion"][0]["content"] for line in path.read_text("utf-8").splitlines())


def test_a_frozen_dataset_takes_accepted_and_corrected_answers_and_counts_the_others(story, settings, capsys, sign_in):
    batch, (one, two, three, four, five), rin = story
    before = {"reviewer": rin}
    with pytest.raises(InvalidInput, match="5 wait for review"):
        freeze_dataset(project=batch.project, purpose="sft", actor=None)
    accept(annotation=one, **before)
    correct(annotation=two, payload={"text": "better 1"}, note="Wrong", **before)
    leave_out(annotation=three, reason="Spam", **before)
    send_back(annotation=four, note="Again", **before)
    version = freeze_dataset(project=batch.project, purpose="sft", actor=None)
    assert rows_of(version, settings) == ["answer 0", "better 1"]
    # The one that was sent back is open for its author again: as any reopened answer, it is no label.
    assert version.manifest["review"] == {"accepted": 1, "corrected": 1, "waiting": 1, "sent_back": 0}
    assert version.manifest["excluded"]["annotations"] == 1
    assert version.manifest["annotations"]["count"] == 2
    assert waiting_by_batch(batch.project) == {batch.pk: 1}
    call_command("freeze_dataset", "hotel", "--for", "sft")
    output = capsys.readouterr().out
    assert "review: left out: waiting for review: 1 answer\n" in output
    assert "review: as corrected by a reviewer: 1 answer\n" in output
    client = sign_in(join(batch.project, Role.MANAGER))
    page = client.get(reverse("dataset", args=[version.pk])).content.decode()
    assert "1 left out: waiting for review" in " ".join(page.split())
    for name in ("datasets", "dashboard", "project"):
        assert reverse("review", args=["hotel"]) in client.get(reverse(name, args=["hotel"])).content.decode(), name
    assert five.is_current


def test_without_the_setting_all_count_and_datasets_without_reviews_are_what_they_were(story, settings):
    batch, answers, rin = story
    type(batch).objects.update(requires_review=False)
    plain = freeze_dataset(project=batch.project, purpose="sft", actor=None)
    assert "review" not in plain.manifest
    assert len(rows_of(plain, settings)) == 5
    accept(annotation=answers[0], reviewer=rin)
    again = freeze_dataset(project=batch.project, purpose="sft", actor=None)
    assert again.pk == plain.pk, "an accepted answer is the same answer"
    correct(annotation=answers[1], reviewer=rin, payload={"text": "better"}, note="Wrong")
    corrected = freeze_dataset(project=batch.project, purpose="sft", actor=None)
    assert corrected.sha256 != plain.sha256
    assert rows_of(plain, settings) == [f"answer {n}" for n in range(5)], "frozen is frozen"


def test_an_answer_that_was_sent_back_does_not_count_until_it_comes_again(story, settings):
    batch, answers, rin = story
    type(batch).objects.update(requires_review=False)
    from annotation.queue.claims import claim_next

    claim_next(batch=batch, annotator=answers[0].annotator)  # so that it is not opened at once
    send_back(annotation=answers[0], reviewer=rin, note="Again")
    version = freeze_dataset(project=batch.project, purpose="sft", actor=None)
    assert rows_of(version, settings) == [f"answer {n}" for n in range(1, 5)]
    assert version.manifest["review"]["sent_back"] == 1


def test_a_batch_is_opened_with_required_review_by_form_and_command(sign_in):
    project = hotel(prompts=2, slug="hotel")
    client = sign_in(join(project, Role.MANAGER))
    form = {"name": "First", "kind": "writing", "overlap": 1, "which": "all", "priority": 0, "requires_review": "on"}
    assert client.post(reverse("batch_new", args=["hotel"]), form | {"accept_missing": 9}).status_code == 302
    call_command("open_batch", "hotel", "writing", "--which", "all", "--requires-review")
    assert [batch.requires_review for batch in project.batches.all()] == [True, True]
    assert open_batch(project=project, kind="writing", name="Plain", actor=None, prompts=None).requires_review is False
    assert Project.objects.get().review_share == 0
