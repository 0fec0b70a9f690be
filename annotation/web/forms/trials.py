"""The forms of the guideline debugger: a clause, and its trial."""

from django import forms
from django.utils.translation import gettext_lazy as _

from annotation.queue.batch_changes import HIGHEST, LOWEST
from annotation.trials.clauses import CLAUSE_LIMIT
from annotation.trials.trial import FEWEST_PER_ARM


class ClauseForm(forms.Form):
    text = forms.CharField(
        label=_("Proposed clause"),
        max_length=CLAUSE_LIMIT,
        widget=forms.Textarea(attrs={"rows": 6}),
        help_text=_("What the guideline should say, in Markdown. It is added at the guideline's end."),
    )


class TrialForm(forms.Form):
    overlap = forms.IntegerField(
        label=_("Annotators per task, for each version"),
        min_value=FEWEST_PER_ARM,
        max_value=25,
        initial=FEWEST_PER_ARM,
    )
    priority = forms.IntegerField(label=_("Priority"), min_value=LOWEST, max_value=HIGHEST, initial=0)
