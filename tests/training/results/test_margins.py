"""Margins of a checkpoint: what is scored, and what is stored of it."""

import json

import pyarrow.parquet as pq
import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from annotation.consent import registry
from annotation.core.errors import InvalidInput
from annotation.models import Event, PairMargin, Prompt
from tests.factories import CandidateFactory
from training.models import Checkpoint, MarginScoring, Run
from training.results.margins import create_margin_scoring
from training.supervision import launch

pytestmark = pytest.mark.django_db


@pytest.fixture
def checkpoint(project, freeze, model_shell):
    dataset = freeze("dpo")
    config = {"beta": 0.5, "max_length": 64, "model": {"base": str(model_shell), "adapters": []}}
    run = Run.objects.create(
        project=project, trainer=Run.Trainer.DPO, dataset=dataset, base_model=str(model_shell), config=config
    )
    form = Checkpoint.Form.FULL
    return Checkpoint.objects.create(
        project=project, run=run, dataset=dataset, form=form, path="runs/1/model", sha256="0" * 64
    )


@pytest.fixture
def scoring(checkpoint, prompts):
    """Of a prompt with three texts and one with two; the others have one, or two that are the same."""
    for prompt, texts in zip(prompts, (("a", "b", "c"), ("d", "e"), ("f",), ("g", "g"), (), ()), strict=True):
        for number, text in enumerate(texts):
            CandidateFactory(prompt=prompt, text=text, origin=f"import:{number}")
    return create_margin_scoring(checkpoint=checkpoint, prompts=Prompt.objects.all(), actor=None)


def rows_of(scoring):
    return pq.read_table(scoring.directory.dataset / "held_out.parquet").to_pylist()


def finish(scoring, logps):
    """What the engine leaves: the log-probability of each text by the checkpoint; the reference gives each -10."""
    with scoring.directory.scores_path.open("w") as file:
        for number, row in enumerate(rows_of(scoring)):
            line = {"row": number, "reference_chosen_logp": -10.0, "reference_rejected_logp": -10.0}
            for side in ("chosen", "rejected"):
                line[f"model_{side}_logp"] = logps[row[side][0]["content"]]
            file.write(json.dumps(line) + "\n")
    scoring.directory.write_result(status="succeeded", error="", metrics={}, tokens=9)
    MarginScoring.objects.filter(pk=scoring.pk).update(status="running", pid=1)
    launch.watch_engine_jobs()
    scoring.refresh_from_db()


def test_each_text_is_scored_and_the_margin_of_each_two_is_stored(scoring, checkpoint, prompts):
    assert scoring.prompts_count == 2
    assert [(row["chosen"][0]["content"], row["rejected"][0]["content"]) for row in rows_of(scoring)] == [
        ("a", "b"),
        ("c", "a"),
        ("d", "e"),
    ]
    config = scoring.config
    assert (config["program"], config["beta"], config["max_length"]) == ("evaluate", 0.5, 64)
    assert (config["sample_outputs"], config["metrics_limit"], config["dataset_sha256"]) == (0, 0, "")
    earlier = prompts[5]
    PairMargin.objects.create(
        project=earlier.project,
        prompt=earlier,
        one=1,
        other=2,
        margin=9,
        origin="checkpoint:0",
        computed_at=timezone.now(),
    )
    finish(scoring, {"a": -6.0, "b": -9.0, "c": -10.0, "d": -12.0, "e": -4.0})
    assert (scoring.status, scoring.error, scoring.margins_count) == ("succeeded", "", 4)
    stored = PairMargin.objects.order_by("prompt", "one", "other")
    texts = {candidate.pk: candidate.text for prompt in prompts for candidate in prompt.candidates.all()}
    assert [(texts[row.one] + texts[row.other], row.margin) for row in stored] == [
        ("ab", 1.5),
        ("ac", 2.0),
        ("bc", 0.5),
        ("de", -4.0),
    ]
    assert set(stored.values_list("origin", flat=True)) == {checkpoint.origin}
    assert Event.objects.get(verb="margins.replaced").after["margins"] == 4
    assert not scoring.directory.dataset.exists(), "the texts are gone, the numbers stay"


def test_a_number_that_is_none_fails_the_job_and_keeps_the_earlier_margins(scoring):
    finish(scoring, dict.fromkeys("abcde", float("nan")))
    assert scoring.status == "failed"
    assert "not finite" in scoring.error
    assert not PairMargin.objects.exists()


def test_what_cannot_be_scored_is_refused(checkpoint, prompts, project):
    with pytest.raises(InvalidInput, match="two different texts"):
        create_margin_scoring(checkpoint=checkpoint, prompts=Prompt.objects.all(), actor=None)
    Run.objects.filter(pk=checkpoint.run_id).update(base_model="")
    checkpoint.run.refresh_from_db()
    with pytest.raises(InvalidInput, match="started from no model"):
        create_margin_scoring(checkpoint=checkpoint, prompts=Prompt.objects.all(), actor=None)
    Checkpoint.objects.all().delete()
    with pytest.raises(CommandError, match="has no checkpoint"):
        call_command("compute_margins", project.slug)
    assert not MarginScoring.objects.exists()


def test_erasing_a_person_removes_texts_that_wait_to_be_scored(scoring, project):
    """Whose texts they are is not known there: all of them go, and the scoring is cancelled."""
    assert rows_of(scoring)
    assert registry.remove_copies(project, [], again=False) >= 1
    assert not scoring.directory.dataset.exists()
    scoring.refresh_from_db()
    assert scoring.status == "cancelled"
    assert registry.remove_copies(project, [], again=True) == 0
