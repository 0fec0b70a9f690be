"""Chats: lists of messages in the layouts that people have, as [{"role", "content"}, …]."""

import re
from collections.abc import Sequence
from typing import Any

from annotation.preparation.cells import Cells, is_blank, kind_of, shown
from annotation.text.normalization import normal_form

MESSAGES_LIMIT = 200
# The names that formats give to the three roles (OpenAI's, ShareGPT's, OpenAssistant's).
ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "prompter": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "bot": "assistant",
    "model": "assistant",
}
# (where a message has its role, where its content)
SHAPES = (("role", "content"), ("from", "value"), ("role", "value"), ("role", "text"))
TRANSCRIPT = re.compile(r"(?:^|\n\n)(Human|Assistant): ?")

Message = dict[str, str]


def is_message(value: Any) -> bool:
    return type(value) is dict and any(role in value and content in value for role, content in SHAPES)


def is_chat(value: Any) -> bool:
    return type(value) is list and bool(value) and is_message(value[0])


def is_transcript(value: Any) -> bool:
    """A text such as "\\n\\nHuman: …\\n\\nAssistant: …", as Anthropic's HH set has them."""
    return type(value) is str and value.startswith("\n\nHuman:") and "\n\nAssistant:" in value


def transcript(text: str) -> list[Message]:
    parts = TRANSCRIPT.split(text)
    roles = {"Human": "user", "Assistant": "assistant"}
    return [{"role": roles[who], "content": said.strip()} for who, said in zip(parts[1::2], parts[2::2], strict=True)]


def asking_transcript(value: Any) -> list[Message]:
    """The turns of a text such as "\\n\\nHuman: …\\n\\nAssistant:", which stops where the answer begins; of any other
    value, none."""
    if type(value) is not str or not value.startswith("\n\nHuman:") or not value.rstrip().endswith("\n\nAssistant:"):
        return []
    return transcript(value)[:-1]


def earlier_turns(cells: Cells, value: Any, column: str) -> list[Message]:
    """What was written before a text: a chat, or pairs of a question and its answer, [["Hello", "Hi"], …]."""
    if is_blank(value):
        return []
    value = cells.json(value, column) if cells.cells_are_text else value
    if is_chat(value):
        return read_chat(cells, value, column)
    if type(value) is not list or any(type(pair) is not list or len(pair) != 2 for pair in value):
        if not cells.faults:
            cells.fault(column, "the earlier turns are no list of pairs [question, answer]; leave the column out")
        return []
    texts = [cells.required_text(text, column, f"turn {n}") for n, text in enumerate((t for p in value for t in p), 1)]
    return [{"role": ("user", "assistant")[n % 2], "content": text} for n, text in enumerate(texts)]


def read_chat(cells: Cells, chat: Any, column: str) -> list[Message]:
    """Checked messages; an empty list after a fault. Keys other than role and content are counted as passed over."""
    if is_message(chat):
        chat = [chat]
    if type(chat) is not list or not chat:
        if not cells.faults:
            cells.fault(column, f"the messages are {kind_of(chat)}, not a list of {{role, content}}")
        return []
    if len(chat) > MESSAGES_LIMIT:
        cells.fault(column, f"{len(chat):,} messages, more than {MESSAGES_LIMIT}; keep the last ones")
        return []
    messages: list[Message] = []
    before = len(cells.faults)
    for number, message in enumerate(chat, 1):
        shape = next((s for s in SHAPES if type(message) is dict and set(s) <= set(message)), None)
        if shape is None:
            cells.fault(column, f"message {number} is not an object with role and content")
            return []
        role = ROLES.get(message[shape[0]]) if isinstance(message[shape[0]], str) else None
        if role is None:
            wrong = shown(message[shape[0]])
            cells.fault(column, f"message {number} has the role {wrong}; roles are system, user, assistant")
            return []
        cells.pass_over_keys(column, message, shape)
        content = message_text(cells, message[shape[1]], column, f"message {number}")
        messages.append({"role": role, "content": content})
    if any(message["role"] == "system" for message in messages[1:]):
        cells.fault(column, "only the first message may be of the role system")
    return messages if len(cells.faults) == before else []


def message_text(cells: Cells, content: Any, column: str, what: str) -> str:
    """A message's text; of content parts, their texts one below the other."""
    if type(content) is not list:
        return cells.required_text(content, column, what)
    texts = []
    for part in content:
        if type(part) is str:
            texts.append(part)
        elif type(part) is dict and type(part.get("text")) is str and part.get("type", "text") in TEXT_PARTS:
            texts.append(part["text"])
            cells.pass_over_keys(column, part, ("type", "text", "index"))
        else:
            kind = part.get("type") if type(part) is dict else kind_of(part)
            cells.fault(column, f"{what} has a part that is no text ({shown(kind)}); only texts can be read")
            return ""
    return cells.required_text("\n".join(texts), column, what)


TEXT_PARTS = ("text", "input_text", "output_text")


def split_answer(messages: list[Message]) -> tuple[list[Message], str]:
    """A chat that ends with the assistant, as (what was asked, the answer); else the chat and the empty string."""
    if messages and messages[-1]["role"] == "assistant":
        return messages[:-1], messages[-1]["content"]
    return messages, ""


def check_turns(cells: Cells, messages: Sequence[Message], column: str) -> bool:
    """Whether what is asked is one: user and assistant in turn, the user first and last."""
    turns = [message["role"] for message in messages if message["role"] != "system"]
    if turns == ["user", "assistant"] * (len(turns) // 2) + ["user"]:
        return True
    cells.fault(column, "user and assistant must take turns, and the user speak first and last before the answer")
    return False


def read_the_same(first: Sequence[Message], second: Sequence[Message]) -> bool:
    return [(m["role"], normal_form(m["content"])) for m in first] == [
        (m["role"], normal_form(m["content"])) for m in second
    ]
