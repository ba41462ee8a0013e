"""The classes that DRF's settings name: permission, rate limit, parser, paging.

They stand apart from `api`, because `rest_framework.views` reads the settings while it is imported.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import IO, TYPE_CHECKING, Any, ClassVar, Final
from urllib.parse import urlencode

from django.conf import settings
from django.core.cache import cache
from django.utils import timezone
from rest_framework import exceptions, parsers, permissions, throttling
from rest_framework.pagination import BasePagination
from rest_framework.response import Response
from typing_extensions import override

from orchestrator import access
from orchestrator.access import Actor
from orchestrator.core.errors import InvalidInputError
from orchestrator.core.json import MAX_BYTES, parse_json
from orchestrator.web.paging import MAX_PAGE_SIZE, PAGE_SIZE, page_of
from orchestrator.web.problems import NotSignedInError

if TYPE_CHECKING:
    from rest_framework.request import Request
    from rest_framework.views import APIView

SIGNED_IN: Final = "signed-in"
"""In a view's `permissions`: whoever is signed in; a token needs the scope `account:read`."""
OWN_ACCOUNT: Final = "own-account"
"""In a view's `permissions`: whoever is signed in, for a change of his own account."""

_ACCOUNT_SCOPES: Final = {SIGNED_IN: "account:read", OWN_ACCOUNT: "account:write"}


def actor_of_api(request: Request) -> Actor:
    """Return who acts in this API request.

    Raises:
        NotSignedInError: nobody does.
    """
    actor = getattr(request, "actor", None)
    if not isinstance(actor, Actor):
        raise NotSignedInError("Sign in or send a bearer token to do this.")
    return actor


class SignedIn(permissions.BasePermission):
    """Lets whoever is signed in pass; for the API's own description."""

    @override
    def has_permission(self, request: Request, view: APIView) -> bool:
        """Tell whether anybody is signed in."""
        return request.user.is_authenticated


class TablePermission(permissions.BasePermission):
    """Default deny: the view's action names a line of the permission table, and it must hold."""

    @override
    def has_permission(self, request: Request, view: APIView) -> bool:
        """Check the action's line.

        Raises:
            PermissionDeniedError: says who holds it and who can grant it.
        """
        if not request.user.is_authenticated:
            return False
        table: Mapping[str, str | Sequence[str]] = getattr(view, "permissions", {})
        name = getattr(view, "action", None) or (request.method or "").lower()
        line = table.get(name)
        if line is None:
            return name in {"options", "metadata", "head"}
        actor = actor_of_api(request)
        if not isinstance(line, str):
            _require_any(actor, line)
        elif line in _ACCOUNT_SCOPES:
            access.require_scope(actor, _ACCOUNT_SCOPES[line])
        else:
            access.require(actor, line)
        return True


def _require_any(actor: Actor, lines: Sequence[str]) -> None:
    """Let the actor pass who holds one of the lines; the object's own is asked by the service."""
    if not any(access.can(actor, line) for line in lines):
        access.require(actor, lines[0])


class ActorThrottle(throttling.BaseThrottle):
    """A fixed window of a minute for each actor or, before sign-in, each address."""

    window_seconds: ClassVar[int] = 60

    @override
    def allow_request(self, request: Request, view: APIView) -> bool:
        """Count the request; False when the window is used up."""
        actor = getattr(request, "actor", None)
        who = f"{actor.kind}:{actor.id}" if isinstance(actor, Actor) else self.get_ident(request)
        moment = int(timezone.now().timestamp())
        self._wait = self.window_seconds - moment % self.window_seconds
        key = f"rate:{who}:{moment // self.window_seconds}"
        cache.add(key, 0, self.window_seconds + 5)
        try:
            return cache.incr(key) <= settings.API_REQUESTS_PER_MINUTE
        except ValueError:
            return True  # the window ended between the two calls

    @override
    def wait(self) -> float:
        """Return the seconds until the next window."""
        return float(self._wait)


class StrictJSONParser(parsers.JSONParser):
    """JSON without duplicate keys, NaN, NUL bytes, lone surrogates, excess depth or size."""

    @override
    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        """Return the value of the body.

        Raises:
            ParseError: says what is wrong and where.
        """
        raw = stream.read(MAX_BYTES + 1)
        try:
            return parse_json(raw)
        except InvalidInputError as error:
            raise exceptions.ParseError(error.message) from None


class CursorPages(BasePagination):
    """Keyset paging of `view.get_queryset()` in `view.page_order`."""

    default_order: ClassVar[tuple[str, ...]] = ("-created_at", "-id")

    @override
    def paginate_queryset(
        self, queryset: Any, request: Request, view: APIView | None = None
    ) -> list[Any]:
        """Return the rows of the page that the request asks for."""
        order = getattr(view, "page_order", self.default_order)
        self._request = request
        cursor = request.query_params.get("cursor", "")
        self._page = page_of(queryset, order=order, cursor=cursor, size=_size(request))
        return list(self._page.rows)

    @override
    def get_paginated_response(self, data: Any) -> Response:
        """Return the answer with the addresses of the neighbouring pages."""
        return Response(
            {
                "results": data,
                "next": self._address(self._page.next),
                "previous": self._address(self._page.previous),
            }
        )

    @override
    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Return how the answer is described."""
        link = {"type": ["string", "null"], "format": "uri-reference"}
        return {
            "type": "object",
            "required": ["results", "next", "previous"],
            "properties": {"results": schema, "next": link, "previous": link},
        }

    @override
    def get_schema_operation_parameters(self, view: object) -> list[dict[str, Any]]:
        """Return how the query parameters are described."""
        size = {"type": "integer", "minimum": 1, "maximum": MAX_PAGE_SIZE, "default": PAGE_SIZE}
        return [
            {"name": "cursor", "in": "query", "required": False, "schema": {"type": "string"}},
            {"name": "page_size", "in": "query", "required": False, "schema": size},
        ]

    def _address(self, cursor: str) -> str | None:
        if not cursor:
            return None
        query = {**self._request.query_params.dict(), "cursor": cursor}
        return f"{self._request.path}?{urlencode(query)}"


def _size(request: Request) -> int:
    raw = request.query_params.get("page_size", str(PAGE_SIZE))
    if raw.isascii() and raw.isdigit() and 1 <= int(raw) <= MAX_PAGE_SIZE:
        return int(raw)
    reason = f"must be a whole number from 1 to {MAX_PAGE_SIZE}"
    raise InvalidInputError(
        f"page_size {reason}.",
        detail={"violations": [{"path": "/page_size", "rule": "range", "reason": reason}]},
    )
