"""From a session or a bearer token to the actor that services and audit know."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.db.models import Q
from django.http import HttpRequest
from django.utils import timezone
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework import authentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request
from typing_extensions import override

from orchestrator.access import Actor
from orchestrator.accounts.models import ApiToken, ApiTokenUse, User
from orchestrator.web.problems import NotSignedInError

BEARER_MARK: Final = "baton_"
USE_RECORDED_EVERY: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class ServicePrincipal:
    """A service identity as DRF's `request.user`."""

    id: UUID
    name: str
    is_authenticated: bool = True
    is_active: bool = True
    is_anonymous: bool = False

    @property
    def pk(self) -> UUID:
        """The id."""
        return self.id

    def __str__(self) -> str:
        return self.name


def actor_of(request: HttpRequest | Request) -> Actor:
    """Return who acts in this request.

    Raises:
        NotSignedInError: a visitor.
    """
    actor = getattr(request, "actor", None)
    if not isinstance(actor, Actor):
        raise NotSignedInError("Sign in to do this.")
    return actor


def actor_of_person(person: User, *, via: str = "") -> Actor:
    """Return the actor that stands for a person who is signed in."""
    return Actor(kind="user", id=str(person.id), via=via)


def actor_of_session(request: HttpRequest) -> Actor | None:
    """Return the actor of the session cookie, None for a visitor."""
    person = request.user
    if not isinstance(person, User) or not person.is_active:
        return None
    return actor_of_person(person, via=fingerprint_of_session(request))


def fingerprint_of_session(request: HttpRequest) -> str:
    """Return what the audit log shows of a session: a part of its key's hash."""
    session = getattr(request, "session", None)
    return _fingerprint("session", getattr(session, "session_key", None) or "")


def actor_of_scope(scope: Mapping[str, Any]) -> Actor | None:
    """Return the actor of a websocket connection (channels' scope), None for a visitor."""
    person = scope.get("user")
    if not isinstance(person, User) or not person.is_active:
        return None
    key = getattr(scope.get("session"), "session_key", None) or ""
    return actor_of_person(person, via=_fingerprint("session", key))


def digest_of(token: str) -> str:
    """Return what the database keeps of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def actor_of_token(token: str, now: datetime) -> tuple[Actor, ApiToken]:
    """Return the actor of a bearer token and the token's row; notes the use once a minute.

    Raises:
        NotSignedInError: unknown, revoked or expired, or its holder is no longer active.
    """
    found = (
        ApiToken.objects.select_related("user", "service")
        .filter(digest=digest_of(token), revoked_at__isnull=True)
        .filter(Q(expires_at__isnull=True) | Q(expires_at__gt=now))
        .first()
    )
    if found is None or not _is_holder_active(found):
        raise NotSignedInError("This token is unknown, revoked or expired.")
    _note_use(found, now)
    holder = found.user_id or found.service_id
    actor = Actor(
        kind="user" if found.user_id else "service",
        id=str(holder),
        via=_fingerprint("token", str(found.id)),
        scopes=frozenset(found.scopes),
    )
    return actor, found


class TokenAuthentication(authentication.BaseAuthentication):
    """`Authorization: Bearer baton_...`."""

    def authenticate(self, request: Request) -> tuple[User | ServicePrincipal, ApiToken] | None:
        """Return user and token, None when the request carries no bearer token."""
        header = authentication.get_authorization_header(request).decode("latin-1")
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer":
            return None
        try:
            actor, row = actor_of_token(token.strip(), timezone.now())
        except NotSignedInError as error:
            raise AuthenticationFailed(error.message) from None
        request._request.actor = actor  # type: ignore[attr-defined]  # see actor_of
        if row.user is not None:
            return row.user, row
        assert row.service is not None
        return ServicePrincipal(row.service.id, row.service.name), row

    @override
    def authenticate_header(self, request: Request) -> str:
        """Return the challenge of a 401 answer."""
        return 'Bearer realm="baton"'


class SessionAuthentication(authentication.SessionAuthentication):
    """The session cookie, with the CSRF check; a cookie never helps a refused token."""

    def authenticate(self, request: Request) -> tuple[Any, None] | None:
        """Return the signed-in person; None for a visitor."""
        if isinstance(request._request.user, AnonymousUser):
            return None
        return super().authenticate(request)


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # untyped base
    """How the API description names bearer tokens."""

    target_class = TokenAuthentication
    name = "token"

    @override
    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        """Return the OpenAPI security scheme."""
        return {"type": "http", "scheme": "bearer"}


class SessionScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # untyped base
    """How the API description names the session cookie."""

    target_class = SessionAuthentication
    name = "session"

    @override
    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        """Return the OpenAPI security scheme."""
        return {"type": "apiKey", "in": "cookie", "name": settings.SESSION_COOKIE_NAME}


def _is_holder_active(token: ApiToken) -> bool:
    if token.user is not None:
        return token.user.is_active
    return token.service is not None and token.service.disabled_at is None


def _note_use(token: ApiToken, now: datetime) -> None:
    use = ApiTokenUse.objects.filter(token=token)
    if use.filter(latest_used_at__gt=now - USE_RECORDED_EVERY).exists():
        return
    if not use.update(latest_used_at=now):
        ApiTokenUse.objects.get_or_create(token=token, defaults={"latest_used_at": now})


def _fingerprint(kind: str, secret: str) -> str:
    return f"{kind}:{hashlib.sha256(secret.encode()).hexdigest()[:16]}"
