"""What was frozen before an option existed is frozen the same without it: sha256 and manifest, to the letter."""

import json
from pathlib import Path

import pytest

from annotation.datasets.freeze import freeze_dataset
from annotation.datasets.rows import ExportOptions
from annotation.models import Annotation, Assignment, Batch, Kind, Task
from tests.factories import AspectFactory, CandidateFactory, ProjectFactory, PromptFactory, UserFactory

pytestmark = pytest.mark.django_db
BASE = 7_000_000  # ids are part of a row: these are the test's own


def answer(batch: Batch, prompt_id: int, person, pk: int, payload: dict) -> None:
    task, _ = Task.objects.get_or_create(
        pk=batch.pk * 10 + prompt_id % 10, defaults={"batch": batch, "prompt_id": prompt_id, "position": prompt_id}
    )
    slot = Assignment.objects.create(
        task=task, batch=batch, slot=pk % 10, position=task.position, state="done", annotator=person
    )
    Annotation.objects.create(pk=pk, assignment=slot, task=task, annotator=person, kind=batch.kind, payload=payload)


@pytest.fixture
def project():
    project = ProjectFactory(slug="hotel", persona="You are the concierge.", held_out_share=0)
    AspectFactory(project=project, key="meaning")
    people = [UserFactory(pk=BASE + n) for n in range(3)]
    for n in range(4):
        prompt = PromptFactory(pk=BASE + n, project=project, text=f"Question {n}?", held_out=n == 3)
        for m in range(2):
            CandidateFactory(pk=BASE + 10 * n + m, prompt=prompt, text=f"Answer {n} {m}.", origin=f"import:{m}")
    batches = {
        kind: Batch.objects.create(pk=BASE + at, project=project, kind=kind, name=kind, overlap=3, seed=1)
        for at, kind in enumerate((Kind.CHOOSING, Kind.SCORING, Kind.POSTEDITING))
    }
    for n in range(4):
        pair = [BASE + 10 * n, BASE + 10 * n + 1]
        for m, person in enumerate(people[: 3 if n else 1]):
            chosen = pair[0] if m < 2 else pair[1]
            payload = {"choice": "one", "chosen": chosen, "shown": pair, "strength": 1 + m % 2, "reasons": []}
            answer(batches[Kind.CHOOSING], BASE + n, person, BASE + 100 + 10 * n + m, payload)
            scores = {str(pair[0]): {"meaning": 5 - m % 2}, str(pair[1]): {"meaning": 1 + m}}
            answer(batches[Kind.SCORING], BASE + n, person, BASE + 200 + 10 * n + m, {"scores": scores, "comment": ""})
        edited = {"candidate": pair[1], "text": f"Edited {n}, by hand.", "unchanged": False}
        answer(batches[Kind.POSTEDITING], BASE + n, people[n % 3], BASE + 300 + n, edited)
    return project


# As the version before exclusions wrote them.
BEFORE = json.loads(Path(__file__).with_name("manifests_before.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("purpose", "options"),
    [("sft", {"chosen_as_sft": True}), ("dpo", {"keep_ties": True}), ("kto", {"split_pairs": True})],
)
def test_without_new_options_hash_and_manifest_stay(project, purpose, options):
    version = freeze_dataset(project=project, purpose=purpose, actor=None, options=ExportOptions(**options))
    manifest = dict(version.manifest)
    for name in ("project", "code_version"):
        del manifest[name]
    for name in ("train.parquet", "held_out.parquet"):  # their bytes depend on the version of Arrow
        del manifest["files"][name]
    assert manifest == BEFORE[purpose]
    assert version.selection == BEFORE[purpose]["selection"]
