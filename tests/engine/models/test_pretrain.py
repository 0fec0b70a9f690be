"""The small base model: readable text of the grammar it was trained on, within its budget."""

import json
import re

import pytest

from tests.engine.conftest import NAMES, PLACES, TINY, assistant, chat, make_run, run_here, texts, user
from training.contract.config import GenerationConfig, ModelSource, TrainingConfig

pytestmark = pytest.mark.engine


def corpus_run(path, lines, **changes):
    values = {"epochs": 12, "learning_rate": 1e-2, "batch_size": 8, "threads": 1, "logging_steps": 5}
    config = TrainingConfig(
        program="pretrain", run_id="p", model=ModelSource(base=""), architecture=TINY, **{**values, **changes}
    )
    directory = make_run(path, config)
    directory.dataset.mkdir()
    content = "".join(
        (line if isinstance(line, str) else json.dumps(line, ensure_ascii=False)) + "\n" for line in lines
    )
    (directory.dataset / "corpus.jsonl").write_text(content, encoding="utf-8")
    return directory


def test_a_grammar_is_learnt_well_enough_to_read(tmp_path):
    documents: list[dict] = [{"text": "とてもおいしかったです。"}] * 5
    for number in range(300):
        review, formal, casual = chat(number)
        documents.append({"messages": [*user(review), *assistant(formal if number % 2 else casual)]})
    directory = corpus_run(tmp_path / "p", documents)
    assert run_here("pretrain", directory) == 0, directory.read_result()
    result = directory.read_result()
    assert result["metrics"]["loss"] < 1.0 < result["metrics"]["first_loss"]
    assert json.loads((directory.model / "lineage.json").read_text())["this"] == "full"

    prompts = "".join(
        json.dumps({"id": n, "messages": user(f"The {PLACES[n % 5]} was fine. {NAMES[n % 6]}")}) + "\n"
        for n in range(12)
    )
    asked = make_run(
        tmp_path / "g",
        GenerationConfig(
            run_id="g", model=ModelSource(base=str(directory.model)), temperature=0.7, max_new_tokens=40, threads=1
        ),
    )
    (asked.path / "prompts.jsonl").write_text(prompts)
    assert run_here("generate", asked) == 0
    replies = texts(asked.path / "candidates.jsonl")
    names = "|".join(NAMES)
    grammar = re.compile(rf"Dear ({names}), thank you for your words\.|Hey ({names}), cool, thanks!")
    good = [reply["text"] for reply in replies if grammar.fullmatch(reply["text"]) and reply["finished"]]
    assert len(good) >= 10, replies


def test_the_tokenizer_writes_any_text_and_keeps_prompts_whole(tiny):
    from training.engine.models import loading

    tokenizer = loading.load_tokenizer(tiny)
    for text in ("好みの文体 – naïve 🙂", "Dear Anna,\n\nthank you"):
        assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    assert len({tokenizer.pad_token_id, tokenizer.eos_token_id, tokenizer.bos_token_id}) == 3
    turns = [*user("Hello"), *assistant("Hi")]
    whole = tokenizer.apply_chat_template(turns, return_dict=True)["input_ids"]
    prompt = tokenizer.apply_chat_template(turns[:1], add_generation_prompt=True, return_dict=True)["input_ids"]
    assert whole[: len(prompt)] == prompt
    assert whole[-1] == tokenizer.eos_token_id


def test_a_chat_is_learnt_by_its_answers_and_a_text_as_a_whole(tiny):
    from training.engine import pretrain
    from training.engine.models import loading

    tokenizer = loading.load_tokenizer(tiny)
    turns = [*user("Hello"), *assistant("Hi"), *user("And now?"), *assistant("Bye")]
    (row,) = pretrain.encode([turns], tokenizer, 256)
    assert row.ids == tokenizer.apply_chat_template(turns, return_dict=True)["input_ids"]
    end = pretrain.END
    assert tokenizer.decode([label for label in row.labels if label != pretrain.IGNORED]) == f"Hi{end}Bye{end}"
    assert all(label in (token, pretrain.IGNORED) for token, label in zip(row.ids, row.labels, strict=True))

    (row,) = pretrain.encode(["Hello"], tokenizer, 256)
    assert row.labels == row.ids
    # A long document is cut; a part without an answer teaches nothing.
    length = len(tokenizer("Hello " * 40)["input_ids"])
    parts = pretrain.encode([[*user("Hello " * 40), *assistant("Hi")]], tokenizer, length // 2)
    assert len(parts) == 1
    assert len(pretrain.encode(["Hello " * 40], tokenizer, length // 2)) > 2

    batch = pretrain.padded([row, *parts], tokenizer.pad_token_id, "cpu")
    assert batch["labels"].shape == batch["input_ids"].shape
    assert (batch["labels"][0][len(row.ids) :] == pretrain.IGNORED).all()


def test_the_budget_ends_the_training(tmp_path):
    directory = corpus_run(tmp_path, [{"text": chat(n)[0]} for n in range(50)], epochs=100_000, max_seconds=4)
    assert run_here("pretrain", directory) == 0
    assert directory.read_result()["wall_s"] < 120  # all epochs would take hours
    assert directory.model.exists()


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "no documents"),
        (['{"text": "a"}', "{"], "line 2"),
        ([{"title": "x"}], "line 1: KeyError"),
        ([{"messages": [{"role": "robot", "content": "x"}]}], "line 1: text, or messages of system"),
        ([{"messages": user("A question without an answer")}], "at least one of them of assistant"),
    ],
)
def test_a_bad_corpus_names_its_line(tmp_path, lines, message):
    directory = corpus_run(tmp_path, lines)
    assert run_here("pretrain", directory) == 1
    assert message in directory.read_result()["error"]
