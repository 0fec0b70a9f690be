"""The forms of gold and checks: rules, gold from answers, and what a manager decides."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from annotation.checks.gold import MAX_EXPLANATION
from annotation.checks.rules import MEASURES, Rules
from annotation.models import Annotation, CheckProposal, Project

ACTIONS = CheckProposal.Action.choices


class RulesForm(forms.Form):
    """For each measure and action the percentage below which a manager is asked: `gold-warn` and so on."""

    def __init__(self, *args: Any, project: Project, **options: Any) -> None:
        super().__init__(*args, **options)
        for measure in MEASURES:
            for action, label in ACTIONS:
                self.fields[f"{measure}-{action}"] = forms.IntegerField(
                    label=label,
                    min_value=1,
                    max_value=100,
                    required=False,
                    initial=project.check_rules.get(measure, {}).get(action),
                )

    def rows(self) -> list[tuple[Any, list[forms.BoundField]]]:
        """Each measure with its fields, one an action."""
        return [(label, [self[f"{measure}-{action}"] for action, _ in ACTIONS]) for measure, label in MEASURES.items()]

    def rules(self) -> Rules:
        values = self.cleaned_data
        return {
            measure: {action: values[f"{measure}-{action}"] for action, _ in ACTIONS if values[f"{measure}-{action}"]}
            for measure in MEASURES
        }


class GoldForm(forms.Form):
    """For each answer a tick `item-<id>` and an explanation `why-<id>`."""

    def __init__(self, *args: Any, answers: list[Annotation], **options: Any) -> None:
        super().__init__(*args, **options)
        self.answers = answers
        for answer in answers:
            self.fields[f"item-{answer.pk}"] = forms.BooleanField(label=_("Gold"), required=False)
            self.fields[f"why-{answer.pk}"] = explanation_field()

    def rows(self) -> list[tuple[Annotation, forms.BoundField, forms.BoundField]]:
        return [(answer, self[f"item-{answer.pk}"], self[f"why-{answer.pk}"]) for answer in self.answers]

    def chosen(self) -> list[int]:
        return [answer.pk for answer in self.answers if self.cleaned_data[f"item-{answer.pk}"]]

    def explanations(self) -> dict[int, str]:
        return {answer.pk: self.cleaned_data[f"why-{answer.pk}"] for answer in self.answers}


class DecisionForm(forms.Form):
    """`text` is what the person reads, or the reason."""

    decision = forms.ChoiceField(choices=[("confirm", ""), ("dismiss", "")])
    text = forms.CharField(required=False, max_length=500, widget=forms.Textarea(attrs={"rows": 2, "dir": "auto"}))


def explanation_field() -> forms.CharField:
    return forms.CharField(
        label=_("Why this is right"),
        required=False,
        max_length=MAX_EXPLANATION,
        help_text=_("Gold with an explanation can be a practice item."),
        widget=forms.Textarea(attrs={"rows": 2, "class": "small", "dir": "auto"}),
    )
