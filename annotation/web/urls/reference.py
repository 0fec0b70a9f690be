from django.urls import path

from annotation.web.views import reference

SETTINGS = "projects/<slug:slug>/settings/glossary/"

urlpatterns = [
    path("assignments/<int:assignment_id>/reference/", reference.reference, name="reference"),
    path("projects/<slug:slug>/glossary/", reference.glossary, name="glossary"),
    path(SETTINGS, reference.settings_glossary, name="settings_glossary"),
    path(f"{SETTINGS}import/", reference.settings_glossary_import, name="settings_glossary_import"),
    path(f"{SETTINGS}<int:term_id>/", reference.settings_glossary_term, name="settings_glossary_term"),
    path(f"{SETTINGS}<int:term_id>/remove/", reference.settings_glossary_remove, name="settings_glossary_remove"),
]
