"""The home page: work, tests and answers that wait for this person; and a new project."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_GET, require_http_methods

from annotation.answers.remarks import open_remark_counts, unread_answers
from annotation.answers.timesheets import today_of
from annotation.core.access import projects_of
from annotation.members.messages import unread_by, waiting_for
from annotation.models import Membership, Role
from annotation.projects.settings import create_project
from annotation.queue.progress import ProjectState, project_states, work_for
from annotation.reviewing.own import sent_back_to
from annotation.web.forms.actions import attempt
from annotation.web.forms.projects import ProjectForm
from annotation.web.http import actor

# Number words of the title; from ten on digits.
NUMBERS = (
    gettext_lazy("Two"),
    gettext_lazy("Three"),
    gettext_lazy("Four"),
    gettext_lazy("Five"),
    gettext_lazy("Six"),
    gettext_lazy("Seven"),
    gettext_lazy("Eight"),
    gettext_lazy("Nine"),
)
ANSWERS_AT_ONCE = 5


@login_required
@require_GET
def home(request: HttpRequest) -> HttpResponse:
    user = actor(request)
    work = work_for(user)
    waiting = [item for item in work if item.available]
    memberships = list(Membership.objects.filter(user=user).select_related("project", "paused_by"))
    roles = {row.project_id: row.role for row in memberships}
    shown = list(projects_of(user).filter(archived_at=None).order_by("name"))
    managed = project_states([row for row in shown if roles.get(row.pk) == Role.MANAGER])
    projects = [
        (row, str(Role(roles[row.pk]).label) if row.pk in roles else _("Administrator"))
        for row in shown
        if roles.get(row.pk) != Role.MANAGER
    ]
    tests = [item for item in work if item.needs_test]
    remarks = open_remark_counts(user)
    answers = list(unread_answers(user))
    context = {
        "title": manager_title(managed) if managed else title(len(waiting), len(tests), bool(projects)),
        "managed": [
            (state, next((count for slug, _n, count in remarks if slug == state.project.slug), 0)) for state in managed
        ],
        "waiting": waiting,
        "tests": tests,
        "finished": [item for item in work if not item.available and not item.needs_test],
        "projects": projects,
        "answers": answers[:ANSWERS_AT_ONCE],
        "messages_to_me": list(unread_by(user)[:ANSWERS_AT_ONCE]),
        "messages_to_managers": waiting_for(user),
        "pauses": [row for row in memberships if row.is_paused and row.project.archived_at is None],
        "sent_back": list(sent_back_to(user)[:ANSWERS_AT_ONCE]),
        "open_remarks": [row for row in remarks if row[0] not in {state.project.slug for state in managed}],
        "more_answers": len(answers[ANSWERS_AT_ONCE:]),
        "today": today_of(user, shown),
        "may_create": may_create(request),
    }
    return render(request, "annotation/home/home.html", context)


def manager_title(states: list[ProjectState]) -> str:
    """How far the work is in the projects that this person manages."""
    done, total = (sum(counts) for counts in zip(*((row.done_in_open, row.total) for row in states), strict=True))
    values = {"count": len(states), "done": f"{done:,}", "total": f"{total:,}"}
    if not total:
        return (
            ngettext(
                "No batch is open in the project that you manage",
                "No batch is open in the %(count)s projects that you manage",
                len(states),
            )
            % values
        )
    return (
        ngettext(
            "%(done)s of %(total)s answers are done in the project that you manage",
            "%(done)s of %(total)s answers are done in the %(count)s projects that you manage",
            len(states),
        )
        % values
    )


def title(waiting: int, tests: int, has_projects: bool) -> str:
    if not has_projects:
        return _("You are not in a project yet")
    if waiting:
        number = NUMBERS[waiting - 2] if 2 <= waiting < len(NUMBERS) + 2 else waiting
        return ngettext("One batch has work for you", "%(number)s batches have work for you", waiting) % {
            "number": number
        }
    if tests:
        return ngettext("A test is waiting", "Tests are waiting", tests)
    return _("Nothing waits for you")


def may_create(request: HttpRequest) -> bool:
    user = actor(request)
    return user.is_superuser or user.is_staff


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def project_new(request: HttpRequest) -> HttpResponse:
    if not may_create(request):
        raise PermissionDenied(_("Only an administrator or a member of staff creates projects."))
    form = ProjectForm()
    if request.method == "POST":
        form = ProjectForm(request.POST)
        if request.POST.get("action") == "goal":
            return render(request, "annotation/home/project_new.html", {"form": form.with_categories_of_goal()})
        done = attempt(form, lambda: create_project(actor=actor(request), **form.cleaned_data))
        if not done.error:
            project = done.result
            messages.success(
                request, _("%(project)s was created. Next: add its guideline and people.") % {"project": project}
            )
            return redirect("settings_guideline", project.slug)
    return render(request, "annotation/home/project_new.html", {"form": form}, status=422 if form.is_bound else 200)
