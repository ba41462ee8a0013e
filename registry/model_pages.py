"""Settings pages of models: everybody reads those of his workspaces, administrators set them."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from orchestrator import access
from orchestrator.accounts import selectors as accounts
from orchestrator.accounts.authentication import actor_of
from orchestrator.core.errors import InvalidInputError
from orchestrator.core.json import JsonObject, JsonValue
from orchestrator.core.money import Money, format_money
from orchestrator.egress import EgressDeniedError
from orchestrator.web import forms
from registry import providers, routes
from registry.models import ModelRoute
from registry.routes import PROTOCOL_WORDS, ModelChoice, Protocol

_PROTOCOLS: Final[dict[str, Protocol]] = {
    PROTOCOL_WORDS["openai"]: "openai",
    PROTOCOL_WORDS["anthropic"]: "anthropic",
}
_NAME: Final[JsonObject] = {
    "type": "string",
    "title": "Name",
    "description": "Lower-case letters, digits and hyphens. It never changes.",
    "pattern": "^[a-z0-9][a-z0-9-]{0,62}$",
}
_REASON: Final[JsonObject] = {
    "type": "string",
    "title": "Why",
    "minLength": 1,
    "maxLength": 2_000,
    "description": "Stands in the audit log.",
}
PROVIDER_FORM: Final[JsonObject] = {
    "type": "object",
    "required": ["name", "protocol", "base_url", "allow_private"],
    "properties": {
        "name": _NAME,
        "protocol": {"title": "Speaks", "enum": list(_PROTOCOLS)},
        "base_url": {
            "type": "string",
            "title": "Address",
            "description": "As its documentation gives it. It never changes; the key is bound to "
            "it.",
            "format": "uri",
            "minLength": 1,
            "maxLength": 200,
            "examples": ["https://api.anthropic.com"],
        },
        "allow_private": {
            "type": "boolean",
            "title": "It runs in this network",
            "description": "Only then may its address be a private one.",
        },
    },
    "additionalProperties": False,
}


@require_safe
def models(request: HttpRequest) -> HttpResponse:
    """Routes and providers of the actor's workspaces."""
    actor = actor_of(request)
    managed = access.workspaces_where(actor, "policy.manage")
    places = accounts.list_workspaces(actor).filter(id__in=managed).order_by("name")
    found = routes.list_routes(actor).order_by("workspace__name", "name")
    enabled = {
        place: frozenset(routes.provider_names(place))
        for place in {row.workspace_id for row in found}
    }
    found_providers = list(routes.list_providers(actor).order_by("workspace__name", "name", "id"))
    provided = {row.workspace_id for row in found_providers if row.disabled_at is None}
    context = {
        "places": [(place, place.id in provided) for place in places],
        "providers": found_providers,
        "routes": [
            {"row": row, "choices": _shown(row, enabled[row.workspace_id])} for row in found
        ],
    }
    return render(request, "registry/models.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def new_provider(request: HttpRequest, slug: str) -> HttpResponse:
    """Ask for a provider in a workspace; a POST adds it."""
    actor = actor_of(request)
    workspace = accounts.get_workspace(actor, slug)
    access.require(actor, "policy.manage", workspace.id)
    shown = None
    if request.method == "POST":
        made = []

        def carry_out(value: dict[str, Any]) -> None:
            try:
                row = providers.add_provider(
                    workspace_id=workspace.id,
                    name=value["name"],
                    protocol=_PROTOCOLS[value["protocol"]],
                    base_url=value["base_url"],
                    allow_private=value["allow_private"],
                    actor=actor,
                    now=timezone.now(),
                )
            except EgressDeniedError as error:
                raise _at_the_address(error) from error
            made.append(row)

        shown = forms.submit(request, PROVIDER_FORM, carry_out)
        if shown is None:
            messages.success(request, "The provider is added. Give it its key, if it needs one.")
            return redirect("registry:provider", made[0].id)
    shown = shown or forms.show(PROVIDER_FORM, {"allow_private": False})
    context = {"workspace": workspace, "form": shown}
    return render(request, "registry/new_provider.html", context, status=shown.status)


def _at_the_address(error: EgressDeniedError) -> InvalidInputError:
    """The refusal of an address as something to mend in its field."""
    violation = {"path": "/base_url", "rule": error.rule, "reason": error.message}
    return InvalidInputError(error.message, detail={"violations": [violation]})


@require_safe
def provider(request: HttpRequest, provider_id: UUID) -> HttpResponse:
    """One provider, its key (never shown) and the routes that lead to it."""
    actor = actor_of(request)
    row = routes.get_provider(actor, provider_id)
    leading = [
        one
        for one in routes.list_routes(actor).filter(workspace_id=row.workspace_id).order_by("name")
        if any(choice.provider == row.name for choice in routes.choices_of(one))
    ]
    context = {
        "provider": row,
        "protocol": PROTOCOL_WORDS[row.protocol],
        "routes": leading,
        "can_manage": access.can(actor, "policy.manage", row) and row.disabled_at is None,
    }
    return render(request, "registry/provider.html", context)


@require_POST
def set_key(request: HttpRequest, provider_id: UUID) -> HttpResponse:
    """Replace a provider's key."""
    providers.set_provider_key(
        provider_id=provider_id,
        key=request.POST.get("key", "").strip(),
        reason=request.POST.get("reason", ""),
        actor=actor_of(request),
        now=timezone.now(),
    )
    messages.success(request, "The key is set; it holds for the next call.")
    return redirect("registry:provider", provider_id)


@require_POST
def disable(request: HttpRequest, provider_id: UUID) -> HttpResponse:
    """Disable a provider."""
    providers.disable_provider(
        provider_id=provider_id,
        reason=request.POST.get("reason", ""),
        actor=actor_of(request),
        now=timezone.now(),
    )
    messages.success(request, "The provider is disabled and its key forgotten.")
    return redirect("registry:models")


@require_http_methods(["GET", "HEAD", "POST"])
def new_route(request: HttpRequest, slug: str) -> HttpResponse:
    """Ask for a route in a workspace; a POST sets it."""
    actor = actor_of(request)
    workspace = accounts.get_workspace(actor, slug)
    access.require(actor, "policy.manage", workspace.id)
    names = routes.provider_names(workspace.id)
    form = route_form(names, with_name=True)
    shown = None
    if request.method == "POST":

        def carry_out(value: dict[str, Any]) -> None:
            _set(value, workspace.id, value["name"], request)

        shown = forms.submit(request, form, carry_out)
        if shown is None:
            messages.success(request, "The route is set; it holds for the next call.")
            return redirect("registry:models")
    shown = shown or forms.show(form, {"choices": [{}]})
    context = {"workspace": workspace, "form": shown, "has_providers": bool(names)}
    return render(request, "registry/new_route.html", context, status=shown.status)


@require_http_methods(["GET", "HEAD", "POST"])
def route(request: HttpRequest, route_id: UUID) -> HttpResponse:
    """One route and where it leads; a POST changes that."""
    actor = actor_of(request)
    row = routes.get_route(actor, route_id)
    enabled = routes.provider_names(row.workspace_id)
    form = route_form(sorted({*enabled, *(one.provider for one in routes.choices_of(row))}))
    shown = None
    if request.method == "POST":
        access.require(actor, "policy.manage", row)

        def carry_out(value: dict[str, Any]) -> None:
            _set(value, row.workspace_id, row.name, request)

        shown = forms.submit(request, form, carry_out)
        if shown is None:
            messages.success(request, "The route is changed; it holds for the next call.")
            return redirect("registry:route", route_id)
    choices: list[JsonValue] = [
        one.model_dump(mode="json", exclude_none=True) for one in routes.choices_of(row)
    ]
    shown = shown or forms.show(form, {"choices": choices})
    context = {
        "route": row,
        "choices": _shown(row, frozenset(enabled)),
        "form": shown,
        "can_manage": access.can(actor, "policy.manage", row) and row.ended_at is None,
    }
    return render(request, "registry/route.html", context, status=shown.status)


@require_POST
def end(request: HttpRequest, route_id: UUID) -> HttpResponse:
    """End a route."""
    providers.end_route(
        route_id=route_id,
        reason=request.POST.get("reason", ""),
        actor=actor_of(request),
        now=timezone.now(),
    )
    messages.success(request, "The route has ended; agents that ask for it find no model.")
    return redirect("registry:models")


def route_form(names: list[str] | tuple[str, ...], *, with_name: bool = False) -> JsonObject:
    """What a route asks for; `names` are the providers that may be chosen."""
    price: JsonObject = {"$ref": "baton:Money"}
    choice: JsonObject = {
        "type": "object",
        "title": "Model",
        "required": ["provider", "model", "context_tokens"],
        "properties": {
            "provider": {"title": "Provider", "enum": list(names) or [""]},
            "model": {
                "type": "string",
                "title": "Model",
                "description": "As its provider names it.",
                "minLength": 1,
                "maxLength": 120,
            },
            "context_tokens": {
                "type": "integer",
                "title": "Takes at most (tokens)",
                "description": "Question and answer together.",
                "minimum": 256,
                "maximum": 10_000_000,
            },
            "input_price": {**price, "title": "Price of a million tokens in"},
            "output_price": {**price, "title": "Price of a million tokens out"},
        },
        "additionalProperties": False,
    }
    choices: JsonObject = {
        "type": "array",
        "title": "Models",
        "description": "The preferred first; the next is asked when one is overloaded or late.",
        "items": choice,
        "minItems": 1,
        "maxItems": providers.MAX_CHOICES,
    }
    name: JsonObject = {"name": {**_NAME, "examples": ["strong"]}} if with_name else {}
    return {
        "type": "object",
        "required": [*name, "choices", "reason"],
        "properties": {**name, "choices": choices, "reason": _REASON},
        "additionalProperties": False,
    }


def _set(value: dict[str, Any], workspace_id: UUID, name: str, request: HttpRequest) -> None:
    providers.set_route(
        workspace_id=workspace_id,
        name=name,
        choices=providers.read_choices(value["choices"]),
        reason=value["reason"],
        actor=actor_of(request),
        now=timezone.now(),
    )


def _shown(row: ModelRoute, enabled: frozenset[str]) -> list[dict[str, Any]]:
    """The models of a route as pages show them."""
    return [
        {
            "model": one.model,
            "provider": one.provider,
            "context": f"{one.context_tokens:,} tokens",
            "price": _price(one),
            "is_enabled": one.provider in enabled,
        }
        for one in routes.choices_of(row)
    ]


def _price(one: ModelChoice) -> str:
    """`USD 2.50 in, USD 10.00 out`, per million tokens; empty without a price."""
    parts = (("in", one.input_price), ("out", one.output_price))
    return ", ".join(
        f"{format_money(Money(price.minor, price.currency))} {word}"
        for word, price in parts
        if price is not None
    )
