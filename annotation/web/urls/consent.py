from django.urls import path

from annotation.web.views import consent

urlpatterns = [
    path("consent/", consent.my_consent, name="my_consent"),
    path("projects/<slug:slug>/consent/", consent.own, name="consent"),
    path("projects/<slug:slug>/settings/people/<int:user_id>/consent/", consent.of_person, name="settings_consent"),
    path("projects/<slug:slug>/withdrawals/", consent.withdrawals, name="withdrawals"),
    path("withdrawals/<int:withdrawal_id>/", consent.withdrawal, name="withdrawal"),
    path("withdrawals/<int:withdrawal_id>/receipt/", consent.receipt, name="withdrawal_receipt"),
    path("withdrawals/<int:withdrawal_id>/again/", consent.again, name="withdrawal_again"),
    path("withdrawals/<int:withdrawal_id>/files/<str:name>", consent.receipt_file, name="withdrawal_file"),
    path("datasets/<int:dataset_id>/rebuild/", consent.rebuild, name="dataset_rebuild"),
]
