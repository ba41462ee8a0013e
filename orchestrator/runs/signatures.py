"""Signed webhooks: which secret a trigger has, and whether a request was signed with it.

The header `Baton-Signature: t=<unix seconds>,v1=<hex>` holds HMAC-SHA256 of `<t>.<id>.<body>`; the
id is that of the header `Baton-Event-Id`, empty without it. It holds no dot, so that nothing can be
moved between id and body. A request older or newer than five minutes is refused, so that a recorded
one cannot be sent again later; within the five minutes the same request counts once. Secrets are
derived from the installation's key, so that none is stored; another installation key makes them all
worthless.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, TypeAlias
from uuid import UUID

from django.utils.crypto import salted_hmac

HEADER: Final = "Baton-Signature"
EVENT_ID: Final = "Baton-Event-Id"
MAX_EVENT_ID: Final = 200
WINDOW_SECONDS: Final = 300
_SALT: Final = "baton.webhook-secret/1"
Refusal: TypeAlias = Literal["unsigned", "out_of_time", "wrong_signature"]


@dataclass(frozen=True, slots=True)
class Signed:
    """What a request says of itself: when it was signed, its id and its body."""

    at: int
    event_id: str
    body: bytes

    def text(self) -> bytes:
        """What the signature is made over."""
        return f"{self.at}.{self.event_id}.".encode() + self.body


def is_event_id(text: str) -> bool:
    """Whether a request may have this id: printable ASCII, no dot, not too long."""
    return len(text) <= MAX_EVENT_ID and text.isascii() and text.isprintable() and "." not in text


def secret_of(trigger_id: UUID, number: int) -> str:
    """The secret that a trigger's sender signs with; another for each number."""
    made = salted_hmac(_SALT, f"{trigger_id}/{number}", algorithm="sha256").digest()
    return f"whsec_{base64.urlsafe_b64encode(made).decode().rstrip('=')}"


def signature(secret: str, signed: Signed) -> str:
    """What a sender puts into the header."""
    return f"t={signed.at},v1={_mac(secret, signed)}"


def read(
    header: str, *, event_id: str, body: bytes, secrets: Sequence[str], now: datetime
) -> Signed | Refusal:
    """What one of the secrets signed, in time; otherwise why the request is refused."""
    parts = dict(part.strip().partition("=")[::2] for part in header.split(","))
    at, given = parts.get("t", ""), parts.get("v1", "")
    if not (at.isascii() and at.isdigit() and len(at) <= 12 and given.isascii()):
        return "unsigned"
    signed = Signed(int(at), event_id, body)
    # Compared with every secret, in constant time each, before the time is looked at.
    expected = [_mac(secret, signed) for secret in secrets]
    matching = [one for one in expected if hmac.compare_digest(given.lower(), one)]
    if not matching:
        return "wrong_signature" if given else "unsigned"
    return signed if abs(now.timestamp() - signed.at) <= WINDOW_SECONDS else "out_of_time"


def _mac(secret: str, signed: Signed) -> str:
    return hmac.new(secret.encode(), signed.text(), hashlib.sha256).hexdigest()
