"""Who acts in a request, worked out once and before any view."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase

from orchestrator import access
from orchestrator.accounts.authentication import actor_of_session


class ActorMiddleware:
    """Set `request.actor` (None for visitors) and read each actor's grants once per request."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer the request."""
        request.actor = actor_of_session(request)  # type: ignore[attr-defined]  # see actor_of
        with access.remembering():
            return self.get_response(request)
