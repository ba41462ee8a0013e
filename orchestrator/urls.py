"""Every address of the product: each app's own pages and API, and the API's description."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, include, path
from drf_spectacular.views import SpectacularJSONAPIView

from orchestrator.web.docs import ApiDocs

urlpatterns: list[URLPattern | URLResolver] = [
    path("", include("orchestrator.web.urls")),
    path("", include("orchestrator.accounts.urls")),
    path("", include("orchestrator.files.urls")),
    path("", include("audit.urls")),
    path("", include("approvals.urls")),
    path("", include("registry.urls")),
    path("", include("designer.urls")),
    path("", include("budgets.urls")),
    path("", include("orchestrator.runs.urls")),
    path("", include("orchestrator.console.urls")),
    path("api/v1/openapi.json", SpectacularJSONAPIView.as_view(), name="openapi"),
    path("api/docs/", ApiDocs.as_view(url_name="openapi"), name="api-docs"),
]

handler404 = "orchestrator.web.problems.page_not_found"
handler500 = "orchestrator.web.problems.server_error"
