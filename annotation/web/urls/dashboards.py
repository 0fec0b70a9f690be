from django.urls import path

from annotation.web.views import dashboards, pay

urlpatterns = [
    path("projects/<slug:slug>/dashboard/", dashboards.dashboard, name="dashboard"),
    path("projects/<slug:slug>/dashboard/people.csv", dashboards.people_file, name="dashboard_people_file"),
    path("projects/<slug:slug>/settings/pay/", pay.pay, name="settings_pay"),
    path("projects/<slug:slug>/settings/pay/<int:rate_id>/delete/", pay.rate_delete, name="settings_rate_delete"),
]
