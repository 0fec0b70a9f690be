"""How a hyper-parameter is declared: a dataclass field that carries its label, help, bounds, group and defaults.

The table itself is `hyperparameters.py`. Whatever needs one (parser, form, validation, documentation) reads it here.
"""

import dataclasses
import math
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from training.contract.errors import ConfigError
from training.contract.wording import counted

# Where the web form shows it: at once, below "More settings", or not at all.
OnPage = Literal["main", "more", "no"]
LARGEST_INT = 2**63 - 1


class ByTrainer:
    """Default of a field whose value is known only with the trainer; `resolve_defaults` replaces it."""

    def __repr__(self) -> str:
        return "BY_TRAINER"


BY_TRAINER = ByTrainer()


@dataclass(frozen=True, kw_only=True)
class Declaration:
    """`by_trainer` and `full` (full fine-tuning) override `default` for the trainers that they name.

    `unset` says in words what the default means where its value says nothing ("no limit"). `above` is an exclusive
    lower bound. `choices` are (value, label) pairs, `suggestions` likewise without excluding others. `names` are the
    known entries of a tuple, or the known values of a text; `refused` are others that a library has and that cannot
    work here, with the reason. A `required` tuple has one entry at least. `trainers` lists those that have it (empty:
    all). A `printed` one is written into the command of a run even where it has its default value.
    """

    label: str
    help: str
    group: str
    default: Any
    by_trainer: Mapping[str, Any] = field(default_factory=dict)
    full: Mapping[str, Any] = field(default_factory=dict)
    unset: str = ""
    above: float | None = None
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[tuple[str, str], ...] = ()
    suggestions: tuple[tuple[str, str], ...] = ()
    names: tuple[str, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)
    required: bool = False
    trainers: tuple[str, ...] = ()
    on_page: OnPage = "more"
    printed: bool = False
    flag: str = ""
    metavar: str | None = None


def declare(label: str, help: str, group: str, default: Any, **options: Any) -> Any:
    """A dataclass field; the options are those of `Declaration`."""
    declaration = Declaration(label=label, help=help, group=group, default=default, **options)
    follows = bool(declaration.by_trainer) or callable(default)
    return field(default=BY_TRAINER if follows else default, metadata={"declaration": declaration})


@dataclass(frozen=True, kw_only=True)
class Hyperparameter:
    """A declared field: `key` is its name everywhere (`lora_r`), `attribute` its name in its own class (`r`).

    `kind` is the type of its value, or of one entry where it is a tuple (`many`).
    """

    key: str
    attribute: str
    nested: bool
    kind: type
    many: bool
    declaration: Declaration

    def default(self, trainer: str, *, full: bool = False) -> Any:
        declared = self.declaration
        if full and trainer in declared.full:
            return declared.full[trainer]
        return declared.by_trainer.get(trainer, declared.default)

    def applies_to(self, trainer: str) -> bool:
        return not self.declaration.trainers or trainer in self.declaration.trainers


def declared_in(cls: type[Any], prefix: str = "") -> tuple[Hyperparameter, ...]:
    """The hyper-parameters among the fields of a dataclass, in order."""
    hints = typing.get_type_hints(cls)
    rows = []
    for declared in dataclasses.fields(cls):
        if "declaration" not in declared.metadata:
            continue
        hint = hints[declared.name]
        many = typing.get_origin(hint) is tuple
        inner = typing.get_args(hint)[0] if many else hint
        rows.append(
            Hyperparameter(
                key=prefix + declared.name,
                attribute=declared.name,
                nested=bool(prefix),
                kind=inner if isinstance(inner, type) else str,
                many=many,
                declaration=declared.metadata["declaration"],
            )
        )
    return tuple(rows)


def resolve_defaults(settings: Any, trainer: str = "", *, full: bool = False) -> None:
    """Fill in the fields whose default follows from the trainer, or from other fields (a callable default)."""
    for parameter in declared_in(type(settings)):
        if getattr(settings, parameter.attribute) is BY_TRAINER:
            default: Callable[[Any], Any] | Any = parameter.default(trainer, full=full)
            object.__setattr__(settings, parameter.attribute, default(settings) if callable(default) else default)


def validate(settings: Any, prefix: str = "") -> None:
    """Raise ConfigError for the first field whose value has the wrong type or is out of bounds, naming it."""
    for parameter in declared_in(type(settings)):
        problem = problem_with(parameter, getattr(settings, parameter.attribute), prefix + parameter.attribute)
        if problem is not None:
            raise ConfigError(problem)


def problem_with(parameter: Hyperparameter, value: Any, name: str) -> str | None:
    """Why the value cannot be used; None if it can."""
    declared = parameter.declaration
    entries = value if parameter.many else (value,)
    for entry in entries:
        if not _has_type(entry, parameter.kind):
            return f"{name} must be {TYPE_NAMES[parameter.kind]}, got {entry!r}"
    if (problem := _problem_with_names(parameter, value, name)) is not None:
        return problem
    values = [choice for choice, _label in declared.choices]
    if values and value not in values:
        return f"{name} must be one of {', '.join(values)}, got {value!r}"
    return next(filter(None, (_out_of_bounds(parameter, entry, name) for entry in entries)), None)


def _problem_with_names(parameter: Hyperparameter, value: Any, name: str) -> str | None:
    """Why these names cannot be used: none at all, an unknown one, one that cannot work, the same one twice."""
    declared = parameter.declaration
    entries = value if parameter.many else (value,)
    if declared.required and not entries:
        examples = " or ".join([example for example, _label in declared.suggestions] or declared.default)
        return f"{name} is empty: name one at least, such as {examples}"
    for entry in entries:
        if entry in declared.refused:
            return f"{name}: {entry} {declared.refused[entry]}"
    unknown = [entry for entry in entries if declared.names and entry not in declared.names]
    if unknown:
        return f"{name} knows {', '.join(declared.names)}, not {', '.join(unknown)}"
    if declared.names and (twice := [entry for entry in entries if entries.count(entry) > 1]):
        return f"{name} has {twice[0]} twice"
    return None


def _out_of_bounds(parameter: Hyperparameter, value: Any, name: str) -> str | None:
    declared = parameter.declaration
    maximum = upper_bound(parameter)
    if maximum is not None and value > maximum:
        if declared.maximum is None:
            return f"{name} must be at most {maximum}, got a number of {counted(len(str(value)), 'digit')}"
        lower = f"({declared.above:g}" if declared.above is not None else f"[{declared.minimum or 0:g}"
        return f"{name} must lie in {lower}, {bound_text(maximum)}], got {value}"
    if declared.above is not None and value <= declared.above:
        return f"{name} must be greater than {declared.above:g}, got {value}"
    if declared.minimum is not None and value < declared.minimum:
        return f"{name} must be {declared.minimum:g} or more, got {value}"
    return None


def upper_bound(parameter: Hyperparameter) -> float | None:
    """The declared maximum; for whole numbers without one, the largest that torch holds."""
    declared = parameter.declaration
    return LARGEST_INT if declared.maximum is None and parameter.kind is int else declared.maximum


def bound_text(bound: float) -> str:
    return str(bound) if isinstance(bound, int) else f"{bound:g}"


TYPE_NAMES = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}


def _has_type(value: Any, kind: type) -> bool:
    if kind is bool:
        return isinstance(value, bool)
    if isinstance(value, bool):
        return False
    if kind is float:
        return isinstance(value, int | float) and math.isfinite(value)
    return isinstance(value, kind)
