"""What a writer looks things up in: the glossary, and similar earlier texts."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from annotation.core.access import MANAGERS, MEMBERS, assignment_for, first_or_404, project_for, role_in
from annotation.core.errors import DomainError
from annotation.kinds import KINDS
from annotation.models import GlossaryTerm, Project, Role
from annotation.reference import glossary as actions
from annotation.reference import translation_memory
from annotation.text.differences import differences
from annotation.text.search import LONGEST
from annotation.web.forms.actions import attempt
from annotation.web.forms.reference import TermForm, TermsForm
from annotation.web.http import SignedInRequest, actor, signed_in
from annotation.web.searching import search_rows
from annotation.web.views.settings import settings_page


@never_cache
@signed_in
@require_GET
def reference(request: SignedInRequest, assignment_id: int) -> HttpResponse:
    """Terms of the glossary in this task's prompt, and similar earlier texts: a part of the page of the task, or a
    page of its own without JavaScript."""
    assignment = assignment_for(request.user, assignment_id)
    batch, prompt = assignment.batch, assignment.task.prompt
    if not KINDS[batch.kind].has_editor:
        raise Http404
    project = batch.project
    similar = translation_memory.similar(
        project=project, text=prompt.text, person=request.user, task_id=assignment.task_id, prompt_id=prompt.pk
    )
    ratio = translation_memory.length_ratio(project)
    context = {
        "project": project,
        "assignment": assignment,
        "ratio": f"{ratio:.3f}" if ratio else "",
        "terms": actions.terms_in(project=project, text=prompt.text),
        "similar": [
            {
                "source": differences(hit.source, prompt.text),
                "target": hit.target,
                "percent": percent(hit.similarity),
            }
            for hit in similar
        ],
    }
    part = "#reference" if request.htmx else ""
    return render(request, f"annotation/reference/reference.html{part}", context)


def percent(likeness: float) -> int:
    """Rounded, but 100 only where the two texts are the same."""
    return 100 if likeness == 1 else min(round(100 * likeness), 99)


# ---- the glossary ----


def terms_page(request: HttpRequest, project: Project) -> dict[str, Any]:
    rows = GlossaryTerm.objects.filter(project=project)
    query = " ".join(request.GET.get("q", "").replace("\0", "").split())[:LONGEST]
    matching = search_rows(rows, query, "source", "target")
    page = Paginator(matching.order_by("folded", "target"), 50).get_page(request.GET.get("page"))
    return {"page": page, "query": query, "total": rows.count()}


@login_required
@require_GET
def glossary(request: HttpRequest, slug: str) -> HttpResponse:
    project = project_for(request.user, slug, MEMBERS)
    context = {"project": project, "manages": role_in(request.user, project) == Role.MANAGER}
    return render(request, "annotation/reference/glossary.html", context | terms_page(request, project))


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def settings_glossary(request: HttpRequest, slug: str) -> HttpResponse:
    project = project_for(request.user, slug, MANAGERS)
    form = term_form(project)
    error: DomainError | bool | None = None
    if request.method == "POST":
        form = term_form(project, request.POST)
        done = attempt(form, lambda: actions.add_term(project=project, actor=actor(request), **form.cleaned_data))
        error = done.error
        if not error:
            messages.success(request, _("“{term}” is in the glossary.").format(term=done.result.source))
            return redirect("settings_glossary", slug)
    return glossary_settings(request, project, form=form, error=error)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def settings_glossary_import(request: HttpRequest, slug: str) -> HttpResponse:
    project = project_for(request.user, slug, MANAGERS)
    if request.method != "POST":
        return redirect("settings_glossary", slug)
    form = TermsForm(request.POST, request.FILES, auto_id="terms-%s")
    done = attempt(form, lambda: actions.import_terms(project=project, text=form.rows, actor=actor(request)))
    error = done.error
    if not error:
        added, changed = done.result
        summary = ngettext("{n} term was added.", "{n} terms were added.", added).format(n=f"{added:,}")
        if changed:
            notes = ngettext("{n} note was changed.", "{n} notes were changed.", changed)
            summary = f"{summary} {notes.format(n=f'{changed:,}')}"
        messages.success(request, summary)
        return redirect("settings_glossary", slug)
    return glossary_settings(request, project, terms_form=form, error=error)


def glossary_settings(
    request: HttpRequest,
    project: Project,
    *,
    form: TermForm | None = None,
    terms_form: TermsForm | None = None,
    error: DomainError | bool | None = None,
) -> HttpResponse:
    """The page with, at most, one of its two forms filled in."""
    problems = getattr(error, "problems", []) if terms_form is not None else []
    context = {
        **terms_page(request, project),
        "form": form or term_form(project),
        "terms_form": terms_form or TermsForm(auto_id="terms-%s"),
        "row_problems": problems,
        "manages": True,
    }
    return settings_page(request, project, "settings/glossary", context, error)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def settings_glossary_term(request: HttpRequest, slug: str, term_id: int) -> HttpResponse:
    project = project_for(request.user, slug, MANAGERS)
    term = first_or_404(GlossaryTerm.objects.filter(project=project, pk=term_id))
    form = term_form(project, initial={"source": term.source, "target": term.target, "note": term.note})
    error: DomainError | bool | None = None
    if request.method == "POST":
        form = term_form(project, request.POST)
        error = attempt(form, lambda: actions.change_term(term=term, actor=actor(request), **form.cleaned_data)).error
        if not error:
            messages.success(request, _("Saved."))
            return redirect("settings_glossary", slug)
    return settings_page(request, project, "settings/glossary_term", {"form": form, "term": term}, error)


@login_required
@require_POST
def settings_glossary_remove(request: HttpRequest, slug: str, term_id: int) -> HttpResponse:
    project = project_for(request.user, slug, MANAGERS)
    term = first_or_404(GlossaryTerm.objects.select_related("project").filter(project=project, pk=term_id))
    actions.remove_term(term=term, actor=actor(request))
    messages.success(request, _("“{term}” left the glossary.").format(term=term.source))
    return redirect("settings_glossary", slug)


def term_form(project: Project, *args: Any, **options: Any) -> TermForm:
    return TermForm(*args, source_language=project.source_language, target_language=project.target_language, **options)
