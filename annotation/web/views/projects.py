"""A project's first page: how far its batches are, and what comes next."""

from collections import Counter
from typing import Any

from django.contrib.auth.decorators import login_required
from django.db.models import Max
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_GET

from annotation.answers.remarks import open_remarks
from annotation.core.access import STAFF, project_for, role_in
from annotation.core.checks import checked_answers
from annotation.core.reviews import waiting_by_batch
from annotation.models import DatasetVersion, Membership, Project, Prompt, Role
from annotation.queue.progress import Progress, project_progress, work_for
from annotation.web.http import SignedInRequest
from annotation.web.slots import Milestone, loop_steps


@login_required
@require_GET
def project(request: SignedInRequest, slug: str) -> HttpResponse:
    project = project_for(request.user, slug)
    role = role_in(request.user, project)
    progress = project_progress(project)
    own_work = {item.batch.pk: item for item in work_for(request.user) if item.project.pk == project.pk}
    rows: list[dict[str, Any]] = [{"progress": item, "work": own_work.get(item.batch.pk)} for item in progress]
    context = {
        "project": project,
        "section": "progress",
        "role": role,
        "headline": headline(progress),
        "rows": rows,
        "totals": totals(progress),
        "manages": role == Role.MANAGER,
        "reviews": role in STAFF,
        "next_work": next((item for item in own_work.values() if item.available), None),
    }
    if role == Role.MANAGER:
        members = Counter(Membership.objects.filter(project=project).values_list("role", flat=True))
        context["members"] = [member_count(role, members[role]) for role in Role if members[role]]
    if role in STAFF:
        checked = checked_answers([item.batch for item in progress])
        for row in rows:
            row["checks"] = checked.get(row["progress"].batch.pk)
        context["steps"] = steps(project, progress)
        context["open_remarks"] = open_remarks(project).count()
        context["waiting_reviews"] = waiting_by_batch(project, [item.batch for item in progress]).total()
    return render(request, "annotation/projects/project.html", context)


def member_count(role: Role, count: int) -> str:
    sentences = {
        Role.ANNOTATOR: ngettext("%(count)s annotator", "%(count)s annotators", count),
        Role.REVIEWER: ngettext("%(count)s reviewer", "%(count)s reviewers", count),
        Role.MANAGER: ngettext("%(count)s manager", "%(count)s managers", count),
    }
    return sentences[role] % {"count": count}


def totals(progress: list[Progress]) -> dict[str, int]:
    """What is done in all batches, which closing one does not change; the rest is over the open ones."""
    rows = [item for item in progress if item.is_open]
    return {
        "done": sum(item.done for item in progress),
        "done_in_open": sum(item.done for item in rows),
        "claimed": sum(item.claimed for item in rows),
        "free": sum(item.free for item in rows),
        "total": sum(item.total for item in rows),
        "batches": len(rows),
    }


# Upper limit of the share of answers, and its sentence. Whole sentences, because other languages order them otherwise.
HOW_FAR = [
    (0.05, gettext_lazy("%(what)s has just started")),
    (0.18, gettext_lazy("%(what)s is 10 %% done")),
    (0.29, gettext_lazy("%(what)s is a quarter done")),
    (0.42, gettext_lazy("%(what)s is a third done")),
    (0.58, gettext_lazy("%(what)s is half done")),
    (0.71, gettext_lazy("%(what)s is two thirds done")),
    (0.85, gettext_lazy("%(what)s is 75 %% done")),
    (0.97, gettext_lazy("%(what)s is 90 %% done")),
]


def headline(progress: list[Progress]) -> str:
    """How far the work is, in words."""
    if not progress:
        return _("Nothing is open to annotate yet")
    rows = [item for item in progress if item.is_open]
    if not rows:
        return _("Every batch is closed")
    done, total = sum(item.done for item in rows), sum(item.total for item in rows)
    what = rows[0].batch.name
    if len(rows) > 1:
        what = ngettext("The work in %(count)s batch", "The work in %(count)s batches", len(rows)) % {
            "count": len(rows)
        }
    if done == total and any(item.awaits_analysis for item in rows):
        return _("%(what)s has all answers asked for; the next analysis says which tasks get one more") % {"what": what}
    return progress_sentence(done, total) % {"what": what}


def progress_sentence(done: int, total: int) -> str:
    if done >= total:
        return _("%(what)s is complete")
    if not done:
        return _("%(what)s has not started yet")
    share = done / total
    for limit, sentence in HOW_FAR:
        if share < limit:
            return str(sentence)
    return _("%(what)s is almost done")


def steps(project: Project, progress: list[Progress]) -> list[dict[str, object]]:
    """The loop, step by step: what is done in this trip round it, and what is next.

    What was done last says where the trip is; a batch that is open keeps people annotating until something follows.
    """
    opened = max((item.batch.created_at for item in progress), default=None)
    unfinished = any(item.is_open and not item.is_complete for item in progress)
    frozen = DatasetVersion.objects.filter(project=project).aggregate(at=Max("created_at"))["at"]
    has_prompts = Prompt.objects.filter(project=project).exists()
    rows = [
        Milestone(
            _("Import prompts"),
            "prompts",
            _("texts in, with a model's candidates if there are any"),
            project.created_at if has_prompts else None,
            for_managers=True,
        ),
        Milestone(_("Open a batch"), "batch_new", _("tasks of one kind for people to do"), opened, for_managers=True),
        Milestone(_("Annotate"), "project", _("people write, edit, score and choose"), None if unfinished else opened),
        Milestone(_("Freeze a dataset"), "datasets", _("annotations as training rows"), frozen),
        *loop_steps(project),
    ]
    following = next_step(rows)
    return [
        {
            "name": row.name,
            "url": reverse(row.url, args=[project.slug]),
            "what": row.what,
            "done": at < following,
            "next": at == following,
            "in_progress": row.in_progress,
            "for_managers": row.for_managers,
        }
        for at, row in enumerate(rows)
    ]


ANNOTATE = 2


def next_step(rows: list[Milestone]) -> int:
    """The place of what is to be done next, among the steps from the import to the next round."""
    if rows[0].at is None:
        return 0
    running = [at for at, row in enumerate(rows) if row.in_progress]
    if running:
        return running[-1]
    dates = [(row.at, at) for at, row in enumerate(rows) if row.at is not None]
    last = max(dates)[1]
    return last + 1 if last + 1 < len(rows) else ANNOTATE  # the round's batch is what people work on
