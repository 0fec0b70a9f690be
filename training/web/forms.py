"""Forms of training: they shape what was chosen; what is allowed is decided by the actions."""

from typing import TYPE_CHECKING, Any

from django import forms
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from annotation.models import DatasetVersion, Project
from training.engine_jobs import model_folders
from training.models import Checkpoint, Run
from training.rounds.lifecycle import DEFAULT_PROMPTS, fresh_prompts

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise

TRAINERS = (Run.Trainer.SFT, Run.Trainer.DPO, Run.Trainer.KTO)
NUMBERS = (
    "epochs",
    "learning_rate",
    "batch_size",
    "gradient_accumulation",
    "max_length",
    "seed",
    "save_steps",
    "beta",
)


class DatasetField(forms.ModelChoiceField):
    def label_from_instance(self, dataset: Any) -> str:
        return _("Dataset %(number)s: %(purpose)s, %(train)s rows, %(held_out)s held out") % {
            "number": dataset.pk,
            "purpose": dataset.purpose.upper(),
            "train": f"{dataset.train_rows:,}",
            "held_out": f"{dataset.held_out_rows:,}",
        }


def whole(
    label: "str | _StrPromise", *, least: int = 1, initial: int | None = None, help_text: "str | _StrPromise" = ""
) -> forms.IntegerField:
    return forms.IntegerField(label=label, min_value=least, required=False, initial=initial, help_text=help_text)


def real(
    label: "str | _StrPromise", *, initial: float | None = None, help_text: "str | _StrPromise" = ""
) -> forms.FloatField:
    widget = forms.NumberInput(attrs={"step": "any", "min": 0})
    return forms.FloatField(
        label=label, min_value=0, required=False, initial=initial, help_text=help_text, widget=widget
    )


class RunForm(forms.Form):
    """A run to be: the dataset decides the trainer, and what is left empty follows it."""

    dataset = DatasetField(queryset=DatasetVersion.objects.none(), empty_label=None, label=_("Dataset"))
    start = forms.ChoiceField(label=_("Starts from"))
    method = forms.ChoiceField(
        label=_("What is trained"),
        choices=[("lora", _("LoRA adapter")), ("full", _("All weights"))],
        initial="lora",
        widget=forms.RadioSelect,
    )
    epochs = real(_("Epochs"), initial=1)
    learning_rate = real(_("Learning rate"), help_text=_("Empty: one that suits trainer and method."))
    batch_size = whole(_("Batch size"), initial=8)
    max_length = whole(_("Longest text, in tokens"), least=16, initial=1024)
    gradient_accumulation = whole(_("Batches in one step"), initial=1)
    seed = whole(_("Seed"), least=0, initial=17)
    save_steps = whole(_("Steps between saves"), initial=50)
    lora_r = whole(_("LoRA rank"), initial=16)
    lora_alpha = whole(_("LoRA alpha"), initial=32)
    lora_targets = forms.CharField(label=_("LoRA modules"), initial="all-linear", required=False)
    beta = real(_("Beta"), initial=0.1, help_text=_("DPO and KTO: how firmly it is held to its start."))
    losses = forms.ChoiceField(
        label=_("Loss"),
        choices=[("sigmoid,sft", _("DPO with an SFT term")), ("sigmoid", _("Plain DPO"))],
        required=False,
        help_text=_("The SFT term keeps the preferred texts likely."),
    )
    soft_labels = forms.ChoiceField(
        label=_("Where people disagreed"),
        choices=[("yes", _("learn the share that preferred it")), ("no", _("learn the majority alone"))],
        required=False,
    )
    ties = forms.ChoiceField(
        label=_("Pairs called equal"),
        choices=[("learn", _("learn from them too")), ("drop", _("leave them out"))],
        required=False,
    )
    evaluate = forms.BooleanField(label=_("Evaluate the checkpoint afterwards"), initial=True, required=False)

    def __init__(self, *args: Any, project: Project, **options: Any) -> None:
        super().__init__(*args, **options)
        self.project = project
        usable = DatasetVersion.objects.filter(project=project, purpose__in=TRAINERS, train_rows__gt=0)
        self.fields["dataset"].queryset = usable.order_by("-id")  # type: ignore[attr-defined]
        self.fields["start"].choices = starting_points(project)  # type: ignore[attr-defined]

    @property
    def can_train(self) -> bool:
        return bool(self.fields["start"].choices) and self.fields["dataset"].queryset.exists()  # type: ignore[attr-defined]

    def values(self) -> dict[str, Any]:
        """The keyword arguments of `create_run`, once the form is valid."""
        given = self.cleaned_data
        kind, _, name = given["start"].partition(":")
        trainer = given["dataset"].purpose
        options = {key: given[key] for key in NUMBERS if given[key] is not None}
        if trainer == Run.Trainer.DPO:
            if given["losses"]:
                options["losses"] = tuple(given["losses"].split(","))
            if given["soft_labels"]:
                options["soft_labels"] = given["soft_labels"] == "yes"
            if given["ties"]:
                options["ties"] = given["ties"]
        if given["method"] == "full":
            options["lora"] = None
        else:
            r = given["lora_r"] or 16
            targets = tuple(part.strip() for part in given["lora_targets"].split(",") if part.strip())
            options["lora"] = {"r": r, "alpha": given["lora_alpha"] or 2 * r, "targets": targets or ("all-linear",)}
        return {
            "project": self.project,
            "trainer": trainer,
            "dataset": given["dataset"],
            "base_model": name if kind == "model" else "",
            "parent": Checkpoint.objects.get(pk=int(name), project=self.project) if kind == "checkpoint" else None,
            "options": options,
            "evaluate": given["evaluate"],
        }


MADE, PROMOTED = _("Checkpoint %(number)s (%(trainer)s)"), _("Checkpoint %(number)s (%(trainer)s), promoted")


def starting_points(project: Project) -> list[tuple[str, list[tuple[str, str]]]]:
    """Checkpoints of the project (newest first), then base models below the allowed roots, as option groups."""
    rows = Checkpoint.objects.filter(project=project).select_related("run").order_by("-id")[:100]
    checkpoints = []
    for row in rows:
        words = PROMOTED if row.promoted_at else MADE
        label = words % {"number": row.pk, "trainer": row.run.get_trainer_display()}
        checkpoints.append((f"checkpoint:{row.pk}", label))
    models = [(f"model:{folder.path}", folder.name) for folder in model_folders.base_models()]
    groups = [(gettext("Checkpoints"), checkpoints), (gettext("Base models"), models)]
    return [group for group in groups if group[1]]


class EvaluateForm(forms.Form):
    dataset = DatasetField(queryset=DatasetVersion.objects.none(), empty_label=None, label=_("On the held-out rows of"))

    def __init__(self, *args: Any, checkpoint: Checkpoint, **options: Any) -> None:
        super().__init__(*args, **options)
        usable = DatasetVersion.objects.filter(project=checkpoint.project, held_out_rows__gt=0).order_by("-id")
        self.fields["dataset"].queryset = usable  # type: ignore[attr-defined]
        self.fields["dataset"].initial = checkpoint.dataset_id


class PromoteForm(forms.Form):
    note = forms.CharField(
        label=_("Why"), max_length=200, required=False, help_text=_("For those who read the story of this model later.")
    )


class RoundForm(forms.Form):
    prompts = forms.IntegerField(label=_("Prompts"), min_value=1, max_value=100_000, initial=DEFAULT_PROMPTS)
    overlap = forms.IntegerField(label=_("People per task"), min_value=1, max_value=50)
    temperature = forms.FloatField(
        label=_("Temperature"),
        min_value=0.01,
        max_value=5,
        initial=0.8,
        help_text=_("Higher: more varied texts."),
        widget=forms.NumberInput(attrs={"step": "any"}),
    )
    max_new_tokens = forms.IntegerField(label=_("Longest text, in tokens"), min_value=1, max_value=8192, initial=256)
    reuse = forms.BooleanField(label=_("Where fresh prompts run out, take some that had a task"), required=False)
    after = forms.IntegerField(widget=forms.HiddenInput)

    def __init__(self, *args: Any, project: Project, last: int, **options: Any) -> None:
        super().__init__(*args, **options)
        fresh = fresh_prompts(project).count()
        said = ngettext(
            "%(number)s is fresh: without a task so far.", "%(number)s are fresh: without a task so far.", fresh
        )
        self.fields["prompts"].help_text = said % {"number": f"{fresh:,}"}
        self.fields["prompts"].initial = min(DEFAULT_PROMPTS, fresh) or DEFAULT_PROMPTS
        self.fields["overlap"].initial = project.default_overlap
        self.fields["after"].initial = last

    def values(self) -> dict[str, Any]:
        """The keyword arguments of `start_round` beside project and actor."""
        given = self.cleaned_data
        options = {"temperature": given["temperature"], "max_new_tokens": given["max_new_tokens"]}
        return {
            "prompts": given["prompts"],
            "overlap": given["overlap"],
            "reuse": given["reuse"],
            "options": options,
            "after": given["after"],
        }
