"""The layouts of docs/judgements.md load as it says; public sets load as they are."""

import json
import os
import re
import shlex
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.core.management import CommandError, call_command

from annotation.models import Annotation, Candidate, Prompt, Task
from tests.annotation.importing.judgement_helpers import recorded
from tests.factories import ProjectFactory

pytestmark = pytest.mark.django_db

DOC = Path(__file__).parents[3] / "docs" / "judgements.md"
SAMPLE = re.compile(
    r"^### (.+?)\n(?:(?!^###).)*?^```jsonl\n(.*?)^```\n+(?:^```sh\n(.*?)^```\n+)?^```json\n(.*?)^```",
    re.MULTILINE | re.DOTALL,
)
LAYOUTS = SAMPLE.findall(DOC.read_text(encoding="utf-8"))
DATA = Path(os.environ.get("PREFERENCE_DATA", "../shared/data"))


def public(name: str) -> Path:
    path = DATA / name
    if not path.is_file():
        pytest.skip(f"PREFERENCE_DATA has no {name}")
    return path


def first_rows(name: str, count: int, tmp_path: Path) -> tuple[Path, list[dict]]:
    """The first rows of a public file, byte for byte."""
    with public(name).open(encoding="utf-8") as file:
        lines = [line for line, _ in zip(file, range(count), strict=False)]
    path = tmp_path / name
    path.write_text("".join(lines), encoding="utf-8")
    return path, [json.loads(line) for line in lines]


def test_every_layout_has_a_sample():
    section = DOC.read_text(encoding="utf-8").split("## Layouts")[1]
    assert [name for name, *_ in LAYOUTS] == re.findall(r"^### (.+)$", section, re.MULTILINE)
    assert len(LAYOUTS) >= 18


@pytest.mark.parametrize("format", ["jsonl", "parquet"])
@pytest.mark.parametrize(
    ("sample", "options", "expected"), [row[1:] for row in LAYOUTS], ids=[row[0] for row in LAYOUTS]
)
def test_a_layout_loads_as_documented(sample, options, expected, format, tmp_path):
    ProjectFactory(slug="hotel", held_out_share=0)
    path = tmp_path / f"sample.{format}"
    if format == "jsonl":
        path.write_text(sample, encoding="utf-8")
    else:
        pq.write_table(pa.Table.from_pylist([json.loads(line) for line in sample.splitlines()]), path)
    call_command("import_judgements", "hotel", str(path), *shlex.split(options))
    assert recorded() == json.loads(expected)
    before = Annotation.objects.count(), Task.objects.count(), Candidate.objects.count()
    call_command("import_judgements", "hotel", str(path), *shlex.split(options))
    assert (Annotation.objects.count(), Task.objects.count(), Candidate.objects.count()) == before


def test_models_are_origins_that_nobody_sees():
    sample = next(sample for name, sample, *_ in LAYOUTS if name == "Models and a winner")
    assert "llama3:8b" in sample


# ---- public sets, as they are ----


def test_pandalm_as_it_is(tmp_path, capsys):
    """999 pairs with three annotators each, a column a person."""
    path, rows = first_rows("pandalm_testset_v1.jsonl", 250, tmp_path)
    ProjectFactory(slug="hotel", held_out_share=0)
    with pytest.raises(CommandError) as error:
        call_command("import_judgements", "hotel", str(path))
    assert "column annotator" in str(error.value)
    (remedy,) = re.findall(r"^Option: (.*)", str(error.value), re.MULTILINE)
    assert remedy == "--answer=0=MEANING"
    call_command("import_judgements", "hotel", str(path), *shlex.split(remedy.replace("MEANING", "tie")), "--keep-good")
    texts = dict(Candidate.objects.values_list("pk", "text"))
    said = Counter()
    for answer in Annotation.objects.select_related("annotator"):
        chosen = answer.payload["chosen"]
        said[answer.annotator.name, texts.get(chosen, answer.payload["choice"])] += 1
    usable = [
        row
        for row in rows
        if all(isinstance(row[name], str) and row[name].strip() for name in ("response1", "response2"))
        and "".join(row["response1"].split()) != "".join(row["response2"].split())
    ]
    names = ("annotator1", "annotator2", "annotator3")
    truth = Counter((name, row[f"response{row[name]}"] if row[name] else "tie") for row in usable for name in names)
    assert said == truth


def test_mlqe_scores_as_they_are(tmp_path, capsys):
    """9,000 translations with three or six scores from 0 to 100; who gave them is known by place only."""
    path, rows = first_rows("mlqe_pe_ende.jsonl", 400, tmp_path)
    ProjectFactory(slug="hotel", held_out_share=0)
    with pytest.raises(CommandError) as error:
        call_command("import_judgements", "hotel", str(path))
    assert "no column says who answered" in str(error.value)
    with pytest.raises(CommandError, match=r"“da_scores” go from \d+ to 100; say what the worst and the best"):
        call_command("import_judgements", "hotel", str(path), "--worker", "da")
    call_command("import_judgements", "hotel", str(path), "--worker", "da", "--scale", "da_scores=0..100")
    assert "People are known by their place in a list: " in capsys.readouterr().out
    points = Counter()
    for answer in Annotation.objects.select_related("task__prompt", "annotator"):
        ((_text, scores),) = answer.payload["scores"].items()
        points[answer.annotator.name, scores["da_scores"] - 1] += 1
    assert points == Counter((f"da {place}", score) for row in rows for place, score in enumerate(row["da_scores"], 1))
    assert Prompt.objects.count() == len({row["source"] for row in rows})


def test_hh_rlhf_as_it_is(tmp_path, capsys):
    """The chosen text is the better one; four texts of the set are empty."""
    path, rows = first_rows("hh_rlhf_harmless_base_test.jsonl", 300, tmp_path)
    ProjectFactory(slug="hotel", held_out_share=0)
    call_command("import_judgements", "hotel", str(path), "--worker", "crowd")
    out = capsys.readouterr().out
    assert "In every row “chosen” is the better text." in out
    empty = sum(not row["chosen"].strip() or not row["rejected"].strip() for row in rows)
    same = sum(row["chosen"].split() == row["rejected"].split() for row in rows)
    assert Annotation.objects.count() >= len(rows) - empty - same - 2
    texts = dict(Candidate.objects.values_list("pk", "text"))
    pairs = {(row["chosen"], row["rejected"]) for row in rows}
    for answer in Annotation.objects.all():
        one, two = (texts[key] for key in answer.payload["shown"])
        assert (one, two) in pairs
        assert texts[answer.payload["chosen"]] == one


def test_cocoa_pairs_where_one_is_better_in_every_row(tmp_path, capsys):
    path, rows = first_rows("cocoa_mt_enja.jsonl", 200, tmp_path)
    ProjectFactory(slug="hotel", held_out_share=0)
    call_command(
        "import_judgements",
        "hotel",
        str(path),
        *("--candidate", "formal=import:formal", "--candidate", "informal=import:informal"),
        *("--best", "formal", "--worker", "cocoa"),
    )
    differing = [row for row in rows if row["formal"] != row["informal"]]
    assert Annotation.objects.count() == len(differing)
    origins = dict(Candidate.objects.values_list("pk", "origin"))
    assert {origins[answer.payload["chosen"]] for answer in Annotation.objects.all()} == {"import:formal"}
