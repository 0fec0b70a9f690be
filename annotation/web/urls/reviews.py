from django.urls import path

from annotation.web.views import review_figures, reviews

urlpatterns = [
    path("projects/<slug:slug>/review/", reviews.review, name="review"),
    path("projects/<slug:slug>/review/undo/", reviews.undo, name="review_undo"),
    path("projects/<slug:slug>/reviews/", review_figures.reviews, name="reviews"),
    path("answers/<int:annotation_id>/review/", reviews.decide, name="review_decide"),
    path("answers/<int:annotation_id>/review/correct/", reviews.correct, name="review_correct"),
    path("answers/<int:annotation_id>/review/time/", reviews.time, name="review_time"),
]
