"""Frozen datasets: from finished annotations to files with an address, through the command."""

import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from annotation.core.errors import InvalidInput
from annotation.datasets.freeze import freeze_dataset
from annotation.datasets.held_out import Leak
from annotation.datasets.label_balance import balance_of
from annotation.models import Annotation, Assignment, Batch, Candidate, DatasetVersion, Event, Kind, Prompt, Role, Task
from tests.factories import CandidateFactory, ProjectFactory, PromptFactory, UserFactory, join

pytestmark = pytest.mark.django_db


class Story:
    """A project whose people have answered; ids are the rows', texts are short."""

    def __init__(self, **fields):
        self.project = ProjectFactory(slug="hotel", persona="You are the concierge of a small hotel.", **fields)
        self.people = [UserFactory() for _ in range(3)]
        self.batches: dict[str, Batch] = {}

    def prompt(self, text: str, *candidates: str, **fields) -> tuple[Prompt, list[Candidate]]:
        prompt = PromptFactory(project=self.project, text=text, **fields)
        return prompt, [CandidateFactory(prompt=prompt, text=t, origin=f"import:{n}") for n, t in enumerate(candidates)]

    def answer(self, prompt: Prompt, kind: str, payload: dict, person: int = 0, state: str = "done") -> Annotation:
        if kind not in self.batches:
            self.batches[kind] = Batch.objects.create(project=self.project, kind=kind, name=kind, overlap=3, seed=7)
        batch = self.batches[kind]
        task, _ = Task.objects.get_or_create(batch=batch, prompt=prompt, defaults={"position": prompt.pk})
        assignment = Assignment.objects.create(
            task=task,
            batch=batch,
            slot=person,
            position=task.position,
            state=state,
            annotator=self.people[person],
            leased_until=timezone.now(),
        )
        return Annotation.objects.create(
            assignment=assignment, task=task, annotator=self.people[person], kind=kind, payload=payload
        )

    def choose(self, prompt, candidates, chosen, person=0, choice="one", strength=None):
        shown = [candidate.pk for candidate in candidates]
        payload = {
            "choice": choice,
            "chosen": chosen and chosen.pk,
            "shown": shown,
            "strength": strength,
            "reasons": [],
        }
        return self.answer(prompt, Kind.CHOOSING, payload, person)


@pytest.fixture
def story():
    return Story()


@pytest.fixture
def told(story):
    """Two choosing prompts (one held out), one post-edit, one unfinished answer, one superseded answer."""
    train, candidates = story.prompt("Is breakfast included?", "Yes, madam, it is.", "Yep.", source_document="mail 1")
    for person in range(3):
        story.choose(train, candidates, candidates[0] if person else candidates[1], person, strength=2)
    held, pair = story.prompt("Is there a pool?", "There is, sir.", "Sure.", source_document="mail 2", held_out=True)
    story.choose(held, pair, pair[0])
    edited, (draft,) = story.prompt("May I check in early?", "Ok, from ten.", reference="From ten, with pleasure.")
    payload = {"candidate": draft.pk, "text": "Certainly, from ten o'clock.", "unchanged": False}
    old = story.answer(edited, Kind.POSTEDITING, {**payload, "text": "An earlier version."})
    Annotation.objects.filter(pk=old.pk).update(is_current=False)
    Annotation.objects.create(
        assignment=old.assignment, task=old.task, annotator=old.annotator, kind=old.kind, version=2, payload=payload
    )
    story.answer(edited, Kind.WRITING, {"text": "Never finished."}, person=1, state="held")
    return story


def frozen(capsys, *arguments: str) -> tuple[DatasetVersion, Path]:
    call_command("freeze_dataset", "hotel", *arguments)
    directory, line = capsys.readouterr().out.strip().splitlines()[-2:]
    found = re.fullmatch(r"dataset (\d+): [\d,]+ train, [\d,]+ held-out rows?, sha256 ([0-9a-f]{64})", line)
    assert found, line
    version = DatasetVersion.objects.get(pk=found[1])
    assert version.sha256 == found[2] == Path(directory).name
    return version, Path(directory)


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_pairs_with_probability_split_by_held_out(told, capsys):
    version, directory = frozen(capsys, "--for", "dpo")
    rows = lines(directory / "train.jsonl")
    assert len(rows) == version.train_rows == 2
    persona = {"role": "system", "content": "You are the concierge of a small hotel."}
    by_text = {row["prompt"][-1]["content"]: row for row in rows}
    breakfast = by_text["Is breakfast included?"]
    assert list(breakfast)[:3] == ["prompt", "chosen", "rejected"]
    assert breakfast["prompt"][0] == persona
    assert breakfast["chosen"] == [{"role": "assistant", "content": "Yes, madam, it is."}]
    assert breakfast["rejected"] == [{"role": "assistant", "content": "Yep."}]
    assert breakfast["probability"] == pytest.approx(2 / 3, abs=1e-6)
    assert breakfast["strength"] == pytest.approx(1 / 3, abs=1e-6)
    assert (breakfast["tie"], breakfast["votes"], breakfast["kinds"]) == (0, 3, ["choosing"])
    assert len(breakfast["annotation_ids"]) == 3
    assert len(breakfast["candidate_ids"]) == 2
    early = by_text["May I check in early?"]
    assert early["chosen"][0]["content"] == "Certainly, from ten o'clock."
    assert early["rejected"][0]["content"] == "Ok, from ten."
    assert early["reference"] == "From ten, with pleasure."
    (held,) = lines(directory / "held_out.jsonl")
    assert held["source_document"] == "mail 2"
    for name in ("train", "held_out"):
        assert pq.read_table(directory / f"{name}.parquet").to_pylist() == lines(directory / f"{name}.jsonl")


def test_the_manifest_says_where_it_comes_from(told, capsys):
    version, directory = frozen(capsys, "--for", "dpo")
    manifest = json.loads((directory / "manifest.json").read_text())
    assert manifest == version.manifest
    assert manifest["sha256"] == version.sha256
    assert manifest["rows"] == {"train": 2, "held_out": 1, "by_kind": {"choosing": 2, "postediting": 1}}
    assert manifest["annotations"] == {
        "count": 5,
        "by_kind": {"choosing": 4, "postediting": 1},
        "by_batch": {str(told.batches["choosing"].pk): 4, str(told.batches["postediting"].pk): 1},
        "annotators": 3,
        "file": "annotation_ids.txt",
    }
    assert manifest["agreement"] == {"choosing": {"observed_pairwise": 0.3333, "pairs": 3}}
    for name, facts in manifest["files"].items():
        content = (directory / name).read_bytes()
        assert facts == {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    ids = [int(line) for line in (directory / "annotation_ids.txt").read_text().split()]
    current = Annotation.objects.filter(is_current=True, assignment__state="done")
    assert ids == sorted(current.values_list("pk", flat=True))
    event = Event.objects.get(verb="dataset.frozen")
    assert (event.object_id, event.after["train"]) == (version.pk, 2)


def test_same_selection_same_version(told, capsys):
    first, directory = frozen(capsys, "--for", "dpo")
    again, _ = frozen(capsys, "--for", "dpo")
    batch = told.batches[Kind.CHOOSING]
    other, _ = frozen(capsys, "--for", "dpo", "--batch", str(batch.pk))
    same_rows, _ = frozen(capsys, "--for", "dpo", "--kind", "choosing")
    assert again == first
    assert other != first
    assert same_rows == other
    standard, _ = frozen(capsys, "--for", "dpo", "--format", "standard")
    assert standard.sha256 != first.sha256
    (directory / "train.parquet").unlink()
    frozen(capsys, "--for", "dpo")
    assert (directory / "train.parquet").is_file(), "a version whose files were lost is written again"
    assert sorted(path.name for path in directory.parent.iterdir()) == sorted(
        {version.sha256 for version in DatasetVersion.objects.all()}
    )


def test_sft_rows_standard(told, capsys):
    _, directory = frozen(capsys, "--for", "sft", "--format", "standard", "--chosen-as-sft")
    rows = lines(directory / "train.jsonl")
    assert [(row["prompt"], row["completion"]) for row in rows] == [
        ("You are the concierge of a small hotel.\n\nIs breakfast included?\n", "Yes, madam, it is."),
        ("You are the concierge of a small hotel.\n\nMay I check in early?\n", "Certainly, from ten o'clock."),
    ]
    assert list(rows[0])[:2] == ["prompt", "completion"]


def test_kto_rows(story, capsys):
    prompt, (one, two) = story.prompt("Is breakfast included?", "No.", "Nope.")
    story.choose(prompt, [one, two], None, choice="both_bad")
    other, (kept,) = story.prompt("Is there a lift?", "There is, madam.")
    story.answer(other, Kind.POSTEDITING, {"candidate": kept.pk, "text": kept.text, "unchanged": True})
    _, directory = frozen(capsys, "--for", "kto", "--format", "standard")
    rows = lines(directory / "train.jsonl")
    assert [(row["completion"], row["label"]) for row in rows] == [
        ("No.", False),
        ("Nope.", False),
        ("There is, madam.", True),
    ]
    assert list(rows[0])[:3] == ["prompt", "completion", "label"]


def test_a_kto_dataset_says_how_many_rows_are_desirable_and_when_nothing_can_be_trained(told, capsys, sign_in):
    """From pairs alone nothing is undesirable or desirable until they are split."""
    call_command("freeze_dataset", "hotel", "--for", "kto", "--split-pairs")
    assert "training rows: 2 desirable, 2 undesirable" in capsys.readouterr().out
    both = DatasetVersion.objects.get()
    assert both.manifest["rows"]["labels"] == {
        "held_out": {"desirable": 1, "undesirable": 1},
        "train": {"desirable": 2, "undesirable": 2},
    }
    prompt, (one, two) = told.prompt("Is there a lift?", "No.", "Nope.")
    told.choose(prompt, [one, two], None, choice="both_bad")
    call_command("freeze_dataset", "hotel", "--for", "kto")
    said = capsys.readouterr()
    assert "training rows: 0 desirable, 2 undesirable" in said.out
    assert "None of the rows is desirable, and KTO learns from both kinds." in said.err
    bad = DatasetVersion.objects.latest("id")
    # Frozen before manifests said it: the file does.
    of_old = {key: value for key, value in bad.manifest["rows"].items() if key != "labels"}
    assert balance_of(DatasetVersion(**{**vars_of(bad), "manifest": {"rows": of_old}})) == (0, 2)

    client = sign_in(join(told.project, Role.MANAGER))
    page = " ".join(client.get(f"/datasets/{bad.pk}/").content.decode().split())
    assert "Nothing can be trained on this dataset." in page
    assert "0 desirable, 2 undesirable" in page
    assert "Nothing can be trained" not in client.get(f"/datasets/{both.pk}/").content.decode()
    assert "2 desirable, 2 undesirable" in client.get("/projects/hotel/datasets/").content.decode()
    refused = client.post(
        "/projects/hotel/datasets/",
        {"purpose": "kto", "format": "standard", "score_difference": ".2", "score_good": ".75", "score_bad": ".35"}
        | {"keep_ties": "on"},
    )
    assert refused.status_code == 422
    assert "Only for DPO: switch it off." in refused.content.decode()


def vars_of(version):
    return {field.attname: getattr(version, field.attname) for field in version._meta.concrete_fields}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--for", "kto"], "no kto row comes from the 5 selected annotations (4 choosing, 1 postediting)"),
        (["--for", "sft", "--kind", "choosing"], "with --chosen-as-sft"),
        (["--for", "sft", "--kind", "scoring"], "no finished annotation is selected: 1 assignments are not done"),
        (["--for", "dpo", "--batch", "999999"], "the project hotel has no batch 999999"),
        (["--for", "dpo", "--score-difference", "0"], "score_difference must be above 0"),
        (["--for", "sft", "--score-good", "0.2"], "score_bad (0.35) must be less than score_good (0.2)"),
    ],
)
def test_nothing_to_freeze_says_what_is_missing(told, settings, arguments, message):
    with pytest.raises(CommandError, match=re.escape(message)):
        call_command("freeze_dataset", "hotel", *arguments)
    assert not DatasetVersion.objects.exists()
    assert not list(Path(settings.DATASETS_DIR).glob("*")), "nothing stays behind"


def test_unknown_project_and_empty_project(story):
    with pytest.raises(CommandError, match=r"there is no project 'motel'\. Projects: hotel"):
        call_command("freeze_dataset", "motel", "--for", "sft")
    with pytest.raises(CommandError, match="the project hotel has no annotations yet"):
        call_command("freeze_dataset", "hotel", "--for", "sft")


def test_only_held_out_is_no_dataset(story):
    prompt, pair = story.prompt("Is there a pool?", "There is.", "Sure.", held_out=True)
    story.choose(prompt, pair, pair[0])
    with pytest.raises(InvalidInput, match="all 1 rows come from held-out prompts"):
        freeze_dataset(project=story.project, purpose="dpo", actor=None)


def test_a_leak_raises(told, settings):
    """The importer keeps a document together; force what it never does."""
    PromptFactory(project=told.project, source_document="mail 1", held_out=True)
    with pytest.raises(Leak, match="shares the source document 'mail 1' with a held-out prompt"):
        freeze_dataset(project=told.project, purpose="dpo", actor=None)
    assert not DatasetVersion.objects.exists()
    assert not list(Path(settings.DATASETS_DIR).glob("*"))


def test_a_held_out_prompt_is_never_trained_on(told):
    from annotation.datasets.held_out import HeldOutPrompts
    from annotation.datasets.rows import LabelledPrompt

    held = Prompt.objects.get(source_document="mail 2")
    row = LabelledPrompt(held.pk, [], "0" * 64, False, [], {}, source_document="mail 3")
    with pytest.raises(Leak, match="is held out itself"):
        HeldOutPrompts.of(told.project).check(row)


LIKE_HELD_OUT = [
    ("a blank at the end", "Is there a pool? ", "mail 7", "prompt"),
    ("another width", "Is there a pool？", "mail 7", "prompt"),
    ("the same text in another document", "Is there a pool?", "mail 7", "prompt"),
    ("a no-break space", "Is there\u00a0a pool?", "mail 7", "prompt"),
    ("the document's name", "Is there a sauna?", "mail  8", "document"),
    ("the document's name in full width", "Is there a sauna?", "ｍａｉｌ 8", "document"),
]


@pytest.mark.parametrize(
    ("text", "document", "what"), [row[1:] for row in LIKE_HELD_OUT], ids=[r[0] for r in LIKE_HELD_OUT]
)
def test_what_reads_like_a_held_out_prompt_is_left_out_and_counted(story, text, document, what):
    held, pair = story.prompt("Is there a pool?", "There is.", "Sure.", held_out=True, source_document="mail 8")
    story.choose(held, pair, pair[0])
    for words, where in [(text, document), ("Is breakfast included?", "mail 9")]:
        prompt, pair = story.prompt(words, "It is.", "Sure.", source_document=where)
        story.choose(prompt, pair, pair[0])
    version = freeze_dataset(project=story.project, purpose="dpo", actor=None)
    assert (version.train_rows, version.held_out_rows) == (1, 1)
    assert version.manifest["left_out"] == {f"rows whose {what} reads the same as a held-out one": 1}


@pytest.mark.parametrize(
    "statement", ["UPDATE annotation_datasetversion SET train_rows = 0", "DELETE FROM annotation_datasetversion"]
)
def test_the_database_refuses_change(told, capsys, statement):
    version, _ = frozen(capsys, "--for", "dpo")
    with pytest.raises(DatabaseError, match="a dataset version is frozen"), transaction.atomic():
        connection.cursor().execute(statement)
    version.refresh_from_db()
    assert version.train_rows == 2


def test_truncate_is_refused_outside_of_a_test_database(told, capsys):
    """The function lets only databases named test_… be emptied; ask it under another name."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT prosrc FROM pg_proc WHERE proname = 'annotation_refuse_dataset_change'")
        source = cursor.fetchone()[0].replace("current_database()", "'konomi'")
        cursor.execute(
            f"CREATE OR REPLACE FUNCTION annotation_refuse_dataset_change() RETURNS trigger LANGUAGE plpgsql AS $$"
            f"{source}$$"
        )
        with pytest.raises(DatabaseError, match="TRUNCATE refused"), transaction.atomic():
            cursor.execute("TRUNCATE annotation_datasetversion CASCADE")


# ---- pages ----


def test_freeze_look_and_download(told, sign_in):
    manager = join(told.project, Role.MANAGER)
    client = sign_in(manager)
    page = client.get("/projects/hotel/datasets/")
    assert page.status_code == 200
    assert b"No datasets yet" in page.content
    batch = told.batches[Kind.CHOOSING].pk
    form = {
        "purpose": "dpo",
        "format": "conversational",
        "batches": [batch],
        "score_difference": "0.2",
        "score_good": "0.75",
        "score_bad": "0.35",
    }
    answer = client.post("/projects/hotel/datasets/", form)
    version = DatasetVersion.objects.get()
    assert answer.headers["Location"] == f"/datasets/{version.pk}/"
    assert version.created_by == manager
    page = client.get(f"/datasets/{version.pk}/").content.decode()
    assert version.sha256 in page
    assert "Yes, madam, it is." in page
    for name in ("train.jsonl", "train.parquet", "held_out.jsonl", "manifest.json", "annotation_ids.txt"):
        download = client.get(f"/datasets/{version.pk}/files/{name}")
        content = b"".join(download.streaming_content)
        assert hashlib.sha256(content).hexdigest() == version.manifest["files"].get(name, {}).get(
            "sha256", hashlib.sha256(content).hexdigest()
        )
        assert download.headers["Content-Disposition"].startswith("attachment")
    assert client.get(f"/datasets/{version.pk}/files/secret_key").status_code == 404
    assert client.get(f"/datasets/{version.pk}/files/..%2f..%2fsecret_key").status_code == 404


def test_a_form_that_cannot_be_frozen_says_why(told, sign_in):
    client = sign_in(join(told.project, Role.MANAGER))
    form = {
        "purpose": "kto",
        "format": "standard",
        "score_difference": "0.2",
        "score_good": "0.75",
        "score_bad": "0.35",
    }
    answer = client.post("/projects/hotel/datasets/", form)
    assert answer.status_code == 422
    assert b"no kto row comes from the 5 selected annotations" in answer.content
    answer = client.post("/projects/hotel/datasets/", {**form, "score_good": "0.1"})
    assert answer.status_code == 422
    assert b"must be less than" in answer.content


def test_datasets_are_for_staff_and_not_for_strangers(told, sign_in, capsys):
    version, _ = frozen(capsys, "--for", "dpo")
    pages = ["/projects/hotel/datasets/", f"/datasets/{version.pk}/", f"/datasets/{version.pk}/files/train.jsonl"]
    for person, expected in [
        (join(told.project, Role.REVIEWER), 200),
        (join(told.project, Role.ANNOTATOR), 404),
        (join(ProjectFactory(), Role.MANAGER), 404),
    ]:
        client = sign_in(person)
        assert [client.get(page).status_code for page in pages] == [expected] * 3
    reviewer = sign_in(join(told.project, Role.REVIEWER))
    assert reviewer.post("/projects/hotel/datasets/", {"purpose": "dpo"}).status_code == 404


# ---- what reads them ----


@pytest.mark.engine
def test_datasets_and_trl_read_them_unchanged(story, capsys, tmp_path):
    for n in range(4):
        held = n == 3
        prompt, pair = story.prompt(f"Is room {n} free?", f"It is, madam, {n}.", f"Yep {n}.", held_out=held)
        story.choose(prompt, pair, pair[0], strength=1)
        other, bad = story.prompt(f"A late check-out for room {n}?", f"No {n}.", f"Nope {n}.", held_out=held)
        story.choose(other, bad, None, choice="both_bad")
        third, (good,) = story.prompt(f"A taxi for room {n}?", f"At once, sir, {n}.", held_out=held)
        story.answer(third, Kind.POSTEDITING, {"candidate": good.pk, "text": good.text, "unchanged": True})
    folders = {
        f"{purpose}-{format}": str(frozen(capsys, "--for", purpose, "--format", format)[1])
        for purpose in ("sft", "dpo", "kto")
        for format in ("standard", "conversational")
    }
    script = Path(__file__).with_name("read_with_trl.py")
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HOME": str(tmp_path)}
    command = [sys.executable, "-W", "ignore", str(script), json.dumps(folders), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    losses = json.loads(done.stdout.strip().splitlines()[-1])
    assert set(losses) == set(folders)
    assert all(0 < loss < 20 for loss in losses.values()), losses
