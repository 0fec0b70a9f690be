"""KTO as the site runs it: unpaired rows, weights that balance them, resume, and what it refuses."""

import shutil

import pytest

from tests.engine.conftest import assistant, chat, make_run, run_for_the_site, run_here, training, user
from tests.engine.trainers.test_training import equal, events, logged, weights
from training.contract.config import ConfigError, ModelSource, TrainingConfig
from training.contract.run_directory import RunDirectory
from training.engine.train_kto import mismatched
from training.engine.train_kto import weights as kto_weights

pytestmark = pytest.mark.engine


def kto_rows(count: int = 30, good_in: int = 2) -> list[dict]:
    """Formal replies are desirable, casual ones are not; every `good_in`th row is a formal one."""
    rows = []
    for number in range(count):
        review, formal, casual = chat(number)
        good = number % good_in == 0
        text = assistant(formal if good else casual)
        rows.append({"prompt": user(review), "completion": text, "label": good, "prompt_id": number})
    return rows


def test_kto_on_an_sft_adapter_begins_at_one_half_and_tells_good_from_bad(tiny, sft_adapter, tmp_path, caplog):
    from training.engine.models import loading

    chain = ModelSource(base=tiny.base, adapters=(str(sft_adapter),))
    config = training("train_kto", chain, max_steps=16, beta=0.5, save_steps=100)
    directory = make_run(tmp_path, config, kto_rows())
    with caplog.at_level("INFO", logger="konomi.engine"):
        assert run_here("train_kto", directory) == 0, directory.read_result()
    assert directory.read_result()["rows"]["used"] == 30
    lines = logged(directory)
    assert lines[1]["loss"] == pytest.approx(0.5, abs=1e-6)  # 1 - σ(0) at weights of 1: policy and reference agree
    assert lines[1]["reward_margin"] == pytest.approx(0, abs=1e-5)
    assert lines[16]["loss"] < 0.35
    assert lines[16]["reward_margin"] > 1
    assert lines[16]["tokens"] > 0
    assert "15 desirable rows of weight 1, 15 undesirable ones of weight 1" in caplog.text
    assert loading.chain_of(directory.model).adapters == (str(sft_adapter), str(directory.model))


def test_all_weights_can_be_trained_on_a_share_of_the_prompts(tiny, tmp_path):
    from training.engine.models import loading

    config = training("train_kto", tiny, max_steps=3, lora=None, learning_rate=1e-3, share=0.5)
    directory = make_run(tmp_path, config, kto_rows())
    assert run_here("train_kto", directory) == 0, directory.read_result()
    assert directory.read_result()["rows"]["rows"] == 15
    assert logged(directory)[3]["reward_margin"] > 0.01
    assert loading.chain_of(directory.model) == ModelSource(base=str(directory.model))


def test_a_cancelled_run_resumes_to_the_same_weights(tiny, tmp_path):
    config = training("train_kto", tiny, max_steps=8, save_steps=3)
    alone = make_run(tmp_path / "alone", config, kto_rows())
    assert run_here("train_kto", alone) == 0, alone.read_result()
    cut = RunDirectory(tmp_path / "cut")
    shutil.copytree(alone.path, cut.path)
    shutil.rmtree(cut.model)
    shutil.rmtree(cut.path / "checkpoint-8", ignore_errors=True)
    last = cut.last_checkpoint()
    assert run_here("train_kto", cut) == 0, cut.read_result()
    assert cut.read_result()["resumed_from"] == last.name
    assert "resumed" in events(cut)
    assert equal(weights(cut.model), weights(alone.model))

    asked = make_run(tmp_path / "asked", config, kto_rows())
    asked.request_cancel()
    assert run_for_the_site("train_kto", asked) == 3


def without_label(rows):
    return [{key: value for key, value in row.items() if key != "label"} for row in rows]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (kto_rows(6, good_in=1), "none of the 6 rows is undesirable"),
        ([{**row, "label": False} for row in kto_rows(6)], "none of the 6 rows is desirable"),
        (without_label(kto_rows(4)), "lacks the column label: freeze the dataset for kto"),
        ([*kto_rows(4), {**kto_rows(1)[0], "label": None}], "1 row without a label (true or false), the first"),
    ],
)
def test_rows_that_kto_cannot_learn_from_are_refused(tiny, tmp_path, rows, message):
    directory = make_run(tmp_path, training("train_kto", tiny), rows)
    assert run_here("train_kto", directory) == 1
    assert message in directory.read_result()["error"]


def test_single_rows_are_refused(tiny):
    with pytest.raises(ConfigError, match="batch_size must be 2 or more, got 1"):
        training("train_kto", tiny, batch_size=1)


@pytest.mark.parametrize(
    ("counts", "given", "expected"),
    [
        ((10, 10), (0, 0), (1, 1)),
        ((12, 10), (0, 0), (1, 1)),  # 6 to 5 lies in the range
        ((5, 20), (0, 0), (4, 1)),  # the rarer kind's is raised until 1 to 1
        ((20, 5), (0, 0), (1, 3)),  # … until 4 to 3
        ((20, 5), (2, 0), (2, 6)),
        ((5, 20), (0, 2), (8, 2)),
        ((5, 20), (1, 1), (1, 1)),  # as configured
    ],
)
def test_weights_balance_the_kinds(counts, given, expected, caplog):
    model = ModelSource(base="x")
    config = TrainingConfig(
        program="train_kto", run_id="t", model=model, desirable_weight=given[0], undesirable_weight=given[1]
    )
    with caplog.at_level("INFO", logger="konomi.engine"):
        assert kto_weights(*counts, config) == pytest.approx(expected)
    assert ("paper recommends" in caplog.text) == (counts == (5, 20) and given == (1, 1))
    assert f"{counts[0]} desirable rows of weight" in caplog.text


def test_every_row_meets_another_rows_completion():
    texts = [[n] for n in range(7)]
    assert mismatched(texts, 3) == [[2], [0], [1], [5], [3], [4], [5]]
    assert mismatched(texts[:4], 2) == [[1], [0], [3], [2]]
