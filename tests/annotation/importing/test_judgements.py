"""Recorded judgements come in as such: through the command, from files as people have them."""

import json
import re
import shlex
from datetime import UTC, datetime

import pytest
from django.core.management import CommandError, call_command

from annotation.importing.judgements.people import address_of
from annotation.models import Annotation, Assignment, Batch, Candidate, Event, Import, Prompt, Task, TimeSpent, User
from tests.annotation.importing.helpers import as_csv, as_jsonl, as_parquet
from tests.factories import ProjectFactory, UserFactory

pytestmark = pytest.mark.django_db
AT = "2024-05-31T14:03:00Z"


@pytest.fixture
def hotel():
    return ProjectFactory(slug="hotel", held_out_share=0)


@pytest.fixture
def load(hotel, tmp_path, capsys):
    """Write a file and import it with the command; returns its output by line."""

    def run(content: bytes | str, *options: str, name: str = "pairs.jsonl") -> list[str]:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        call_command("import_judgements", "hotel", str(path), *options)
        return capsys.readouterr().out.strip().splitlines()

    return run


def row(answer="a", worker="w1", a="It is, madam.", b="Yep.", text="Is breakfast included?", **more):
    return {"text": text, "candidate_a": a, "candidate_b": b, "worker": worker, "answer": answer, **more}


def answers():
    """(person, texts shown, what they answered, in texts) of all annotations."""
    texts = dict(Candidate.objects.values_list("pk", "text"))
    found = []
    for answer in Annotation.objects.select_related("annotator").order_by("pk"):
        payload = answer.payload
        said = payload["choice"]
        if said == "one":
            said = texts[payload["chosen"]]
        elif said == "ranking":
            said = [sorted(texts[key] for key in group) for group in payload["ranking"]]
        found.append((answer.annotator.name, [texts[key] for key in payload["shown"]], said))
    return found


def totals():
    models = (Prompt, Candidate, Batch, Task, Assignment, Annotation, User, TimeSpent)
    return [model.objects.count() for model in models]


def test_281_recorded_pairs_with_ten_answers_each_are_281_tasks(load, hotel):
    """Of eleven prompts, each pair with an id of its own, as comparisons of systems come."""
    rows = [
        row(
            "ABT"[(pair + person) % 3] if (pair + person) % 3 < 2 else "tie",
            worker=f"W{person}",
            text=f"Prompt {pair % 11}",
            a=f"Text {pair}, one",
            b=f"Text {pair}, other",
            id=f"pair-{pair}",
            time=1_400_000_000 + 60 * pair + person,
        )
        for pair in range(281)
        for person in range(10)
    ]
    lines = load(as_jsonl(rows))
    assert lines[-1].endswith(
        "2,810 rows, 11 prompts added, 562 candidates added, 281 tasks added, 2,810 answers added in batch "
        f"{Batch.objects.get().pk}"
    )
    batch = Batch.objects.get()
    assert (batch.overlap, batch.alternatives, batch.status) == (10, 2, "closed")
    assert Task.objects.filter(batch=batch).count() == 281
    assert {task.annotations.count() for task in Task.objects.all()} == {10}
    assert User.objects.count() == 10
    assert set(Assignment.objects.values_list("state", flat=True)) == {"done"}
    assert "2,810 rows have ids that are not their prompts' own; the ids are not kept." in lines
    before = totals()
    again = load(as_jsonl(rows))
    assert totals() == before
    assert "2,810 answers are in the project already and were not added again." in again
    assert again[-1].endswith("2,810 rows, 0 prompts added, 0 candidates added, 0 tasks added, 0 answers added")


def test_an_answer_keeps_its_person_time_seconds_and_order_of_sides(load, hotel):
    load(as_jsonl([row("b", worker="Hana", time=AT, seconds=12.5)]))
    answer = Annotation.objects.get()
    shown = list(Candidate.objects.order_by("pk").values_list("pk", flat=True))
    assert answer.payload == {"choice": "one", "chosen": shown[1], "shown": shown, "strength": None, "reasons": []}
    assert answer.created_at == answer.assignment.finished_at == datetime(2024, 5, 31, 14, 3, tzinfo=UTC)
    assert (answer.active_seconds, answer.version, answer.is_current, answer.kind) == (12.5, 1, True, "choosing")
    assert (answer.guideline, answer.weight_set) == (None, None), "it was not given under ours"
    assert TimeSpent.objects.get().active_seconds == 12.5
    person = answer.annotator
    assert (person.name, person.has_usable_password()) == ("Hana", False)
    assert person.email.endswith("@hotel.recorded.invalid")
    event = Event.objects.get(verb="annotation.recorded")
    assert (event.object_id, event.after["row"], event.after["annotator"]) == (answer.pk, 1, person.pk)
    assert event.after["import"] == Import.objects.get().pk
    assert Event.objects.filter(verb__in=["batch.recorded", "user.created", "judgements.imported"]).count() == 3


def test_people_are_matched_by_e_mail(load, hotel):
    known = UserFactory(email="ryo@example.org", name="Ryo")
    lines = load(as_jsonl([row(worker=name) for name in ("Ryo@Example.org", "mika@example.org", "17", "W1", "w1")]))
    assert "5 people: 1 has an account, 4 get an account without sign-in" in lines
    assert Annotation.objects.filter(annotator=known).count() == 1
    assert User.objects.get(email="mika@example.org").has_usable_password() is False
    assert User.objects.get(name="17").email == "17@hotel.recorded.invalid"
    assert User.objects.get(name="W1") != User.objects.get(name="w1")
    assert known.password == User.objects.get(pk=known.pk).password
    assert not known.memberships.exists(), "an import lets nobody into a project"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("José", "Jose\u0301"),
        ("Ryo@Example.org", "ryo@example.org"),
        ("W 17", "W\u00a0 17 "),
        ("Ｗ１７", "W17"),
        (5, 5.0),
        ("山田\u200b", "山田"),
    ],
)
def test_one_person_however_the_name_is_typed(load, one, other):
    lines = load(as_jsonl([row(worker=one), row("b", worker=other)]))
    assert "1 person: 1 gets an account without sign-in" in lines
    assert len({person for person, *_ in answers()}) == 1
    assert "1 answer is a further one of its person about the same texts, in a task of its own." in lines


@pytest.mark.parametrize("worker", ["山田", "a..b", "x" * 140, "A B", "not@an@address", "naïve", ".", "a@b"])
def test_every_name_has_an_address_of_its_own(hotel, worker):
    from django.core.validators import validate_email

    validate_email(address_of(worker, hotel))
    assert address_of(worker, hotel) != address_of(worker + "2", hotel)
    assert address_of(worker, hotel) != address_of(worker, ProjectFactory(slug="other"))


YES, YEP = "It is, madam.", "Yep."


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        *[(word, YES) for word in ("a", "A", "candidate_a", "model_a", "Response A", "response_1", "left", YES)],
        *[(word, YEP) for word in ("b", "B", "2", 2, 2.0, "candidate_b", "right", YEP, "A<B", "B>A", "B>>A")],
        *[(word, "tie") for word in ("tie", "Tie", "draw", "=", "A=B", [["a", "b"]])],
        *[(word, "both_bad") for word in ("both_bad", "tie (bothbad)", "Both bad")],
        # typed with full width, other blanks, signs that cannot be seen
        *[(word, YES) for word in ("Ａ", "ａ\u200b", "Response\u00a0A", "It\u00a0is,  madam.", "Ａ＞Ｂ")],
        ("ＴＩＥ", "tie"),
        (["b", "a"], YEP),
        ({"a": 1, "b": 2}, YES),
        ({"a": 1.5, "b": 1}, YEP),
        ({"A": 1, "B": 1}, "tie"),
    ],
)
def test_how_an_answer_may_be_written(load, answer, said):
    load(as_jsonl([row(answer)]))
    assert answers() == [("w1", [YES, YEP], said)]


def test_an_answer_that_is_the_text_may_be_written_otherwise(load):
    load(as_jsonl([row("cafe\u0301", a="caf\u00e9"), row("Ⅻ", worker="w2", a="XII")]))
    assert [said for *_, said in answers()] == ["caf\u00e9", "XII"]


def test_a_part_of_an_order_can_be_told(load):
    """The remedy names the part as it is typed, without the spaces around it."""
    with pytest.raises(CommandError, match="--answer=good=MEANING"):
        load(as_jsonl([row("good > B")]))
    load(as_jsonl([row("good > B")]), "--answer=good=a")
    assert answers() == [("w1", [YES, YEP], YES)]


def test_a_clear_preference_keeps_its_strength(load):
    load(as_jsonl([row("A>>B"), row("A>B", worker="w2"), row("A=B", worker="w3")]))
    found = Annotation.objects.order_by("pk").values_list("payload__strength", flat=True)
    assert list(found) == [2, None, None]


@pytest.mark.parametrize(
    ("value", "told", "said"),
    [
        (0, ["--answer", "0=tie"], "tie"),
        (0, ["--answer", "0=a", "--answer", "1=b"], YES),
        (1, ["--answer", "0=a", "--answer", "1=b"], YEP),
        ("-1", ["--answer=-1=both_bad"], "both_bad"),
        ("the former", ["--answer", "the former=candidate_a"], YES),
        ("A=B", ["--answer", "A=B=both_bad"], "both_bad"),
    ],
)
def test_what_other_answers_mean_can_be_told(load, value, told, said):
    load(as_jsonl([row(value)]), *told)
    assert answers()[0][2] == said


@pytest.mark.parametrize(
    ("rows", "options", "fault"),
    [
        ([row(), row(0)], [], "the answers are the numbers 0, which may mean several things; say what they mean"),
        ([row(), row(1)], ["--answer", "0=tie"], "row 2, column 'answer': “1” is none of the texts of this row"),
        ([row(), row("c")], [], "row 2, column 'answer': “c” is none of the texts of this row (a, b, candidate_a, can"),
        ([row("")], [], "row 1, column 'answer': the answer is empty"),
        ([row(worker=" ")], [], "row 1, column 'worker': nobody is named"),
        ([row(b=""), row(b=None)], [], "no row has the texts that were judged; say which columns they are in"),
        (
            [row(candidates=[{"text": f"{n}", "origin": f"import:{n}"} for n in range(25)])],
            [],
            "about 26 texts at most",
        ),
        ([row(time="yesterday")], [], "row 1, column 'time': “yesterday” is not a time"),
        ([row(time="2999-01-01T00:00:00Z")], [], "before 1990 or in the future"),
        ([row(seconds=-1)], [], "“-1” is not a number of seconds"),
        ([row(tie="perhaps")], [], "“perhaps” is neither true nor false"),
        ([row([1, 2])], [], "a list of numbers may be places or an order"),
        ([row({"a": 2.5, "b": 0.5})], [], "2.5 is not a place among 2 texts, 1 for the best; if these are scores"),
        ([row({"a": 0, "b": 1})], [], "0 is not a place among 2 texts"),
        ([row("A>A")], [], "the ranking names a text twice"),
        ([row("A>B<A")], [], "ranks in both directions"),
        ([row("A>B", candidate_c="Third.")], [], "the ranking leaves out text C"),
        ([row(text="")], [], "row 1, column 'text': the text is empty"),
    ],
)
def test_what_is_wrong_is_named_by_row_and_nothing_is_written(load, rows, options, fault):
    with pytest.raises(CommandError) as error:
        load(as_jsonl(rows), *options)
    assert fault in str(error.value), error.value
    assert totals() == [0] * 8
    assert Import.objects.get().status == "refused"


def test_rows_with_an_empty_text_are_left_out_and_counted(load):
    lines = load(as_jsonl([row(), row(b="", worker="w2", text="Another prompt"), row("b", worker="w3")]))
    assert "1 row has fewer than two texts and was left out (row 2)." in lines
    assert [person for person, *_ in answers()] == ["w1", "w3"]
    assert Prompt.objects.count() == 1


def test_good_rows_can_be_kept(load, settings):
    rows = [row(), row("c", worker="w2"), row("b", worker="w3")]
    lines = load(as_jsonl(rows), "--keep-good")
    assert [person for person, *_ in answers()] == ["w1", "w3"]
    record = Import.objects.get()
    assert (settings.VAR / record.rest_path).read_text() == as_jsonl(rows[1:2])
    assert "1 row with errors was left out." in lines
    assert f"The rows with errors: {settings.VAR / record.rest_path}" in lines


def test_a_dry_run_writes_nothing(load, settings):
    lines = load(as_jsonl([row(time="2024-05-31 14:03", question="why?")]), "--dry-run")
    assert totals() == [0] * 8
    assert not Import.objects.exists()
    assert lines == [
        "read as JSONL, utf-8",
        "columns: text: text; candidate_a: candidate (import:a); candidate_b: candidate (import:b); worker: worker; "
        "answer: answer; time: time",
        "answers: first text 1",
        "1 time has no time zone and is read as UTC (row 1).",
        "Column “question” was not read: 1 row has a value there (first in row 1).",
        "1 person: 1 gets an account without sign-in",
        "dry run, nothing written; 1 row, 1 prompt added, 2 candidates added, 1 task added, 1 answer added in batch "
        + lines[-1].rpartition(" ")[2],
    ]


RANKED = {"text": "q", "candidate_W": "w", "candidate_X": "x", "candidate_Y": "y"}


@pytest.mark.parametrize(
    ("cells", "options"),
    [
        ({"annotator": 1, "ranking": "X>W=Y"}, []),
        ({"annotator": 1, "ranking": "W=Y<X"}, []),
        ({"annotator": 1, "ranking": ["X", ["W", "Y"]]}, []),
        ({"annotator": 1, "ranking": {"W": 2, "X": 1, "Y": 2}}, []),
        ({"annotator": 1, "r1": 3, "r2": 1, "r3": 3}, ["--rank", "r1=W", "--rank", "r2=X", "--rank", "r3=Y"]),
        ({"answers": [{"judge": 1, "ranking": "x>w=y"}]}, []),
    ],
)
def test_rankings_in_the_layouts_people_have(load, cells, options):
    load(as_jsonl([{**RANKED, **cells}]), *options)
    assert answers() == [("1", ["w", "x", "y"], [["x"], ["w", "y"]])]
    assert Batch.objects.get().alternatives == 3


@pytest.mark.parametrize(
    ("name", "content", "options"),
    [
        ("pairs.csv", as_csv([row(), row("tie", worker="w2")]), []),
        ("pairs.tsv", as_csv([row(), row("tie", worker="w2")], "\t"), []),
        ("pairs.parquet", as_parquet([row(), row("tie", worker="w2")]), []),
        (
            "wide.csv",
            as_csv([{**row(), "w1": "A", "w2": "tie", "w3": ""}]),
            ["--worker-column", "w1", "--worker-column", "w2", "--worker-column", "w3"],
        ),
        (
            "list.jsonl",
            as_jsonl(
                [
                    {
                        "prompt": "Is breakfast included?",
                        "candidates": [{"text": YES, "origin": "import:one"}, {"text": YEP, "origin": "import:two"}],
                        "answers": [{"worker": "w1", "answer": "one"}, {"worker": "w2", "answer": "two", "tie": True}],
                    }
                ]
            ),
            [],
        ),
        (
            "other names.csv",
            as_csv(
                [
                    {"q": "Is breakfast included?", "x": YES, "y": YEP, "who": "w1", "best": "one", "same?": "no"},
                    {"q": "Is breakfast included?", "x": YES, "y": YEP, "who": "w2", "best": "one", "same?": "yes"},
                ]
            ),
            [
                *("--map", "text=q", "--map", "worker=who", "--map", "answer=best", "--map", "tie=same?"),
                *("--candidate", "x=import:one", "--candidate", "y=import:two"),
            ],
        ),
    ],
)
def test_layouts(load, name, content, options):
    load(content, *options, name=name)
    assert answers() == [("w1", [YES, YEP], YES), ("w2", [YES, YEP], "tie")]
    assert (Prompt.objects.count(), Task.objects.count()) == (1, 1)


def test_one_person_for_the_whole_file(load):
    bare = {key: value for key, value in row().items() if key != "worker"}
    with pytest.raises(CommandError, match=r"no column says who answered(?s:.*)Option: --worker NAME"):
        load(as_jsonl([bare]))
    load(as_jsonl([bare]), "--worker", "mika@example.org")
    assert Annotation.objects.get().annotator.email == "mika@example.org"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--map", "answer=verdict"], "no row has the key “verdict” that the mapping names"),
        (["--map", "answer="], "no column is the answer"),
        (["--map", "answer=candidate_a", "--map", "reference=candidate_a"], "cannot have two meanings"),
        (["--rank", "candidate_a"], "--rank candidate_a: write COLUMN=TEXT"),
        (["--answer", "0"], "--answer 0: write VALUE=MEANING"),
        (["--map", "text=nowhere"], "no row has the key “nowhere” that the mapping names"),
        (["--scale", "style=much"], "--scale style=much: write ASPECT=WORST..BEST"),
        (["--model", "worker"], "--model worker: write COLUMN=CANDIDATE_COLUMN"),
    ],
)
def test_columns_that_do_not_fit_say_so(load, options, message):
    with pytest.raises(CommandError, match=re.escape(message)):
        load(as_jsonl([row()]), *options)
    assert totals() == [0] * 8


def test_the_remedy_for_an_unknown_answer_works_as_written(load):
    """Word by word as a shell reads it."""
    meanings = [("it's", "a", YES), ("no clear winner", "tie", "tie"), ("?!", "both_bad", "both_bad")]
    for value, meaning, said in meanings:
        with pytest.raises(CommandError) as error:
            load(as_jsonl([row(value, worker=value)]))
        (remedy,) = re.findall(r"^Option: (.*)", str(error.value), re.MULTILINE)
        load(as_jsonl([row(value, worker=value)]), *shlex.split(remedy.replace("MEANING", meaning)))
        assert answers()[-1] == (value, [YES, YEP], said)


def test_columns_called_b_and_a_are_not_first_and_second(load):
    load(as_jsonl([{"text": "q", "candidate_b": "first", "candidate_a": "second", "worker": "w", "answer": "a"}]))
    assert answers() == [("w", ["first", "second"], "second")]


def test_different_sides_and_pairs_of_one_prompt_are_kept_apart(load):
    rows = [
        row(),
        row("b", worker="w2", a=YEP, b=YES),
        row(worker="w3", a="Another one."),
        row(worker="w4", b="Third."),
    ]
    load(as_jsonl(rows), "--candidate", "candidate_a=import:x", "--candidate", "candidate_b=import:y")
    # The same text under another origin is another candidate; the votes count them as one text.
    assert [(shown, said) for _, shown, said in answers()] == [
        ([YES, YEP], YES),
        ([YEP, YES], YES),
        (["Another one.", YEP], "Another one."),
        ([YES, "Third."], YES),
    ]
    assert Task.objects.count() == 4


def test_further_answers_of_a_person_about_the_same_texts(load):
    rows = [row(time=1_700_000_000), row("b", time=1_700_000_060), row(time=1_700_000_120), row(time=1_700_000_120)]
    lines = load(as_jsonl(rows))
    further = "2 answers are further ones of their person about the same texts, in tasks of their own."
    assert further in lines
    assert "1 answer occurs twice in the file with the same time, and was added once." in lines
    assert (Task.objects.count(), Annotation.objects.count()) == (3, 3)
    before = totals()
    load(as_jsonl(rows))
    assert totals() == before


def test_equal_answers_without_a_time_are_all_kept_and_all_known_again(load):
    rows = [row(), row(), row(worker="w2"), row()]
    lines = load(as_jsonl(rows))
    assert "2 answers are further ones of their person about the same texts, in tasks of their own." in lines
    assert (Task.objects.count(), Annotation.objects.count()) == (3, 4)
    before = totals()
    assert load(as_jsonl(rows))[-1].endswith("0 tasks added, 0 answers added")
    assert totals() == before
    assert load(as_jsonl([*rows, row()]), name="one more.jsonl")[-1].count("1 task added, 1 answer added") == 1


@pytest.mark.parametrize(
    ("better", "other"),
    [
        ("chosen", "rejected"),
        ("chosen_response", "rejected_response"),
        ("response_chosen", "response_rejected"),
        ("accepted", "rejected"),
        ("better", "worse"),
        ("better_response", "worse_response"),
        ("preferred", "dispreferred"),
        ("preferred_output", "non_preferred_output"),
        ("winning_answer", "losing_answer"),
    ],
)
def test_the_better_and_the_other_text_in_every_row(load, better, other):
    rows = [{"prompt": "Is breakfast included?", other: "Yep.", better: "It is, madam.", "annotator": "w1"}]
    lines = load(as_jsonl(rows))
    assert f"In every row “{better}” is the better text." in lines
    ((person, shown, said),) = answers()
    assert (person, sorted(shown), said) == ("w1", ["It is, madam.", "Yep."], "It is, madam.")


def test_a_single_score_is_no_scale(load):
    rows = as_jsonl([{"prompt": "Hi", "response": "Hello.", "quality": 7, "annotator": "w1"}])
    with pytest.raises(CommandError, match=re.escape("--scale 'quality=WORST..BEST'")):
        load(rows)
    load(rows, "--scale", "quality=1..10")
    assert Annotation.objects.count() == 1


def test_what_reads_the_same_is_no_choice(load):
    rows = [row(b="It is,\u00a0madam."), {**RANKED, "candidate_Y": "w\u200b", "annotator": "w1", "answer": "Y>X>W"}]
    rows = [{**rows[0], "annotator": "w1"}, rows[1]]
    lines = load(as_jsonl([{key: value for key, value in each.items() if key != "worker"} for each in rows]))
    assert [line for line in lines if line.startswith("answers:")] == ["answers: second text 1"]
    assert "1 answer is about texts that read the same, and was left out (row 1)." in lines
    assert answers() == [("w1", ["x", "w\u200b"], "w\u200b")]


def test_a_column_that_first_occurs_late_counts(load):
    rows = [row(worker=f"w{number}") for number in range(1100)] + [row(worker="late", tie=True)]
    load(as_jsonl(rows))
    assert [said for person, _, said in answers() if person in ("w3", "late")] == [YES, "tie"]


def test_more_answers_in_another_file_join_the_project(load):
    load(as_jsonl([row(id="q1")]))
    load(as_jsonl([row(), row("b", worker="w2", id=17)]), name="more.jsonl")
    assert answers() == [("w1", [YES, YEP], YES), ("w2", [YES, YEP], YEP)]
    assert Prompt.objects.get().external_id == "q1"
    assert Batch.objects.count() == 2


def test_an_import_that_breaks_off_leaves_nothing_and_is_done_again(load, monkeypatch):
    from annotation.importing.judgements import run, writing

    monkeypatch.setattr(run, "ANSWERS_AT_ONCE", 3)
    rows = [row(worker=f"w{number}") for number in range(8)]
    write, calls = writing.Recorder.write, []

    def failing(self, chunk):
        calls.append(len(chunk))
        if len(calls) == 3:
            raise RuntimeError("the power went off")
        write(self, chunk)

    monkeypatch.setattr(writing.Recorder, "write", failing)
    with pytest.raises(RuntimeError):
        load(as_jsonl(rows))
    assert (calls, totals(), Import.objects.get().status) == ([3, 3, 2], [0] * 8, "failed")
    monkeypatch.setattr(writing.Recorder, "write", write)
    load(as_jsonl(rows))
    assert (Annotation.objects.count(), Batch.objects.count(), Batch.objects.get().overlap) == (8, 1, 8)


def test_recorded_answers_freeze_like_any_others(load, hotel, tmp_path, settings):
    from annotation.datasets.freeze import freeze_dataset

    load(as_jsonl([row(), row(worker="w2"), row("b", worker="w3"), row("tie", worker="w4")]))
    version = freeze_dataset(project=hotel, purpose="dpo", actor=None)
    (line,) = (settings.VAR / version.directory / "train.jsonl").read_text().splitlines()
    frozen = json.loads(line)
    assert (frozen["chosen"][0]["content"], frozen["probability"], frozen["tie"]) == (YES, 0.625, 0.25)
    assert frozen["votes"] == 4
    assert version.manifest["annotations"]["annotators"] == 4
