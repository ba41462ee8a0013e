"""The key that signs tree heads: a file of mode 0600 in BATON_HOME, apart from Django's secret."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from urllib.parse import urlsplit

from django.conf import settings

from audit.note import SignerKey, VerifierKey

FILE_NAME = "audit.key"


def signer() -> SignerKey:
    """Return the log's private key; the first call of an installation makes it.

    Raises:
        NoteError: the file holds something else.
        OSError: it cannot be read or made.
    """
    path = Path(settings.BATON_HOME) / FILE_NAME
    if not path.exists():
        _create(path)
    return SignerKey.parse(path.read_text(encoding="ascii"))


def verifier() -> VerifierKey:
    """Return the log's public key."""
    return signer().verifier


def _create(path: Path) -> None:
    host = urlsplit(settings.BATON_URL).hostname or "localhost"
    key = SignerKey(f"audit.{host}/baton/{secrets.token_hex(4)}", secrets.token_bytes(32))
    temporary = path.with_name(f"{FILE_NAME}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(key.private_text + "\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(temporary, path)
    except FileExistsError:  # another process was first; its key counts
        pass
    finally:
        temporary.unlink()
