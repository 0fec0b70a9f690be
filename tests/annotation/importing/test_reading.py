"""How text files are read: encodings, delimiters and quotation marks; and every remedy that an error names works."""

import json
import re
import shlex
import tempfile
from pathlib import Path
from unittest import mock

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from hypothesis import given
from hypothesis import strategies as st

import annotation
from annotation.importing.run import ImportRefused
from annotation.models import Candidate, Import, Prompt, Role
from annotation.preparation.encodings import likely_encodings
from annotation.preparation.formats import json_values
from annotation.preparation.formats.text_file import TextFile
from tests.factories import ProjectFactory, join

pytestmark = pytest.mark.django_db

RUSSIAN = "text,candidate_a\n" + "".join(f"{n} Номер был чистым,Спасибо\n" for n in range(5))
JAPANESE = "text,candidate_a\n部屋が①番で髙い～,はい\n"
EXCEL = (
    'text\tcandidate_a\tcandidate_b\r\n"Hello, world"\tbonjour\t"salut, monde"\r\n"She said ""no"""\tnon\tjamais\r\n'
)


def project(source="en", target="ja"):
    return ProjectFactory(slug="hotel", source_language=source, target_language=target)


def load(tmp_path, name, content, *options) -> None:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    call_command("import_prompts", "hotel", str(path), *options)


# ---- quotation marks and delimiters ----


@pytest.mark.parametrize(
    ("content", "texts"),
    [
        (EXCEL, ["Hello, world", 'She said "no"']),
        ('text\tref\n"two\nlines"\ta\nplain\tb\n', ["two\nlines", "plain"]),
        ('text\tref\n"a\tb"\tc\n', ["a\tb"]),
        ('"text"\t"ref"\n"one"\t"a"\n"two"\t"b"\n', ["one", "two"]),  # all cells quoted
        ('"text"\t"ref"\n"one"\t"a"\n', ["one"]),
        ('text\tref\n"Hello" she said\tHe said "no\n', ['"Hello" she said']),
        ('text\tref\n"Hello"\ta\nshe said "no"\tb\n', ['"Hello"', 'she said "no"']),
        ('text\tref\n5" pipe\ta\n', ['5" pipe']),
        ('text\tref\n"open\ta\nnext\tb\n', ['"open', "next"]),
        ('text\tref\n"Hello"\ta\nplain\tb\n', ['"Hello"', "plain"]),
    ],
)
def test_quotation_marks_of_a_tsv_are_what_the_content_shows(tmp_path, capsys, content, texts):
    project()
    load(tmp_path, "a.tsv", content.encode("utf-16"))
    assert list(Prompt.objects.order_by("pk").values_list("text", flat=True)) == texts
    said = capsys.readouterr().out
    quoted = '"' not in texts[0] or texts[-1] == 'She said "no"'
    assert ("cells may be in quotation marks" in said) == quoted
    assert ("quotation marks are part of the texts" in said) == (not quoted)


@pytest.mark.parametrize(
    "content",
    [
        "\ufeffsep=;\ntext;candidate_a\nHallo, du;a\n",
        '"sep=;"\ntext;candidate_a\n"Hallo, du";a\n',
        "sep=|\r\ntext|candidate_a\r\nHallo, du|a\r\n",
        "sep=\t\ntext\tcandidate_a\nHallo, du\ta\n",
        "sep=\\t\ntext\tcandidate_a\nHallo, du\ta\n",
        "SEP=;\ntext;candidate_a\nHallo, du;a\n",
        "sep=; \r\ntext;candidate_a\r\nHallo, du;a\r\n",
        'sep=,,\ntext,candidate_a\n"Hallo, du",a\n',  # saved again as CSV
    ],
)
def test_a_first_line_may_name_the_delimiter(tmp_path, content):
    project()
    load(tmp_path, "a.csv", content)
    assert (Prompt.objects.get().text, Candidate.objects.get().text) == ("Hallo, du", "a")


def test_rows_are_counted_as_the_spreadsheet_shows_them(tmp_path):
    project()
    with pytest.raises(CommandError, match="row 3, column 'text': the text is empty"):
        load(tmp_path, "a.csv", "sep=;\ntext;id\nOne;1\n;2\n")


@pytest.mark.parametrize(
    ("name", "content", "mark"),
    [
        ("a.csv", "id;text\n1;Hello, you\n2;Bye\n", ";"),
        ("b.csv", "id|text\n1|Hello, you\n", "|"),
        ("c.csv", "id\ttext\n1\tHello, you\n", "tab"),
        ("d.csv", "id;text;a, b\n1;Hello, you;x\n2;Bye;x\n", ";"),
        ("e.csv", 'id;text\n1;"Hello, you"\n2;"two\nlines; here"\n', ";"),
        ("f.tsv", "id;text\n1;Hello, you\n", ";"),
        ("g.tsv", 'id,text\n1,"Hello, you"\n', "comma"),
        ("h.csv", "id,text\n1,Hello; you\n", "comma"),
        ("i.csv", "text\nHello; you\nBye\n", "comma"),
    ],
)
def test_cells_are_separated_by_what_all_rows_show(tmp_path, capsys, name, content, mark):
    project()
    load(tmp_path, name, content)
    assert Prompt.objects.order_by("pk")[0].text in ("Hello, you", "Hello; you")
    assert f"separated by {mark}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "\ufeff\ufefftext,candidate_a\nOne,1\nTwo,2\n"),
        ("a.csv", "\ufefftext\u200b,\u200bcandidate_a\nOne,1\nTwo,2\n"),
        ("a.jsonl", '{"text": "One", "candidate_a": "1"}\n\ufeff{"text": "Two", "candidate_a": "2"}\n'),
        ("a.tsv", "\ufefftext\ufeff\tcandidate_a\nOne\t1\nTwo\t2\n"),
    ],
)
def test_byte_order_marks_within_a_file_are_no_text(tmp_path, name, content):
    """Files that were put together, or saved twice, have them."""
    project()
    load(tmp_path, name, content)
    assert [(p.text, p.candidates.get().text) for p in Prompt.objects.order_by("pk")] == [("One", "1"), ("Two", "2")]


@pytest.mark.parametrize("mark", ["^", ":", "~"])
def test_a_rare_delimiter_is_named_and_the_option_works(tmp_path, mark):
    project()
    content = f"text{mark}candidate_a\nHello, you{mark}a\n"
    with pytest.raises(CommandError, match=re.escape(f"separated by '{mark}'")) as refused:
        load(tmp_path, "a.csv", content)
    (option,) = re.findall(r"^Option: (.+)$", str(refused.value), re.MULTILINE)
    load(tmp_path, "a.csv", content, *shlex.split(option))
    assert (Prompt.objects.get().text, Candidate.objects.get().text) == ("Hello, you", "a")


# ---- JSON that is not one object a line ----

ITEMS = [{"text": "One", "candidate_a": "1"}, {"text": "Two", "candidate_a": "2"}]
COLUMNS = {"text": ["One", "Two"], "candidate_a": ["1", "2"]}
JSON = {
    "a list of objects": json.dumps(ITEMS, indent=1),
    "a list in one line": json.dumps(ITEMS),
    "columns": json.dumps(COLUMNS),
    "columns as pandas writes them": json.dumps({k: dict(enumerate(v)) for k, v in COLUMNS.items()}, indent=2),
    "a list inside": json.dumps({"version": "1.1", "data": ITEMS}),
    "objects over several lines": "\n".join(json.dumps(item, indent=2) for item in ITEMS),
    "one object a line": "\n".join(map(json.dumps, ITEMS)),
    "a byte order mark": "\ufeff" + json.dumps(ITEMS),
}


@pytest.mark.parametrize("ending", ["json", "jsonl"])
@pytest.mark.parametrize("content", JSON.values(), ids=JSON)
def test_json_files_load_in_the_layouts_that_programs_write(tmp_path, capsys, content, ending):
    project()
    if ending == "jsonl" and "\n" not in content and content.startswith("{"):
        return  # one line with one object is one row there
    load(tmp_path, f"a.{ending}", content)
    assert [(p.text, p.candidates.get().text) for p in Prompt.objects.order_by("pk")] == [("One", "1"), ("Two", "2")]
    assert "read as JSON" in capsys.readouterr().out


def test_a_json_file_with_one_prompt_is_one_row(tmp_path):
    project()
    chat = {"messages": [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi"}]}
    load(tmp_path, "a.json", json.dumps(chat))
    load(tmp_path, "b.json", json.dumps({"text": "Bye", "candidates": ["a", "b"]}, indent=2))
    assert [p.text for p in Prompt.objects.order_by("pk")] == ["Hello", "Bye"]
    assert Candidate.objects.count() == 2


def test_faults_of_a_list_are_named_by_its_items(tmp_path):
    project()
    with pytest.raises(CommandError, match="row 2: not an object"):
        load(tmp_path, "a.json", '[{"text": "One"}, 5]')
    with pytest.raises(CommandError, match="after 1 items: not JSON: Unterminated string"):
        load(tmp_path, "b.json", '[{"text": "One"}, {"text": "Tw')
    with pytest.raises(CommandError, match="more follows after the end of the list"):
        load(tmp_path, "c.json", '[{"text": "One"}] {}')
    load(tmp_path, "d.json", '[{"text": "One"}, {"text": 5}, {"text": "Two"}]', "--keep-good")
    rest = Path(settings.VAR) / Import.objects.latest("pk").rest_path
    assert json.loads(rest.read_text()) == {"text": 5}


@given(st.lists(st.dictionaries(st.text(max_size=5), st.text(max_size=400) | st.floats(allow_nan=False)), max_size=8))
def test_a_list_is_read_in_pieces_as_json_reads_it(items):
    with tempfile.TemporaryDirectory() as folder, mock.patch.object(json_values, "PIECE", 37):
        path = Path(folder) / "a.json"
        path.write_text(json.dumps(items, indent=len(items) % 3, ensure_ascii=False), encoding="utf-8")
        table = json_values.JsonTable.__new__(json_values.JsonTable)
        table.text, table.filename = TextFile(path, "a.json", "utf-8"), "a.json"
        table.decoder = json.JSONDecoder()
        assert list(table.values()) == items


# ---- encodings ----


@pytest.mark.parametrize(
    ("languages", "content", "encoding"),
    [
        (("en", "ja"), JAPANESE, "cp932"),
        (("ja", "en"), JAPANESE.replace("①", "一").replace("髙", "高").replace("～", "。"), "euc-jp"),
        (("ru", "en"), RUSSIAN, "cp1251"),
        (("en", "ru"), RUSSIAN, "koi8-r"),
        (("en", "uk"), RUSSIAN.replace("Спасибо", "Дякую їй"), "cp1251"),
        (("en", "fr"), "text\nUn café s'il vous plaît\nÀ bientôt\n", "cp1252"),
        (("en", "de"), "text\nSchöne Grüße aus Österreich\n", "cp1252"),
        (("en", "pl"), "text\nZażółć gęślą jaźń\n", "cp1250"),
        (("en", "cs"), "text\nPříliš žluťoučký kůň\n", "cp1250"),
        (("en", "el"), "text\nΤο δωμάτιο ήταν καθαρό\n", "cp1253"),
        (("en", "he"), "text\nהחדר היה נקי\n", "cp1255"),
        (("en", "ar"), "text\nكانت الغرفة نظيفة\n", "cp1256"),
        (("en", "ko"), "text\n방이 깨끗했습니다\n", "cp949"),
        (("en", "zh"), "text\n房间很干净，谢谢\n", "gb18030"),
        (("en", "zh-TW"), "text\n房間很乾淨，謝謝\n", "big5"),
        (("en", "th"), "text\nห้องสะอาดมาก\n", "cp874"),
        (("en", "tr"), "text\nOdamız çok güzeldi teşekkürler\n", "cp1254"),
        (("en", "fr"), "text\nDéjà vu : c’est l’été “ici” — œuf\n", "cp1252"),
        (("en", "fr"), "text\nDéjà vu : c’est l’été “ici” — œuf\n", "mac-roman"),
        (("en", "de"), "text\nGröße übermäßig schön\n", "mac-roman"),
        (("en", "de"), "text\nGröße übermäßig schön\n", "cp850"),
        (("en", "pl"), "text\nZażółć gęślą jaźń\n", "iso8859-2"),
        (("en", "uk"), "text\nКімната була чиста і їжа смачна\n", "cp1251"),  # its first two bytes may be UTF-8
        (("en", "zh"), "text\n乱码很多，早餐也很好吃。\n", "gb18030"),
        (("en", "ja"), "text\n部屋は静かでした。\n", "iso2022_jp"),
        (("en", "ko"), "text\n방이 깨끗했습니다\n", "iso2022_kr"),
        (("en", "ja"), "text\n部屋は静かでした。\n", "utf-16-le"),
        (("en", "ja"), "text\n部屋は静かでした。\n", "utf-16-be"),
    ],
)
def test_the_encoding_of_the_projects_languages_is_suggested_first(tmp_path, languages, content, encoding):
    project(*languages)
    name = f"{encoding}.csv"
    with pytest.raises(CommandError) as refused:
        load(tmp_path, name, content.encode(encoding))
    assert not Prompt.objects.exists(), "nothing is imported on a guess"
    options = re.findall(r"^Option: (.+)$", str(refused.value), re.MULTILINE)
    assert options[0] == f"--encoding {encoding}"
    assert any(word in str(refused.value) for word in content.split("\n")[1].split(",")), "a sample of the text"
    load(tmp_path, name, content.encode(encoding), *shlex.split(options[0]))
    assert Prompt.objects.order_by("pk")[0].text in content


@pytest.mark.parametrize(
    "content",
    [
        "text\nLe café\nL’été".encode()[:-1],
        "text\n部屋は静か\n".encode()[:-2],
        "text\nLe café est bon dès l’été à Genève\n".encode() + b"\xff\n",
        "text\nДом\n".encode() + "Номер был \n".encode()[:-3] + "чистым\n".encode(),
    ],
)
def test_a_file_that_was_cut_off_is_not_taken_for_another_encoding(tmp_path, content):
    project("en", "fr")
    with pytest.raises(CommandError, match="the file was cut off or damaged there"):
        load(tmp_path, "a.csv", content)


def test_two_readings_are_shown_to_compare():
    found = likely_encodings(RUSSIAN.encode("cp1251"), ("ru", "en"))
    assert len(found) >= 2
    assert found[0] == ("cp1251", "0 Номер был чистым,Спасибо")
    assert len({text for _, text in found}) == len(found)


def test_the_page_shows_the_readings_and_a_click_chooses_one(sign_in, tmp_path):
    client = sign_in(join(project("ru", "en"), Role.MANAGER))
    path = tmp_path / "old.csv"
    path.write_bytes(RUSSIAN.encode("cp1251"))
    with path.open("rb") as file:
        client.post("/projects/hotel/import/", {"file": file})
    record = Import.objects.get()
    page = client.get(f"/imports/{record.pk}/")
    assert page.context["encodings"][0][0] == "cp1251"
    text = page.content.decode()
    assert "Which of these reads right?" in text
    assert "Номер был чистым" in text
    assert "--encoding" not in text
    client.post(f"/imports/{record.pk}/reread/", {"encoding": "cp1251", "delimiter": ""})
    page = client.get(f"/imports/{record.pk}/")
    assert page.context["preview"].survey.prompts == 5


# ---- remedies ----

REMEDIES = [
    ("open.csv", 'text,candidate_a,candidate_b\n"open,hello,there\nnext,a,b\n', 2),
    ("after.csv", 'text,ref\n"Hel"lo,a\n', 1),
    ("latin.tsv", "text\nUn café\n".encode("cp1252"), 1),
    ("no-mark.csv", "text\nHello\n".encode("utf-16-le"), 1),
    ("no-mark-be.csv", "text\nHello\n".encode("utf-16-be"), 1),
    ("two-marks.csv", "id;text;note|x\n1;Hello;a|b\n", 1),
    ("notes.txt", "id,text\n1,Hello\n", 1),
    ("tabs.txt", "id\ttext\n1\tHello\n", 1),
    ("no-ending", '{"text": "Hello"}\n', 1),
    ("list.data", '[{"text": "Hello"}]', 1),
    ("no-text.csv", "id,body\n1,Hello\n", 1),
    ("no-text.jsonl", '{"id": 1, "body": "Hello"}\n', 1),
]


@pytest.mark.parametrize(("name", "content", "prompts"), REMEDIES, ids=[row[0] for row in REMEDIES])
def test_every_option_that_an_error_names_works(tmp_path, name, content, prompts):
    project("en", "fr")
    with pytest.raises(CommandError) as refused:
        load(tmp_path, name, content)
    options = re.findall(r"^Option: (.+)$", str(refused.value), re.MULTILINE)
    assert options
    for option in options:
        Prompt.objects.all().delete()
        load(tmp_path, name, content, *shlex.split(option.replace("COLUMN", "body")))
        assert Prompt.objects.count() == prompts, option


def test_pages_do_not_speak_command_line():
    """Messages of faults are for everybody: options stand beside them, for the command alone."""
    root = Path(annotation.__file__).parent
    for path in [*root.glob("preparation/**/*.py"), *root.glob("importing/*.py")]:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            allowed = "options" in line or "commands=" in line or 'MappingError(f"--' in line
            assert allowed or not re.search(r"--[a-z]|\bjq\b|gunzip|manage\.py", line) or "judgements" in path.name, (
                f"{path.name}:{number}: {line}"
            )


def test_a_refusal_carries_its_options(tmp_path):
    from annotation.importing.run import import_file

    path = tmp_path / "a.csv"
    path.write_text('text\n"open\n')
    with pytest.raises(ImportRefused) as refused:
        import_file(project=project(), path=path, filename="a.csv", actor=None)
    assert refused.value.options == ("--no-quoted",)
    assert "--" not in refused.value.record.error
