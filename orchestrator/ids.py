"""UUIDv7 (RFC 9562): time-ordered ids; and random bytes without a system call each."""

from __future__ import annotations

import os
import threading
import time
from datetime import datetime
from uuid import UUID

BLOCK_BYTES = 4_096
"""Random bytes are fetched from the system in blocks of this size."""

_lock = threading.Lock()
_latest_ms = 0
_counter = 0
_block = b""
_used = 0


def new_id() -> UUID:
    """Return a UUIDv7 that sorts after every id this process made before.

    Within one millisecond the 12 bits of `rand_a` count up (RFC 9562, 6.2 method 1); when they are
    used up, or the clock steps back, the millisecond of the latest id is kept and counted on.
    """
    global _latest_ms, _counter
    with _lock:
        now_ms = time.time_ns() // 1_000_000
        if now_ms > _latest_ms:
            _latest_ms, _counter = now_ms, int.from_bytes(_taken(2), "big") & 0x3FF
        else:
            _counter += 1
            if _counter > 0xFFF:
                _latest_ms, _counter = _latest_ms + 1, 0
        ms, count = _latest_ms, _counter
        random = int.from_bytes(_taken(8), "big") & (2**62 - 1)
    return UUID(int=ms << 80 | 0x7 << 76 | count << 64 | 0b10 << 62 | random)


def first_id(since: datetime) -> UUID:
    """The smallest UUIDv7 of that instant (RFC 9562)."""
    return UUID(int=int(since.timestamp() * 1_000) << 80)


def random_bytes(count: int) -> bytes:
    """Return random bytes of the system (at most `BLOCK_BYTES`), none of them twice."""
    with _lock:
        return _taken(count)


def _taken(count: int) -> bytes:
    """The next bytes of the block; the caller holds the lock."""
    global _block, _used
    if _used + count > len(_block):
        _block, _used = os.urandom(BLOCK_BYTES), 0
    taken = _block[_used : _used + count]
    _used += count
    return taken


def _begin_in_child() -> None:
    """A fork: another thread may have held the lock, and parent and child share no randomness."""
    global _lock, _block, _used
    _lock = threading.Lock()
    _block, _used = b"", 0


os.register_at_fork(after_in_child=_begin_in_child)
