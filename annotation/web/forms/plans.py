"""What is wanted of a collection: every setting is in the address of the page."""

from typing import Any

from django import forms
from django.db.models import Exists, OuterRef
from django.utils.translation import gettext_lazy as _

from annotation.core.errors import InvalidInput
from annotation.core.time_zones import today_in
from annotation.models import Batch, Kind, Project, Role, SlotCount
from annotation.planning.actions import LONGEST_NAME
from annotation.planning.wanted import (
    FEWEST_HOURS,
    MOST_HOURS,
    MOST_OVERLAP,
    MOST_PEOPLE,
    MOST_TASKS,
    Wanted,
    check_wanted,
)
from annotation.web.forms.actions import add_problems
from annotation.web.forms.dashboards import DayInput

MOST_BATCHES = 100


def day_field(label: Any) -> forms.DateField:
    return forms.DateField(label=label, widget=DayInput(), input_formats=["%Y-%m-%d"], required=False)


class PlanForm(forms.Form):
    """`pilot` is the id of a batch, or a kind: all answers of it. Empty fields take usual values."""

    pilot = forms.ChoiceField(label=_("Pilot"))
    first = day_field(_("Answers from"))
    last = day_field(_("Answers until"))
    tasks = forms.IntegerField(label=_("Tasks"), min_value=1, max_value=MOST_TASKS)
    overlap = forms.IntegerField(label=_("Annotators per task"), min_value=1, max_value=MOST_OVERLAP)
    people = forms.IntegerField(label=_("Number of people"), min_value=1, max_value=MOST_PEOPLE)
    hours = forms.FloatField(
        label=_("Hours a week of each"),
        required=False,
        min_value=FEWEST_HOURS,
        max_value=MOST_HOURS,
        widget=forms.NumberInput(attrs={"step": "any", "placeholder": _("as in the pilot")}),
    )
    start = day_field(_("First day"))

    def __init__(self, data: Any, *, project: Project) -> None:
        self.project = project
        done = SlotCount.objects.filter(batch=OuterRef("pk"), state=SlotCount.State.DONE)
        newest = list(project.batches.annotate(has_answers=Exists(done)).order_by("-pk")[:MOST_BATCHES])
        self.batches = {str(batch.pk): batch for batch in newest}
        self.kinds = [kind for kind in Kind if any(batch.kind == kind for batch in self.batches.values())]
        people = project.memberships.filter(role=Role.ANNOTATOR).count()
        usual = {
            # The newest that somebody has worked on; there is nothing to learn from the others.
            "pilot": next((str(batch.pk) for batch in newest if batch.has_answers), next(iter(self.batches), "")),
            "tasks": "1000",
            "overlap": str(project.default_overlap),
            "people": str(max(people, project.default_overlap)),
            "start": str(today_in(project)),
        }
        super().__init__({**usual, **{key: value for key, value in data.items() if value}}, label_suffix="")
        self.fields["pilot"].choices = [  # type: ignore[attr-defined]
            (_("A batch"), [(key, f"{batch.name} · {Kind(batch.kind).label}") for key, batch in self.batches.items()]),
            (_("All answers of a kind"), [(kind.value, kind.label) for kind in self.kinds]),
        ]

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or {}
        first, last = values.get("first"), values.get("last")
        if first and last and first > last:
            self.add_error("last", _("This day is before the first."))
        values["start"] = values.get("start") or today_in(self.project)
        if not self.errors:
            try:
                check_wanted(self.wanted(), today_in(self.project))
            except InvalidInput as error:
                add_problems(self, error)
        return values

    def batch(self) -> Batch | None:
        """The pilot; None for all answers of a kind."""
        return self.batches.get(self.cleaned_data["pilot"])

    def kind(self) -> str:
        batch = self.batch()
        return batch.kind if batch else str(self.cleaned_data["pilot"])

    def wanted(self) -> Wanted:
        values = self.cleaned_data
        return Wanted(values["tasks"], values["overlap"], values["people"], values["hours"], values["start"])


class PlanBatchForm(forms.Form):
    """The batch that a plan is compared with."""

    batch = forms.ModelChoiceField(
        label=_("For the batch"), required=False, queryset=Batch.objects.none(), empty_label=_("None yet")
    )

    def __init__(self, *args: Any, project: Project, kind: str, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["batch"].queryset = Batch.objects.filter(project=project, kind=kind).order_by("-pk")  # type: ignore[attr-defined]


class KeepPlanForm(PlanBatchForm):
    name = forms.CharField(label=_("Name"), max_length=LONGEST_NAME)

    field_order = ("name", "batch")
