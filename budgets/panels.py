"""What budgets add to other pages: how many calls of an agent are under way, limits nearly used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from budgets import presentation, selectors
from budgets.selectors import LimitUsage
from orchestrator.access import Actor
from orchestrator.accounts.authentication import actor_of
from orchestrator.web.templatetags.baton import state_icon


@dataclass(frozen=True, slots=True)
class Notice:
    """A limit that is nearly or wholly used, in words, and where it is raised."""

    about: str
    scope: str
    shown: presentation.Shown
    url: str


def pressing_notices(actor: Actor, now: datetime) -> list[Notice]:
    """The limits that this person should look at."""
    return [
        Notice(
            presentation.about(row),
            presentation.scope_words(row),
            presentation.shown(row, usage),
            reverse("budgets:limit", args=[row.id]),
        )
        for row, usage in selectors.pressing_limits(actor, now)
    ]


def agent_places(request: HttpRequest, ids: list[str]) -> Mapping[str, SafeString]:
    """A line for each agent that may be called only so often at the same time."""
    found = selectors.places_of_agents(actor_of(request), [UUID(one) for one in ids])
    return {str(key): _places(one) for key, one in found.items()}


def _places(found: LimitUsage) -> SafeString:
    usage = found.usage
    is_full = not usage.left
    return format_html(
        '<div class="banner tone-{}">{}<span class="grow">At most <b>{} at the same time</b>: '
        '{} in use, {} waiting.</span><a class="button button--s" href="{}">The limit</a></div>',
        "caution" if is_full else "good",
        state_icon("caution" if is_full else "fits"),
        f"{usage.amount:,} call{'' if usage.amount == 1 else 's'}",
        f"{usage.reserved:,}",
        f"{usage.waiting:,}",
        reverse("budgets:limit", args=[found.limit_id]),
    )
