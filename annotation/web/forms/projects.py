"""Forms of a project's settings: they shape what was typed; what is allowed is decided by the actions."""

from collections.abc import Iterable
from typing import Any

from django import forms
from django.urls import reverse_lazy
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from annotation.core.time_zones import time_zones
from annotation.models import Aspect, Project
from annotation.models.typology import ERROR_CATEGORIES, label, stored_name
from annotation.projects.guidelines import GUIDELINE_LIMIT
from annotation.projects.settings import EDITABLE
from annotation.text.language_tags import choices, name_of


class LinesField(forms.CharField):
    """A textarea whose lines are the values; empty lines do not count."""

    def __init__(self, *, rows: int = 5, **options: Any) -> None:
        super().__init__(widget=forms.Textarea(attrs={"rows": rows}), strip=False, **options)

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list) else value

    def clean(self, value: Any) -> list[str]:
        text = super().clean(value) or ""
        return [line.strip() for line in text.splitlines() if line.strip()]


# Choosing the goal of a new project brings the error categories that fit it; without a script, creating it does.
FOLLOWS_GOAL = {
    "hx-post": reverse_lazy("project_new"),
    "hx-vals": '{"action": "goal"}',
    "hx-trigger": "change",
    "hx-select": "#id_error_categories",
    "hx-target": "#id_error_categories",
    "hx-swap": "outerHTML",
}


class NamesField(LinesField):
    """Categories or reasons, one a line: shown in the reader's language, kept under their stored names. `kept` are the
    names that the project has already."""

    kept: Iterable[str] = ()

    def prepare_value(self, value: Any) -> Any:
        return super().prepare_value([label(name) for name in value] if isinstance(value, list) else value)

    def clean(self, value: Any) -> list[str]:
        return [stored_name(" ".join(line.split()), self.kept) for line in super().clean(value)]


class ProjectForm(forms.ModelForm):
    class Meta:
        model = Project
        fields = [name for name in EDITABLE if name not in ("currency", "budget")]  # a page of their own
        labels = {
            "name": _("Name"),
            "persona": _("Persona"),
            "source_language": _("Language of the prompts"),
            "target_language": _("Language of the answers"),
            "default_overlap": _("Annotators per task"),
            "held_out_share": _("Held-out share"),
            "avoid_seen": _("Never show a person the same prompt twice"),
            "lease_minutes": _("Lease (minutes)"),
            "idle_minutes": _("Idle after (minutes)"),
            "edit_hours": _("Answers can be changed for (hours)"),
            "review_share": _("Random share for review (%)"),
            "review_anonymous": _("Anonymous review"),
            "adjudicate_below": _("Adjudicate below (% agreement)"),
            "agreement_floor": _("Least agreement of a dataset"),
            "shows_own_figures": _("Annotators see their own figures"),
            "time_zone": _("Time zone"),
            "show_total": _("Show the weighted total while scoring"),
            "reasons_by_side": _("Give reasons for each side"),
        }
        help_texts = {
            "source_language": _("BCP 47 tag, such as en or ja."),
            "target_language": _("BCP 47 tag, such as ja or pt-BR."),
            "persona": _("For replies of a persona: who answers, and how. The model gets it with every prompt."),
            "default_overlap": _("Default for new batches. Two or more annotators show where people disagree."),
            "held_out_share": _(
                "From 0 to 0.9: this share of the source documents imported from now on is kept for evaluation and "
                "never trained on."
            ),
            "avoid_seen": _("A person who had a prompt in one batch does not get it in another."),
            "lease_minutes": _(
                "A claimed task without activity returns to the queue after this time. Drafts are kept."
            ),
            "idle_minutes": _(
                "After this time without a key, a click or a pointer movement, time counts as idle and the page asks "
                "whether the annotator is still there. From 1 to 120."
            ),
            "edit_hours": _("How long annotators can change a submitted answer. 0: not at all."),
            "review_share": _(
                "From 0 to 100: this share of each person's answers comes up for review, besides flags, remarks, "
                "disagreements and very fast answers."
            ),
            "review_anonymous": _("Reviewers do not see who answered, and annotators not who reviewed."),
            "adjudicate_below": _(
                "From 1 to 100: a task comes up for adjudication if, on any of its questions, fewer of its annotators "
                "than this gave the most common answer. 100: whenever they differ."
            ),
            "agreement_floor": _(
                "Krippendorff's alpha, from 0 to 1. A dataset below it warns, and lists the tasks whose adjudication "
                "would lift it over. Empty: no warning."
            ),
            "shows_own_figures": _(
                "How much they did, their pace and skips with intervals, and what the model answers today to the texts "
                "that they wrote or edited. Nobody sees anybody else’s."
            ),
            "time_zone": _("Where a day begins and ends: for time sheets, progress and cost."),
            "show_total": _(
                "People see what their scores add up to with the weights. "
                "Without it, they judge each aspect on its own."
            ),
            "reasons_by_side": _(
                "Annotators choose reasons for A and for B, not only for the better one: slower, but more informative."
            ),
        }
        widgets = {
            "persona": forms.Textarea(attrs={"rows": 4}),
            "held_out_share": forms.NumberInput(attrs={"min": 0, "max": 0.9, "step": 0.01}),
        }

    error_categories = NamesField(
        rows=6,
        required=False,
        label=_("Error categories"),
        help_text=_(
            "One per line: what annotators can mark in a text that they score, with a severity. For translations they "
            "are those of MQM, a standard, unless you change them. Empty: no errors are marked."
        ),
    )

    # How the page groups the fields; a pair is shown side by side.
    GROUPS = (
        (_("General"), ("name", "goal", ("source_language", "target_language"), "persona")),
        (_("Assignment"), (("default_overlap", "held_out_share"), "avoid_seen")),
        (_("Annotating"), ("lease_minutes", "idle_minutes", "edit_hours", "time_zone", "shows_own_figures")),
        (_("Review"), ("review_share", "review_anonymous", ("adjudicate_below", "agreement_floor"))),
        (_("Scoring and choosing"), ("show_total", "error_categories", "reasons_by_side")),
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["goal"] = forms.ChoiceField(
            label=_("Goal"), choices=Project.Goal.choices, initial=Project.Goal.TRANSLATION
        )
        self.fields["time_zone"] = forms.ChoiceField(
            label=self.fields["time_zone"].label,
            help_text=self.fields["time_zone"].help_text,
            choices=[(name, name) for name in sorted({*time_zones(), self.instance.time_zone})],
            required=False,
        )
        self.fields["review_share"].required = False
        self.fields["adjudicate_below"].required = False
        categories = self.fields["error_categories"]
        if self.instance.pk is None:
            self.initial.setdefault("error_categories", categories_for(Project.Goal.TRANSLATION))
            self.fields["goal"].widget.attrs |= FOLLOWS_GOAL
            follows = _("While you leave the list as it is, it fits the goal.")
            categories.help_text = f"{categories.help_text} {follows}"
        else:
            categories.kept = self.instance.error_categories  # type: ignore[attr-defined]
        for name in ("source_language", "target_language"):
            attributes = {"autocapitalize": "none", "spellcheck": "false", "size": 12, "list": "language-tags"}
            self.fields[name].widget.attrs |= attributes
            # What the tag means: kr is a language, but not Korean.
            tag = getattr(self.instance, name)
            if language := name_of(tag, get_language() or "en"):
                self.fields[name].help_text = f"{self.fields[name].help_text} {tag}: {language}."

    def clean_time_zone(self) -> str:
        """A form without the field keeps the zone."""
        return self.cleaned_data["time_zone"] or str(self.instance.time_zone)

    def clean_review_share(self) -> int:
        """A form without the field keeps the share."""
        share = self.cleaned_data["review_share"]
        return int(self.instance.review_share if share is None else share)

    def clean_adjudicate_below(self) -> int:
        """A form without the field keeps the percentage."""
        percent = self.cleaned_data["adjudicate_below"]
        return int(self.instance.adjudicate_below if percent is None else percent)

    def clean_error_categories(self) -> list[str]:
        """Of a new project, a list that nobody has changed becomes the one that fits the goal."""
        names: list[str] = self.cleaned_data["error_categories"]
        if self.instance.pk is None and any(names == list(ours) for ours in ERROR_CATEGORIES.values()):
            return categories_for(self.cleaned_data.get("goal", Project.Goal.TRANSLATION))
        return names

    def with_categories_of_goal(self) -> "ProjectForm":
        """The form of a new project whose goal was chosen just now, for the error categories that follow it."""
        self.full_clean()
        names = self.cleaned_data.get("error_categories", [])
        return ProjectForm(initial={"error_categories": names})

    def language_choices(self) -> list[tuple[str, str]]:
        """Tags with the languages' names, from which the browser offers those that match what is typed."""
        return choices(get_language() or "en")

    def groups(self) -> list[tuple[Any, list[list[forms.BoundField]]]]:
        """(heading, rows of one or two fields) for the template."""
        return [
            (heading, [[self[name] for name in ((row,) if isinstance(row, str) else row)] for row in rows])
            for heading, rows in self.GROUPS
        ]

    def _post_clean(self) -> None:
        """The action builds, checks and saves the project; the form leaves its instance alone."""


class GuidelineForm(forms.Form):
    text = forms.CharField(
        label=_("Guideline"),
        max_length=GUIDELINE_LIMIT,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 22, "class": "mono"}),
        help_text=_(
            "Markdown: # heading, *emphasis*, **strong**, - list, [link](https://…), tables. HTML is shown as text."
        ),
    )
    based_on = forms.IntegerField(widget=forms.HiddenInput, min_value=0)


class AspectForm(forms.Form):
    name = forms.CharField(label=_("Name"), max_length=80, help_text=_("Such as Meaning or Politeness."))
    question = forms.CharField(
        label=_("Question"), max_length=300, required=False, help_text=_("What the annotator asks of each answer.")
    )
    anchors = LinesField(
        rows=5,
        label=_("Description of each point"),
        help_text=_(
            "One per line, from the worst to the best, 2 to 9. They make sure that 3 means the same to everyone."
        ),
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


def categories_for(goal: str) -> list[str]:
    return list(ERROR_CATEGORIES[goal])


class ReasonsForm(forms.Form):
    names = NamesField(
        rows=8,
        required=False,
        label=_("Reason tags"),
        help_text=_(
            "One per line, in the order in which annotators see them; at most 20 of up to 40 characters. A tag that "
            "you remove is no longer offered; existing labels keep it."
        ),
    )

    def __init__(self, *args: Any, kept: list[str], **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["names"].kept = kept  # type: ignore[attr-defined]
