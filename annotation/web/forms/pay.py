"""The forms of currency, budget and rates."""

from typing import Any

from babel.numbers import get_currency_name
from django import forms
from django.db.models import QuerySet
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from annotation.models import PayRate, User
from annotation.projects.pay import currencies


class BudgetForm(forms.Form):
    currency = forms.ChoiceField(label=_("Currency"), required=False)
    budget = forms.DecimalField(
        label=_("Budget"),
        required=False,
        min_value=0,
        max_digits=14,
        decimal_places=2,
        help_text=_("What annotation may cost in all. The dashboard warns when it will not be enough."),
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        language = (get_language() or "en").replace("-", "_")
        named = [(code, f"{code} · {get_currency_name(code, locale=language)}") for code in sorted(currencies())]
        self.fields["currency"].choices = [("", _("None")), *named]  # type: ignore[attr-defined]


class RateForm(forms.Form):
    person = forms.ChoiceField(label=_("For"), required=False)
    amount = forms.DecimalField(label=_("Amount"), min_value=0, max_digits=12, decimal_places=4)
    unit = forms.ChoiceField(
        label=_("Per"),
        choices=[(PayRate.Unit.HOUR, _("hour of active time")), (PayRate.Unit.ANSWER, _("submitted answer"))],
    )
    since = forms.DateField(label=_("From"), widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"))

    def __init__(self, *args: Any, people: QuerySet[User], **options: Any) -> None:
        super().__init__(*args, **options)
        self.people = {str(user.pk): user for user in people}
        named = [(key, str(user)) for key, user in self.people.items()]
        self.fields["person"].choices = [("", _("Everybody without a rate of their own")), *named]  # type: ignore[attr-defined]

    def annotator(self) -> User | None:
        return self.people.get(self.cleaned_data["person"])
