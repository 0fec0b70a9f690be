"""The form that excludes a person or all simulated annotators."""

from typing import Any

from django import forms
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from annotation.answers.exclusions import MAX_REASON
from annotation.models import User

SIMULATED = "simulated"


class ExclusionForm(forms.Form):
    who = forms.ChoiceField(label=_("Whose answers"))
    reason = forms.CharField(
        label=_("Reason"), max_length=MAX_REASON, help_text=_("Kept with every dataset that is frozen without them.")
    )

    def __init__(self, *args: Any, people: QuerySet[User], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.people = {str(user.pk): user for user in people}
        self.fields["who"].choices = [  # type: ignore[attr-defined]
            ("", _("Choose…")),
            (SIMULATED, _("All simulated annotators")),
            *((key, str(user)) for key, user in self.people.items()),
        ]

    def person(self) -> User:
        """Who was chosen, unless it was `SIMULATED`."""
        return self.people[self.cleaned_data["who"]]
