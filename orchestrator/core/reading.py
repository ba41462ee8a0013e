"""Reading what people and programs send: text and documents, each mistake with its place."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

from pydantic import BaseModel, ValidationError

from orchestrator.core.errors import InvalidInputError
from orchestrator.core.json import JsonObject, check_json, clean_text
from orchestrator.core.schemas import pointer

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

MAX_VIOLATIONS: Final = 50
_KEY: Final = "[key]"
"""How pydantic marks that the name of a field is meant, and not its value."""
_COUNTED: Final = frozenset({"steps", "links", "outcomes", "routes"})
"""Parts of a document whose own name says what is counted in them."""
_RULE_WORDS: Final[Mapping[str, str]] = {
    "missing": "is required but missing",
    "extra_forbidden": "is not a field that is known here",
    "string_type": "must be text",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "bool_type": "must be yes or no (true or false)",
    "bool_parsing": "must be yes or no (true or false)",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    "literal_error": "must be {expected}",
    "enum": "must be {expected}",
    "union_tag_invalid": "has the kind '{tag}'; it must be one of {expected_tags}",
    "union_tag_not_found": "does not say of which kind it is: {discriminator} is missing",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
}
_LENGTHS: Final[Mapping[str, str]] = {
    "too_long": "max_length",
    "string_too_long": "max_length",
    "too_short": "min_length",
    "string_too_short": "min_length",
}
"""Rules about length, and where pydantic puts their limit."""
_PATTERN_WORDS: Final[Mapping[str, str]] = {
    r"^[a-z][a-z0-9_]{0,62}$": (
        "begin with a small letter and hold small letters, digits and _ only, at most 63"
    ),
    r"^[A-Za-z_][A-Za-z0-9_]{0,62}$": (
        "begin with a letter or _ and hold letters, digits and _ only, at most 63"
    ),
    r"^[a-z0-9][a-z0-9-]{0,62}$": (
        "begin with a small letter or digit and hold small letters, digits and - only, at most 63"
    ),
}
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


def read_reason(given: str) -> str:
    """Return why somebody does something, as the audit log keeps it.

    Raises:
        InvalidInputError: nothing is said, or it holds what the database cannot.
    """
    text = read_text(given)
    if not text:
        raise InvalidInputError(
            "Say why, in a few words. It stands in the audit log.",
            detail={"violations": [{"path": "/reason", "rule": "required", "reason": "is empty"}]},
        )
    return text[:2_000]


def read_document(
    shape: type[Document],
    given: Document | JsonObject,
    *,
    what: str,
    place: Callable[[Location], Location] = lambda location: location,
) -> Document:
    """Return the document as its model; `what` names it in the message ("manifest").

    What is wrong is said for people; a limit is named with what was given.

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
        _violation(one, place(one["loc"]))
        for one in error.errors(include_url=False)[:MAX_VIOLATIONS]
    ]


def _violation(found: ErrorDetails, location: Location) -> JsonObject:
    """One mistake in words for people; a bad name of a field is told at the field."""
    reason = _reason(found, location)
    if location and location[-1] == _KEY:
        location = location[:-1]
        reason = f"has a name that cannot be used: it {reason}"
    return {"path": pointer(location), "rule": found["type"], "reason": reason}


def _reason(found: ErrorDetails, location: Location) -> str:
    rule, context = found["type"], found.get("ctx", {})
    if _LENGTHS.get(rule) in context:
        return _length(rule, context, found["input"], location)
    if rule == "string_pattern_mismatch" and "pattern" in context:
        pattern = str(context["pattern"])
        return f"must {_PATTERN_WORDS.get(pattern, f'match the pattern {pattern}')}"
    with suppress(KeyError):  # a rule without words, or without what its words name
        return _RULE_WORDS[rule].format_map({key: str(value) for key, value in context.items()})
    return found["msg"].removeprefix("Value error, ")


def _length(rule: str, context: Mapping[str, Any], given: object, location: Location) -> str:
    """What is too long or too short, with the limit and what it is counted in."""
    is_long = rule.endswith("long")
    limit = int(context[_LENGTHS[rule]])
    if not is_long and limit == 1:
        return "must not be empty"
    actual = len(given) if isinstance(given, (str, dict, list, tuple)) else 0
    unit = "characters" if isinstance(given, str) else "entries"
    if location and location[-1] in _COUNTED and not isinstance(given, str):
        unit = str(location[-1])
    bound = "at most" if is_long else "at least"
    return f"may have {bound} {limit:,} {unit}; this one has {actual:,}"
