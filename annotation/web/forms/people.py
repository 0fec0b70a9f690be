"""Forms of people and their invitations: they shape what was typed; what is allowed is decided by the actions."""

from typing import Any

from django import forms
from django.conf import settings
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from annotation.models import Role

# What AUTH_PASSWORD_VALIDATORS ask for, in one sentence.
PASSWORD_HELP = format_lazy(
    _("At least {length} characters, not only digits. Not a common password, and not like your name or email."),
    length=settings.SHORTEST_PASSWORD,
)


class InvitationForm(forms.Form):
    role = forms.ChoiceField(label=_("Role"), choices=Role.choices, initial=Role.ANNOTATOR)
    email = forms.EmailField(
        label=_("Email"), required=False, help_text=_("With an address, only that person can use the link.")
    )


class RoleForm(forms.Form):
    role = forms.ChoiceField(label=_("Role"), choices=Role.choices)


class JoinForm(forms.Form):
    """A new account. The form asks for an e-mail address only where the invitation does not fix it."""

    email = forms.EmailField(label=_("Email"), widget=forms.EmailInput(attrs={"autocomplete": "email"}))
    name = forms.CharField(
        label=_("Your name"),
        max_length=150,
        help_text=_("Visible to colleagues."),
        widget=forms.TextInput(attrs={"autocomplete": "name"}),
    )
    password = forms.CharField(
        label=_("Password"),
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text=PASSWORD_HELP,
    )
    password_again = forms.CharField(
        label=_("Confirm password"),
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )

    def __init__(self, *args: Any, email: str = "", **options: Any) -> None:
        super().__init__(*args, **options)
        if email:
            del self.fields["email"]

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if data.get("password") and data.get("password_again") and data["password"] != data["password_again"]:
            self.add_error("password_again", _("The two passwords differ."))
        return data

    def account(self) -> dict[str, str]:
        return {name: value for name, value in self.cleaned_data.items() if name != "password_again"}
