from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("accounts/", include("allauth.account.urls")),
    path("administration/", admin.site.urls),
    path("", include("annotation.urls")),
    path("", include("training.urls")),
]
