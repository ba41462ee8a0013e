"""Gives every committed outbox row its place in the log, and signs tree heads.

Theory of operation. Writers insert outbox rows in their own transactions and wait for nobody. One
sequencer, the holder of a lock, looks every 200 ms for rows without a place, in batches of 2,000.
It gives them the next numbers, appends their leaf hashes to the tree and stores entries, nodes and
frontier in one transaction; the outbox row itself is never touched again.

Finding rows without a place is the delicate part, because rows become visible in another order
than their ids, times or transaction numbers say: tailing `id > latest` misses rows (44 % when
measured).

* PostgreSQL: each row notes its transaction (`txid`). Before each look the smallest transaction
  that is still running (`pg_snapshot_xmin`) is read: all below it have ended, so the look that
  follows sees all of their rows that will ever be. When that look has placed everything it saw,
  rows with a smaller txid need never be looked for again: the next look starts there (`low`).
* SQLite has one writer at a time, so rows become visible in the order of their rowid, and rows are
  never deleted: `rowid > latest` misses nothing.

In both the look also leaves out rows that have a place, and the first look of a process starts from
the beginning. Should two sequencers ever run at once, the unique number of an entry and the guarded
update of the frontier let only one of them commit a place.

A head is signed every 5 s or 1,000 entries while the log grows, and at once, for exactly that size,
after an entry that asks for an export.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Final, NamedTuple, Protocol, TypeAlias
from uuid import UUID

from django.conf import settings
from django.db import close_old_connections, connection, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from audit import log_key, merkle
from audit.checker import Checker
from audit.models import AuditEntry, SequencerState, TreeHead, TreeNode
from audit.note import Head, SignerKey
from orchestrator import live

logger = logging.getLogger("baton.audit")

BATCH: Final = 2_000
ROUND_SECONDS: Final = 0.2
STANDBY_SECONDS: Final = 1.0
SILENT_SECONDS: Final = 30
"""After so long without a sign of life the database takes the lock away from its holder."""
HEAD_EVERY: Final = timedelta(seconds=5)
HEAD_ENTRIES: Final = 1_000
SIGNED_AT_ONCE: Final = "audit_export.requested"
NODE_LEVELS: Final = (8, 16, 24, 32)
"""Levels whose complete subtrees are stored; what lies between is recomputed when needed."""

LOCK_KEY: Final = int.from_bytes(hashlib.sha256(b"baton.audit.sequencer").digest()[:8], signed=True)


UNPLACED: Final = {
    "sqlite": """
        SELECT o.id, o.envelope, o.action FROM audit_auditoutbox o
        WHERE o.rowid > %s
          AND NOT EXISTS (SELECT 1 FROM audit_auditentry e WHERE e.outbox_id = o.id)
        ORDER BY o.rowid LIMIT %s""",
    "postgresql": """
        SELECT o.id, o.envelope, o.action FROM audit_auditoutbox o
        WHERE o.txid >= (%s::text)::xid8
          AND NOT EXISTS (SELECT 1 FROM audit_auditentry e WHERE e.outbox_id = o.id)
        ORDER BY o.txid, o.id LIMIT %s""",
}
HAS_UNPLACED: Final = {
    "sqlite": """
        SELECT 1 FROM audit_auditoutbox o
        WHERE o.rowid > %s
          AND NOT EXISTS (SELECT 1 FROM audit_auditentry e WHERE e.outbox_id = o.id)
        LIMIT 1""",
    "postgresql": """
        SELECT 1 FROM audit_auditoutbox o
        WHERE o.txid >= (%s::text)::xid8
          AND NOT EXISTS (SELECT 1 FROM audit_auditentry e WHERE e.outbox_id = o.id)
        LIMIT 1""",
}
INSERT: Final = {
    "sqlite": "INSERT INTO audit_auditentry (seq, outbox_id, leaf_sha256) VALUES (%s, %s, %s)",
    "postgresql": """
        INSERT INTO audit_auditentry (seq, outbox_id, leaf_sha256)
        SELECT %s + n, encode(substr(given.ids, n * 16 + 1, 16), 'hex')::uuid,
            substr(given.leaves, n * 32 + 1, 32)
        FROM (SELECT %s::bytea AS ids, %s::bytea AS leaves) AS given,
            generate_series(0, %s) AS n""",
}
SAFE_POSITION: Final = {
    "sqlite": "SELECT COALESCE(MAX(rowid), 0) FROM audit_auditoutbox",
    "postgresql": "SELECT pg_snapshot_xmin(pg_current_snapshot())::text",
}


class Unplaced(NamedTuple):
    """An outbox row without a place."""

    outbox_id: UUID
    envelope: bytes
    action: str


Entry: TypeAlias = tuple[int, UUID, bytes]
"""A row of `audit_auditentry`: its number, the outbox row, the leaf hash."""


class Lock(Protocol):
    """The right to place rows and sign."""

    def now(self) -> datetime:
        """The database's time (on SQLite: the process's), if the lock is ours still.

        Raises:
            DatabaseError: it may be somebody else's by now.
        """


class Sequencer:
    """Places rows and signs heads. Only the holder of `sequencer_lock` uses one."""

    def __init__(self) -> None:
        self._low: int | None = None
        self._head: TreeHead | None = None
        self._size: int | None = None

    def place(self, now: datetime) -> int:
        """Give up to `BATCH` committed rows their place; return how many."""
        if self._low is not None and not _has_unplaced(self._low):
            return 0
        with transaction.atomic():
            safe = _safe_position()
            rows = _unplaced(self._low or 0)
            heads = self._append(rows, now) if rows else []
        for head in heads:
            _write_file(head)
            self._head = head
        if len(rows) < BATCH:
            self._low = safe
        return len(rows)

    def sign(self, now: datetime, *, at_once: bool = False) -> TreeHead | None:
        """Sign a head of the present size when one is due, and return it."""
        if self._size is None:
            self._head = TreeHead.objects.order_by("-size").first()
            self._size = _state().size
        size, at = (self._head.size, self._head.at) if self._head else (0, None)
        grown = self._size - size
        is_due = at is None or grown >= HEAD_ENTRIES or abs(now - at) >= HEAD_EVERY
        if grown <= 0 or not (is_due or at_once):
            return None
        with transaction.atomic():
            frontier = _frontier(_state())
            key = log_key.signer()
            self._head = _store_head(key, Head(key.name, frontier.size, frontier.root()), now)
        _write_file(self._head)
        return self._head

    def _append(self, rows: list[Unplaced], now: datetime) -> list[TreeHead]:
        state = _state()
        frontier = _frontier(state)
        entries: list[Entry] = []
        nodes, heads = [], []
        for row in rows:
            leaf = merkle.leaf_hash(row.envelope)
            entries.append((frontier.size, row.outbox_id, leaf))
            for level, index, sha256 in frontier.append(leaf):
                if level in NODE_LEVELS:
                    nodes.append(TreeNode(level=level, index=index, sha256=sha256))
            if row.action == SIGNED_AT_ONCE:
                heads.append((frontier.size, frontier.root()))
        _insert(entries)
        TreeNode.objects.bulk_create(nodes)
        moved = SequencerState.objects.filter(id=state.id, size=state.size).update(
            size=frontier.size, frontier=[one.hex() for one in frontier.hashes]
        )
        if moved != 1:
            raise RuntimeError("another sequencer placed rows at the same time")
        if self._size is not None:
            self._size = frontier.size
        if not heads:
            return []
        key = log_key.signer()
        return [_store_head(key, Head(key.name, size, root), now) for size, root in heads]


def run_sequencer(stop: threading.Event) -> None:
    """Place, sign and check until `stop` is set; stands by while another one holds the lock.

    Its errors are logged and it goes on, because without it no export and no proof exists.
    """
    while not stop.is_set():
        try:
            with sequencer_lock() as lock:
                if lock is not None:
                    _run_while_held(lock, stop)
        except Exception:  # a lost database or a full disk must not end the thread
            logger.exception("the sequencer failed and starts again")
            connection.close()
        stop.wait(STANDBY_SECONDS)
    connection.close()


def sequence_once(now: datetime) -> int:
    """Place all rows there are and sign, when nobody else does; return how many were placed."""
    with sequencer_lock() as lock:
        if lock is None:
            return 0
        sequencer, placed = Sequencer(), 0
        while count := sequencer.place(now):
            placed += count
        sequencer.sign(now, at_once=True)
        return placed


@contextmanager
def sequencer_lock() -> Iterator[Lock | None]:
    """Give the lock, or None when somebody else holds it."""
    hold = _file_lock() if connection.vendor == "sqlite" else _advisory_lock()
    with hold as lock:
        yield lock


def _run_while_held(lock: Lock, stop: threading.Event) -> None:
    sequencer, checker = Sequencer(), Checker()
    while not stop.is_set():
        began = time.monotonic()
        now = lock.now()
        placed = sequencer.place(now)
        head = sequencer.sign(now)
        if placed:
            live.hint("audit")
        if placed < BATCH:
            checker.advance(now, fresh=head is not None)
            stop.wait(max(0.0, ROUND_SECONDS - (time.monotonic() - began)))
        close_old_connections()


# Rows without a place


def _safe_position() -> int:
    """Return the position from which a later look must begin, if this one places all it sees.

    PostgreSQL: the smallest transaction still running. SQLite: the latest row.
    """
    with connection.cursor() as cursor:
        cursor.execute(SAFE_POSITION[connection.vendor])
        return int(cursor.fetchone()[0])


def _has_unplaced(low: int) -> bool:
    """Whether there is something to do, asked without taking SQLite's only write lock."""
    with connection.cursor() as cursor:
        cursor.execute(HAS_UNPLACED[connection.vendor], [low])
        return cursor.fetchone() is not None


def _unplaced(low: int) -> list[Unplaced]:
    with connection.cursor() as cursor:
        cursor.execute(UNPLACED[connection.vendor], [low, BATCH])
        return [
            Unplaced(key if isinstance(key, UUID) else UUID(key), bytes(envelope), action)
            for key, envelope, action in cursor.fetchall()
        ]


def _insert(entries: list[Entry]) -> None:
    """Insert entries by hand: each step of a run brings some, and the ORM is ten times slower."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            rows = [(seq, outbox_id.hex, leaf) for seq, outbox_id, leaf in entries]
            cursor.executemany(INSERT["sqlite"], rows)
        else:
            # as two texts of bytes: an array of thousands of values takes longer to write than
            # their hashes to compute
            ids = b"".join(outbox_id.bytes for _, outbox_id, _ in entries)
            leaves = b"".join(leaf for _, _, leaf in entries)
            cursor.execute(INSERT["postgresql"], [entries[0][0], ids, leaves, len(entries) - 1])


# Tree and heads


def _state() -> SequencerState:
    return SequencerState.objects.get_or_create(id=1)[0]


def _frontier(state: SequencerState) -> merkle.Frontier:
    """Return the frontier; when the row does not fit the entries, recompute it from them."""
    latest = AuditEntry.objects.order_by("-seq").values_list("seq", flat=True).first()
    hashes = [bytes.fromhex(one) for one in state.frontier]
    size = 0 if latest is None else latest + 1
    if state.size == size and len(hashes) == size.bit_count():
        return merkle.Frontier(size, hashes)
    logger.warning("the frontier does not fit the entries and is recomputed")
    frontier = merkle.Frontier()
    for leaf in AuditEntry.objects.order_by("seq").values_list("leaf_sha256", flat=True).iterator():
        frontier.append(bytes(leaf))
    state.size = frontier.size
    state.frontier = [one.hex() for one in frontier.hashes]
    state.save()
    return frontier


def _store_head(key: SignerKey, head: Head, now: datetime) -> TreeHead:
    return TreeHead.objects.create(
        size=head.size, root=head.root.hex(), note=key.sign(head.text()), at=now
    )


def _write_file(head: TreeHead) -> None:
    """Keep heads as files too, one per day and the latest apart, to be copied off the machine."""
    folder = Path(settings.BATON_HOME) / "tree-heads"
    folder.mkdir(mode=0o700, exist_ok=True)
    with (folder / f"{head.at:%Y-%m-%d}.txt").open("a", encoding="utf-8") as file:
        file.write(f"{head.note}\n")
    temporary = folder / f"latest.{os.getpid()}.{threading.get_ident()}"
    temporary.write_text(head.note, encoding="utf-8")
    temporary.replace(folder / "latest")


# Locks


class _Held:
    """A lock that nobody can take from us while the process lives."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class _HeldByConnection:
    """An advisory lock: ours as long as its connection lives."""

    def __init__(self, own: BaseDatabaseWrapper) -> None:
        self._own = own

    def now(self) -> datetime:
        with self._own.cursor() as cursor:
            cursor.execute("SELECT clock_timestamp()")
            now: datetime = cursor.fetchone()[0]
        return now


@contextmanager
def _file_lock() -> Iterator[Lock | None]:
    name = hashlib.sha256(str(connection.settings_dict["NAME"]).encode()).hexdigest()[:12]
    folder = Path(settings.BATON_HOME) / "locks"
    folder.mkdir(mode=0o700, exist_ok=True)
    with (folder / f"sequencer-{name}.lock").open("w") as file:
        if not _lock_file(file):
            yield None
            return
        yield _Held()


def _lock_file(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def _advisory_lock() -> Iterator[Lock | None]:
    """Hold a session lock on a connection of its own; a shared one could be given back with it.

    A holder that is stopped or cut off, and not dead, loses it after `SILENT_SECONDS`.
    """
    own = connection.copy()
    try:
        with own.cursor() as cursor:
            cursor.execute(
                "SELECT set_config('idle_session_timeout', %s, false)", [f"{SILENT_SECONDS}s"]
            )
            cursor.execute("SELECT pg_try_advisory_lock(%s)", [LOCK_KEY])
            is_held = cursor.fetchone()[0]
        if not is_held:
            yield None
            return
        try:
            yield _HeldByConnection(own)
        finally:
            with own.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [LOCK_KEY])
    finally:
        own.close()
