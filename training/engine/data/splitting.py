"""Prompt and completions of rows as token ids, and where the completions begin. One chunk of rows at a time."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from training.contract.errors import DatasetError
from training.engine.data import messages
from training.engine.data.control_tokens import END, START, Marked
from training.engine.data.encoding import Chat, Encoder
from training.engine.data.rows import row_number

CHUNK = 2000  # rows
Rows = Sequence[Mapping[str, Any]]


@dataclass
class Split:
    """By place: ids of the prompt [R], and of each completion [R][k]; nothing for the places in `mismatches`.

    `control_text` and `reasoning_left_out` are places too (see `Counts`).
    """

    prompt_ids: list[list[int]] = field(default_factory=list)
    completion_ids: list[list[list[int]]] = field(default_factory=list)
    mismatches: list[int] = field(default_factory=list)
    control_text: list[int] = field(default_factory=list)
    reasoning_left_out: list[int] = field(default_factory=list)

    def extend(self, other: "Split") -> None:
        """Put the places of `other` behind those that are here."""
        before = len(self.prompt_ids)
        for name in ("mismatches", "control_text", "reasoning_left_out"):
            getattr(self, name).extend(place + before for place in getattr(other, name))
        self.prompt_ids += other.prompt_ids
        self.completion_ids += other.completion_ids

    def add(self, prompt: list[int], full: Sequence[list[int]]) -> None:
        if any(ids[: len(prompt)] != prompt for ids in full):
            self.mismatches.append(len(self.prompt_ids))
            prompt, full = [], [[] for _ in full]
        self.prompt_ids.append(prompt)
        self.completion_ids.append([ids[len(prompt) :] for ids in full])


def split_texts(encoder: Encoder, rows: Rows, positions: Sequence[int], columns: Sequence[str], ended: bool) -> Split:
    """Of plain rows; `ended`: all completions have their end of text already."""
    texts = [encoder.plain_prompt(rows[position]["prompt"]) for position in positions]
    for column in columns:
        for position in positions:
            texts.append(encoder.plain_full(rows[position]["prompt"], rows[position][column], ended=ended))
    ids = encoder.plain(texts)
    split = Split()
    size = len(positions)
    for place in range(size):
        split.add(ids[place], ids[place + size :: size])
        if any(isinstance(text, Marked) for text in texts[place::size]):
            split.control_text.append(place)
    return split


def split_chats(encoder: Encoder, rows: Rows, positions: Sequence[int], columns: Sequence[str]) -> Split:
    """Of chats. Rows with reasoning are written as the template does it; where that does not fit, like the others."""
    numbers = [row_number(rows, position) for position in positions]
    prompts = [
        encoder.chat(rows[position], number, rows[position]["prompt"])
        for position, number in zip(positions, numbers, strict=True)
    ]
    whole = [
        [
            encoder.chat(rows[position], number, rows[position]["prompt"] + rows[position][column])
            for position, number in zip(positions, numbers, strict=True)
        ]
        for column in columns
    ]
    reasoning = [
        [text for column in columns for turn in rows[position][column] if (text := messages.reasoning_of(turn))]
        for position in positions
    ]
    places = range(len(positions))
    natural = [place for place in places if reasoning[place]]
    styled = [place for place in places if not reasoning[place]]
    texts: dict[int, list[str]] = {}
    ids: dict[int, list[list[int]]] = {}

    def write(chosen: Sequence[int], *, styled: bool) -> None:
        if not chosen:
            return
        chats = [prompts[place] for place in chosen]
        written = encoder.prompts(chats, styled=styled)
        for of_column in whole:
            written += encoder.full(chats, [of_column[place] for place in chosen], styled=styled)
        encoded = encoder.written(written)
        for number, place in enumerate(chosen):
            texts[place], ids[place] = written[number :: len(chosen)], encoded[number :: len(chosen)]

    write(natural, styled=False)
    write(styled + [place for place in natural if not fits(ids[place])], styled=True)
    split = Split()
    for place in places:
        prompt, *full = ids[place]
        split.add(prompt, full)
        chats = [of_column[place] for of_column in whole]
        if any(chat.marked for chat in (prompts[place], *chats)):
            split.control_text.append(place)
        for chat, text in zip(chats, texts[place][1:], strict=True):
            check_tools_are_written(chat, text)
        if reasoning[place]:
            bare = unmarked("\n".join(texts[place][1:]))
            if any(text not in bare for text in reasoning[place]):
                split.reasoning_left_out.append(place)
    return split


def fits(ids: Sequence[list[int]]) -> bool:
    """Whether the first text is the beginning of each other one, in tokens."""
    return all(other[: len(ids[0])] == ids[0] for other in ids[1:])


def check_tools_are_written(chat: Chat, text: str) -> None:
    """Raises DatasetError where the chat template leaves out tools, tool calls, or what a tool answered."""
    calls = [call for turn in chat.messages for call in turn.get("tool_calls") or ()]
    answers = [turn["content"] for turn in chat.messages if turn["role"] == "tool" and turn.get("content")]
    if not (chat.tools or calls or answers):
        return
    bare = unmarked(text)

    def has(text: str) -> bool:
        return text in bare or escaped(text) in bare

    def has_name(name: str) -> bool:  # not as a part of another word
        return re.search(rf"(?<!\w){re.escape(name)}(?!\w)", bare) is not None

    for what, parts, is_written in (
        ("tools", messages.names_of(chat.tools), has_name),
        ("tool calls", messages.names_of(calls), has_name),
        ("answers of tools", [answer.strip() for answer in answers if isinstance(answer, str)], has),
    ):
        if missing := [part for part in map(unmarked, parts) if not is_written(part)]:
            raise DatasetError(
                f"Row {chat.number}: the chat template does not write {what} ({missing[0][:60]!r}), so the model would "
                "not see them. Use a model whose chat template writes them, or leave such rows out"
            )


def unmarked(text: str) -> str:
    return text.replace(START, "").replace(END, "")


def escaped(text: str) -> str:
    """As in JSON, without the quotation marks."""
    return json.dumps(text, ensure_ascii=False)[1:-1]
