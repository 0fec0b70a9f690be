"""Templates whose prompt opens a thinking block train, and answer as they were trained."""

import json

import pytest

from tests.engine.conftest import assistant, make_run, run_here, sft_rows, training, user
from tests.engine.data.tokenizers_of_kinds import byte_level, prepared
from training.contract.config import ModelSource

pytestmark = pytest.mark.engine

TURNS = "{% for m in messages %}<|im_start|>{{ m['role'] }}\n"
OPEN = "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n"
# As DeepSeek-R1: finished answers lose their reasoning, and the prompt opens a block.
R1 = (
    TURNS + "{% set c = m['content'] %}{% if m['role'] == 'assistant' and '</think>' in c %}"
    "{% set c = c.split('</think>')[-1] | trim %}{% endif %}{{ c }}<|im_end|>\n" + OPEN + "<think>\n{% endif %}"
)
# As Nemotron-3: a setting switches it off, and finished answers have an empty block.
NEMOTRON = (
    TURNS + "{% if m['role'] == 'assistant' and '<think>' not in m['content'] %}<think></think>{% endif %}"
    "{{ m['content'] }}<|im_end|>\n"
    + OPEN
    + "{% if enable_thinking | default(true) %}<think>\n{% else %}<think></think>{% endif %}{% endif %}"
)
# As DeepSeek-V3.1 and Granite: the setting is called `thinking`, and is on in this one.
GRANITE = (
    TURNS + "{{ m['content'] }}<|im_end|>\n" + OPEN + "{% if thinking | default(true) %}<think>{% endif %}{% endif %}"
)
# An empty block before finished answers, and no setting.
EMPTY = (
    TURNS
    + "{% if m['role'] == 'assistant' %}<think>\n\n</think>\n\n{% endif %}{{ m['content'] }}<|im_end|>\n"
    + OPEN
    + "<think>\n{% endif %}"
)
# As Magistral: square brackets.
BRACKETS = TURNS + "{{ m['content'] }}<|im_end|>\n" + OPEN + "[THINK]{% endif %}"
# As QwQ and Qwen3-Thinking: the finished answer has the block that the prompt opens. Nothing is wrong with it.
FITTING = (
    TURNS
    + "{% if m['role'] == 'assistant' %}<think>\n{{ m['reasoning_content'] | default('') }}\n</think>\n\n{% endif %}"
    "{{ m['content'] }}<|im_end|>\n" + OPEN + "<think>\n{% endif %}"
)
KINDS = {
    "r1": (R1, "assistant\n<think>\n\n</think>\n\n", {}),
    "nemotron": (NEMOTRON, "assistant\n<think></think>", {"enable_thinking": False}),
    "granite": (GRANITE, "<|im_start|>assistant\n", {"thinking": False}),
    "empty": (EMPTY, "assistant\n<think>\n\n</think>\n\n", {}),
    "brackets": (BRACKETS, "assistant\n[THINK]\n\n[/THINK]\n\n", {}),
}


def style_of(tokenizer):
    from training.engine.data.encoding import Encoder

    return Encoder(tokenizer).style


@pytest.mark.parametrize("kind", KINDS)
def test_rows_without_reasoning_train(kind):
    from training.engine.data.tokenization import prompt_ids

    template, ending, setting = KINDS[kind]
    tokenizer = byte_level(template)
    if kind == "empty":  # as large vocabularies do; without, prompt and answer fit
        tokenizer.add_tokens(["\n\n"])
    rows = sft_rows(6)
    rows.append({"prompt": [*user("a"), *assistant("b"), *user("c")], "completion": assistant("d"), "prompt_id": 9})
    found, counts = prepared(tokenizer, rows)
    assert counts.used == 7
    for row, item in zip(rows, found, strict=True):
        assert tokenizer.decode(item.prompt_ids).endswith(ending)
        assert tokenizer.decode(item.completion_ids[0]).strip() == row["completion"][0]["content"] + "<|im_end|>"
    assert prompt_ids(tokenizer, rows) == [item.prompt_ids for item in found]
    style = style_of(tokenizer)
    assert style.kwargs == setting
    for name in setting:
        assert f"{name}=False" in style.sentence
    assert repr(ending)[-12:-1] in style.sentence


def test_templates_that_fit_are_left_alone():
    for template in (FITTING, TURNS + "{{ m['content'] }}<|im_end|>\n" + OPEN + "{% endif %}"):
        tokenizer = byte_level(template)
        assert style_of(tokenizer).sentence == ""
        (found,), _ = prepared(tokenizer, sft_rows(1))
        row = sft_rows(1)[0]
        whole = tokenizer.apply_chat_template(row["prompt"] + row["completion"], return_dict=True)["input_ids"]
        assert found.prompt_ids + found.completion_ids[0] == whole


def test_rows_with_reasoning_are_written_with_it_where_the_template_does_so():
    tokenizer = byte_level(FITTING)
    answer = [{"role": "assistant", "content": "Thanks.", "reasoning_content": "pool was fine"}]
    (found,), counts = prepared(tokenizer, [{"prompt": user("a"), "completion": answer}])
    assert tokenizer.decode(found.prompt_ids).endswith("<think>\n")
    assert tokenizer.decode(found.completion_ids[0]).startswith("pool was fine\n</think>\n\nThanks.")
    assert counts.reasoning_left_out == 0


def test_reasoning_that_the_template_leaves_out_is_counted():
    tokenizer = byte_level(R1)
    answers = [assistant("<think>pool</think>Thanks."), assistant("Thanks.")]
    found, counts = prepared(tokenizer, [{"prompt": user("a"), "completion": answer} for answer in answers])
    assert [tokenizer.decode(item.completion_ids[0]).strip() for item in found] == ["Thanks.<|im_end|>"] * 2
    assert counts.listed["reasoning_left_out"] == [1]


def test_a_row_may_set_the_template_s_variable_itself():
    tokenizer = byte_level(NEMOTRON)
    answer = assistant("<think>\npool\n</think>Thanks.")
    row = {"prompt": user("a"), "completion": answer, "chat_template_kwargs": {"enable_thinking": True}}
    (found,), _ = prepared(tokenizer, [row])
    assert tokenizer.decode(found.prompt_ids).endswith("assistant\n<think>\n")
    assert tokenizer.decode(found.completion_ids[0]).startswith("pool\n</think>Thanks.")


@pytest.mark.parametrize("kind", ["r1", "nemotron"])
def test_a_run_says_in_preflight_how_prompts_end(tiny, tmp_path, kind):
    import shutil
    from pathlib import Path

    template, ending, _setting = KINDS[kind]
    folder = tmp_path / "model"
    shutil.copytree(tiny.base, folder)
    end = "{{ eos_token }}"
    (folder / "chat_template.jinja").write_text(template.replace("<|im_end|>", end))
    directory = make_run(
        tmp_path / "run", training("train_sft", ModelSource(base=str(folder)), max_steps=1), sft_rows(8)
    )
    assert run_here("train_sft", directory) == 0, directory.read_result()
    checks = json.loads((Path(directory.path) / "preflight.json").read_text())["checks"]
    (check,) = [item for item in checks if item["name"] == "chat_template"]
    assert "opens a thinking block" in check["words"]
    assert repr(ending)[-10:-1] in check["words"]
