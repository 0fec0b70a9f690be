"""Time sheets: my own, and a project's for its managers. Both read the same function, so that the figures agree."""

from collections.abc import Iterable
from datetime import date
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from annotation.answers.timesheets import Line, by_person, month_of, time_sheet, today, totals
from annotation.core.access import MANAGERS, project_for, projects_of
from annotation.models import Project
from annotation.preparation.rejected_rows import neutral_cell
from annotation.web.downloads import csv_download
from annotation.web.http import SignedInRequest, signed_in


@never_cache
@signed_in
@require_GET
def my_time(request: SignedInRequest) -> HttpResponse:
    first, last = asked_month(request)
    projects = list(projects_of(request.user))
    lines = time_sheet(projects=projects, since=first, until=last, annotator=request.user)
    return render(request, "annotation/timesheets/my_time.html", sheet(lines, first, last, projects))


@never_cache
@signed_in
@require_GET
def time_sheets(request: SignedInRequest, slug: str) -> HttpResponse:
    project = project_for(request.user, slug, MANAGERS)
    first, last = asked_month(request)
    lines = time_sheet(projects=[project], since=first, until=last)
    people = by_person(lines)
    person = request.GET.get("person", "")
    if person:
        lines = [line for line in lines if str(line.annotator.pk) == person]
    context = sheet(lines, first, last, [project]) | {
        "project": project,
        "section": "progress",
        "people": people,
        "person": person,
        "chosen": next((who for who, _figures in people if str(who.pk) == person), None),
    }
    return render(request, "annotation/timesheets/time_sheets.html", context)


@never_cache
@signed_in
@require_GET
def time_file(request: SignedInRequest, slug: str) -> HttpResponse:
    """The month's lines as CSV, seconds as whole numbers."""
    project = project_for(request.user, slug, MANAGERS)
    first, last = asked_month(request)
    heading = ["day", "name", "email", "batch", "active_seconds", "idle_seconds", "answered", "skipped"]
    rows = [
        [
            line.day.isoformat(),
            *(neutral_cell(cell) for cell in (line.annotator.name, line.annotator.email, line.batch.name)),
            round(line.figures.active),
            round(line.figures.idle),
            line.figures.answered,
            line.figures.skipped,
        ]
        for line in time_sheet(projects=[project], since=first, until=last)
    ]
    return csv_download([heading, *rows], f"time-{project.slug}-{first:%Y-%m}.csv")


def asked_month(request: SignedInRequest) -> tuple[date, date]:
    """The month of `?month=2026-11`; this one where it is missing or cannot be read."""
    try:
        return month_of(date.fromisoformat(f"{request.GET.get('month', '')}-01"))
    except (ValueError, OverflowError):
        return month_of(today())


def sheet(lines: list[Line], first: date, last: date, projects: Iterable[Project]) -> dict[str, Any]:
    return {
        "lines": lines,
        "total": totals(lines),
        "first": first,
        "zones": sorted({project.time_zone for project in projects}),
        "before": month_of(first.fromordinal(first.toordinal() - 1))[0] if first > date(1970, 1, 1) else None,
        "after": month_of(last.fromordinal(last.toordinal() + 1))[0] if last < today() else None,
    }
