"""Preflight checks of the rows and the tokenizer: each returns a name, a status and a sentence for the run's page."""

import math
from collections.abc import Sequence
from statistics import median
from typing import Any

from transformers import PreTrainedTokenizerBase

from training.contract.config import TrainingConfig
from training.contract.wording import counted
from training.engine.data import leakage
from training.engine.data.encoding import Encoder
from training.engine.data.rows import Counts, Row, is_conversational
from training.engine.data.tokenization import Sequences
from training.engine.models import loading
from training.engine.runtime.run import Run

BINS = 20
DROPPED = {
    "dropped_too_long": "whose prompt alone reaches max_length",
    "dropped_ties": "without a better side",
    "dropped_equal": "whose sides are equal",
    "dropped_equal_tokens": "whose sides are equal as tokens",
    "dropped_equal_when_cut": "whose sides are equal when cut to max_length",
    "dropped_prefix_mismatch": "whose prompt is not a token prefix of prompt and completion",
}


def result(name: str, sentence: str, *, warning: bool = False) -> dict[str, str]:
    """A check as preflight.json has it."""
    return {"name": name, "status": "warning" if warning else "ok", "words": sentence}


def held_out(run: Run, rows: Sequence[Row]) -> dict[str, str]:
    count = leakage.check_held_out(run.directory.path / run.config.dataset, rows)
    if not count:
        return result("held_out", "There are no held-out rows: figures of this checkpoint need others.", warning=True)
    return result("held_out", f"None of the {count:,} held-out rows occurs among the training rows.")


def padding(tokenizer: PreTrainedTokenizerBase) -> dict[str, str]:
    pad = repr(tokenizer.pad_token)
    if tokenizer.pad_token_id != tokenizer.eos_token_id:
        return result("padding", f"Padding ({pad}) is not the end of text.")
    sentence = (
        f"Padding and the end of text are one token ({pad}). Harmless here, since masks are made from lengths; another "
        "trainer that masks padding by its id would mask the end of text too, and the model would not learn to stop."
    )
    return result("padding", sentence, warning=True)


def chat_template(tokenizer: PreTrainedTokenizerBase, rows: Sequence[Row]) -> dict[str, str]:
    if not is_conversational(rows[0]["prompt"]):
        return result("chat_template", "Rows are plain text, without a chat template.")
    if not getattr(tokenizer, loading.TEMPLATE_ADDED, False):
        style = Encoder(tokenizer).style.sentence
        return result("chat_template", f"Chats are written with the model's own chat template. {style}".strip())
    sentence = (
        "The model has no chat template: a plain default is used, and saved with the checkpoint. Where the model was "
        "trained on chats before, put its chat_template.jinja into its folder."
    )
    return result("chat_template", sentence, warning=True)


def stop_tokens(counts: Counts, max_length: int) -> dict[str, str]:
    cut = counts.truncated - counts.dropped_equal_when_cut
    if not cut:
        return result("stop_token", "Every completion that is trained on ends with a stop token.")
    verbs = ("is", "loses its") if cut == 1 else ("are", "lose their")
    sentence = (
        f"{cut:,} of {counted(counts.used, 'row')} {verbs[0]} cut to max_length={max_length} and {verbs[1]} stop token "
        f"({_numbers(counts, 'truncated')}): raise max_length, or leave such rows out."
    )
    return result("stop_token", sentence, warning=True)


def typed_control_tokens(counts: Counts) -> dict[str, str]:
    if not counts.control_text:
        return result("control_tokens", "No text contains a control token of the model.")
    verb = "contains" if counts.control_text == 1 else "contain"
    sentence = (
        f"{counted(counts.control_text, 'row')} {verb} a control token of the model that somebody typed "
        f"({_numbers(counts, 'control_text')}): it is read as the text that it is, and ends or opens nothing."
    )
    return result("control_tokens", sentence, warning=True)


def reasoning(counts: Counts) -> list[dict[str, str]]:
    """A warning where answers have reasoning that the chat template does not write."""
    if not counts.reasoning_left_out:
        return []
    sentence = (
        f"The chat template does not write the reasoning of {counted(counts.reasoning_left_out, 'row')} "
        f"({_numbers(counts, 'reasoning_left_out')}): only the answers behind it are learnt."
    )
    return [result("reasoning", sentence, warning=True)]


def dropped_rows(counts: Counts) -> list[dict[str, str]]:
    """One warning for each reason for which rows were left out; one that all is well where there is none."""
    dropped = [
        result(
            name, f"{counted(getattr(counts, name), 'row')} left out {why} ({_numbers(counts, name)}).", warning=True
        )
        for name, why in DROPPED.items()
        if getattr(counts, name)
    ]
    everyone = "The only row is" if counts.rows == 1 else f"All {counts.rows:,} rows are"
    return dropped or [result("dropped", f"{everyone} trained on.")]


def _numbers(counts: Counts, kind: str) -> str:
    listed = counts.listed.get(kind, [])
    more = ", …" if getattr(counts, kind) > len(listed) else ""
    return f"row {', '.join(map(str, listed))}{more}"


def enough_rows(config: TrainingConfig, rows: int) -> dict[str, str]:
    batch = effective_batch(config) * config.processes
    if rows >= batch:
        return result("rows", f"{counted(rows, 'row')}, {batch:,} in a step.")
    do = "does" if rows == 1 else "do"
    sentence = f"{counted(rows, 'row')} {do} not fill one step of {batch:,}: lower batch_size, or annotate more."
    return result("rows", sentence, warning=True)


def effective_batch(config: TrainingConfig) -> int:
    """Rows of one optimizer step in one process."""
    return config.batch_size * config.gradient_accumulation


def lengths(sequences: Sequence[Sequences]) -> dict[str, Any]:
    """Tokens of each row's prompt with its longest completion: `bins` are edges, one more than `counts`."""
    sizes = sorted(len(item.prompt_ids) + max(map(len, item.completion_ids)) for item in sequences)
    width = max(1, math.ceil(sizes[-1] / BINS))
    counts = [0] * math.ceil(sizes[-1] / width)
    for length in sizes:
        counts[(length - 1) // width] += 1
    return {
        "bins": [width * number for number in range(len(counts) + 1)],
        "counts": counts,
        "longest": sizes[-1],
        "median": median(sizes),
        "p95": sizes[math.ceil(0.95 * len(sizes)) - 1],
    }
