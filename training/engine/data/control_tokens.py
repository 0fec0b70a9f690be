"""Control tokens that people typed: found in texts, and encoded as the text that they are.

A tokenizer turns `</s>` or `<|im_end|>` into a control token wherever it occurs. In a person's text that would end the
answer, or open another turn. Such places are marked before a chat template or a border sees them, and encoded as
ordinary text; the control tokens that the template writes, and the end of text that a completion gets, stay real.
The marks and the encoding are transformers' own (`apply_chat_template(sanitize_control_tokens=True)`). Texts without
a control token are not touched.
"""

import functools
import re
import threading
from typing import Any

from transformers import PreTrainedTokenizerBase
from transformers.utils.chat_template_utils import encode_marked_chat, mark_control_tokens

from training.contract.errors import DatasetError

# Added tokens that are not special and look like tags (<think>, </tool_call>) are what models write in their answers,
# and what decoding keeps: they stay tokens.
TAG = re.compile(r"</?[A-Za-z][\w-]*>")
# What transformers puts before and behind a control token that is text.
START, END = mark_control_tokens("x", re.compile("x")).split("x")


class Marked(str):
    """A text whose typed control tokens are marked."""

    __slots__ = ()


class ControlTokens:
    """The control tokens of a tokenizer: its special tokens, and the added tokens that its chat template writes."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self.tokenizer = tokenizer
        self.tokens = tuple(sorted(control_tokens(tokenizer), key=lambda token: (-len(token), token)))
        self.ids = set(tokenizer.convert_tokens_to_ids(list(self.tokens))) - {tokenizer.unk_token_id, None}
        self.pattern = re.compile("|".join(map(re.escape, self.tokens)) or "(?!)")
        self.reach = max(map(len, self.tokens), default=1) - 1
        self.lock = threading.RLock()  # a text with marks changes how the tokenizer reads the others meanwhile
        self._split = functools.cache(self._needs_splitting)

    def find(self, value: Any) -> str | None:
        """The first control token in a text, or in the texts of a list or an object; None where there is none."""
        if isinstance(value, str):
            match = self.pattern.search(value)
            return match.group() if match else None
        if isinstance(value, dict):
            value = value.values()
        elif not isinstance(value, list | tuple):
            return None
        return next((token for entry in value if (token := self.find(entry))), None)

    def across(self, text: str, following: str) -> bool:
        """Whether a control token begins in `text` and ends in `following`."""
        tail = text[-self.reach :] if self.reach else ""
        joined = tail + following[: self.reach]
        return any(match.start() < len(tail) < match.end() for match in self.pattern.finditer(joined))

    def mark(self, value: Any) -> Any:
        """The same text, list or object with all control tokens marked."""
        marked = mark_control_tokens(value, self.pattern)
        return self._broken_up(marked)

    def encode(self, text: str) -> list[int]:
        """Token ids of a marked text, without what the tokenizer adds around a text."""
        with self.lock:
            return list(encode_marked_chat(self.tokenizer, text))

    def _broken_up(self, value: Any) -> Any:
        """Marked tokens that the tokenizer would produce from text, too, are broken up into characters."""
        if isinstance(value, str):
            return re.sub(f"{START}(.*?){END}", self._one, value, flags=re.DOTALL) if START in value else value
        if isinstance(value, dict):
            return {key: self._broken_up(entry) for key, entry in value.items()}
        return [self._broken_up(entry) for entry in value] if isinstance(value, list) else value

    def _one(self, match: re.Match[str]) -> str:
        token = match.group(1)
        return START + START.join(token) + START if self._split(token) else match.group()

    def _needs_splitting(self, token: str) -> bool:
        try:
            if self.ids.isdisjoint(self.encode(START + token + END)):
                return False
        except ValueError:  # the token comes out of plain text
            pass
        if self.ids.isdisjoint(self.encode(START + START.join(token) + START)):
            return True
        raise DatasetError(
            f"The texts contain {token!r}, which this tokenizer can only read as a control token: remove it from them"
        )


def control_tokens(tokenizer: PreTrainedTokenizerBase) -> set[str]:
    """Texts that the tokenizer turns into tokens which steer a model, and which nobody should be able to type."""
    template = tokenizer.chat_template or ""
    literals = "\0".join(template.values()) if isinstance(template, dict) else str(template)
    named = getattr(tokenizer, "chat_control_tokens", None)
    found = set(tokenizer.all_special_tokens)
    for token in tokenizer.added_tokens_decoder.values():
        steers = token.content in named if named is not None else in_template(token.content, literals)
        if token.special or steers:
            found.add(token.content)
    return {token for token in found if token and not token.isspace()}


def in_template(token: str, literals: str) -> bool:
    return token in literals and TAG.fullmatch(token) is None
