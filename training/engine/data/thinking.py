"""Chat templates whose generation prompt opens a thinking block, while answers without reasoning have none.

DeepSeek-R1 kinds end the prompt with `<think>`, and write a finished answer without it; Nemotron-3 and Qwen3.5 write an
empty block there. Prompt and answer then do not fit together. They do with the setting that the template has for it,
or with an empty block at the end of the prompt. Which of them follows from the template alone, so that training,
evaluation and generation write the same prompt.
"""

import itertools
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from training.contract.errors import DatasetError

Render = Callable[..., str]
Encode = Callable[[str], list[int]]

# Names under which templates switch thinking off.
SETTINGS = ("enable_thinking", "thinking", "reasoning")
QUESTION, ANSWER = "Qq", "Zz"
# An opened block at the end of a prompt, and what closes it.
OPENED = (
    (re.compile(r"<([A-Za-z][\w-]*)>\s*\Z"), "</{}>"),
    (re.compile(r"\[([A-Za-z][\w-]*)\]\s*\Z"), "[/{}]"),
    (re.compile(r"<\|START_(\w+)\|>\s*\Z"), "<|END_{}|>"),
    (re.compile(r"<\|begin_of_(\w+)\|>\s*\Z"), "<|end_of_{}|>"),
)
SHOWN = 24  # characters of a prompt's end in a message


@dataclass(frozen=True)
class PromptStyle:
    """How a prompt without reasoning is written.

    `kwargs` are given to the template. `cut` is taken from the end of its generation prompt, and `add` put there;
    `written` is what the template writes before a finished answer in the place of both. `ending`: how prompts end.
    """

    kwargs: dict[str, Any] = field(default_factory=dict)
    cut: str = ""
    add: str = ""
    written: str = ""
    ending: str = ""

    @property
    def sentence(self) -> str:
        """For preflight; empty where nothing is changed."""
        if not self.ending:
            return ""
        how = "".join(f"{name}={value}, so that prompts end with " for name, value in self.kwargs.items())
        return (
            "The chat template opens a thinking block at the end of a prompt. Rows without reasoning are trained and "
            f"evaluated, and answers generated, with {how or 'prompts that end with '}{self.ending!r}."
        )

    def prompt(self, text: str) -> str:
        return text.removesuffix(self.cut) + self.add

    def full(self, prompt: str, text: str) -> str:
        """Prompt and answer, from the template's generation prompt and its whole conversation."""
        if not self.add:
            return text
        base = prompt.removesuffix(self.cut) + self.written
        return self.prompt(prompt) + text.removeprefix(base) if text.startswith(base) else text


def prompt_style(render: Render, encode: Encode) -> PromptStyle:
    """The style that makes a prompt the beginning of prompt and answer; the plain one where thinking is not the reason.

    `render(messages, add_generation_prompt, **kwargs)` is the chat template, `encode` the tokenizer.
    """
    question = [{"role": "user", "content": QUESTION}]
    answered = [*question, {"role": "assistant", "content": ANSWER}]

    def texts(**kwargs: Any) -> tuple[str, str]:
        return render(question, True, **kwargs), render(answered, False, **kwargs)

    def fits(prompt: str, full: str) -> bool:
        ids = encode(prompt)
        return encode(full)[: len(ids)] == ids

    try:
        prompt, full = texts()
        if fits(prompt, full) or ANSWER not in full or QUESTION not in prompt:
            return PromptStyle()
        alike = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(prompt, full, strict=False))
        base = prompt[: sum(1 for _ in alike)]
        if QUESTION not in base:
            return PromptStyle()
        for name in SETTINGS:
            other = texts(**{name: False})
            if other != (prompt, full) and fits(*other):
                return PromptStyle(kwargs={name: False}, ending=other[0][-SHOWN:])
    except DatasetError:  # a template that does not accept these two messages may accept the rows'
        return PromptStyle()
    cut, written = prompt[len(base) :], full[len(base) : full.index(ANSWER)]
    add = written or cut + closing(cut)
    style = PromptStyle(cut=cut, add=add, written=written)
    if not add or not fits(style.prompt(prompt), style.full(prompt, full)):
        return PromptStyle()
    return replace(style, ending=style.prompt(prompt)[-SHOWN:])


def closing(opened: str) -> str:
    """What closes the block that `opened` ends with (`<think>` and a line break, say); empty if nothing is open."""
    for pattern, closer in OPENED:
        if match := pattern.search(opened):
            newline = "\n" if opened.endswith("\n") else "\n\n"
            return f"{newline}{closer.format(match.group(1))}\n\n"
    return ""
