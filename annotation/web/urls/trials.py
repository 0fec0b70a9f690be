from django.urls import path

from annotation.web.views import guideline_debugger, second_look

CLAUSE = "clauses/<int:clause_id>/"

urlpatterns = [
    path("projects/<slug:slug>/guideline/debugger/", guideline_debugger.debugger, name="guideline_debugger"),
    path(CLAUSE, guideline_debugger.clause, name="clause"),
    path(f"{CLAUSE}try/", guideline_debugger.start, name="clause_try"),
    path(f"{CLAUSE}adopt/", guideline_debugger.adopt, name="clause_adopt"),
    path(f"{CLAUSE}discard/", guideline_debugger.discard, name="clause_discard"),
    path("batches/<int:batch_id>/guideline/", guideline_debugger.trial_guideline, name="trial_guideline"),
    path("projects/<slug:slug>/second-look/", second_look.second_look, name="second_look"),
]
