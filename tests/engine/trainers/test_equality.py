"""Packed rows against TRL's DPOTrainer in fp32: log-probabilities, losses, gradients and steps are equal."""

import copy

import pytest

from tests.engine.conftest import assistant, chat, dpo_rows, make_run, run_here, training, user
from training.contract.config import LoraSettings, ModelSource

pytestmark = pytest.mark.engine

LN_2 = 0.6931471805599453
CLOSE = 1e-5
FAMILIES = ("llama", "mistral", "qwen3", "gemma2", "gemma3", "phi3", "opt")
# Computed by plain TRL, and equal to it all the same.
UNPACKABLE = ("qwen3_moe", "lfm2")
LOSSES = (["sigmoid"], ["ipo"], ["sigmoid_norm"], ["sigmoid", "sft"])
BUDGET = 100  # tokens of a micro-batch: the pairs do not fit in one


@pytest.fixture(scope="module")
def tokenizer(tiny):
    from training.engine.models import loading

    return loading.load_tokenizer(tiny)


@pytest.fixture(scope="module")
def both(tokenizer, tmp_path_factory):
    """Policy and reference of a family under TRL's trainer and under ours, with the same weights: see `Both`."""
    return lambda family: Both(family, tokenizer, tmp_path_factory.mktemp(family))


class Both:
    """Two trainers for all weights, not of one step yet, on the same pairs."""

    def __init__(self, family, tokenizer, folder):
        from tests.engine.trainers import trl_side
        from training.engine.data.rows import Counts
        from training.engine.data.tokenization import Sequences, fit
        from training.engine.packed import forward
        from training.engine.packed.layout import make_row
        from training.engine.packed.reference import Reference
        from training.engine.packed.reference_cache import ReferenceCache
        from training.engine.packed.sampling import Examples
        from training.engine.packed.step import Layout
        from training.engine.trainers import preference

        reference = trl_side.make_model(family)
        policy = trl_side.shaken(trl_side.make_model(family))
        pairs = trl_side.awkward_pairs()
        self.trl = trl_side.TokenisedTRL(
            model=copy.deepcopy(policy),
            ref_model=copy.deepcopy(reference),
            args=trl_side.arguments(folder / "trl"),
            train_dataset=trl_side.dataset(pairs),
            processing_class=tokenizer,
        )
        sequences = [Sequences(number, pair[0], [pair[1], pair[2]]) for number, pair in enumerate(pairs)]
        sequences = fit(sequences, trl_side.MAX_LENGTH, Counts())
        self.rows = [make_row(item.row, item.prompt_ids, item.completion_ids) for item in sequences]
        layout = Layout(pad_id=0, budget=BUDGET)
        forward.add_packed_forward(reference)
        certain = dict(zip(("p", "offset", "weight", "tie"), ([1.0], [0.0], [1.0], [0.0]), strict=True))
        forward.add_packed_forward(policy)
        columns = trl_side.columns([(item.prompt_ids, *item.completion_ids) for item in sequences])
        self.ours = preference.PackedPreferenceTrainer(
            model=policy,
            args=trl_side.arguments(folder / "ours", remove_unused_columns=False),
            beta=0.1,
            loss_types=["sigmoid"],
            data_collator=preference.collator(layout),
            train_dataset=Examples(columns | {name: value * len(sequences) for name, value in certain.items()}),
            processing_class=tokenizer,
            reference=Reference(ReferenceCache(folder / "reference.sqlite3")),
            frozen=reference,
        )
        self.trl_batch = self.trl.data_collator([self.trl.train_dataset[number] for number in range(len(pairs))])

    def learn_with(self, losses):
        for trainer in (self.trl, self.ours):
            trainer.loss_types, trainer.loss_weights = losses, [1.0, 0.5][: len(losses)]
            trainer.model.zero_grad(set_to_none=True)

    def trl_step(self):
        loss = self.trl.compute_loss(self.trl.model.train(), dict(self.trl_batch))
        loss.backward()
        return loss.item(), gradients(self.trl.model)

    def our_step(self, numbers=None):
        numbers = range(len(self.rows)) if numbers is None else numbers
        inputs = self.ours.data_collator([self.ours.train_dataset[number] for number in numbers])
        loss = self.ours.training_step(self.ours.model, inputs)
        return loss.item(), gradients(self.ours.model), inputs["step"]


def gradients(model):
    return {name: parameter.grad.clone() for name, parameter in model.named_parameters()}


def furthest(one, other):
    """The largest distance of any parameter's gradients, in parts of their norm.

    A gradient that is 0 but for rounding (that of a key's bias, which moves no softmax) counts in parts of the whole.
    """
    import torch

    assert one.keys() == other.keys()
    least = 1e-2 * max(gradient.norm() for gradient in one.values())
    return max(float(torch.dist(one[name], other[name]) / max(one[name].norm(), least)) for name in one)


@pytest.mark.parametrize("family", FAMILIES)
def test_tokens_losses_and_gradients_are_trls(both, family):
    import torch

    from tests.engine.trainers import trl_side
    from training.engine.packed import forward

    pair = both(family)
    with torch.no_grad():
        for model, side in ((pair.trl.model, pair.ours.model), (pair.trl.ref_model, None)):
            expected = trl_side.token_logps(pair.trl, model, pair.trl_batch)
            count = len(pair.rows)
            totals = torch.stack([torch.stack([logps.sum() for logps in expected[at::count]]) for at in range(count)])
            if side is None:
                pair.learn_with(["sigmoid"])
                with torch.enable_grad():
                    pair.our_step()  # computes the reference of what it trains on
                found = pair.ours.reference.of(pair.rows).view(-1, 2).float()
                torch.testing.assert_close(found, totals, atol=CLOSE, rtol=CLOSE)
                continue
            batch = pair.ours.layout.lay_out(pair.rows)
            found = batch.by_sequence(forward.score(side, batch, torch.float32).logps)
            assert [len(logps) for logps in found[::2] + found[1::2]] == [len(logps) for logps in expected]
            torch.testing.assert_close(found[::2] + found[1::2], expected, atol=CLOSE, rtol=CLOSE)
            assert torch.cat(expected).std() > 0.5  # not all the same

    for losses in LOSSES if family == "llama" else LOSSES[:1]:
        pair.learn_with(losses)
        expected_loss, expected_gradients = pair.trl_step()
        loss, found_gradients, step = pair.our_step()
        assert len(step.parts) > 2
        assert loss == pytest.approx(expected_loss, abs=CLOSE, rel=CLOSE), losses
        assert furthest(expected_gradients, found_gradients) < CLOSE, losses
        assert abs(loss - LN_2) > 1e-3


def test_how_a_step_and_its_head_are_cut_changes_nothing(both, monkeypatch):
    from training.engine.packed import forward

    pair = both("llama")
    pair.learn_with(["sigmoid", "sft"])
    loss, together, _ = pair.our_step()
    monkeypatch.setattr(forward, "VOCABULARY_TILE", {"cuda": 150})  # for all devices: three tiles
    for budget in (1, 10_000):  # each pair alone, all in one
        pair.learn_with(["sigmoid", "sft"])
        pair.ours.data_collator = cutting(pair.ours.data_collator, budget)
        other_loss, other, step = pair.our_step()
        assert len(step.parts) == (len(pair.rows) if budget == 1 else 1)
        assert other_loss == pytest.approx(loss, abs=1e-6)
        assert furthest(together, other) < CLOSE


def cutting(collator, budget):
    from dataclasses import replace

    # Where a further micro-batch costs much, padding is taken rather.
    return replace(collator, layout=replace(collator.layout, budget=budget, overhead=budget))


def test_a_batch_of_one_pair(both):
    pair = both("gemma2")
    for number in range(len(pair.rows)):
        pair.learn_with(["sigmoid"])
        loss = pair.trl.compute_loss(pair.trl.model, pair.trl.data_collator([pair.trl.train_dataset[number]]))
        assert pair.our_step([number])[0] == pytest.approx(loss.item(), abs=CLOSE), number


# ---- through the trainer's door ----


def chats(count=40):
    """Conversations of one turn, of three and with a system's word; some are cut by MAX_TOKENS."""
    rows = []
    for number in range(count):
        review, formal, casual = chat(number)
        prompt = user(f"{review} {number}")  # a prompt with several pairs would keep them in one step
        if number % 3 == 1:
            prompt = [*prompt, *assistant(formal), *user("Shorter, please. " * (1 + number % 7))]
        elif number % 3 == 2:
            prompt = [{"role": "system", "content": "You answer reviews."}, *prompt]
        rows.append({"prompt": prompt, "chosen": assistant(formal * (1 + number % 5)), "rejected": assistant(casual)})
    return rows


def post_edits(count=40):
    """Translations and what an editor made of them: the beginning is left as it was, and an end or a middle differs."""
    rows = []
    for number in range(count):
        review, formal, casual = chat(number)
        words = f"{formal} {casual}".split()
        edited = [*words[: 3 + number % 6], "certainly", *words[4 + number % 6 :]]
        rows.append({"prompt": f"{review} {number}\n", "chosen": " ".join(edited), "rejected": " ".join(words)})
    return rows


MAX_TOKENS = 96
STEPS = 10
FIELDS = {
    "loss": "loss",
    "grad_norm": "grad_norm",
    "rewards/chosen": "reward_chosen",
    "rewards/rejected": "reward_rejected",
    "rewards/margins": "reward_margin",
    "rewards/accuracies": "reward_accuracy",
    "logps/chosen": "logps_chosen",
    "logps/rejected": "logps_rejected",
}


@pytest.fixture(scope="module")
def family_folder(tokenizer, tmp_path_factory):
    def make(family):
        from tests.engine.trainers import trl_side

        folder = tmp_path_factory.mktemp(f"{family}-model")
        trl_side.make_model(family).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        return ModelSource(base=str(folder))

    return make


@pytest.fixture
def adam_above_rounding(monkeypatch):
    """AdamW whose epsilon lies above the noise of float32, for both trainers.

    Adam's first step is g / (|g| + epsilon). Where chosen and rejected share a beginning, the gradient of their margin
    cancels there: exactly in our rows, which hold the beginning once, and to about 1e-9 in TRL's, which hold it twice.
    With the usual 1e-8 a tenth of a whole step would be made of that noise, and which way it goes depends on the
    processor's instructions: the losses stay equal, and each reward alone wanders by 1e-5.
    """
    import torch

    original = torch.optim.AdamW.__init__

    def init(self, *arguments, **options):
        original(self, *arguments, **{**options, "eps": 1e-6})

    monkeypatch.setattr(torch.optim.AdamW, "__init__", init)


@pytest.mark.usefixtures("adam_above_rounding")
@pytest.mark.parametrize(
    ("family", "rows", "lora", "losses"),
    [
        ("tiny", chats(), LoraSettings(r=4, alpha=8), ("sigmoid",)),  # on top of an SFT adapter
        ("mistral", post_edits(), LoraSettings(r=4, alpha=8), ("sigmoid", "sft")),
        ("qwen3", chats(), None, ("ipo",)),
        ("gemma2", post_edits(), None, ("sigmoid",)),
        ("phi3", post_edits(), None, ("sigmoid",)),
        ("opt", chats(), LoraSettings(r=4, alpha=8), ("sigmoid",)),
        ("qwen3_moe", post_edits(), None, ("sigmoid",)),
        ("lfm2", chats(), None, ("sigmoid", "sft")),
    ],
)
def test_ten_steps_are_trls(tiny, sft_adapter, family_folder, tokenizer, tmp_path, family, rows, lora, losses):
    from training.engine.models import loading

    chain = ModelSource(base=tiny.base, adapters=(str(sft_adapter),))
    source = chain if family == "tiny" else family_folder(family)
    config = training(
        "train_dpo",
        source,
        max_steps=STEPS,
        lora=lora,
        losses=losses,
        learning_rate=1e-3,
        max_length=MAX_TOKENS,
        micro_batch_tokens=150,
        save_steps=100,
        seed=17,
        lr_scheduler="linear",
        warmup_ratio=0.0,
    )
    directory = make_run(tmp_path / "ours", config, rows)
    assert run_here("train_dpo", directory) == 0, directory.read_result()
    result = directory.read_result()
    assert result["method"]["packing"] is (family not in UNPACKABLE)
    assert (result["rows"]["truncated"] > 0) == (rows[0]["prompt"] == chats(1)[0]["prompt"])
    ours = [line for line in directory.read_metrics()[0] if "loss" in line]

    theirs = trl_trajectory(loading.load_model(source), tokenizer, rows, config, tmp_path / "trl")
    assert len(ours) == len(theirs) == STEPS
    if losses == ("sigmoid",):
        router = 0.1 if family == "qwen3_moe" else 0.0  # at least 1 times the coefficient, from its auxiliary loss
        assert ours[0]["loss"] >= LN_2 + router - 1e-6
        assert router or ours[0]["loss"] == pytest.approx(LN_2, abs=1e-6)
    for mine, yours in zip(ours, theirs, strict=True):
        for theirs_name, name in FIELDS.items():
            if name == "reward_accuracy" and mine["step"] == 1:
                continue  # all margins are 0 but for the last digit
            assert mine[name] == pytest.approx(yours[theirs_name], rel=CLOSE, abs=CLOSE), (mine["step"], name)
    assert abs(ours[-1]["loss"] - ours[0]["loss"]) > 1e-3


def trl_trajectory(model, tokenizer, rows, config, folder, **changes):
    from datasets import Dataset
    from peft import LoraConfig
    from trl import DPOTrainer

    from tests.engine.trainers import trl_side

    lora = config.lora and LoraConfig(
        r=config.lora.r,
        lora_alpha=config.lora.alpha,
        lora_dropout=0.0,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    trainer = DPOTrainer(
        model=model,
        ref_model=None if lora else copy.deepcopy(model),
        args=trl_side.arguments(
            folder,
            max_steps=STEPS,
            **changes,
            per_device_train_batch_size=config.batch_size,
            max_length=config.max_length,
            learning_rate=config.learning_rate,
            loss_type=list(config.losses),
        ),
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
        peft_config=lora,
    )
    trainer.train()
    return [line for line in trainer.state.log_history if "loss" in line]


def test_eight_times_one_is_one_times_eight(tiny, tmp_path):
    import torch
    from safetensors.torch import load_file

    found = []
    for batch_size, accumulation in ((8, 1), (1, 8), (4, 2)):
        config = training(
            "train_dpo",
            tiny,
            batch_size=batch_size,
            gradient_accumulation=accumulation,
            max_steps=4,
            micro_batch_tokens=200,
            losses=("sigmoid", "sft"),
            lora=LoraSettings(r=4),
        )
        directory = make_run(tmp_path / f"{batch_size}", config, dpo_rows(20))
        assert run_here("train_dpo", directory) == 0, directory.read_result()
        losses = [line["loss"] for line in directory.read_metrics()[0] if "loss" in line]
        found.append((losses, load_file(directory.model / "adapter_model.safetensors")))
    for losses, weights in found[1:]:
        assert losses == found[0][0]
        assert all(torch.equal(weights[name], value) for name, value in found[0][1].items())
