"""The page of a learning curve: its points, their drawing, and whether more labels would help."""

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from annotation.web.http import SignedInRequest
from training.access import learning_curve_for
from training.runs.learning_curves import read_learning_curve


@login_required
@require_GET
def detail(request: SignedInRequest, curve_id: int) -> HttpResponse:
    """While a point is on its way, htmx asks every ten seconds for the part that changes."""
    curve = learning_curve_for(request.user, curve_id)
    reading = read_learning_curve(curve)
    context = {
        "project": curve.project,
        "section": "runs",
        "curve": curve,
        "reading": reading,
        "points": reading.points,
        "verdict": reading.verdict,
        "title": reading.verdict.title,
        "trainer": reading.points[0].run.get_trainer_display() if reading.points else "",
    }
    return render(request, f"training/learning_curves/learning_curve.html{'#live' if request.htmx else ''}", context)
