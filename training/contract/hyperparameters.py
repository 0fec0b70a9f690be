"""The hyper-parameters of the trainers, each declared once: name, type, default, label, help, bounds and group.

The commands' options, the web form, the validation of `run.json` and the table in docs/training.md are made from this
table (`declarations.py` has the columns). Labels and help are plain English; the web side translates them.
"""

import math
from dataclasses import dataclass
from typing import Any, Literal

from training.contract.declarations import BY_TRAINER, Hyperparameter, declare, declared_in, resolve_defaults, validate

PRETRAIN, SFT, DPO, KTO = "pretrain", "sft", "dpo", "kto"
TRAINERS = (SFT, DPO, KTO)  # those with a command and the web form
Precision = Literal["auto", "fp32", "bf16"]
Quantization = Literal["none", "4bit", "8bit"]
# TRL's losses for pairs, and transformers' schedules that need no further settings.
LOSSES = (
    "sigmoid",
    "sigmoid_norm",
    "ipo",
    "hinge",
    "robust",
    "nca_pair",
    "bco_pair",
    "sppo_hard",
    "aot",
    "aot_unpaired",
    "apo_zero",
    "apo_down",
    "discopop",
    "sft",
)
NO_LOSSES = {
    "exo_pair": "needs TRL's label_smoothing, which is always 0 here: use sigmoid, whose soft labels are a smoothing "
    "for each pair"
}
SCHEDULES = (
    "linear",
    "cosine",
    "cosine_with_restarts",
    "polynomial",
    "constant",
    "constant_with_warmup",
    "inverse_sqrt",
)
TRACKERS = ("tensorboard", "mlflow", "wandb")
# Rao and Kupper's (1967) threshold, log 3 as in Chen et al. 2024: two equal texts are called equal every other time.
TIE_THRESHOLD = math.log(3)


def _(text: str) -> str:
    """Mark a text for makemessages; this module cannot import Django's gettext."""
    return text


STEPS, LORA, PREFERENCE, MACHINE = "steps", "lora", "preference", "machine"
GROUPS = {
    STEPS: _("Steps and batches"),
    LORA: _("LoRA"),
    PREFERENCE: _("Preference"),
    MACHINE: _("Saving and machine"),
}


@dataclass(frozen=True, kw_only=True)
class LoraSettings:
    """LoRA (Hu et al. 2021): rank r, scaling alpha / r, and the modules that get an adapter.

    `dora` splits magnitude from direction (Liu et al. 2024). `quantization` holds the frozen base in 4 or 8 bits
    (QLoRA, Dettmers et al. 2023), where bitsandbytes runs.
    """

    r: int = declare(_("LoRA rank"), _("rank of the adapter"), LORA, 16, above=0, printed=True)
    alpha: int = declare(
        _("LoRA alpha"),
        _("scaling of the adapter"),
        LORA,
        lambda lora: 2 * lora.r,
        unset=_("twice the rank"),
        above=0,
        printed=True,
    )
    dropout: float = declare(
        _("LoRA dropout"), _("dropout before the adapter"), LORA, 0.0, minimum=0, maximum=0.99, printed=True
    )
    targets: tuple[str, ...] = declare(
        _("LoRA modules"),
        _("modules with an adapter, such as q_proj,v_proj"),
        LORA,
        ("all-linear",),
        printed=True,
        required=True,
    )
    dora: bool = declare(
        _("DoRA"),
        _("train magnitude and direction separately (DoRA); slower, sometimes better at low rank"),
        LORA,
        False,
        flag="--dora",
    )
    quantization: Quantization = declare(  # noqa: RUF009 - returns a field
        _("Quantization"),
        _("hold the frozen base in 4 or 8 bits (QLoRA; needs bitsandbytes)"),
        LORA,
        "none",
        choices=(("none", _("none")), ("4bit", _("4 bits")), ("8bit", _("8 bits"))),
        flag="--quantization",
    )

    def __post_init__(self) -> None:
        resolve_defaults(self)
        validate(self, "lora.")


@dataclass(frozen=True, kw_only=True)
class Hyperparameters:
    """All that a person chooses about a training; adding a hyper-parameter is adding a field here."""

    epochs: float = declare(_("Epochs"), _("passes over the rows"), STEPS, 1.0, above=0, on_page="main", printed=True)
    max_steps: int = declare(
        _("Maximum steps"), _("end after this many optimizer steps"), STEPS, -1, unset=_("no limit"), minimum=-1
    )
    max_seconds: float = declare(
        _("Maximum seconds"),
        _("end after this much wall time, as if at the last step"),
        STEPS,
        0.0,
        unset=_("no limit"),
        minimum=0,
    )
    learning_rate: float = declare(
        _("Learning rate"),
        _("peak learning rate; the default depends on trainer and method"),
        STEPS,
        2e-4,
        by_trainer={PRETRAIN: 1e-3, SFT: 2e-4, DPO: 5e-5, KTO: 5e-5},
        full={SFT: 2e-5, DPO: 1e-5, KTO: 5e-6},
        above=0,
        on_page="main",
        printed=True,
    )
    lr_scheduler: str = declare(
        _("Learning rate schedule"),
        _("linear, cosine, constant and others of transformers"),
        STEPS,
        "cosine",
        names=SCHEDULES,
    )
    warmup_ratio: float = declare(
        _("Warm-up"),
        _("fraction of the steps in which the rate rises"),
        STEPS,
        0.03,
        minimum=0,
        maximum=1,
        printed=True,
    )
    weight_decay: float = declare(_("Weight decay"), _("of AdamW"), STEPS, 0.0, minimum=0, printed=True)
    max_grad_norm: float = declare(
        _("Maximum gradient norm"), _("gradients are clipped to this norm; 0 does not clip"), STEPS, 1.0, minimum=0
    )
    batch_size: int = declare(
        _("Batch size"),
        _("rows of one optimizer step, times gradient accumulation and processes"),
        STEPS,
        8,
        above=0,
        on_page="main",
        printed=True,
    )
    max_length: int = declare(
        _("Max length (tokens)"),
        _("prompt and completion; longer rows are cut"),
        STEPS,
        1024,
        above=0,
        on_page="main",
        printed=True,
    )
    gradient_accumulation: int = declare(
        _("Gradient accumulation"), _("multiplies the rows of one optimizer step"), STEPS, 1, above=0, printed=True
    )
    packing: bool = declare(
        _("Packing"),
        _("compute shared beginnings once, with little padding; off: plain TRL, padded batches"),
        STEPS,
        True,
    )
    micro_batch_tokens: int = declare(
        _("Micro-batch tokens"),
        _("with packing: most tokens computed at once"),
        STEPS,
        0,
        unset=_("what the memory allows"),
        minimum=0,
    )
    share: float = declare(
        _("Share of the prompts"), _("train on this share of the prompts"), STEPS, 1.0, above=0, maximum=1
    )
    seed: int = declare(
        _("Seed"),
        _("of initialisation and order"),
        STEPS,
        17,
        minimum=0,
        maximum=2**32 - 1,  # NumPy's, which transformers seeds as well
        printed=True,
    )
    lora: LoraSettings | None = BY_TRAINER  # type: ignore[assignment]  # LoraSettings(); None for pretrain
    beta: float = declare(
        _("Beta"),
        _("strength of the pull towards the reference model"),
        PREFERENCE,
        0.1,
        above=0,
        trainers=(DPO, KTO),
        printed=True,
    )
    losses: tuple[str, ...] = declare(
        _("Loss"),
        _("TRL's loss types, added up; the SFT term keeps the preferred texts likely"),
        PREFERENCE,
        ("sigmoid",),
        by_trainer={DPO: ("sigmoid", "sft")},
        suggestions=(("sigmoid,sft", _("DPO with an SFT term")), ("sigmoid", _("Plain DPO"))),
        names=LOSSES,
        refused=NO_LOSSES,
        required=True,
        trainers=(DPO,),
        printed=True,
    )
    loss_weights: tuple[float, ...] = declare(
        _("Loss weights"),
        _("one weight for each loss, such as 1,0.5"),
        PREFERENCE,
        (),
        unset=_("1 each"),
        minimum=0,
        trainers=(DPO,),
        printed=True,
    )
    soft_labels: bool = declare(
        _("Soft labels"),
        _("use the vote share as the target; off: the majority counts for certain"),
        PREFERENCE,
        True,
        trainers=(DPO,),
    )
    strength_offset: float = declare(
        _("Strength offset"),
        _("require a margin of this many times a pair's strength (ODPO's alpha)"),
        PREFERENCE,
        0.0,
        minimum=0,
        trainers=(DPO,),
    )
    ties: Literal["learn", "drop"] = declare(
        _("Ties"),
        _("pairs called equal: learn from them (Rao and Kupper) or drop them"),
        PREFERENCE,
        "learn",
        choices=(("learn", _("learn from ties")), ("drop", _("drop ties"))),
        trainers=(DPO,),
    )
    tie_threshold: float = declare(
        _("Tie threshold"),
        _("Rao and Kupper's threshold"),
        PREFERENCE,
        TIE_THRESHOLD,
        unset=_("log 3 = 1.0986"),
        above=0,
        trainers=(DPO,),
    )
    desirable_weight: float = declare(
        _("Weight of good texts"),
        _("0 balances good and bad"),
        PREFERENCE,
        0.0,
        unset=_("balanced"),
        minimum=0,
        trainers=(KTO,),
    )
    undesirable_weight: float = declare(
        _("Weight of bad texts"),
        _("0 balances good and bad"),
        PREFERENCE,
        0.0,
        unset=_("balanced"),
        minimum=0,
        trainers=(KTO,),
    )
    save_steps: int = declare(
        _("Steps between saves"), _("a run resumes from the last save"), MACHINE, 50, above=0, printed=True
    )
    save_total_limit: int = declare(_("Saves to keep"), _("older ones are deleted"), MACHINE, 2, above=0)
    logging_steps: int = declare(_("Steps between metrics"), _("one line of metrics for each"), MACHINE, 1, above=0)
    report_to: tuple[str, ...] = declare(
        _("Trackers"),
        _("also report to tensorboard, mlflow or wandb (separated by commas)"),
        MACHINE,
        (),
        unset=_("none"),
        names=TRACKERS,
        on_page="no",  # it may send figures elsewhere: the operator's decision
    )
    threads: int = declare(_("CPU threads"), _("of the engine"), MACHINE, 0, unset=_("all"), minimum=0)
    gradient_checkpointing: bool = declare(
        _("Gradient checkpointing"), _("less memory for about a third more computing"), MACHINE, False
    )
    precision: Precision = declare(  # noqa: RUF009 - returns a field
        _("Precision"),
        _("auto is bf16 where the hardware does it well"),
        MACHINE,
        "auto",
        choices=(("auto", _("automatic")), ("fp32", "fp32"), ("bf16", "bf16")),
    )
    processes: int = declare(_("Processes"), _("processes that share each step, one for each GPU"), MACHINE, 1, above=0)
    accelerate_config: str = declare(
        _("Accelerate configuration"),
        _("a file for accelerate launch (FSDP and others)"),
        MACHINE,
        "",
        unset=_("none"),
        metavar="FILE",
        on_page="no",  # a file of the server
    )


LORA_PARAMETERS = declared_in(LoraSettings, "lora_")


def all_parameters() -> tuple[Hyperparameter, ...]:
    """Every hyper-parameter, by group; those of LoRA have the prefix `lora_`."""
    rows = (*declared_in(Hyperparameters), *LORA_PARAMETERS)
    return tuple(row for group in GROUPS for row in rows if row.declaration.group == group)


def parameters_of(trainer: str) -> tuple[Hyperparameter, ...]:
    return tuple(parameter for parameter in all_parameters() if parameter.applies_to(trainer))


def default_lora(trainer: str) -> Any:
    return None if trainer == PRETRAIN else LoraSettings()
