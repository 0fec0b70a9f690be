"""One module a part of the site; each has its own `urlpatterns`."""

from django.urls import include, path

urlpatterns = [
    path("", include("training.urls.runs")),
    path("", include("training.urls.rounds")),
    path("", include("training.urls.learning_curves")),
]
