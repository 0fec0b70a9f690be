from django.urls import path

from annotation.views import data, data_datasets

urlpatterns = [
    path("projects/<slug:slug>/prompts/", data.prompts, name="prompts"),
    path("projects/<slug:slug>/import/", data.import_new, name="import_new"),
    path("imports/<int:import_id>/", data.import_page, name="import"),
    path("imports/<int:import_id>/columns/", data.import_columns, name="import_columns"),
    path("imports/<int:import_id>/reread/", data.import_reread, name="import_reread"),
    path("imports/<int:import_id>/faults/", data.import_faults, name="import_faults"),
    path("imports/<int:import_id>/rest/", data.import_rest, name="import_rest"),
    path("projects/<slug:slug>/datasets/", data_datasets.datasets, name="datasets"),
    path("datasets/<int:dataset_id>/", data_datasets.dataset, name="dataset"),
    path("datasets/<int:dataset_id>/files/<str:name>", data_datasets.dataset_file, name="dataset_file"),
]
