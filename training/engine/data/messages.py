"""Messages of a chat as rows have them: what counts as content, and what a chat template is given. Free of torch.

A message is `{"role", "content"}`; an assistant's may have `tool_calls` instead of content. Parquet gives all
messages of a column the same keys, and fills those that a message did not have with null, at every depth.
"""

import json
from collections.abc import Mapping
from typing import Any

from training.contract.errors import DatasetError

# Columns of a row that are for the chat template (TRL's names).
TOOLS, TEMPLATE_KWARGS = "tools", "chat_template_kwargs"
# What a chat template is called with by us: a row cannot set it.
RESERVED = (
    *("conversation", "messages", "tools", "documents", "chat_template", "add_generation_prompt"),
    *("continue_final_message", "tokenize", "padding", "truncation", "max_length", "return_tensors", "return_dict"),
    *("return_assistant_tokens_mask", "tokenizer_kwargs", "sanitize_control_tokens"),
)
REASONING_KEYS = ("reasoning_content", "reasoning", "thinking")
REASONING_END = "</think>"


def has_content(turn: Any) -> bool:
    """Whether a message says something: it has a role, and a content or tool calls."""
    if not isinstance(turn, Mapping) or not turn.get("role"):
        return False
    return turn.get("content") is not None or bool(turn.get("tool_calls"))


def plain_text(turn: Mapping[str, Any]) -> str:
    """A message's content as one text: content parts joined, tool calls as JSON behind it."""
    content = turn.get("content")
    if isinstance(content, list):
        content = "\n".join(
            part if isinstance(part, str) else str(part.get("text") or "")
            for part in content
            if isinstance(part, str | Mapping)
        )
    calls = turn.get("tool_calls")
    texts = [str(content or ""), json.dumps(without_nulls(calls), ensure_ascii=False) if calls else ""]
    return "\n".join(text for text in texts if text)


def with_parts(turns: list[dict[str, Any]], number: int, *, joined: bool) -> list[dict[str, Any]]:
    """The messages whose content is a list of parts without what Parquet added; `joined`: as one text, a part a line.

    Raises DatasetError with the row's number for a part that is no text.
    """
    if not any(isinstance(turn.get("content"), list) for turn in turns):
        return turns
    return [
        {**turn, "content": _of_parts(turn["content"], number, joined=joined)}
        if isinstance(turn.get("content"), list)
        else turn
        for turn in turns
    ]


def _of_parts(parts: list[Any], number: int, *, joined: bool) -> Any:
    texts = []
    for part in parts:
        text = part if isinstance(part, str) else part.get("text") if isinstance(part, Mapping) else None
        if not isinstance(text, str):
            kind = part.get("type") if isinstance(part, Mapping) else None
            raise DatasetError(
                f"Row {number}: a message has a part that is no text ({_short(kind or part)}), and only text is "
                "trained: the model would not see it. Leave such rows out"
            )
        texts.append(text)
    return "\n".join(texts) if joined else [{"type": "text", "text": text} for text in texts]


def for_template(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The messages without what Parquet added: null in tool calls, and empty lists of them."""
    if not any("tool_calls" in turn for turn in messages):
        return messages
    return [
        {
            key: without_nulls(value) if key == "tool_calls" else value
            for key, value in turn.items()
            if key != "tool_calls" or value
        }
        for turn in messages
    ]


def without_nulls(value: Any) -> Any:
    """The value without dictionary entries that are null, at every depth."""
    if isinstance(value, Mapping):
        return {key: without_nulls(entry) for key, entry in value.items() if entry is not None}
    if isinstance(value, list | tuple):
        return [without_nulls(entry) for entry in value]
    return value


def tools_of(row: Mapping[str, Any], number: int) -> list[Any] | None:
    """The functions that the model may call, from a list or its JSON. Raises DatasetError with the row's number."""
    tools = _parsed(row.get(TOOLS), TOOLS, number)
    if not tools:  # some templates write a heading for an empty list
        return None
    if not isinstance(tools, list):
        raise DatasetError(f"Row {number}: {TOOLS} must be a list of functions, or its JSON; got {_short(tools)}")
    tools = [_parsed(tool, TOOLS, number) for tool in tools]
    if wrong := [tool for tool in tools if not isinstance(tool, dict)]:
        raise DatasetError(f"Row {number}: an entry of {TOOLS} must be a JSON schema; got {_short(wrong[0])}")
    return [without_nulls(tool) for tool in tools]


def template_kwargs_of(row: Mapping[str, Any], number: int) -> dict[str, Any]:
    """The row's variables for the chat template. Raises DatasetError with the row's number."""
    values = _parsed(row.get(TEMPLATE_KWARGS), TEMPLATE_KWARGS, number)
    if not values:
        return {}
    if not isinstance(values, dict):
        raise DatasetError(f"Row {number}: {TEMPLATE_KWARGS} must be an object, or its JSON; got {_short(values)}")
    if taken := [key for key in values if key in RESERVED]:
        raise DatasetError(f"Row {number}: {TEMPLATE_KWARGS} cannot set {', '.join(taken)}: remove it from the column")
    return dict(without_nulls(values))


def names_of(calls: Any) -> list[str]:
    """The names of functions in tool calls or in tools."""
    functions = [call.get("function") or call for call in calls or () if isinstance(call, Mapping)]
    return [str(function["name"]) for function in functions if isinstance(function, Mapping) and function.get("name")]


def reasoning_of(turn: Mapping[str, Any]) -> str:
    """The reasoning before an assistant's answer; empty where there is none."""
    for key in REASONING_KEYS:
        if turn.get(key):
            return str(turn[key]).strip()
    content = turn.get("content")
    if turn.get("role") != "assistant" or not isinstance(content, str) or REASONING_END not in content:
        return ""
    return content.split(REASONING_END)[0].rsplit("<think>", 1)[-1].strip()


def _parsed(value: Any, column: str, number: int) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value) if value.strip() else None
    except ValueError as error:
        raise DatasetError(f"Row {number}: {column} is not JSON ({error}): {_short(value)}") from error


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:79] + "…"
