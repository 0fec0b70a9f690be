from django.urls import path

from annotation.web.views import datasets, exclusions, exports, imports, judgements

urlpatterns = [
    path("projects/<slug:slug>/prompts/", imports.prompts, name="prompts"),
    path("projects/<slug:slug>/import/", imports.import_new, name="import_new"),
    path("imports/<int:import_id>/", imports.import_page, name="import"),
    path("imports/<int:import_id>/columns/", imports.import_columns, name="import_columns"),
    path("imports/<int:import_id>/reread/", imports.import_reread, name="import_reread"),
    path("projects/<slug:slug>/import-judgements/", judgements.judgements_new, name="judgements_new"),
    path("imports/<int:import_id>/judgements/", judgements.judgements_columns, name="judgements_columns"),
    path("imports/<int:import_id>/faults/", imports.import_faults, name="import_faults"),
    path("imports/<int:import_id>/rest/", imports.import_rest, name="import_rest"),
    path("projects/<slug:slug>/datasets/", datasets.datasets, name="datasets"),
    path("projects/<slug:slug>/exclusions/", exclusions.exclusions, name="exclusions"),
    path("answers/<int:annotation_id>/exclude/", exclusions.exclude_one, name="answer_exclude"),
    path("prompts/<int:prompt_id>/withdraw/", exclusions.withdraw, name="prompt_withdraw"),
    path("exclusions/<int:exclusion_id>/lift/", exclusions.lift, name="exclusion_lift"),
    path("projects/<slug:slug>/exports/", exports.answer_exports, name="answer_exports"),
    path("exports/<int:export_id>/file/", exports.answer_export_file, name="answer_export_file"),
    path("exports/<int:export_id>/cancel/", exports.answer_export_cancel, name="answer_export_cancel"),
    path("exports/<int:export_id>/again/", exports.answer_export_again, name="answer_export_again"),
    path("exports/<int:export_id>/delete/", exports.answer_export_delete, name="answer_export_delete"),
    path("datasets/<int:dataset_id>/", datasets.dataset, name="dataset"),
    path("datasets/<int:dataset_id>/files/<str:name>", datasets.dataset_file, name="dataset_file"),
]
