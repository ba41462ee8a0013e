"""Canonical JSON (RFC 8785) and the content hashes made of it."""

from __future__ import annotations

import hashlib

import rfc8785

from orchestrator.core.json import JsonValue


def canonical_bytes(value: JsonValue) -> bytes:
    """Return the RFC 8785 form of a JSON value as UTF-8 bytes.

    Raises:
        ValueError: the value holds NaN, an infinity, a lone surrogate or an integer beyond 2**53.
    """
    return rfc8785.dumps(value)


def content_sha256(value: JsonValue) -> str:
    """Return the lower-case hex SHA-256 of the canonical form."""
    return hashlib.sha256(canonical_bytes(value)).hexdigest()
