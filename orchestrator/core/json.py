"""JSON values: their type, the base model of everything stored or sent, and strict parsing."""

from __future__ import annotations

import json
from typing import Annotated, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict
from pydantic import JsonValue as JsonValue

from orchestrator.core.errors import InvalidInputError

JsonObject: TypeAlias = dict[str, JsonValue]

MAX_DEPTH = 64
MAX_BYTES = 1_000_000


def clean_text(value: str) -> str:
    """Return the text, or refuse NUL bytes and lone surrogates (PostgreSQL stores neither)."""
    if "\x00" in value:
        raise ValueError("must not contain a NUL byte")
    if any("\ud800" <= char <= "\udfff" for char in value):
        raise ValueError("must not contain a lone surrogate")
    return value


Text = Annotated[str, AfterValidator(clean_text)]


class Model(BaseModel):
    """Base of everything that is stored or sent: frozen, unknown fields refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


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
        value: JsonValue = json.loads(
            raw, object_pairs_hook=_object_without_duplicates, parse_constant=_refuse_constant
        )
    except json.JSONDecodeError as error:
        raise InvalidInputError(
            f"This is not JSON: {error.msg} at line {error.lineno}, column {error.colno}.",
            detail={"line": error.lineno, "column": error.colno},
        ) from None
    except (UnicodeDecodeError, RecursionError, ValueError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise InvalidInputError(f"This JSON cannot be read: {reason}.") from None
    check_json(value, max_depth=max_depth)
    return value


def check_json(value: JsonValue, *, max_depth: int = MAX_DEPTH) -> None:
    """Refuse a value that the database or canonical JSON could not hold.

    Raises:
        InvalidInputError: names the place as a JSON pointer.
    """
    stack: list[tuple[JsonValue, str, int]] = [(value, "", 1)]
    while stack:
        node, path, depth = stack.pop()
        if depth > max_depth:
            raise InvalidInputError(
                f"The JSON is nested deeper than {max_depth} levels.",
                detail={
                    "violations": [
                        {
                            "path": "/".join(path.split("/")[:9]),
                            "rule": "depth",
                            "reason": f"is nested deeper than {max_depth} levels",
                        }
                    ]
                },
            )
        if isinstance(node, dict):
            for key, child in node.items():
                _check_text(key, path)
                stack.append((child, f"{path}/{key}", depth + 1))
        elif isinstance(node, list):
            stack.extend((child, f"{path}/{index}", depth + 1) for index, child in enumerate(node))
        else:
            _check_scalar(node, path)


def _check_scalar(node: str | bool | int | float | None, path: str) -> None:
    if isinstance(node, str):
        _check_text(node, path)
    elif isinstance(node, (int, float)) and not isinstance(node, bool):
        if node != node or node in (float("inf"), float("-inf")):
            raise InvalidInputError(f"{path or '/'}: NaN and infinities are not JSON.")
        if abs(node) >= 2**53:  # canonical JSON would write a large fraction as such an integer
            raise InvalidInputError(f"{path or '/'}: numbers beyond 2^53 are not exact.")


def _check_text(text: str, path: str) -> None:
    try:
        clean_text(text)
    except ValueError as error:
        raise InvalidInputError(f"{path or '/'}: text {error}.") from None


def _object_without_duplicates(pairs: list[tuple[str, JsonValue]]) -> JsonObject:
    result: JsonObject = {}
    for key, value in pairs:
        if key in result:
            raise ValueError(f"the key '{key}' stands twice in one object")
        result[key] = value
    return result


def _refuse_constant(name: str) -> JsonValue:
    raise ValueError(f"{name} is not JSON")
