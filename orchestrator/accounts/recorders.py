"""What happens when somebody signs in or out; what the palette finds of the settings."""

from __future__ import annotations

from typing import Any, Final

from django.http import HttpRequest
from django.utils import timezone

from orchestrator import access
from orchestrator.access import Actor
from orchestrator.accounts import selectors, services
from orchestrator.accounts.authentication import fingerprint_of_session
from orchestrator.accounts.models import User
from orchestrator.web.panels import Found

_PAGES: Final = (
    ("My account", "/settings/account/", "user", ""),
    ("What each role may do", "/settings/roles/", "table", ""),
    ("People and roles", "/settings/people/", "users", ""),
    ("Add a person", "/settings/people/new/", "user-plus", "people.manage"),
    ("Workspaces", "/settings/workspaces/", "building", ""),
    ("My API tokens", "/settings/tokens/", "key", ""),
    ("Service identities", "/settings/services/", "server", "token.manage"),
    ("API description", "/api/docs/", "braces", ""),
)


def on_signed_in(*, request: HttpRequest, user: User, **_signal: Any) -> None:
    """Write the sign-in to the audit log."""
    _record("session.signed_in", user, request)


def on_signed_out(*, request: HttpRequest, user: User | None, **_signal: Any) -> None:
    """Write the sign-out to the audit log."""
    if user is not None:
        _record("session.signed_out", user, request)


def on_failed(*, credentials: dict[str, Any], **signal: Any) -> None:
    """Write a refused sign-in to the audit log; a name that exists is its subject."""
    name = str(credentials.get("username") or credentials.get("login") or "")[:150]
    person = User.objects.filter(username=name).first() if name and "\x00" not in name else None
    _record("session.failed", person, signal.get("request"))


def on_password_changed(*, request: HttpRequest, user: User, **_signal: Any) -> None:
    """Write the change of a password to the audit log."""
    _record("user.password_changed", user, request)


def search_settings(actor: Actor, text: str, limit: int) -> list[Found]:
    """Return settings pages and people whose name holds the text."""
    found = [
        Found(title=title, url=url, group="Settings", icon=icon)
        for title, url, icon, action in _PAGES
        if text.lower() in title.lower() and (not action or access.can(actor, action))
    ]
    if text:
        people = selectors.list_people(actor).filter(name__icontains=text).order_by("name")
        found += [
            Found(title=str(one), url=f"/settings/people/{one.id}/", group="People", icon="user")
            for one in people[:limit]
        ]
    return found


def _record(action: str, person: User | None, request: HttpRequest | None) -> None:
    services.record_session(
        action=action,
        person=person,
        via=fingerprint_of_session(request) if request is not None else "",
        now=timezone.now(),
    )
