"""Texts and chats to token ids: the chat template, the tokenizer in batches, and typed control tokens as text.

A prompt here is the same for training, evaluation and generation.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from transformers import PreTrainedTokenizerBase, TokenizersBackend

from training.contract.errors import DatasetError
from training.engine.data import messages
from training.engine.data.control_tokens import START, ControlTokens, Marked
from training.engine.data.thinking import PromptStyle, prompt_style

SAMPLE = "a"
NAMED = 300  # characters of a library's error


@dataclass(frozen=True)
class Chat:
    """One conversation for the chat template. `number`: that of its row, for errors."""

    number: int
    messages: list[dict[str, Any]]
    tools: list[Any] | None = None
    kwargs: dict[str, Any] = field(default_factory=dict)
    marked: bool = False

    @property
    def group(self) -> str:
        """Chats of one group are rendered in one call."""
        if not self.tools and not self.kwargs:
            return ""
        return json.dumps([self.tools, self.kwargs], sort_keys=True, default=str)


class Encoder:
    """A tokenizer with its chat template.

    `prefix` and `suffix`: the ids that the tokenizer adds around a plain text by itself. The suffix (the end of text,
    in some) is not wanted: a prompt does not end there, and a completion gets its end of text here.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self.tokenizer = tokenizer
        self.control = ControlTokens(tokenizer)
        self.prefix, self.suffix = added_around(tokenizer)
        self._style: PromptStyle | None = None
        self._reads_parts: bool | None = None
        self._written: set[tuple[str, ...]] = set()

    @property
    def style(self) -> PromptStyle:
        """How the chat template's prompts are written (see `thinking`)."""
        if self._style is None:
            self._style = prompt_style(
                lambda turns, generation, **kwargs: self.render([Chat(0, turns, kwargs=kwargs)], generation)[0],
                lambda text: self.written([text])[0],
            )
        return self._style

    @property
    def reads_parts(self) -> bool:
        """Whether the chat template writes a list of content parts as it writes one text, or nothing but such lists.

        Others would write Python's form of the list.
        """
        if self._reads_parts is None:
            part, text = [{"type": "text", "text": SAMPLE}], SAMPLE
            alone, parts = (self._sample(content) for content in (text, part))
            self._reads_parts = parts is not None and alone in (None, parts)
        return self._reads_parts

    def _sample(self, content: Any) -> str | None:
        try:
            return self._apply([Chat(0, [{"role": "user", "content": content}])], True)[0]
        except Exception:  # a template may raise anything
            return None

    # ---- token ids ----

    def plain(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of plain texts, the beginning of text included where the tokenizer adds it, without an end of text."""
        ids_of = self._in_batch([text for text in texts if not isinstance(text, Marked)], special=True)
        return [
            self.prefix + self.control.encode(text) if isinstance(text, Marked) else self._open(ids_of[text])
            for text in texts
        ]

    def written(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of what a chat template wrote, or of pieces of text: nothing is added to them."""
        ids_of = self._in_batch([text for text in texts if not isinstance(text, Marked)], special=False)
        return [self.control.encode(text) if isinstance(text, Marked) else ids_of[text] for text in texts]

    def _open(self, ids: list[int]) -> list[int]:
        end = len(ids) - len(self.suffix)
        return ids[:end] if self.suffix and ids[end:] == self.suffix else ids

    def _in_batch(self, texts: Iterable[str], *, special: bool) -> dict[str, list[int]]:
        """Ids by text; each text once. The tokenizers library spreads a batch over the processors."""
        unique = list(dict.fromkeys(texts))
        if not unique:
            return {}
        tokenizer = self.tokenizer
        if type(tokenizer)._encode_plus is getattr(TokenizersBackend, "_encode_plus", None):
            backend = tokenizer.backend_tokenizer
            with self.control.lock:
                backend.no_truncation()
                backend.no_padding()
                backend.encode_special_tokens = tokenizer.split_special_tokens
                found = backend.encode_batch_fast(unique, add_special_tokens=special)
            encoded = [item.ids for item in found]
        else:
            with self.control.lock:
                encoded = tokenizer(unique, add_special_tokens=special, verbose=False)["input_ids"]
        return dict(zip(unique, encoded, strict=True))

    # ---- plain rows ----

    def plain_full(self, prompt: str, completion: str, *, ended: bool) -> str:
        """Prompt and completion with an end of text behind; `ended`: the completion has it already."""
        end = str(self.tokenizer.eos_token)
        if ended:
            completion = completion.removesuffix(end)
        across = self.control.across(prompt, completion)
        if not across and not self.control.find(prompt) and not self.control.find(completion):
            return prompt + completion + end
        border = START if across else ""
        return Marked(self.control.mark(prompt) + border + self.control.mark(completion) + end)

    def plain_prompt(self, prompt: str) -> str:
        return Marked(self.control.mark(prompt)) if self.control.find(prompt) else prompt

    # ---- chats ----

    def chat(self, row: Mapping[str, Any], number: int, turns: list[dict[str, Any]]) -> Chat:
        """The conversation of a row, its typed control tokens marked."""
        values = messages.for_template(turns)
        if any(isinstance(turn.get("content"), list) for turn in values):
            values = messages.with_parts(values, number, joined=not self.reads_parts)
        tools, kwargs = messages.tools_of(row, number), messages.template_kwargs_of(row, number)
        self._check_roles(values, number)
        if self.control.find([values, tools, kwargs]) is None:
            return Chat(number, values, tools, kwargs)
        values, tools, kwargs = map(self.control.mark, (values, tools, kwargs))
        return Chat(number, values, tools, kwargs, marked=True)

    def _check_roles(self, turns: list[dict[str, Any]], number: int) -> None:
        """Raises DatasetError where the chat template leaves out a message of such a conversation, of any role.

        Tried on words in place of the messages, once for each sequence of roles; tools are checked on the rows.
        """
        roles = tuple(str(turn["role"]) for turn in turns)
        if roles in self._written or "tool" in roles or any(turn.get("tool_calls") for turn in turns):
            return
        words = [f"zebra{chr(97 + place // 26 % 26)}{chr(97 + place % 26)}" for place in range(len(roles))]
        sample = [{"role": role, "content": word} for role, word in zip(roles, words, strict=True)]
        try:
            text = self._apply([Chat(0, sample)], False)[0].lower()
        except Exception:  # what it does not accept is said of the row itself
            text = "".join(words)
        if left_out := [role for role, word in zip(roles, words, strict=True) if word not in text]:
            raise DatasetError(
                f"Row {number}: the chat template does not write a message of the role {left_out[0]!r}, so the model "
                "would not see it. Use a model whose chat template writes it, or leave such messages out"
            )
        self._written.add(roles)

    def prompts(self, chats: Sequence[Chat], *, styled: bool = True) -> list[str]:
        """What the model is given before it answers; `styled` as for rows without reasoning."""
        style = self.style if styled else PromptStyle()
        return [kept(text, style.prompt(text)) for text in self.render(_with(chats, style), True)]

    def full(self, chats: Sequence[Chat], whole: Sequence[Chat], *, styled: bool = True) -> list[str]:
        """Prompt and answer: `chats` end with the prompt, `whole` with the answer."""
        style = self.style if styled else PromptStyle()
        texts = self.render(_with(whole, style), False)
        if not style.add:
            return texts
        prompts = self.render(_with(chats, style), True)
        return [kept(text, style.full(prompt, text)) for prompt, text in zip(prompts, texts, strict=True)]

    def render(self, chats: Sequence[Chat], generation_prompt: bool) -> list[str]:
        """What the chat template writes. Raises DatasetError with the number of a row that it does not accept."""
        groups: dict[str, list[int]] = {}
        for position, chat in enumerate(chats):
            groups.setdefault(chat.group, []).append(position)
        texts = [""] * len(chats)
        for positions in groups.values():
            group = [chats[position] for position in positions]
            try:
                rendered = self._apply(group, generation_prompt)
            except Exception:  # a template may raise anything (TemplateError, TypeError …): which row is it?
                rendered = [self._one(chat, generation_prompt) for chat in group]
            for position, text in zip(positions, rendered, strict=True):
                texts[position] = Marked(text) if chats[position].marked else text
        return texts

    def _apply(self, chats: Sequence[Chat], generation_prompt: bool) -> list[str]:
        return list(
            self.tokenizer.apply_chat_template(
                [chat.messages for chat in chats],
                tools=chats[0].tools,
                tokenize=False,
                add_generation_prompt=generation_prompt,
                **chats[0].kwargs,
            )
        )

    def _one(self, chat: Chat, generation_prompt: bool) -> str:
        try:
            return self._apply([chat], generation_prompt)[0]
        except Exception as error:
            raise DatasetError(
                f"Row {chat.number}: the chat template does not accept these messages: {str(error)[:NAMED]}"
            ) from error


def kept(text: str, changed: str) -> str:
    """`changed`, marked where `text` is."""
    return Marked(changed) if isinstance(text, Marked) else changed


def _with(chats: Sequence[Chat], style: PromptStyle) -> list[Chat]:
    """The chats with the style's variables, where a row does not set them itself."""
    return [replace(chat, kwargs={**style.kwargs, **chat.kwargs}) for chat in chats] if style.kwargs else list(chats)


def added_around(tokenizer: PreTrainedTokenizerBase) -> tuple[list[int], list[int]]:
    """The ids that the tokenizer adds before and behind a text."""
    plain = list(tokenizer(SAMPLE, add_special_tokens=False)["input_ids"])
    whole = list(tokenizer(SAMPLE)["input_ids"])
    for start in range(len(whole) - len(plain) + 1):
        if whole[start : start + len(plain)] == plain:
            return whole[:start], whole[start + len(plain) :]
    return [], []
