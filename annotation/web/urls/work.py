from django.urls import path

from annotation.web.views import batches, projects, tasks, work

urlpatterns = [
    path("batches/<int:batch_id>/work/", work.work, name="work"),
    path("batches/<int:batch_id>/undo/", work.undo, name="undo"),
    path("assignments/<int:assignment_id>/submit/", work.submit, name="submit"),
    path("assignments/<int:assignment_id>/skip/", work.skip, name="skip"),
    path("assignments/<int:assignment_id>/draft/", work.draft, name="draft"),
    path("assignments/<int:assignment_id>/time/", work.time, name="time"),
    path("assignments/<int:assignment_id>/release/", work.release, name="release"),
    path("projects/<slug:slug>/", projects.project, name="project"),
    path("projects/<slug:slug>/batches/new/", batches.new, name="batch_new"),
    path("batches/<int:batch_id>/", tasks.batch, name="batch"),
    path("batches/<int:batch_id>/change/", batches.change, name="batch_change"),
    path("batches/<int:batch_id>/release/", batches.release_person, name="batch_release_person"),
    path("tasks/<int:task_id>/", tasks.task, name="task"),
    path("tasks/<int:task_id>/preview/", tasks.preview, name="task_preview"),
    path("tasks/<int:task_id>/give/", batches.give, name="task_give"),
    path("batches/<int:batch_id>/close/", batches.close, name="batch_close"),
    path("batches/<int:batch_id>/reopen/", batches.reopen, name="batch_reopen"),
]
