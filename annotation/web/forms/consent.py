"""The form that withdraws consent."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from annotation.consent.withdrawals import MAX_NOTE
from annotation.models import User, Withdrawal


class WithdrawForm(forms.Form):
    mode = forms.ChoiceField(
        label=_("What happens to the answers"),
        choices=Withdrawal.Mode.choices,
        widget=forms.RadioSelect,
        initial=Withdrawal.Mode.EXCLUDE,
    )
    confirmation = forms.CharField(
        label=_("To erase, type the email address"),
        required=False,
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "off", "spellcheck": "false"}),
    )
    named = forms.BooleanField(
        label=_("Write the name into the receipt"),
        required=False,
        help_text=_("Otherwise it has a number and a code that only the person can show to be theirs."),
    )
    note = forms.CharField(
        label=_("How the person asked for it"),
        max_length=MAX_NOTE,
        required=False,
        help_text=_("For the record, such as a letter and its date."),
    )

    def __init__(self, *args: Any, person: User, own: bool, erase_only: bool = False, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["confirmation"].help_text = person.email
        if own:
            del self.fields["note"]
        if erase_only:
            self.fields["mode"].choices = [(Withdrawal.Mode.ERASE, Withdrawal.Mode.ERASE.label)]  # type: ignore[attr-defined]
            self.fields["mode"].initial = Withdrawal.Mode.ERASE
