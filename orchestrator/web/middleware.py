"""Headers of every response: the content security policy and the request's id."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Final

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from typing_extensions import override
from whitenoise.middleware import WhiteNoiseMiddleware

from orchestrator.ids import new_id

CONTENT_SECURITY_POLICY: Final = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "font-src 'self'",
        "connect-src 'self' {live}",
        "worker-src 'self'",
        "object-src 'none'",
        "frame-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
"""No inline script or style, no `data:`, nothing from another host. `{live}` is our own socket."""

PERMISSIONS_POLICY: Final = "camera=(), microphone=(), geolocation=(), payment=(), usb=()"


class StaticMiddleware(WhiteNoiseMiddleware):  # type: ignore[misc]  # whitenoise is untyped
    """WhiteNoise, answering with the bytes: a file iterator would be read by the event loop.

    The files are looked for once in a process, however often the middleware is made.
    """

    _found: ClassVar[dict[str, Any]] = {}

    @override
    def add_files_from_finders(self) -> None:
        """Know the static files of all apps by their address."""
        if not self._found:
            super().add_files_from_finders()
            self._found.update(self.files)
        self.files.update(self._found)

    @staticmethod
    @override
    def serve(static_file: Any, request: HttpRequest) -> HttpResponse:
        """Answer with a static file."""
        found = static_file.get_response(request.method, request.META)
        content = found.file.read() if found.file else b""
        response = HttpResponse(content, status=int(found.status))
        if found.file:
            found.file.close()
        del response["Content-Type"]
        for name, value in found.headers:
            response[name] = value
        return response


class PolicyMiddleware:
    """Put the policy headers on every response, static files included; a view's own policy stays.

    `request.request_id` names the request in problems, audit entries and logs. It is made here and
    never taken from the client.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer the request with the headers set."""
        request.request_id = str(new_id())  # type: ignore[attr-defined]  # read by request_id_of
        response = self.get_response(request)
        headers = response.headers
        headers.setdefault("Content-Security-Policy", _policy(request))
        headers.setdefault("Permissions-Policy", PERMISSIONS_POLICY)
        headers.setdefault("X-Request-Id", request_id_of(request))
        if "text/html" in headers.get("Content-Type", ""):
            headers.setdefault("Cache-Control", "private, no-store")
        return response


def request_id_of(request: HttpRequest) -> str:
    """Return the request's id, or an empty text outside a request."""
    return str(getattr(request, "request_id", ""))


def _policy(request: HttpRequest) -> str:
    scheme = "wss" if request.is_secure() else "ws"
    host = request.META.get("HTTP_HOST", "")
    live = f"{scheme}://{host}" if host and all(c.isalnum() or c in ".-:[]" for c in host) else ""
    return CONTENT_SECURITY_POLICY.format(live=live).replace(" ;", ";")
