"""UUIDv7 (RFC 9562): time-ordered ids."""

from __future__ import annotations

import os
import threading
import time
from uuid import UUID

_lock = threading.Lock()
_latest_ms = 0
_counter = 0


def new_id() -> UUID:
    """Return a UUIDv7 that sorts after every id this process made before.

    Within one millisecond the 12 bits of `rand_a` count up (RFC 9562, 6.2 method 1); when they are
    used up, or the clock steps back, the millisecond of the latest id is kept and counted on.
    """
    global _latest_ms, _counter
    with _lock:
        now_ms = time.time_ns() // 1_000_000
        if now_ms > _latest_ms:
            _latest_ms, _counter = now_ms, int.from_bytes(os.urandom(2), "big") & 0x3FF
        else:
            _counter += 1
            if _counter > 0xFFF:
                _latest_ms, _counter = _latest_ms + 1, 0
        ms, count = _latest_ms, _counter
    random = int.from_bytes(os.urandom(8), "big") & (2**62 - 1)
    return UUID(int=ms << 80 | 0x7 << 76 | count << 64 | 0b10 << 62 | random)


def _renew_lock() -> None:
    """A fork may have come while another thread of the parent held the lock."""
    global _lock
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_renew_lock)
