"""What some architectures need: dropout off, rows independent of their batch, the router's auxiliary loss."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from training.engine.verification import models, oracle
from training.engine.verification.bench import Bench
from training.engine.verification.check import Check, Finding, decisive, off, within
from training.engine.verification.jobs import Lora, Pair, Settings
from training.engine.verification.oracle import LN_2
from training.engine.verification.pairs import make_pairs

GROUP = "architectures"
PAIRS = make_pairs(8, seed=9)
SHORT_PAIRS = make_pairs(10, seed=12, prompt=(4, 12))
# Of one length, since dynamic frequencies are those of the longest sequence so far.
LONG_PAIRS = make_pairs(2, seed=13, prompt=(20, 20), chosen=100, rejected=100)
# Steps of two: most have short pairs only, while a reference that is computed in larger batches meets a long one.
MIXED = (*SHORT_PAIRS[:5], LONG_PAIRS[0], *SHORT_PAIRS[5:], LONG_PAIRS[1])
EPOCH = 6
STILL = Settings(steps=1, batch_size=8, learning_rate=1e-12)
LOSS, RELATIVE = 1e-5, 1e-5


def without_dropout(bench: Bench, family: str, lora: Lora | None = None) -> Finding:
    """With dropout in policy or reference the first losses are not ln 2, or the log-probabilities not the model's."""
    settings = replace(STILL, steps=2, lora=lora)
    outcome = bench.train(PAIRS, settings, model=bench.model(family))
    losses = outcome.reported("loss")
    expected = bench.logps(bench.model(family), (), PAIRS).mean(dim=0).tolist()
    reported = [outcome.reported(name)[0] for name in ("logps_chosen", "logps_rejected")]
    relative = off(reported, expected)
    worst = max(relative, *(abs(loss - LN_2) for loss in losses))
    return within(
        worst,
        LOSS,
        f"losses at rate 0: {losses[0]:.6f} {losses[1]:.6f}; log-probabilities off by {relative:.2g} of them",
    )


def dropout_modules(bench: Bench) -> Finding:
    return without_dropout(bench, "gpt2-dropout")


def dropout_functional(bench: Bench) -> Finding:
    return without_dropout(bench, "opt-dropout")


def dropout_attention(bench: Bench) -> Finding:
    return without_dropout(bench, "llama-dropout", Lora())


def steady_losses(bench: Bench, family: str) -> Finding:
    """The reference is computed in other batches than the policy, or in the same: the loss at rate 0 is ln 2."""
    settings = replace(STILL, steps=EPOCH, batch_size=2)
    losses = bench.train(MIXED, settings, model=bench.model(family)).reported("loss")
    worst = max(abs(loss - LN_2) for loss in losses)
    return within(worst, LOSS, "losses at rate 0: " + " ".join(f"{loss:.5f}" for loss in losses))


def rows_alone(bench: Bench, family: str) -> Finding:
    """Reported log-probabilities of an epoch, against those of each row alone.

    A trainer that cuts rows at the length before frequencies change is right as well: then all rows are cut alike.
    """
    settings = replace(STILL, steps=EPOCH, batch_size=2)
    reported = bench.first_reported(family, MIXED, settings)
    measured = [sum(reported[side::2]) / EPOCH for side in (0, 1)]  # steps of as many rows
    folder = bench.model(family)
    whole = alone(bench, family, models.CONTEXT)
    distances = {}
    for length in (models.CONTEXT, models.SHORT):
        expected = (whole if length == models.CONTEXT else alone(bench, family, length)).mean(dim=0).tolist()
        distances[length] = off(measured, expected)
    mixed = in_one_batch(folder, MIXED)
    decisive(abs(mixed / float(whole[:, 0].mean()) - 1), RELATIVE, "computing all rows in one batch")
    length = min(distances, key=lambda each: distances[each])
    how = "" if length == models.CONTEXT else f" cut to {length} tokens"
    return within(
        distances[length], RELATIVE, f"log-probabilities off by {distances[length]:.2g} of each row's alone{how}"
    )


def alone(bench: Bench, family: str, max_length: int) -> torch.Tensor:
    """Each row in a model of its own: dynamic frequencies depend on what was computed before."""
    folder = bench.model(family)
    return torch.cat([bench.logps(folder, (), (pair,), max_length) for pair in MIXED])


@torch.no_grad()  # type: ignore[untyped-decorator]
def padded(folder: Path, pairs: Sequence[Pair]) -> dict[str, Any]:
    """The sequences as one padded batch, all chosen sides and then all rejected ones, as common trainers compute it."""
    tokenizer = models.load_tokenizer(folder)
    rows = [oracle.sequences(tokenizer, pair) for pair in pairs]
    ids = [prompt + completions[side] for side in (0, 1) for prompt, completions in rows]
    longest = max(map(len, ids))
    return {
        "input_ids": torch.tensor([row + [tokenizer.pad_token_id] * (longest - len(row)) for row in ids]),
        "attention_mask": torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in ids]),
    }


@torch.no_grad()  # type: ignore[untyped-decorator]
def in_one_batch(folder: Path, pairs: Sequence[Pair]) -> float:
    """The chosen sides' mean log-probability where all rows are computed in one padded batch."""
    batch = padded(folder, pairs)
    logits = models.load(folder)(**batch, use_cache=False).logits.double()
    tokenizer = models.load_tokenizer(folder)
    total = 0.0
    for number, pair in enumerate(pairs):
        prompt, completions = oracle.sequences(tokenizer, pair)
        ids = torch.tensor(prompt + completions[0])
        logps = logits[number, : len(ids) - 1].log_softmax(-1).gather(1, ids[1:, None])[:, 0]
        total += float(logps[len(prompt) - 1 :].sum())
    return total / len(pairs)


def own_logits(bench: Bench, family: str) -> Finding:
    """Trainers that multiply hidden states by the head's weight, to save memory, must not leave out what is between."""
    expected = bench.logps(bench.model(family), (), PAIRS).mean(dim=0).tolist()
    reported = bench.first_reported(family, PAIRS, STILL)
    return within(
        off(reported, expected),
        RELATIVE,
        f"reported {reported[0]:.4f} and {reported[1]:.4f}, by the model's own logits {expected[0]:.4f} and "
        f"{expected[1]:.4f}",
    )


def auxiliary_loss(bench: Bench) -> Finding:
    """All rows are one batch, since the loss is one of whole batches. Sharing prompts changes it by a few percent."""
    folder = bench.model("qwen3-moe")
    loss = bench.train(PAIRS, STILL, model=folder).reported("loss")[0]
    with torch.no_grad():
        model = models.load(folder)
        right = float(model(**padded(folder, PAIRS), output_router_logits=True, use_cache=False).aux_loss)
    expected = models.AUX_COEFFICIENT * right
    decisive(expected, 1e-3, "dropping it")
    return within(
        abs((loss - LN_2) / expected - 1),
        0.02,
        f"first loss less ln 2: {loss - LN_2:.5f}; coefficient × loss {expected:.5f}",
    )


def checks_of(family: str, kind: str) -> tuple[Check, ...]:
    return (
        Check(
            f"{kind}-loss",
            GROUP,
            f"{family}: the loss at rate 0 stays ln 2 where short and long rows share a batch",
            lambda bench: steady_losses(bench, family),
            may_refuse=True,
        ),
        Check(
            f"{kind}-rows",
            GROUP,
            f"{family}: a row's log-probabilities do not depend on the other rows of its batch",
            lambda bench: rows_alone(bench, family),
            may_refuse=True,
        ),
    )


CHECKS = (
    Check("dropout", GROUP, "dropout of the model's modules is off for policy and reference (GPT-2)", dropout_modules),
    Check("dropout-functional", GROUP, "dropout in the model's code is off, too (OPT)", dropout_functional),
    Check("dropout-attention", GROUP, "dropout of attention is off, under LoRA (Llama)", dropout_attention),
    *(
        Check(
            f"head-{kind}",
            GROUP,
            f"log-probabilities are those of the model's own logits, where {what}",
            partial(own_logits, family=family),
            may_refuse=True,
        )
        for kind, family, what in (
            ("scale", "cohere", "these are scaled (Cohere)"),
            ("softcap", "gemma2", "these are capped (Gemma 2)"),
            ("layer", "modernbert-decoder", "a layer lies before the head (ModernBERT decoder)"),
        )
    ),
    *checks_of("phi3-longrope", "longrope"),
    *checks_of("llama-dynamic", "dynamic-rope"),
    Check(
        "moe-auxiliary-loss",
        GROUP,
        "the router's loss is added with the coefficient of the model's configuration (Qwen 3 MoE)",
        auxiliary_loss,
        may_refuse=True,
    ),
)
