from django.urls import path

from training.web.views import checkpoints, comparison, rebuild, run_list, runs

urlpatterns = [
    path("projects/<slug:slug>/runs/", run_list.index, name="runs"),
    path("projects/<slug:slug>/runs/compare/", comparison.compare, name="runs_compare"),
    path("runs/<int:run_id>/", runs.detail, name="run"),
    path("runs/<int:run_id>/metrics.json", runs.metrics, name="run_metrics"),
    path("runs/<int:run_id>/describe/", runs.describe, name="run_describe"),
    path("runs/<int:run_id>/cancel/", runs.cancel_run, name="run_cancel"),
    path("runs/<int:run_id>/rebuild/", rebuild.rebuild, name="run_rebuild"),
    path("runs/<int:run_id>/resume/", runs.resume_run, name="run_resume"),
    path("projects/<slug:slug>/checkpoints/", checkpoints.index, name="checkpoints"),
    path("checkpoints/<int:checkpoint_id>/", checkpoints.detail, name="checkpoint"),
    path("checkpoints/<int:checkpoint_id>/promote/", checkpoints.promote_checkpoint, name="checkpoint_promote"),
    path("checkpoints/<int:checkpoint_id>/evaluate/", checkpoints.evaluate_checkpoint, name="checkpoint_evaluate"),
]
