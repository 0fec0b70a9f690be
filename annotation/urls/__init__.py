"""One module a part of the site; each has its own `urlpatterns`."""

from django.urls import include, path

urlpatterns = [
    path("", include("annotation.urls.people")),
    path("", include("annotation.urls.data")),
    path("", include("annotation.urls.work")),
]
