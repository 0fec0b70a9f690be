"""Position encodings that change at a length: a text has the same log-probability whatever its neighbours."""

import json
import random

import pytest

from tests.engine.conftest import dpo_rows, make_run, run_here, training, user
from tests.engine.trainers.test_training import logged
from training.contract.config import EvaluationConfig, ModelSource

pytestmark = pytest.mark.engine

LN_2 = 0.6931471805599453
SIZES = {
    "vocab_size": 400,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "initializer_range": 0.2,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}


def longrope(threshold, **more):
    return {
        "rope_type": "longrope",
        "rope_theta": 10_000.0,
        "short_factor": [1.0] * 4,
        "long_factor": [3.0, 4.0, 5.0, 6.0],
        "original_max_position_embeddings": threshold,
        **more,
    }


def configuration(kind, threshold=64, **sizes):
    import transformers

    sizes = {**SIZES, **sizes}
    if kind == "phi3":
        return transformers.Phi3Config(
            **sizes, original_max_position_embeddings=threshold, rope_parameters=longrope(threshold)
        )
    if kind == "phimoe":  # scales the encoding, too
        scales = {"short_mscale": 1.1, "long_mscale": 1.4}
        return transformers.PhimoeConfig(
            **sizes, num_local_experts=4, router_aux_loss_coef=0.0, rope_parameters=longrope(threshold, **scales)
        )
    if kind == "yarn":
        scaling = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": threshold}
    else:  # changes beyond the model's context only, where rows are cut
        sizes["max_position_embeddings"] = threshold
        scaling = {"rope_type": "dynamic", "factor": 2.0}
    return transformers.LlamaConfig(**sizes, rope_parameters={"rope_theta": 10_000.0, **scaling})


def make_model(kind, threshold=64, **sizes):
    import torch
    from transformers import AutoModelForCausalLM

    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(configuration(kind, threshold, **sizes), dtype=torch.float32).eval()


def ids(draw, length):
    return [draw.randrange(3, 400) for _ in range(length)]


@pytest.mark.parametrize(("kind", "threshold"), [("phi3", 64), ("phimoe", 40), ("yarn", 64), ("dynamic", 160)])
def test_a_text_among_others_is_what_it_is_alone(kind, threshold):
    import torch

    from training.engine.packed import forward, rope
    from training.engine.packed.layout import make_row
    from training.engine.packed.step import Layout

    draw = random.Random(1)
    model = make_model(kind, threshold)
    forward.add_packed_forward(model)
    start = ids(draw, 4)
    edge = 64 if kind == "dynamic" else threshold
    rows = [
        make_row(0, ids(draw, 10), [ids(draw, 5), ids(draw, 9)]),
        make_row(1, ids(draw, 30), [start + ids(draw, 60), start + ids(draw, 3)]),  # the answers begin alike
        make_row(2, ids(draw, edge - 8), [ids(draw, 8), ids(draw, 9), ids(draw, 10)]),  # at the very edge
        make_row(3, ids(draw, edge - 1), [ids(draw, 1), start]),
        make_row(4, ids(draw, 90), [ids(draw, 5), ids(draw, 50)]),
    ]
    switches = kind.startswith("phi")
    assert rope.threshold(model) == (threshold if switches else None)
    layout = Layout(pad_id=0, budget=100_000, threshold=rope.threshold(model))
    batches = [layout.lay_out(rows), *(layout.lay_out([rows[at] for at in cut]) for cut in layout.cut(rows))]
    if switches:
        assert {batch.passes for batch in batches} == {(False,), (True,), (False, True)}
    assert forward.mismatch(model, batches, torch.float32) is None
    one_line = Layout(pad_id=0, budget=100_000, threshold=rope.threshold(model), one_line=True, always_both=switches)
    assert forward.mismatch(model, [one_line.lay_out(rows)], torch.float32) is None
    if switches:  # which the comparison would notice
        assert "other log-probabilities" in forward.mismatch(
            model, [Layout(pad_id=0, budget=1).lay_out(rows)], torch.float32
        )


@pytest.fixture(scope="module")
def switching(tiny, tmp_path_factory):
    """A longrope model with a tokenizer, and 24 pairs of which some texts are longer than its threshold."""
    from transformers import AutoTokenizer

    folder = tmp_path_factory.mktemp("longrope")
    tokenizer = AutoTokenizer.from_pretrained(tiny.base)
    make_model("phi3", 80, vocab_size=len(tokenizer), eos_token_id=tokenizer.eos_token_id).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    rows = dpo_rows(24)
    for number in (3, 9, 10, 20):
        rows[number]["prompt"] = user("The garden was fine, and so was the sauna. " * (number - 1 if number < 9 else 4))
    rows[10]["chosen"][0]["content"] += " Thank you for your words." * 3
    return ModelSource(base=str(folder)), rows


@pytest.mark.parametrize("lora", [True, False], ids=["lora", "full"])
def test_a_training_starts_at_ln_2_however_its_rows_are_mixed(switching, tmp_path, lora):
    source, rows = switching
    losses = []
    for batch_size in (1, 6, 24):
        changes = {} if lora else {"lora": None}
        config = training(
            "train_dpo",
            source,
            max_steps=3,
            batch_size=batch_size,
            learning_rate=1e-9,
            soft_labels=False,
            max_length=200,
            **changes,
        )
        directory = make_run(tmp_path / str(batch_size), config, rows)
        assert run_here("train_dpo", directory) == 0, directory.read_result()
        assert directory.read_result()["method"]["packing"] is True
        losses += [line["loss"] for line in logged(directory).values()]
    assert losses == pytest.approx([LN_2] * 9, abs=1e-5)


def test_plain_trl_says_that_rows_depend_on_their_batch(switching, tmp_path):
    source, rows = switching
    found = {}
    for program, changes in (("train_dpo", {"packing": False}), ("train_dpo", {}), ("train_sft", {"packing": False})):
        own = [{"prompt": row["prompt"], "completion": row["chosen"], "prompt_id": n} for n, row in enumerate(rows)]
        config = training(program, source, max_steps=1, max_length=200, **changes)
        directory = make_run(tmp_path / f"{program}{len(changes)}", config, rows if program == "train_dpo" else own)
        assert run_here(program, directory) == 0, directory.read_result()
        checks = json.loads(directory.preflight_path.read_text())["checks"]
        found[program, bool(changes)] = [check["words"] for check in checks if check["name"] == "position_encoding"]
    assert found["train_dpo", False] == []
    (words,) = found["train_dpo", True]
    assert "are longer than the 80 tokens at which the position encoding" in words
    assert "Set max_length to 80" in words
    assert len(found["train_sft", True]) == 1


@pytest.mark.parametrize("why", ["packed", "plain"])
def test_an_evaluation_gives_a_row_the_same_figures_alone_and_with_others(switching, tmp_path, monkeypatch, why):
    from tests.engine.conftest import write_rows
    from training.engine.packed import forward

    source, rows = switching
    if why == "plain":
        monkeypatch.setattr(forward, "unsupported_reason", lambda model: "as a test")

    def scores(numbers):
        config = EvaluationConfig(
            run_id="e", model=source, sample_outputs=2, max_length=200, max_new_tokens=8, threads=1
        )
        directory = make_run(tmp_path / f"{numbers[0]}-{len(numbers)}", config)
        write_rows(directory, [rows[number] for number in numbers], "held_out")
        assert run_here("evaluate", directory) == 0, directory.read_result()
        lines = [json.loads(line) for line in directory.scores_path.read_text().splitlines()]
        return {numbers[line["row"]]: (line["model_chosen_logp"], line["model_rejected_logp"]) for line in lines}

    together = scores([0, 3, 10, 1, 20])
    for number in (0, 3, 10, 20):
        assert scores([number])[number] == pytest.approx(together[number], abs=1e-4), number


def test_generation_keeps_texts_that_cross_the_threshold_apart(switching):
    import torch

    from training.engine.inference import decoding
    from training.engine.models import loading

    source, _ = switching
    tokenizer = loading.load_tokenizer(source)
    model = loading.load_model(source)
    draw = random.Random(5)
    lengths = (10, 20, 70, 76, 90, 120)
    prompts = [[draw.randrange(3, model.config.vocab_size) for _ in range(length)] for length in lengths]
    requests = [decoding.Request(prompt, 20) for prompt in prompts]

    def written(some):
        texts = {}
        decoding.generate(
            model,
            tokenizer,
            some,
            lambda positions, answers: texts.update(zip(positions, answers, strict=True)),
            stop_ids=set(),
        )
        return [texts[position] for position in range(len(some))]

    with torch.no_grad():
        together = written(requests)
        assert [written([request])[0] for request in requests] == together
