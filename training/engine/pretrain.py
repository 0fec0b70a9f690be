"""A small base model from scratch, for demonstrations: a byte-level BPE tokenizer and a Llama of a few million weights.

Reads dataset/corpus.jsonl, a line `{"text": …}` or `{"messages": [{"role", "content"}, …]}` each. Loss on all tokens of
a text and on the answers of a chat: nobody asks the model for questions, and in the short time it learns about twice as
well which answer belongs to which question.
A row is one document, padded (or a piece of a long one): documents packed end to end would have to be told apart
first, and so small a model would learn more slowly which answer belongs to which question. `max_seconds` bounds the
whole run, tokenizer and start-up included: the learning rate falls with time or steps, whichever is further on. A
killed run starts over: it is short, and a time budget cannot be resumed to the same weights.

`python -m training.engine.pretrain RUN_DIR`
"""

import json
import math
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from training.contract.config import Architecture, TrainingConfig
from training.contract.errors import Cancelled, DatasetError, DivergedError
from training.contract.run_directory import CORPUS
from training.contract.wording import counted
from training.engine.runtime.program import MODELS, log, main
from training.engine.runtime.run import Outcome, Run

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

BOS, END, PAD = "<|begin|>", "<|end|>", "<|pad|>"
ANSWERER = "assistant"
ROLES = ("system", "user", ANSWERER)
IGNORED = -100  # no loss on this token
# Roles are tokens of their own and the end of a turn is the end of text: nothing merges across, and answers stop.
CHAT_TEMPLATE = (
    "{{- bos_token -}}"
    "{%- for message in messages -%}"
    "{{- '<|' + message['role'] + '|>' + message['content'] | trim + eos_token -}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|assistant|>' -}}{%- endif -%}"
)
# Reserved for writing the model when time runs out.
SAVING_SECONDS = 2.0
TOKENIZER_SAMPLE = 4_000_000  # characters
POOL = 16  # batches that are sorted by length together
ADAM_BETAS = (0.9, 0.98)


def pretrain(run: Run) -> Outcome:
    """Create tokenizer and model, train, and publish them in model/."""
    import torch

    from training.engine.artifacts import publishing
    from training.engine.models import loading
    from training.engine.trainers import run_checks

    config: TrainingConfig = run.config
    for check in run_checks.settings(config):
        log.warning("%s", check["words"])
    torch.set_num_threads(config.threads or torch.get_num_threads())
    torch.manual_seed(config.seed)
    documents = read_corpus(run.directory.path / config.dataset / CORPUS)
    tokenizer = make_tokenizer(documents, config.architecture)
    run.stop_if_cancelled()
    rows = encode(documents, tokenizer, min(config.max_length, config.architecture.context))
    if not rows:
        raise DatasetError(f"No answer begins within max_length, {config.max_length} tokens: raise it")
    model = make_model(tokenizer, config.architecture).to(loading.device())
    log.info(
        "%s, %s of at most %d tokens, %s parameters, vocabulary of %d",
        counted(len(documents), "document"),
        counted(len(rows), "row"),
        max(len(row.ids) for row in rows),
        f"{model.num_parameters():,}",
        len(tokenizer),
    )
    try:
        seen = optimise(run, model, rows)
    except Cancelled:
        return Outcome(metrics=publishing.final_metrics(run), cancelled=True)
    run.before_the_end()
    partial = run.directory.path / ".model.partial"
    shutil.rmtree(partial, ignore_errors=True)
    model.eval().save_pretrained(partial)
    metrics = publishing.final_metrics(run) | {"parameters": model.num_parameters()}
    counts = {"documents": len(documents)}
    publishing.finish_model(partial, run, tokenizer, adapter=False, metrics=metrics, counts=counts)
    return Outcome(metrics=metrics, tokens=seen, details={"rows": counts})


def read_corpus(path: Path) -> list[Any]:
    """Each document a text, or a list of messages. Raises DatasetError with the line at fault."""
    if not path.is_file():
        raise DatasetError(f"{path} does not exist: a corpus is needed")
    documents: list[Any] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            document = row["messages"] if "messages" in row else row["text"]
            good = isinstance(document, str) or (
                all(turn["role"] in ROLES and turn["content"] for turn in document)
                and any(turn["role"] == ANSWERER for turn in document)
            )
        except (ValueError, KeyError, TypeError) as error:
            raise DatasetError(f"{path.name} line {number}: {type(error).__name__}: {error}") from error
        if not document or not good:
            raise DatasetError(
                f"{path.name} line {number}: text, or messages of {', '.join(ROLES)}, is needed, at least one of them "
                f"of {ANSWERER}"
            )
        documents.append(document)
    if not documents:
        raise DatasetError(f"{path} has no documents")
    return documents


def make_tokenizer(documents: list[Any], architecture: Architecture) -> "PreTrainedTokenizerFast":
    """Byte-level BPE: any text can be written, and the corpus's own script costs few tokens."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    texts = (text for document in documents for text in _texts(document))
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = [PAD, BOS, END, *(f"<|{role}|>" for role in ROLES)]
    trainer = trainers.BpeTrainer(
        vocab_size=architecture.vocab_size,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_up_to(texts, TOKENIZER_SAMPLE), trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BOS,
        eos_token=END,
        pad_token=PAD,
        additional_special_tokens=special[3:],
        model_max_length=architecture.context,
        clean_up_tokenization_spaces=False,
    )
    fast.chat_template = CHAT_TEMPLATE
    return fast


def _texts(document: Any) -> list[str]:
    return [document] if isinstance(document, str) else [turn["content"] for turn in document]


def _up_to(texts: Any, limit: int) -> Any:
    total = 0
    for text in texts:
        yield text
        total += len(text)
        if total > limit:
            return


class Row(NamedTuple):
    """A document's token ids, or a part's, and the labels: the same ids, IGNORED where there is no loss."""

    ids: list[int]
    labels: list[int]


def encode(documents: list[Any], tokenizer: "PreTrainedTokenizerFast", max_length: int) -> list[Row]:
    """A row for each document, or several where it is longer than `max_length`; those without any loss are left out."""
    texts = [
        BOS + document + END if isinstance(document, str) else tokenizer.apply_chat_template(document, tokenize=False)
        for document in documents
    ]
    encoded = tokenizer(texts, add_special_tokens=False)["input_ids"]
    rows = []
    for document, ids in zip(documents, encoded, strict=True):
        labels = ids if isinstance(document, str) else answers_only(ids, tokenizer)
        parts = (slice(start, start + max_length) for start in range(0, len(ids), max_length))
        rows += [Row(ids[part], labels[part]) for part in parts]
    return [row for row in rows if any(label != IGNORED for label in row.labels)]


def answers_only(ids: list[int], tokenizer: "PreTrainedTokenizerFast") -> list[int]:
    """The labels of a chat: its answers with the token that ends each."""
    begins, ends = tokenizer.convert_tokens_to_ids([f"<|{ANSWERER}|>", END])
    labels, in_answer = [], False
    for token in ids:
        labels.append(token if in_answer else IGNORED)
        in_answer = token == begins or (in_answer and token != ends)
    return labels


def shuffled_batches(rows: list[Row], size: int, generator: "torch.Generator") -> Iterator[list[Row]]:
    """One pass over the rows in random order, those of similar length side by side: little of a batch is padding."""
    import torch

    order = torch.randperm(len(rows), generator=generator).tolist()
    for start in range(0, len(order), POOL * size):
        pool = sorted(order[start : start + POOL * size], key=lambda place: len(rows[place].ids))
        batches = [pool[at : at + size] for at in range(0, len(pool), size)]
        for place in torch.randperm(len(batches), generator=generator).tolist():
            yield [rows[row] for row in batches[place]]


def padded(rows: list[Row], pad: int, device: "torch.device") -> "dict[str, torch.Tensor]":
    """input_ids, attention_mask and labels of shape (rows, longest row); no loss on padding."""
    import torch

    shape = (len(rows), max(len(row.ids) for row in rows))
    ids_BT, labels_BT = torch.full(shape, pad), torch.full(shape, IGNORED)
    for place, row in enumerate(rows):
        ids_BT[place, : len(row.ids)] = torch.tensor(row.ids)
        labels_BT[place, : len(row.labels)] = torch.tensor(row.labels)
    mask_BT = (ids_BT != pad).long()
    return {
        name: tensor.to(device)
        for name, tensor in (("input_ids", ids_BT), ("attention_mask", mask_BT), ("labels", labels_BT))
    }


def make_model(tokenizer: "PreTrainedTokenizerFast", architecture: Architecture) -> "PreTrainedModel":
    """A Llama with random weights and tied embeddings."""
    from transformers import LlamaConfig, LlamaForCausalLM

    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=architecture.hidden_size,
            intermediate_size=architecture.intermediate_size,
            num_hidden_layers=architecture.layers,
            num_attention_heads=architecture.heads,
            max_position_embeddings=architecture.context,
            initializer_range=architecture.initializer_range,
            tie_word_embeddings=True,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def optimise(run: Run, model: "PreTrainedModel", rows: list[Row]) -> int:
    """AdamW, cosine decay over the budget; the number of tokens seen. Raises Cancelled, DivergedError."""
    import torch

    config: TrainingConfig = run.config
    size = min(config.batch_size, len(rows))
    steps_an_epoch = math.ceil(len(rows) / size)
    total = config.max_steps if config.max_steps > 0 else math.ceil(config.epochs * steps_an_epoch)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=config.learning_rate, betas=ADAM_BETAS, weight_decay=config.weight_decay
    )
    generator = torch.Generator().manual_seed(config.seed)
    batches: Iterator[list[Row]] = iter(())
    model.train()
    run.record(event="started", step=0, total_steps=total)
    began = time.monotonic()
    start, seen = run.elapsed(), 0
    for step in range(1, total + 1):
        run.stop_if_cancelled()
        share = (step - 1) / total
        if config.max_seconds:
            budget = config.max_seconds - SAVING_SECONDS - start
            share = max(share, (time.monotonic() - began) / max(1e-9, budget))
            if share >= 1:
                run.record(event="time_limit", step=step - 1)
                break
        rate = config.learning_rate * min(1.0, max(share, 1 / total) / max(1e-9, config.warmup_ratio)) * _decay(share)
        for group in optimizer.param_groups:
            group["lr"] = rate
        batch = next(batches, None)
        if batch is None:
            batches = shuffled_batches(rows, size, generator)
            batch = next(batches)
        loss = model(**padded(batch, model.config.pad_token_id, model.device)).loss
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), config.max_grad_norm)
        if not (torch.isfinite(loss) and torch.isfinite(norm)):
            raise DivergedError(f"Loss is {loss.item()} at step {step}: lower learning_rate, or raise warmup_ratio")
        optimizer.step()
        optimizer.zero_grad()
        seen += sum(len(row.ids) for row in batch)
        if step == 1 or step % config.logging_steps == 0 or step == total:
            elapsed = time.monotonic() - began
            run.record(
                step=step,
                total_steps=total,
                epoch=round(step / steps_an_epoch, 3),
                loss=loss.item(),
                learning_rate=rate,
                grad_norm=norm.item(),
                tokens=seen,
                tokens_per_s=round(seen / max(1e-9, elapsed), 1),
                time_left_s=round(max(0.0, elapsed * (1 - share) / max(share, 1 / total)), 1),
            )
    return seen


def _decay(share: float) -> float:
    """Cosine from 1 to 0.05."""
    return 0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * min(1.0, share)))


if __name__ == "__main__":
    raise SystemExit(main("pretrain", pretrain, imports=MODELS))
