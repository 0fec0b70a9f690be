"""The forms of the queue: opening and changing a batch, giving a task to somebody."""

from dataclasses import fields
from typing import Any

from django import forms
from django.db.models import Count, Q
from django.http import QueryDict
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from annotation.checks.shares import HIGHEST_SHARE, MOST_PRACTICE, Shares
from annotation.kinds import KINDS
from annotation.kinds.base import MAX_ALTERNATIVES
from annotation.models import Batch, Candidate, Kind, Project, Qualification
from annotation.queue.arms import RANDOM, RANDOM_SHARE, SELECT
from annotation.queue.batch_changes import HIGHEST, LOWEST
from annotation.queue.batch_plan import LEAST_SURE, SURE
from annotation.queue.batches import SEED_LIMIT, new_seed
from annotation.queue.prompt_selection import SIDES, WHICH, PromptSelection

REVIEW_HELP = _("Datasets and results take an answer once a reviewer has accepted or corrected it.")
MAX_PROMPTS = 1_000_000_000  # of a random sample: more than a project can have


def qualification_choices(
    project: Project, kind: str = "", beside: Qualification | None = None
) -> list[tuple[Any, Any]]:
    """The tests that a batch may ask for, by kind; `beside` is one that it asks for already, retired or not."""
    rows = Qualification.objects.filter(project=project)
    usable = rows.filter(Q(retired_at=None) | Q(pk=beside.pk if beside else None))
    if kind:
        return [(test.pk, test.name) for test in usable.filter(kind=kind)]
    return [
        (label, [(test.pk, test.name) for test in usable if test.kind == value])
        for value, label in Kind.choices
        if any(test.kind == value for test in usable)
    ]


class ChecksForm(forms.Form):
    """How much of a batch checks people."""

    gold = forms.IntegerField(
        min_value=0,
        max_value=HIGHEST_SHARE,
        required=False,
        label=_("Hidden gold (%)"),
        help_text=_("Tasks with a known answer, in percent of the tasks. They look like all others."),
    )
    repeats = forms.IntegerField(
        min_value=0,
        max_value=HIGHEST_SHARE,
        required=False,
        label=_("Repeats (%)"),
        help_text=_("Tasks that a person gets again after a while, to see whether they answer alike."),
    )
    twins = forms.IntegerField(
        min_value=0,
        max_value=HIGHEST_SHARE,
        required=False,
        label=_("Damaged twins (%)"),
        help_text=_("A text stands beside itself damaged by a rule, which must be judged worse."),
    )
    tutorial = forms.IntegerField(
        min_value=0,
        max_value=MOST_PRACTICE,
        required=False,
        label=_("Practice items"),
        help_text=_("The first tasks of each person: gold with an explanation, which they read after each answer."),
    )

    def shares(self) -> Shares:
        return Shares(**{one.name: self.cleaned_data[one.name] or 0 for one in fields(Shares)})


class BatchForm(ChecksForm):
    """What `open_batch` needs, in a manager's words, and the checks that are put in."""

    name = forms.CharField(label=_("Name"), max_length=120, help_text=_("What annotators see in their list of work."))
    kind = forms.ChoiceField(
        label=_("Kind"),
        choices=[(name, KINDS[name].summary) for name in Kind],
        widget=forms.RadioSelect,
        initial=Kind.CHOOSING,
    )
    alternatives = forms.IntegerField(
        min_value=1,
        max_value=MAX_ALTERNATIVES,
        required=False,
        label=_("Texts per task"),
        help_text=_(
            "Choosing: 2 to 6; more than two are ranked. Scoring: 1 to 6; more than one are shown side by side. "
            "Empty: two to choose from, one to score. The other kinds have none or one."
        ),
    )
    overlap = forms.IntegerField(
        min_value=1,
        max_value=50,
        label=_("Annotators per task"),
        help_text=_("How many people do each task independently."),
    )
    overlap_most = forms.IntegerField(
        min_value=2,
        max_value=50,
        required=False,
        label=_("Maximum while unsure"),
        help_text=_(
            "Choosing only. Tasks whose label is unsure get more annotators, one at a time, up to this. Leave empty "
            "for the same number for all."
        ),
    )
    sure = forms.FloatField(
        min_value=LEAST_SURE,
        max_value=0.999,
        required=False,
        initial=SURE,
        label=_("Sure from"),
        widget=forms.NumberInput(attrs={"step": "any"}),
        help_text=_("With a maximum: the probability of a label from which on no more annotators are asked."),
    )
    which = forms.ChoiceField(
        label=_("Prompts"),
        widget=forms.RadioSelect,
        initial=PromptSelection.which,
        choices=list(WHICH.items()),
    )
    side = forms.ChoiceField(label=_("Split"), required=False, choices=list(SIDES.items()))
    limit = forms.IntegerField(
        min_value=1,
        max_value=MAX_PROMPTS,
        required=False,
        label=_("Maximum prompts"),
        help_text=_("A random sample. Leave empty for all."),
    )
    select = forms.ChoiceField(
        label=_("Which of them"),
        required=False,
        choices=list(SELECT.items()),
        help_text=_(
            "Others than random need a maximum. Nobody knows beforehand whether a selection helps: compare its arms."
        ),
    )
    random_share = forms.IntegerField(
        min_value=1,
        max_value=100,
        required=False,
        initial=round(RANDOM_SHARE * 100),
        label=_("Drawn at random all the same (%)"),
        help_text=_("Of a selection that is not random, to compare it with."),
    )
    origins = forms.MultipleChoiceField(
        required=False,
        widget=forms.CheckboxSelectMultiple,
        label=_("Candidates from"),
        help_text=_(
            "Leave empty for any origin. Choosing takes one text of each origin: select as many as a task has texts. "
            "Annotators never see origins."
        ),
    )
    qualification = forms.TypedChoiceField(
        required=False,
        coerce=int,
        empty_value=None,
        label=_("Test"),
        help_text=_("Annotators who have not passed it get no tasks of this batch. It must be of the batch's kind."),
    )
    priority = forms.IntegerField(
        min_value=LOWEST,
        max_value=HIGHEST,
        initial=0,
        label=_("Priority"),
        help_text=_("Batches of a higher priority are served first."),
    )

    requires_review = forms.BooleanField(
        required=False,
        label=_("Answers count only after review"),
        help_text=REVIEW_HELP,
    )

    # What a preview counts is what opens: both draw by this seed.
    seed = forms.IntegerField(min_value=0, max_value=SEED_LIMIT, required=False, widget=forms.HiddenInput)
    # The tick of the preview's warning: so many answers that nobody can give were seen and accepted.
    accept_missing = forms.IntegerField(min_value=0, required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, project: Project, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.project = project
        self.fields["overlap"].initial = project.default_overlap
        self.fields["seed"].initial = new_seed
        counts = (
            Candidate.objects.filter(prompt__project=project)
            .order_by("origin")
            .values_list("origin")
            .annotate(n=Count("pk"))
        )
        set_choices(self, "origins", [(origin, f"{origin} ({n:,})") for origin, n in counts])
        set_choices(self, "qualification", [("", _("None")), *qualification_choices(project)])

    def clean_qualification(self) -> Qualification | None:
        chosen = self.cleaned_data["qualification"]
        test = Qualification.objects.filter(project=self.project, pk=chosen).first() if chosen else None
        if test is not None and "kind" in self.cleaned_data and test.kind != self.cleaned_data["kind"]:
            raise forms.ValidationError(gettext("This test is of another kind than the batch."))
        return test

    def clean_alternatives(self) -> int | None:
        count, kind = self.cleaned_data["alternatives"], KINDS.get(self.cleaned_data.get("kind", ""))
        if kind is None or kind.most_alternatives == 1:
            return None
        if kind.compares and count == 1:
            raise forms.ValidationError(gettext("Choosing takes at least two."))
        return int(count) if count is not None else None

    @property
    def describes_a_batch(self) -> bool:
        """Whether it can be previewed: its name does not matter."""
        return self.is_bound and not set(self.errors) - {"name", "accept_missing", "__all__"}

    def options(self) -> dict[str, Any]:
        """What `preview_batch` and `open_batch` both take."""
        cleaned = self.cleaned_data
        return {
            "project": self.project,
            "kind": cleaned["kind"],
            "overlap": cleaned["overlap"],
            "prompts": PromptSelection(
                which=cleaned["which"],
                side=cleaned["side"],
                limit=cleaned["limit"],
                select=cleaned["select"] or RANDOM,
                random_share=(cleaned["random_share"] or 100 * RANDOM_SHARE) / 100,
            ),
            "origins": cleaned["origins"] or None,
            "alternatives": cleaned["alternatives"],
            "qualification": cleaned["qualification"],
            "seed": cleaned["seed"],
            "overlap_most": cleaned["overlap_most"],
            "sure": cleaned["sure"] if cleaned["overlap_most"] else None,
        }

    def problems(self) -> list[str]:
        """Each fault with its field's label, for the preview."""
        return [
            f"{self.fields[name].label}: {message}" if name in self.fields else str(message)
            for name, messages in self.errors.items()
            for message in messages
        ]


class BatchChangeForm(ChecksForm):
    """What may change of a batch that is open."""

    name = forms.CharField(label=_("Name"), max_length=120)
    priority = forms.IntegerField(
        min_value=LOWEST,
        max_value=HIGHEST,
        label=_("Priority"),
        help_text=_("Batches of a higher priority are served first."),
    )
    qualification = forms.TypedChoiceField(
        required=False,
        coerce=int,
        empty_value=None,
        label=_("Test"),
        help_text=_("Annotators who have not passed get no new tasks. Claimed tasks can be finished."),
    )
    requires_review = forms.BooleanField(
        required=False,
        label=_("Answers count only after review"),
        help_text=REVIEW_HELP,
    )

    def __init__(self, data: QueryDict | None = None, *, batch: Batch) -> None:
        initial = {
            "name": batch.name,
            "priority": batch.priority,
            "qualification": batch.qualification_id,
            "requires_review": batch.requires_review,
            **batch.checks,
        }
        super().__init__(data, initial=initial, auto_id="change-%s")
        self.project = batch.project
        tests = qualification_choices(batch.project, batch.kind, beside=batch.qualification)
        set_choices(self, "qualification", [("", _("None")), *tests])

    def clean_qualification(self) -> Qualification | None:
        chosen = self.cleaned_data["qualification"]
        return Qualification.objects.filter(project=self.project, pk=chosen).first() if chosen else None

    def settings(self) -> dict[str, Any]:
        """What `change_batch` takes."""
        return {name: self.cleaned_data[name] for name in ("name", "priority", "qualification", "requires_review")}


class AssignForm(forms.Form):
    """Who a task is assigned to; `instead` releases the task that they hold."""

    annotator = forms.IntegerField(min_value=1)
    instead = forms.BooleanField(required=False)


def set_choices(form: forms.Form, name: str, choices: list[Any]) -> None:
    field = form.fields[name]
    assert isinstance(field, forms.ChoiceField)
    field.choices = choices
