"""The forms of the glossary."""

from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from annotation.reference.glossary import LIMITS
from annotation.text.languages import direction

MAX_BYTES = 5_000_000


class TermForm(forms.Form):
    source = forms.CharField(max_length=LIMITS["source"], label=gettext_lazy("Term"))
    target = forms.CharField(max_length=LIMITS["target"], label=gettext_lazy("Preferred translation"))
    note = forms.CharField(
        max_length=LIMITS["note"],
        required=False,
        label=gettext_lazy("Note"),
        help_text=gettext_lazy("When it applies, or what to avoid."),
    )

    def __init__(self, *args: Any, source_language: str, target_language: str, **options: Any) -> None:
        super().__init__(*args, **options)
        for name, language in (("source", source_language), ("target", target_language)):
            self.fields[name].widget.attrs |= {"lang": language, "dir": direction(language)}


class TermsForm(forms.Form):
    """Rows of a CSV text, from a file or typed in; `rows` holds them once the form is valid."""

    file = forms.FileField(required=False, label=gettext_lazy("A file"))
    text = forms.CharField(
        required=False,
        strip=False,
        label=gettext_lazy("Or paste the rows"),
        widget=forms.Textarea(attrs={"rows": 5, "class": "mono", "spellcheck": "false", "dir": "auto"}),
    )
    rows: str = ""

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        upload = cleaned.get("file")
        self.rows = cleaned.get("text", "")
        if upload is not None:
            if upload.size > MAX_BYTES:
                self.add_error("file", _("The file is larger than 5 MB: split it."))
                return cleaned
            try:
                self.rows = upload.read().decode("utf-8-sig")
            except UnicodeDecodeError:
                self.add_error("file", _("The file is not UTF-8: save it as “CSV UTF-8”."))
        return cleaned
