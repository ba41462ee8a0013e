"""What is read from the database again and again, and may be a moment old."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from typing import Final, Generic, TypeVar

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")

MAX_KEPT: Final = 1_000
"""Of so many keys; then all is forgotten."""


class Fresh(Generic[K, T]):
    """Keeps what a reader gives for at most `seconds`; two threads may read at once."""

    def __init__(self, reader: Callable[[K], T], seconds: float) -> None:
        self._reader = reader
        self._seconds = seconds
        self._kept: dict[K, tuple[float, T]] = {}
        self._lock = threading.Lock()

    def get(self, key: K) -> T:
        """What is kept, or read now when that is too old."""
        now = time.monotonic()
        kept = self._kept.get(key)
        if kept is not None and now - kept[0] < self._seconds:
            return kept[1]
        value = self._reader(key)
        with self._lock:
            if len(self._kept) > MAX_KEPT:
                self._kept.clear()
            self._kept[key] = (now, value)
        return value

    def peek(self, key: K) -> T | None:
        """What is kept, however old; None when nothing is."""
        kept = self._kept.get(key)
        return None if kept is None else kept[1]

    def forget(self, key: K) -> None:
        """Read it anew next time."""
        with self._lock:
            self._kept.pop(key, None)

    def clear(self) -> None:
        """Read everything anew."""
        with self._lock:
            self._kept.clear()
