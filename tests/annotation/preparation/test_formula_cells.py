"""Cells that a spreadsheet would run as formulas, wherever people's words leave the site as a table."""

import csv

import pytest
from django.urls import reverse
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from annotation.models import Assignment, Role, TimeSpent
from annotation.preparation.parsed import Fault
from annotation.preparation.rejected_rows import FaultLog, neutral_cell
from annotation.queue.claims import claim_next
from tests.annotation.helpers import batch_of, hotel
from tests.factories import join

FORMULAS = [
    "=1+1",
    "+1",
    "-1+2",
    "@SUM(A1)",
    " =1+1",
    "\n=1+1",
    "\r\n=1+1",
    "\t=1+1",
    "\u00a0=1+1",
    "\u3000=1+1",
    "\u200b=1+1",
    "\ufeff=1+1",
    "\u2060\u200d =1+1",
    "\u3164=1+1",
    "\u034f\ufe0f=1+1",
    "\u2800=1+1",
    "\x00=1+1",
    "＝1+1",
    "＋1",
    "－1",
    "＠SUM(A1)",
    " \u200b＝1+1",
    '"=1+1',
    "﹦1",
    "\u22121",
]
SIGNS = "=+-@＝＋－＠﹦\u2212"
PLAIN = ["Hana", "a=b", "3-4", "x+y", "山田 花子", "", "«=1»", "no @ sign first", "1", "#1", "'quoted'"]


@pytest.mark.parametrize("text", FORMULAS)
def test_a_formula_becomes_text(text):
    neutral = neutral_cell(text)
    assert neutral.replace("'", "") == text
    assert "'" in neutral[: next(place for place, sign in enumerate(neutral) if sign in SIGNS)]


@pytest.mark.parametrize("text", PLAIN)
def test_other_texts_stay_as_they_are(text):
    assert neutral_cell(text) == text


@given(st.text(), st.sampled_from("=+-@＝＋－＠"), st.text(alphabet=" \t\r\n\u200b\u00a0\ufeff\u3000", max_size=4))
def test_nothing_invisible_hides_a_formula(rest, sign, before):
    cell = neutral_cell(before + sign + rest)
    assert "'" in cell[: cell.index(sign)]


@pytest.mark.parametrize("name", ["=HYPERLINK(1)", "\u200b=1+1", "＝1+1", "Hana;=1+1", "Hana,=1+1", "Hana\t=1+1"])
def test_a_name_on_the_time_sheet_is_no_formula(db, sign_in, name):
    project = hotel(prompts=1)
    hana, mio = join(project, Role.ANNOTATOR), join(project, Role.MANAGER)
    hana.name = name
    hana.save()
    assignment = claim_next(batch=batch_of(project), annotator=hana)
    now = timezone.now()
    TimeSpent.objects.create(
        annotator=hana,
        batch_id=assignment.batch_id,
        assignment=Assignment.objects.get(pk=assignment.pk),
        visit="visit-one",
        active_seconds=60,
        began_at=now,
        seen_at=now,
    )
    text = sign_in(mio).get(reverse("time_file", args=[project.slug])).content.decode("utf-8-sig")
    # Whatever delimiter the spreadsheet's language takes, no cell begins with a formula.
    for delimiter in ",;\t":
        for row in csv.reader(text.splitlines(), delimiter=delimiter):
            for cell in row:
                assert not cell.strip(" \u200b\ufeff").startswith(("=", "+", "-", "@", "＝"))


def test_the_faults_of_an_import_are_no_formulas(tmp_path):
    with FaultLog(tmp_path / "faults.csv") as log:
        log.add(Fault(2, "=cmd", "\u200b＝1+1"))
    row = list(csv.reader((tmp_path / "faults.csv").open(encoding="utf-8")))[1]
    assert row == ["2", "'=cmd", "'\u200b＝1+1"]
