"""A project's first page (how far its batches are, what comes next), and its guideline."""

from collections import Counter

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_GET

from annotation import queries
from annotation.access import STAFF, project_for, role_in
from annotation.markdown import render_markdown
from annotation.models import DatasetVersion, Guideline, Membership, Project, Prompt, Role
from annotation.queries import Progress
from annotation.views.requests import SignedInRequest


@login_required
@require_GET
def project(request: SignedInRequest, slug: str) -> HttpResponse:
    found = project_for(request.user, slug)
    role = role_in(request.user, found)
    progress = queries.progress(found)
    mine = {item.batch.pk: item for item in queries.work_for(request.user) if item.project.pk == found.pk}
    context = {
        "project": found, "section": "progress", "role": role, "headline": headline(progress),
        "rows": [{"progress": item, "work": mine.get(item.batch.pk)} for item in progress],
        "totals": totals(progress), "manages": role == Role.MANAGER, "reviews": role in STAFF,
        "next_work": next((item for item in mine.values() if item.available), None),
    }  # fmt: skip
    if role == Role.MANAGER:
        members = Counter(Membership.objects.filter(project=found).values_list("role", flat=True))
        context["members"] = [(members[value], label.lower()) for value, label in Role.choices if members[value]]
    if role in STAFF:
        context["steps"] = steps(found, progress)
    return render(request, "annotation/project.html", context)


def totals(progress: list[Progress]) -> dict[str, int]:
    """Over the open batches: what people can still do something about."""
    rows = [item for item in progress if item.is_open]
    return {
        "done": sum(item.done for item in rows), "in_hand": sum(item.in_hand for item in rows),
        "free": sum(item.free for item in rows), "total": sum(item.total for item in rows), "batches": len(rows),
        "done_ever": sum(item.done for item in progress),
    }  # fmt: skip


def headline(progress: list[Progress]) -> str:
    """How far the work is, in words."""
    if not progress:
        return "Nothing is open to annotate yet"
    rows = [item for item in progress if item.is_open]
    if not rows:
        return "Every batch is closed"
    done, total = sum(item.done for item in rows), sum(item.total for item in rows)
    what = rows[0].batch.name if len(rows) == 1 else f"The work in {len(rows)} batches"
    return f"{what} is {in_words(done, total)}"


def in_words(done: int, total: int) -> str:
    if done >= total:
        return "complete"
    if not done:
        return "not begun yet"
    share = done / total
    for limit, words in [
        (0.05, "just begun"), (0.18, "a tenth done"), (0.29, "a quarter done"), (0.42, "a third done"),
        (0.58, "half done"), (0.71, "two thirds done"), (0.85, "three quarters done"), (0.97, "nine tenths done"),
    ]:  # fmt: skip
        if share < limit:
            return words
    return "all but done"


def steps(project: Project, progress: list[Progress]) -> list[dict[str, object]]:
    """The loop, step by step: what is done, and which one is next."""
    prompts = Prompt.objects.filter(project=project).exists()
    answers = any(item.done for item in progress)
    unfinished = any(item.is_open and not item.is_complete for item in progress)
    frozen = DatasetVersion.objects.filter(project=project).exists()
    rows: list[tuple[str, str, str, bool]] = [
        ("Import prompts", "prompts", "texts in, with a model's candidates if there are any", prompts),
        ("Open a batch", "batch_new", "tasks of one kind for people to do", bool(progress)),
        ("Annotate", "project", "people write, mend, score and choose", answers and not unfinished),
        ("Freeze a dataset", "datasets", "what people said, as rows to train on", frozen),
        ("Train and compare", "runs", "a model learns from it; a round brings its output back", False),
    ]
    following = next((at for at, row in enumerate(rows) if not row[3]), len(rows) - 1)
    return [
        {"name": name, "url": reverse(url, args=[project.slug]), "what": what, "done": done, "next": at == following}
        for at, (name, url, what, done) in enumerate(rows)
    ]


@login_required
@require_GET
def guideline(request: SignedInRequest, slug: str) -> HttpResponse:
    """The version that holds now, or an older one by `?version=`."""
    found = project_for(request.user, slug)
    versions = Guideline.objects.filter(project=found).select_related("created_by").defer("text")
    wanted = request.GET.get("version", "")
    rows = Guideline.objects.filter(project=found)
    if wanted:
        shown: Guideline | None = get_object_or_404(
            rows, version=int(wanted) if wanted.isdecimal() and len(wanted) < 9 else -1
        )
    else:
        shown = rows.first()
    context = {
        "project": found, "section": "guideline", "shown": shown, "versions": versions,
        "html": render_markdown(shown.text) if shown else "", "manages": role_in(request.user, found) == Role.MANAGER,
    }  # fmt: skip
    return render(request, "annotation/guideline.html", context)
