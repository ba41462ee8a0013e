"""Role cards of the demo: continue as one of its people, on this machine only.

Three things must hold, each checked at every use: the installation is a demo; peer and Host are
loopback; no header says that a proxy forwarded the request. Anything else answers "not found".
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from django.conf import settings
from django.http import HttpRequest
from django.http.request import split_domain_port

from orchestrator.access import ROLE_SUMMARIES, Role
from orchestrator.accounts import selectors
from orchestrator.accounts.models import User
from orchestrator.web.panels import MenuForm

FORWARDED: Final = (
    "HTTP_X_FORWARDED_FOR",
    "HTTP_X_FORWARDED_HOST",
    "HTTP_X_FORWARDED_PROTO",
    "HTTP_X_FORWARDED_PORT",
    "HTTP_X_REAL_IP",
    "HTTP_FORWARDED",
    "HTTP_VIA",
    "HTTP_CF_CONNECTING_IP",
    "HTTP_TRUE_CLIENT_IP",
)
ADDRESS: Final = "/demo/continue/"
_ICONS: Final = {
    Role.BUSINESS_OWNER: "workflow",
    Role.AGENT_OWNER: "agent",
    Role.REVIEWER: "review",
    Role.OPERATOR: "activity",
    Role.COMPLIANCE: "audit",
    Role.ADMINISTRATOR: "users",
}


@dataclass(frozen=True, slots=True)
class Card:
    """One card of the landing page."""

    role: Role
    person: User
    icon: str
    summary: str


def is_allowed(request: HttpRequest) -> bool:
    """Tell whether role cards may be shown and used in this request."""
    if not settings.DEMO or any(name in request.META for name in FORWARDED):
        return False
    host, _ = split_domain_port(request.META.get("HTTP_HOST", ""))
    return _is_loopback(request.META.get("REMOTE_ADDR", "")) and _is_loopback(host)


def cards(request: HttpRequest) -> list[Card]:
    """Return the cards, none where they may not be used."""
    if not is_allowed(request):
        return []
    return [
        Card(role, person, _ICONS[role], ROLE_SUMMARIES[role])
        for role, person in selectors.demo_people().items()
    ]


def role_switch(request: HttpRequest) -> Iterable[MenuForm]:
    """Return the account menu's entries: the other people of the demo."""
    return [
        MenuForm(
            label=str(card.person),
            url=ADDRESS,
            fields={"role": card.role.value},
            icon=card.icon,
            note=card.role.label,
            current=card.person == request.user,
        )
        for card in cards(request)
    ]


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return address.is_loopback
