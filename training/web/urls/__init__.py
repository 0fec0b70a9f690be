"""One module a part of the site; each has its own `urlpatterns`."""

from django.urls import include, path

urlpatterns = [
    path("", include("training.web.urls.runs")),
    path("", include("training.web.urls.rounds")),
    path("", include("training.web.urls.learning_curves")),
]
