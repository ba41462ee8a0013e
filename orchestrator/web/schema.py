"""The API's own description: what drf-spectacular cannot see by itself."""

from __future__ import annotations

from typing import Any, Final

from drf_spectacular.openapi import AutoSchema
from typing_extensions import override

_PROBLEM: Final = {
    "type": "object",
    "required": ["type", "title", "status", "code", "detail"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string", "description": "Stable; programs may rely on it."},
        "detail": {"type": "string", "description": "What is wrong, in a sentence for people."},
        "request_id": {"type": "string"},
        "violations": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "path": {"type": "string"},
                    "rule": {"type": "string"},
                    "reason": {"type": "string"},
                },
            },
        },
    },
}
_ANSWERS: Final = {
    "400": "The request cannot be read.",
    "401": "Nobody is signed in, or the token is no longer valid.",
    "403": "The actor may not do this; the detail says who can grant it.",
    "404": "There is no such object, or it is not the actor's to see.",
    "409": "The object is no longer in the state that the caller saw.",
    "413": "The request is too large.",
    "415": "The media type is not understood.",
    "422": "The content breaks a contract; each violation names its place.",
    "429": "Too many requests.",
}
_SEVERAL_APPS_HAVE: Final = frozenset({"CheckSerializer", "VersionBriefSerializer"})
_METHODS: Final = frozenset({"get", "post", "put", "patch", "delete"})


class Schema(AutoSchema):
    """Describes `Idempotency-Key` where an action honours it; names components apart per app."""

    @override
    def get_serializer_name(self, serializer: Any, direction: str) -> str:
        """Return a component's name; one that several apps use gets the app's name."""
        name = type(serializer).__name__
        if name not in _SEVERAL_APPS_HAVE:
            return name
        app = type(serializer).__module__.removeprefix("orchestrator.").partition(".")[0]
        return f"{app.capitalize()}{name}"

    @override
    def get_override_parameters(self) -> list[Any]:
        """Return parameters that no serializer or filter names."""
        from drf_spectacular.utils import OpenApiParameter

        action = getattr(self.view, getattr(self.view, "action", None) or "", None)
        if self.method == "POST" and getattr(action, "is_idempotent", False):
            return [
                OpenApiParameter(
                    "Idempotency-Key",
                    str,
                    OpenApiParameter.HEADER,
                    description="Sent twice with the same content, the create happens once.",
                )
            ]
        return []


def add_problems(result: dict[str, Any], **_context: object) -> dict[str, Any]:
    """Add the problem answers to every operation; a hook of drf-spectacular."""
    result.setdefault("components", {}).setdefault("schemas", {})["Problem"] = _PROBLEM
    reference = {"$ref": "#/components/schemas/Problem"}
    for item in result.get("paths", {}).values():
        for method, operation in item.items():
            if method not in _METHODS:
                continue
            for status, words in _ANSWERS.items():
                operation["responses"].setdefault(
                    status,
                    {
                        "description": words,
                        "content": {"application/problem+json": {"schema": reference}},
                    },
                )
    return result
