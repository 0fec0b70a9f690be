"""The form with which a manager makes a test of answers in a batch."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from annotation.kinds import KINDS
from annotation.models import Annotation
from annotation.qualification.tests import MAX_ATTEMPTS, MAX_EXPLANATION, MAX_TOLERANCE, NewItem

TICKED_UP_TO = 20


class QualificationForm(forms.Form):
    """What is asked of the test as a whole; and for each answer a tick `item-<id>` and an explanation `why-<id>`."""

    name = forms.CharField(label=_("Name"), max_length=120, help_text=_("Annotators see it."))
    bar = forms.IntegerField(
        label=_("Pass mark (%)"),
        min_value=1,
        max_value=100,
        initial=80,
        help_text=_("The share of items that must be right to pass."),
    )
    tolerance = forms.IntegerField(
        label=_("Points by which a score may differ"),
        min_value=0,
        max_value=MAX_TOLERANCE,
        initial=1,
        help_text=_("Each aspect of an item must be within it."),
    )
    attempts = forms.IntegerField(
        label=_("Attempts"),
        min_value=1,
        max_value=MAX_ATTEMPTS,
        initial=2,
        help_text=_("A manager can grant another attempt. The items are the same, in another order."),
    )

    def __init__(self, *args: Any, answers: list[Annotation], kind: str, **options: Any) -> None:
        super().__init__(*args, **options)
        self.answers = answers
        if not KINDS[kind].has_tolerance:
            del self.fields["tolerance"]
        for answer in answers:
            self.fields[f"item-{answer.pk}"] = forms.BooleanField(
                label=_("Part of the test"), required=False, initial=len(answers) <= TICKED_UP_TO
            )
            self.fields[f"why-{answer.pk}"] = forms.CharField(
                label=_("Why this is right"),
                required=False,
                max_length=MAX_EXPLANATION,
                widget=forms.Textarea(attrs={"rows": 2, "class": "small", "dir": "auto"}),
            )

    def rows(self) -> list[tuple[Annotation, forms.BoundField, forms.BoundField]]:
        return [(answer, self[f"item-{answer.pk}"], self[f"why-{answer.pk}"]) for answer in self.answers]

    def chosen(self) -> list[NewItem]:
        return [
            NewItem(annotation=answer, explanation=self.cleaned_data[f"why-{answer.pk}"])
            for answer in self.answers
            if self.cleaned_data[f"item-{answer.pk}"]
        ]
