"""The layouts of docs/importing.md load as it says, in JSONL and in Parquet."""

import json
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.core.management import call_command

from annotation.models import Prompt
from tests.factories import ProjectFactory

pytestmark = pytest.mark.django_db

DOC = Path(__file__).parents[3] / "docs" / "importing.md"
SAMPLE = re.compile(r"^### (.+?)\n(?:(?!^###).)*?^```jsonl\n(.*?)^```\n+^```json\n(.*?)^```", re.MULTILINE | re.DOTALL)
LAYOUTS = SAMPLE.findall(DOC.read_text(encoding="utf-8"))


def first_prompt() -> dict:
    prompt = Prompt.objects.order_by("pk").first()
    fields = {
        name: getattr(prompt, name)
        for name in ("text", "messages", "reference", "external_id", "source_document", "metadata")
    }
    candidates = [[c.origin, c.text] for c in prompt.candidates.order_by("pk")]
    return {name: value for name, value in {**fields, "candidates": candidates}.items() if value}


def test_every_layout_has_a_sample():
    section = DOC.read_text(encoding="utf-8").split("## Layouts")[1].split("\n## ")[0]
    assert [name for name, _, _ in LAYOUTS] == re.findall(r"^### (.+)$", section, re.MULTILINE)
    assert len(LAYOUTS) >= 15


@pytest.mark.parametrize("format", ["jsonl", "parquet"])
@pytest.mark.parametrize(("sample", "expected"), [row[1:] for row in LAYOUTS], ids=[row[0] for row in LAYOUTS])
def test_a_layout_loads_as_documented(sample, expected, format, tmp_path):
    ProjectFactory(slug="hotel")
    path = tmp_path / f"sample.{format}"
    if format == "jsonl":
        path.write_text(sample, encoding="utf-8")
    else:
        pq.write_table(pa.Table.from_pylist([json.loads(line) for line in sample.splitlines()]), path)
    call_command("import_prompts", "hotel", str(path))
    assert first_prompt() == json.loads(expected)
    assert Prompt.objects.count() == len(sample.splitlines())
