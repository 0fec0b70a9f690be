"""Datasets: reviewers look and download, managers freeze."""

import json
from itertools import islice
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import FileResponse, Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, gettext_noop
from django.views.decorators.http import require_GET, require_http_methods

from annotation.core.access import MANAGERS, STAFF, dataset_for, project_for, role_in
from annotation.core.exclusions import excluded_answers
from annotation.core.reviews import waiting_by_batch
from annotation.core.withdrawals import successors, withdrawn_datasets
from annotation.datasets.excluded import excluded_lines, label_lines, review_lines
from annotation.datasets.freeze import freeze_dataset
from annotation.datasets.gate import beyond_chance, gate_lines
from annotation.datasets.label_balance import balance_of, untrainable_reason
from annotation.datasets.register import FILES
from annotation.models import DatasetRemoval, DatasetVersion, Kind, Role, Task
from annotation.web.downloads import download
from annotation.web.forms.actions import attempt
from annotation.web.forms.data import FreezeForm
from annotation.web.http import SignedInRequest

DATASETS_A_PAGE = 25
ROWS_SHOWN = 8
FILE_NOTES = {
    "train.parquet": gettext_lazy("training rows, for the trainers"),
    "train.jsonl": gettext_lazy("the same, one JSON object a line"),
    "held_out.parquet": gettext_lazy("held-out rows, for evaluation only"),
    "held_out.jsonl": gettext_lazy("the same, one JSON object a line"),
    "annotation_ids.txt": gettext_lazy("the annotations it was made from"),
    "manifest.json": gettext_lazy("everything on this page, machine-readable"),
}

# Why labels yielded no row, as a manifest says it; the page says it in the person's language.
LEFT_OUT = [
    gettext_noop("scored below the bar for SFT"),
    gettext_noop("put first by half of the annotators or fewer, or called bad"),
    gettext_noop("post-edits that changed nothing"),
    gettext_noop("pairs evenly split or tied"),
    gettext_noop("rows whose prompt reads the same as a held-out one"),
    gettext_noop("rows whose document reads the same as a held-out one"),
    gettext_noop("scored neither well nor badly"),
    gettext_noop("texts called desirable and undesirable equally often"),
    gettext_noop("pairs of scores that differ too little"),
    gettext_noop("pairs of texts that read the same"),
    gettext_noop("rows on which annotators agree less than was asked for"),
    # As manifests of rules 1 say it.
    gettext_noop("chosen by half of the annotators only, or called bad"),
    gettext_noop("pairs of equal texts"),
    gettext_noop("empty texts"),
]


@login_required
@require_http_methods(["GET", "POST"])
def datasets(request: SignedInRequest, slug: str) -> HttpResponse:
    project = project_for(request.user, slug, MANAGERS if request.method == "POST" else STAFF)
    form, status = FreezeForm(project=project), 200
    if request.method == "POST":
        form, status = FreezeForm(request.POST, project=project), 422
        known = set(DatasetVersion.objects.filter(project=project).values_list("pk", flat=True))
        done = attempt(form, lambda: freeze_dataset(project=project, actor=request.user, **form.values()))
        if not done.error:
            if done.result.was_frozen_otherwise:
                messages.warning(
                    request, _("The same rows were frozen before, from another selection. It is shown below.")
                )
            elif done.result.pk in known:
                messages.info(request, _("These labels were frozen before: this is the same version."))
            return redirect("dataset", done.result.pk)
    rows = DatasetVersion.objects.filter(project=project).select_related("created_by")
    shown = Paginator(rows, DATASETS_A_PAGE).get_page(request.GET.get("page"))
    context = {
        "project": project,
        "section": "datasets",
        "form": form,
        "page": shown,
        "versions": [(version, balance_of(version)) for version in shown],
        "manages": role_in(request.user, project) == Role.MANAGER,
        "excluded": excluded_answers(project),
        "waiting_reviews": waiting_by_batch(project).total(),
    }
    return render(request, "annotation/datasets/datasets.html", context, status=status)


@login_required
@require_GET
def dataset(request: SignedInRequest, dataset_id: int) -> HttpResponse:
    version = dataset_for(request.user, dataset_id)
    folder = Path(settings.VAR) / version.directory
    manifest = version.manifest
    context = {
        "project": version.project,
        "section": "datasets",
        "version": version,
        "manifest": manifest,
        "balance": balance_of(version),
        "untrainable": untrainable_reason(version),
        "kinds": [(Kind(kind).label, count) for kind, count in manifest["annotations"]["by_kind"].items()],
        "agreement": [
            (Kind(kind).label, pairs["observed_pairwise"], pairs["pairs"])
            for kind, pairs in manifest["agreement"].items()
        ],
        "excluded": list(excluded_lines(manifest)),
        "review": list(review_lines(manifest)),
        "labels": list(label_lines(manifest)),
        "below": gate_lines(manifest),
        "beyond_chance": beyond_chance(manifest),
        "to_decide": undecided_tasks(manifest),
        "left_out": [(_(what), n) for what, n in sorted(manifest["left_out"].items(), key=lambda item: -item[1])],
        "batches": manifest["selection"]["batches"],
        "samples": samples(folder / "train.jsonl", version.purpose),
        "withdrawn": version.pk in withdrawn_datasets(version.project_id),
        "newest": successors([version.pk]).get(version.pk),
        "removal": DatasetRemoval.objects.filter(dataset=version).first(),
        "files": [
            (name, note, (folder / name).stat().st_size)
            for name, note in FILE_NOTES.items()
            if (folder / name).is_file()
        ],
    }
    return render(request, "annotation/datasets/dataset.html", context)


def undecided_tasks(manifest: dict[str, Any]) -> list[Task]:
    """The tasks whose adjudication would lift the labels to the project's floor, and that nobody has decided since."""
    keys = manifest.get("gate", {}).get("tasks", [])
    tasks = Task.objects.filter(pk__in=keys, adjudications__isnull=True).select_related("batch")
    by_key = {task.pk: task for task in tasks}
    return [by_key[key] for key in keys if key in by_key]


def samples(path: Path, purpose: str) -> list[dict[str, Any]]:
    """The first training rows, in words."""
    if not path.is_file():
        return []
    rows = []
    with path.open(encoding="utf-8") as file:
        for line in islice(file, ROWS_SHOWN):
            row = json.loads(line)
            sides = [(_("Chosen"), "chosen"), (_("Rejected"), "rejected")] if purpose == "dpo" else [("", "completion")]
            rows.append(
                {
                    "prompt": last_text(row["prompt"]),
                    "row": row,
                    "kinds": [Kind(kind).label for kind in row["kinds"]],
                    "sides": [(label, last_text(row[name])) for label, name in sides],
                }
            )
    return rows


def last_text(value: str | list[dict[str, str]]) -> str:
    return value if isinstance(value, str) else value[-1]["content"]


@login_required
@require_GET
def dataset_file(request: SignedInRequest, dataset_id: int, name: str) -> FileResponse:
    version = dataset_for(request.user, dataset_id)
    if name not in FILES:
        raise Http404
    return download(settings.DATASETS_DIR, f"{version.sha256}/{name}", f"dataset-{version.pk}-{name}")
