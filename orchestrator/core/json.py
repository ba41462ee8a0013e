"""JSON values: their type, the base model of everything stored or sent, and strict parsing."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Annotated, Any, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict
from pydantic import JsonValue as JsonValue

from orchestrator.core.errors import InvalidInputError

JsonObject: TypeAlias = dict[str, JsonValue]

MAX_DEPTH = 64
MAX_BYTES = 1_000_000
MAX_EXACT = 2**53
"""Canonical JSON writes no integer from here on exactly, and large fractions as such integers."""

_SURROGATE = re.compile("[\ud800-\udfff]")
_SHOWN_KEYS = 8
_SHOWN_CHARACTERS = 60


class TooLargeError(InvalidInputError):
    """A value has more parts than its place allows."""


def clean_text(value: str) -> str:
    """Return the text, or refuse NUL bytes and lone surrogates (PostgreSQL stores neither)."""
    if "\x00" in value:
        raise ValueError("must not contain a NUL byte")
    if not value.isascii() and _SURROGATE.search(value):
        raise ValueError("must not contain a lone surrogate")
    return value


Text = Annotated[str, AfterValidator(clean_text)]


class Model(BaseModel):
    """Base of everything that is stored or sent: frozen, unknown fields refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def printable(text: str, limit: int = _SHOWN_CHARACTERS) -> str:
    """The beginning of a text from outside, with escapes for what cannot be seen or stored."""
    shown = "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in text[:limit])
    return f"{shown}…" if len(text) > limit else shown


def parse_json(
    raw: bytes | str, *, max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH
) -> JsonValue:
    """Parse JSON strictly: no duplicate keys, NaN, NUL, lone surrogates, excess depth or size.

    Raises:
        InvalidInputError: says what is wrong and, where the parser knows it, line and column.
    """
    size = len(raw) if isinstance(raw, bytes) else len(raw.encode("utf-8", "surrogatepass"))
    if size > max_bytes:
        raise InvalidInputError(f"The JSON is {size} bytes; at most {max_bytes} are allowed.")
    try:
        text = _text_of(raw)
        value: JsonValue = json.loads(
            text,
            object_pairs_hook=_object_without_duplicates,
            parse_constant=_refuse_constant,
        )
    except json.JSONDecodeError as error:
        raise InvalidInputError(
            f"This is not JSON: {error.msg} at line {error.lineno}, column {error.colno}.",
            detail={"line": error.lineno, "column": error.colno},
        ) from None
    except RecursionError:
        raise InvalidInputError("This JSON cannot be read: it is nested too deeply.") from None
    except ValueError as error:
        # The parser's own words for a number of thousands of digits speak of its settings.
        is_long = str(error).startswith("Exceeds the limit")
        reason = "a number has too many digits" if is_long else str(error)
        raise InvalidInputError(f"This JSON cannot be read: {reason}.") from None
    check_json(value, max_depth=max_depth, max_size=max_bytes)
    return value


def check_json(value: object, *, max_depth: int = MAX_DEPTH, max_size: int | None = None) -> None:
    """Refuse a value that the database or canonical JSON could not hold.

    `max_size` bounds the number of values and characters, which is never more than the bytes of the
    JSON text; with it the walk ends also where one list stands in many places.

    Raises:
        TooLargeError: more than `max_size`.
        InvalidInputError: names the place as a JSON pointer, in `detail["violations"]` as well.
    """
    if not _is_clean(value, max_depth, MAX_BYTES if max_size is None else min(max_size, MAX_BYTES)):
        _check_parts(value, max_depth, max_size)


def _is_clean(value: object, max_depth: int, left: float) -> bool:
    """Whether nothing is wrong with a value, level by level; False also when that is not certain.

    Several times faster than the walk that knows the places, and most values are clean. Looks only
    into JSON's own types, whose methods are nobody else's; `left` as `max_size`.
    """
    level: list[Any] = [value]
    left -= 1
    for _ in range(max_depth):
        deeper: list[Any] = []
        for node in level:
            kind = type(node)
            if kind is str:
                left -= len(node)
                if not _is_clean_text(node):
                    return False
            elif kind is dict or kind is list:
                left -= _parts_of(node)
                if left < 0:
                    return False
                deeper += node.values() if kind is dict else node
            elif not (node is None or kind is bool or _is_exact(node, kind)):
                return False
        if not deeper:
            return left >= 0
        level = deeper
    return False


def _parts_of(node: Any) -> float:
    """How much an object or list counts; without end when a key is not clean."""
    if type(node) is list:
        return len(node)
    is_clean = all(type(key) is str and _is_clean_text(key) for key in node)
    return len(node) + sum(map(len, node)) if is_clean else math.inf


def _is_clean_text(text: str) -> bool:
    return "\x00" not in text and (text.isascii() or not _SURROGATE.search(text))


def _is_exact(node: Any, kind: type) -> bool:
    # NaN is not between anything
    return (kind is int or kind is float) and -MAX_EXACT < node < MAX_EXACT


def _check_parts(value: object, max_depth: int, max_size: int | None) -> None:
    """Find out what is wrong with a value, and where."""
    place: list[str] = []
    levels: list[Iterator[tuple[object, object]]] = [iter([("", value)])]
    left = math.inf if max_size is None else max_size
    while levels:
        following = next(levels[-1], None)
        if following is None:
            levels.pop()
            continue
        key, node = following
        del place[len(levels) - 1 :]
        if not isinstance(key, str) and not isinstance(levels[-1], enumerate):
            raise _refusal(place, "json", f"a key is {_kind(key)} and not text")
        place.append(str(key))
        left -= 1 + (len(key) if isinstance(key, str) else 0)
        if len(levels) > max_depth:
            raise _refusal(place, "depth", f"is nested deeper than {max_depth} levels")
        if isinstance(node, dict):
            levels.append(iter(node.items()))
        elif isinstance(node, list):
            levels.append(enumerate(node))
        else:
            left -= len(node) if isinstance(node, str) else 0
            _check_scalar(node, place)
        if left < 0:
            raise _refusal(place, "size", f"is larger than {max_size:,} values and characters")
        if isinstance(key, str):
            _check_text(key, place[:-1])


def detached(value: JsonValue) -> JsonValue:
    """The same value in containers of its own: whoever changes it changes nobody else's.

    For values whose depth has been checked.
    """
    if isinstance(value, dict):
        return {key: detached(child) for key, child in value.items()}
    if isinstance(value, list):
        return [detached(child) for child in value]
    return value


def _text_of(raw: bytes | str) -> str:
    if isinstance(raw, str):
        return raw
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"byte {error.start + 1} is not UTF-8") from None


def _check_scalar(node: object, place: list[str]) -> None:
    if isinstance(node, str):
        _check_text(node, place)
    elif isinstance(node, (int, float)) and not isinstance(node, bool):
        if isinstance(node, float) and not math.isfinite(node):
            raise _refusal(place, "json", "NaN and infinities are not JSON")
        if abs(node) >= MAX_EXACT:
            raise _refusal(place, "json", "numbers beyond 2^53 are not exact")
    elif node is not None and not isinstance(node, bool):
        raise _refusal(place, "json", f"is {_kind(node)} and not JSON")


def _check_text(text: str, place: list[str]) -> None:
    try:
        clean_text(text)
    except ValueError as error:
        raise _refusal(place, "json", f"text {error}") from None


def _refusal(place: list[str], rule: str, reason: str) -> InvalidInputError:
    # The first entry of a place is the whole document.
    path = "".join(f"/{printable(key)}" for key in place[1 : _SHOWN_KEYS + 1])
    violation: JsonObject = {"path": path, "rule": rule, "reason": reason}
    message = f"{path or '/'}: {reason}." if rule == "json" else f"The JSON {reason}."
    kind = TooLargeError if rule == "size" else InvalidInputError
    return kind(message, detail={"violations": [violation]})


def _kind(value: object) -> str:
    return printable(f"a value of type {type(value).__name__}")


def _object_without_duplicates(pairs: list[tuple[str, JsonValue]]) -> JsonObject:
    result = dict(pairs)
    if len(result) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise ValueError(f"the key '{printable(key)}' stands twice in one object")
            seen.add(key)
    return result


def _refuse_constant(name: str) -> JsonValue:
    raise ValueError(f"{name} is not JSON")
