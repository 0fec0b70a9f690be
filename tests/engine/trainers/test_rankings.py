"""Rankings, and conversations of several turns: one row a prompt, and the numbers of TRL on the same pairs."""

import itertools
import math

import pytest

from tests.engine.conftest import assistant, chat, make_run, run_here, training, user
from tests.engine.trainers.test_equality import CLOSE, FIELDS, trl_trajectory
from tests.engine.trainers.test_training import equal, logged, weights
from training.contract.config import LoraSettings

pytestmark = pytest.mark.engine

LN_2 = math.log(2)


def answers(number: int, count: int) -> list[str]:
    """So many answers to one review: some begin alike, one is the beginning of another."""
    _, formal, casual = chat(number)
    texts = [formal, f"{formal} Come again!", casual, f"{formal} Come again! And again!", f"{casual} Bye."]
    return texts[:count]


def rankings(prompts: int, count: int = 4, plain: bool = True) -> list[dict]:
    """Every pair of a prompt's answers, the prompts' pairs mixed up as a dataset has them."""
    rows = []
    for number in range(prompts):
        review = chat(number)[0]
        for one, other in itertools.combinations(answers(number, count), 2):
            if plain:
                rows.append({"prompt": f"{review}\n", "chosen": one, "rejected": other})
            else:
                rows.append({"prompt": user(review), "chosen": assistant(one), "rejected": assistant(other)})
    return rows[::2] + rows[1::2]


def in_order_of_ours(rows: list[dict], batch: int, epochs: int, seed: int) -> list[dict]:
    from training.engine.packed.sampling import StepSampler, groups_of

    sampler = StepSampler(groups_of(str(row["prompt"]) for row in rows), most=batch, seed=seed)
    order = []
    for epoch in range(epochs):
        sampler.set_epoch(epoch)
        steps = list(sampler)
        assert {len(step) for step in steps} == {batch}
        order += itertools.chain(*steps)
    return [rows[position] for position in order]


@pytest.mark.parametrize(
    ("lora", "losses", "tokens"),
    [
        (LoraSettings(r=4, alpha=8), ("sigmoid",), 0),
        (None, ("ipo",), 0),
        (LoraSettings(r=4, alpha=8), ("sigmoid", "sft"), 60),  # a prompt's answers do not fit into a micro-batch
    ],
)
def test_steps_on_rankings_are_trls_on_the_same_pairs(tiny, tmp_path, monkeypatch, lora, losses, tokens):
    from training.engine.models import loading

    rows = rankings(5)
    config = training(
        "train_dpo",
        tiny,
        epochs=2,
        batch_size=6,
        lora=lora,
        losses=losses,
        learning_rate=1e-3,
        micro_batch_tokens=tokens,
        save_steps=100,
        seed=17,
        lr_scheduler="linear",
        warmup_ratio=0.0,
    )
    directory = make_run(tmp_path / "ours", config, rows)
    assert run_here("train_dpo", directory) == 0, directory.read_result()
    result = directory.read_result()
    assert result["method"]["packing"] is True
    assert result["reference_cache"] == {"hits": 0, "computed": 20}  # of sixty sides
    ours = [line for line in directory.read_metrics()[0] if "loss" in line]
    assert len(ours) == 10
    if losses == ("sigmoid",):
        assert ours[0]["loss"] == pytest.approx(LN_2, abs=1e-6)

    tokenizer, model = loading.load_tokenizer(tiny), loading.load_model(tiny)
    ordered = in_order_of_ours(rows, 6, 2, config.seed)
    theirs = trl_trajectory(model, tokenizer, ordered, config, tmp_path / "trl", train_sampling_strategy="sequential")
    for mine, yours in zip(ours, theirs, strict=True):
        for theirs_name, name in FIELDS.items():
            if name == "reward_accuracy" and mine["step"] == 1:
                continue
            assert mine[name] == pytest.approx(yours[theirs_name], rel=CLOSE, abs=CLOSE), (mine["step"], name)


def test_a_ranking_computes_its_answers_once(tiny, tmp_path):
    from training.engine.data.rows import Counts
    from training.engine.data.tokenization import tokenize
    from training.engine.models import loading
    from training.engine.packed.step import Layout
    from training.engine.trainers import preference

    rows = rankings(12)
    tokenizer = loading.load_tokenizer(tiny)
    found = tokenize(tokenizer, rows, range(len(rows)), ("chosen", "rejected"), Counts())
    terms = dict.fromkeys(preference.TERMS, 0.0)
    examples = [
        {"prompt_ids": item.prompt_ids, "chosen_ids": item.completion_ids[0], "rejected_ids": item.completion_ids[1]}
        for item in found
    ]
    step = preference.collator(Layout(pad_id=0, budget=10_000))([example | terms for example in examples])["step"]
    assert step.totals["pairs"] == 72
    assert sum(part.batch.sequences for part in step.parts) == 48
    assert sum(len(part.texts) for part in step.parts) == 72
    sides = sum(len(text["prompt_ids"]) * 2 + len(text["chosen_ids"]) + len(text["rejected_ids"]) for text in examples)
    assert sum(part.batch.computed for part in step.parts) < sides / 4
    assert sum(part.tokens for part in step.parts) == sides  # as TRL counts them


@pytest.mark.parametrize("program", ["train_dpo", "train_sft"])
def test_turns_of_conversations_share_a_row_and_train_as_plain_trl_does(tiny, tmp_path, program):
    """Prompts that are each other's beginnings; the first's answer is context for the second."""
    rows = []
    for number in range(6):
        review, formal, casual = chat(number)
        talk = user(review)
        for turn in range(2):
            sides = {"completion": assistant(formal)}
            if program == "train_dpo":
                sides = {"chosen": assistant(formal), "rejected": assistant(casual)}
            rows.append({"prompt": talk, **sides})
            talk = [*talk, *assistant(formal), *user("Shorter, please." if turn else "Longer, please.")]
    logs = []
    for packing in (True, False):
        changes = {"soft_labels": False} if program == "train_dpo" else {}
        config = training(program, tiny, batch_size=12, epochs=3, save_steps=100, packing=packing, **changes)
        directory = make_run(tmp_path / str(packing), config, rows)
        assert run_here(program, directory) == 0, directory.read_result()
        logs.append(logged(directory))
    for step in logs[0]:
        for name in ("loss", "grad_norm", "token_accuracy", "tokens", "logps_chosen", "reward_margin"):
            if name in logs[1][step]:
                assert logs[0][step][name] == pytest.approx(logs[1][step][name], rel=1e-4, abs=1e-5), (step, name)


def test_rankings_resume_to_the_same_weights(tiny, tmp_path):
    """Stopped by its own limit in the middle of the second epoch, and in the middle of a first one."""
    rows = rankings(5, count=5, plain=False) + rankings(3, count=2, plain=False)
    config = training("train_dpo", tiny, epochs=3, batch_size=11, save_steps=1, save_total_limit=100)
    alone = make_run(tmp_path / "alone", config, rows)
    assert run_here("train_dpo", alone) == 0, alone.read_result()
    import shutil

    for steps in (1, len(logged(alone)) // 2):
        copy = tmp_path / f"from-{steps}"
        shutil.copytree(alone.path, copy)
        again = type(alone)(copy)
        shutil.rmtree(again.model)
        for folder in copy.glob("checkpoint-*"):
            if int(folder.name.removeprefix("checkpoint-")) > steps:
                shutil.rmtree(folder)
        again.clear_for_resume()
        assert run_here("train_dpo", again) == 0, again.read_result()
        assert again.read_result()["resumed_from"] == f"checkpoint-{steps}"
        assert equal(weights(again.model), weights(alone.model))


@pytest.mark.parametrize(
    "judged",
    [
        [(0, 1), (0, 1), (0, 1)],  # three people agree
        [(0, 1), (1, 0), (0, 1)],  # one turns it round
        [(0, 1), (1, 2), (2, 0), (0, 1)],  # a circle; by itself its gradients cancel, and Adam scales rounding up
        [(0, 3), (1, 3), (2, 3), (3, 0)],  # one answer against all others, and once the other way
    ],
)
def test_pairs_of_one_prompt_from_different_people_each_count(tiny, tmp_path, judged):
    """As many terms of the loss as people gave, from each answer computed once: plain TRL has the same numbers."""
    rows = []
    for number in range(3):
        texts = answers(number, 4)
        rows += [{"prompt": f"{chat(number)[0]}\n", "chosen": texts[a], "rejected": texts[b]} for a, b in judged]
    logs, batch = [], len(rows)
    for packing in (True, False):
        config = training("train_dpo", tiny, batch_size=batch, epochs=3, save_steps=100, packing=packing)
        directory = make_run(tmp_path / str(packing), config, rows)
        assert run_here("train_dpo", directory) == 0, directory.read_result()
        logs.append(logged(directory))
        if packing:
            distinct = len({side for pair in judged for side in pair})
            assert directory.read_result()["reference_cache"] == {"hits": 0, "computed": 3 * distinct}
    assert len(logs[0]) == 3
    for step in logs[0]:
        for name in (
            "loss",
            "grad_norm",
            "token_accuracy",
            "tokens",
            "logps_chosen",
            "logps_rejected",
            "reward_margin",
        ):
            if name in logs[1][step]:
                assert logs[0][step][name] == pytest.approx(logs[1][step][name], rel=1e-4, abs=1e-5), (step, name)


def test_votes_on_one_pair_weigh_as_their_own_rows_do(tiny, tmp_path):
    """Two rows of one pair with other labels are the loss of each by itself, not of one that hides the other."""
    review, texts = chat(0)[0], answers(0, 2)
    pair = {"prompt": f"{review}\n", "chosen": texts[0], "rejected": texts[1]}
    labels = [
        {"probability": 0.9, "weight": 2.0},
        {"probability": 0.3, "weight": 1.0},
        {"probability": 1.0, "weight": 0.5},
    ]
    from training.engine.trainers.losses import dpo_loss

    config = training("train_dpo", tiny, batch_size=3, max_steps=3, learning_rate=1e-2, warmup_ratio=0.0)
    directory = make_run(tmp_path / "run", config, [pair | label for label in labels])
    assert run_here("train_dpo", directory) == 0, directory.read_result()
    line = logged(directory)[3]
    import torch

    margin = torch.tensor(line["reward_margin"], dtype=torch.float64)
    total = sum(label["weight"] for label in labels) / 3
    expected = sum(float(dpo_loss(margin, label["probability"], 0.0, label["weight"] / total)) for label in labels) / 3
    assert line["loss"] == pytest.approx(expected, abs=1e-5)
    assert abs(line["reward_margin"]) > 1e-4
