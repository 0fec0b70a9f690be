from django.urls import path

from annotation.web.views import preferences

urlpatterns = [
    path("preferences/", preferences.preferences, name="preferences"),
    path("preferences/keys/", preferences.keys, name="preferences_keys"),
]
