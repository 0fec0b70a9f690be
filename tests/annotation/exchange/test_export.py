"""Exports by the command: every column, every filter, what is left out, and a file that is whole or not there."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from annotation.answers.exclusions import exclude_answer, exclude_person
from annotation.exchange.columns import ANSWER_COLUMNS, COLUMNS
from annotation.exchange.types import without_json
from annotation.kinds import KINDS
from annotation.kinds.columns import AnswerContext
from annotation.models import Annotation, Assignment, Event, Kind, Prompt, Qualification, QualificationAttempt, Task
from annotation.queue.claims import claim_next
from tests.annotation.exchange.story import EDITED, Story
from tests.factories import ProjectFactory

pytestmark = pytest.mark.django_db
LAST = re.compile(
    r"export: ([\d,]+) answers?, ([\d,]+) skipped tasks?, ([\d,]+) rows? left out, \d+ columns, [\d.,]+ \S+, "
    r"sha256 [0-9a-f]{64}"
)


@pytest.fixture
def story():
    return Story()


def exported(capsys, path: Path, *arguments: str) -> tuple[list[dict], list[str]]:
    """(rows, lines of the command)."""
    call_command("export_annotations", "hotel", "--output", str(path), *arguments)
    lines = capsys.readouterr().out.splitlines()
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    found = LAST.fullmatch(lines[-1])
    assert found, lines[-1]
    assert int(found[1]) + int(found[2]) == len(rows)
    assert lines[-2] == str(path)
    return rows, lines


def states(rows):
    counts: dict[str, int] = {}
    for row in rows:
        counts[row["state"]] = counts.get(row["state"], 0) + 1
    return counts


def test_every_version_of_every_answer_and_every_skip(story, capsys, tmp_path):
    rows, lines = exported(capsys, tmp_path / "all.jsonl")
    assert states(rows) == {"current": 8, "reopened": 1, "replaced": 1, "withdrawn": 1, "skipped": 2}
    assert {row["annotation_id"] for row in rows} - {None} == set(Annotation.objects.values_list("pk", flat=True))
    assert {row["assignment_id"] for row in rows if row["state"] == "skipped"} == set(
        Assignment.objects.filter(state="skipped").values_list("pk", flat=True)
    )
    labels = {row["annotation_id"] for row in rows if row["is_label"]}
    done = Annotation.objects.filter(is_current=True, assignment__state="done")
    assert labels == set(done.values_list("pk", flat=True))
    order = [(row["batch_id"], row["task"], row["slot"], row["version"] or 99) for row in rows]
    assert order == sorted(order)
    assert "never exported: drafts: 2" in lines  # of the question about politeness, and of the answer opened again
    event = Event.objects.get(verb="answers.exported")
    assert (event.project, event.after["answers"], event.after["skips"]) == (story.project, 11, 2)


def test_excluded_answers_are_marked_and_counted_and_no_labels(story, capsys, tmp_path):
    rows, lines = exported(capsys, tmp_path / "all.jsonl")
    assert not any(row["excluded"] for row in rows)
    assert not any(line.startswith("exported:") for line in lines)
    answer = Annotation.objects.filter(is_current=True, assignment__state="done").earliest("pk")
    exclude_answer(annotation=answer, reason="Wrong hotel.", actor=story.hana)
    exclude_person(project=story.project, annotator=story.aoi, reason="Clicked.", actor=story.hana)
    rows, lines = exported(capsys, tmp_path / "more.jsonl")
    excluded = [row for row in rows if row["excluded"]]
    own = {row["annotation_id"] for row in rows if row["annotation_id"] and row["person_id"] == story.aoi.pk}
    assert {row["annotation_id"] for row in excluded} >= own | {answer.pk}
    assert not any(row["is_label"] for row in excluded)
    assert f"exported: of these rows, excluded from datasets: {len(excluded)}" in lines
    assert Event.objects.filter(verb="answers.exported").latest("pk").after["excluded"] == len(excluded)


def test_the_file_is_the_same_however_many_tasks_are_read_at_once(story, capsys, tmp_path, monkeypatch):
    for arguments in ((), ("--kind", "choosing"), ("--batch", str(Task.objects.latest("pk").batch_id))):
        whole, _ = exported(capsys, tmp_path / "all.jsonl", "--force", *arguments)
        for rows_at_once in (1, 3):
            monkeypatch.setattr("annotation.exchange.source.ROWS_AT_ONCE", rows_at_once)
            assert exported(capsys, tmp_path / "parts.jsonl", "--force", *arguments)[0] == whole
        monkeypatch.undo()


def test_nothing_of_an_answer_is_lost(story, capsys, tmp_path):
    """The stored answer can be made again from its columns."""
    rows, _ = exported(capsys, tmp_path / "all.jsonl")
    seen = set()
    for row in rows:
        if row["annotation_id"] is not None:
            assert KINDS[row["kind"]].parse(stored(row)) == KINDS[row["kind"]].parse(
                story.payloads[row["annotation_id"]]
            )
            seen.add(row["kind"])
    assert seen == set(Kind.values)


def stored(row):
    """The payload of a record."""

    def by_candidate(name, key):
        return {str(part["candidate_id"]): part[key] for part in row[name]}

    def spans():
        found: dict[str, list] = {}
        for mark in row["marks"]:
            names = ("start", "end", "category", "severity", "quality")
            span = {name: mark[name] for name in names if mark[name] is not None}
            found.setdefault(str(mark["candidate_id"]), []).append(span)
        return found

    if row["kind"] == "writing":
        return {"text": row["text"]}
    if row["kind"] == "postediting":
        return {"candidate": row["edited_candidate_id"], "text": row["text"], "unchanged": row["unchanged"]}
    if row["kind"] == "scoring":
        scores: dict[str, dict] = {}
        for score in row["scores"]:
            scores.setdefault(str(score["candidate_id"]), {})[score["aspect"]] = score["points"]
        return {"scores": scores, "comment": row["comment"], "spans": spans()}
    return {
        "shown": row["shown_candidate_ids"],
        "choice": row["choice"],
        "chosen": row["chosen_candidate_id"],
        "strength": row["strength"],
        "reasons": row["reasons"],
        "ranking": row["ranking"],
        "reasons_by_side": by_candidate("reasons_by_candidate", "reasons"),
        "fixes": by_candidate("fixes", "text"),
        "spans": spans(),
    }


def test_what_an_answer_is_about_and_by_which_rules(story, capsys, tmp_path):
    rows, _ = exported(capsys, tmp_path / "all.jsonl")
    first = Prompt.objects.filter(project=story.project).order_by("pk")[0]
    row = next(row for row in rows if row["prompt_id"] == first.pk and row["kind"] == "choosing" and row["choice"])
    assert (row["prompt"], row["external_id"], row["source_document"]) == (first.text, "=1+1", "mail 1")
    assert [message["content"] for message in row["messages"]] == ["Hello", "Good morning.", first.text]
    assert (row["metadata"], row["held_out"]) == ({"sender": {"age": 41}, "temperature": -5}, False)
    assert (row["project"], row["source_language"], row["target_language"]) == ("hotel", "en", "ja")
    candidates = list(first.candidates.order_by("pk"))
    assert [part["id"] for part in row["candidates"]] == [candidate.pk for candidate in candidates]
    assert [part["text"] for part in row["candidates"]] == [candidate.text for candidate in candidates]
    assert row["candidates"][-1]["origin"] == f"human:{story.hana.pk}"
    assert row["candidates"][-1]["generation"] == {"seed": 7}
    assert sorted(part["position"] for part in row["candidates"]) == [1, 2, 3]
    assert row["guideline_version"] == 1
    scored = next(row for row in rows if row["kind"] == "scoring")
    assert (scored["weights_version"], scored["weights"]) == (
        1,
        [{"aspect": "meaning", "weight": 2.0}, {"aspect": "register", "weight": 1.0}],
    )
    one, two = (score["score"] for score in scored["weighted_scores"])
    assert one == pytest.approx((2 * 3 / 4 + 1 * 2 / 2) / 3)
    assert two == pytest.approx((2 * 1 / 4 + 0) / 3)
    assert {(score["name"], score["most"]) for score in scored["scores"]} == {("Meaning", 5), ("Register", 3)}
    mark = scored["marks"][0]
    text = next(part["text"] for part in scored["candidates"] if part["id"] == mark["candidate_id"])
    assert (mark["quote"], mark["category"], mark["severity"]) == (text[:2], "Register", "major")


def test_the_position_of_a_text_is_where_its_page_shows_it(story, capsys, tmp_path, sign_in):
    """A text that reads like another one is not shown, and has no position."""
    prompt = Prompt.objects.filter(project=story.project).order_by("-pk")[0]
    twin = prompt.candidates.order_by("pk")[0]
    twin.pk, twin.origin, twin.text = None, "import:twin", f" {twin.text} "
    twin.save()
    batch = story.open(Kind.CHOOSING, alternatives=3)
    task = Task.objects.get(batch=batch, prompt=prompt)
    Task.objects.filter(pk=task.pk).update(candidate_ids=list(prompt.candidates.values_list("pk", flat=True)))
    Task.objects.filter(batch=batch).exclude(pk=task.pk).delete()
    client = sign_in(story.aoi)
    page = client.get(f"/batches/{batch.pk}/work/").content.decode()
    slot = Assignment.objects.get(annotator=story.aoi, state="held")
    client.post(f"/assignments/{slot.pk}/skip/", {"reason": "unclear"})
    (row,), _ = exported(capsys, tmp_path / "all.jsonl", "--batch", str(batch.pk))
    shown = sorted((part for part in row["candidates"] if part["position"]), key=lambda part: part["position"])
    assert [part["position"] for part in shown] == [1, 2]
    assert len(row["candidates"]) == 3
    places = [page.index(part["text"].strip()) for part in shown]
    assert places == sorted(places)


def test_edits_skips_and_remarks(story, capsys, tmp_path):
    rows, _ = exported(capsys, tmp_path / "all.jsonl")
    changed = next(row for row in rows if row["unchanged"] is False)
    accepted = next(row for row in rows if row["unchanged"])
    assert changed["text"] == EDITED
    assert changed["edit_count"] > 0
    assert changed["edit_rate"] == changed["hter"] > 0
    assert (accepted["edit_count"], accepted["hter"]) == (0, 0)
    fix = next(row for row in rows if row["fixes"])["fixes"][0]
    assert (fix["text"], fix["edit_count"] > 0) == (EDITED, True)
    skipped = next(row for row in rows if row["person"] == "Aoi")
    assert (skipped["skip_reason"], skipped["skip_reason_text"], skipped["skip_comment"]) == (
        "other",
        "Another reason",
        "-1, says the text",
    )
    assert (skipped["is_simulated"], skipped["choice"], skipped["version"]) == (True, None, None)
    remark = skipped["remarks"][0]
    assert (remark["kind"], remark["text"], remark["answer"], remark["answered_by"]) == (
        "question",
        "Which one is polite?",
        "Neither.",
        "Hana",
    )
    others = [row for row in rows if row["task_id"] == skipped["task_id"] and row["person"] != "Aoi"]
    assert all(row["remarks"] == [] for row in others), "a remark is its author's"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", skipped["submitted_at"])


@pytest.mark.parametrize(
    ("arguments", "left_out", "chosen"),
    [
        (["--kind", "writing"], "rows of other kinds: 8", lambda row: row["kind"] == "writing"),
        (["--person", "KEI@example.org"], "rows of other people: 6", lambda row: row["person"] == "Kei"),
        (["--current"], "replaced or withdrawn versions: 2", lambda row: row["state"] not in ("replaced", "withdrawn")),
        (["--without-skips"], "skipped tasks: 2", lambda row: row["state"] != "skipped"),
        (["--since", "{week}"], "rows outside the days: 1", lambda row: row["state"] != "replaced"),
        (["--until", "{week}"], "rows outside the days: 12", lambda row: row["state"] == "replaced"),
    ],
)
def test_a_filter_leaves_out_and_says_how_much(story, capsys, tmp_path, arguments, left_out, chosen):
    everything, _ = exported(capsys, tmp_path / "all.jsonl")
    week = (timezone.now() - timedelta(days=7)).date().isoformat()
    rows, lines = exported(capsys, tmp_path / "some.jsonl", *(word.format(week=week) for word in arguments))
    assert rows == [row for row in everything if chosen(row)]
    assert 0 < len(rows) < len(everything)
    assert f"left out: {left_out}" in lines
    assert f"{len(everything) - len(rows)} row" in lines[-1]


def test_filters_are_counted_once_each_row(story, capsys, tmp_path):
    batch = story.batches[Kind.CHOOSING]
    rows, lines = exported(capsys, tmp_path / "x.jsonl", "--batch", str(batch.pk), "--current", "--without-skips")
    assert {row["batch_id"] for row in rows} == {batch.pk}
    assert {"left out: rows of other batches: 8", "left out: skipped tasks: 1"} < set(lines)
    assert "left out: replaced or withdrawn versions: 1" in lines
    assert len(rows) == 3


def test_pseudonyms_hide_who_it_was_everywhere_and_stay_the_same(story, capsys, tmp_path):
    named, _ = exported(capsys, tmp_path / "named.jsonl")
    hidden, _ = exported(capsys, tmp_path / "hidden.jsonl", "--pseudonyms")
    again, _ = exported(capsys, tmp_path / "again.jsonl", "--pseudonyms")
    assert hidden == again
    text = (tmp_path / "hidden.jsonl").read_text()
    for person in (story.hana, story.kei, story.rin, story.aoi):
        assert person.email not in text
        assert f'"{person.name}"' not in text
    names = {(row["person"], other["person"]) for row, other in zip(named, hidden, strict=True)}
    assert len(names) == 3 == len({pseudonym for _name, pseudonym in names})
    assert all(re.fullmatch(r"person-[0-9a-f]{12}", pseudonym) for _name, pseudonym in names)
    assert {row["person_id"] for row in hidden} == {row["person_email"] for row in hidden} == {None}
    answered_by = {remark["answered_by"] for row in hidden for remark in row["remarks"]}
    humans = {part["origin"] for row in hidden for part in row["candidates"] if part["origin"].startswith("human:")}
    assert humans == {f"human:{pseudonym}" for pseudonym in answered_by}, "both are Hana"
    for row, other in zip(named, hidden, strict=True):
        assert (
            other | {name: row[name] for name in ("person", "person_id", "person_email", "remarks", "candidates")}
            == row
        )


def test_test_answers_are_counted_and_never_exported(story, capsys, tmp_path):
    test = Qualification.objects.create(project=story.project, name="Politeness", kind="choosing", seed=1)
    QualificationAttempt.objects.create(
        qualification=test, user=story.kei, number=1, answers={"1": {"choice": "tie"}, "2": {"choice": "tie"}}
    )
    _, lines = exported(capsys, tmp_path / "x.jsonl")
    assert "never exported: answers of tests: 2" in lines


# ---- formats ----


def test_the_three_formats_say_the_same(story, capsys, tmp_path):
    rows, _ = exported(capsys, tmp_path / "x.jsonl")
    call_command("export_annotations", "hotel", "--output", str(tmp_path / "x.parquet"))
    call_command("export_annotations", "hotel", "--output", str(tmp_path / "x.csv"))
    table = pq.read_table(tmp_path / "x.parquet")
    assert str(table.schema.field("submitted_at").type) == "timestamp[us, tz=UTC]"
    assert str(table.schema.field("ranking").type) == "list<element: list<element: int64>>"
    with (tmp_path / "x.csv").open(encoding="utf-8-sig", newline="") as file:
        cells = list(csv.DictReader(file))
    assert len(rows) == table.num_rows == len(cells)
    for row, typed, cell in zip(rows, table.to_pylist(), cells, strict=True):
        for column in COLUMNS:
            if column.name in ("claimed_at", "submitted_at", "remarks"):
                continue
            assert typed[column.name] == without_json(column.type, row[column.name])
        assert cell["text"] == ("" if row["text"] is None else row["text"].replace("=朝", "'=朝"))
        assert cell["external_id"] == row["external_id"].replace("=", "'=")
        assert json.loads(cell["candidates"]) == row["candidates"]


def test_every_kind_fills_its_columns_and_no_others():
    names = {column.name: column.kinds for column in ANSWER_COLUMNS}
    about = AnswerContext(texts={}, language="ja", aspects={})
    for key, kind in KINDS.items():
        filled = set(kind.columns(kind.parse({}), about))
        assert filled <= set(names)
        assert filled == {name for name, kinds in names.items() if key in kinds} - {"weights", "weights_version"}


def test_a_project_without_answers_is_a_file_without_rows(db, capsys, tmp_path):
    Story("other")
    ProjectFactory(slug="hotel")
    rows, _ = exported(capsys, tmp_path / "x.jsonl")
    assert rows == [], "other projects' answers are theirs"


# ---- refusals ----


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "there is no project 'nowhere'. Projects: hotel"),
        (["hotel", "--batch", "99999"], "The project hotel has no batch 99999."),
        (["hotel", "--person", "who@example.org"], "Nobody with the address who@example.org has a task"),
        (["hotel", "--output", "x.xlsx"], "x.xlsx does not end in .jsonl, .csv, .parquet: name the --format"),
        (["hotel", "--since", "2026-11-02", "--until", "2026-11-01"], "must be after the time since"),
        (["hotel", "--since", "November"], "'November' is no day (2026-11-01) and no time"),
        (["hotel", "--output", "missing/x.csv"], "There is no folder missing: create it first."),
        (["hotel", "--output", "."], "name the --format"),
    ],
)
def test_what_cannot_be_exported_is_said(story, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CommandError, match=re.escape(message)):
        call_command("export_annotations", *arguments)
    assert list(tmp_path.iterdir()) == [tmp_path / "var"]
    assert not Event.objects.filter(verb="answers.exported").exists()


def test_a_file_is_replaced_only_with_force(story, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "hotel-answers.jsonl"
    path.write_text("mine")
    with pytest.raises(CommandError, match="exists already: name another file, or replace it with --force"):
        call_command("export_annotations", "hotel")
    assert path.read_text() == "mine"
    call_command("export_annotations", "hotel", "--force")
    assert path.read_text().startswith('{"project":"hotel"')
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["hotel-answers.jsonl", "var"]


def test_an_export_that_fails_leaves_what_was_there(story, tmp_path, monkeypatch):
    path = tmp_path / "x.jsonl"
    path.write_text("mine")
    monkeypatch.setattr("annotation.exchange.records.positions", lambda *arguments: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        call_command("export_annotations", "hotel", "--output", str(path), "--force")
    assert path.read_text() == "mine"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["var", "x.jsonl"]


# ---- processes: killed, and two at the same time ----


def command(*arguments: str, slow: float = 0.0) -> subprocess.Popen:
    """The command in a process of its own, in the tests' database; `slow`: seconds that it takes after each chunk."""
    database = connection.settings_dict
    code = (
        "import sys, time\n"
        "import django\n"
        "django.setup()\n"
        "from django.conf import settings\n"
        f"settings.DATABASES['default']['NAME'] = {database['NAME']!r}\n"
        "from django.core.management import call_command\n"
        "from annotation.exchange import export\n"
        "real = export.chunks\n"
        "def chunks(*arguments):\n"
        "    for chunk in real(*arguments):\n"
        "        yield chunk\n"
        f"        time.sleep({slow})\n"
        "export.chunks = chunks\n"
        "call_command('export_annotations', *sys.argv[1:])\n"
    )
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "deploy.settings"}
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def partials(folder: Path) -> list[Path]:
    return list(folder.glob(".*.partial"))


@pytest.mark.django_db(transaction=True)
def test_killed_it_leaves_no_file_and_the_next_one_tidies_up(tmp_path):
    Story()
    path = tmp_path / "x.jsonl"
    process = command("hotel", "--output", str(path), slow=600)
    until(lambda: partials(tmp_path) or process.poll() is not None, process)
    assert not path.exists()
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not path.exists()
    assert len(partials(tmp_path)) == 1
    call_command("export_annotations", "hotel", "--output", str(path))
    assert len(path.read_text().splitlines()) == 13
    assert partials(tmp_path) == []


@pytest.mark.django_db(transaction=True)
def test_of_two_at_the_same_time_one_writes_the_file_and_the_other_is_refused(tmp_path):
    Story()
    path = tmp_path / "x.jsonl"
    both = [command("hotel", "--output", str(path), slow=3) for _ in range(2)]
    outcomes = [process.communicate() for process in both]
    codes = sorted(process.returncode for process in both)
    assert codes == [0, 1], outcomes
    assert "exists already" in "".join(errors for _output, errors in outcomes)
    assert len(path.read_text().splitlines()) == 13
    assert partials(tmp_path) == []


@pytest.mark.django_db(transaction=True)
def test_all_rows_are_of_one_moment(tmp_path, capsys):
    """What people submit while a file is written is not in it."""
    story = Story()
    path = tmp_path / "x.jsonl"
    process = command("hotel", "--output", str(path), slow=2)
    until(lambda: partials(tmp_path) or process.poll() is not None, process)
    batch = story.open(Kind.WRITING, overlap=1)
    slot = claim_next(batch=batch, annotator=story.aoi)
    assert slot is not None
    _output, errors = process.communicate()
    assert process.returncode == 0, errors
    assert len(path.read_text().splitlines()) == 13


def until(condition, process, seconds=120):
    for _ in range(seconds * 20):
        if condition():
            break
        time.sleep(0.05)
    assert process.poll() is None, process.communicate()
