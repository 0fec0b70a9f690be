"""The rate of each step."""

import pytest

from tests.engine.conftest import dpo_rows, make_run, run_here, sft_rows, training
from tests.engine.trainers.test_kto import kto_rows
from training.contract.hyperparameters import SCHEDULES

pytestmark = pytest.mark.engine

STEPS = 6


def rates(program, tiny, folder, rows, **changes):
    config = training(program, tiny, max_steps=STEPS, learning_rate=1e-3, **changes)
    directory = make_run(folder, config, rows)
    assert run_here(program, directory) == 0, directory.read_result()
    return [line["learning_rate"] for line in directory.read_metrics()[0] if "loss" in line]


@pytest.mark.parametrize(
    ("program", "rows", "changes"),
    [
        ("train_sft", sft_rows(24), {}),
        ("train_sft", sft_rows(24), {"packing": False}),
        ("train_dpo", dpo_rows(24), {}),
        ("train_dpo", dpo_rows(24), {"packing": False}),
        ("train_kto", kto_rows(24), {}),
    ],
)
def test_the_first_step_of_a_short_run_learns(tiny, tmp_path, program, rows, changes):
    found = rates(program, tiny, tmp_path, rows, warmup_ratio=0.03, lr_scheduler="linear", **changes)
    assert found[0] == pytest.approx(1e-3 / 2)  # one step of warm-up, of which transformers would make 0
    assert found[1:] == pytest.approx([1e-3 * (STEPS - step) / (STEPS - 1) for step in range(1, STEPS)])


def test_a_warm_up_of_all_steps_is_one_of_all_steps(tiny, tmp_path):
    """transformers would read 1.0 as one step."""
    found = rates("train_sft", tiny, tmp_path, sft_rows(24), warmup_ratio=1.0, lr_scheduler="linear")
    assert found == pytest.approx([1e-3 * (step + 1) / (STEPS + 1) for step in range(STEPS)])


@pytest.mark.parametrize("name", SCHEDULES)
def test_after_the_warm_up_the_schedule_is_transformers_own(name):
    import torch
    from transformers import Trainer, TrainingArguments

    from training.engine.trainers.steps import KonomiSteps

    class Ours(KonomiSteps, Trainer):
        pass

    def schedule(cls, folder="/nonexistent"):
        model = torch.nn.Linear(1, 1)
        arguments = TrainingArguments(
            output_dir=folder,
            lr_scheduler_type=name,
            warmup_steps=0.3,
            learning_rate=1.0,
            use_cpu=True,
            report_to="none",
        )
        trainer = cls(model=model, args=arguments)
        trainer.optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
        trainer.create_scheduler(10, trainer.optimizer)
        found = []
        for _ in range(10):
            found.append(trainer.optimizer.param_groups[0]["lr"])
            assert trainer.lr_scheduler.get_last_lr() == [found[-1]]
            trainer.optimizer.step()
            trainer.lr_scheduler.step()
        return found

    ours, theirs = schedule(Ours), schedule(Trainer)
    assert ours[3:] == pytest.approx(theirs[3:])
    assert ours[:3] == pytest.approx([1.0] * 3 if name == "constant" else [1 / 4, 2 / 4, 3 / 4])
    assert min(ours[:3]) > 0
