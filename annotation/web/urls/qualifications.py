from django.urls import path

from annotation.web.views import qualification_settings as settings
from annotation.web.views import qualifications

TEST = "qualifications/<int:qualification_id>/"
SETTINGS = "projects/<slug:slug>/settings/tests/"

urlpatterns = [
    path(TEST, qualifications.detail, name="qualification"),
    path(f"{TEST}start/", qualifications.start, name="qualification_start"),
    path(f"{TEST}items/", qualifications.item, name="qualification_item"),
    path(f"{TEST}attempts/<int:number>/items/<int:item_id>/", qualifications.answer, name="qualification_answer"),
    path(SETTINGS, settings.listing, name="settings_tests"),
    path(f"{SETTINGS}new/", settings.new, name="settings_tests_new"),
    path(f"{SETTINGS}<int:qualification_id>/", settings.results, name="settings_tests_results"),
    path(f"{SETTINGS}<int:qualification_id>/retire/", settings.retire, name="settings_tests_retire"),
    path(f"{SETTINGS}<int:qualification_id>/grant/", settings.grant, name="settings_tests_grant"),
]
