"""The options of the training commands as tables in Markdown, for docs/training.md."""

import re
from collections.abc import Mapping
from pathlib import Path

from django.conf import settings

from training.contract.declarations import Hyperparameter
from training.contract.hyperparameters import GROUPS, LORA, TRAINERS, all_parameters
from training.runs.options import default_text, flag

GUIDE = "docs/training.md"
BEGIN, END = "<!-- options: begin (manage.py training_options --write) -->", "<!-- options: end -->"
FULL = "| `--full` | off | all | train all weights instead of an adapter |"


def tables() -> str:
    """One table for each group of hyper-parameters: option, default, trainers, meaning."""
    parts = []
    for group, title in GROUPS.items():
        rows = [f"**{title}**", "", "| option | default | trainers | what it does |", "|---|---|---|---|"]
        rows += [FULL] if group == LORA else []
        for parameter in all_parameters():
            declared = parameter.declaration
            if declared.group == group:
                trainers = ", ".join(declared.trainers) or "all"
                values = " (" + ", ".join(f"`{value}`" for value, _label in declared.choices) + ")"
                meaning = declared.help + (values if declared.choices else "")
                rows.append(f"| `{flag(parameter)}` | {defaults_of(parameter)} | {trainers} | {meaning} |")
        parts.append("\n".join(rows))
    return "\n\n".join(parts)


def defaults_of(parameter: Hyperparameter) -> str:
    """The default; where the trainers differ, each with its own, and that of full fine-tuning."""
    trainers = [trainer for trainer in TRAINERS if parameter.applies_to(trainer)]
    defaults = {trainer: default_text(parameter, trainer) for trainer in trainers}
    full = {
        trainer: default_text(parameter, trainer, full=True)
        for trainer in trainers
        if trainer in parameter.declaration.full
    }
    text = described(defaults)
    return f"{text}; with `--full` {described(full)}" if full else text


def described(defaults: Mapping[str, str]) -> str:
    if len(set(defaults.values())) == 1:
        return next(iter(defaults.values()))
    return ", ".join(f"{trainer} {value}" for trainer, value in defaults.items())


def guide() -> Path:
    return Path(settings.BASE_DIR) / GUIDE


def written(text: str) -> str:
    """The guide's text with its tables as declared now. Raises ValueError if the marks are missing."""
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise ValueError(f"{GUIDE} must contain each of these lines once: {BEGIN} and {END}")
    return re.sub(
        re.escape(BEGIN) + ".*?" + re.escape(END),
        lambda _match: f"{BEGIN}\n\n{tables()}\n\n{END}",
        text,
        flags=re.DOTALL,
    )
