"""Pages of the shared types: the vocabulary that contracts refer to as `baton:<name>`."""

from __future__ import annotations

from typing import Any, Final

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from orchestrator import access
from orchestrator.accounts.authentication import actor_of
from orchestrator.core.contracts import Validator, standard_types
from orchestrator.core.errors import DomainError
from orchestrator.core.json import JsonObject, JsonValue, parse_json
from orchestrator.web import forms, panels
from orchestrator.web.lists import Column, Empty, Link, ListSpec, render_list
from registry import presentation, selectors, services
from registry.models import DomainType

USED_BY: Final = "domain_type.used_by"
"""Panel slot: by name of a shared type, links to the workflow versions bound to it."""
MAX_TRIED: Final = 10_000

TYPES = ListSpec(
    key="types",
    one="shared type",
    many="shared types",
    columns=(Column("Type"), Column("What it is"), Column("Version", "right"), Column("Since")),
    row_template="registry/type_row.html",
    empty=Empty(
        "braces",
        "No shared type yet",
        "A shared type is defined once and named by many contracts: a policy number, a claim.",
        (Link("Register a type", "/agents/types/new/", "plus"),),
    ),
    search_fields=("name", "summary"),
    search_label="Name, what it is",
    order=("name", "id"),
)
CONTRACT: Final[JsonObject] = {
    "type": "object",
    "required": ["name", "summary", "schema", "uppercase", "repairs"],
    "properties": {
        "name": {
            "type": "string",
            "title": "Name",
            "pattern": "^[A-Z][A-Za-z0-9]{0,62}$",
            "description": "Letters and digits, beginning with a capital. It never changes.",
            "examples": ["PolicyNumber"],
        },
        "summary": {
            "type": "string",
            "title": "What it is",
            "minLength": 1,
            "maxLength": 300,
        },
        "schema": {
            "title": "Schema",
            "description": 'JSON Schema, such as {"type": "string", "pattern": "^[A-Z]{3}$"}.',
        },
        "uppercase": {"type": "boolean", "title": "Small letters are made large first"},
        "repairs": {
            "type": "array",
            "title": "Repairs",
            "description": "Tried in order on a text that does not fit; the schema judges after.",
            "maxItems": 20,
            "items": {
                "type": "object",
                "required": ["pattern", "explanation"],
                "properties": {
                    "pattern": {"type": "string", "title": "Pattern", "maxLength": 300},
                    "replacement": {"type": "string", "title": "Replacement", "maxLength": 200},
                    "explanation": {
                        "type": "string",
                        "title": "Said when it was used",
                        "minLength": 1,
                        "maxLength": 200,
                    },
                },
                "additionalProperties": False,
            },
        },
    },
    "additionalProperties": False,
}


@require_safe
def types(request: HttpRequest) -> HttpResponse:
    """All types: the registered ones as a list, and those that come with the product."""
    actor = actor_of(request)
    access.require(actor, "agent.read")
    context = {
        "can_manage": access.can(actor, "type.manage"),
        "standard": sorted(standard_types().values(), key=lambda one: one.name),
    }
    return render_list(
        request,
        TYPES,
        selectors.list_domain_types(),
        template="registry/types.html",
        context=context,
    )


@require_safe
def domain_type(request: HttpRequest, name: str) -> HttpResponse:
    """One type with its versions, who is bound to it, and a box to try a value."""
    actor = actor_of(request)
    access.require(actor, "agent.read")
    versions = selectors.domain_type_versions(name)
    current = versions[0]
    context: dict[str, Any] = {
        "type": current,
        "versions": versions,
        "words": presentation.words_of(current.schema, current.schema),
        "schema_json": presentation.pretty(current.schema),
        "can_manage": access.can(actor, "type.manage"),
        **_bound(request, name),
    }
    if "value" in request.GET:
        context |= {"tried": request.GET["value"], "outcome": _try(current, request.GET["value"])}
    return render(request, "registry/type.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def new_type(request: HttpRequest) -> HttpResponse:
    """Register a type."""
    return _form(request, None)


@require_http_methods(["GET", "HEAD", "POST"])
def change_type(request: HttpRequest, name: str) -> HttpResponse:
    """The next version of a type; says first which agents and workflows it touches."""
    return _form(request, selectors.domain_type_versions(name)[0])


def _form(request: HttpRequest, current: DomainType | None) -> HttpResponse:
    actor = actor_of(request)
    access.require(actor, "type.manage")
    contract = CONTRACT if current is None else _without_name(CONTRACT)

    def carry_out(value: dict[str, Any]) -> None:
        saved = services.register_domain_type(
            name=value["name"] if current is None else current.name,
            schema=value["schema"],
            summary=value["summary"],
            repairs=[{"replacement": "", **one} for one in value["repairs"]],
            uppercase=value["uppercase"],
            actor=actor,
            now=timezone.now(),
        )
        value["name"] = saved.name
        done.append(saved)

    done: list[DomainType] = []
    shown = forms.submit(request, contract, carry_out) if request.method == "POST" else None
    if done:
        is_same = current is not None and done[0].pk == current.pk
        words = "is as it was" if is_same else f"has version {done[0].version} now"
        messages.success(request, f"{done[0].name} {words}.")
        return redirect("registry:type", name=done[0].name)
    shown = shown or forms.show(contract, _value_of(current))
    context = {
        "type": current,
        "form": shown,
        **(_bound(request, current.name) if current else {}),
    }
    return render(request, "registry/type_form.html", context, status=shown.status)


def _bound(request: HttpRequest, name: str) -> dict[str, Any]:
    readable = access.workspaces_where(actor_of(request), "agent.read")
    return {
        "agents": [
            one for one in selectors.versions_bound_to(name) if one.agent.workspace_id in readable
        ],
        "workflows": panels.panels(USED_BY, request, [name])[name],
    }


def _without_name(contract: JsonObject) -> JsonObject:
    properties, required = contract["properties"], contract["required"]
    assert isinstance(properties, dict)
    assert isinstance(required, list)
    kept: JsonObject = {key: one for key, one in properties.items() if key != "name"}
    return {**contract, "properties": kept, "required": [key for key in required if key != "name"]}


def _value_of(current: DomainType | None) -> JsonValue:
    if current is None:
        return {"schema": {"type": "string"}, "uppercase": False, "repairs": []}
    return {
        "summary": current.summary,
        "schema": current.schema,
        "uppercase": current.uppercase,
        "repairs": current.repairs,
    }


def _try(current: DomainType, typed: str) -> dict[str, Any]:
    """What becomes of a value at a handoff: it fits, is repaired, or is refused."""
    value: JsonValue = typed[:MAX_TRIED]
    if current.schema.get("type") != "string":
        try:
            value = parse_json(typed)
        except DomainError as error:
            return {"verdict": "refused", "reasons": [error.message]}
    contract: JsonObject = {"$ref": f"baton:{current.name}"}
    accepted = Validator(contract, selectors.current_types()).accept(value)
    shown = accepted.payload
    return {
        "verdict": accepted.verdict,
        "reasons": [f"{one.path} {one.reason}".strip() for one in accepted.violations],
        "repairs": accepted.repairs,
        "payload": shown if isinstance(shown, str) else presentation.pretty(shown),
    }
