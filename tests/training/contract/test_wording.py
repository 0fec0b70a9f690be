"""Counts in sentences of engines and commands."""

import pytest

from training.contract.config import ConfigError, ModelSource, TrainingConfig
from training.contract.wording import counted


@pytest.mark.parametrize(
    ("number", "words", "text"),
    [
        (0, ("row",), "0 rows"),
        (1, ("row",), "1 row"),
        (2, ("row",), "2 rows"),
        (2500, ("new candidate",), "2,500 new candidates"),
        (1, ("loss", "losses"), "1 loss"),
        (3, ("loss", "losses"), "3 losses"),
    ],
)
def test_a_count_agrees_with_its_noun(number, words, text):
    assert counted(number, *words) == text


@pytest.mark.parametrize(
    ("losses", "weights", "message"),
    [
        (("sigmoid", "sft"), (1.0,), "loss_weights has 1 entry for 2 losses"),
        (("sigmoid",), (1.0, 0.5), "loss_weights has 2 entries for 1 loss"),
    ],
)
def test_a_fault_of_one_is_named_as_one(losses, weights, message):
    with pytest.raises(ConfigError, match=message):
        TrainingConfig(
            program="train_dpo", run_id="1", model=ModelSource(base="x"), losses=losses, loss_weights=weights
        )
