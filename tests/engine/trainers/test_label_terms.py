"""Which parts of people's labels count: what is dropped is dropped from the loss, and a run says what is on."""

import json
from dataclasses import replace

import pytest

from tests.engine.conftest import dpo_rows, make_run, run_here, training
from tests.engine.trainers.test_equality import CLOSE, FIELDS, STEPS, trl_trajectory
from tests.engine.trainers.test_training import logged
from training.contract.config import LoraSettings
from training.engine.data.preferences import pair_terms

pytestmark = pytest.mark.engine


def judged(count=24, **changes):
    """Pairs with ties of a minority, split votes, unequal strengths; each its own prompt."""
    rows = dpo_rows(count)
    for number, row in enumerate(rows):
        row["prompt"][0]["content"] += f" {number}"
        tie = (0.0, 0.2, 1 / 3, 0.0)[number % 4]
        row |= {"tie": tie, "probability": (1 - tie) * (0.75, 1.0, 0.6)[number % 3] + tie / 2, "strength": number % 3}
        row |= changes
    return rows


def run(tiny, folder, rows, **changes):
    changes = {"max_steps": STEPS, "lr_scheduler": "linear", "warmup_ratio": 0.0, "learning_rate": 1e-3, **changes}
    config = training("train_dpo", tiny, lora=LoraSettings(r=4, alpha=8), save_steps=100, **changes)
    directory = make_run(folder, config, rows)
    assert run_here("train_dpo", directory) == 0, directory.read_result()
    return directory


def losses_of(directory):
    return [line["loss"] for line in logged(directory).values()]


def words_of(directory):
    words = directory.read_result()["labels"]["words"]
    checks = json.loads(directory.preflight_path.read_text())["checks"]
    assert [check["words"] for check in checks if check["name"] == "labels"] == [words]
    return words


def test_ties_dropped_and_no_soft_labels_are_trls_plain_dpo(tiny, tmp_path):
    from training.engine.models import loading

    rows = judged()
    plain = {"ties": "drop", "soft_labels": False}
    packed = run(tiny, tmp_path / "packed", rows, **plain)
    padded = run(tiny, tmp_path / "padded", rows, packing=False, **plain)
    config = replace(packed.read_config(), max_length=128)
    theirs = trl_trajectory(loading.load_model(tiny), loading.load_tokenizer(tiny), rows, config, tmp_path / "trl")
    for ours, other, yours in zip(logged(packed).values(), logged(padded).values(), theirs, strict=True):
        for theirs_name, name in FIELDS.items():
            if name == "reward_accuracy" and ours["step"] == 1:
                continue
            assert ours[name] == pytest.approx(yours[theirs_name], rel=CLOSE, abs=CLOSE), (ours["step"], name)
            assert other[name] == pytest.approx(yours[theirs_name], rel=CLOSE, abs=CLOSE), (ours["step"], name)
    assert words_of(packed) == (
        "Labels: soft labels off, ties dropped, as a minority too, weights all equal, no offset: this is plain DPO."
    )
    assert "count for nothing" in words_of(padded)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, ["soft labels on (16 of 24 rows split)", "ties learnt from (12)"]),
        ({"ties": "drop"}, ["soft labels on (16 of 24 rows split)", "ties dropped, as a minority too"]),
        ({"soft_labels": False}, ["soft labels off", "ties learnt from (12)"]),
        ({"strength_offset": 0.5}, ["strength offset 0.5 (16)"]),
    ],
)
def test_a_run_says_which_terms_are_on(tiny, tmp_path, changes, words):
    said = words_of(run(tiny, tmp_path, judged(), max_steps=1, **changes))
    assert all(part in said for part in words), said
    assert "plain DPO" not in said


@pytest.mark.parametrize("others", [{}, {"losses": ("sigmoid", "sft")}, {"losses": ("ipo",)}, {"strength_offset": 0.5}])
def test_dropped_ties_count_as_if_nobody_had_called_them(tiny, tmp_path, others):
    """A row's vote share is among those who took a side already."""
    without = judged()
    shares = pair_terms(without, soft_labels=True, strength_offset=1.0)["p"]
    for row, share in zip(without, shares, strict=True):
        row |= {"tie": 0.0, "probability": share}
    found = [
        losses_of(run(tiny, tmp_path / str(number), rows, max_steps=4, ties="drop", **others))
        for number, rows in enumerate((judged(), without))
    ]
    assert found[0] == pytest.approx(found[1], abs=1e-6)
    learnt = losses_of(run(tiny, tmp_path / "learnt", judged(), max_steps=4, **others))
    assert learnt != pytest.approx(found[0], abs=1e-5)


def test_whole_ties_are_left_out_and_counted(tiny, tmp_path):
    rows = [*judged(16), *judged(4, tie=0.6, probability=0.5)]
    result = run(tiny, tmp_path, rows, max_steps=1, ties="drop").read_result()
    assert result["rows"]["used"] == 16
    assert "ties dropped" in result["labels"]["words"]
