from django.urls import path

from annotation.web.views import all_projects, dashboards, own_figures, pay, plans, quality, throughput

urlpatterns = [
    path("projects/", all_projects.all_projects, name="all_projects"),
    path("projects/<slug:slug>/dashboard/", dashboards.dashboard, name="dashboard"),
    path("projects/<slug:slug>/dashboard/answers/", dashboards.answers, name="dashboard_answers"),
    path("projects/<slug:slug>/dashboard/people.csv", dashboards.people_file, name="dashboard_people_file"),
    path("projects/<slug:slug>/dashboard/summary/", all_projects.weekly_summary, name="weekly_summary"),
    path("projects/<slug:slug>/dashboard/throughput/", throughput.throughput_page, name="throughput"),
    path("projects/<slug:slug>/quality/", quality.quality, name="quality"),
    path("projects/<slug:slug>/quality/figures.csv", quality.quality_file, name="quality_file"),
    path("projects/<slug:slug>/my-figures/", own_figures.figures, name="own_figures"),
    path("projects/<slug:slug>/dashboard/plan/", plans.plan_page, name="plan"),
    path("projects/<slug:slug>/dashboard/plan/<int:plan_id>/", plans.kept_plan, name="kept_plan"),
    path("projects/<slug:slug>/dashboard/plan/<int:plan_id>/delete/", plans.plan_delete, name="plan_delete"),
    path("projects/<slug:slug>/settings/pay/", pay.pay, name="settings_pay"),
    path("projects/<slug:slug>/settings/pay/<int:rate_id>/delete/", pay.rate_delete, name="settings_rate_delete"),
]
