"""The forms of the queue: opening a batch, skipping a task."""

from typing import Any

from django import forms
from django.db.models import Count, Exists, OuterRef, QuerySet

from annotation.models import Candidate, Kind, Project, Prompt, Task
from annotation.submission import SKIP_REASONS

KINDS = [
    (Kind.WRITING, "Writing: people answer the prompt themselves"),
    (Kind.POSTEDITING, "Post-editing: people mend a model's text, or accept it"),
    (Kind.SCORING, "Scoring: people score one text on each aspect"),
    (Kind.CHOOSING, "Choosing: people say which of two texts is better, and why"),
]


class BatchForm(forms.Form):
    """What `open_batch` needs, in a manager's words."""

    name = forms.CharField(max_length=120, help_text="What annotators see in their list of work.")
    kind = forms.ChoiceField(choices=KINDS, widget=forms.RadioSelect, initial=Kind.CHOOSING)
    overlap = forms.IntegerField(
        min_value=1, max_value=50, label="People a task", help_text="How many people do each task on their own."
    )
    which = forms.ChoiceField(
        label="Prompts", widget=forms.RadioSelect, initial="without",
        choices=[("without", "Those without a task of this kind yet"), ("all", "All prompts of the project")],
    )  # fmt: skip
    limit = forms.IntegerField(
        min_value=1, required=False, label="At most", help_text="A number of prompts, picked by chance. Empty: all."
    )
    origins = forms.MultipleChoiceField(
        required=False, widget=forms.CheckboxSelectMultiple, label="Candidates from",
        help_text="None ticked: any origin. Choosing compares exactly two. Annotators never see origins.",
    )  # fmt: skip
    priority = forms.IntegerField(
        min_value=-1000, max_value=1000, initial=0, help_text="Batches of a higher priority are served first."
    )

    def __init__(self, *args: Any, project: Project, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.project = project
        self.fields["overlap"].initial = project.default_overlap
        counts = (
            Candidate.objects.filter(prompt__project=project)
            .order_by("origin").values_list("origin").annotate(n=Count("pk"))
        )  # fmt: skip
        self.fields["origins"].choices = [(origin, f"{origin} ({n:,})") for origin, n in counts]  # type: ignore[attr-defined]

    def prompts(self) -> QuerySet[Prompt]:
        """The prompts that were asked for, to be read once and inside the action."""
        rows = Prompt.objects.filter(project=self.project)
        if self.cleaned_data["which"] == "without":
            same_kind = Task.objects.filter(prompt=OuterRef("pk"), batch__kind=self.cleaned_data["kind"])
            rows = rows.filter(~Exists(same_kind))
        if self.cleaned_data["limit"]:
            rows = rows.order_by("?")[: self.cleaned_data["limit"]]
        return rows


class SkipForm(forms.Form):
    reason = forms.ChoiceField(choices=list(SKIP_REASONS.items()))
    comment = forms.CharField(required=False, max_length=2000)
