"""What waits for me, and where a project begins."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods

from annotation.access import projects_of
from annotation.errors import DomainError
from annotation.forms_people import ProjectForm, add_problems
from annotation.models import Membership, Role
from annotation.projects import create_project
from annotation.queries import work_for
from annotation.views.settings import actor

WORDS = ("No", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine")


@login_required
@require_GET
def home(request: HttpRequest) -> HttpResponse:
    user = actor(request)
    work = work_for(user)
    waiting = [item for item in work if item.available]
    roles = dict(Membership.objects.filter(user=user).values_list("project_id", "role"))
    shown = projects_of(user).filter(archived_at=None).order_by("name")
    projects = [(row, Role(roles[row.pk]).label if row.pk in roles else "Administrator") for row in shown]
    context = {
        "title": title(len(waiting), bool(projects)),
        "waiting": waiting,
        "finished": [item for item in work if not item.available],
        "projects": projects,
        "may_create": may_create(request),
    }
    return render(request, "annotation/home.html", context)


def title(waiting: int, has_projects: bool) -> str:
    if not has_projects:
        return "You are not in a project yet"
    if not waiting:
        return "Nothing waits for you"
    number = WORDS[waiting] if waiting < len(WORDS) else str(waiting)
    return f"{number} {'batch has' if waiting == 1 else 'batches have'} work for you"


def may_create(request: HttpRequest) -> bool:
    user = actor(request)
    return user.is_superuser or user.is_staff


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def project_new(request: HttpRequest) -> HttpResponse:
    if not may_create(request):
        raise PermissionDenied("Only an administrator or a member of staff creates projects.")
    form = ProjectForm()
    if request.method == "POST":
        form = ProjectForm(request.POST)
        if form.is_valid():
            try:
                project = create_project(by=actor(request), **form.cleaned_data)
            except DomainError as error:
                add_problems(form, error)
            else:
                messages.success(request, f"{project} is here. Next: its guideline, and people.")
                return redirect("settings_guideline", project.slug)
    return render(request, "annotation/project_new.html", {"form": form}, status=422 if form.is_bound else 200)
