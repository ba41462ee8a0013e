"""Canonical JSON (RFC 8785) and the content hashes made of it."""

from __future__ import annotations

import hashlib

import orjson
import rfc8785

from orchestrator.core.json import JsonValue


def canonical_bytes(value: JsonValue) -> bytes:
    """Return the RFC 8785 form of a JSON value as UTF-8 bytes.

    Raises:
        ValueError: the value holds NaN, an infinity, a lone surrogate or an integer beyond 2**53.
    """
    plain = plain_bytes(value)
    return rfc8785.dumps(value) if plain is None else plain


def plain_bytes(value: JsonValue) -> bytes | None:
    """Return the canonical form of a value that a common encoder writes in it.

    That is so when keys are ASCII (both sort them alike) and numbers are integers below 2^53, and
    takes a hundredth of the time. None: it holds another number, a key that is not ASCII, or what
    the encoder does not take (deep nesting, a lone surrogate).
    """
    if not _is_plain(value):
        return None
    try:
        written = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:
        return None
    return written if written.isascii() or _has_ascii_keys(value) else None


def content_sha256(value: JsonValue) -> str:
    """Return the lower-case hex SHA-256 of the canonical form."""
    return hashlib.sha256(canonical_bytes(value)).hexdigest()


def _is_plain(value: object) -> bool:
    """Whether all numbers in it are integers below 2^53; asked at every entry and payload."""
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return True
    if kind is int:
        return abs(value) < 2**53  # type: ignore[arg-type]  # `kind` tells what mypy does not see
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list | tuple):
        return isinstance(value, str)
    for child in value:  # noqa: SIM110 -- a generator takes twice as long
        if type(child) is not str and not _is_plain(child):  # most are text: not worth a call
            return False
    return True


def _has_ascii_keys(value: JsonValue) -> bool:
    if isinstance(value, dict):
        return all(key.isascii() and _has_ascii_keys(child) for key, child in value.items())
    return not isinstance(value, list) or all(_has_ascii_keys(child) for child in value)
