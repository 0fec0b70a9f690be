"""One module a part of the site; each has its own `urlpatterns`."""

from django.urls import include, path

urlpatterns = [
    path("", include("annotation.urls.people")),
    path("", include("annotation.urls.data")),
    path("", include("annotation.urls.preferences")),
    path("", include("annotation.urls.work")),
    path("", include("annotation.urls.qualifications")),
    path("", include("annotation.urls.reference")),
    path("", include("annotation.urls.beside")),
]
