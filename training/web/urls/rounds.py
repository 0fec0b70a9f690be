from django.urls import path

from training.web.views import rounds

urlpatterns = [
    path("projects/<slug:slug>/rounds/", rounds.index, name="rounds"),
    path("projects/<slug:slug>/rounds/start/", rounds.start, name="round_start"),
    path("rounds/<int:round_id>/retry/", rounds.retry, name="round_retry"),
]
