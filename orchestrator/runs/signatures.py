"""Signed webhooks: which secret a trigger has, and whether a request was signed with it.

The header `Baton-Signature: t=<unix seconds>,v1=<hex>` holds HMAC-SHA256 of `<t>.<body>`. A request
older or newer than five minutes is refused, so that a recorded one cannot be sent again later;
within the five minutes the same request counts once. Secrets are derived from the installation's
key, so that none is stored; another installation key makes them all worthless.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from datetime import datetime
from typing import Final, Literal, TypeAlias
from uuid import UUID

from django.utils.crypto import salted_hmac

HEADER: Final = "Baton-Signature"
WINDOW_SECONDS: Final = 300
_SALT: Final = "baton.webhook-secret/1"
Refusal: TypeAlias = Literal["unsigned", "out_of_time", "wrong_signature"]


def secret_of(trigger_id: UUID, number: int) -> str:
    """The secret that a trigger's sender signs with; another for each number."""
    made = salted_hmac(_SALT, f"{trigger_id}/{number}", algorithm="sha256").digest()
    return f"whsec_{base64.urlsafe_b64encode(made).decode().rstrip('=')}"


def signature(secret: str, at: int, body: bytes) -> str:
    """What a sender puts into the header."""
    made = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={made}"


def refusal(header: str, body: bytes, secrets: Sequence[str], now: datetime) -> Refusal | None:
    """Why a request is refused; None when one of the secrets signed it, in time."""
    parts = dict(part.strip().partition("=")[::2] for part in header.split(","))
    at, given = parts.get("t", ""), parts.get("v1", "")
    if not (at.isascii() and at.isdigit() and len(at) <= 12 and given.isascii()):
        return "unsigned"
    # Compared with every secret, in constant time each, before the time is looked at.
    expected = [signature(secret, int(at), body).partition("v1=")[2] for secret in secrets]
    matching = [one for one in expected if hmac.compare_digest(given.lower(), one)]
    if not matching:
        return "wrong_signature" if given else "unsigned"
    return None if abs(now.timestamp() - int(at)) <= WINDOW_SECONDS else "out_of_time"
