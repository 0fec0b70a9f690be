"""The form of an export of answers."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from annotation.exchange.selection import Selection, checked_selection, end_of_day, people_of, start_of_day
from annotation.models import AnswerExport, Batch, Kind, Project


class ExportForm(forms.Form):
    """Which answers, and how they are written."""

    format = forms.ChoiceField(
        choices=AnswerExport.Format.choices, label=_("Format"), widget=forms.RadioSelect, initial="csv"
    )
    batches = forms.MultipleChoiceField(
        required=False,
        label=_("Batches"),
        widget=forms.CheckboxSelectMultiple,
        help_text=_("Leave empty for all."),
    )
    kinds = forms.MultipleChoiceField(
        label=_("Kinds"),
        choices=Kind.choices,
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=_("Leave empty for all kinds."),
    )
    people = forms.MultipleChoiceField(
        label=_("People"),
        required=False,
        widget=forms.SelectMultiple(attrs={"size": 5}),
        help_text=_("Leave empty for all."),
    )
    since = forms.DateField(required=False, label=_("First day"), widget=forms.DateInput(attrs={"type": "date"}))
    until = forms.DateField(required=False, label=_("Last day"), widget=forms.DateInput(attrs={"type": "date"}))
    current_only = forms.BooleanField(
        required=False,
        label=_("Only current answers"),
        help_text=_("Without the versions that their authors replaced or withdrew."),
    )
    without_skips = forms.BooleanField(required=False, label=_("Leave out skipped tasks"))
    pseudonyms = forms.BooleanField(
        required=False,
        label=_("Pseudonyms instead of names"),
        help_text=_("No name, address or account id of an annotator is written. Texts stay as they are."),
    )

    def __init__(self, *args: Any, project: Project, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.project = project
        rows = Batch.objects.filter(project=project).order_by("-id").values_list("pk", "name", "kind")
        self.fields["batches"].choices = [  # type: ignore[attr-defined]
            (str(pk), f"{name} ({Kind(kind).label.lower()})") for pk, name, kind in rows
        ]
        self.fields["people"].choices = [  # type: ignore[attr-defined]
            (email, f"{name} ({email})") for name, email in people_of(project).values_list("name", "email")
        ]

    @property
    def is_narrowed(self) -> bool:
        """Whether one of the fields that the page hides at first has a value or an error."""
        names = ("kinds", "people", "since", "until")
        return any(self[name].errors or self[name].value() for name in names)

    def flags(self) -> list[forms.BoundField]:
        """The tick boxes."""
        return [self["current_only"], self["without_skips"], self["pseudonyms"]]

    def selection(self) -> Selection:
        """Raises InvalidInput, naming the field."""
        cleaned = self.cleaned_data
        since, until = cleaned["since"], cleaned["until"]
        return checked_selection(
            self.project,
            batches=map(int, cleaned["batches"]),
            kinds=cleaned["kinds"],
            people=cleaned["people"],
            since=start_of_day(since, self.project) if since else None,
            until=end_of_day(until, self.project) if until else None,
            current_only=cleaned["current_only"],
            without_skips=cleaned["without_skips"],
            pseudonyms=cleaned["pseudonyms"],
        )
