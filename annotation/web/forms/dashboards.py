"""What a drill-down of the dashboard shows: its filters, all of which are in the address."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from annotation.dashboards.throughput import MOST_DAYS, Asked, usual_days
from annotation.models import Batch, Kind, Project, User


class DayInput(forms.DateInput):
    input_type = "date"

    def __init__(self) -> None:
        super().__init__(format="%Y-%m-%d")


class ThroughputForm(forms.Form):
    """An empty field asks for everything; without days, those of the last two weeks."""

    first = forms.DateField(
        label=pgettext_lazy("days of a filter", "From"), required=False, widget=DayInput(), input_formats=["%Y-%m-%d"]
    )
    last = forms.DateField(
        label=pgettext_lazy("days of a filter", "Until"), required=False, widget=DayInput(), input_formats=["%Y-%m-%d"]
    )
    batch = forms.ModelChoiceField(
        label=_("Batch"), required=False, queryset=Batch.objects.none(), empty_label=_("All batches")
    )
    kind = forms.ChoiceField(label=_("Kind"), required=False, choices=[("", _("All kinds")), *Kind.choices])
    person = forms.ModelChoiceField(
        label=_("Person"), required=False, queryset=User.objects.none(), empty_label=_("All people")
    )

    def __init__(self, data: Any, *, project: Project, people: list[int]) -> None:
        self.project = project
        usual = dict(zip(("first", "last"), map(str, usual_days(project)), strict=True))
        super().__init__({**usual, **{key: value for key, value in data.items() if value}}, label_suffix="")
        self.fields["batch"].queryset = Batch.objects.filter(project=project).order_by("-pk")  # type: ignore[attr-defined]
        self.fields["person"].queryset = User.objects.filter(pk__in=people).order_by("name", "pk")  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or {}
        first, last = values.get("first"), values.get("last")
        if first and last and first > last:
            self.add_error("last", _("This day is before the first."))
        elif first and last and (last - first).days >= MOST_DAYS:
            self.add_error("first", _("At most %(days)s days are shown at once.") % {"days": MOST_DAYS})
        return values

    def asked(self) -> Asked:
        """Of a valid form."""
        return Asked(**self.cleaned_data)
