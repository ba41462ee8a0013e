"""Addresses of the audit log: pages under /audit/, the API under /api/v1/."""

from __future__ import annotations

from django.urls import include, path
from rest_framework.routers import SimpleRouter

from audit import views
from audit.api import EntryViewSet, ExportViewSet, HistoryViewSet, LogViewSet

app_name = "audit"
_router = SimpleRouter(use_regex_path=False)
_router.register("audit-entries", EntryViewSet, basename="audit-entry")
_router.register("audit-history", HistoryViewSet, basename="audit-history")
_router.register("audit-exports", ExportViewSet, basename="audit-export")
_router.register("audit-log", LogViewSet, basename="audit-log")

urlpatterns = [
    path("audit/", views.index, name="index"),
    path("audit/entries/<uuid:entry_id>/", views.entry, name="entry"),
    path("audit/verify/", views.verify_now, name="verify"),
    path("audit/exports/", views.export, name="export"),
    path("audit/verifier/", views.verifier, name="verifier"),
    path("api/v1/", include(_router.urls)),
]
