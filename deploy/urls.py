"""The root URLs: health check, accounts, admin, and the pages of both apps."""

from django.contrib import admin
from django.urls import include, path

from deploy.health import health
from deploy.services_page import services

handler500 = "deploy.outage.error_page"
urlpatterns = [
    path("healthz", health, name="healthz"),
    path("services/", services, name="services"),
    path("accounts/", include("annotation.web.urls.accounts")),
    path("administration/", admin.site.urls),
    path("", include("annotation.web.urls")),
    path("", include("training.web.urls")),
]
