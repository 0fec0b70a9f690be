"""Tool calls, tools and variables of the chat template: nothing that a row says is lost."""

import json

import pyarrow as pa
import pytest

from tests.engine.conftest import assistant, make_run, run_here, sft_rows, training, user
from tests.engine.data.tokenizers_of_kinds import CHATML, byte_level, prepared
from training.contract.errors import DatasetError

pytestmark = pytest.mark.engine

CALL = {"type": "function", "function": {"name": "book", "arguments": {"room": "pool", "nights": 2}}}
TOOL = {"type": "function", "function": {"name": "book", "description": "Book it", "parameters": {"type": "object"}}}
OTHER = {"type": "function", "function": {"name": "cancel", "parameters": {"type": "object", "properties": {}}}}
# As Qwen 2.5 writes them.
TOOLS_TEMPLATE = (
    "{% if tools %}<|im_start|>system\n{% for t in tools %}{{ t | tojson }}\n{% endfor %}<|im_end|>\n{% endif %}"
    "{% if mood is defined %}mood {{ mood }}\n{% endif %}"
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] or '' }}"
    "{% for c in m['tool_calls'] or [] %}<tool_call>{{ c['function'] | tojson }}</tool_call>{% endfor %}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def call(content=None, **changes):
    return {"role": "assistant", "content": content, "tool_calls": [CALL], **changes}


def answered():
    return [*user("room"), call(), {"role": "tool", "content": "booked 17", "tool_calls": None}]


@pytest.mark.parametrize("content", [None, "", "Let me see."])
@pytest.mark.parametrize("template", ["own", "default"])
def test_a_tool_call_is_an_answer_without_content(content, template):
    tokenizer = with_template(template)
    rows = [
        {"prompt": user("a room"), "completion": [call(content)]},
        {"prompt": answered(), "completion": assistant("It is booked.")},
    ]
    found, counts = prepared(tokenizer, through_parquet(rows))
    assert counts.used == 2
    first = tokenizer.decode(found[0].completion_ids[0])
    assert '"book"' in first
    assert '"room": "pool"' in first
    assert "null" not in first
    assert (content or "") in first
    assert "booked 17" in tokenizer.decode(found[1].prompt_ids)
    assert "It is booked." in tokenizer.decode(found[1].completion_ids[0])


def with_template(name):
    from training.engine.models import loading

    return byte_level(TOOLS_TEMPLATE if name == "own" else loading.DEFAULT_CHAT_TEMPLATE)


def through_parquet(rows):
    """As a file gives them back: every message with all keys, null where it had none."""
    return pa.Table.from_pylist(rows).to_pylist()


@pytest.mark.parametrize("message", [call(), {"role": "assistant", "tool_calls": [CALL]}])
@pytest.mark.parametrize("purpose", ["sft", "dpo", "kto"])
def test_each_trainer_reads_them(purpose, message):
    row = {"prompt": user("a room"), "completion": [message], "label": True}
    if purpose == "dpo":
        row = {"prompt": user("a room"), "chosen": [message], "rejected": assistant("I cannot.")}
    elif purpose == "sft":
        del row["label"]
    assert prepared(with_template("own"), [row], purpose)[1].used == 1


@pytest.mark.parametrize("empty", [None, [], [None]])
def test_a_message_without_content_and_calls_is_still_empty(empty):
    message = {"role": "assistant", "content": None, "tool_calls": empty if empty != [None] else None}
    with pytest.raises(DatasetError, match="empty completion"):
        prepared(with_template("own"), [{"prompt": user("a"), "completion": [message]}])


@pytest.mark.parametrize("tools", [[TOOL], [TOOL, OTHER], json.dumps([TOOL]), [json.dumps(TOOL), json.dumps(OTHER)]])
@pytest.mark.parametrize("template", ["own", "default"])
def test_the_tools_of_a_row_are_written(tools, template):
    tokenizer = with_template(template)
    row = {**sft_rows(1)[0], "tools": tools}
    (found, bare), _ = prepared(tokenizer, [row, {**row, "tools": None}])
    assert '"description": "Book it"' in tokenizer.decode(found.prompt_ids)
    assert ('"cancel"' in tokenizer.decode(found.prompt_ids)) == (len(tools) == 2)
    assert "book" not in tokenizer.decode(bare.prompt_ids)
    assert found.completion_ids == bare.completion_ids


@pytest.mark.parametrize("variables", [{"mood": "glad"}, '{"mood": "glad"}', {"mood": "glad", "other": None}])
def test_the_variables_of_a_row_are_given_to_the_template(variables):
    tokenizer = with_template("own")
    row = {**sft_rows(1)[0], "chat_template_kwargs": variables}
    (found,), _ = prepared(tokenizer, [row])
    assert "mood glad" in tokenizer.decode(found.prompt_ids)


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("tools", "[{", "Row 2: tools is not JSON"),
        ("tools", {"name": "book"}, "Row 2: tools must be a list"),
        ("tools", [7], "Row 2: an entry of tools must be a JSON schema"),
        ("chat_template_kwargs", "[1]", "Row 2: chat_template_kwargs must be an object"),
        ("chat_template_kwargs", {"tokenize": True}, "Row 2: chat_template_kwargs cannot set tokenize"),
        ("chat_template_kwargs", {"add_generation_prompt": True}, "cannot set add_generation_prompt"),
    ],
)
def test_what_cannot_be_read_is_named(column, value, words):
    rows = sft_rows(2)
    rows[1][column] = value
    with pytest.raises(DatasetError, match=words):
        prepared(with_template("own"), rows)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({**sft_rows(1)[0], "tools": [TOOL]}, r"Row 1: the chat template does not write tools \('book'\)"),
        ({"prompt": answered(), "completion": assistant("It is booked.")}, "Row 1: the chat template does not"),
        ({"prompt": user("a"), "completion": [call("x")]}, "does not write tool calls"),
    ],
)
def test_a_template_that_leaves_them_out_is_refused(row, words):
    safe = CHATML.replace("m['content']", "(m['content'] or '')")
    with pytest.raises(DatasetError, match=words):
        prepared(byte_level(safe), [row])


def test_pairs_that_are_equal_as_tokens_are_dropped_and_counted():
    tokenizer = byte_level(CHATML.replace("m['content']", "(m['content'] | trim)"))
    pairs = [("Thanks.", "Thanks. "), ("Thanks.", "\n Thanks."), ("Thanks.", "Thank you."), ("Hi\n", "Hi\n\n")]
    rows = [{"prompt": user("a"), "chosen": assistant(a), "rejected": assistant(b)} for a, b in pairs]
    found, counts = prepared(tokenizer, rows, "dpo")
    assert [item.number for item in found] == [3]
    assert counts.dropped_equal_tokens == 3
    assert counts.listed["dropped_equal_tokens"] == [1, 2, 4]
    with pytest.raises(DatasetError, match="both sides have the same tokens"):
        prepared(tokenizer, rows[:2], "dpo")


def test_a_run_with_tool_calls_trains_with_the_default_template(tiny, tmp_path):
    import shutil

    from training.contract.config import ModelSource

    folder = tmp_path / "model"
    shutil.copytree(tiny.base, folder)
    (folder / "chat_template.jinja").unlink()
    short = {"function": {"name": "book", "arguments": "{}"}}
    prompt = [*user("room"), {"role": "assistant", "content": None, "tool_calls": [short]}]
    prompt.append({"role": "tool", "content": "17", "tool_calls": []})
    rows = [{"prompt": prompt, "completion": assistant(f"Yes. {n}"), "tools": "[]"} for n in range(6)]
    directory = make_run(tmp_path / "run", training("train_sft", ModelSource(base=str(folder)), max_steps=1), rows)
    assert run_here("train_sft", directory) == 0, directory.read_result()
    assert directory.read_result()["rows"]["used"] == 6
