"""Imports of recorded judgements: for managers."""

from typing import Any, cast

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_http_methods

from annotation.core.access import MANAGERS, import_for, project_for
from annotation.core.errors import DomainError, InvalidInput
from annotation.core.messages import in_language
from annotation.importing.judgements.census import Settled
from annotation.importing.judgements.report import (
    assumptions,
    describe,
    described_people,
    read_as,
    readings,
)
from annotation.importing.judgements.uploads import UNDECIDED, Preview, confirm_judgements, preview_judgements
from annotation.importing.uploads import IntoUploads, receive_upload
from annotation.models import Batch, Import, Project, User
from annotation.preparation.mapping import detect_mapping
from annotation.web.forms.data import ENCODING_LABELS, ReadForm, UploadForm
from annotation.web.forms.judgements import JudgementColumnsForm
from annotation.web.http import SignedInRequest, takes_files

CHANGEABLE = (Import.Status.UPLOADED, Import.Status.REFUSED)


@takes_files
@csrf_exempt  # for a moment: the handler must be set before anything reads the body; `take_upload` checks the token
@login_required
@require_http_methods(["GET", "POST"])
def judgements_new(request: SignedInRequest, slug: str) -> HttpResponse:
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
                    project=project,
                    upload=form.cleaned_data["file"],
                    actor=cast(User, request.user),
                    judgements=UNDECIDED,
                )
                return redirect("judgements_columns", record.pk)
            except InvalidInput as error:
                form.add_error("file", str(error))
    context = {"project": project, "section": "prompts", "form": form, "limit": form.limit_text()}
    return render(request, "annotation/imports/judgements_new.html", context, status=status)


@login_required
@require_http_methods(["GET", "POST"])
def judgements_columns(request: SignedInRequest, import_id: int) -> HttpResponse:
    """Say what the columns and the answers mean, and start. Also again, for an upload that was refused."""
    record = import_for(request.user, import_id)
    if "judgements" not in record.mapping or record.status not in CHANGEABLE or not record.path:
        return redirect("import", record.pk)
    if request.method == "GET":
        return columns_page(request, record, preview_judgements(record))
    form = JudgementColumnsForm(request.POST, preview=preview_of_post(record))
    if not form.columns or not form.is_valid():
        return columns_page(request, record, form.preview, form=form, status=422)
    cleaned = form.cleaned_data
    if "check" not in request.POST:
        try:
            confirm_judgements(
                record=record,
                mapping=cleaned["mapping"],
                judgements=cleaned["judgements"],
                name=cleaned["name"],
                keep_good=cleaned["keep_good"],
                actor=request.user,
            )
            return redirect("import", record.pk)
        except DomainError:
            pass  # the page says why
    preview = preview_judgements(record, cleaned["mapping"], cleaned["judgements"])
    entered = {name: cleaned[name] for name in ("name", "keep_good")}
    again = JudgementColumnsForm(preview=preview, initial=entered)
    return columns_page(request, record, preview, form=again, status=200 if "check" in request.POST else 422)


def preview_of_post(record: Import) -> Preview:
    """The columns that the form was made of; what they mean is in the form."""
    columns = record.mapping.get("shown")
    return Preview(detect_mapping(columns), columns=list(columns)) if columns else preview_judgements(record)


def columns_page(
    request: SignedInRequest,
    record: Import,
    preview: Preview,
    form: JudgementColumnsForm | None = None,
    status: int = 200,
) -> HttpResponse:
    if form is None:
        form = JudgementColumnsForm(preview=preview, initial={"keep_good": record.keep_good})
    elif not preview.format:  # a form with mistakes: its first rows are shown with it
        preview = preview_judgements(record)
    survey = preview.survey
    names = readings()
    context: dict[str, Any] = {
        "project": record.project,
        "section": "prompts",
        "record": record,
        "preview": preview,
        "survey": survey,
        "problem": said(preview.problem),
        "mistake": said(preview.mistake),
        "question": said(survey.question) if survey else "",
        "faults": [{**fault, "message": in_language(fault)} for fault in survey.faults] if survey else [],
        "notes": [describe(note) for note in survey.notes] if survey else [],
        "assumptions": assumptions(survey.settled) if survey and survey.settled else [],
        "verdicts": read_as(survey.summary.verdicts) if survey else [],
        "people": described_people(survey.people_known, survey.people_new) if survey else "",
        "answer_rows": form.answer_rows(survey, names),
        "scale_rows": form.scale_rows(),
        "encodings": [(name, ENCODING_LABELS.get(name, name), text) for name, text in preview.encodings],
        "form": form,
        "read_form": ReadForm.of(record.mapping["read"]),
    }
    return render(request, "annotation/imports/judgements_columns.html", context, status=status)


def said(message: dict[str, Any] | None) -> str:
    return in_language(message) if message else ""


def outcome_of(record: Import) -> dict[str, Any] | None:
    """What the status page says of an import of judgements that is done; None for other imports."""
    found = record.report.get("judgements")
    if not found:
        return None
    return {
        **found,
        "verdicts": read_as(found["verdicts"]),
        "assumptions": assumptions(Settled.from_dict(found["settled"])),
        "people": described_people(found["people_known"], found["people_new"]),
        "batch": Batch.objects.filter(pk=found["batch"]).first() if found["batch"] else None,
    }


def refusal_of(record: Import) -> str:
    """Why nothing was added, in the reader's language where that is known."""
    error = record.report.get("error")
    return in_language(error) if error else ""
