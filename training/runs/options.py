"""The options of the training commands: one table, from which a command line is read and written.

What a run was given can be printed and typed again: `words` gives the options whose parsing gives the same fields.
"""

import dataclasses
import shlex
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from training.contract.config import LoraSettings, Precision, Quantization, TrainingConfig

DPO, KTO = "dpo", "kto"


def names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in names(text))
    except ValueError as error:
        raise ArgumentTypeError(f"{text!r} is not a list of numbers such as 1,0.5") from error


@dataclass(frozen=True)
class Option:
    """A field of TrainingConfig, or of its LoRA settings (`lora_r` is `lora.r`), as an option of a command.

    `kind` reads its text. A `switch` takes no text: it sets the field to the opposite of its default, and its name
    says so (`--no-packing`). `always` is printed even where it has its default value, for those who read along.
    `trainers` names those that have it; empty: all.
    """

    field: str
    kind: Callable[[str], Any]
    help: str
    group: str = "steps"
    choices: tuple[str, ...] = ()
    switch: bool = False
    always: bool = False
    trainers: tuple[str, ...] = ()
    named: str = ""
    metavar: str | None = None

    @property
    def lora(self) -> str:
        """The field of LoraSettings; empty for an option of the run itself."""
        return self.field.removeprefix("lora_") if self.group == "lora" else ""

    @property
    def default(self) -> Any:
        cls: type[Any] = LoraSettings if self.lora else TrainingConfig
        found = next(field for field in dataclasses.fields(cls) if field.name == (self.lora or self.field))
        return found.default

    @property
    def flag(self) -> str:
        if self.named:
            return self.named
        negative = self.switch and self.default is True
        return f"--{'no-' if negative else ''}{self.field.replace('_', '-')}"


GROUPS = {
    "steps": "steps",
    "lora": "LoRA (the default) or all weights",
    "preference": "preference",
    "keeping": "keeping, and the machine",
}

OPTIONS = (
    Option("epochs", float, "passes over the rows; default 1", always=True),
    Option("max_steps", int, "end after so many optimizer steps instead"),
    Option("max_seconds", float, "end after so much wall time, as if at the last step"),
    Option("learning_rate", float, "the highest rate; the default depends on the trainer", always=True),
    Option("lr_scheduler", str, "linear, cosine, constant …; default cosine"),
    Option("warmup_ratio", float, "share of the steps in which the rate rises; 0.03", always=True),
    Option("weight_decay", float, "default 0", always=True),
    Option("max_grad_norm", float, "gradients are clipped to this norm; default 1"),
    Option("batch_size", int, "rows of one optimizer step, with the next one as its factor; default 8", always=True),
    Option("gradient_accumulation", int, "times so many rows in one optimizer step; default 1", always=True),
    Option("packing", str, "plain TRL: batches of --batch-size rows, padded to the longest", switch=True),
    Option("micro_batch_tokens", int, "with packing: most tokens computed at once; default what the memory allows"),
    Option("max_length", int, "tokens of prompt and completion; longer ones are cut; 1024", always=True),
    Option("share", float, "train on this share of the prompts, from above 0 to 1; default 1"),
    Option("seed", int, "of initialisation and order; default 17", always=True),
    Option("lora_r", int, "the adapter's rank; default 16", group="lora", always=True),
    Option("lora_alpha", int, "its scaling; default twice the rank", group="lora", always=True),
    Option("lora_dropout", float, "default 0", group="lora", always=True),
    Option("lora_targets", names, "modules, such as q_proj,v_proj; default all-linear", group="lora", always=True),
    Option("lora_dora", str, "train magnitude and direction apart (DoRA)", group="lora", switch=True, named="--dora"),
    Option(
        "lora_quantization",
        str,
        "hold the frozen base in 4 or 8 bits (QLoRA; needs bitsandbytes)",
        group="lora",
        choices=get_args(Quantization),
        named="--quantization",
    ),
    Option(
        "beta",
        float,
        "how firmly the model is held to where it starts; default 0.1",
        "preference",
        trainers=(DPO, KTO),
        always=True,
    ),
    Option(
        "losses",
        names,
        "TRL's loss types, added up; default sigmoid,sft (plain DPO is sigmoid; sft keeps the preferred texts likely)",
        "preference",
        trainers=(DPO,),
        always=True,
    ),
    Option(
        "loss_weights",
        numbers,
        "one weight for each loss, such as 1,0.5; default all 1",
        "preference",
        trainers=(DPO,),
        always=True,
    ),
    Option(
        "soft_labels",
        str,
        "take the preferred side for certain, however split the annotators were",
        "preference",
        switch=True,
        trainers=(DPO,),
    ),
    Option(
        "strength_offset",
        float,
        "ask for a margin of so much times a pair's strength (ODPO's alpha); default 0",
        "preference",
        trainers=(DPO,),
    ),
    Option(
        "ties",
        str,
        "pairs called equal: learn from them (default), or drop them",
        "preference",
        choices=("learn", "drop"),
        trainers=(DPO,),
    ),
    Option(
        "tie_threshold",
        float,
        "Rao and Kupper's threshold for ties; default log 3 = 1.0986",
        "preference",
        trainers=(DPO,),
    ),
    Option(
        "desirable_weight",
        float,
        "weight of good texts; default 0: balance good and bad",
        "preference",
        trainers=(KTO,),
    ),
    Option(
        "undesirable_weight",
        float,
        "weight of bad texts; default 0: balance good and bad",
        "preference",
        trainers=(KTO,),
    ),
    Option("save_steps", int, "steps between checkpoints to resume from; default 50", "keeping", always=True),
    Option("save_total_limit", int, "how many of those are kept; default 2", "keeping"),
    Option("logging_steps", int, "steps between lines of metrics; default 1", "keeping"),
    Option("report_to", names, "also follow it with tensorboard, mlflow or wandb (comma between)", "keeping"),
    Option("threads", int, "CPU threads of the engine; default all", "keeping"),
    Option("gradient_checkpointing", str, "less memory for about a third more computing", "keeping", switch=True),
    Option(
        "precision",
        str,
        "auto (default) is bf16 where the hardware does it well",
        "keeping",
        choices=get_args(Precision),
    ),
    Option("processes", int, "processes that share each step, one for each GPU; default 1", "keeping"),
    Option(
        "accelerate_config",
        str,
        "a file for accelerate launch (FSDP and its kind)",
        "keeping",
        metavar="FILE",
    ),
)


def of_trainer(trainer: str) -> list[Option]:
    return [option for option in OPTIONS if not option.trainers or trainer in option.trainers]


def add_to(parser: ArgumentParser, trainer: str) -> None:
    """The options of that trainer, in groups, and `--full`. What is not given parses to None."""
    groups: dict[str, Any] = {}
    for option in of_trainer(trainer):
        if option.group not in groups:
            groups[option.group] = parser.add_argument_group(GROUPS[option.group])
            if option.group == "lora":
                groups["lora"].add_argument(
                    "--full", action="store_true", help="train all weights instead of an adapter"
                )
        add = groups[option.group].add_argument
        if option.switch:
            value = not option.default
            add(option.flag, dest=option.field, action="store_const", const=value, help=option.help)
        else:
            choices = option.choices or None
            add(
                option.flag,
                dest=option.field,
                type=option.kind,
                choices=choices,
                metavar=option.metavar,
                help=option.help,
            )


def words(trainer: str, config: Mapping[str, Any], usual: Mapping[str, Any]) -> list[str]:
    """The options that give this configuration (as in run.json) again, ready for a shell.

    `usual` are the values that the trainer gets where nothing is said and that differ from TrainingConfig's own.
    """
    lora = config.get("lora")
    found = [] if lora is not None else ["--full"]
    for option in of_trainer(trainer):
        if option.lora:
            if lora is None:
                continue
            value, default = lora.get(option.lora, option.default), option.default
        else:
            value = config.get(option.field, option.default)
            default = usual.get(option.field, option.default)
        same = _plain(value) == _plain(default)
        if same and not option.always:
            continue
        if option.switch:
            found.append(option.flag)
        elif text := _text(value):
            found += [option.flag, shlex.quote(text)]
    return found


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ",".join(map(_text, value))
    if isinstance(value, float):
        short = f"{value:g}"
        return short if float(short) == value else repr(value)
    return str(value)
