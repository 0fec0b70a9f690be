"""One module a part of the site; each has its own `urlpatterns`."""

from django.urls import include, path

urlpatterns = [
    path("", include("annotation.web.urls.people")),
    path("", include("annotation.web.urls.data")),
    path("", include("annotation.web.urls.dashboards")),
    path("", include("annotation.web.urls.preferences")),
    path("", include("annotation.web.urls.work")),
    path("", include("annotation.web.urls.reviews")),
    path("", include("annotation.web.urls.adjudication")),
    path("", include("annotation.web.urls.checks")),
    path("", include("annotation.web.urls.qualifications")),
    path("", include("annotation.web.urls.reference")),
    path("", include("annotation.web.urls.trials")),
    path("", include("annotation.web.urls.task_panels")),
    path("", include("annotation.web.urls.consent")),
]
