"""Rates and budget of a project."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from annotation.core.access import MANAGERS, first_or_404, project_for
from annotation.core.time_zones import today_in
from annotation.dashboards.wording import money
from annotation.models import PayRate, Project, User
from annotation.projects.pay import delete_rate, set_rate
from annotation.projects.settings import update_project
from annotation.web.forms.actions import attempt
from annotation.web.forms.pay import BudgetForm, RateForm
from annotation.web.http import actor
from annotation.web.views.settings import settings_page


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def pay(request: HttpRequest, slug: str) -> HttpResponse:
    """Currency and budget in one form, a new rate in the other."""
    project = project_for(request.user, slug, MANAGERS)
    people = User.objects.filter(memberships__project=project).order_by("name", "pk")
    budget = BudgetForm(initial={"currency": project.currency, "budget": project.budget})
    rate = RateForm(people=people, initial={"since": today_in(project)})
    error = None
    if request.method == "POST" and request.POST.get("action") == "rate":
        rate = RateForm(request.POST, people=people)
        error = attempt(rate, lambda: add_rate(project, rate, request)).error
    elif request.method == "POST":
        budget = BudgetForm(request.POST)
        error = attempt(
            budget, lambda: update_project(project=project, actor=actor(request), **budget.cleaned_data)
        ).error
    if request.method == "POST" and not error:
        messages.success(request, _("Saved."))
        return redirect("settings_pay", slug)
    rates = [(row, money(float(row.amount), project.currency)) for row in rates_of(project)]
    return settings_page(request, project, "settings/pay", {"budget": budget, "form": rate, "rates": rates}, error)


def add_rate(project: Project, form: RateForm, request: HttpRequest) -> PayRate:
    data = form.cleaned_data
    return set_rate(
        project=project,
        unit=data["unit"],
        amount=data["amount"],
        since=data["since"],
        annotator=form.annotator(),
        actor=actor(request),
    )


def rates_of(project: Project) -> list[PayRate]:
    return list(project.pay_rates.select_related("annotator").order_by("annotator__name", "annotator", "-since"))


@login_required
@require_POST
def rate_delete(request: HttpRequest, slug: str, rate_id: int) -> HttpResponse:
    project = project_for(request.user, slug, MANAGERS)
    delete_rate(rate=first_or_404(PayRate.objects.filter(project=project, pk=rate_id)), actor=actor(request))
    messages.success(request, _("The rate was deleted."))
    return redirect("settings_pay", slug)
