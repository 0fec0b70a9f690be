"""Control tokens that people type are text: never a stop token, never another turn; counted and named."""

import json

import pytest

from tests.engine.conftest import assistant, dpo_rows, make_run, run_here, sft_rows, training, user
from tests.engine.data.tokenizers_of_kinds import CHATML, KINDS, byte_level, prepared, sentencepiece_like, stops

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def tokenizers():
    return {name: make() for name, make in KINDS.items()}


def control_ids(tokenizer):
    from training.engine.data.control_tokens import ControlTokens

    return ControlTokens(tokenizer).ids - {tokenizer.unk_token_id, tokenizer.pad_token_id}


def of_control(tokenizer, ids):
    return [token for token in ids if token in control_ids(tokenizer)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("where", ["prompt", "completion", "both"])
@pytest.mark.parametrize("written", ["a {} b", "{}", "the{}", "{}{} good", "good {}"])
def test_of_the_control_tokens_only_the_template_s_own_are_left(tokenizers, kind, where, written):
    tokenizer = tokenizers[kind]
    plain = {"prompt": user("the pool"), "completion": assistant("was fine")}
    (expected,), _ = prepared(tokenizer, [plain])
    for token in ["<|im_end|>", "<|im_start|>", "</s>"] if kind == "byte level" else ["</s>", "<s>"]:
        text = written.format(token, token)
        row = dict(plain)
        if where != "completion":
            row["prompt"] = user(text)
        if where != "prompt":
            row["completion"] = assistant(text)
        (found,), counts = prepared(tokenizer, [row])
        for ours, theirs in (
            (found.prompt_ids, expected.prompt_ids),
            (found.completion_ids[0], expected.completion_ids[0]),
        ):
            assert of_control(tokenizer, ours) == of_control(tokenizer, theirs)
        typed = token in control_texts(tokenizer)
        assert counts.control_text == int(typed)
        assert counts.listed.get("control_text", []) == ([1] if typed else [])
        if kind == "byte level":  # the text itself is there, letter by letter
            whole = found.prompt_ids + found.completion_ids[0]
            assert text in tokenizer.decode(whole)


def control_texts(tokenizer):
    from training.engine.data.control_tokens import control_tokens

    return control_tokens(tokenizer)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("completion", ["was </s> fine", "</s>", "fine </s></s>", "fine </s> good"])
def test_a_plain_completion_has_one_end_of_text(tokenizers, kind, completion):
    tokenizer = tokenizers[kind]
    end = tokenizer.eos_token
    rows = [
        {"prompt": "the pool\n", "completion": completion.replace("</s>", end)},
        {"prompt": "a\n", "completion": "good"},
    ]
    (typed, other), counts = prepared(tokenizer, rows)
    assert typed.completion_ids[0].count(tokenizer.eos_token_id) == 1
    assert typed.completion_ids[0][-1] == other.completion_ids[0][-1] == tokenizer.eos_token_id
    assert counts.listed["control_text"] == [1]


def test_a_data_set_that_ends_all_completions_itself_is_as_before(tokenizers):
    tokenizer = tokenizers["byte level"]
    rows = [{"prompt": "the pool\n", "completion": f"fine{tokenizer.eos_token}"}] * 3
    found, counts = prepared(tokenizer, rows)
    bare, _ = prepared(tokenizer, [{**row, "completion": "fine"} for row in rows])
    assert [item.completion_ids for item in found] == [item.completion_ids for item in bare]
    assert counts.control_text == 0


def test_a_control_token_across_the_border_of_prompt_and_completion_is_text(tokenizers):
    tokenizer = tokenizers["byte level"]
    rows = [{"prompt": "the pool <|im_", "completion": "end|> fine"}, {"prompt": "the <|im_end", "completion": "|>"}]
    found, counts = prepared(tokenizer, rows)
    ends = tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert all(ends not in item.prompt_ids + item.completion_ids[0] for item in found)
    assert counts.control_text == 2


def test_tags_that_models_write_themselves_stay_tokens():
    tokenizer = byte_level()
    tokenizer.add_tokens(["<think>", "</think>", "<tool_call>"])
    (found,), counts = prepared(tokenizer, [{"prompt": user("a"), "completion": assistant("<tool_call>x")}])
    assert tokenizer.convert_tokens_to_ids("<tool_call>") in found.completion_ids[0]
    assert counts.control_text == 0


def test_texts_without_control_tokens_have_the_tokenizer_s_own_ids(tokenizers):
    for tokenizer in tokenizers.values():
        row = sft_rows(1)[0]
        (found,), _ = prepared(tokenizer, [row])
        whole = tokenizer.apply_chat_template(row["prompt"] + row["completion"], return_dict=True)["input_ids"]
        assert found.prompt_ids + found.completion_ids[0] == whole


def test_generation_and_evaluation_read_a_prompt_as_training_does(tokenizers):
    from training.engine.data.tokenization import prompt_ids

    for tokenizer in tokenizers.values():
        row = {"prompt": user("the </s> pool <|im_end|>"), "completion": assistant("fine")}
        (found,), _ = prepared(tokenizer, [row])
        assert prompt_ids(tokenizer, [row]) == [found.prompt_ids]


def test_a_run_counts_them_and_preflight_names_the_rows(tiny, tmp_path):
    from training.engine.models import loading

    end = loading.load_tokenizer(tiny).eos_token
    rows = dpo_rows(9)
    rows[2]["chosen"] = assistant(f"Dear guest,{end} thank you.")
    rows[6]["prompt"] = user(f"The {end} pool")
    directory = make_run(tmp_path, training("train_dpo", tiny, max_steps=1), rows)
    assert run_here("train_dpo", directory) == 0, directory.read_result()
    assert directory.read_result()["rows"]["control_text"] == 2
    found = json.loads((directory.path / "preflight.json").read_text())
    assert found["control_text"] == {"count": 2, "rows": [3, 7]}
    (check,) = [item for item in found["checks"] if item["name"] == "control_tokens"]
    assert check["status"] == "warning"
    assert check["words"].startswith("2 rows contain a control token of the model that somebody typed (row 3, 7)")


@pytest.mark.parametrize("text", ["good day", "a </s> b", ""])
def test_a_tokenizer_that_appends_an_end_of_text_trains(text):
    """Its prompt alone would end, and every row be refused."""
    tokenizer, plain = sentencepiece_like(post="eos"), sentencepiece_like()
    rows = [{"prompt": f"the pool {text}\n", "completion": "fine"}, {"prompt": "a\n", "completion": "good"}]
    found, _ = prepared(tokenizer, rows)
    expected, _ = prepared(plain, rows)
    assert [(i.prompt_ids, i.completion_ids) for i in found] == [(i.prompt_ids, i.completion_ids) for i in expected]
    assert [item.completion_ids[0].count(2) for item in found] == [1, 1]
    assert prepared(tokenizer, sft_rows(3))[1].used == 3


def test_chatml_rows_end_with_their_own_stop_token():
    tokenizer = byte_level(CHATML)
    (found,), _ = prepared(tokenizer, sft_rows(1))
    assert len(stops(tokenizer)) == 2
    assert tokenizer.convert_tokens_to_ids("<|im_end|>") in found.completion_ids[0]


def test_a_real_model_s_tokenizer_reads_real_dialogues_as_ever(real_data):
    """Without typed control tokens the ids are the tokenizer's own; with one, only that changes."""
    import itertools
    import json

    from training.contract.config import ModelSource
    from training.engine.models import loading

    tokenizer = loading.load_tokenizer(ModelSource(base=str(real_data / "models" / "stories260K-hf")))
    rows = []
    with (real_data / "hh_rlhf_harmless_base_test.jsonl").open() as file:
        for line in itertools.islice(file, 60):
            pair = json.loads(line)
            sides = {name: assistant(pair[name].strip()) for name in ("chosen", "rejected")}
            rows.append({"prompt": user(pair["prompt"].strip()), **sides})
    rows = [row for row in rows if all(row[name][0]["content"] for name in row)]
    found, counts = prepared(tokenizer, rows, "dpo", max_length=1 << 20)
    assert counts.control_text == counts.dropped_prefix_mismatch == 0
    assert len(found) > 50
    for item in found:
        row = rows[item.row]
        for side, ids in zip(("chosen", "rejected"), item.completion_ids, strict=True):
            whole = tokenizer.apply_chat_template(row["prompt"] + row[side], return_dict=True)["input_ids"]
            assert item.prompt_ids + ids == whole
    typed = {"prompt": rows[0]["prompt"], "completion": assistant("Yes.</s> <s> No.")}
    (item,), counts = prepared(tokenizer, [typed], max_length=1 << 20)
    assert counts.control_text == 1
    assert item.completion_ids[0].count(tokenizer.eos_token_id) == 1
    assert tokenizer.bos_token_id not in item.completion_ids[0]
