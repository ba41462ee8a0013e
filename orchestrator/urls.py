"""Every address of the product: each app's own pages and API, and the API's description."""

from __future__ import annotations

from importlib.util import find_spec

from django.urls import URLPattern, URLResolver, include, path
from drf_spectacular.views import SpectacularJSONAPIView

from orchestrator.web.docs import ApiDocs

APPS = (
    "orchestrator.web",
    "orchestrator.accounts",
    "orchestrator.files",
    "audit",
    "approvals",
    "registry",
    "designer",
    "orchestrator.runs",
    "orchestrator.console",
)

urlpatterns: list[URLPattern | URLResolver] = [
    path("", include(f"{app}.urls")) for app in APPS if find_spec(f"{app}.urls")
]
urlpatterns += [
    path("api/v1/openapi.json", SpectacularJSONAPIView.as_view(), name="openapi"),
    path("api/docs/", ApiDocs.as_view(url_name="openapi"), name="api-docs"),
]

handler404 = "orchestrator.web.problems.page_not_found"
handler500 = "orchestrator.web.problems.server_error"
