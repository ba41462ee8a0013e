"""Boots: one process that walks runs, how others see that it is alive, and how it keeps its claims.

Theory of operation. A boot is a UUID, the owner in claims and attempts. While it lives it holds a
lock that the operating system or the database takes away when the process dies: a session advisory
lock on a connection of its own (PostgreSQL), or a lock on a file in BATON_HOME (SQLite). A free
lock therefore means a dead owner, known milliseconds after `kill -9`.

The keeper thread owns that connection. Every second it asks whether the lock is still held, and
every five it renews the leases of the runs that this process walks; no agent's call can block it.
When the connection breaks, the lock is gone and the sweeper may already have freed the claims: the
boot counts as lost, its walks give up without writing, and the next walk begins under a new boot.
"""

from __future__ import annotations

import fcntl
import logging
import os
import socket
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Final, TypeAlias
from uuid import UUID

from django.conf import settings
from django.db import DatabaseError, connection, connections

from orchestrator.ids import new_id
from orchestrator.runs import statements
from orchestrator.runs.models import Worker

logger = logging.getLogger(__name__)

LOOK_SECONDS: Final = 1.0
RENEW_SECONDS: Final = 5.0
SEEN_SECONDS: Final = 10.0
START_SECONDS: Final = 10.0
SILENT_SECONDS: Final = 10
"""After so long without a sign of life the database takes a `SingleHolder`'s lock away."""

Wakes: TypeAlias = "SimpleQueue[Any]"
"""The queue that a walk listens to; None put into it is a doorbell."""


class BootFailedError(RuntimeError):
    """The boot could not take its lock or write its row in time."""


class Boot:
    """One boot of this process.

    `lost` set: its claims count as lost, write nothing more. `draining` set: the process is about
    to stop, walks hand their run back between two calls.
    """

    def __init__(self) -> None:
        self.id: UUID = new_id()
        self.pid = os.getpid()
        self.lost = threading.Event()
        self.draining = threading.Event()
        self._walks: dict[UUID, Wakes] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._ready = threading.Event()
        self._stuck = 0
        self._keeper = threading.Thread(
            target=self._keep, name=f"boot-{self.id.hex[-6:]}", daemon=True
        )

    def start(self) -> None:
        """Take the lock, write the row, keep both.

        Raises:
            BootFailedError: the database did not answer in time.
        """
        self._keeper.start()
        if not self._ready.wait(START_SECONDS) or self.lost.is_set():
            self.lost.set()
            raise BootFailedError("a worker could not register itself with the database")

    def stop(self) -> None:
        """Give the lock back; whatever this boot still claims is free for others from now on."""
        self._stop.set()
        self._keeper.join(2.0)
        self.lost.set()

    def enter(self, run_id: UUID, wakes: Wakes) -> bool:
        """Note that this process walks the run; False: another thread of it already does.

        The other one is woken, so that a doorbell is never lost: it was rung after its reason was
        committed, and parking looks at the inbox once more.
        """
        with self._lock:
            walking = self._walks.setdefault(run_id, wakes)
        if walking is not wakes:
            walking.put(None)
            return False
        return True

    def leave(self, run_id: UUID) -> None:
        """Note that this process no longer walks the run."""
        with self._lock:
            self._walks.pop(run_id, None)

    def walking(self) -> list[UUID]:
        """The runs that this process walks just now."""
        with self._lock:
            return list(self._walks)

    def count_stuck_thread(self) -> int:
        """Count a thread that ran past its deadline and cannot be stopped; returns how many."""
        with self._lock:
            self._stuck += 1
            return self._stuck

    def _keep(self) -> None:
        try:
            held = _hold(self.id)
        except (DatabaseError, OSError):
            logger.exception("boot cannot take its lock")
            self.lost.set()
            self._ready.set()
            return
        try:
            self._register()
            self._ready.set()
            self._renew_until_stopped(held)
            with suppress(DatabaseError):
                Worker.objects.filter(id=self.id).update(ended_at=statements.CLOCK.now())
        except DatabaseError:
            logger.exception("boot lost its connection; its claims count as lost")
        finally:
            self.lost.set()
            self._ready.set()
            held.give_back()
            connections.close_all()

    def _register(self) -> None:
        now = statements.database_now()
        Worker.objects.create(
            id=self.id,
            hostname=socket.gethostname(),
            pid=self.pid,
            started_at=now,
            seen_at=now,
            labels=",".join(settings.WORKER_LABELS),
        )

    def _renew_until_stopped(self, held: _Held) -> None:
        renewed = seen = time.monotonic()
        while not self._stop.wait(LOOK_SECONDS):
            if not held.is_held():
                logger.error("boot lost its lock; its claims count as lost")
                return
            now = time.monotonic()
            try:
                if now - renewed >= RENEW_SECONDS:
                    renewed = now
                    if walking := self.walking():
                        statements.renew(self.id, walking)
                if now - seen >= SEEN_SECONDS:
                    seen = now
                    Worker.objects.filter(id=self.id).update(
                        seen_at=statements.database_now(), stuck_threads=self._stuck
                    )
            except DatabaseError:
                # A lock timeout, say; if the database is gone, the next look finds the lock gone.
                logger.exception("boot could not renew its leases")
            finally:
                connection.close()


_current: Boot | None = None
_current_lock = threading.Lock()


def current() -> Boot:
    """The boot of this process; a new one after a fork, or when the former one was lost."""
    global _current
    boot = _current
    if boot is not None and boot.pid == os.getpid() and not boot.lost.is_set():
        return boot
    with _current_lock:
        boot = _current
        if boot is None or boot.pid != os.getpid() or boot.lost.is_set():
            boot = Boot()
            boot.start()
            _current = boot
        return boot


def drain(seconds: float) -> None:
    """Let the walks of this process hand their runs back; wait for them, at most so long."""
    boot = _current
    if boot is None or boot.pid != os.getpid():
        return
    boot.draining.set()
    deadline = time.monotonic() + seconds
    while boot.walking() and time.monotonic() < deadline:
        time.sleep(0.05)


def retire() -> UUID | None:
    """Stop this process's boot, if it has one, and return its id."""
    global _current
    with _current_lock:
        boot, _current = _current, None
    if boot is None or boot.pid != os.getpid():
        return None
    boot.stop()
    return boot.id


def dead_among(boots: Iterable[UUID]) -> set[UUID]:
    """Those boots whose lock nobody holds."""
    if not statements.is_postgres():
        return {boot for boot in boots if _file_is_free(boot)}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT classid::bigint << 32 | objid::bigint FROM pg_locks "
            "WHERE locktype = 'advisory' AND granted AND objsubid = 1 "
            "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        )
        held = {row[0] for row in cursor.fetchall()}
    return {boot for boot in boots if _key(boot.bytes[8:]) not in held}


class SingleHolder:
    """A lock that one process of the installation holds at a time, for the sweeper and the like.

    Whoever holds it asks `holds` again and again. A holder that is stopped or cut off, not dead,
    would keep all others from its work for good: after `SILENT_SECONDS` PostgreSQL gives the lock
    to whoever asks next. (With SQLite there is one process, and nobody to take its place.)
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._held: _Held | None = None

    def holds(self) -> bool:
        """Whether this process holds it now; tries to take it when it does not."""
        if self._held is not None and self._held.is_held():
            return True
        self.give_back()
        self._held = _try_hold(self._name)
        return self._held is not None

    def give_back(self) -> None:
        """Let another process have it."""
        if self._held is not None:
            self._held.give_back()
            self._held = None


# ---- the two kinds of lock -----------------------------------------------------------------------


class _Held:
    """A lock that this process holds: `held` is a raw connection or a file descriptor."""

    def __init__(self, held: Any, path: Path | None = None, *, own: bool = False) -> None:
        self._held = held
        self._path = path
        self._own = own
        _inheritable.append(self)

    def is_held(self) -> bool:
        if self._path is not None:
            return True
        try:
            self._held.execute("SELECT 1")
        except Exception:
            return False
        return True

    def give_back(self) -> None:
        if self in _inheritable:
            _inheritable.remove(self)
        if self._path is not None:
            if self._own:  # a shared name stays: removing it would let two hold "the" file
                self._path.unlink(missing_ok=True)
            with suppress(OSError):
                os.close(self._held)
        else:
            with suppress(Exception):
                self._held.close()

    def drop_after_fork(self) -> None:
        """Close the child's copy, so that the lock ends with its owner."""
        with suppress(Exception):
            os.close(self._held if self._path is not None else self._held.fileno())


_inheritable: list[_Held] = []


def _drop_inherited() -> None:
    global _current_lock
    _current_lock = threading.Lock()
    for held in _inheritable:
        held.drop_after_fork()
    _inheritable.clear()


os.register_at_fork(after_in_child=_drop_inherited)


def _hold(boot: UUID) -> _Held:
    if statements.is_postgres():
        held = _take_advisory(_key(boot.bytes[8:]))
    else:
        held = _take_file(_file(boot), own=True)
    if held is None:
        raise OSError("the lock of a new boot is taken")
    return held


def _try_hold(name: str) -> _Held | None:
    if statements.is_postgres():
        return _take_advisory(
            _key(name.encode().ljust(8, b"\0")[:8]), silent_seconds=SILENT_SECONDS
        )
    return _take_file(_folder() / f"{name}.lock")


def _take_advisory(key: int, *, silent_seconds: int = 0) -> _Held | None:
    """Take a lock on a connection of its own; silent for so long (0: for ever), it is closed."""
    import psycopg

    parameters = connection.get_connection_params()
    parameters.pop("cursor_factory", None)
    raw: Any = psycopg.connect(**parameters, autocommit=True)
    raw.execute("SELECT set_config('idle_session_timeout', %s, false)", (f"{silent_seconds}s",))
    if raw.execute("SELECT pg_try_advisory_lock(%s)", (key,)).fetchone()[0]:
        return _Held(raw)
    raw.close()
    return None


def _take_file(path: Path, *, own: bool = False) -> _Held | None:
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return _Held(descriptor, path, own=own)


def _file_is_free(boot: UUID) -> bool:
    try:
        descriptor = os.open(_file(boot), os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    else:
        _file(boot).unlink(missing_ok=True)
        return True
    finally:
        os.close(descriptor)


def _folder() -> Path:
    folder: Path = settings.BATON_HOME / "locks"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def _file(boot: UUID) -> Path:
    return _folder() / f"boot-{boot}.lock"


def _key(eight: bytes) -> int:
    return int.from_bytes(eight[:8], "big", signed=True)
