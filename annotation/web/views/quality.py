"""Quality of labels: do people agree, are labels right, whom to trust. Stored figures, with their age."""

from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from annotation.core.access import STAFF, project_and_role
from annotation.dashboards.quality import quality_of, users_of
from annotation.dashboards.quality_table import quality_rows
from annotation.models import Batch, Project, Role
from annotation.quality.run import newest
from annotation.web.downloads import csv_download
from annotation.web.http import SignedInRequest, signed_in


def names_people(project: Project, role: str | None) -> bool:
    """Reviewers of a project that reviews anonymously do not see who answered how."""
    return role == Role.MANAGER or not project.review_anonymous


@never_cache
@signed_in
@require_GET
def quality(request: SignedInRequest, slug: str) -> HttpResponse:
    project, role = project_and_role(request.user, slug, STAFF)
    analysis = newest(project)
    manages, named = role == Role.MANAGER, names_people(project, role)
    context = {
        "project": project,
        "section": "progress",
        "manages": manages,
        "names_people": named,
        "quality": quality_of(project, analysis, manages=manages, names_people=named) if analysis else None,
    }
    return render(request, "annotation/quality/quality.html", context)


@never_cache
@signed_in
@require_GET
def quality_file(request: SignedInRequest, slug: str) -> HttpResponse:
    """Every figure of the page as CSV, unrounded."""
    project, role = project_and_role(request.user, slug, STAFF)
    analysis = newest(project)
    named = analysis is not None and names_people(project, role)
    people = (
        {key: user.name or user.email for key, user in users_of(analysis.result).items()} if named and analysis else {}
    )
    batches = dict(Batch.objects.filter(project=project).values_list("pk", "name"))
    found = quality_rows(analysis, manages=role == Role.MANAGER, people=people, batches=batches) if analysis else []
    return csv_download(found, f"quality-{project.slug}-{timezone.localdate()}.csv")
