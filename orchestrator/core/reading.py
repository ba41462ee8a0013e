"""Reading what people and programs send: text and documents, each mistake with its place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias, TypeVar

from pydantic import BaseModel, ValidationError

from orchestrator.core.errors import InvalidInputError
from orchestrator.core.json import JsonObject, check_json, clean_text
from orchestrator.core.schemas import pointer

MAX_VIOLATIONS: Final = 50
Location: TypeAlias = Sequence[str | int]
Document = TypeVar("Document", bound=BaseModel)


def read_text(text: str) -> str:
    """Return the text without space around it.

    Raises:
        InvalidInputError: it holds what the database cannot.
    """
    try:
        return clean_text(text).strip()
    except ValueError as error:
        raise InvalidInputError(f"The text {error}.") from None


def read_document(
    shape: type[Document],
    given: Document | JsonObject,
    *,
    what: str,
    place: Callable[[Location], Location] = lambda location: location,
) -> Document:
    """Return the document as its model; `what` names it in the message ("manifest").

    `place` turns pydantic's location into that of the document, where the two differ.

    Raises:
        InvalidInputError: it is malformed; `detail["violations"]` lists each place.
    """
    if isinstance(given, shape):
        return given
    assert isinstance(given, dict)
    check_json(given)
    try:
        return shape.model_validate(given)
    except ValidationError as error:
        violations = violations_of(error, place)
        first = violations[0]
        raise InvalidInputError(
            f"The {what} is not valid: {first['path'] or '/'}: {first['reason']}",
            detail={"violations": violations},
        ) from None


def violations_of(
    error: ValidationError, place: Callable[[Location], Location] = lambda location: location
) -> list[JsonObject]:
    """Return what pydantic found as path (JSON pointer), rule and reason: the first fifty."""
    return [
        {
            "path": pointer(place(one["loc"])),
            "rule": one["type"],
            "reason": one["msg"].removeprefix("Value error, "),
        }
        for one in error.errors(include_url=False, include_input=False)[:MAX_VIOLATIONS]
    ]
