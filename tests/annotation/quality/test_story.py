"""A careful, a quick and a random annotator, and truth that only the test knows: who is who is found, labels get better
than votes, gold makes them honest, decisions change the dataset, and the gate opens."""

import json
from random import Random

import pytest
from django.test import Client
from django.urls import reverse

from annotation.answers.submission import submit
from annotation.checks.gold import enter_gold
from annotation.checks.shares import Shares, open_checked_batch
from annotation.datasets.freeze import freeze_dataset
from annotation.kinds.votes import ExportOptions
from annotation.members.accounts import BACKEND
from annotation.models import Analysis, Batch, Project, Prompt, Role, Task, TaskCheck
from annotation.quality.run import assess, pair_labels
from annotation.queue.batches import open_batch
from annotation.queue.claims import claim_next
from annotation.reviewing.adjudication import adjudicate
from tests.annotation.helpers import hotel
from tests.factories import CandidateFactory, PromptFactory, join

pytestmark = pytest.mark.django_db
TASKS, GOLD = 170, 50
RIGHT = {"Careful": 0.95, "Quick": 0.8, "Random": 0.5}


class Story:
    """170 pairs and 50 hidden gold pairs, each answered by all three; which text is better is drawn."""

    def __init__(self):
        self.random = Random(20261129)
        self.project = hotel(prompts=TASKS, slug="hotel", held_out_share=0)
        self.manager = join(self.project, Role.MANAGER)
        self.reviewer = join(self.project, Role.REVIEWER)
        prompts = list(self.project.prompts.values_list("pk", flat=True))
        self.better = {key: self.random.randrange(2) for key in prompts}  # the place, by candidate id
        self.add_gold()
        self.batch = open_checked_batch(
            project=self.project,
            kind="choosing",
            name="Replies",
            actor=self.manager,
            seed=5,
            overlap=3,
            prompts=Prompt.objects.filter(pk__in=prompts),
            shares=Shares(gold=30),
        )
        self.people = {name: join(self.project, Role.ANNOTATOR, name=name) for name in RIGHT}
        for name, person in self.people.items():
            while held := claim_next(batch=self.batch, annotator=person):
                is_right = self.random.random() < RIGHT[name]
                submit(assignment=held, payload=self.answer(held.task, is_right=is_right), annotator=person)

    def add_gold(self):
        prompts = [PromptFactory(project=self.project, text=f"Is breakfast in rate {n}?") for n in range(GOLD)]
        for prompt in prompts:
            CandidateFactory(prompt=prompt, text=f"朝食{prompt.pk}は料金に含まれていますか。", origin="import:a")
            CandidateFactory(prompt=prompt, text=f"朝ごはん{prompt.pk}込みなの。", origin="import:b")
            self.better[prompt.pk] = self.random.randrange(2)
        rows = Prompt.objects.filter(pk__in=[prompt.pk for prompt in prompts])
        options = {"kind": "choosing", "name": "Earlier", "actor": self.manager, "overlap": 1}
        source = open_batch(project=self.project, prompts=rows, **options)
        Batch.objects.filter(pk=source.pk).update(status=Batch.Status.CLOSED)
        for task in source.tasks.all():
            enter_gold(task=task, expected=self.answer(task), explanation="", actor=self.manager)

    def answer(self, task, *, is_right=True):
        shown = task.candidate_ids
        place = self.better[task.prompt_id] if is_right else 1 - self.better[task.prompt_id]
        return {"choice": "one", "chosen": sorted(shown)[place], "shown": shown, "strength": 1, "reasons": []}

    def accuracy(self, rows):
        """How many rows of a dataset prefer the better text."""
        hits = 0
        for row in rows:
            best = sorted(row["candidate_ids"])[self.better[row["prompt_id"]]]
            text = Prompt.objects.get(pk=row["prompt_id"]).candidates.get(pk=best).text
            hits += row["chosen"][0]["content"] == text
        return hits / len(rows)


def test_labels_one_can_trust(settings, tmp_path):
    settings.VAR, settings.DATASETS_DIR = tmp_path, tmp_path / "datasets"
    story = Story()
    project = story.project
    assert TaskCheck.objects.filter(batch=story.batch, what="gold").count() == GOLD

    assess(project)
    stored = Analysis.objects.get(project=project, name="quality").result
    names = {person.pk: name for name, person in story.people.items()}
    people = {names[row["person"]]: row for row in stored["people"] if row["person"] in names}
    for figure in ("accuracy", "right"):
        low, high = people["Careful"][figure]["low"], people["Random"][figure]["high"]
        assert high < low, f"{figure}: the intervals of the random and the careful one do not meet"
    assert people["Random"]["right"]["low"] < 0.5 < people["Random"]["right"]["high"], "no better than chance"
    assert people["Random"]["flips"]["value"] == pytest.approx(1 - people["Random"]["right"]["value"])
    assert stored["answers"] == 3 * TASKS, "gold is no label"
    assert stored["left_out"]["checks"] == 3 * GOLD
    page = open_page(story.manager, reverse("quality", args=["hotel"]))
    for name in RIGHT:
        assert name in page
    assert "Calibration error after" in page

    # By votes two who err outvote one who does not; by gold the model knows who errs.
    versions = {name: freeze(project, name) for name in ("votes", "posterior", "calibrated")}
    rows = {name: rows_of(version, settings) for name, version in versions.items()}
    correct = {name: story.accuracy(of) for name, of in rows.items()}
    assert correct["posterior"] > correct["votes"] + 0.02
    assert correct["calibrated"] == pytest.approx(correct["posterior"], abs=0.01)
    # Calibrated probabilities are right as often as they say, and errors are seldom certain.
    calibration = versions["calibrated"].manifest["labels"]["calibration"]
    assert calibration["gold"] == GOLD
    assert calibration["after"]["low"] <= 0.06
    # Of fifty gold items a share of 0.95 is known to about six points, and so is what they calibrate.
    said = sum(row["probability"] for row in rows["calibrated"]) / TASKS
    assert said == pytest.approx(correct["calibrated"], abs=0.1)
    assert {"probability_votes", "probability_posterior", "probability_calibrated"} <= set(rows["calibrated"][0])
    labels = pair_labels(project).labels
    assert labels.calibrated is not None
    assert labels.gold == GOLD

    # Below the floor: what it names is decided by somebody who knows, and the gate opens.
    Project.objects.filter(pk=project.pk).update(agreement_floor=0.6)
    project.refresh_from_db()
    below = freeze(project, "votes", keep_ties=True)
    gate = (below.asked_manifest or below.manifest)["gate"]
    assert gate["is_below"]
    assert gate["gold"]["answers"] == 3 * GOLD
    for task in Task.objects.filter(pk__in=gate["tasks"]):
        adjudicate(task=task, adjudicator=story.reviewer, payload=story.answer(task), cause="error")
    after = freeze(project, "votes")
    assert after.sha256 != versions["votes"].sha256
    assert not after.manifest["gate"]["is_below"]
    assert story.accuracy(rows_of(after, settings)) > correct["votes"]


def freeze(project, labels, **options):
    options = ExportOptions(labels=labels, **options)
    return freeze_dataset(project=project, purpose="dpo", actor=None, options=options)


def rows_of(version, settings):
    path = settings.VAR / version.directory / "train.jsonl"
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def open_page(person, address):
    client = Client()
    client.force_login(person, backend=BACKEND)
    response = client.get(address)
    assert response.status_code == 200
    return " ".join(response.content.decode().split())
