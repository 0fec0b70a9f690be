"""Plain TRL in several processes: the rows that fill up an epoch's last step do not count twice."""

from types import SimpleNamespace

import pytest

from tests.engine.conftest import dpo_rows, make_run, run_here, start, training
from tests.engine.trainers.test_kto import kto_rows
from tests.engine.trainers.test_training import logged, weights
from training.contract.config import LoraSettings

pytestmark = pytest.mark.engine

METRICS = (
    "loss",
    "grad_norm",
    "reward_margin",
    "reward_chosen",
    "logps_chosen",
    "token_accuracy",
    "kl",
    "entropy",
    "tokens",
)


def unequal(rows):
    for number, row in enumerate(rows):
        text = row["chosen" if "chosen" in row else "completion"]
        text[0]["content"] += " Thank you." * (number % 5)
        row["prompt"][0]["content"] += f" {number}"
    return rows


@pytest.mark.parametrize(
    ("program", "rows", "changes"),
    [("train_dpo", dpo_rows, {"packing": False}), ("train_kto", kto_rows, {})],
)
def test_two_processes_learn_from_each_row_once_as_one_does(tiny, tmp_path, program, rows, changes):
    """13 rows, of which the second micro-batch of an epoch's last step has one: a process has none of its own."""
    import torch

    rows = unequal(rows(13))
    changes = {**changes, "gradient_accumulation": 2, "max_steps": 4, "lora": LoraSettings(r=4), "save_steps": 100}
    both = make_run(tmp_path / "2", training(program, tiny, batch_size=2, processes=2, **changes), rows)
    process = start(program, both)
    one = make_run(tmp_path / "1", training(program, tiny, batch_size=4, **changes), rows)
    assert run_here(program, one) == 0, one.read_result()
    assert process.wait(300) == 0, both.log_tail()
    mine, single = logged(both), logged(one)
    assert list(mine) == list(single) == [1, 2, 3, 4]
    for step in single:
        for name in set(METRICS) & set(single[step]):
            assert mine[step][name] == pytest.approx(single[step][name], rel=1e-4, abs=1e-5), (step, name)
    for name, tensor in weights(one.model).items():
        torch.testing.assert_close(weights(both.model)[name], tensor, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("rows", "processes", "size", "own"),
    [(21, 2, 4, [4, 1]), (17, 2, 4, [1, 0]), (9, 3, 2, [2, 1, 0]), (24, 2, 4, [None, None]), (21, 1, 4, [None])],
)
def test_a_row_that_fills_up_the_last_step_has_no_label(rows, processes, size, own):
    import torch

    from training.engine.trainers.each_row_once import LabelsOnce

    for rank, expected in enumerate(own):
        trainer = LabelsOnce()
        trainer.args = SimpleNamespace(per_device_train_batch_size=size)
        trainer.train_dataset = range(rows)
        state = SimpleNamespace(end_of_dataloader=False)
        trainer.accelerator = SimpleNamespace(num_processes=processes, process_index=rank, gradient_state=state)
        batches = [{"labels": torch.ones(size, 3)} for _ in range(3)]

        def drawn(batches=batches, state=state):
            for number, batch in enumerate(batches):
                state.end_of_dataloader = number == len(batches) - 1
                yield batch

        counted = [int((batch["labels"][:, 0] == 1).sum()) for batch in trainer._without_repeats(drawn())]
        assert counted == [size, size, size if expected is None else expected]
