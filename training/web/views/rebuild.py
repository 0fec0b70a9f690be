"""Starting a run again without withdrawn answers."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from annotation.core.access import MANAGERS
from annotation.core.errors import DomainError
from annotation.core.withdrawals import withdrawn_datasets
from annotation.web.http import SignedInRequest, redirect_back
from training.access import run_for
from training.results.withdrawals import Reached
from training.runs.rebuild import rebuild_run


@login_required
@require_POST
def rebuild(request: SignedInRequest, run_id: int) -> HttpResponse:
    run = run_for(request.user, run_id, MANAGERS)
    reached = Reached(run.project, withdrawn_datasets(run.project))
    try:
        again = rebuild_run(run=run, reached=reached, actor=request.user)
    except DomainError as error:
        messages.error(request, str(error))
        return redirect_back(request, reverse("run", args=[run.pk]))
    message = _("Run %(number)s is started in place of run %(old)s.")
    messages.success(request, message % {"number": again.pk, "old": run.pk})
    return redirect_back(request, reverse("run", args=[again.pk]))
