"""Canonical JSON (RFC 8785) and the content hashes made of it."""

from __future__ import annotations

import hashlib
import json
import re

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
    """Return the canonical form of a value that the standard library's encoder writes in it.

    That is so when keys are ASCII (both sort them alike) and numbers are integers up to 2^53, and
    takes a tenth of the time. None: a number, or something in a text that looks like one, may be a
    float or beyond; or a key is not ASCII.

    Raises:
        ValueError: the value holds a lone surrogate.
    """
    try:
        text = _encode(value)
    except ValueError:  # NaN, an infinity
        return None
    if _ODD_NUMBER.search(text) or not (text.isascii() or _has_ascii_keys(value)):
        return None
    return text.encode()


def content_sha256(value: JsonValue) -> str:
    """Return the lower-case hex SHA-256 of the canonical form."""
    return hashlib.sha256(canonical_bytes(value)).hexdigest()


_encode = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
).encode
_ODD_NUMBER = re.compile(r'(?:^|":|[,\[])-?(?:\d+[.e]|\d{16})')


def _has_ascii_keys(value: JsonValue) -> bool:
    if isinstance(value, dict):
        return all(key.isascii() and _has_ascii_keys(child) for key, child in value.items())
    return not isinstance(value, list) or all(_has_ascii_keys(child) for child in value)
