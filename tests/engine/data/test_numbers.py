"""Numbers of a row are finite and in range, or the row of the file is named; also with a share of the rows."""

import math
import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engine.conftest import assistant, dpo_rows, make_run, run_here, sft_rows, training, user
from training.contract.errors import DatasetError
from training.engine.data.numbers import RULES
from training.engine.data.rows import Row, check_columns

pytestmark = pytest.mark.engine

NAN, INF = math.nan, math.inf
WRONG = [
    *(("probability", value) for value in (NAN, INF, -INF, -0.01, 1.01, 5, True, "0.5", [1])),
    *(("tie", value) for value in (NAN, INF, -1, 1.5, "no")),
    *(("weight", value) for value in (NAN, INF, -1, -0.001, True, "2", 10**400)),
    *(("strength", value) for value in (NAN, -INF, -2, "much")),
]
RIGHT = [
    *(("probability", value) for value in (0, 0.0, 1, 0.5, None, Decimal("0.25"))),
    *(("tie", value) for value in (0, 1, True, False, 0.3, None)),
    *(("weight", value) for value in (0, 1, 17.5, None)),
    *(("strength", value) for value in (0, 3, 0.5, None)),
]


def rows_of(purpose):
    if purpose == "dpo":
        return [Row(row, number) for number, row in enumerate(dpo_rows(4), 1)]
    labels = {"label": True} if purpose == "kto" else {}
    return [Row(row | labels, number) for number, row in enumerate(sft_rows(4), 1)]


def with_value(purpose, column, value):
    rows = rows_of(purpose)
    for row in rows:
        row[column] = None
    rows[2][column] = value
    return rows


@pytest.mark.parametrize("purpose", ["sft", "dpo", "kto"])
@pytest.mark.parametrize(("column", "value"), WRONG)
def test_a_number_that_is_none_or_out_of_range_names_its_row(purpose, column, value):
    words = rf"train.parquet, row 3: {column} is .* but must be a"
    with pytest.raises(DatasetError, match=words) as raised:
        check_columns(with_value(purpose, column, value), purpose, "train.parquet")
    assert len(str(raised.value)) < 700
    assert str(raised.value).endswith((" once", " all of them", " for none", " nobody said"))


@pytest.mark.parametrize("purpose", ["sft", "dpo", "kto"])
@pytest.mark.parametrize(("column", "value"), RIGHT)
def test_a_number_in_range_is_read(purpose, column, value):
    check_columns(with_value(purpose, column, value), purpose, "train.parquet")


@given(st.sampled_from(RULES), st.floats() | st.integers())
def test_what_is_accepted_is_finite_and_in_range(rule, value):
    inside = 0 <= value <= rule.maximum and abs(value) < 1.8e308
    assert rule.accepts(value) == inside


@pytest.mark.parametrize(
    ("program", "column", "value"),
    [
        ("train_dpo", "probability", NAN),
        ("train_dpo", "weight", -1.0),
        ("train_dpo", "weight", NAN),
        ("train_dpo", "strength", INF),
        ("train_sft", "weight", NAN),
        ("train_kto", "weight", -3.0),
    ],
)
def test_a_run_ends_before_its_first_step_and_names_the_row(tiny, tmp_path, program, column, value):
    rows = dpo_rows(8) if program == "train_dpo" else sft_rows(8)
    for number, row in enumerate(rows):
        row[column] = 1.0
        if program == "train_kto":
            row["label"] = number % 2 == 0
    rows[5][column] = value
    directory = make_run(tmp_path, training(program, tiny, max_steps=1), rows)
    assert run_here(program, directory) == 1
    assert f"train.parquet, row 6: {column} is {value!r}" in directory.read_result()["error"]
    assert "loss" not in (directory.metrics_path.read_text() if directory.metrics_path.exists() else "")


@pytest.mark.parametrize("weights", [[0.0] * 4, [1e308] * 4])
def test_weights_that_cannot_be_normalized_are_refused(weights):
    from training.engine.data.preferences import pair_terms

    rows = [row | {"weight": weight} for row, weight in zip(dpo_rows(4), weights, strict=True)]
    with pytest.raises(DatasetError, match="weights of 4 rows are"):
        pair_terms(rows, soft_labels=True, strength_offset=0.0)


# ---- row numbers ----


def faults(rows):
    """One row of each fault at the end of a file, by the name under which it is counted."""
    first = dpo_rows(1)[0]
    rows += [
        first | {"prompt": user("pool " * 200), "prompt_id": 101},
        first | {"tie": True, "prompt_id": 102},
        first | {"rejected": first["chosen"], "prompt_id": 103},
        first | {"chosen": assistant("garden " * 200), "prompt_id": 104},
        first | {"rejected": assistant(first["chosen"][0]["content"] + " "), "prompt_id": 105},
        first | {"rejected": assistant("Hey <|endoftext|></s> you"), "prompt_id": 106},
    ]
    return rows


KINDS = ("dropped_too_long", "dropped_ties", "dropped_equal", "truncated", "dropped_equal_tokens")


@pytest.mark.parametrize(("share", "seed"), [(0.5, 1), (0.5, 2), (0.3, 5), (0.8, 4), (1.0, 1)])
def test_with_a_share_the_numbers_are_those_of_the_file(tiny, tmp_path, share, seed):
    from tests.engine.data.tokenizers_of_kinds import prepared
    from training.engine.data.rows import read_rows
    from training.engine.data.subsets import nested_subset
    from training.engine.models import loading

    directory = make_run(tmp_path, training("train_dpo", tiny), faults(dpo_rows(40)))
    rows = nested_subset(read_rows(directory.dataset, "train"), share, seed)
    sequences, counts = prepared(loading.load_tokenizer(tiny), rows, "dpo", max_length=128, stop_ids={0, 1, 2, 3, 4})
    taken = [row.number for row in rows]
    assert len(taken) == round(46 * share)
    for kind, number in zip(KINDS, range(41, 46), strict=True):
        assert counts.listed.get(kind, []) == ([number] if number in taken else [])
    assert [item.number for item in sequences] == [taken[item.row] for item in sequences]


@pytest.mark.parametrize("program", ["train_dpo", "train_sft", "train_kto"])
def test_an_error_with_a_share_names_the_file_s_row(tiny, tmp_path, program):
    side = "chosen" if program == "train_dpo" else "completion"
    rows = dpo_rows(20) if program == "train_dpo" else sft_rows(20)
    for number, row in enumerate(rows):
        row |= {"label": number % 2 == 0} if program == "train_kto" else {}
        row[side] = assistant("")
        row[side][0]["content"] = None if number == 13 else "Thanks."
    for seed in range(1, 30):  # one whose half has row 14, not in its place
        from training.engine.data.subsets import nested_subset

        numbers = [row["prompt_id"] for row in nested_subset(rows, 0.5, seed)]
        if 13 in numbers and numbers.index(13) != 13:
            break
    directory = make_run(tmp_path, training(program, tiny, share=0.5, seed=seed), rows)
    assert run_here(program, directory) == 1
    assert re.search(rf"empty {side}, the first is row 14", directory.read_result()["error"])


def test_held_out_prompts_are_named_by_the_file_s_rows(tmp_path, tiny):
    from tests.engine.conftest import write_rows
    from training.engine.data import leakage
    from training.engine.data.rows import read_rows

    directory = make_run(tmp_path, training("train_sft", tiny), sft_rows(20))
    write_rows(directory, [{**sft_rows(1)[0], "prompt_id": 17}], "held_out")
    rows = read_rows(directory.dataset, "train")[12:]
    with pytest.raises(DatasetError, match=r"prompt_id with held_out.parquet \(row 18\)"):
        leakage.check_held_out(directory.dataset, [row for row in rows if row["prompt"] != sft_rows(1)[0]["prompt"]])


def test_a_margin_that_would_overflow_names_its_row():
    from training.engine.data.preferences import pair_terms

    rows = [Row(row, number) for number, row in enumerate(dpo_rows(4), 1)]
    rows[2]["strength"] = 1e300
    pair_terms(rows, soft_labels=True, strength_offset=0.0)
    with pytest.raises(DatasetError, match=r"Row 3: its strength 1e\+300 times strength_offset 1 is a margin beyond"):
        pair_terms(rows, soft_labels=True, strength_offset=1.0)
