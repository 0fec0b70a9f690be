"""The options of the training commands, made from the hyper-parameters: a command line is read and written.

The settings of a run can be printed and typed again: `to_argv` gives the options whose parsing gives the same fields.
"""

import shlex
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from annotation.text.formatting import parse_comma_list
from training.contract.declarations import Hyperparameter
from training.contract.hyperparameters import GROUPS, LORA, parameters_of
from training.reports.settings import FILES


def numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in parse_comma_list(text))
    except ValueError as error:
        raise ArgumentTypeError(f"{text!r} is not a list of numbers such as 1,0.5") from error


def reader(parameter: Hyperparameter) -> Callable[[str], Any]:
    """What makes a value of the text of an option, or of a form field."""
    if parameter.many:
        return numbers if parameter.kind is float else parse_comma_list
    return parameter.kind


def flag(parameter: Hyperparameter) -> str:
    """The option's name. A switch takes no text: it sets the opposite of the default (`--no-packing`)."""
    declared = parameter.declaration
    negative = parameter.kind is bool and declared.default is True
    return declared.flag or f"--{'no-' if negative else ''}{parameter.key.replace('_', '-')}"


def default_text(parameter: Hyperparameter, trainer: str, *, full: bool = False) -> str:
    """The default as it is typed, or its meaning ("no limit")."""
    if parameter.declaration.unset:
        return parameter.declaration.unset
    value = parameter.default(trainer, full=full)
    return ("on" if value else "off") if parameter.kind is bool else text_of(value)


def help_text(parameter: Hyperparameter, trainer: str) -> str:
    text = parameter.declaration.help
    if parameter.kind is bool:
        return text
    default = default_text(parameter, trainer)
    if trainer in parameter.declaration.full:
        default += f", with --full {default_text(parameter, trainer, full=True)}"
    return f"{text}; default {default}"


def add_to(parser: ArgumentParser, trainer: str) -> None:
    """The options of that trainer, in groups, and `--full`. An option that is left out parses to None."""
    groups: dict[str, Any] = {}
    for parameter in parameters_of(trainer):
        declared = parameter.declaration
        if declared.group not in groups:
            groups[declared.group] = parser.add_argument_group(GROUPS[declared.group])
            if declared.group == LORA:
                groups[LORA].add_argument("--full", action="store_true", help="train all weights instead of an adapter")
        options: dict[str, Any] = {
            "dest": parameter.key,
            "help": help_text(parameter, trainer).replace("%", "%%"),
        }
        if parameter.kind is bool:
            options |= {"action": "store_const", "const": not declared.default}
        else:
            choices = [value for value, _label in declared.choices] or None
            options |= {"type": reader(parameter), "choices": choices, "metavar": declared.metavar}
        groups[declared.group].add_argument(flag(parameter), **options)


def to_argv(trainer: str, config: Mapping[str, Any]) -> list[str]:
    """The options that give this configuration (as in run.json) again, ready for a shell. A file is given by its name:
    where it lies is another matter on each machine."""
    lora = config.get("lora")
    options = [] if lora is not None else ["--full"]
    for parameter in parameters_of(trainer):
        if parameter.nested and lora is None:
            continue
        default = parameter.default(trainer, full=lora is None)
        if callable(default):
            default = None  # follows from another field: printed
        value = (lora or {} if parameter.nested else config).get(parameter.attribute, default)
        if _plain(value) == _plain(default) and not parameter.declaration.printed:
            continue
        if parameter.kind is bool:
            options.append(flag(parameter))
        elif value is not None and (text := Path(value).name if parameter.attribute in FILES else text_of(value)):
            options += [flag(parameter), shlex.quote(text)]
    return options


def text_of(value: Any) -> str:
    """A value as it is typed after an option."""
    if isinstance(value, list | tuple):
        return ",".join(map(text_of, value))
    if isinstance(value, float):
        short = f"{value:g}"
        return short if float(short) == value else repr(value)
    return str(value)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
