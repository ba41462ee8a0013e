"""The API's documentation page: Swagger UI from our own files, for whoever is signed in."""

from __future__ import annotations

from typing import Any, Final

from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularSwaggerSplitView
from rest_framework.renderers import TemplateHTMLRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from typing_extensions import override

from orchestrator.web.api_policy import SignedIn
from orchestrator.web.middleware import CONTENT_SECURITY_POLICY

DOCS_POLICY: Final = CONTENT_SECURITY_POLICY.replace(
    "img-src 'self'", "img-src 'self' data:"
).replace(" {live}", "")
"""Swagger UI draws its icons from `data:` addresses; scripts and styles stay as strict as ever."""


class ApiDocs(SpectacularSwaggerSplitView):
    """Swagger UI without inline script."""

    permission_classes = [SignedIn]
    renderer_classes = [TemplateHTMLRenderer]

    @extend_schema(exclude=True)
    @override
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Answer with the page, or with its script."""
        response: Response = super().get(request, *args, **kwargs)  # type: ignore[no-untyped-call]  # untyped base
        response.headers["Content-Security-Policy"] = DOCS_POLICY
        return response
