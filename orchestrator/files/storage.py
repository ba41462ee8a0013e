"""Bytes by their SHA-256 under BATON_HOME: originals in `files`, what is made of them in `cache`.

A file appears under its final name only when it is complete: it is written beside and renamed.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from django.conf import settings

CHUNK_BYTES = 65_536
_SHA256 = re.compile(r"[0-9a-f]{64}")
_CACHE_KEY = re.compile(r"[0-9a-z.-]{1,64}")


def is_sha256(text: str) -> bool:
    """Whether the text is a lower-case hex SHA-256."""
    return _SHA256.fullmatch(text) is not None


@contextmanager
def new_file() -> Iterator[IO[bytes]]:
    """A file to write to; it is gone afterwards unless `keep` moved it to its place."""
    folder = _root() / "incoming"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=folder, delete=False) as file:
        try:
            yield file
        finally:
            with suppress(FileNotFoundError):
                os.unlink(file.name)


def keep(file: IO[bytes], sha256: str) -> Path:
    """Move a complete file to its place; when the content is there already nothing changes."""
    target = path_of(sha256)
    if target.exists():
        return target
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    file.flush()
    os.fsync(file.fileno())
    os.replace(file.name, target)
    return target


def path_of(sha256: str) -> Path:
    """Where the content stands.

    Raises:
        ValueError: not a SHA-256, so never a path out of the folder.
    """
    if not is_sha256(sha256):
        raise ValueError(f"'{sha256}' is not a SHA-256")
    return _root() / sha256[:2] / sha256


def chunks_of(file: IO[bytes]) -> Iterator[bytes]:
    """The whole content from the start, in pieces."""
    file.seek(0)
    while chunk := file.read(CHUNK_BYTES):
        yield chunk


def cached(sha256: str, key: str, make: Callable[[], bytes]) -> bytes:
    """What `make` makes of the content under this key; kept until the cache is emptied."""
    if not is_sha256(sha256) or not _CACHE_KEY.fullmatch(key):
        raise ValueError(f"'{sha256}/{key}' is not a cache key")
    target = Path(settings.BATON_HOME) / "cache" / sha256[:2] / f"{sha256}-{key}"
    with suppress(FileNotFoundError):
        return target.read_bytes()
    content = make()
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=target.parent)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    os.replace(name, target)
    return content


def _root() -> Path:
    return Path(settings.BATON_HOME) / "files"
