from django.urls import path

from annotation.web.views import conversations, home, language, people, settings

SETTINGS = "projects/<slug:slug>/settings/"

urlpatterns = [
    path("", home.home, name="home"),
    path("language/", language.language, name="language"),
    path("join/<str:token>/", people.join_project, name="join"),
    path("projects/new/", home.project_new, name="project_new"),
    path(SETTINGS, settings.general, name="project_settings"),
    path(f"{SETTINGS}guideline/", settings.guideline, name="settings_guideline"),
    path(f"{SETTINGS}guideline/<int:version>/", settings.guideline_version, name="settings_guideline_version"),
    path(f"{SETTINGS}aspects/", settings.aspects, name="settings_aspects"),
    path(f"{SETTINGS}aspects/<int:aspect_id>/", settings.aspect, name="settings_aspect"),
    path(f"{SETTINGS}aspects/<int:aspect_id>/retire/", settings.aspect_retire, name="settings_aspect_retire"),
    path(f"{SETTINGS}aspects/<int:aspect_id>/restore/", settings.aspect_restore, name="settings_aspect_restore"),
    path(f"{SETTINGS}weights/", settings.weights, name="settings_weights"),
    path(f"{SETTINGS}reasons/", settings.reasons, name="settings_reasons"),
    path(f"{SETTINGS}people/", people.members, name="settings_people"),
    path(f"{SETTINGS}people/<int:membership_id>/role/", people.member_role, name="settings_member_role"),
    path(f"{SETTINGS}people/<int:membership_id>/remove/", people.member_remove, name="settings_member_remove"),
    path(f"{SETTINGS}people/<int:membership_id>/pause/", people.member_pause, name="settings_member_pause"),
    path(f"{SETTINGS}people/<int:membership_id>/resume/", people.member_resume, name="settings_member_resume"),
    path("projects/<slug:slug>/messages/<int:member_id>/", conversations.conversation, name="conversation"),
    path("projects/<slug:slug>/messages/<int:member_id>/read/", conversations.read, name="conversation_read"),
    path(f"{SETTINGS}invitations/<int:invitation_id>/revoke/", people.revoke, name="settings_invitation_revoke"),
]
