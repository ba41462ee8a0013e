"""Keyset paging: pages that stay right while rows are added, at the same cost for each page.

A cursor is the sort key of a row and the direction to go from it, as base64 of strict JSON. It
gives no right: the queryset it is applied to has been filtered for the actor before.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Generic, TypeVar
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db.models import Model, Q, QuerySet

from orchestrator.core.canonical import canonical_bytes
from orchestrator.core.errors import InvalidInputError
from orchestrator.core.json import parse_json

PAGE_SIZE: Final = 50
MAX_PAGE_SIZE: Final = 200

Row = TypeVar("Row", bound=Model)


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """Some rows in order; a cursor is empty where there is no further page."""

    rows: list[Row]
    next: str
    previous: str


def page_of(
    queryset: QuerySet[Row],
    *,
    order: Sequence[str],
    cursor: str = "",
    size: int = PAGE_SIZE,
) -> Page[Row]:
    """Return one page of a queryset in `order` (field names, `-` for descending, unique together).

    Raises:
        InvalidInputError: the cursor was not made by this function for this order.
    """
    backwards, key = _read(cursor, order) if cursor else (False, None)
    names = [_flipped(name) for name in order] if backwards else list(order)
    rows = queryset.order_by(*names)
    if key is not None:
        rows = _after(rows, names, key)
    try:
        found = list(rows[: size + 1])
    except (ValidationError, ValueError, TypeError):
        raise _bad_cursor() from None
    has_more = len(found) > size
    found = found[:size]
    if backwards:
        found.reverse()
    has_next = has_more if not backwards else True
    has_previous = has_more if backwards else key is not None
    return Page(
        rows=found,
        next=_write(found[-1], order, backwards=False) if found and has_next else "",
        previous=_write(found[0], order, backwards=True) if found and has_previous else "",
    )


def _after(rows: QuerySet[Row], names: Sequence[str], key: Sequence[Any]) -> QuerySet[Row]:
    """Keep what sorts after the key: a, or equal a and then b, and so on."""
    condition = Q()
    for index, name in enumerate(names):
        field, step = name.lstrip("-"), "lt" if name.startswith("-") else "gt"
        term = Q(**{f"{field}__{step}": key[index]})
        for earlier, value in zip(names[:index], key[:index], strict=True):
            term &= Q(**{earlier.lstrip("-"): value})
        condition |= term
    try:
        return rows.filter(condition)
    except (ValidationError, ValueError, TypeError):
        raise _bad_cursor() from None


def _flipped(name: str) -> str:
    return name[1:] if name.startswith("-") else f"-{name}"


def _write(row: Model, order: Sequence[str], *, backwards: bool) -> str:
    values = [_plain(_value(row, name.lstrip("-"))) for name in order]
    raw = canonical_bytes(["p" if backwards else "n", *values])
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _value(row: Any, path: str) -> Any:
    for part in path.split("__"):
        row = getattr(row, part)
    return row


def _plain(value: Any) -> str | int | float:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    assert isinstance(value, str | int | float), "a sort key must not be empty"
    return value


def _read(cursor: str, order: Sequence[str]) -> tuple[bool, list[Any]]:
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        value = parse_json(raw, max_bytes=2000)
    except (binascii.Error, ValueError, InvalidInputError):
        raise _bad_cursor() from None
    if not isinstance(value, list) or len(value) != len(order) + 1 or value[0] not in ("p", "n"):
        raise _bad_cursor()
    if not all(isinstance(part, str | int | float) for part in value[1:]):
        raise _bad_cursor()
    return value[0] == "p", value[1:]


def _bad_cursor() -> InvalidInputError:
    return InvalidInputError(
        "This cursor does not belong to this list; start again without one.",
        detail={"violations": [{"path": "/cursor", "rule": "cursor", "reason": "not a cursor"}]},
    )
