"""Prompts and imports: for managers."""

from typing import Any, cast
from urllib.parse import quote

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import FileResponse, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from annotation.core.access import MANAGERS, import_for, project_for
from annotation.core.counts import candidates_by_origin, prompts_by_side
from annotation.core.errors import DomainError, InvalidInput
from annotation.core.exclusions import withdrawals
from annotation.core.messages import in_language
from annotation.importing.judgements.report import describe
from annotation.importing.uploads import (
    IntoUploads,
    columns_of,
    confirm_import,
    preview_upload,
    receive_upload,
    reread_upload,
)
from annotation.models import Candidate, Import, Project, Prompt, User
from annotation.preparation.mapping import Mapping, detect_mapping
from annotation.text.search import LONGEST
from annotation.web.downloads import download
from annotation.web.forms.data import ENCODING_LABELS, ColumnsForm, ReadForm, UploadForm
from annotation.web.http import SignedInRequest, takes_files
from annotation.web.searching import search_rows
from annotation.web.views import judgements

PROMPTS_A_PAGE = 50
IMPORTS_SHOWN = 10
STOP_POLLING = 286  # htmx: swap this answer in and ask no more
CHANGEABLE = (Import.Status.UPLOADED, Import.Status.REFUSED)


@login_required
@require_GET
def prompts(request: SignedInRequest, slug: str) -> HttpResponse:
    project = project_for(request.user, slug, MANAGERS)
    only = request.GET.get("only", "")
    rows = Prompt.objects.filter(project=project).order_by("-pk")
    if only in ("train", "held_out"):
        rows = rows.filter(held_out=only == "held_out")
    withdrawn = withdrawals(project).select_related("created_by")
    if only == "withdrawn":
        rows = rows.filter(pk__in=withdrawn.values("prompt"))
    query = " ".join(request.GET.get("q", "").split())[:LONGEST]
    rows = search_rows(rows, query, "text", "external_id", "source_document")
    train, held_out = prompts_by_side(project)
    # Only the ids are sorted and passed over: of a million prompts, the last page costs little more than the first.
    paginator = Paginator(rows.values_list("pk", flat=True), PROMPTS_A_PAGE)
    if not query and only != "withdrawn":
        paginator.count = {"train": train, "held_out": held_out}.get(only, train + held_out)
    page = paginator.get_page(request.GET.get("page"))
    ids = list(page)
    shown = Prompt.objects.filter(pk__in=ids).order_by("-pk").defer("messages", "metadata")
    candidates: dict[int | None, list[Candidate]] = {}
    for candidate in Candidate.objects.filter(prompt__in=ids).order_by("pk"):
        candidates.setdefault(candidate.prompt_id, []).append(candidate)
    withdrawal_of = {row.prompt_id: row for row in withdrawn.filter(prompt__in=ids)}
    origins = candidates_by_origin(project)
    context = {
        "project": project,
        "section": "prompts",
        "page": page,
        "only": only,
        "query": query,
        "of_pages": "".join(f"{name}={quote(value)}&" for name, value in (("only", only), ("q", query)) if value),
        "rows": [(prompt, candidates.get(prompt.pk, []), withdrawal_of.get(prompt.pk)) for prompt in shown],
        "withdrawn": withdrawn.count(),
        "manages": True,
        "train": train,
        "held_out": held_out,
        "origins": origins,
        "candidates": sum(n for _, n in origins),
        "imports": Import.objects.filter(project=project).select_related("created_by")[:IMPORTS_SHOWN],
    }
    return render(request, "annotation/imports/prompts.html", context)


@takes_files
@csrf_exempt  # for a moment: the handler must be set before anything reads the body; `take_upload` checks the token
@login_required
@require_http_methods(["GET", "POST"])
def import_new(request: SignedInRequest, slug: str) -> HttpResponse:
    project = project_for(request.user, slug, MANAGERS)  # before a byte of the body is read
    handler = IntoUploads(request)
    request.upload_handlers = [handler]
    try:
        return take_upload(request, project)
    finally:
        handler.discard()


@csrf_protect
def take_upload(request: HttpRequest, project: Project) -> HttpResponse:
    form, status = UploadForm(), 200
    if request.method == "POST":
        form, status = UploadForm(request.POST, request.FILES), 422
        if form.is_valid():
            try:
                record = receive_upload(
                    project=project, upload=form.cleaned_data["file"], actor=cast(User, request.user)
                )
                return redirect("import", record.pk)
            except InvalidInput as error:
                form.add_error("file", str(error))
    context = {"project": project, "section": "prompts", "form": form, "limit": form.limit_text()}
    return render(request, "annotation/imports/import_new.html", context, status=status)


@login_required
@require_GET
def import_page(request: SignedInRequest, import_id: int) -> HttpResponse:
    """An import at whatever stage it is: columns to confirm, progress, or the outcome."""
    record = import_for(request.user, import_id)
    if record.status == Import.Status.UPLOADED and "judgements" in record.mapping:
        return redirect("judgements_columns", record.pk)
    if record.status == Import.Status.UPLOADED:
        return columns_page(request, record)
    return status_page(request, record)


@login_required
@require_POST
def import_reread(request: SignedInRequest, import_id: int) -> HttpResponse:
    """Look at the same upload with another encoding or delimiter."""
    record = import_for(request.user, import_id)
    form = ReadForm(request.POST)
    if form.is_valid():
        try:
            reread_upload(record=record, options=form.options())
        except DomainError as error:
            return status_page(request, record, str(error), 409)
    return redirect("judgements_columns" if "judgements" in record.mapping else "import_columns", record.pk)


@login_required
@require_http_methods(["GET", "POST"])
def import_columns(request: SignedInRequest, import_id: int) -> HttpResponse:
    """Choose what each column means, and start. Also again, for an upload that was refused."""
    record = import_for(request.user, import_id)
    if record.status not in CHANGEABLE or not record.path or "judgements" in record.mapping:
        return redirect("import", record.pk)
    if request.method == "GET":
        return columns_page(request, record)
    form = ColumnsForm(request.POST, columns=columns_of(record), mapping=detect_mapping(columns_of(record)))
    if form.columns and form.is_valid():
        cleaned = form.cleaned_data
        if "check" in request.POST:
            return columns_page(request, record, form=form, mapping=cleaned["mapping"])
        try:
            confirm_import(
                record=record, mapping=cleaned["mapping"], keep_good=cleaned["keep_good"], actor=request.user
            )
            return redirect("import", record.pk)
        except DomainError as error:
            form.add_error(None, str(error))
    return columns_page(request, record, form=form, status=422)


def columns_page(
    request: SignedInRequest,
    record: Import,
    form: ColumnsForm | None = None,
    mapping: Mapping | None = None,
    status: int = 200,
) -> HttpResponse:
    preview = preview_upload(record, mapping)
    columns = columns_of(record, preview)
    if form is None:
        form = ColumnsForm(columns=columns, mapping=preview.mapping, initial={"keep_good": record.keep_good})
    form.samples = preview.samples
    context = {
        "project": record.project,
        "section": "prompts",
        "record": record,
        "preview": preview,
        "notes": [describe(note) for note in preview.notes],
        "encodings": [(name, ENCODING_LABELS.get(name, name), text) for name, text in preview.encodings],
        "form": form,
        "read_form": ReadForm.of(record.mapping["read"]),
    }
    return render(request, "annotation/imports/import_columns.html", context, status=status)


def status_page(request: SignedInRequest, record: Import, problem: str = "", status: int = 200) -> HttpResponse:
    live = record.status in (Import.Status.QUEUED, Import.Status.RUNNING)
    context: dict[str, Any] = {
        "project": record.project,
        "section": "prompts",
        "record": record,
        "live": live,
        "problem": problem,
        "again": bool(record.status == Import.Status.REFUSED and record.path),
        "percent": round(100 * record.share_read),
        "notes": [describe(note) for note in record.report.get("notes", [])],
        "judgements": judgements.outcome_of(record),
        "of_judgements": "judgements" in record.mapping,
        "refusal": judgements.refusal_of(record),
        "faults": [{**fault, "said": in_language(fault)} for fault in record.faults],
        "unshown": record.fault_count - len(record.faults),
    }
    if request.htmx:
        status = 200 if live else STOP_POLLING
        return render(request, "annotation/imports/import.html#state", context, status=status)
    return render(request, "annotation/imports/import.html", context, status=status)


@login_required
@require_GET
def import_faults(request: SignedInRequest, import_id: int) -> FileResponse:
    record = import_for(request.user, import_id)
    return download(settings.VAR, record.faults_path, f"faults-of-import-{record.pk}.csv")


@login_required
@require_GET
def import_rest(request: SignedInRequest, import_id: int) -> FileResponse:
    record = import_for(request.user, import_id)
    ending = record.rest_path.rpartition(".")[2]
    return download(settings.VAR, record.rest_path, f"rest-of-import-{record.pk}.{ending}")
