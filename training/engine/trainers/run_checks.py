"""Preflight checks of what a run will not do as one might expect: settings, position encodings, randomness."""

from collections.abc import Sequence
from typing import Any

from training.contract.config import TrainingConfig
from training.contract.hyperparameters import DPO, KTO, PRETRAIN, all_parameters
from training.contract.wording import counted
from training.engine.data.tokenization import Sequences
from training.engine.packed import rope
from training.engine.trainers import dropout
from training.engine.trainers.row_checks import result

# Settings that `pretrain`, a loop of its own, does not read.
NOT_IN_PRETRAIN = (
    "gradient_accumulation",
    "lr_scheduler",
    "share",
    "packing",
    "micro_batch_tokens",
    "gradient_checkpointing",
    "precision",
    "processes",
    "accelerate_config",
    "save_steps",
    "save_total_limit",
)
NOISE = 1e-3  # logits; rounding differs by less
CHECKED_TOKENS = 64


def without_effect(config: TrainingConfig, plain_reason: str | None = None) -> dict[str, str]:
    """Settings that somebody changed and that this run does not use, with the reason.

    `plain_reason`: why plain TRL computes it; None for packed rows.
    """
    trainer = config.trainer
    why: dict[str, str] = {}
    if config.max_steps > 0:
        why["epochs"] = "max_steps ends the run"
    if config.lr_scheduler == "constant":
        why["warmup_ratio"] = "a constant rate has no warm-up (constant_with_warmup has one)"
    if config.processes == 1:
        why["accelerate_config"] = "it is for several processes"
    if trainer == PRETRAIN:
        why |= dict.fromkeys(NOT_IN_PRETRAIN, "pretrain does not read it")
        why["lora"] = "pretrain trains all weights"
    if trainer == KTO:
        why["packing"] = "KTO is computed by TRL only"
    if trainer == KTO or plain_reason:
        why["micro_batch_tokens"] = "plain TRL computes batch_size rows at a time"
    if trainer == DPO and plain_reason:
        for name in ("soft_labels", "strength_offset", "tie_threshold", "ties"):
            why[name] = "plain TRL has no such term in its loss"
    elif trainer == DPO and config.ties == "drop":
        why["tie_threshold"] = "ties are dropped"
    if trainer == DPO and config.losses == ("sft",):
        for name in ("beta", "soft_labels", "strength_offset", "tie_threshold"):
            why[name] = "the sft loss has no margin"
    for parameter in all_parameters():
        if not parameter.nested and not parameter.applies_to(trainer):
            why.setdefault(parameter.attribute, f"{config.program} has no such setting")
    lora = None if trainer == PRETRAIN else config.lora
    default = TrainingConfig(program=config.program, run_id="", model=config.model, lora=lora)
    names = {parameter.attribute for parameter in all_parameters() if not parameter.nested} | {"lora"}
    return {name: why[name] for name in sorted(names & set(why)) if getattr(config, name) != getattr(default, name)}


def settings(config: TrainingConfig, plain_reason: str | None = None) -> list[dict[str, str]]:
    unused = without_effect(config, plain_reason)
    if not unused:
        return []
    listed = "; ".join(f"{name} ({why})" for name, why in unused.items())
    return [result("settings", f"Without effect in this run: {listed}.", warning=True)]


def position_encoding(model: Any, sequences: Sequence[Sequences], plain_reason: str | None) -> list[dict[str, str]]:
    """Of plain TRL only: packed rows have each text's own encoding (see `packed.rope`)."""
    limit = rope.threshold(model)
    if limit is None or not plain_reason:
        return []
    lengths = [len(item.prompt_ids) + len(ids) for item in sequences for ids in item.completion_ids]
    beyond = sum(length > limit for length in lengths)
    if beyond in (0, len(lengths)):
        return []
    sentence = (
        f"{beyond:,} of {counted(len(lengths), 'text')} are longer than the {limit:,} tokens at which the position "
        "encoding of this model changes, and plain TRL changes it for a whole batch: a text's log-probability depends "
        f"on its batch. Set max_length to {limit}, or train with packing, which keeps them apart."
    )
    return [result("position_encoding", sentence, warning=True)]


def random_draws(model: Any, sequences: Sequence[Sequences]) -> list[dict[str, str]]:
    """After `dropout.switch_off`: whether two forwards in training mode still differ."""
    if not sequences:
        return []
    text = min((item.prompt_ids + item.completion_ids[0] for item in sequences), key=len)
    noise = dropout.remaining_noise(model, text[:CHECKED_TOKENS])
    if noise <= NOISE:
        return []
    sentence = (
        f"Two forwards of the same text in training mode differ by {noise:.2g}: the model draws at random where "
        "dropout cannot be switched off, so that the policy does not start as its reference."
    )
    return [result("random_draws", sentence, warning=True)]
