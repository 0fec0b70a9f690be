"""A small base model from scratch, for demonstrations: a byte-level BPE tokenizer and a Llama of a few million weights.

Reads dataset/corpus.jsonl, a line `{"text": …}` or `{"messages": [{"role", "content"}, …]}` each. Loss on all tokens;
documents are packed end to end. `max_seconds` bounds the whole run, tokenizer and start-up included: the learning
rate falls with time or steps, whichever is further on. A killed run begins again: it is short, and a time budget
cannot be resumed to the same weights.

`python -m training.engine.pretrain RUN_DIR`
"""

import json
import math
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training.engine.config import Architecture, TrainingConfig
from training.engine.errors import Cancelled, DatasetError, DivergedError
from training.engine.program import Outcome, Run, log, main

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

CORPUS = "corpus.jsonl"
BOS, END, PAD = "<|begin|>", "<|end|>", "<|pad|>"
ROLES = ("system", "user", "assistant")
# Roles are tokens of their own and the end of a turn is the end of text: nothing merges across, and answers stop.
CHAT_TEMPLATE = (
    "{{- bos_token -}}"
    "{%- for message in messages -%}"
    "{{- '<|' + message['role'] + '|>' + message['content'] | trim + eos_token -}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|assistant|>' -}}{%- endif -%}"
)
# Left for writing the model when time runs out.
SAVING_SECONDS = 2.0
TOKENIZER_SAMPLE = 4_000_000  # characters
ADAM_BETAS = (0.9, 0.98)


def pretrain(run: Run) -> Outcome:
    """Make tokenizer and model, train, and leave them in model/."""
    import torch

    from training.engine import models, publishing

    config: TrainingConfig = run.config
    torch.set_num_threads(config.threads or torch.get_num_threads())
    torch.manual_seed(config.seed)
    documents = read_corpus(run.directory.path / config.dataset / CORPUS)
    tokenizer = make_tokenizer(documents, config.architecture)
    run.stop_if_cancelled()
    tokens, context = pack(documents, tokenizer, min(config.max_length, config.architecture.context))
    model = make_model(tokenizer, config.architecture).to(models.device())
    log.info(
        "%d documents, %d sequences of %d tokens, %s parameters, vocabulary of %d",
        len(documents), len(tokens), context, f"{model.num_parameters():,}", len(tokenizer),
    )  # fmt: skip
    try:
        seen = optimise(run, model, tokens)
    except Cancelled:
        return Outcome(metrics=publishing.final_metrics(run), cancelled=True)
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
        raise DatasetError(f"{path} does not exist: a corpus to learn from is needed")
    documents: list[Any] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            document = row["messages"] if "messages" in row else row["text"]
            good = isinstance(document, str) or all(turn["role"] in ROLES and turn["content"] for turn in document)
        except (ValueError, KeyError, TypeError) as error:
            raise DatasetError(f"{path.name} line {number}: {type(error).__name__}: {error}") from error
        if not document or not good:
            raise DatasetError(f"{path.name} line {number}: text, or messages of {', '.join(ROLES)}, is needed")
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


def pack(documents: list[Any], tokenizer: "PreTrainedTokenizerFast", max_length: int) -> tuple["torch.Tensor", int]:
    """All documents end to end, cut into rows of equal length: int64 of shape (rows, context)."""
    import torch

    plain = [document for document in documents if isinstance(document, str)]
    chats = [document for document in documents if not isinstance(document, str)]
    texts = [BOS + text + END for text in plain]
    texts += [tokenizer.apply_chat_template(chat, tokenize=False) for chat in chats]
    encoded = tokenizer(texts, add_special_tokens=False)["input_ids"]
    # Long enough for nine in ten documents: attention over a longer row costs time that a small budget does not have.
    lengths = sorted(map(len, encoded))
    context = min(max_length, max(64, 2 * lengths[int(0.9 * (len(lengths) - 1))]))
    generator = torch.Generator().manual_seed(0)
    order = torch.randperm(len(encoded), generator=generator).tolist()
    stream = [token for position in order for token in encoded[position]]
    while len(stream) < context:
        stream += stream
    rows = len(stream) // context
    return torch.tensor(stream[: rows * context]).view(rows, context), context


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


def optimise(run: Run, model: "PreTrainedModel", tokens: "torch.Tensor") -> int:
    """AdamW, cosine decay over the budget; the number of tokens seen. Raises Cancelled, DivergedError."""
    import torch

    config: TrainingConfig = run.config
    rows = min(config.batch_size, len(tokens))
    total = config.max_steps if config.max_steps > 0 else math.ceil(config.epochs * len(tokens) / rows)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=config.learning_rate, betas=ADAM_BETAS, weight_decay=config.weight_decay
    )
    generator = torch.Generator().manual_seed(config.seed)
    order: list[int] = []
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
        if len(order) < rows:
            order += torch.randperm(len(tokens), generator=generator).tolist()
        batch_BT = tokens[order[:rows]].to(model.device)
        del order[:rows]
        positions_BT = positions_in_documents(batch_BT, model.config.bos_token_id)
        loss = model(input_ids=batch_BT, position_ids=positions_BT, labels=batch_BT).loss
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), config.max_grad_norm)
        if not (torch.isfinite(loss) and torch.isfinite(norm)):
            raise DivergedError(f"loss is {loss.item()} at step {step}: lower learning_rate, or raise warmup_ratio")
        optimizer.step()
        optimizer.zero_grad()
        seen += batch_BT.numel()
        if step == 1 or step % config.logging_steps == 0 or step == total:
            elapsed = time.monotonic() - began
            run.record(
                step=step,
                total_steps=total,
                epoch=round(step * rows / len(tokens), 3),
                loss=loss.item(),
                learning_rate=rate,
                grad_norm=norm.item(),
                tokens=seen,
                tokens_per_s=round(seen / max(1e-9, elapsed), 1),
                time_left_s=round(max(0.0, elapsed * (1 - share) / max(share, 1 / total)), 1),
            )
    return seen


def positions_in_documents(tokens_BT: "torch.Tensor", bos: int) -> "torch.Tensor":
    """Each token's place in its own document. Positions that begin anew are also how transformers knows that the
    documents of a row are packed and must not attend to each other."""
    import torch

    places_T = torch.arange(tokens_BT.shape[1], device=tokens_BT.device)
    starts_BT = torch.where(tokens_BT == bos, places_T, 0).cummax(dim=1).values
    return places_T - starts_BT


def _decay(share: float) -> float:
    """Cosine from 1 to 0.05."""
    return 0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * min(1.0, share)))


if __name__ == "__main__":
    raise SystemExit(main("pretrain", pretrain))
