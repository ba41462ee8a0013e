"""Who acts in a request, worked out once and before any view; and what a visitor gets instead."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.http import url_has_allowed_host_and_scheme
from typing_extensions import override

from orchestrator import access
from orchestrator.accounts.authentication import actor_of_session
from orchestrator.web.problems import NotSignedInError, is_api, respond

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class ActorMiddleware:
    """Set `request.actor` (None for visitors) and read each actor's grants once per request."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer the request."""
        request.actor = actor_of_session(request)  # type: ignore[attr-defined]  # see actor_of
        with access.remembering():
            return self.get_response(request)


class SignInMiddleware(LoginRequiredMiddleware):
    """Login first, for every address that does not say otherwise.

    A page leads to the sign-in page and from there back. A form that was sent after the session
    ended leads back to the page it stood on, where the browser puts in again what was typed; a
    script gets 401, and htmx an order to go to the sign-in page.
    """

    @override
    def handle_no_permission(self, request: HttpRequest, view_func: Any) -> Any:
        """Answer a visitor."""
        target = request.get_full_path() if request.method in SAFE else _page_of_form(request)
        wants_json = request.headers.get("Accept", "").startswith("application/json")
        if request.headers.get("HX-Request") == "true":
            response = HttpResponse(status=401)
            page = _path_of(request, request.headers.get("HX-Current-URL", "")) or "/"
            response.headers["HX-Redirect"] = redirect_to_login(page).url
            return response
        if is_api(request) or wants_json:
            return respond(request, NotSignedInError("Sign in to do this."))
        return redirect_to_login(target)


def _page_of_form(request: HttpRequest) -> str:
    return _path_of(request, request.headers.get("Referer", "")) or "/"


def _path_of(request: HttpRequest, address: str) -> str:
    """Return path and query of an address of ours, else nothing."""
    if not url_has_allowed_host_and_scheme(address, allowed_hosts={request.get_host()}):
        return ""
    parts = urlsplit(address)
    return parts.path + (f"?{parts.query}" if parts.query else "")
