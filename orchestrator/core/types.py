"""The shared types that every installation has: money, files, places in documents, dates."""

from __future__ import annotations

from orchestrator.core.catalogue import DomainType, Repair
from orchestrator.core.json import JsonObject

MAX_EXACT = 2**53 - 1

_MONEY: JsonObject = {
    "title": "Money",
    "description": "An amount in the smallest unit of its currency.",
    "type": "object",
    "properties": {
        "minor": {"type": "integer", "minimum": -MAX_EXACT, "maximum": MAX_EXACT},
        "currency": {"$ref": "baton:Currency"},
    },
    "required": ["minor", "currency"],
    "additionalProperties": False,
}
_ARTEFACT: JsonObject = {
    "title": "File",
    "description": "A stored file, named by the SHA-256 of its bytes.",
    "type": "object",
    "properties": {
        "artefact": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
        "media": {"type": "string", "pattern": "^[a-z]+/[a-z0-9.+-]+$", "maxLength": 100},
        "name": {"type": "string", "minLength": 1, "maxLength": 255},
    },
    "required": ["artefact", "media", "name"],
    "additionalProperties": False,
}
_COORDINATE: JsonObject = {"type": "integer", "minimum": 0, "maximum": 10_000_000}
_PLACE: JsonObject = {
    "title": "Place in a document",
    "description": "Page from 1 with a box in 1/100 point from the top left, or lines from 1.",
    "type": "object",
    "properties": {
        "artefact": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
        "page": {"type": "integer", "minimum": 1},
        "box": {"type": "array", "items": _COORDINATE, "minItems": 4, "maxItems": 4},
        "lines": {
            "type": "array",
            "items": {"type": "integer", "minimum": 1},
            "minItems": 2,
            "maxItems": 2,
        },
        "text": {"type": "string", "maxLength": 2_000},
    },
    "required": ["artefact"],
    "anyOf": [{"required": ["page", "box"]}, {"required": ["lines"]}],
    "additionalProperties": False,
}


def standard_types() -> dict[str, DomainType]:
    """The types that need no registration, by name: money, files, places, dates."""
    return {item.name: item for item in _standard()}


def _standard() -> tuple[DomainType, ...]:
    return (
        DomainType(
            "Currency",
            1,
            {
                "title": "Currency",
                "type": "string",
                "pattern": "^[A-Z]{3}$",
                "description": "ISO 4217",
            },
            repairs=(Repair(r"^\s+|\s+$", "", "space around it was removed"),),
            uppercase=True,
        ),
        DomainType("Money", 1, _MONEY),
        DomainType("Artefact", 1, _ARTEFACT),
        DomainType("Place", 1, _PLACE),
        DomainType(
            "Sources",
            1,
            {
                "title": "Sources",
                "description": "JSON pointer of a value -> the place where it was read.",
                "type": "object",
                "propertyNames": {"pattern": "^(/.*)?$"},
                "additionalProperties": {"$ref": "baton:Place"},
            },
        ),
        DomainType(
            "Date",
            1,
            {"title": "Date", "type": "string", "format": "date"},
            repairs=(
                Repair(r"^\s+|\s+$", "", "space around it was removed"),
                Repair(
                    r"^(\d{2})\.(\d{2})\.(\d{4})$",
                    r"\3-\2-\1",
                    "day.month.year was put in ISO order",
                ),
                Repair(r"^(\d{4})[./](\d{2})[./](\d{2})$", r"\1-\2-\3", "separators became dashes"),
            ),
        ),
        DomainType("Instant", 1, {"title": "Instant", "type": "string", "format": "date-time"}),
    )
