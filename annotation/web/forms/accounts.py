"""allauth's forms in the words of our other pages: labels, and what a password must be like."""

from typing import Any

from allauth.account import forms as allauth_forms
from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from annotation.web.forms.people import PASSWORD_HELP

LABELS = {
    "login": gettext_lazy("Email"),
    "email": gettext_lazy("Email"),
    "password": gettext_lazy("Password"),
    "oldpassword": gettext_lazy("Current password"),
    "password1": gettext_lazy("New password"),
    "password2": gettext_lazy("Confirm new password"),
}


class OwnWords(forms.Form):
    """Mixed in before a form of allauth. A placeholder that repeats the label is left out."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        for name, field in self.fields.items():
            field.label = LABELS.get(name, field.label)
            field.widget.attrs.pop("placeholder", None)
        if "password1" in self.fields:
            self.fields["password1"].help_text = PASSWORD_HELP

    def clean(self) -> Any:
        cleaned = super().clean()
        typed = self.data.get(self.add_prefix("password2"))  # allauth has taken it out of what is clean
        if typed and "password2" in self.errors and self.cleaned_data.get("password1"):
            self.errors["password2"] = self.error_class([_("The two passwords differ.")])
        return cleaned


class LoginForm(OwnWords, allauth_forms.LoginForm):  # type: ignore[misc]  # allauth is untyped
    pass


class ChangePasswordForm(OwnWords, allauth_forms.ChangePasswordForm):  # type: ignore[misc]
    pass


class SetPasswordForm(OwnWords, allauth_forms.SetPasswordForm):  # type: ignore[misc]
    pass


class ResetPasswordForm(OwnWords, allauth_forms.ResetPasswordForm):  # type: ignore[misc]
    pass


class ResetPasswordKeyForm(OwnWords, allauth_forms.ResetPasswordKeyForm):  # type: ignore[misc]
    pass


class ReauthenticateForm(OwnWords, allauth_forms.ReauthenticateForm):  # type: ignore[misc]
    pass
