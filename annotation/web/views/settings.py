"""A project's settings: the project itself, guideline, aspects and weights, reason tags."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from annotation.core.access import MANAGERS, first_or_404, project_for
from annotation.core.errors import Conflict, DomainError
from annotation.core.markdown import render_markdown
from annotation.core.markdown_changes import markdown_changes
from annotation.models import Aspect, Guideline, Project
from annotation.models.typology import label
from annotation.projects import aspects as aspect_actions
from annotation.projects.guidelines import publish_guideline
from annotation.projects.reasons import save_reason_tags
from annotation.projects.settings import update_project
from annotation.text.differences import differences
from annotation.web.forms.actions import add_problems, attempt
from annotation.web.forms.projects import AspectForm, GuidelineForm, ProjectForm, ReasonsForm, WeightsForm
from annotation.web.http import actor

PAGES = [
    ("general", _("General"), "project_settings"),
    ("guideline", _("Guideline"), "settings_guideline"),
    ("aspects", _("Aspects and weights"), "settings_aspects"),
    ("reasons", _("Reason tags"), "settings_reasons"),
    ("glossary", _("Glossary"), "settings_glossary"),
    ("tests", _("Tests"), "settings_tests"),
    ("people", _("People"), "settings_people"),
    ("pay", _("Rates and budget"), "settings_pay"),
]


def settings_page(
    request: HttpRequest, project: Project, page: str, context: dict[str, Any], error: DomainError | bool | None = None
) -> HttpResponse:
    """Render a settings page: `page` is its template below annotation/.

    With `error` the status is 409 for a conflict and 422 for anything else."""
    pages = [
        {"label": label, "url": reverse(url, args=[project.slug]), "current": page.partition("/")[2].startswith(key)}
        for key, label, url in PAGES
    ]
    context |= {"project": project, "section": "settings", "pages": pages}
    status = 409 if isinstance(error, Conflict) else 422 if error else 200
    return render(request, f"annotation/{page}.html", context, status=status)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def general(request: HttpRequest, slug: str) -> HttpResponse:
    project = project_for(request.user, slug, MANAGERS)
    form = ProjectForm(instance=project)
    error: DomainError | bool | None = None
    if request.method == "POST":
        form = ProjectForm(request.POST, instance=project)
        error = attempt(form, lambda: update_project(project=project, actor=actor(request), **form.cleaned_data)).error
        if not error:
            messages.success(request, _("Saved."))
            return redirect("project_settings", slug)
    return settings_page(request, project, "settings/general", {"form": form}, error)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def guideline(request: HttpRequest, slug: str) -> HttpResponse:
    """Edit the newest version, preview it, publish the next version."""
    project = project_for(request.user, slug, MANAGERS)
    versions = list(project.guidelines.select_related("created_by").defer("text"))
    latest = project.guidelines.first()
    number = latest.version if latest else 0
    error: DomainError | bool | None = None
    context: dict[str, Any] = {}
    if request.method != "POST":
        form = GuidelineForm(initial={"text": latest.text if latest else "", "based_on": number})
        shown = latest.text if latest else ""
    else:
        form = GuidelineForm(request.POST)
        shown = request.POST.get("text", "")
        if request.POST.get("action") == "preview":
            error = not form.is_valid()
        else:
            done = attempt(form, lambda: publish_guideline(project=project, actor=actor(request), **form.cleaned_data))
            error = done.error
            if not error:
                messages.success(request, _("Version %(version)s is now current.") % {"version": done.result.version})
                return redirect("settings_guideline", slug)
            if isinstance(error, Conflict):
                # What was typed stays; publishing again is then a decision made in sight of the other version.
                based_on = form.cleaned_data["based_on"]
                form = GuidelineForm(with_base(request, number))
                form.add_error(None, str(error))
                context["since"] = differences(text_of(project, based_on), latest.text if latest else "")
    context |= {"form": form, "versions": versions, "latest": latest, "preview": render_markdown(shown)}
    context["next_version"] = number + 1
    return settings_page(request, project, "settings/guideline", context, error)


def with_base(request: HttpRequest, version: int) -> Any:
    data = request.POST.copy()
    data["based_on"] = str(version)
    return data


def text_of(project: Project, version: int) -> str:
    row = project.guidelines.filter(version=version).first()
    return row.text if row else ""


@login_required
@require_GET
def guideline_version(request: HttpRequest, slug: str, version: int) -> HttpResponse:
    project = project_for(request.user, slug, MANAGERS)
    row: Guideline = first_or_404(project.guidelines.select_related("created_by").filter(version=version))
    context = {
        "guideline": row,
        "changes": markdown_changes(text_of(project, version - 1), row.text) if version > 1 else "",
        "html": render_markdown(row.text),
        "latest": project.guidelines.first(),
    }
    return settings_page(request, project, "settings/guideline_version", context)


# ---- aspects and weights: one page, a form for each thing on it ----


def aspects_page(
    request: HttpRequest,
    project: Project,
    *,
    error: DomainError | bool | None = None,
    bound: AspectForm | None = None,
    bound_to: int | None = None,
    bound_weights: WeightsForm | None = None,
) -> HttpResponse:
    """The page with, at most, one form that was filled in: `bound` (to an aspect's id, or none for a new one)."""
    rows = list(project.aspects.all())
    active = [row for row in rows if row.retired_at is None]
    newest = project.weight_sets.select_related("created_by").first()
    known = newest.weights if newest else {}
    initial: dict[str, Any] = {WeightsForm.PREFIX + row.key: known.get(row.key, 1.0) for row in active}
    initial["based_on"] = newest.version if newest else 0
    context = {
        "forms": [(row, bound if bound and bound_to == row.pk else AspectForm(aspect=row)) for row in active],
        "new_form": bound if bound and bound_to is None else AspectForm(auto_id="new-%s"),
        "adding": bool(bound and bound_to is None) or not active,
        "retired": [row for row in rows if row.retired_at],
        "weights_form": bound_weights or WeightsForm(aspects=active, initial=initial),
        "weight_set": newest,
        "bound_to": bound_to,
    }
    return settings_page(request, project, "settings/aspects", context, error)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def aspects(request: HttpRequest, slug: str) -> HttpResponse:
    project = project_for(request.user, slug, MANAGERS)
    if request.method != "POST":
        return aspects_page(request, project)
    form = AspectForm(request.POST, auto_id="new-%s")
    return save_aspect_form(request, project, form, None)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def aspect(request: HttpRequest, slug: str, aspect_id: int) -> HttpResponse:
    project = project_for(request.user, slug, MANAGERS)
    row = first_or_404(project.aspects.filter(pk=aspect_id))
    if request.method != "POST":
        return redirect("settings_aspects", slug)
    return save_aspect_form(request, project, AspectForm(request.POST, aspect=row), row)


def save_aspect_form(request: HttpRequest, project: Project, form: AspectForm, row: Aspect | None) -> HttpResponse:
    done = attempt(
        form,
        lambda: aspect_actions.save_aspect(project=project, aspect=row, actor=actor(request), **form.cleaned_data),
    )
    if not done.error:
        messages.success(request, _("%(name)s is saved.") % {"name": done.result.name})
        return redirect("settings_aspects", project.slug)
    return aspects_page(request, project, error=done.error, bound=form, bound_to=row.pk if row else None)


@login_required
@require_POST
def aspect_retire(request: HttpRequest, slug: str, aspect_id: int) -> HttpResponse:
    return switch_aspect(
        request, slug, aspect_id, aspect_actions.retire_aspect, str(_("%(name)s left new tasks; its scores stay."))
    )


@login_required
@require_POST
def aspect_restore(request: HttpRequest, slug: str, aspect_id: int) -> HttpResponse:
    return switch_aspect(request, slug, aspect_id, aspect_actions.restore_aspect, str(_("%(name)s is in use again.")))


def switch_aspect(request: HttpRequest, slug: str, aspect_id: int, action: Any, message: str) -> HttpResponse:
    project = project_for(request.user, slug, MANAGERS)
    row = first_or_404(project.aspects.select_related("project").filter(pk=aspect_id))
    try:
        action(aspect=row, actor=actor(request))
    except DomainError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, message % {"name": row.name})
    return redirect("settings_aspects", slug)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def weights(request: HttpRequest, slug: str) -> HttpResponse:
    project = project_for(request.user, slug, MANAGERS)
    if request.method != "POST":
        return redirect("settings_aspects", slug)
    form = WeightsForm(request.POST, aspects=active(project))
    done = attempt(
        form,
        lambda: aspect_actions.save_weights(
            project=project, weights=form.weights(), actor=actor(request), based_on=form.cleaned_data["based_on"]
        ),
    )
    if not done.error:
        values = {"version": done.result.version}
        messages.success(request, _("Weights %(version)s apply to batches opened from now on.") % values)
        return redirect("settings_aspects", slug)
    if isinstance(done.error, DomainError):
        form = WeightsForm(with_base(request, newest_weights(project)), aspects=active(project))
        add_problems(form, done.error, WeightsForm.PREFIX)
    return aspects_page(request, project, error=done.error, bound_weights=form)


def active(project: Project) -> list[Aspect]:
    return list(project.aspects.filter(retired_at=None))


def newest_weights(project: Project) -> int:
    row = project.weight_sets.first()
    return row.version if row else 0


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def reasons(request: HttpRequest, slug: str) -> HttpResponse:
    project = project_for(request.user, slug, MANAGERS)
    tags = list(project.reason_tags.all())
    now = [tag.name for tag in tags if tag.retired_at is None]
    kept = [tag.name for tag in tags]
    form = ReasonsForm(initial={"names": now}, kept=kept)
    error: DomainError | bool | None = None
    if request.method == "POST":
        form = ReasonsForm(request.POST, kept=kept)
        error = attempt(
            form, lambda: save_reason_tags(project=project, actor=actor(request), **form.cleaned_data)
        ).error
        if not error:
            messages.success(request, _("Saved."))
            return redirect("settings_reasons", slug)
    retired = [label(tag.name) for tag in tags if tag.retired_at]
    return settings_page(request, project, "settings/reasons", {"form": form, "now": now, "retired": retired}, error)
