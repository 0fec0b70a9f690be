"""Names of losses, schedules and trackers are known before a model is loaded; each message says what to do."""

import json

import pytest

from training.contract.config import ConfigError, TrainingConfig, from_json
from training.contract.hyperparameters import LOSSES, SCHEDULES

BY_HAND = {"run_id": "1", "model": {"base": "models/base"}, "dataset": "dataset", "program": "train_dpo"}


def made(**values) -> TrainingConfig:
    return from_json(json.dumps({**BY_HAND, **values}))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"losses": ["exo_pair"]}, "losses: exo_pair needs TRL's label_smoothing"),
        ({"losses": ["sigmoid", "exo_pair"]}, "losses: exo_pair"),
        ({"losses": ["sigmoyd"]}, "losses knows sigmoid, .*, not sigmoyd"),
        ({"losses": ["simpo"]}, "not simpo"),
        ({"losses": ["Sigmoid"]}, "not Sigmoid"),
        ({"losses": [""]}, "losses knows"),
        ({"losses": []}, "losses is empty: name one at least, such as sigmoid,sft or sigmoid"),
        ({"losses": ["sigmoid", "sft", "sigmoid"]}, "losses has sigmoid twice"),
        (
            {"losses": ["sigmoid", "sft"], "loss_weights": [1]},
            "loss_weights has 1 entry for 2 losses: give one for each",
        ),
        ({"losses": ["sigmoid"], "loss_weights": [1, 1]}, "loss_weights has 2 entries for 1 loss"),
        ({"losses": ["sigmoid"], "loss_weights": [0]}, "loss_weights are all 0"),
        ({"losses": ["sigmoid"], "loss_weights": [-1]}, "loss_weights must be 0 or more, got -1"),
        ({"losses": ["sigmoid"], "loss_weights": [float("nan")]}, "loss_weights must be a number"),
        ({"lr_scheduler": "cosin"}, "lr_scheduler knows linear, .*, not cosin"),
        ({"lr_scheduler": "reduce_lr_on_plateau"}, "lr_scheduler knows"),
        ({"report_to": ["wandb", "wandb"]}, "report_to has wandb twice"),
        ({"learning_rate": float("inf")}, "learning_rate must be a number"),
    ],
)
def test_what_cannot_work_is_refused_at_once(values, message):
    with pytest.raises(ConfigError, match=message):
        made(**values)


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_that_is_offered_is_one_of_trls(name):
    assert made(losses=[name]).losses == (name,)
    assert made(losses=[name, "sft"] if name != "sft" else ["sft", "sigmoid"], loss_weights=[1, 0.5]).loss_weights


@pytest.mark.parametrize("name", SCHEDULES)
def test_every_schedule_that_is_offered_is_accepted(name):
    assert made(lr_scheduler=name).lr_scheduler == name
