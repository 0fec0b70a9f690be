from django.urls import path

from annotation.web.views import adjudication

urlpatterns = [
    path("projects/<slug:slug>/adjudicate/", adjudication.adjudicate, name="adjudicate"),
    path("projects/<slug:slug>/adjudicate/undo/", adjudication.undo, name="adjudicate_undo"),
    path("tasks/<int:task_id>/adjudicate/", adjudication.decide, name="adjudicate_task"),
    path("tasks/<int:task_id>/adjudicate/own/", adjudication.own_decision, name="adjudicate_own"),
    path("tasks/<int:task_id>/adjudicate/time/", adjudication.time, name="adjudicate_time"),
]
