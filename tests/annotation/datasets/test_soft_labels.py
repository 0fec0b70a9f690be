"""`freeze_dataset --labels`: a model of who errs how, beside the votes; calibrated only where gold carries it."""

import json
from random import Random

import pyarrow.parquet as pq
import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from annotation.answers.submission import submit
from annotation.core.errors import InvalidInput
from annotation.datasets.beliefs import read_beliefs
from annotation.datasets.freeze import freeze_dataset
from annotation.datasets.labels import Selection
from annotation.kinds.votes import ExportOptions
from annotation.members.accounts import BACKEND
from annotation.models import Adjudication, Annotation, Kind, Role
from annotation.queue.claims import claim_next
from annotation.reviewing.adjudication import adjudicate
from tests.annotation.helpers import batch_of, hotel
from tests.factories import join

pytestmark = pytest.mark.django_db
PROMPTS = 24


class Crowd:
    """Two who are right in nine of ten tasks and one who is wrong in two of three, of 24 tasks whose first candidate is
    the better one."""

    def __init__(self):
        self.project = hotel(prompts=PROMPTS, slug="hotel", held_out_share=0)
        self.batch = batch_of(self.project, Kind.CHOOSING, overlap=3)
        self.people = [join(self.project, Role.ANNOTATOR) for _ in range(3)]
        random = Random(5)
        for person, right in zip(self.people, (0.9, 0.9, 0.35), strict=True):
            for _ in range(PROMPTS):
                held = claim_next(batch=self.batch, annotator=person)
                better, worse = sorted(held.task.candidate_ids)
                shown = held.task.candidate_ids
                payload = {"choice": "one", "shown": shown, "strength": 1, "reasons": []}
                payload["chosen"] = better if random.random() < right else worse
                submit(assignment=held, payload=payload, annotator=person)


@pytest.fixture
def crowd(settings, tmp_path):
    settings.VAR, settings.DATASETS_DIR = tmp_path, tmp_path / "datasets"
    return Crowd()


def freeze(crowd, labels="votes", **options):
    return freeze_dataset(
        project=crowd.project, purpose="dpo", actor=None, options=ExportOptions(labels=labels, **options)
    )


def rows_of(version, settings):
    path = settings.VAR / version.directory / "train.jsonl"
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_rows_have_votes_and_posterior_side_by_side_and_the_probability_is_the_one_asked_for(crowd, settings):
    plain, version = freeze(crowd), freeze(crowd, "posterior")
    assert "labels" not in plain.manifest
    assert "labels" not in plain.manifest["selection"]
    assert "probability_votes" not in rows_of(plain, settings)[0]
    rows = rows_of(version, settings)
    votes = {row["prompt_id"]: row["probability"] for row in rows_of(plain, settings)}
    for row in rows:
        assert row["probability"] == row["probability_posterior"] >= 0.5
        assert row["probability_calibrated"] is None
        share = votes[row["prompt_id"]]
        assert row["probability_votes"] in (pytest.approx(share, abs=2e-6), pytest.approx(1 - share, abs=2e-6))
    # Two careful people outweigh one who is mostly wrong.
    two_of_three = [row for row in rows if row["probability_votes"] == pytest.approx(2 / 3, abs=1e-5)]
    assert two_of_three
    assert sum(row["probability"] > 0.8 for row in two_of_three) > len(two_of_three) / 2
    facts = version.manifest["labels"]
    assert (facts["are"], facts["pairs"], facts["by_votes"], facts["annotators"]) == ("posterior", PROMPTS, 0, 3)
    assert (facts["converged"], facts["gold"], facts["calibration"]) == (True, 0, None)
    assert facts["answers"] == 3 * PROMPTS
    table = pq.read_table(settings.VAR / version.directory / "train.parquet")
    assert table.column("probability_posterior").to_pylist() == [row["probability_posterior"] for row in rows]
    assert freeze(crowd, "posterior").pk == version.pk, "the same answers give the same version"
    assert freeze(crowd).pk == plain.pk


def test_calibrated_labels_are_refused_without_gold_at_every_door(crowd, settings):
    manager = join(crowd.project, Role.MANAGER)
    with pytest.raises(CommandError, match="Only 0 gold items have answers: calibration needs at least 50"):
        call_command("freeze_dataset", "hotel", "--for", "dpo", "--labels", "calibrated")
    client = Client()
    client.force_login(manager, backend=BACKEND)
    form = {"purpose": "dpo", "format": "conversational", "labels": "calibrated"}
    form |= {"score_difference": "0.2", "score_good": "0.75", "score_bad": "0.35"}
    page = client.post(reverse("datasets", args=["hotel"]), form)
    assert page.status_code == 422
    assert "calibration needs at least 50" in page.content.decode()
    options = ExportOptions(labels="posterior")
    for purpose in ("sft", "kto"):
        with pytest.raises(InvalidInput, match="--labels posterior is for DPO"):
            freeze_dataset(project=crowd.project, purpose=purpose, actor=None, options=options)
    with pytest.raises(InvalidInput, match="must be one of votes, posterior, calibrated"):
        ExportOptions(labels="gold")
    page = client.post(reverse("datasets", args=["hotel"]), {**form, "labels": "posterior"}, follow=True)
    assert "no calibration: 0 gold items have answers, 50 are needed" in page.content.decode()


def test_decided_tasks_and_other_kinds_keep_their_votes(crowd, settings):
    reviewer = join(crowd.project, Role.REVIEWER)
    split = [
        task
        for task in crowd.batch.tasks.all()
        if len({row["chosen"] for row in Annotation.objects.filter(task=task).values_list("payload", flat=True)}) == 2
    ]
    minority = Annotation.objects.filter(task=split[0]).order_by("pk")
    adjudicate(task=split[0], adjudicator=reviewer, chosen=minority[2].pk, cause="error")
    adjudicate(task=split[1], adjudicator=reviewer, cause="style")
    version = freeze(crowd, "posterior")
    by_prompt = {row["prompt_id"]: row for row in rows_of(version, settings)}
    decided, divided = (by_prompt[task.prompt_id] for task in split[:2])
    assert (decided["probability"], decided["probability_posterior"]) == (1.0, None)
    assert (divided["probability"], divided["probability_posterior"]) == (pytest.approx(2 / 3, abs=1e-5), None)
    assert version.manifest["labels"]["by_votes"] == Adjudication.objects.count() == 2
    assert version.manifest["labels"]["pairs"] == PROMPTS - 2


def test_labels_that_change_between_the_two_readings_are_read_again(crowd, settings, monkeypatch):
    readings = []

    def read(project, selection):
        found = read_beliefs(project, selection)
        readings.append(found.fingerprint)
        if len(readings) == 1:
            answer = Annotation.objects.first()
            Annotation.objects.filter(pk=answer.pk).update(payload={**answer.payload, "strength": 2})
        return found

    monkeypatch.setattr("annotation.datasets.freeze.read_beliefs", read)
    version = freeze(crowd, "posterior")
    assert len(set(readings)) == 2
    assert read_beliefs(crowd.project, Selection(purpose="dpo", format="conversational")).fingerprint == readings[1]
    assert version.train_rows == PROMPTS
