"""Candidates: complete, independent of interruptions, nothing silently lost."""

import json

import pytest

from tests.engine.conftest import chat, dpo_rows, make_run, run_for_the_site, run_here, texts, user, write_rows
from training.contract.config import EvaluationConfig, GenerationConfig, ModelSource

pytestmark = pytest.mark.engine


def generation(path, model: ModelSource, prompts=None, **changes):
    values = {"run_id": "g", "model": model, "samples": 3, "max_new_tokens": 12, "batch_size": 6, "threads": 1}
    directory = make_run(path, GenerationConfig(**{**values, **changes}))
    if prompts is None:
        prompts = [{"id": 100 + number, "messages": user(chat(number)[0] * (1 + number % 3))} for number in range(9)]
    lines = [line if isinstance(line, str) else json.dumps(line) for line in prompts]
    (path / "prompts.jsonl").write_text("".join(line + "\n" for line in lines))
    return directory


@pytest.fixture(scope="module")
def whole(tiny, tmp_path_factory):
    """A run that was left alone."""
    directory = generation(tmp_path_factory.mktemp("whole"), tiny)
    assert run_here("generate", directory) == 0, directory.read_result()
    return directory


def by_key(directory) -> dict:
    rows = texts(directory.path / "candidates.jsonl")
    found = {(row["prompt"], row["index"]): row for row in rows}
    assert len(found) == len(rows), "a candidate occurs twice"
    return found


def test_every_prompt_gets_its_samples(whole):
    found = by_key(whole)
    assert set(found) == {(100 + number, index) for number in range(9) for index in range(3)}
    row = found[(100, 0)]
    assert set(row) == {"prompt", "index", "text", "tokens", "finished"}
    assert all(1 <= row["tokens"] <= 12 for row in found.values())
    assert not any("<|" in row["text"] for row in found.values())
    assert len({row["text"] for row in found.values()}) > 9, "sampling gives different texts"
    result = whole.read_result()
    assert result["metrics"]["candidates"] == 27
    lines = [line for line in whole.read_metrics()[0] if "done" in line]
    assert lines[-1]["done"] == lines[-1]["total"] == 27
    assert {"tokens_per_s", "time_left_s"} <= set(lines[-1])


def test_an_interrupted_run_continues_to_the_same_texts(whole, tiny, tmp_path):
    directory = generation(tmp_path, tiny)
    content = (whole.path / "candidates.jsonl").read_bytes()
    # Killed in the middle of a line: what is whole stays, the rest is made again.
    (tmp_path / "candidates.jsonl").write_bytes(content[: len(content) // 2])
    assert run_here("generate", directory) == 0
    assert by_key(directory) == by_key(whole)


def test_texts_do_not_depend_on_what_is_generated_beside_them(whole, tiny, tmp_path, monkeypatch):
    from training.engine.inference import batching

    monkeypatch.setattr(batching, "free_bytes", lambda device: 1)
    directory = generation(tmp_path / "alone", tiny)
    assert run_here("generate", directory) == 0
    assert len([line for line in directory.read_metrics()[0] if "done" in line]) == 28  # one text at a time
    assert by_key(directory) == by_key(whole)
    # Near the end of the context, a short prompt has the room that is its own, not its neighbour's.
    monkeypatch.undo()
    prompts = [{"id": 1, "messages": user("pool " * 30)}, {"id": 2, "messages": user("The bar.")}]
    together = generation(tmp_path / "two", tiny, prompts, samples=1, temperature=0, max_new_tokens=100)
    assert run_here("generate", together) == 0
    single = generation(tmp_path / "one", tiny, prompts[1:], samples=1, temperature=0, max_new_tokens=100)
    assert run_here("generate", single) == 0
    assert by_key(single)[(2, 0)] == by_key(together)[(2, 0)]
    assert by_key(together)[(1, 0)]["tokens"] < by_key(together)[(2, 0)]["tokens"] <= 100


def test_the_cost_of_a_token_in_the_cache_is_what_the_cache_holds(tiny):
    import torch

    from training.engine.inference.batching import Costs
    from training.engine.models import loading

    model = loading.load_model(tiny)
    cache = model(torch.arange(14).view(2, 7), use_cache=True).past_key_values
    held = sum(layer.keys.nbytes + layer.values.nbytes for layer in cache.layers)
    assert Costs.of(model).cache_token * 14 == held
    costs = Costs.of(model)
    assert costs.generation(4, 100, 20) == 2 * costs.generation(2, 100, 20) > 4 * 120 * costs.cache_token


def test_a_cancelled_run_keeps_what_it_has(tiny, tmp_path):
    directory = generation(tmp_path, tiny)
    directory.request_cancel()
    assert run_for_the_site("generate", directory) == 3
    assert directory.read_result()["status"] == "cancelled"
    directory.clear_for_resume()
    assert run_here("generate", directory) == 0
    assert len(by_key(directory)) == 27


def test_a_prompt_without_room_is_reported_once(tiny, tmp_path):
    prompts = [{"id": 1, "messages": user("pool " * 300)}, {"id": 2, "messages": user("The bar.")}]
    directory = generation(tmp_path, tiny, prompts, samples=1, temperature=0)
    for _ in range(2):
        assert run_here("generate", directory) == 0
        rows = texts(tmp_path / "candidates.jsonl")
        assert sorted(row["prompt"] for row in rows) == [1, 2]
        error = next(row for row in rows if row["prompt"] == 1)
        assert "no room for an answer in the model's context of 128" in error["error"]
    assert directory.read_result()["metrics"]["prompts_too_long"] == 1


def test_only_prompts_without_room_is_a_failure(tiny, tmp_path):
    directory = generation(tmp_path, tiny, [{"id": 1, "messages": user("pool " * 300)}])
    assert run_here("generate", directory) == 1
    assert "The only prompt is too long" in directory.read_result()["error"]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "no prompts"),
        (["{"], "line 1"),
        ([{"id": 1, "messages": user("x")}, {"id": 1, "messages": user("y")}], "line 2: id 1 occurs twice"),
        ([{"id": 1, "messages": []}], "messages must be"),
        ([{"id": 1, "messages": [{"role": "user"}]}], "KeyError"),
    ],
)
def test_bad_prompts_name_their_line(tiny, tmp_path, lines, message):
    directory = generation(tmp_path, tiny, lines)
    assert run_here("generate", directory) == 1
    assert message in directory.read_result()["error"]
    assert not (tmp_path / "candidates.jsonl").exists()


def test_a_model_whose_layers_differ_in_size_answers_and_is_evaluated(tiny, tmp_path):
    """Gemma 4: transformers refuses to give one size for all layers."""
    import torch
    from transformers import AutoTokenizer, Gemma4ForCausalLM, Gemma4TextConfig

    from training.engine.inference.batching import Costs

    tokenizer = AutoTokenizer.from_pretrained(tiny.base)
    torch.manual_seed(0)
    config = Gemma4TextConfig(
        vocab_size=400,
        vocab_size_per_layer_input=400,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=8,
        global_head_dim=16,
        layer_types=["sliding_attention", "full_attention"],
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model = Gemma4ForCausalLM(config)
    assert Costs.of(model).cache_token == 2 * 2 * 16 * 4  # keys and values of two layers, of the larger size
    model.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    source = ModelSource(base=str(tmp_path / "model"))
    directory = generation(tmp_path / "g", source, max_new_tokens=4)
    assert run_here("generate", directory) == 0, directory.read_result()
    directory = make_run(tmp_path / "e", EvaluationConfig(run_id="e", model=source, max_new_tokens=4))
    write_rows(directory, dpo_rows(4), "held_out")
    assert run_here("evaluate", directory) == 0, directory.read_result()
