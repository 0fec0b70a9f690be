"""The sweep over architectures, on a few families; all of them take minutes (`python -m tests.sweep_architectures`)."""

import dataclasses

import pytest

pytestmark = pytest.mark.engine


def test_a_family_in_packed_rows_has_all_its_figures(tmp_path):
    from tests.sweep_architectures import family, report

    row = family.examine("qwen3", tmp_path)
    assert row.packed
    assert row.plain == row.lora_refused == row.merge_refused == row.refused == row.not_built == ""
    assert row.lora == "28 of 28"
    assert report.problems(row) == []
    assert None not in (row.rows, row.reported, row.merge, row.first_loss)
    assert "| `qwen3` | packed |" in report.markdown([row], {})


def test_a_family_of_linear_attention_is_trained_by_plain_trl_with_the_reason(tmp_path):
    from tests.sweep_architectures import family, report

    row = family.examine("qwen3_next", tmp_path)
    assert row.how == "plain TRL"
    assert row.plain.startswith("qwen3_next ")
    assert row.rows is None
    assert f"## Plain TRL, and why\n\n- `qwen3_next`: {row.plain}" in report.markdown([row], {})


def test_a_family_that_cannot_be_built_is_named_with_its_reason(tmp_path, monkeypatch):
    from tests.sweep_architectures import configurations, family, report

    monkeypatch.setitem(configurations.FAMILIES, "llama", {"num_attention_heads": 7})
    row = family.examine("llama", tmp_path)
    assert row.not_built
    assert f"## Not built\n\n- `llama`: {report.one_line(row.not_built)}" in report.markdown([row], {})
    assert report.problems(row) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"rows": 0.5}, "log-probabilities differ by 0.5 in packed rows"),
        ({"rows": float("nan")}, "log-probabilities differ by nan in packed rows"),
        ({"reported": 0.01}, "off by 0.01"),
        ({"first_loss": 0.7}, "the first loss is 0.70000"),
        ({"first_loss": 0.69, "auxiliary": True}, "without the router's loss"),
        ({"merge": 0.1}, "logits differ by 0.1 after merging"),
        ({"unmoved": ("q_proj.lora_B",)}, "1 adapters have not moved, which have a gradient: q_proj.lora_B"),
        ({"scored": 0.01}, "the evaluation's log-probabilities are off by 0.01"),
        ({"refused": "KeyError: 'k'. The traceback is in the log."}, "refused: KeyError: 'k'. The traceback"),
        ({"lora_refused": "KeyError: 'k'. The traceback is in the log."}, "refused with LoRA: KeyError: 'k'."),
    ],
)
def test_problems_are_named(change, words):
    from tests.sweep_architectures import family, report

    good = family.Row("llama", packed=True, rows=1e-5, reported=1e-7, lora="4 of 4", merge=1e-6, first_loss=0.693147)
    assert report.problems(good) == []
    (problem,) = report.problems(dataclasses.replace(good, **change))
    assert words in problem
    assert f"- `llama`: {problem}" in report.markdown([dataclasses.replace(good, **change)], {})


def test_a_refusal_with_a_reason_is_no_problem_and_has_its_list():
    from tests.sweep_architectures import family, report

    row = family.Row("cpmant", refused="it reads padding. Train another model", lora_refused="it reads padding.")
    assert report.problems(row) == []
    text = report.markdown([row], {})
    assert "## Refused before a step, and why\n\n- `cpmant`: it reads padding. Train another model" in text
    assert "## Problems" not in text
    assert "## LoRA" not in text


def test_a_family_whose_padding_is_read_as_text_is_refused_and_evaluated_one_by_one(tmp_path):
    from tests.sweep_architectures import family, report

    row = family.examine("cpmant", tmp_path)
    assert "does not tell padding from text" in row.refused
    assert row.scored < report.REPORTED
    assert report.problems(row) == []
