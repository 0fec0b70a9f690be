"""Recorded judgements through the pages, without a script: upload, preview, choose, import; as the command does it."""

import io
import json

import pytest
from celery import current_app

from annotation import jobs
from annotation.models import Annotation, Batch, Import, Prompt, Role, Task
from tests.annotation.importing.helpers import as_csv, as_jsonl
from tests.annotation.importing.judgement_helpers import recorded
from tests.factories import ProjectFactory, UserFactory, join

pytestmark = pytest.mark.django_db

YES, YEP = "It is, madam.", "Yep."


@pytest.fixture
def hotel():
    return ProjectFactory(slug="hotel", held_out_share=0)


@pytest.fixture
def client(hotel, sign_in, monkeypatch):
    monkeypatch.setattr(current_app, "send_task", lambda name, args: None)
    return sign_in(join(hotel, Role.MANAGER))


def row(answer="a", worker="w1", **more):
    return {"text": "Breakfast?", "candidate_a": YES, "candidate_b": YEP, "worker": worker, "answer": answer, **more}


def upload(client, content, name="pairs.jsonl"):
    file = io.BytesIO(content.encode() if isinstance(content, str) else content)
    file.name = name
    answer = client.post("/projects/hotel/import-judgements/", {"file": file})
    assert answer.status_code == 302
    return answer.headers["Location"]


def values_of(form):
    """What a browser sends of a form that nobody touched."""
    return {name: form[name].value() or "" for name in form.fields if name != "keep_good"}


def look(client, address):
    page = client.get(address)
    return page.context, page.content.decode()


def text_of(page):
    return " ".join(page.split())


def test_upload_preview_confirm_result(client, hotel):
    known = UserFactory(email="ryo@example.org")
    rows = [row(), row("b", "ryo@example.org", note="x"), row("tie", "w3"), row("b", "w4")]
    rows += [{**row(), "candidate_b": "", "text": "Late?"}]
    address = upload(client, as_jsonl(rows))
    context, page = look(client, address)
    assert not Prompt.objects.exists()
    survey = context["survey"]
    assert (survey.prompts, survey.tasks, survey.summary.answers, survey.faulty_rows) == (1, 1, 4, 0)
    assert "second text 2 · first text 1 · tie 1" in page
    assert "4 people: 1 has an account, 3 get an account without sign-in" in page
    assert known.email in page
    assert "1 row has fewer than two texts and was left out (row 5)." in page
    assert "Column “note” was not read: 1 row has a value there (first in row 2)." in page
    answer = client.post(address, values_of(context["form"]))
    record = Import.objects.get()
    assert (answer.status_code, record.status) == (302, "queued")
    assert 'hx-trigger="every 1s"' in client.get(f"/imports/{record.pk}/").content.decode()
    jobs.import_file(record.pk)
    result = text_of(client.get(f"/imports/{record.pk}/").content.decode())
    assert "1 prompt and 2 candidates added" in result
    assert "1 task and 4 answers added" in result
    assert f'href="/batches/{Batch.objects.get().pk}/"' in result
    assert [said for _, _, said in recorded()] == [YES, YEP, "tie", YEP]
    assert client.get(f"/batches/{Batch.objects.get().pk}/").status_code == 200
    again, page = look(client, upload(client, as_jsonl(rows)))
    assert "This very file was imported before" in page
    client.post(f"/imports/{Import.objects.first().pk}/judgements/", values_of(again["form"]))
    jobs.import_file(Import.objects.first().pk)
    result = text_of(client.get(f"/imports/{Import.objects.first().pk}/").content.decode())
    assert "0 tasks and 0 answers added" in result
    assert "Nothing in it was new." in result
    assert "4 answers are in the project already and were not added again." in result


def test_columns_are_chosen_by_hand(client, hotel):
    rows = [
        {"q": "Breakfast?", "x": YES, "y": YEP, "who": "w1", "best": "one", "note": ""},
        {"q": "Breakfast?", "x": YES, "y": YEP, "who": "w2", "best": "neither", "note": "?"},
    ]
    address = upload(client, as_csv(rows), "mine.csv")
    context, page = look(client, address)
    assert "no column is the prompt&#x27;s text" in page
    values = values_of(context["form"])
    meanings = ["text", "candidate", "candidate", "worker", "answer", ""]
    values |= {f"meaning-{number}": meaning for number, meaning in enumerate(meanings)}
    values |= {"origin-1": "one", "origin-2": "two", "check": "1"}
    checked = client.post(address, values)
    assert checked.status_code == 200
    survey = checked.context["survey"]
    assert survey.unknown == {"neither": 1}
    assert "“neither” is none of the texts of this row" in checked.content.decode()
    del values["check"]
    refused = client.post(address, {**values_of(checked.context["form"])})
    assert refused.status_code == 302, "the import itself says which rows are at fault"
    jobs.import_file(Import.objects.get().pk)
    assert not Annotation.objects.exists()
    assert "“neither” is none of the texts" in client.get(f"/imports/{Import.objects.get().pk}/").content.decode()
    again = client.get(address)
    values = values_of(again.context["form"])
    place = next(n for n in range(9) if values[f"value-{n}"] == "neither")
    client.post(address, values | {f"means-{place}": "both_bad"})
    jobs.import_file(Import.objects.get().pk)
    assert recorded() == [["w1", [YES, YEP], YES], ["w2", [YES, YEP], "both_bad"]]


@pytest.mark.parametrize(("numbers", "said"), [("from-0", [YES, YEP]), ("first-is-1", [YEP, YES]), ("from-1", None)])
def test_numbers_are_asked_about(client, hotel, numbers, said):
    address = upload(client, as_jsonl([row(0), row(1, "w2")]))
    context, page = look(client, address)
    assert "The answers are the numbers 0, 1, which may mean several things; say what they mean" in page
    assert context["survey"].settled is None
    values = values_of(context["form"])
    assert client.post(address, values).status_code == 422, "nothing is guessed"
    client.post(address, values | {"numbers": numbers})
    jobs.import_file(Import.objects.get().pk)
    assert [answer for *_, answer in recorded()] == (said or [])


def test_scales_are_asked_about(client, hotel):
    rows = [
        {"prompt": "Breakfast?", "response": YES, "helpfulness": 3, "verbosity": 0.5, "worker": "w1"},
        {"prompt": "Breakfast?", "response": YEP, "helpfulness": 1, "verbosity": 1, "worker": "w1"},
    ]
    address = upload(client, as_jsonl(rows))
    context, page = look(client, address)
    assert "The scores of “helpfulness” go from 1 to 3; say what the worst and the best possible score are" in page
    assert [tuple(row["scale"])[:3] for row in context["scale_rows"]] == [
        ("helpfulness", "1", "3"),
        ("verbosity", "0.5", "1"),
    ]
    values = values_of(context["form"]) | {"worst-0": "0", "best-0": "4", "worst-1": "1", "best-1": "0"}
    checked = client.post(address, values | {"check": "1"})
    page = checked.content.decode()
    assert "“helpfulness” is scored from 0 (worst) to 4 (best), in 5 points." in page
    assert "“verbosity” is scored from 1 (worst) to 0 (best), in 3 points." in page
    assert checked.context["survey"].tasks == 2
    wrong = client.post(address, values | {"worst-0": "1", "best-0": "2"})
    assert wrong.status_code == 422
    assert "which are not on the scale 1..2" in wrong.content.decode()
    wrong = client.post(address, values | {"worst-0": "much"})
    assert "Give two different numbers" in wrong.content.decode()
    client.post(address, values)
    jobs.import_file(Import.objects.get().pk)
    assert recorded()[0] == ["w1", [YES], {YES: {"helpfulness": "3 of 0..4", "verbosity": "0.5 of 1..0"}}]
    assert Task.objects.count() == 2
    result = client.get(f"/imports/{Import.objects.get().pk}/").content.decode()
    assert "2 aspects were added to the project: helpfulness, verbosity." in result


COLUMNS = {
    "places": (
        {"text": "q", "candidate_x": YES, "candidate_y": YEP, "who": "w", "first": 2, "second": 1},
        ["text", "candidate", "candidate", "worker", "rank", "rank"],
        {"of-4": "candidate_x", "of-5": "candidate_y"},
        YEP,
    ),
    "winners": (
        {"text": "q", "candidate_x": YES, "candidate_y": YEP, "who": "w", "ok": "yes", "even": "no"},
        ["text", "candidate", "candidate", "worker", "winner", "winner"],
        {"of-4": "candidate_y", "of-5": "tie"},
        YEP,
    ),
    "a person a column": (
        {"text": "q", "candidate_x": YES, "candidate_y": YEP, "hana": "A", "note": ""},
        ["text", "candidate", "candidate", "person", ""],
        {},
        YES,
    ),
    "one person, one better text": (
        {"text": "q", "candidate_x": YES, "candidate_y": YEP},
        ["text", "candidate", "candidate"],
        {"best": "candidate_y", "worker_name": "Hana"},
        YEP,
    ),
    "models": (
        {"text": "q", "candidate_x": YES, "candidate_y": YEP, "who": "w", "m": "gpt", "n": "llama", "it": "llama"},
        ["text", "candidate", "candidate", "worker", "model", "model", "answer"],
        {"of-4": "candidate_x", "of-5": "candidate_y"},
        YEP,
    ),
    "scores side by side": (
        {"text": "q", "candidate_x": YES, "candidate_y": YEP, "who": "w", "s": 1, "t": 5},
        ["text", "candidate", "candidate", "worker", "score", "score"],
        {"of-4": "candidate_x", "of-5": "candidate_y", "aspect-4": "Ton", "aspect-5": "Ton"},
        None,
    ),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_each_meaning_of_a_column(client, hotel, name):
    cells, meanings, more, said = COLUMNS[name]
    address = upload(client, as_csv([cells]), "one.csv")
    values = values_of(client.get(address).context["form"])
    values |= {f"meaning-{number}": meaning for number, meaning in enumerate(meanings)} | more
    if name == "scores side by side":
        asked = client.post(address, values)
        assert "The scores of “Ton” go from 1 to 5" in asked.content.decode()
        values = values_of(asked.context["form"]) | {"worst-0": "1", "best-0": "5"}
    assert client.post(address, values).status_code == 302
    jobs.import_file(Import.objects.get().pk)
    ((_person, shown, answer),) = recorded()
    assert (shown, answer) == ([YES, YEP], said or {YES: {"Ton": "1 of 1..5"}, YEP: {"Ton": "5 of 1..5"}})


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"meaning-3": "rank"}, "Say which text"),
        ({"meaning-3": "answer"}, "has this meaning already"),
        ({"meaning-4": "", "meaning-3": "worker"}, "no column is the answer"),
        ({"meaning-3": ""}, "no column says who answered"),
        ({"meaning-3": "score", "of-3": "candidate_a", "best": "candidate_a"}, "either compare texts or score them"),
    ],
)
def test_what_does_not_fit_is_said_beside_the_columns(client, hotel, change, problem):
    address = upload(client, as_jsonl([row()]))
    values = values_of(client.get(address).context["form"])
    answer = client.post(address, values | change)
    assert answer.status_code == 422
    assert problem in answer.content.decode()
    assert not Prompt.objects.exists()


def test_faults_are_in_the_readers_language(client, hotel, monkeypatch):
    from django.utils import translation

    address = upload(client, as_jsonl([row("c"), row("b", "", time="soon")]))
    record = Import.objects.get()
    client.post(address, values_of(client.get(address).context["form"]))
    jobs.import_file(record.pk)
    record.refresh_from_db()
    assert record.faults[0]["msgid"].startswith("“%(value)s” is none of the texts")
    translations = {
        "“%(value)s” is none of the texts of this row (%(names)s); say what it means": "「%(value)s」不明（%(names)s）",
        "nobody is named as the one who answered; fill it in or delete the row": "回答者なし",
    }
    real = translation.gettext
    monkeypatch.setattr("annotation.core.messages.gettext", lambda msgid: translations.get(msgid) or real(msgid))
    page = client.get(f"/imports/{record.pk}/").content.decode()
    assert "「c」不明（a, b, candidate_a, candidate_b）" in page
    assert "回答者なし" in page
    assert "is none of the texts" not in page
    assert "回答者なし" in client.get(address).content.decode()
    faults = b"".join(client.get(f"/imports/{record.pk}/faults/").streaming_content).decode()
    assert "is none of the texts" in faults


def test_only_managers_and_only_files_of_judgements(client, hotel, sign_in):
    address = upload(client, as_jsonl([row()]))
    record = Import.objects.get()
    assert client.get(f"/imports/{record.pk}/").headers["Location"] == address
    assert client.get(f"/imports/{record.pk}/columns/").status_code == 302
    file = io.BytesIO(as_jsonl([row()]).encode())
    file.name = "prompts.jsonl"
    client.post("/projects/hotel/import/", {"file": file})
    prompts = Import.objects.first()
    assert client.get(f"/imports/{prompts.pk}/judgements/").headers["Location"] == f"/imports/{prompts.pk}/"
    other = sign_in(join(hotel, Role.ANNOTATOR))
    for path in ("/projects/hotel/import-judgements/", address):
        assert other.get(path).status_code == 404
        assert other.post(path).status_code == 404


def test_another_encoding_is_chosen_by_a_button(client, hotel):
    content = as_csv([row(a="x", text="朝食は付いていますか。", candidate_b="はい、付いております。")]).encode("cp932")
    address = upload(client, content, "old.csv")
    context, page = look(client, address)
    assert "cp932" in [name for name, *_ in context["encodings"]]
    answer = client.post(address.replace("judgements", "reread"), {"encoding": "cp932", "delimiter": ""})
    assert answer.headers["Location"] == address
    _, page = look(client, address)
    assert "はい、付いております。" in page


def test_keys_that_occur_late_are_shown(client, hotel):
    rows = [row(worker=f"w{number}") for number in range(30)] + [row(tie=True, worker="late")]
    context, _ = look(client, upload(client, as_jsonl(rows)))
    assert context["form"].columns[-1] == "tie"
    assert context["survey"].summary.verdicts == {"first text": 30, "tie": 1}


def test_what_is_shown_first_is_json_as_well(client, hotel):
    sample = {"prompt": "q", "responses": [YES, YEP, "Sure."], "chosen": YEP, "worker": "w"}
    context, page = look(client, upload(client, json.dumps(sample)))
    assert "best of several 1" in page
    assert context["survey"].judgements.answer == "chosen"
