"""Addresses of the task panels (guideline, remarks) and of the annotator's own pages (submitted answers, time)."""

from django.urls import path

from annotation.web.views import guideline, my_work, remarks, timesheets

PROJECT = "projects/<slug:slug>/"

urlpatterns = [
    path(f"{PROJECT}guideline/", guideline.guideline, name="guideline"),
    path(f"{PROJECT}guideline/panel/", guideline.panel, name="guideline_panel"),
    path("assignments/<int:assignment_id>/remarks/", remarks.beside, name="assignment_remarks"),
    path(f"{PROJECT}remarks/", remarks.remarks, name="remarks"),
    path("remarks/<int:remark_id>/answer/", remarks.answer, name="remark_answer"),
    path("remarks/<int:remark_id>/settle/", remarks.settle_remark, name="remark_settle"),
    path("remarks/<int:remark_id>/read/", remarks.read, name="remark_read"),
    path("my-work/", my_work.my_work, name="my_work"),
    path("my-work/<int:annotation_id>/", my_work.versions, name="my_answer"),
    path("my-work/<int:annotation_id>/reply/", my_work.reply, name="my_answer_reply"),
    path("my-work/<int:annotation_id>/reopen/", my_work.reopen, name="my_answer_reopen"),
    path("my-time/", timesheets.my_time, name="my_time"),
    path(f"{PROJECT}time/", timesheets.time_sheets, name="time_sheets"),
    path(f"{PROJECT}time/file/", timesheets.time_file, name="time_file"),
]
