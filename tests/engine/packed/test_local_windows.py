"""GPT-Neo, whose layers see a window of places: texts longer than it are trained and evaluated as they are alone."""

import json
import random

import pytest

from tests.engine.conftest import dpo_rows, make_run, run_here, training, write_rows
from tests.engine.trainers.test_training import logged
from training.contract.config import EvaluationConfig, ModelSource

pytestmark = pytest.mark.engine

WINDOW = 8


@pytest.fixture(scope="module")
def neo(tiny, tmp_path_factory):
    """A model with one global and one local layer, and pairs of unequal lengths, all longer than the window."""
    import torch
    from transformers import AutoTokenizer, GPTNeoConfig, GPTNeoForCausalLM

    folder = tmp_path_factory.mktemp("neo")
    tokenizer = AutoTokenizer.from_pretrained(tiny.base)
    torch.manual_seed(0)
    config = GPTNeoConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_layers=2,
        num_heads=4,
        attention_types=[[["global", "local"], 1]],
        window_size=WINDOW,
        max_position_embeddings=160,
        initializer_range=0.2,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    GPTNeoForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    rows = dpo_rows(8)
    for number, row in enumerate(rows):
        row["rejected"][0]["content"] += " So cool." * number
    return ModelSource(base=str(folder)), rows


def alone(source, row, column):
    """The completion's log-probability by the model's own forward on this text only; its length with the prompt."""
    import torch

    from training.engine.models import loading

    model, tokenizer = loading.load_model(source), loading.load_tokenizer(source)
    chat = {"tokenize": True, "return_dict": True}
    prompt = tokenizer.apply_chat_template(row["prompt"], add_generation_prompt=True, **chat)["input_ids"]
    ids = torch.tensor(tokenizer.apply_chat_template(row["prompt"] + row[column], **chat)["input_ids"])
    with torch.no_grad():
        logps = model(ids[None, :-1]).logits[0].log_softmax(-1)
    return logps.gather(1, ids[1:, None])[len(prompt) - 1 :].sum().item(), len(ids)


def test_packed_rows_would_give_other_log_probabilities(neo):
    """What is refused is wrong: the comparison before a training would notice it, too."""
    import torch

    from training.engine.models import loading
    from training.engine.packed import forward
    from training.engine.packed.layout import lay_out, make_row

    model = loading.load_model(neo[0])
    draw = random.Random(3)
    prompt, *answers = ([draw.randrange(3, 300) for _ in range(size)] for size in (12, 20, 25))
    forward.add_packed_forward(model)
    assert "local windows" in forward.unsupported_reason(model)
    assert forward.mismatch(model, [lay_out([make_row(0, prompt, answers)], pad_id=0)], torch.float32)


def test_training_goes_to_plain_trl_aloud_and_starts_from_the_texts_own_log_probabilities(neo, tmp_path, caplog):
    source, rows = neo
    expected = [[alone(source, row, column) for row in rows] for column in ("chosen", "rejected")]
    assert min(length for side in expected for _, length in side) > 2 * WINDOW
    means = [sum(logp for logp, _ in side) / len(rows) for side in expected]
    for size, steps in ((8, 1), (2, 4)):
        config = training("train_dpo", source, batch_size=size, max_steps=steps, learning_rate=1e-9)
        directory = make_run(tmp_path / str(size), config, rows)
        assert run_here("train_dpo", directory) == 0, directory.read_result()
        method = directory.read_result()["method"]
        assert method["packing"] is False
        assert "gpt_neo counts its local windows" in method["why"]
        assert "computed by plain TRL: gpt_neo" in caplog.text
        lines = list(logged(directory).values())
        for name, mean in zip(("logps_chosen", "logps_rejected"), means, strict=True):
            assert sum(line[name] for line in lines) / steps == pytest.approx(mean, rel=1e-5)


def test_an_evaluation_gives_each_text_what_it_is_alone(neo, tmp_path):
    source, rows = neo
    config = EvaluationConfig(run_id="e", model=source, sample_outputs=2, max_length=160, max_new_tokens=4, threads=1)
    directory = make_run(tmp_path, config)
    write_rows(directory, rows, "held_out")
    assert run_here("evaluate", directory) == 0, directory.read_result()
    for line in map(json.loads, directory.scores_path.read_text().splitlines()):
        for column in ("chosen", "rejected"):
            right = alone(source, rows[line["row"]], column)[0]
            assert line[f"model_{column}_logp"] == pytest.approx(right, abs=1e-4)
