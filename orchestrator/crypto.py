"""Encryption of single fields: AES-256-GCM, each value bound to the place that it belongs to.

A sealed value is `v1.<key id>.<nonce and ciphertext>`. The place (table, column, row, and what else
must not change, such as the address that a credential is for) is authenticated with it: a value
that is moved to another row or address does not open. Keys stand in `BATON_HOME/field.keys` or in
the setting `BATON_FIELD_KEYS`, one `id:key` a line; the first seals, all of them open.
"""

from __future__ import annotations

import base64
import binascii
import os
import secrets
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings

from orchestrator.core.errors import DomainError

FILE_NAME: Final = "field.keys"
NONCE_BYTES: Final = 12


class SealBrokenError(DomainError):
    """A sealed value cannot be opened: its key is missing, or it belongs to another place."""

    code = "seal_broken"
    status = 500


def seal(text: str, *, place: str) -> str:
    """The text, encrypted for this place.

    Raises:
        SealBrokenError: the keys of this installation cannot be read.
    """
    key_id, key = next(iter(_keys().items()))
    nonce = secrets.token_bytes(NONCE_BYTES)
    sealed = nonce + AESGCM(key).encrypt(nonce, text.encode(), place.encode())
    return f"v1.{key_id}.{base64.urlsafe_b64encode(sealed).decode()}"


def unseal(sealed: str, *, place: str) -> str:
    """The text that was sealed for this place.

    Raises:
        SealBrokenError: it was sealed for another place, was changed, or its key is missing.
    """
    version, _, rest = sealed.partition(".")
    key_id, _, body = rest.partition(".")
    key = _keys().get(key_id)
    if version != "v1" or key is None:
        raise SealBrokenError("The key that a stored credential was encrypted with is missing.")
    try:
        raw = base64.urlsafe_b64decode(body)
        return AESGCM(key).decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], place.encode()).decode()
    except (InvalidTag, binascii.Error, ValueError):
        raise SealBrokenError("A stored credential does not belong where it stands.") from None


def _keys() -> dict[str, bytes]:
    """The keys by id, the one that seals first."""
    given = settings.FIELD_KEYS
    if not given:
        path = Path(settings.BATON_HOME) / FILE_NAME
        if not path.exists():
            _create(path)
        given = path.read_text(encoding="ascii")
    keys = {}
    for line in given.split():
        key_id, _, text = line.partition(":")
        try:
            keys[key_id] = base64.b64decode(text, validate=True)
        except binascii.Error:
            keys[key_id] = b""
    if not keys or any(len(one) != 32 for one in keys.values()):
        raise SealBrokenError("The keys for credentials cannot be read: one id:key a line.")
    return keys


def _create(path: Path) -> None:
    key = base64.b64encode(secrets.token_bytes(32)).decode()
    temporary = path.with_name(f"{FILE_NAME}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(f"{secrets.token_hex(4)}:{key}\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(temporary, path)
    except FileExistsError:  # another process was first; its key counts
        pass
    finally:
        temporary.unlink()
