"""What the forms of the settings pages ask for."""

from __future__ import annotations

from collections.abc import Iterable

from orchestrator import access
from orchestrator.access import Role
from orchestrator.core.json import JsonObject, JsonValue
from orchestrator.core.shares import MAX_WEIGHT, USUAL_WEIGHT

ROLE_CHOICES = [(role.value, role.label) for role in Role]
_NAME: JsonObject = {"type": "string", "minLength": 1, "maxLength": 120, "title": "Name"}
_LIFETIMES: tuple[JsonValue, ...] = ("7 days", "30 days", "90 days", "1 year", "no end")
DAYS = {"7 days": 7, "30 days": 30, "90 days": 90, "1 year": 365, "no end": None}


def person_contract(workspaces: Iterable[str]) -> JsonObject:
    """Return the form of a new person, with a first role in one of the workspaces."""
    return {
        "type": "object",
        "required": ["name", "username", "workspace", "role"],
        "properties": {
            "name": {**_NAME, "description": "As others see it, like Maren Holt."},
            "username": {
                "type": "string",
                "title": "User name",
                "pattern": "^[A-Za-z0-9@.+_-]{1,150}$",
                "description": "For signing in: letters, digits and @ . + - _",
            },
            "email": {"type": "string", "title": "E-mail address", "format": "email"},
            "workspace": {"title": "Workspace", "enum": list(workspaces)},
            "role": {"title": "First role", "enum": [role.value for role in Role]},
        },
        "additionalProperties": False,
    }


def membership_contract(workspaces: Iterable[str]) -> JsonObject:
    """Return the form that grants a role."""
    return {
        "type": "object",
        "required": ["workspace", "role"],
        "properties": {
            "workspace": {"title": "Workspace", "enum": list(workspaces)},
            "role": {"title": "Role", "enum": [role.value for role in Role]},
        },
        "additionalProperties": False,
    }


WORKSPACE: JsonObject = {
    "type": "object",
    "required": ["name", "slug"],
    "properties": {
        "name": {**_NAME, "description": "A department or project, like Motor claims."},
        "slug": {
            "type": "string",
            "title": "Short name in addresses",
            "pattern": "^[a-z0-9-]{1,63}$",
            "description": "Lower-case letters, digits and hyphens. It never changes.",
        },
    },
    "additionalProperties": False,
}

WORKSPACE_CHANGE: JsonObject = {
    "type": "object",
    "required": ["name", "weight"],
    "properties": {
        "name": _NAME,
        "weight": {
            "type": "integer",
            "title": "Weight",
            "minimum": 1,
            "maximum": MAX_WEIGHT,
            "description": "While runs of several workspaces wait for a worker, each gets a part "
            f"of the workers' time by its weight. The usual weight is {USUAL_WEIGHT}; twice as "
            "much gets twice the time.",
        },
    },
    "additionalProperties": False,
}


def token_contract(*, is_service: bool) -> JsonObject:
    """Return the form of a new token; a service is not offered what only people do."""
    offered: list[JsonValue] = [
        scope
        for scope in access.SCOPES
        if not is_service or not scope.endswith((":decide", ":approve"))
    ]
    return {
        "type": "object",
        "required": ["name", "scopes", "lifetime"],
        "properties": {
            "name": {**_NAME, "title": "What is it for", "examples": ["Nightly import"]},
            "scopes": {
                "type": "array",
                "title": "Scopes",
                "description": "The star stands for all of them.",
                "uniqueItems": True,
                "minItems": 1,
                "items": {"enum": offered},
            },
            "lifetime": {"title": "Works for", "enum": list(_LIFETIMES), "default": "90 days"},
        },
        "additionalProperties": False,
    }


def service_contract(workspaces: Iterable[str]) -> JsonObject:
    """Return the form of a new service identity."""
    return {
        "type": "object",
        "required": ["name", "workspace"],
        "properties": {
            "name": {**_NAME, "examples": ["Claims portal"]},
            "workspace": {"title": "Workspace", "enum": list(workspaces)},
        },
        "additionalProperties": False,
    }
