"""Addresses of limits: settings pages, the API."""

from __future__ import annotations

from django.urls import include, path
from rest_framework.routers import SimpleRouter

from budgets import views
from budgets.api import BudgetLimitViewSet

app_name = "budgets"
_router = SimpleRouter(use_regex_path=False)
_router.register("budget-limits", BudgetLimitViewSet, basename="budget-limit")

urlpatterns = [
    path("settings/budgets/", views.limits, name="limits"),
    path("settings/budgets/new/<slug:slug>/", views.new_limit, name="new"),
    path("settings/budgets/<uuid:limit_id>/", views.limit, name="limit"),
    path("settings/budgets/<uuid:limit_id>/end/", views.end, name="end"),
    path("api/v1/", include(_router.urls)),
]
