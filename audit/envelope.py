"""The exact bytes of an audit entry. Pure: no clock, no randomness, no I/O.

An envelope is canonical JSON (RFC 8785) whose numbers are integers only. Fields that do not apply
are left out. Personal data never stands in it: people are pseudonymous ids, free text and payloads
stand beside it and the envelope holds `commit = HMAC-SHA256(salt, bytes)` of each.

    v            1
    id           UUIDv7 of the entry
    at           UTC with microseconds, "2026-11-20T16:41:58.204000Z"
    workspace    UUID
    action       a word of actions.py
    actor        {kind: user|agent|system|service, id, via?, on_behalf_of?}
    subject      {kind, id, version?, content_sha256?}
    run, step, attempt
    decision     {outcome, reason_code?, reason_text_ref?, shown_sha256?, policy?, basis?: [...]}
    before_sha256, after_sha256
    payload      {name: {commit, media, bytes}}; the reason's text is the one named "reason"
    trace_id, request_id
    run_seq      journal number (walker's entries), or
    event_id     of the inbox event (everybody else's entries about a run)
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

from orchestrator.core.canonical import canonical_bytes, plain_bytes
from orchestrator.core.errors import DomainError
from orchestrator.core.json import JsonObject, JsonValue

VERSION = 1
REASON = "reason"
MAX_BYTES = 65_535
"""The length of an entry is a uint16 in tlog-tiles."""

MAX_INTEGER = 2**53 - 1


@dataclass(frozen=True, slots=True)
class Subject:
    """What an entry is about. `kind` is a snake-case model name, `id` its key as text."""

    kind: str
    id: str
    version: int | None = None
    content_sha256: str = ""


class EntryTooLargeError(DomainError):
    """The envelope is longer than 65,535 bytes: move what is large into a payload."""

    code = "audit_entry_too_large"
    status = 422


class NotCanonicalError(ValueError):
    """The envelope holds a float, an integer beyond 2^53 or a key that is no text."""


@lru_cache(maxsize=64)
def instant(value: datetime) -> str:
    """Return the UTC instant with microseconds, always 27 characters long.

    Raises:
        ValueError: the time has no zone.
    """
    if value.tzinfo is None:
        raise ValueError("an audit entry needs a time with a zone")
    utc = value.astimezone(UTC).replace(tzinfo=None)
    return f"{utc.isoformat(timespec='microseconds')}Z"


def commit_of(salt: bytes, content: bytes) -> str:
    """Return the hex commitment that stands in an envelope for bytes kept elsewhere.

    HMAC-SHA256 (RFC 2104).
    """
    return hmac.digest(salt, content, "sha256").hex()


def envelope_bytes(fields: JsonObject) -> bytes:
    """Return the canonical bytes of an envelope.

    Raises:
        NotCanonicalError: a float, or an integer that is not exact in every reader.
        EntryTooLargeError: more than 65,535 bytes.
    """
    encoded = plain_bytes(fields)
    if encoded is None:
        refuse_inexact(fields)
        encoded = canonical_bytes(fields)
    if len(encoded) > MAX_BYTES:
        raise EntryTooLargeError(
            f"An audit entry of {len(encoded)} bytes is too large; at most {MAX_BYTES} fit.",
            detail={"bytes": len(encoded), "max_bytes": MAX_BYTES},
        )
    return encoded


def payload_bytes(value: JsonValue) -> bytes:
    """Return the canonical bytes of a JSON payload; floats are allowed here."""
    return canonical_bytes(value)


def refuse_inexact(value: JsonValue) -> None:
    """Refuse numbers that not every reader reads as they were written.

    Raises:
        NotCanonicalError: a float, or an integer beyond 2^53.
    """
    if isinstance(value, float):
        raise NotCanonicalError("an audit entry holds integers only, no floats")
    if isinstance(value, int) and not -MAX_INTEGER <= value <= MAX_INTEGER:
        raise NotCanonicalError(f"{value} is beyond 2^53 and not exact in every reader")
    children = value.values() if isinstance(value, dict) else value
    if isinstance(children, str | int) or children is None:
        return
    for child in children:
        refuse_inexact(child)
