"""Forms of people and projects: they shape what was typed; what is allowed is decided by the actions."""

from typing import Any

from django import forms
from django.contrib.auth.password_validation import password_validators_help_text_html
from django.forms.utils import ErrorDict

from annotation.errors import DomainError, InvalidInput
from annotation.models import Aspect, Project, Role
from annotation.projects import EDITABLE, GUIDELINE_LIMIT


def add_problems(form: forms.Form | forms.ModelForm, error: DomainError, prefix: str = "") -> ErrorDict:
    """Show what an action refused beside the fields it names, and the rest above the form."""
    problems = error.problems if isinstance(error, InvalidInput) else []
    for field, message in problems:
        form.add_error(prefix + field if prefix + field in form.fields else None, message)
    if not problems:
        form.add_error(None, str(error))
    return form.errors


class LinesField(forms.CharField):
    """A textarea whose lines are the values; empty lines do not count."""

    def __init__(self, *, rows: int = 5, **options: Any) -> None:
        super().__init__(widget=forms.Textarea(attrs={"rows": rows}), strip=False, **options)

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list) else value

    def clean(self, value: Any) -> list[str]:
        text = super().clean(value) or ""
        return [line.strip() for line in text.splitlines() if line.strip()]


class ProjectForm(forms.ModelForm):
    class Meta:
        model = Project
        fields = list(EDITABLE)
        labels = {
            "source_language": "Language of the prompts",
            "target_language": "Language of the answers",
            "default_overlap": "People per task",
            "held_out_share": "Held-out share",
            "lease_minutes": "Minutes a task stays in hand",
        }
        help_texts = {
            "persona": "For replies of a persona: who answers, and how. The model gets it with every prompt.",
            "default_overlap": "How many people do each task of a new batch, unless the batch says otherwise.",
            "held_out_share": "From 0 to 0.9: this share of the source documents imported from now on is kept for "
            "evaluation and never trained on.",
        }
        widgets = {
            "persona": forms.Textarea(attrs={"rows": 4}),
            "held_out_share": forms.NumberInput(attrs={"min": 0, "max": 0.9, "step": 0.01}),
        }

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["goal"] = forms.ChoiceField(choices=Project.Goal.choices, initial=Project.Goal.TRANSLATION)
        for name in ("source_language", "target_language"):
            self.fields[name].widget.attrs |= {"autocapitalize": "none", "spellcheck": "false", "size": 12}

    def _post_clean(self) -> None:
        """The action builds, checks and saves the project; the form leaves its instance alone."""


class GuidelineForm(forms.Form):
    text = forms.CharField(
        label="Guideline",
        max_length=GUIDELINE_LIMIT,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 22, "class": "mono"}),
        help_text="Markdown: # heading, *emphasis*, **strong**, - list, [link](https://…), tables. HTML is shown as "
        "text.",
    )
    based_on = forms.IntegerField(widget=forms.HiddenInput, min_value=0)


class AspectForm(forms.Form):
    name = forms.CharField(max_length=80, help_text="Such as Meaning or Politeness.")
    question = forms.CharField(max_length=300, required=False, help_text="What the annotator asks of each answer.")
    anchors = LinesField(
        rows=5,
        label="A sentence for each point",
        help_text="One a line, from the worst to the best, 2 to 9 of them. They keep two people's 3 the same 3.",
    )

    def __init__(self, *args: Any, aspect: Aspect | None = None, **options: Any) -> None:
        if aspect:
            values = {"name": aspect.name, "question": aspect.question, "anchors": aspect.anchors}
            options |= {"initial": values, "auto_id": f"aspect-{aspect.pk}-%s"}
        super().__init__(*args, **options)


class WeightsForm(forms.Form):
    """One number for each active aspect, in a field named by its key."""

    PREFIX = "weight-"
    based_on = forms.IntegerField(widget=forms.HiddenInput, min_value=0)

    def __init__(self, *args: Any, aspects: list[Aspect], **options: Any) -> None:
        super().__init__(*args, **options)
        for aspect in aspects:
            number = forms.NumberInput(attrs={"step": "any", "min": 0, "max": 100})
            field = forms.FloatField(label=aspect.name, min_value=0, max_value=100, widget=number)
            self.fields[self.PREFIX + aspect.key] = field

    def weights(self) -> dict[str, float]:
        named = {name: value for name, value in self.cleaned_data.items() if name.startswith(self.PREFIX)}
        return {name.removeprefix(self.PREFIX): value for name, value in named.items()}


class ReasonsForm(forms.Form):
    names = LinesField(
        rows=8,
        required=False,
        label="Reason tags",
        help_text="One a line, in the order in which annotators see them; at most 20 of up to 40 characters. A tag "
        "that you take out leaves new tasks; labels that carry it keep it.",
    )


class InvitationForm(forms.Form):
    role = forms.ChoiceField(choices=Role.choices, initial=Role.ANNOTATOR)
    email = forms.EmailField(
        label="Email", required=False, help_text="With an address, only that person can use the link."
    )


class RoleForm(forms.Form):
    role = forms.ChoiceField(choices=Role.choices)


class JoinForm(forms.Form):
    """A new account. The e-mail is asked for only where the invitation does not fix it."""

    email = forms.EmailField(label="Email", widget=forms.EmailInput(attrs={"autocomplete": "email"}))
    name = forms.CharField(
        label="Your name", max_length=150, help_text="Colleagues see it.",
        widget=forms.TextInput(attrs={"autocomplete": "name"}),
    )  # fmt: skip
    password = forms.CharField(
        strip=False, widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text=password_validators_help_text_html,
    )  # fmt: skip
    password_again = forms.CharField(
        label="Password, once more", strip=False, widget=forms.PasswordInput(attrs={"autocomplete": "new-password"})
    )

    def __init__(self, *args: Any, email: str = "", **options: Any) -> None:
        super().__init__(*args, **options)
        if email:
            del self.fields["email"]

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if data.get("password") and data.get("password_again") and data["password"] != data["password_again"]:
            self.add_error("password_again", "The two passwords differ.")
        return data
