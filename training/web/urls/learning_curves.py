from django.urls import path

from training.web.views import learning_curves

urlpatterns = [
    path("learning-curves/<int:curve_id>/", learning_curves.detail, name="learning_curve"),
]
