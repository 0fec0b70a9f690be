"""Forms of training: they parse the input; the actions decide what is allowed."""

from typing import Any

from django import forms
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from annotation.core.withdrawals import withdrawn_datasets
from annotation.datasets.label_balance import balance_of
from annotation.models import DatasetVersion, Project
from annotation.queue.progress import project_progress
from annotation.text.formatting import percentage
from training.contract.config import ALLOW_OTHER_BASE
from training.contract.hyperparameters import GROUPS
from training.engine_jobs import model_folders
from training.models import Checkpoint, Run
from training.results.checkpoints import promoted_checkpoint
from training.rounds.lifecycle import DEFAULT_PROMPTS, fresh_prompts
from training.runs.describe import LENGTHS
from training.web.hyperparameter_fields import parameter_field, parameters_on_page

TRAINERS = (Run.Trainer.SFT, Run.Trainer.DPO, Run.Trainer.KTO)


class DatasetField(forms.ModelChoiceField):
    def label_from_instance(self, dataset: Any) -> str:
        template = ngettext(
            "Dataset %(number)s: %(purpose)s, %(train)s row, %(held_out)s held out",
            "Dataset %(number)s: %(purpose)s, %(train)s rows, %(held_out)s held out",
            dataset.train_rows,
        )
        label = template % {
            "number": dataset.pk,
            "purpose": dataset.purpose.upper(),
            "train": f"{dataset.train_rows:,}",
            "held_out": f"{dataset.held_out_rows:,}",
        }
        if balance := balance_of(dataset):
            counts = {"good": f"{balance.desirable:,}", "bad": f"{balance.undesirable:,}"}
            label += " (" + gettext("%(good)s desirable, %(bad)s undesirable") % counts + ")"
        return label


class DescribeForm(forms.Form):
    name = forms.CharField(label=_("Name"), max_length=LENGTHS["name"], required=False)
    note = forms.CharField(
        label=_("Note"),
        max_length=LENGTHS["note"],
        required=False,
        help_text=_("Why it was started, or what it showed."),
    )


class RunForm(DescribeForm):
    """A new run: the dataset decides the trainer; hyper-parameters that are left empty have its defaults."""

    dataset = DatasetField(queryset=DatasetVersion.objects.none(), empty_label=None, label=_("Dataset"))
    start = forms.ChoiceField(label=_("Starts from"))
    method = forms.ChoiceField(
        label=_("Method"),
        choices=[("lora", _("LoRA adapter")), ("full", _("Full fine-tuning"))],
        initial="lora",
        widget=forms.RadioSelect,
    )
    evaluate = forms.BooleanField(label=_("Evaluate the checkpoint afterwards"), initial=True, required=False)
    allow_other_base = forms.BooleanField(
        label=_(ALLOW_OTHER_BASE.label), help_text=_(ALLOW_OTHER_BASE.help), required=False
    )

    def __init__(self, *args: Any, project: Project, **options: Any) -> None:
        super().__init__(*args, **options)
        self.project = project
        usable = DatasetVersion.objects.filter(project=project, purpose__in=TRAINERS, train_rows__gt=0)
        usable = usable.exclude(pk__in=withdrawn_datasets(project))
        self.fields["dataset"].queryset = usable.order_by("-id")  # type: ignore[attr-defined]
        promoted = promoted_checkpoint(project)
        self.fields["start"].choices = starting_points(project, promoted)  # type: ignore[attr-defined]
        if promoted is not None:
            self.fields["start"].initial = f"checkpoint:{promoted.pk}"
        self.fields.update({parameter.key: parameter_field(parameter) for parameter in parameters_on_page()})

    @property
    def can_train(self) -> bool:
        return bool(self.fields["start"].choices) and self.fields["dataset"].queryset.exists()  # type: ignore[attr-defined]

    @property
    def main_fields(self) -> list[forms.BoundField]:
        return [self[row.key] for row in parameters_on_page() if row.declaration.on_page == "main"]

    @property
    def more_groups(self) -> list[tuple[str, list[forms.BoundField]]]:
        """(title, fields) of each group below "More settings"."""
        rows = [row for row in parameters_on_page() if row.declaration.on_page == "more"]
        groups = (
            (title, [self[row.key] for row in rows if row.declaration.group == key]) for key, title in GROUPS.items()
        )
        return [(gettext(title), fields) for title, fields in groups if fields]

    def values(self) -> dict[str, Any]:
        """The keyword arguments of `create_run`, once the form is valid."""
        cleaned = self.cleaned_data
        kind, _separator, name = cleaned["start"].partition(":")
        trainer = cleaned["dataset"].purpose
        options: dict[str, Any] = {}
        lora: dict[str, Any] = {}
        for parameter in parameters_on_page():
            value = cleaned[parameter.key]
            if value not in (None, "", ()) and parameter.applies_to(trainer):
                (lora if parameter.nested else options)[parameter.attribute] = value
        options["lora"] = None if cleaned["method"] == "full" else lora
        return {
            "project": self.project,
            "trainer": trainer,
            "dataset": cleaned["dataset"],
            "base_model": str(model_folders.resolve(name)) if kind == "model" else "",
            "parent": Checkpoint.objects.get(pk=int(name), project=self.project) if kind == "checkpoint" else None,
            "options": options,
            "evaluate": cleaned["evaluate"],
            "allow_other_base": cleaned["allow_other_base"],
            "name": cleaned["name"],
            "note": cleaned["note"],
        }


MADE, PROMOTED = _("Checkpoint %(number)s (%(trainer)s)"), _("Checkpoint %(number)s (%(trainer)s), promoted")


OFFERED = 100


def starting_points(project: Project, promoted: Checkpoint | None) -> list[tuple[str, list[tuple[str, str]]]]:
    """Checkpoints of the project (newest first), points of learning curves apart, then base models below the allowed
    roots, as option groups. The promoted checkpoint is there however old it is."""
    newest = Checkpoint.objects.filter(project=project).select_related("run").order_by("-id")
    rows = list(newest[:OFFERED])
    if promoted is not None and promoted not in rows:
        rows.append(promoted)
    single = [starting_point(row, promoted) for row in rows if not row.run.curve_id]
    points = [starting_point(row, promoted) for row in rows if row.run.curve_id]
    models = [(f"model:{folder.name}", folder.name) for folder in model_folders.base_models()]
    groups = [
        (gettext("Checkpoints"), single),
        (gettext("Points of learning curves"), points),
        (gettext("Base models"), models),
    ]
    return [group for group in groups if group[1]]


def starting_point(row: Checkpoint, promoted: Checkpoint | None) -> tuple[str, str]:
    template = PROMOTED if row == promoted else MADE
    label = template % {"number": row.pk, "trainer": row.run.get_trainer_display()}
    if row.run.curve_id:
        values = {"checkpoint": label, "share": percentage(row.run.config["share"])}
        label = gettext("%(checkpoint)s, %(share)s of the prompts") % values
    return f"checkpoint:{row.pk}", f"{label} · {row.run.name}" if row.run.name else label


class EvaluateForm(forms.Form):
    dataset = DatasetField(queryset=DatasetVersion.objects.none(), empty_label=None, label=_("On the held-out rows of"))

    def __init__(self, *args: Any, checkpoint: Checkpoint, **options: Any) -> None:
        super().__init__(*args, **options)
        usable = DatasetVersion.objects.filter(project=checkpoint.project, held_out_rows__gt=0).order_by("-id")
        usable = usable.exclude(pk__in=withdrawn_datasets(checkpoint.project))
        self.fields["dataset"].queryset = usable  # type: ignore[attr-defined]
        self.fields["dataset"].initial = checkpoint.dataset_id


class PromoteForm(forms.Form):
    note = forms.CharField(
        label=_("Why"), max_length=200, required=False, help_text=_("Kept with the model's history.")
    )


class RoundForm(forms.Form):
    prompts = forms.IntegerField(label=_("Prompts"), min_value=1, max_value=100_000, initial=DEFAULT_PROMPTS)
    overlap = forms.IntegerField(label=_("Annotators per task"), min_value=1, max_value=50)
    temperature = forms.FloatField(
        label=_("Temperature"),
        min_value=0.01,
        max_value=5,
        initial=0.8,
        help_text=_("Higher: more varied texts."),
        widget=forms.NumberInput(attrs={"step": "any"}),
    )
    max_new_tokens = forms.IntegerField(label=_("Max length (tokens)"), min_value=1, max_value=8192, initial=256)
    reuse = forms.BooleanField(label=_("If fresh prompts run out, reuse prompts that had a task"), required=False)
    close_batches = forms.BooleanField(
        label=_("Close the open batches of earlier rounds when the new batch opens"), initial=True, required=False
    )
    after = forms.IntegerField(widget=forms.HiddenInput)

    def __init__(self, *args: Any, project: Project, last: int, **options: Any) -> None:
        super().__init__(*args, **options)
        fresh = fresh_prompts(project).count()
        sentence = ngettext(
            "%(number)s is fresh: without a task so far.", "%(number)s are fresh: without a task so far.", fresh
        )
        self.fields["prompts"].help_text = sentence % {"number": f"{fresh:,}"}
        self.fields["prompts"].initial = min(DEFAULT_PROMPTS, fresh) or DEFAULT_PROMPTS
        self.fields["overlap"].initial = project.default_overlap
        self.fields["after"].initial = last
        self.open_batches = [progress for progress in project_progress(project) if progress.is_open]

    def values(self) -> dict[str, Any]:
        """The keyword arguments of `start_round` beside project and actor."""
        cleaned = self.cleaned_data
        options = {"temperature": cleaned["temperature"], "max_new_tokens": cleaned["max_new_tokens"]}
        return {
            "prompts": cleaned["prompts"],
            "overlap": cleaned["overlap"],
            "reuse": cleaned["reuse"],
            "options": options,
            "after": cleaned["after"],
            # Without an open batch there is no such box on the page.
            "close_batches": cleaned["close_batches"],
        }
