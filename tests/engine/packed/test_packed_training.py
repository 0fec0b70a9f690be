"""Packed rows through the programs: equal steps to plain TRL, ties and weights, and the fallback to plain TRL."""

import math

import pytest

from tests.engine.conftest import assistant, dpo_rows, make_run, run_here, sft_rows, training
from tests.engine.trainers.test_training import logged
from training.contract.config import LoraSettings, ModelSource

pytestmark = pytest.mark.engine

LN_2 = math.log(2)


def uneven(rows: list[dict]) -> list[dict]:
    """The same rows with answers of different lengths, some of them with a common start."""
    for number, row in enumerate(rows):
        for name in ("completion", "chosen", "rejected"):
            if name in row and number % 3:
                row[name][0]["content"] = "Well, well. " * (number % 4) + row[name][0]["content"]
    return rows


@pytest.mark.parametrize("program", ["train_sft", "train_dpo"])
def test_ten_steps_are_those_of_plain_trl(tiny, tmp_path, program):
    rows = uneven(sft_rows(24) if program == "train_sft" else dpo_rows(24))
    logs = []
    for layout in (True, False):
        changes = {"soft_labels": False, "losses": ("sigmoid", "sft")} if program == "train_dpo" else {}
        config = training(program, tiny, max_steps=10, save_steps=100, packing=layout, max_length=64, **changes)
        directory = make_run(tmp_path / str(layout), config, rows)
        assert run_here(program, directory) == 0, directory.read_result()
        assert directory.read_result()["method"]["packing"] is layout
        logs.append(logged(directory))
    forward, plain = logs
    assert len(forward) == 10
    for step in forward:
        for name in ("loss", "grad_norm", "token_accuracy", "tokens", "logps_chosen", "reward_margin", "reward_chosen"):
            if name in plain[step]:
                assert forward[step][name] == pytest.approx(plain[step][name], rel=1e-4, abs=1e-5), (step, name)


def test_accumulation_changes_nothing_in_sft(tiny, tmp_path):
    logs = []
    for batch_size, accumulation in ((8, 1), (1, 8)):
        config = training(
            "train_sft", tiny, max_steps=5, save_steps=100, batch_size=batch_size, gradient_accumulation=accumulation
        )
        directory = make_run(tmp_path / str(batch_size), config, uneven(sft_rows(24)))
        assert run_here("train_sft", directory) == 0, directory.read_result()
        logs.append([line["loss"] for line in logged(directory).values()])
    assert logs[0] == logs[1]


@pytest.mark.parametrize("changes", [{}, {"lora": None, "learning_rate": 1e-3}], ids=["lora", "full"])
def test_half_precision_is_packed_too_and_its_reference_rounds_alike(tiny, tmp_path, changes):
    config = training("train_dpo", tiny, max_steps=3, save_steps=100, precision="bf16", **changes)
    directory = make_run(tmp_path, config, uneven(dpo_rows(8)))
    assert run_here("train_dpo", directory) == 0, directory.read_result()
    assert directory.read_result()["method"]["packing"] is True
    assert logged(directory)[1]["loss"] == pytest.approx(LN_2, abs=0.01)


def test_dora_is_packed_too_and_starts_as_its_own_reference(tiny, tmp_path):
    config = training("train_dpo", tiny, max_steps=4, save_steps=100, lora=LoraSettings(r=4, dora=True))
    directory = make_run(tmp_path, config, uneven(dpo_rows(8)))
    assert run_here("train_dpo", directory) == 0, directory.read_result()
    assert directory.read_result()["method"]["packing"] is True
    lines = logged(directory)
    assert lines[1]["loss"] == pytest.approx(LN_2, abs=1e-5)
    assert lines[4]["reward_margin"] > 0


def test_ties_are_learnt_from_or_dropped_and_counted(tiny, tmp_path):
    rows = dpo_rows(24)
    for row in rows[::3]:
        row["tie"], row["probability"], row["strength"] = 1.0, 0.5, 0.0
    for row in rows:
        row["tie"] = float(row["tie"])
    used = {}
    for ties in ("learn", "drop"):
        config = training("train_dpo", tiny, max_steps=12, save_steps=100, ties=ties)
        directory = make_run(tmp_path / ties, config, rows)
        assert run_here("train_dpo", directory) == 0, directory.read_result()
        counts = directory.read_result()["rows"]
        used[ties] = (counts["used"], counts["dropped_ties"])
        assert logged(directory)[1]["loss"] == pytest.approx(LN_2, abs=1e-6)  # equal texts: a tie is as likely as not
    assert used == {"learn": (24, 0), "drop": (16, 8)}


def test_an_offset_asks_for_a_margin_and_weights_count_relative_to_their_mean(tiny, tmp_path):
    rows = dpo_rows(8)
    for number, row in enumerate(rows):
        row["weight"] = 10.0 if number % 2 else 30.0
    config = training("train_dpo", tiny, max_steps=1, batch_size=8, soft_labels=False, strength_offset=0.5)
    directory = make_run(tmp_path, config, rows)
    assert run_here("train_dpo", directory) == 0, directory.read_result()
    assert logged(directory)[1]["loss"] == pytest.approx(math.log1p(math.exp(0.5)), abs=1e-6)


@pytest.fixture(scope="module")
def alibi(tiny, tmp_path_factory) -> ModelSource:
    """A Bloom: its attention is biased by the place in the line, not by position ids, which no packed row can give."""
    from transformers import AutoTokenizer, BloomConfig, BloomForCausalLM

    folder = tmp_path_factory.mktemp("bloom")
    tokenizer = AutoTokenizer.from_pretrained(tiny.base)
    config = BloomConfig(
        vocab_size=len(tokenizer), hidden_size=32, n_layer=1, n_head=4, eos_token_id=tokenizer.eos_token_id
    )
    BloomForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return ModelSource(base=str(folder))


def test_an_architecture_that_cannot_falls_back_to_plain_trl_and_says_so(alibi, tmp_path):
    rows = dpo_rows(8)
    rows[0] |= {"tie": True, "probability": 0.5}
    directory = make_run(tmp_path, training("train_dpo", alibi, max_steps=1), rows)
    assert run_here("train_dpo", directory) == 0, directory.read_result()
    result = directory.read_result()
    assert result["method"]["packing"] is False
    assert "bloom" in result["method"]["why"]
    assert "reference_cache" not in result
    assert result["rows"]["dropped_ties"] == 1  # plain TRL has no loss for them
    assert logged(directory)[1]["loss"] == pytest.approx(LN_2, abs=1e-6)


def test_a_loss_that_is_trl_s_own_is_computed_by_trl(tiny, tmp_path):
    directory = make_run(tmp_path, training("train_dpo", tiny, max_steps=1, losses=("hinge",)), dpo_rows(8))
    assert run_here("train_dpo", directory) == 0, directory.read_result()
    assert "hinge" in directory.read_result()["method"]["why"]
    assert logged(directory)[1]["loss"] == pytest.approx(1.0)


def test_pairs_that_truncation_makes_equal_are_left_out_and_named(tiny, tmp_path):
    rows = dpo_rows(8)
    long = "I have read every word of what you wrote to us about your stay. " * 3
    rows[3]["chosen"], rows[3]["rejected"] = assistant(long + "Thanks."), assistant(long + "Bye.")
    directory = make_run(tmp_path, training("train_dpo", tiny, max_steps=1, max_length=64), rows)
    assert run_here("train_dpo", directory) == 0, directory.read_result()
    assert directory.read_result()["rows"]["dropped_equal_when_cut"] == 1
    assert "4" in (directory.path / "preflight.json").read_text()


def test_one_line_of_all_rows_gives_the_same_log_probabilities_by_flex_attention(monkeypatch):
    """What a GPU computes, as far as a CPU can: the forward, by FlexAttention uncompiled."""
    import torch
    from torch.nn.attention.flex_attention import flex_attention
    from transformers import MistralConfig, MistralForCausalLM

    from training.engine.packed.forward import LINE_MULTIPLE, add_packed_forward, score
    from training.engine.packed.layout import lay_out, make_row

    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = MistralConfig(vocab_size=50, num_key_value_heads=2, sliding_window=7, initializer_range=0.5, **sizes)
    model = MistralForCausalLM(config).eval()
    add_packed_forward(model)
    draw = torch.Generator().manual_seed(1)

    def ids(length):
        return torch.randint(50, (length,), generator=draw).tolist()

    rows = [make_row(n, ids(5 + 3 * n), [ids(4 + n), ids(9 - n)]) for n in range(4)]
    in_lines = lay_out(rows, pad_id=0)
    in_one = lay_out(rows, pad_id=0, one_line=True, multiple=LINE_MULTIPLE)
    with torch.no_grad():
        expected = score(model, in_lines, torch.float32).logps
        dense = score(model, in_one, torch.float32).logps
        model.set_attn_implementation("flex_attention")
        monkeypatch.setattr(
            "transformers.integrations.flex_attention.compile_friendly_flex_attention",
            lambda query, key, value, training=False, **options: flex_attention(query, key, value, **options),
        )
        flex = score(model, in_one, torch.float32).logps
    torch.testing.assert_close(dense, expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(flex, expected, atol=1e-5, rtol=1e-5)


def test_a_micro_batch_can_be_made_two_where_processes_must_make_as_many():
    """Under FSDP; a row alone gets an idle copy, which is computed and counts nothing."""
    from training.engine.packed.step import Layout
    from training.engine.trainers import preference

    numbers = dict.fromkeys(preference.TERMS, 0.5)
    examples = [{"prompt_ids": [n, 2], "chosen_ids": [3] * n, "rejected_ids": [4], **numbers} for n in (1, 2, 3)]
    collator = preference.collator(Layout(pad_id=0, budget=100, overhead=100))
    (part,) = collator(examples)["step"].parts
    first, second = collator.halved(part)
    assert [*first.batch.rows, *second.batch.rows] == list(part.batch.rows)
    assert len(first.terms["p"]) == len(first.batch.rows)
    assert not first.idle
    assert not second.idle
    kept, idle = collator.halved(first)
    assert kept is first
    assert idle.idle
    assert idle.batch is first.batch
