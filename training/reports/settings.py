"""What a run was asked to do, for people: the model and the dataset that it reads, by name, and the chosen settings.

Paths of this machine and hashes are neither: they differ between machines and between runs that were asked the same.
"""

from pathlib import Path
from typing import Any, NamedTuple

from django.urls import reverse
from django.utils.translation import gettext as _

from training.engine_jobs import model_folders
from training.models import Run

# Of `run.json`: what names the run and what it reads, where caches are, and what only tells where it was made.
NOT_CHOSEN = {
    "program",
    "run_id",
    "versions",
    "model",
    "dataset",
    "dataset_sha256",
    "reference_cache",
    "token_cache",
    "report_to",
}
# Files of this machine: shown by their names.
FILES = {"accelerate_config"}


class Input(NamedTuple):
    """`label`: what it is; `url`: of its page, empty where it has none."""

    label: str
    name: str
    url: str = ""


def inputs_of(run: Run) -> list[Input]:
    """The model that the run starts from, and its dataset."""
    model = Input(_("Model"), model_folders.short_name(run.base_model) if run.base_model else "–")
    if run.parent_id:
        name = _("checkpoint %(number)s") % {"number": run.parent_id}
        model = Input(_("Model"), name, reverse("checkpoint", args=[run.parent_id]))
    dataset = Input(_("Dataset"), "–")
    if run.dataset_id:
        name = _("dataset %(number)s") % {"number": run.dataset_id}
        dataset = Input(_("Dataset"), name, reverse("dataset", args=[run.dataset_id]))
    return [model, dataset]


def settings_of(run: Run) -> list[tuple[str, str]]:
    """The settings as (name, value), nested ones flat."""
    rows = []
    for name, value in run.config.items():
        if name in NOT_CHOSEN or (name == "architecture" and run.trainer != Run.Trainer.PRETRAIN):
            continue
        if isinstance(value, dict):
            rows += [(f"{name}.{key}", text_of(inner)) for key, inner in value.items()]
        else:
            rows.append((name, text_of(Path(value).name if name in FILES and value else value)))
    if (run.config.get("model") or {}).get("allow_other_base"):
        rows.append(("allow_other_base", text_of(True)))
    return rows


def text_of(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "–"
    return "–" if value in (None, "", "none") else f"{value:g}" if isinstance(value, float) else str(value)
