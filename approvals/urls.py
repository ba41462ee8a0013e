"""Addresses of reviews: pages under /reviews/, the API under /api/v1/reviews/."""

from __future__ import annotations

from django.urls import include, path
from rest_framework.routers import SimpleRouter

from approvals import views
from approvals.api import ReviewViewSet, SignOffPolicyViewSet

app_name = "approvals"
_router = SimpleRouter(use_regex_path=False)
_router.register("reviews", ReviewViewSet, basename="review")
_router.register("sign-off-policies", SignOffPolicyViewSet, basename="sign-off-policy")

urlpatterns = [
    path("reviews/", views.list_reviews, name="list"),
    path("reviews/queue/", views.queue, name="queue"),
    path("reviews/<uuid:task_id>/", views.review, name="review"),
    path("reviews/<uuid:task_id>/decide/", views.decide, name="decide"),
    path("reviews/<uuid:task_id>/claim/", views.claim, name="claim"),
    path("reviews/<uuid:task_id>/release/", views.release, name="release"),
    path("reviews/<uuid:task_id>/hand-over/", views.hand_over, name="hand_over"),
    path("reviews/undo/<uuid:decision_id>/", views.undo, name="undo"),
    path("settings/sign-offs/", views.policies, name="policies"),
    path("settings/sign-offs/<slug:slug>/", views.policy, name="policy"),
    path("api/v1/", include(_router.urls)),
]
