from django.urls import path

from annotation.web.views import checks

CHECKS = "projects/<slug:slug>/checks/"

urlpatterns = [
    path(CHECKS, checks.checks, name="checks"),
    path(f"{CHECKS}gold/new/", checks.new_gold, name="checks_gold_new"),
    path("tasks/<int:task_id>/gold/", checks.task_gold, name="checks_task_gold"),
    path("gold/<int:gold_id>/retire/", checks.retire, name="checks_gold_retire"),
    path("proposals/<int:proposal_id>/decide/", checks.decide, name="checks_decide"),
]
