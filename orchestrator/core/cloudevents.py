"""Events as they come over HTTP: CloudEvents 1.0 in JSON, structured or binary. Pure.

Sources: CloudEvents specification 1.0.2, JSON event format and HTTP protocol binding.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Final
from urllib.parse import unquote

from pydantic import Field, SkipValidation, StringConstraints, ValidationError, field_validator

from orchestrator.core.definition import EventType
from orchestrator.core.errors import InvalidInputError
from orchestrator.core.json import JsonObject, JsonValue, Model, Text

PREFIX: Final = "ce-"
_Short = Annotated[Text, StringConstraints(min_length=1, max_length=500)]
_ATTRIBUTES: Final = ("specversion", "id", "source", "type", "subject", "time", "dataschema")
_JSON_TYPES: Final = frozenset({"", "application/json", "text/json"})


class IncomingEvent(Model):
    """One event. `key` is its subject, `schema_` the version of its data's schema.

    `at` is when it happened; None when its sender did not say. `content` is taken as it is: whoever
    makes one has parsed it strictly (`json.parse_json`), or made it himself.
    """

    id: _Short
    source: _Short
    type: EventType
    key: Annotated[Text, StringConstraints(max_length=500)] = ""
    schema_: Annotated[Text, Field(max_length=500)] = ""
    at: datetime | None = None
    content: SkipValidation[JsonValue] = None

    @field_validator("at")
    @classmethod
    def _with_offset(cls, at: datetime | None) -> datetime | None:
        if at is not None and at.tzinfo is None:
            raise ValueError("must name its offset from UTC, such as 2026-01-31T09:00:00Z")
        return None if at is None else at.astimezone(UTC)


def read_structured(given: JsonValue, place: str = "") -> IncomingEvent:
    """An event whose attributes and data stand in one JSON object, strictly parsed.

    Raises:
        InvalidInputError: `detail["violations"]` names each place below `place`.
    """
    if not isinstance(given, dict):
        raise _refused(place, "object", "must be an object with the attributes of an event")
    if "data_base64" in given:
        raise _refused(f"{place}/data_base64", "media", "is not taken; send JSON in 'data'")
    if not _is_json(given.get("datacontenttype", "")):
        raise _refused(f"{place}/datacontenttype", "media", "must be application/json")
    return _read(given, given.get("data"), place)


def read_batch(given: JsonValue, at_most: int) -> list[IncomingEvent]:
    """A list of structured events.

    Raises:
        InvalidInputError: no list, too long, or one of them is malformed.
    """
    if not isinstance(given, list) or len(given) > at_most:
        raise _refused("", "list", f"must be a list of at most {at_most} events")
    return [read_structured(one, f"/{number}") for number, one in enumerate(given)]


def read_binary(headers: Mapping[str, str], content: JsonValue) -> IncomingEvent:
    """An event whose attributes are `ce-` headers and whose data is the body.

    Raises:
        InvalidInputError: names each attribute that is missing or malformed.
    """
    lower = {name.lower(): value for name, value in headers.items()}
    given: dict[str, JsonValue] = {
        name: unquote(lower[PREFIX + name]) if PREFIX + name in lower else None
        for name in _ATTRIBUTES
    }
    return _read(given, content, "")


def _read(given: Mapping[str, JsonValue], content: JsonValue, place: str) -> IncomingEvent:
    if given.get("specversion") != "1.0":
        raise _refused(f"{place}/specversion", "const", "must be '1.0'")
    subject, schema = given.get("subject"), given.get("dataschema")
    values = {
        "id": given.get("id"),
        "source": given.get("source"),
        "type": given.get("type"),
        "key": "" if subject is None else subject,
        "schema_": "" if schema is None else schema,
        "at": given.get("time"),
        "content": content,
    }
    try:
        return IncomingEvent.model_validate(values)
    except ValidationError as error:
        named = {"key": "subject", "schema_": "dataschema", "at": "time"}
        violations: list[JsonValue] = []
        for one in error.errors(include_url=False, include_context=False, include_input=False):
            name = str(one["loc"][0])
            violation: JsonObject = {"path": f"{place}/{named.get(name, name)}"}
            violations.append({**violation, "rule": one["type"], "reason": one["msg"]})
        raise InvalidInputError(
            "This is not an event of CloudEvents 1.0.", detail={"violations": violations}
        ) from None


def _is_json(media: JsonValue) -> bool:
    return media == "application/json" or (
        str(media).partition(";")[0].strip().lower() in _JSON_TYPES
    )


def _refused(path: str, rule: str, reason: str) -> InvalidInputError:
    violation: JsonObject = {"path": path, "rule": rule, "reason": reason}
    return InvalidInputError(
        f"This is not an event of CloudEvents 1.0: {path or 'it'} {reason}.",
        detail={"violations": [violation]},
    )
