"""Form fields of the hyper-parameters, made from their declarations. An empty field means the trainer's default."""

from collections.abc import Callable
from functools import partial
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.text import format_lazy
from django.utils.translation import gettext, gettext_lazy
from django.utils.translation import gettext_lazy as _

from training.contract.declarations import Hyperparameter, bound_text, problem_with, upper_bound
from training.contract.hyperparameters import TRAINERS, all_parameters
from training.runs.options import default_text, reader, text_of


def parameters_on_page() -> list[Hyperparameter]:
    return [parameter for parameter in all_parameters() if parameter.declaration.on_page != "no"]


class ListField(forms.CharField):
    """A comma list, read as the command's option is."""

    def __init__(self, *, read: Callable[[str], Any], **options: Any) -> None:
        super().__init__(**options)
        self.read = read

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        try:
            return self.read(text)
        except Exception as error:  # argparse's ArgumentTypeError is no ValueError
            raise ValidationError(_("Enter a list such as 1,0.5.")) from error


def parameter_field(parameter: Hyperparameter) -> forms.Field:
    declared = parameter.declaration
    label = gettext_lazy(declared.label)  # makemessages finds the sentence in the table
    if declared.trainers:
        label = format_lazy("{} ({})", label, ", ".join(trainer.upper() for trainer in declared.trainers))
    initial = None if follows(parameter) else text_of(declared.default)
    common: dict[str, Any] = {"label": label, "required": False, "help_text": help_text(parameter), "initial": initial}
    if parameter.kind is bool:
        choices = [("yes", _("yes")), ("no", _("no"))]
        common["initial"] = "yes" if declared.default else "no"
        return forms.TypedChoiceField(choices=choices, coerce=lambda text: text == "yes", empty_value=None, **common)
    if named := declared.choices or declared.suggestions:
        choices = [(value, gettext_lazy(text)) for value, text in named]
        common["initial"] = choices[0][0]
        return forms.TypedChoiceField(choices=choices, coerce=reader(parameter), empty_value=None, **common)
    if parameter.many:
        return ListField(read=reader(parameter), **common)
    if parameter.kind is str:
        return forms.CharField(**common)
    widget = forms.NumberInput(attrs={"step": "any" if parameter.kind is float else 1, **placeholder(parameter)})
    field = forms.FloatField if parameter.kind is float else forms.IntegerField
    return field(widget=widget, validators=[partial(check_bounds, parameter)], **common)


def follows(parameter: Hyperparameter) -> bool:
    """Whether the default is described in words, because it depends on something or its value says nothing."""
    return bool(parameter.declaration.unset or parameter.declaration.by_trainer)


def placeholder(parameter: Hyperparameter) -> dict[str, Any]:
    return {"placeholder": gettext_lazy(parameter.declaration.unset)} if parameter.declaration.unset else {}


def help_text(parameter: Hyperparameter) -> Any:
    """The help; for a default that depends on the trainer, what each has."""
    text = gettext_lazy(parameter.declaration.help)
    if not parameter.declaration.by_trainer or parameter.declaration.suggestions:
        return text
    defaults = ", ".join(f"{trainer.upper()} {default_text(parameter, trainer)}" for trainer in TRAINERS)
    return format_lazy("{} ({})", text, defaults)


def check_bounds(parameter: Hyperparameter, value: Any) -> None:
    declared = parameter.declaration
    if problem_with(parameter, value, parameter.key) is None:
        return
    if declared.above is not None and value <= declared.above:
        raise ValidationError(gettext("Must be greater than %(limit)s.") % {"limit": f"{declared.above:g}"})
    if declared.minimum is not None and value < declared.minimum:
        raise ValidationError(gettext("Must be %(limit)s or more.") % {"limit": f"{declared.minimum:g}"})
    raise ValidationError(gettext("Must be %(limit)s or less.") % {"limit": bound_text(upper_bound(parameter) or 0)})
