"""Settings pages of what is kept: everybody reads, administrators set."""

from __future__ import annotations

from typing import Any, Final

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from audit import selectors as audit
from audit.services import Subject
from orchestrator import access
from orchestrator.accounts import selectors as accounts
from orchestrator.accounts.authentication import actor_of
from orchestrator.core.json import JsonObject
from orchestrator.runs import retention
from orchestrator.runs.retention import Kept, Terms
from orchestrator.web import forms

KEPT_WORDS: Final = {
    Kept.EVENTS: "Events from outside and from runs",
    Kept.FIRINGS: "What triggers were told of",
}


FOR_EVER: Final = "for ever"
YES: Final = "yes"


def _days(title: str) -> JsonObject:
    return {
        "type": "string",
        "title": title,
        "minLength": 1,
        "maxLength": 12,
        "description": f"For so many days, at least {retention.MIN_DAYS}, or {FOR_EVER}.",
    }


FORM: Final[JsonObject] = {
    "type": "object",
    "required": ["events_days", "firings_days", "confirmed", "reason"],
    "properties": {
        "events_days": _days(KEPT_WORDS[Kept.EVENTS]),
        "firings_days": _days(KEPT_WORDS[Kept.FIRINGS]),
        "confirmed": {
            "title": "Delete what is older now",
            "enum": ["no, tell me how much that is", YES],
        },
        "reason": {
            "type": "string",
            "title": "Why",
            "minLength": 1,
            "maxLength": 2_000,
            "description": "Stands in the audit log.",
        },
    },
    "additionalProperties": False,
}


@require_safe
def policies(request: HttpRequest) -> HttpResponse:
    """How long each of the actor's workspaces keeps what."""
    actor = actor_of(request)
    shown = [
        {
            "workspace": one,
            "lines": _lines(retention.terms_of(one.id)),
            "can_manage": access.can(actor, "policy.manage", one.id),
        }
        for one in accounts.list_workspaces(actor).order_by("name")
    ]
    return render(request, "runs/retention.html", {"policies": shown})


@require_http_methods(["GET", "HEAD", "POST"])
def policy(request: HttpRequest, slug: str) -> HttpResponse:
    """How long one workspace keeps what, and what was deleted; a POST changes it."""
    actor, now = actor_of(request), timezone.now()
    workspace = accounts.get_workspace(actor, slug)
    shown = None
    if request.method == "POST":
        access.require(actor, "policy.manage", workspace.id)

        def carry_out(value: dict[str, Any]) -> None:
            retention.set_retention(
                workspace_id=workspace.id,
                terms=Terms(_read_days(value, "events_days"), _read_days(value, "firings_days")),
                reason=value["reason"],
                confirmed=value["confirmed"] == YES,
                actor=actor,
                now=now,
            )

        shown = forms.submit(request, FORM, carry_out)
        if shown is None:
            messages.success(request, "This is kept from now on; what is older goes in a minute.")
            return redirect("runs:retention-policy", slug)
    terms = retention.terms_of(workspace.id)
    shown = shown or forms.show(FORM, _value(terms))
    policy_id = retention.policy_id_of(workspace.id)
    context = {
        "workspace": workspace,
        "lines": _lines(terms),
        "can_manage": access.can(actor, "policy.manage", workspace.id),
        "form": shown,
        "history": audit.history_of(Subject("retention_policy", str(policy_id)))
        if policy_id
        else [],
    }
    return render(request, "runs/retention_policy.html", context, status=shown.status)


def _read_days(value: dict[str, Any], name: str) -> int | None:
    """The days that were typed.

    Raises:
        InvalidInputError: it is no number.
    """
    text = value[name].strip().lower()
    if text == FOR_EVER:
        return None
    if not text.isascii() or not text.isdigit():
        raise retention.wrong(name, "format", f"must be a number of days, or '{FOR_EVER}'")
    return int(text)


def _lines(terms: Terms) -> list[tuple[str, str]]:
    return [(words, _kept(terms.days(kept))) for kept, words in KEPT_WORDS.items()]


def _kept(days: int | None) -> str:
    return FOR_EVER if days is None else f"{days:,} days"


def _value(terms: Terms) -> JsonObject:
    days: JsonObject = {}
    for kept in Kept:
        count = terms.days(kept)
        days[f"{kept.value}_days"] = FOR_EVER if count is None else str(count)
    return days
