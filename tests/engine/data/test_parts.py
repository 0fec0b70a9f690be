"""Messages whose content is a list of parts, rows with other media than text, and answers that say nothing."""

import pytest

from tests.engine.conftest import assistant, dpo_rows, sft_rows, user
from tests.engine.data.tokenizers_of_kinds import CHATML, byte_level, prepared
from training.contract.errors import DatasetError
from training.engine.models.loading import DEFAULT_CHAT_TEMPLATE

pytestmark = pytest.mark.engine

NATIVE = CHATML.replace(
    "m['content']", "(m['content'] if m['content'] is string else m['content'] | map(attribute='text') | join)"
)
ONLY_PARTS = CHATML.replace("m['content']", "m['content'][0].text")


def parts(*texts):
    return [{"type": "text", "text": text, "image": None} for text in texts]  # as Parquet gives them


def row(content):
    return {"prompt": [{"role": "user", "content": content}], "completion": [{"role": "assistant", "content": content}]}


@pytest.mark.parametrize(
    "template", [CHATML, NATIVE, DEFAULT_CHAT_TEMPLATE, CHATML.replace("m['content']", "m['content'] | trim")]
)
@pytest.mark.parametrize("content", [parts("the pool"), ["the pool"], [{"text": "the pool"}]])
def test_a_text_in_a_list_is_that_text(template, content):
    tokenizer = byte_level(template)
    assert prepared(tokenizer, [row(content)]) == prepared(tokenizer, [row("the pool")])


def test_several_parts_are_lines_unless_the_template_joins_them_itself():
    for template, text in ((CHATML, "the\npool"), (NATIVE, "thepool")):
        tokenizer = byte_level(template)
        assert prepared(tokenizer, [row(parts("the", "pool"))])[0] == prepared(tokenizer, [row(text)])[0]


def test_a_template_that_writes_lists_only_gets_them():
    tokenizer = byte_level(ONLY_PARTS)
    (found,), _ = prepared(tokenizer, [row(parts("the pool"))])
    (expected,), _ = prepared(byte_level(CHATML), [row("the pool")])
    assert (found.prompt_ids, found.completion_ids) == (expected.prompt_ids, expected.completion_ids)


@pytest.mark.parametrize(
    "part", [{"type": "image"}, {"type": "image_url", "image_url": {"url": "x"}}, {"type": "text", "text": None}, 3]
)
def test_a_part_that_is_no_text_is_refused_with_its_row(part):
    rows = [row("a"), row([*parts("the pool"), part])]
    with pytest.raises(DatasetError, match=r"Row 2: a message has a part that is no text"):
        prepared(byte_level(CHATML), rows)


@pytest.mark.parametrize("column", ["images", "image", "videos", "audio"])
def test_other_media_beside_the_text_are_refused_with_the_row(column):
    rows = [{**row, column: None} for row in sft_rows(4)]
    prepared(byte_level(CHATML), rows)
    rows[2][column] = ["a.png"]
    with pytest.raises(DatasetError, match=rf"1 row with {column}, the first is row 3, and only text is trained"):
        prepared(byte_level(CHATML), rows)


@pytest.mark.parametrize("content", ["", "  ", [], parts(" ")])
@pytest.mark.parametrize(
    ("purpose", "column"), [("sft", "completion"), ("sft", "prompt"), ("dpo", "chosen"), ("dpo", "rejected")]
)
def test_messages_that_say_nothing_are_empty_as_texts_are(content, purpose, column):
    rows = dpo_rows(3) if purpose == "dpo" else sft_rows(3)
    rows[1][column] = [{"role": "assistant", "content": content}]
    with pytest.raises(DatasetError, match=rf"1 row has an empty {column}, the first is row 2"):
        prepared(byte_level(CHATML), rows, purpose)


def test_a_turn_may_be_empty_beside_one_that_is_not():
    rows = [{"prompt": [{"role": "system", "content": ""}, *user("a")], "completion": assistant("b")}]
    assert len(prepared(byte_level(CHATML), rows)[0]) == 1


WRITES = "{{ m['role'] + ': ' + m['content'] + '<|im_end|>\\n' }}"


@pytest.mark.parametrize("role", ["system", "user", "assistant", "developer"])
def test_a_template_that_leaves_out_messages_of_a_role_is_refused_with_the_row(role):
    left_out = "{% for m in messages %}{% if m['role'] != '" + role + "' %}" + WRITES + "{% endif %}{% endfor %}"
    tokenizer = byte_level(left_out + "{% if add_generation_prompt %}assistant: {% endif %}")
    rows = sft_rows(3)
    first = "developer" if role == "developer" else "system"
    rows[1]["prompt"] = [{"role": first, "content": "Be kind."}, *rows[1]["prompt"]]
    number = 2 if role in ("system", "developer") else 1
    with pytest.raises(
        DatasetError, match=rf"Row {number}: the chat template does not write a message of the role '{role}'"
    ):
        prepared(tokenizer, rows)


def test_a_template_may_write_messages_in_its_own_way():
    own = "{% for m in messages %}" + WRITES.replace("m['content']", "(m['content'] | trim | upper)") + "{% endfor %}"
    rows = [
        {
            "prompt": [{"role": "system", "content": "Be kind."}, *user("a"), *assistant("b"), *user("c")],
            "completion": assistant("d"),
        }
    ]
    assert prepared(byte_level(own + "{% if add_generation_prompt %}assistant: {% endif %}"), rows)[0]
