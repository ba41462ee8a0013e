"""The hot SQL of the engine: each statement for PostgreSQL, and its portable variant beside it.

Rules that every statement here keeps:

1. The guarded UPDATE of the run row comes first, and every INSERT selects from its RETURNING. With
   a stale fence nothing of a statement lands.
2. On PostgreSQL a statement is one data-modifying CTE, prepared. The rows of a table go in as one
   array per column, so that its text does not depend on their number, in PostgreSQL's binary form,
   which neither side has to quote or to parse. SQLite has no such CTE: the portable variant does
   the same in one `BEGIN IMMEDIATE` transaction, guarded UPDATE first.
3. A claim is `owner` + `lease_until` + `fence`; each claim and each release by somebody else raises
   the fence. Whatever a walker writes says `WHERE id = ? AND fence = ?`.
4. Lease times are the database's; on SQLite, whose clock is the process's, the process's.

`rung_at` says since when a run wants a walker: set by whoever gives it a reason, in his
transaction, and cleared by parking, which is guarded by `inbox_seq = drained_seq`.
"""

from __future__ import annotations

import itertools
import json
import select
import struct
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from typing import Any, Final, Literal, TypeAlias, TypeVar
from uuid import UUID
from weakref import WeakKeyDictionary

from django.db import connection, transaction
from pydantic_core import to_json

from orchestrator.core.json import JsonObject, JsonValue
from orchestrator.core.packing import unpacked, unpacked_binding
from orchestrator.core.state import patched
from orchestrator.runs import faults

LEASE_SECONDS: Final = 20

Row: TypeAlias = Mapping[str, object]
"""A row to write: column -> value.

UUIDs (or their 32 hex digits), instants and bytes as such; JSON as values that pydantic writes as
JSON, or as `JsonText`.
"""


class JsonText(str):
    """A JSON value that is written down already."""

    __slots__ = ()


def json_text(value: object) -> JsonText:
    """A value as JSON text; models, instants and tuples as pydantic writes them."""
    return JsonText(to_json(value), "utf-8")


Release = Literal["hold", "park", "hand_back"]
"""What a commit does with the claim. `park`: give it up unless the inbox holds something new;
`hand_back`: give it up and ask for another walker."""


@dataclass(frozen=True, slots=True)
class _Table:
    """A table that commits insert into. `update`: columns renewed when the key is there already."""

    name: str
    columns: Mapping[str, str]
    key: tuple[str, ...] = ()
    update: tuple[str, ...] = ()


_TABLES: Final[Mapping[str, _Table]] = {
    "events": _Table(
        "runs_runevent",
        {
            "run_id": "uuid",
            "seq": "integer",
            "type": "text",
            "body": "jsonb",
            "patch": "jsonb",
            "inbox_event_id": "uuid",
            "at": "timestamptz",
        },
    ),
    "steps": _Table(
        "runs_steprun",
        {
            "id": "uuid",
            "run_id": "uuid",
            "step": "text",
            "iteration": "integer",
            "status": "text",
            "attempt": "integer",
            "waiting_for": "text",
            "result_tag": "text",
            "port": "text",
            "input": "jsonb",
            "input_override": "jsonb",
            "output": "jsonb",
            "result": "jsonb",
            "started_at": "timestamptz",
            "ended_at": "timestamptz",
        },
        key=("run_id", "step", "iteration"),
        update=(
            *("status", "attempt", "waiting_for", "result_tag", "port", "input", "input_override"),
            *("output", "result", "started_at", "ended_at"),
        ),
    ),
    "attempts": _Table(
        "runs_attempt",
        {
            "id": "uuid",
            "run_id": "uuid",
            "step": "text",
            "iteration": "integer",
            "number": "integer",
            "agent_version_id": "uuid",
            "status": "text",
            "idempotency_key": "text",
            "request_sha256": "text",
            "owner": "uuid",
            "fence": "integer",
            "result_tag": "text",
            "failure_kind": "text",
            "reason": "text",
            "started_at": "timestamptz",
            "ended_at": "timestamptz",
        },
        key=("run_id", "step", "iteration", "number"),
        update=("status", "result_tag", "failure_kind", "reason", "started_at", "ended_at"),
    ),
    "handoffs": _Table(
        "runs_handoff",
        {
            "id": "uuid",
            "run_id": "uuid",
            "seq": "integer",
            "step": "text",
            "iteration": "integer",
            "links": "jsonb",
            "verdict": "text",
            "violations": "jsonb",
            "repairs": "jsonb",
            "payload_sha256": "text",
            "payload_bytes": "integer",
            "at": "timestamptz",
        },
    ),
    "timers": _Table(
        "runs_timer",
        {
            "id": "uuid",
            "run_id": "uuid",
            "key": "text",
            "purpose": "text",
            "step": "text",
            "iteration": "integer",
            "due_at": "timestamptz",
            "correlation": "text",
            "hears_from": "timestamptz",
        },
        key=("run_id", "key"),
        update=("purpose", "step", "iteration", "due_at", "correlation", "hears_from"),
    ),
    "entries": _Table(
        "audit_auditoutbox",
        {
            "id": "uuid",
            "envelope": "bytea",
            "at": "timestamptz",
            "workspace_id": "uuid",
            "action": "text",
            "actor_kind": "text",
            "actor_id": "text",
            "subject_kind": "text",
            "subject_id": "text",
            "run_id": "uuid",
        },
    ),
    "payloads": _Table(
        "audit_auditpayload",
        {
            "commit": "text",
            "entry_id": "uuid",
            "name": "text",
            "salt": "bytea",
            "bytes": "bytea",
            "media": "text",
            "workspace_id": "uuid",
            "run_id": "uuid",
        },
    ),
}

_RUN_COLUMNS: Final[Mapping[str, str]] = {
    "status": "text",
    "title": "text",
    "outcome": "text",
    "needs_attention": "boolean",
    "seq": "integer",
    "drained_seq": "integer",
    "started_at": "timestamptz",
    "ended_at": "timestamptz",
}
_STATE_COLUMNS: Final[Mapping[str, str]] = {"state": "jsonb", "state_seq": "integer"}

_START_COLUMNS: Final[Mapping[str, str]] = {
    "id": "uuid",
    "workspace_id": "uuid",
    "workflow_id": "uuid",
    "version_id": "uuid",
    "snapshot_id": "text",
    "mode": "text",
    "priority": "text",
    "status": "text",
    "title": "text",
    "outcome": "text",
    "needs_attention": "boolean",
    "state": "jsonb",
    "state_seq": "integer",
    "seq": "integer",
    "inbox_seq": "integer",
    "drained_seq": "integer",
    "fence": "integer",
    "rung_at": "timestamptz",
    "created_at": "timestamptz",
    "started_at": "timestamptz",
    "ended_at": "timestamptz",
}

_DETAIL_COLUMNS: Final[Mapping[str, str]] = {
    "run_id": "uuid",
    "input": "jsonb",
    "input_sha256": "text",
    "binding": "jsonb",
    "started_by_kind": "text",
    "started_by": "text",
    "idempotency_key": "text",
    "result": "jsonb",
    "end_reason": "text",
}


@dataclass(slots=True)
class Rows:
    """What a commit inserts or renews, by table; at most one row per key and table."""

    events: list[Row] = field(default_factory=list)
    steps: list[Row] = field(default_factory=list)
    attempts: list[Row] = field(default_factory=list)
    handoffs: list[Row] = field(default_factory=list)
    timers: list[Row] = field(default_factory=list)
    entries: list[Row] = field(default_factory=list)
    payloads: list[Row] = field(default_factory=list)

    def filled(self) -> tuple[str, ...]:
        """The tables that get rows, in the order in which they are written."""
        return tuple(name for name in _TABLES if getattr(self, name))


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit of a walker. `run` has the columns of `_RUN_COLUMNS`.

    And those of `_STATE_COLUMNS` when the whole state is written; without them the state is what
    it was with the patches of the later journal events.
    `dropped_timers` are keys to delete (None: all of the run); `ended` renews the cold row.
    """

    run: Row
    rows: Rows
    release: Release = "hold"
    dropped_timers: tuple[str, ...] | None = ()
    ended: tuple[JsonValue, str] | None = None
    """Result and reason of the end, when the run has ended."""


@dataclass(frozen=True, slots=True)
class Committed:
    """What the row looked like after a commit: `held` is False when the claim was given up."""

    inbox_seq: int
    held: bool


@dataclass(frozen=True, slots=True)
class Received:
    """A row of the inbox."""

    id: UUID
    seq: int
    body: JsonObject


@dataclass(frozen=True, slots=True)
class Claim:
    """A claimed run as the walker needs it. `now` is the database's time of the claim.

    `steps`, `begun` and `lost` are rows as JSON: the step runs, the planned attempts that this
    claim has taken over, and the attempts that an earlier claim left without a result.
    `has_abandoned`: an attempt of the run was given up at some time. `received` is what stands in
    the inbox after `drained_seq`, in order.
    """

    run_id: UUID
    fence: int
    workspace_id: UUID
    workflow_id: UUID
    version_id: UUID
    snapshot_id: str | None
    mode: str
    status: str
    title: str
    state: JsonObject
    seq: int
    inbox_seq: int
    drained_seq: int
    input: JsonObject
    binding: JsonObject
    started_by_kind: str
    started_by: str
    now: datetime
    steps: list[JsonObject]
    begun: list[JsonObject]
    lost: list[JsonObject]
    has_abandoned: bool
    received: list[Received]


class StaleClaimError(Exception):
    """The claim is somebody else's by now; nothing that its walk does can land any more."""


class DatabaseClock:
    """The database's time as this process knows it: an offset to its monotonic clock."""

    def __init__(self) -> None:
        self._offset = datetime.now(UTC) - timedelta(seconds=time.monotonic())

    def set(self, now: datetime) -> None:
        """Learn the database's time."""
        self._offset = now - timedelta(seconds=time.monotonic())

    def now(self) -> datetime:
        """The database's time, with microseconds, UTC."""
        return self._offset + timedelta(seconds=time.monotonic())


CLOCK: Final = DatabaseClock()


def is_postgres() -> bool:
    """Whether the database is PostgreSQL; anything else takes the portable variants."""
    return connection.vendor == "postgresql"


def database_now() -> datetime:
    """Ask the database for its time (on SQLite: the process's), and let `CLOCK` know it."""
    if is_postgres():
        now: datetime = _fetch("SELECT clock_timestamp()", ())[0][0]
    else:
        now = datetime.now(UTC)
    CLOCK.set(now)
    return now


# ---- start ---------------------------------------------------------------------------------------


def start(run: Row, detail: Row, rows: Rows) -> bool:
    """Insert a run with its first journal event and audit entry.

    Returns False, and writes nothing, when the idempotency key has been used already.
    """
    if is_postgres():
        shape = rows.filled()
        values = [
            *_values(_START_COLUMNS, run),
            *_values(_DETAIL_COLUMNS, detail),
            detail["idempotency_key"],
            *_columns_of(rows, shape),
        ]
        return bool(_fetch(_start_sql(shape), values))
    with transaction.atomic():
        key = detail["idempotency_key"]
        if key is not None and _portable_rows(
            "SELECT 1 FROM runs_rundetail WHERE idempotency_key = %s", (key,)
        ):
            return False
        _portable_insert("runs_run", _START_COLUMNS, [run])
        _portable_insert("runs_rundetail", _DETAIL_COLUMNS, [detail])
        _portable_tables(rows)
    return True


@lru_cache(maxsize=64)
def _start_sql(shape: Shape) -> str:
    """The key is checked first: with a used key no part of the statement has a row to insert.

    Two first uses at the same time meet at the unique index, and the later one rolls back.
    """
    parts = [
        f"run AS (SELECT * FROM (VALUES ({_marks(_START_COLUMNS)})) "
        f"AS r({_names(_START_COLUMNS)}))",
        f"given AS (SELECT * FROM (VALUES ({_marks(_DETAIL_COLUMNS)})) "
        f"AS r({_names(_DETAIL_COLUMNS)}))",
        "fresh AS (SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM runs_rundetail "
        "WHERE idempotency_key = %s::text))",
        f"guard AS (INSERT INTO runs_run ({_names(_START_COLUMNS)}) "
        "SELECT run.* FROM fresh, run RETURNING id, workspace_id)",
        f"detail AS (INSERT INTO runs_rundetail ({_names(_DETAIL_COLUMNS)}) "
        "SELECT given.* FROM guard, given)",
        *_insert_parts(shape),
    ]
    return f"WITH {', '.join(parts)} SELECT id FROM guard"


# ---- claim ---------------------------------------------------------------------------------------


def claim(run_id: UUID, owner: UUID, light: Sequence[UUID] = ()) -> Claim | None:
    """Take a run that nobody holds, or whose lease is over, and read it.

    `light` are agent versions whose calls need no commit before them (`pace`).

    1. Guarded UPDATE: owner, lease, fence + 1. No row: somebody else walks it.
    2. In a second statement, whose snapshot begins after the row's lock was won: take over the
       attempts that were planned and not begun, and read everything. (One statement would read with
       the snapshot from before the wait for the lock, and miss the former walker's latest commit.)

    Both in one transaction, so a claim costs one commit; on PostgreSQL both are sent at once, so
    that it costs one round trip too. Then the second cannot wait for what came of the first: it
    finds nothing unless this very transaction has written the run's row.
    """
    if is_postgres():
        claimed = _claimed(run_id, owner, light)
        if claimed is None:
            return None
        taken, details, read = claimed
    else:
        portable = _portable_claim(run_id, owner)
        if portable is None:
            return None
        taken, details, read = portable
    CLOCK.set(taken["now"])
    state = patched(unpacked(_loaded(taken["state"])), read.pop("patches"))
    details["binding"] = unpacked_binding(details["binding"])
    del taken["state_seq"]
    return Claim(run_id=run_id, **{**taken, "state": state}, **details, **read)


_CLAIMED: Final = (
    *("fence", "workspace_id", "workflow_id", "version_id", "snapshot_id", "mode", "status"),
    *("title", "state", "state_seq", "seq", "inbox_seq", "drained_seq", "now"),
)
_TAKEN_AS: Final[Mapping[str, Callable[[Any], Any]]] = {
    **dict.fromkeys(_CLAIMED, str),
    **dict.fromkeys(("workspace_id", "workflow_id", "version_id"), UUID),
    **dict.fromkeys(("fence", "state_seq", "seq", "inbox_seq", "drained_seq"), int),
    "state": lambda value: value,
    "now": datetime.fromisoformat,
}
"""How the columns are read from PostgreSQL's text."""
_READ: Final = ("steps", "begun", "lost", "patches", "has_abandoned", "received")
_DETAILS: Final = ("input", "binding", "started_by_kind", "started_by")
_STEP_READ: Final = ("step", "iteration", "input", "input_override", "output", "result")
_ATTEMPT_READ: Final = (
    *("id", "step", "iteration", "number", "agent_version_id", "idempotency_key"),
    *("request_sha256", "started_at"),
)


def _json_object(columns: Iterable[str], alias: str) -> str:
    pairs = ", ".join(f"'{name}', {alias}.{name}" for name in columns)
    return f"jsonb_build_object({pairs})"


_CLAIM_SQL: Final = f"""
UPDATE runs_run SET owner = %s, fence = fence + 1, needs = '',
    lease_until = clock_timestamp() + interval '{LEASE_SECONDS} seconds',
    status = CASE WHEN status = 'pending' THEN 'running' ELSE status END
WHERE id = %s AND (owner IS NULL OR lease_until < clock_timestamp())
RETURNING {", ".join(_CLAIMED[:-1])}, clock_timestamp()::text
"""

_HYDRATE_SQL: Final = f"""
WITH me AS MATERIALIZED (
    SELECT id, owner, fence, state_seq, inbox_seq, drained_seq FROM runs_run
    WHERE owner = %s AND id = %s
),
begun AS (
    UPDATE runs_attempt a SET owner = me.owner, fence = me.fence, started_at = clock_timestamp()
    FROM me WHERE a.run_id = me.id AND a.status = 'leased' AND a.owner IS NULL
    RETURNING a.*
)
SELECT
    (SELECT {_json_object(_DETAILS, "d")} FROM runs_rundetail d, me WHERE d.run_id = me.id),
    (SELECT coalesce(jsonb_agg({_json_object(_STEP_READ, "s")}), '[]')
        FROM runs_steprun s, me WHERE s.run_id = me.id),
    (SELECT coalesce(jsonb_agg({_json_object(_ATTEMPT_READ, "b")}), '[]') FROM begun b),
    (SELECT coalesce(jsonb_agg({_json_object(_ATTEMPT_READ, "a")}), '[]')
        FROM runs_attempt a, me
        WHERE a.run_id = me.id AND a.status = 'leased' AND a.owner IS NOT NULL),
    (SELECT coalesce(jsonb_agg(e.patch ORDER BY e.seq), '[]')
        FROM runs_runevent e, me
        WHERE e.run_id = me.id AND e.seq > me.state_seq AND e.patch IS NOT NULL),
    (SELECT to_jsonb(EXISTS (SELECT 1 FROM runs_attempt a, me
        WHERE a.run_id = me.id AND a.status = 'abandoned'))),
    (SELECT coalesce(jsonb_agg({_json_object(("id", "seq", "body"), "i")} ORDER BY i.seq), '[]')
        FROM runs_inboxevent i, me
        WHERE me.inbox_seq > me.drained_seq AND i.run_id = me.id AND i.seq > me.drained_seq)
"""
_JUST_CLAIMED: Final = "owner = %s AND id = %s AND xmin = pg_current_xact_id_if_assigned()::xid"
_HYDRATE_AT_ONCE_SQL: Final = f"""
{_HYDRATE_SQL.replace("owner = %s AND id = %s", _JUST_CLAIMED).rstrip()},
    (SELECT set_config('synchronous_commit', 'off', true) FROM me WHERE NOT EXISTS
        (SELECT 1 FROM begun b WHERE b.agent_version_id <> ALL (%s::uuid[])))
"""
"""For a transaction of its own, sent before it is known whether the run was claimed."""


_Taken: TypeAlias = tuple[dict[str, Any], dict[str, Any], dict[str, Any]]
"""What a claim reads: the run's columns, its details, its other rows."""
_Found: TypeAlias = list[tuple[Any, ...]]


def _claimed(run_id: UUID, owner: UUID, light: Sequence[UUID]) -> _Taken | None:
    """The two statements, in one transaction; at once and past psycopg when that is ours alone."""
    connection.ensure_connection()
    raw: Any = connection.connection
    place = (owner.hex, run_id.hex)
    if raw.autocommit:
        listed = "{" + ",".join(one.hex for one in light) + "}"
        both = ((_CLAIM_SQL, place), (_HYDRATE_AT_ONCE_SQL, (*place, listed)))
        claimed, read = _twice(raw, lambda: _run_in_turn(raw, both))
        return _taken(claimed, [row[:-1] for row in read])
    claimed = _fetch(_CLAIM_SQL, place)
    return _taken(claimed, _fetch(_HYDRATE_SQL, place) if claimed else [])


def _taken(claimed: _Found, found: _Found) -> _Taken | None:
    if not claimed:
        return None
    taken = {
        name: None if value is None else _TAKEN_AS[name](_text_of(value))
        for name, value in zip(_CLAIMED, claimed[0], strict=True)
    }
    ((detail, *found_rows),) = found
    read = {name: json.loads(value) for name, value in zip(_READ, found_rows, strict=True)}
    read["received"] = [
        Received(id=UUID(one["id"]), seq=one["seq"], body=one["body"]) for one in read["received"]
    ]
    return taken, json.loads(detail), read


def _portable_claim(run_id: UUID, owner: UUID) -> _Taken | None:
    now = datetime.now(UTC)
    with transaction.atomic():
        found = _portable_rows(
            "UPDATE runs_run SET owner = %s, fence = fence + 1, needs = '', lease_until = %s, "
            "status = CASE WHEN status = 'pending' THEN 'running' ELSE status END "
            "WHERE id = %s AND (owner IS NULL OR lease_until < %s) "
            f"RETURNING {', '.join(_CLAIMED[:-1])}",
            (owner, now + timedelta(seconds=LEASE_SECONDS), run_id, now),
        )
        if not found:
            return None
        taken = dict(zip(_CLAIMED, (*found[0], now), strict=True))
        for name in ("workspace_id", "workflow_id", "version_id"):
            taken[name] = UUID(taken[name])
        detail = _portable_rows(
            f"SELECT {', '.join(_DETAILS)} FROM runs_rundetail WHERE run_id = %s", (run_id,)
        )[0]
        steps = _portable_rows(
            f"SELECT {', '.join(_STEP_READ)} FROM runs_steprun WHERE run_id = %s", (run_id,)
        )
        columns = ", ".join(_ATTEMPT_READ)
        lost = _portable_rows(
            f"SELECT {columns} FROM runs_attempt "
            "WHERE run_id = %s AND status = 'leased' AND owner IS NOT NULL",
            (run_id,),
        )
        patches = _portable_rows(
            "SELECT patch FROM runs_runevent "
            "WHERE run_id = %s AND seq > %s AND patch IS NOT NULL ORDER BY seq",
            (run_id, taken["state_seq"]),
        )
        has_new = taken["inbox_seq"] > taken["drained_seq"]
        inbox = received(run_id, taken["drained_seq"]) if has_new else []
        abandoned = _portable_rows(
            "SELECT 1 FROM runs_attempt WHERE run_id = %s AND status = 'abandoned' LIMIT 1",
            (run_id,),
        )
        begun = _portable_rows(
            "UPDATE runs_attempt SET owner = %s, fence = %s, started_at = %s "
            "WHERE run_id = %s AND status = 'leased' AND owner IS NULL "
            f"RETURNING {columns}",
            (owner, taken["fence"], now, run_id),
        )
    details = dict(zip(_DETAILS, detail, strict=True))
    details["input"], details["binding"] = _loaded(details["input"]), json.loads(details["binding"])
    read = {
        "steps": [
            {
                name: _loaded(value) if name in _STEP_READ[2:] else value
                for name, value in zip(_STEP_READ, row, strict=True)
            }
            for row in steps
        ],
        "begun": [dict(zip(_ATTEMPT_READ, row, strict=True)) for row in begun],
        "lost": [dict(zip(_ATTEMPT_READ, row, strict=True)) for row in lost],
        "patches": [_loaded(row[0]) for row in patches],
        "has_abandoned": bool(abandoned),
        "received": inbox,
    }
    return taken, details, read


# ---- step ----------------------------------------------------------------------------------------


def commit(run_id: UUID, fence: int, what: Commit) -> Committed | None:
    """Write what one or more applications of the planner decided. None: the fence is stale.

    Opens no transaction on PostgreSQL, so that a step costs one commit; inside the caller's
    transaction it is part of that.
    """
    if not faults.is_armed("inside_commit"):
        return _commit(run_id, fence, what)
    with transaction.atomic():
        committed = _commit(run_id, fence, what)
        faults.point("inside_commit")
    return committed


def _commit(run_id: UUID, fence: int, what: Commit) -> Committed | None:
    if not is_postgres():
        with transaction.atomic():
            return _portable_commit(run_id, fence, what)
    shape = what.rows.filled()
    dropped = what.dropped_timers
    columns = _run_columns(what)
    values = [
        *_values(columns, what.run),
        what.release,
        run_id.hex,
        str(fence),
        *_columns_of(what.rows, shape),
        *([json_text(dropped)] if dropped else []),
        *([_parameter(what.ended[0], "jsonb"), what.ended[1]] if what.ended else []),
    ]
    drops = "all" if dropped is None else "some" if dropped else ""
    sql = _commit_sql(tuple(columns), shape, drops, what.ended is not None)
    found = _fetch_at_once(sql, values)
    if not found:
        return None
    inbox_seq, held = map(int, found[0])
    return Committed(inbox_seq=inbox_seq, held=bool(held))


def _run_columns(what: Commit) -> Mapping[str, str]:
    return {**_RUN_COLUMNS, **_STATE_COLUMNS} if "state" in what.run else _RUN_COLUMNS


@lru_cache(maxsize=256)
def _commit_sql(columns: tuple[str, ...], shape: Shape, drops: str, ended: bool) -> str:
    """The statement for one shape of commit. `given_up` is judged on the row as it was locked."""
    kinds = {**_RUN_COLUMNS, **_STATE_COLUMNS}
    given_up = (
        "(r.release = 'hand_back' OR (r.release = 'park' AND runs_run.inbox_seq = r.drained_seq))"
    )
    assigned = ", ".join(f"{name} = r.{name}" for name in columns)
    given = {name: kinds[name] for name in columns} | {"release": "text"}
    parts = [
        f"""guard AS (UPDATE runs_run SET {assigned},
            owner = CASE WHEN {given_up} THEN NULL ELSE owner END,
            lease_until = CASE WHEN {given_up} THEN NULL ELSE lease_until END,
            rung_at = CASE WHEN r.release = 'hand_back' THEN clock_timestamp()
                WHEN {given_up} THEN NULL ELSE rung_at END
            FROM (VALUES ({_marks(given)})) AS r({_names(given)})
            WHERE runs_run.id = %s::uuid AND fence = %s::integer
            RETURNING runs_run.id, workspace_id, inbox_seq, owner IS NOT NULL AS held)""",
        *_insert_parts(shape),
    ]
    if drops == "all":
        parts.append("dropped AS (DELETE FROM runs_timer t USING guard WHERE t.run_id = guard.id)")
    elif drops:
        parts.append(
            "dropped AS (DELETE FROM runs_timer t USING guard WHERE t.run_id = guard.id "
            "AND t.key IN (SELECT jsonb_array_elements_text(%s::jsonb)))"
        )
    if ended:
        parts.append(
            "ended AS (UPDATE runs_rundetail SET result = %s::jsonb, end_reason = %s::text "
            "FROM guard WHERE run_id = guard.id)"
        )
    return f"WITH {', '.join(parts)} SELECT inbox_seq, held::integer FROM guard"


def _portable_commit(run_id: UUID, fence: int, what: Commit) -> Committed | None:
    """As the statement for PostgreSQL.

    Returns the owner itself: SQLite 3.40 answers `owner IS NOT NULL` in a RETURNING from a partial
    index with that condition, which still holds the row as it was.
    """
    now = datetime.now(UTC)
    kinds = _run_columns(what)
    columns = ", ".join(f"{name} = %s" for name in kinds)
    given_up = "(%s = 'hand_back' OR (%s = 'park' AND inbox_seq = %s))"
    release = (what.release, what.release, what.run["drained_seq"])
    values = [_adapted(what.run[name], kind) for name, kind in kinds.items()]
    found = _portable_rows(
        f"UPDATE runs_run SET {columns}, "
        f"owner = CASE WHEN {given_up} THEN NULL ELSE owner END, "
        f"lease_until = CASE WHEN {given_up} THEN NULL ELSE lease_until END, "
        f"rung_at = CASE WHEN %s = 'hand_back' THEN %s WHEN {given_up} THEN NULL ELSE rung_at END "
        "WHERE id = %s AND fence = %s RETURNING inbox_seq, owner",
        (*values, *release, *release, what.release, now, *release, run_id, fence),
    )
    if not found:
        return None
    if what.dropped_timers is None:
        _portable_run("DELETE FROM runs_timer WHERE run_id = %s", [(run_id,)])
    elif what.dropped_timers:
        _portable_run(
            "DELETE FROM runs_timer WHERE run_id = %s AND key = %s",
            [(run_id, key) for key in what.dropped_timers],
        )
    _portable_tables(what.rows)
    if what.ended is not None:
        _portable_run(
            "UPDATE runs_rundetail SET result = %s, end_reason = %s WHERE run_id = %s",
            [(_adapted(what.ended[0], "jsonb"), what.ended[1], run_id)],
        )
    return Committed(inbox_seq=found[0][0], held=found[0][1] is not None)


def park(run_id: UUID, fence: int) -> Committed | None:
    """Give up the claim of a run that has nothing to do, unless its inbox holds something new."""
    given_up = "inbox_seq = drained_seq"
    return _released(
        f"owner = CASE WHEN {given_up} THEN NULL ELSE owner END, "
        f"lease_until = CASE WHEN {given_up} THEN NULL ELSE lease_until END, "
        f"rung_at = CASE WHEN {given_up} THEN NULL ELSE rung_at END",
        (),
        run_id,
        fence,
    )


def hand_over(run_id: UUID, fence: int, label: str) -> Committed | None:
    """As `park`, of a run whose next calls wait for a worker with a label: it wants that one."""
    given_up = "inbox_seq = drained_seq"
    now = "clock_timestamp()" if is_postgres() else "%s"
    return _released(
        f"needs = CASE WHEN {given_up} THEN %s ELSE needs END, "
        f"owner = CASE WHEN {given_up} THEN NULL ELSE owner END, "
        f"lease_until = CASE WHEN {given_up} THEN NULL ELSE lease_until END, "
        f"rung_at = CASE WHEN {given_up} THEN {now} ELSE rung_at END",
        (label,) if is_postgres() else (label, datetime.now(UTC)),
        run_id,
        fence,
    )


def release(run_id: UUID, fence: int, *, owner: UUID, rung_at: datetime) -> Committed | None:
    """Give up the claim and ask for another walker from `rung_at` on; attempts stay as they are.

    Says whose claim it is: the database may have crashed and forgotten it, and the next one has the
    same fence then.
    """
    return _released(
        "owner = NULL, lease_until = NULL, rung_at = %s", (rung_at,), run_id, fence, owner=owner
    )


def _released(
    assignments: str,
    values: tuple[object, ...],
    run_id: UUID,
    fence: int,
    *,
    owner: UUID | None = None,
) -> Committed | None:
    guard, whose = ("", ()) if owner is None else (" AND owner = %s", (owner,))
    found = _execute(
        f"UPDATE runs_run SET {assignments} WHERE id = %s AND fence = %s{guard} "
        "RETURNING inbox_seq, owner",
        (*values, run_id, fence, *whose),
    )
    return Committed(inbox_seq=found[0][0], held=found[0][1] is not None) if found else None


def renew(owner: UUID, run_ids: Sequence[UUID]) -> None:
    """Give the claims of one boot another lease."""
    if is_postgres():
        _fetch(
            "UPDATE runs_run SET lease_until = clock_timestamp() + "
            f"interval '{LEASE_SECONDS} seconds' "
            "WHERE owner = %s AND id = ANY(%s) RETURNING 1",
            (owner, list(run_ids)),
        )
        return
    until = datetime.now(UTC) + timedelta(seconds=LEASE_SECONDS)
    with transaction.atomic():
        _portable_run(
            "UPDATE runs_run SET lease_until = %s WHERE owner = %s AND id = %s",
            [(until, owner, run_id) for run_id in run_ids],
        )


def inbox_seq(run_id: UUID, fence: int) -> int | None:
    """The number of the latest inbox event of a run that is held with this fence, else None."""
    found = _execute("SELECT inbox_seq FROM runs_run WHERE id = %s AND fence = %s", (run_id, fence))
    return found[0][0] if found else None


def received(run_id: UUID, after: int) -> list[Received]:
    """The inbox events of a run after a number, in order."""
    rows = _execute(
        "SELECT id, seq, body FROM runs_inboxevent WHERE run_id = %s AND seq > %s ORDER BY seq",
        (run_id, after),
    )
    return [Received(id=_uuid(row[0]), seq=row[1], body=_loaded(row[2])) for row in rows]


# ---- inbox ---------------------------------------------------------------------------------------


def send(
    run_id: UUID,
    body: JsonObject,
    *,
    event_id: UUID,
    now: datetime,
    statuses: Sequence[str] = (),
    drained: bool = False,
) -> UUID | None:
    """Put an event into a run's inbox and ask for a walker; returns the run's workflow.

    None, and nothing written: there is no such run, its status is none of `statuses` (when given),
    with `drained` its inbox holds something not yet applied, or the event was sent before.
    The row lock of the guarded UPDATE makes the numbers dense and in commit order.
    """
    guard = "id = %s AND NOT EXISTS (SELECT 1 FROM runs_inboxevent WHERE id = %s)"
    values: list[object] = [run_id, event_id]
    if statuses:
        guard += f" AND status IN ({', '.join(['%s'] * len(statuses))})"
        values += statuses
    if drained:
        guard += " AND inbox_seq = drained_seq"
    if is_postgres():
        found = _fetch(
            "WITH guard AS (UPDATE runs_run SET inbox_seq = inbox_seq + 1, "
            f"rung_at = clock_timestamp() WHERE {guard} RETURNING id, inbox_seq, workflow_id), "
            "sent AS (INSERT INTO runs_inboxevent (id, run_id, seq, body, created_at) "
            "SELECT %s::uuid, id, inbox_seq, %s::jsonb, %s FROM guard) "
            "SELECT workflow_id FROM guard",
            (*values, event_id, json.dumps(body), now),
        )
        return _uuid(found[0][0]) if found else None
    with transaction.atomic():
        found = _portable_rows(
            "UPDATE runs_run SET inbox_seq = inbox_seq + 1, rung_at = %s "
            f"WHERE {guard} RETURNING inbox_seq, workflow_id",
            (datetime.now(UTC), *values),
        )
        if not found:
            return None
        _portable_run(
            "INSERT INTO runs_inboxevent (id, run_id, seq, body, created_at) "
            "VALUES (%s, %s, %s, %s, %s)",
            [(event_id, run_id, found[0][0], json.dumps(body), now)],
        )
    return _uuid(found[0][1])


def take_timer(timer_id: UUID) -> bool:
    """Delete a timer that is due, in the caller's transaction; False: it is gone or set anew."""
    now = "clock_timestamp()" if is_postgres() else "%s"
    values: tuple[object, ...] = (timer_id,) if is_postgres() else (timer_id, datetime.now(UTC))
    return bool(
        _execute(
            f"DELETE FROM runs_timer WHERE id = %s AND due_at <= {now} RETURNING id",
            values,
        )
    )


def take_wait(timer_id: UUID) -> tuple[UUID, str, int] | None:
    """End a wait for an event by deleting its timer, in the caller's transaction.

    Returns run, step and iteration; None: the deadline, the run's end or another event was first.
    """
    found = _execute(
        "DELETE FROM runs_timer WHERE id = %s AND correlation <> '' "
        "RETURNING run_id, step, iteration",
        (timer_id,),
    )
    return (_uuid(found[0][0]), found[0][1], found[0][2]) if found else None


def free(run_id: UUID, owner: UUID, *, only_expired: bool) -> list[tuple[str, int, int]] | None:
    """Take a run from a dead or cut-off owner, in the caller's transaction.

    The fence rises, so that nothing of the former claim can land any more; its attempts become
    `abandoned` and are returned as (step, iteration, number). None: the claim is no longer his, or
    `only_expired` and its lease was renewed meanwhile.
    """
    now = datetime.now(UTC)
    clock = "clock_timestamp()" if is_postgres() else "%s"
    times: list[object] = [] if is_postgres() else [now]
    guard = f" AND lease_until < {clock}" if only_expired else ""
    freed = _execute(
        "UPDATE runs_run SET owner = NULL, lease_until = NULL, fence = fence + 1, "
        f"rung_at = {clock} WHERE id = %s AND owner = %s{guard} RETURNING id",
        (*times, run_id, owner, *(times if only_expired else [])),
    )
    if not freed:
        return None
    return [
        (row[0], row[1], row[2])
        for row in _execute(
            "UPDATE runs_attempt SET status = 'abandoned', "
            f"ended_at = {clock} WHERE run_id = %s AND owner = %s AND status = 'leased' "
            "RETURNING step, iteration, number",
            (*times, run_id, owner),
        )
    ]


# ---- events and firings --------------------------------------------------------------------------


_TOLD: Final[Mapping[str, _Table]] = {
    "received": _Table(
        "runs_receivedevent",
        {
            "id": "uuid",
            "workspace_id": "uuid",
            "digest": "text",
            "source": "text",
            "event_id": "text",
            "type": "text",
            "key": "text",
            "schema": "text",
            "content": "jsonb",
            "happened_at": "timestamptz",
            "received_at": "timestamptz",
            "sender_kind": "text",
            "sender": "text",
            "depth": "integer",
            "correlation": "text",
            "status": "text",
            "reason": "text",
            "is_told": "bool",
        },
        key=("workspace_id", "digest"),
    ),
    "firings": _Table(
        "runs_triggerfiring",
        {
            "id": "uuid",
            "trigger_id": "uuid",
            "digest": "text",
            "event": "jsonb",
            "schema": "text",
            "depth": "integer",
            "at": "timestamptz",
            "status": "text",
            "reason": "text",
            "key": "text",
            "decided_at": "timestamptz",
        },
        key=("trigger_id", "digest"),
    ),
}
_DECIDED: Final[Mapping[str, str]] = {
    "id": "uuid",
    "reason": "text",
    "key": "text",
    "due_at": "timestamptz",
    "decided_at": "timestamptz",
}


def store_told(part: Literal["received", "firings"], rows: Sequence[Row]) -> int:
    """Store what was told, in one statement; returns how many were not there before.

    Each is there once by the key of its table. They go in by the order of their keys, so that two
    senders of the same events wait for each other in one direction only.
    """
    if not rows:
        return 0
    table = _TOLD[part]
    ordered = sorted(rows, key=lambda row: [str(row[name]) for name in table.key])
    names = _names(table.columns)
    if not is_postgres():
        sql = _portable_insert_sql(table.name, tuple(table.columns), " ON CONFLICT DO NOTHING")
        return _portable_run(sql, _portable_values(table.columns, ordered))
    arrays = ", ".join(f"%s::{kind}[]" for kind in table.columns.values())
    found = _fetch(
        f"WITH stored AS (INSERT INTO {table.name} ({names}) SELECT * FROM unnest({arrays}) "
        "ON CONFLICT DO NOTHING RETURNING 1) SELECT count(*) FROM stored",
        _arrays(table.columns, ordered),
    )
    stored: int = found[0][0]
    return stored


def decide_firings(status: str, before: Sequence[str], rows: Sequence[Row]) -> None:
    """Give firings this status where they still have one of `before`, in one statement."""
    marks = ", ".join(["%s"] * len(before))
    new = [name for name in _DECIDED if name != "id"]
    if is_postgres():
        arrays = ", ".join(f"%s::{kind}[]" for kind in _DECIDED.values())
        _fetch(
            f"UPDATE runs_triggerfiring AS f SET status = %s, "
            f"{', '.join(f'{name} = r.{name}' for name in new)} "
            f"FROM unnest({arrays}) AS r({_names(_DECIDED)}) "
            f"WHERE f.id = r.id AND f.status IN ({marks}) RETURNING 1",
            [status, *_arrays(_DECIDED, rows), *before],
        )
        return
    changes = ", ".join(f"{name} = %s" for name in ("status", *new))
    with transaction.atomic():
        _portable_run(
            f"UPDATE runs_triggerfiring SET {changes} WHERE id = %s AND status IN ({marks})",
            [[status, *(row[name] for name in new), row["id"], *before] for row in rows],
        )


# ---- rows to SQL ---------------------------------------------------------------------------------


def _names(columns: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in columns)


Shape: TypeAlias = tuple[str, ...]
"""Which tables get rows, in order."""


_OF_RUN: Final[Mapping[str, str]] = {"run_id": "guard.id", "workspace_id": "guard.workspace_id"}
"""Columns that are the same in all rows of a commit: the statement takes them from the run."""


@cache
def _own_columns(part: str) -> Mapping[str, str]:
    """The columns in which the rows of a table differ."""
    columns = _TABLES[part].columns
    return {name: kind for name, kind in columns.items() if name not in _OF_RUN}


def _columns_of(rows: Rows, shape: Shape) -> list[object]:
    """The rows of tables as parameters: one array per column in which they differ."""
    return [array for part in shape for array in _arrays(_own_columns(part), getattr(rows, part))]


def _arrays(columns: Mapping[str, str], rows: Sequence[Row]) -> list[_Array]:
    return [_array([row[name] for row in rows], kind) for name, kind in columns.items()]


class _Array(bytes):
    """A PostgreSQL array of one dimension in binary form."""

    __slots__ = ()


class _UuidArray(_Array):
    __slots__ = ()


class _IntegerArray(_Array):
    __slots__ = ()


class _TextArray(_Array):
    __slots__ = ()


class _JsonArray(_Array):
    __slots__ = ()


class _InstantArray(_Array):
    __slots__ = ()


class _BytesArray(_Array):
    __slots__ = ()


class _TruthArray(_Array):
    __slots__ = ()


def _uuid_bytes(value: Any) -> bytes:
    return value.bytes if isinstance(value, UUID) else bytes.fromhex(value)


def _json_bytes(value: object) -> bytes:
    # the first byte is the version of the form
    return b"\x01" + (value.encode() if isinstance(value, JsonText) else to_json(value))


_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


@lru_cache(maxsize=64)
def _instant_bytes(value: datetime) -> bytes:
    return ((value - _EPOCH) // _MICROSECOND).to_bytes(8, "big", signed=True)


_LENGTHS: Final = tuple(number.to_bytes(4, "big") for number in range(1_024))
_NULL: Final = b"\xff\xff\xff\xff"


def _sized(items: Iterable[bytes]) -> bytes:
    """Each item behind its length."""
    return b"".join(
        [
            part
            for item in items
            for part in (
                _LENGTHS[len(item)] if len(item) < 1_024 else len(item).to_bytes(4, "big"),
                item,
            )
        ]
    )


def _equally_sized(items: Sequence[bytes]) -> bytes:
    """As `_sized`, for items of one length."""
    length = _LENGTHS[len(items[0])]
    return length + length.join(items)


_KINDS: Final[
    Mapping[
        str, tuple[type[_Array], int, int, Callable[[Any], bytes], Callable[[list[bytes]], bytes]]
    ]
] = {
    "uuid": (_UuidArray, 2950, 2951, _uuid_bytes, _equally_sized),
    "integer": (_IntegerArray, 23, 1007, struct.Struct(">i").pack, _equally_sized),
    "text": (_TextArray, 25, 1009, str.encode, _sized),
    "jsonb": (_JsonArray, 3802, 3807, _json_bytes, _sized),
    "timestamptz": (_InstantArray, 1184, 1185, _instant_bytes, _equally_sized),
    "bytea": (_BytesArray, 17, 1001, bytes, _sized),
    "bool": (_TruthArray, 16, 1000, struct.Struct("?").pack, _equally_sized),
}
"""Type of column -> array, numbers of the types in PostgreSQL (element, array), bytes of one item,
bytes of all with their lengths."""


def _array(values: Sequence[object], kind: str) -> _Array:
    """Values as an array: dimensions, whether there are nulls, type, length, first index, items.

    Each item is its length in bytes and its bytes; a null is the length -1. (PostgreSQL's
    `array_recv`.)
    """
    made, element, _, written, joined = _KINDS[kind]
    items = [None if value is None else written(value) for value in values]
    has_null = None in items
    if has_null:
        body = b"".join([_NULL if item is None else _sized((item,)) for item in items])
    else:
        body = joined(items)  # type: ignore[arg-type]  # none of them is None
    return made(_HEAD.pack(1, has_null, element, len(values), 1) + body)


_HEAD: Final = struct.Struct(">5i")


def _values(columns: Mapping[str, str], row: Row) -> list[object]:
    """The values of one row as parameters."""
    return [_parameter(row[name], kind) for name, kind in columns.items()]


def _parameter(value: object, kind: str) -> object:
    """Text that PostgreSQL reads as this type.

    All of them have the type "unknown" that way, so that a statement is prepared once.
    """
    if value is None:
        return value
    if kind == "jsonb":
        return value if isinstance(value, JsonText) else json_text(value)
    if isinstance(value, str):
        return value
    if isinstance(value, UUID):
        return value.hex
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value)


def _marks(columns: Mapping[str, str]) -> str:
    return ", ".join(f"%s::{kind}" for kind in columns.values())


def _insert_parts(shape: Shape) -> list[str]:
    """One part of the statement for each table; each inserts nothing without a guard."""
    parts = []
    for part in shape:
        table, own = _TABLES[part], _own_columns(part)
        shared = [name for name in table.columns if name in _OF_RUN]
        arrays = ", ".join(f"%s::{kind}[]" for kind in own.values())
        values = ", ".join(_OF_RUN[name] for name in shared)
        parts.append(
            f"{part} AS (INSERT INTO {table.name} ({_names([*shared, *own])}) "
            f"SELECT {values}, r.* FROM guard, unnest({arrays}) AS r({_names(own)})"
            f"{_on_conflict(table)})"
        )
    return parts


def _on_conflict(table: _Table) -> str:
    if not table.key:
        return ""
    renewed = ", ".join(f"{name} = excluded.{name}" for name in table.update)
    return f" ON CONFLICT ({_names(table.key)}) DO UPDATE SET {renewed}"


@lru_cache(maxsize=512)
def _numbered(sql: str) -> str:
    """The statement with `$1`, `$2`, ... for its `%s`.

    psycopg remembers how it rewrote a text only up to 4 KB; these are longer, and would be parsed
    anew for every step.
    """
    first, *rest = sql.split("%s")
    return first + "".join(f"${number}{part}" for number, part in enumerate(rest, 1))


def _fetch_at_once(sql: str, values: Sequence[object]) -> list[tuple[Any, ...]]:
    """As `_fetch`, in one call of libpq, for the statement that is run at every step.

    All values are text, bytes or None; what comes back is text as bytes. Inside a transaction,
    which psycopg begins by itself, it is `_fetch`. psycopg's way of adapting values and of waiting
    costs half as much as PostgreSQL's share of the step.
    """
    connection.ensure_connection()
    raw: Any = connection.connection
    if not raw.autocommit:
        return _fetch(sql, values)
    return _twice(raw, lambda: _run_at_once(raw, sql, values))


R = TypeVar("R")


def _twice(raw: Any, run: Callable[[], R]) -> R:
    """Once more when a prepared statement is gone: psycopg deallocates all after a rollback."""
    from psycopg.errors import InvalidSqlStatementName

    with connection.wrap_database_errors:
        try:
            return run()
        except InvalidSqlStatementName:
            _prepared_names[raw].clear()
            return run()


def _run_at_once(raw: Any, sql: str, values: Sequence[object]) -> _Found:
    """One prepared statement in one call of libpq; outside or inside a transaction."""
    parameters = [one.encode() if isinstance(one, str) else one for one in values]
    formats = [int(isinstance(one, bytes)) for one in values]
    return _rows_of(raw, raw.pgconn.exec_prepared(_prepared(raw, sql), parameters, formats))


def _run_in_turn(raw: Any, statements: Sequence[tuple[str, Sequence[str]]]) -> list[_Found]:
    """Prepared statements with their values, in a transaction of their own, in one round trip.

    Each sees what was committed until it began. Between two synchronisations a pipeline is one
    transaction: it commits with the last statement, and with an error nothing lands.
    """
    prepared = [
        (_prepared(raw, sql), [value.encode() for value in values]) for sql, values in statements
    ]
    try:
        raw.pgconn.enter_pipeline_mode()
        for name, parameters in prepared:
            raw.pgconn.send_query_prepared(name, parameters)
        raw.pgconn.pipeline_sync()
        results = _results_in_turn(raw.pgconn)
        raw.pgconn.exit_pipeline_mode()
    except BaseException:
        raw.pgconn.finish()  # in the middle of a pipeline it is of no use any more
        raise
    return [_rows_of(raw, result) for result in results]


def _results_in_turn(pgconn: Any) -> list[Any]:
    """The results until the synchronisation; should the commit fail, its error is the last."""
    import psycopg
    from psycopg.pq import ConnStatus, ExecStatus

    arrival = select.poll()
    arrival.register(pgconn.socket, select.POLLIN)
    results: list[Any] = []
    while pgconn.status == ConnStatus.OK:
        while pgconn.is_busy():
            arrival.poll()
            pgconn.consume_input()
        result = pgconn.get_result()  # None: that was all of one statement
        if result is not None and result.status == ExecStatus.PIPELINE_SYNC:
            return results
        if result is not None:
            results.append(result)
    raise psycopg.OperationalError(pgconn.get_error_message())


def _rows_of(raw: Any, result: Any) -> _Found:
    from psycopg.pq import ExecStatus

    _refuse(raw, result, ExecStatus.TUPLES_OK)
    columns = range(result.nfields)
    return [
        tuple(result.get_value(row, column) for column in columns) for row in range(result.ntuples)
    ]


MAX_PREPARED: Final = 128
"""How many statements a connection keeps prepared; the shapes of commits are many more."""
_prepared_names: WeakKeyDictionary[Any, dict[str, bytes]] = WeakKeyDictionary()
_numbers = itertools.count()
"""No name is used twice: after a rollback some are gone on the server and others are not."""


def _prepared(raw: Any, sql: str) -> bytes:
    """The name of a statement that is prepared on this connection, from now on at the latest."""
    from psycopg.pq import ExecStatus

    names = _prepared_names.setdefault(raw, {})
    if sql not in names:
        if len(names) >= MAX_PREPARED:
            oldest = names.pop(next(iter(names)))
            raw.pgconn.exec_(b"DEALLOCATE " + oldest)  # refused when a rollback was first
        name = f"baton_{next(_numbers)}".encode()
        result = raw.pgconn.prepare(name, _numbered(sql).encode())
        _refuse(raw, result, ExecStatus.COMMAND_OK)
        names[sql] = name
    return names[sql]


def _refuse(raw: Any, result: Any, expected: int) -> None:
    """Raise what PostgreSQL says when that is not what was expected."""
    import psycopg
    from psycopg.pq import ConnStatus

    if result.status == expected:
        return
    if raw.pgconn.status == ConnStatus.BAD:
        raise psycopg.OperationalError(result.get_error_message())
    raise psycopg.errors.error_from_result(result)


def _fetch(sql: str, values: Sequence[object]) -> list[tuple[Any, ...]]:
    """Run a prepared statement on PostgreSQL with server-side parameters, past Django's cursor."""
    import psycopg

    connection.ensure_connection()
    raw: Any = connection.connection
    if raw.prepare_threshold != 1:
        raw.prepare_threshold = 1
    with connection.wrap_database_errors, psycopg.RawCursor(raw) as cursor:
        if any(isinstance(value, _Array) for value in values):
            for kind, dumper in _array_dumpers():
                cursor.adapters.register_dumper(kind, dumper)
        cursor.execute(_numbered(sql), values)
        return cursor.fetchall()


@cache
def _array_dumpers() -> list[tuple[type[_Array], Any]]:
    """How psycopg passes arrays on: as they are."""
    from psycopg.adapt import Dumper
    from psycopg.pq import Format

    class ArrayDumper(Dumper):
        format = Format.BINARY

        def dump(self, obj: bytes) -> bytes:
            return obj

    return [
        (made, type(f"{made.__name__}Dumper", (ArrayDumper,), {"oid": number}))
        for made, _, number, _, _ in _KINDS.values()
    ]


def _execute(sql: str, values: Sequence[object]) -> list[tuple[Any, ...]]:
    return _fetch(sql, values) if is_postgres() else _portable_rows(sql, values)


def _portable_rows(sql: str, values: Sequence[object]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, [_plain(value) for value in values])
        return list(cursor.fetchall())


def _portable_run(sql: str, many: Sequence[Sequence[object]]) -> int:
    """Run a statement for each of many rows; returns how many it has written."""
    with connection.cursor() as cursor:
        cursor.executemany(sql, [[_plain(value) for value in values] for values in many])
        return int(cursor.rowcount)


def _portable_insert(table: str, columns: Mapping[str, str], rows: Sequence[Row]) -> None:
    _portable_run(_portable_insert_sql(table, tuple(columns), ""), _portable_values(columns, rows))


def _portable_tables(rows: Rows) -> None:
    for part in rows.filled():
        table = _TABLES[part]
        sql = _portable_insert_sql(table.name, tuple(table.columns), _on_conflict(table))
        _portable_run(sql, _portable_values(table.columns, getattr(rows, part)))


@lru_cache(maxsize=32)
def _portable_insert_sql(table: str, columns: tuple[str, ...], conflict: str) -> str:
    marks = ", ".join(["%s"] * len(columns))
    return f"INSERT INTO {table} ({_names(columns)}) VALUES ({marks}){conflict}"


def _portable_values(columns: Mapping[str, str], rows: Sequence[Row]) -> list[list[object]]:
    return [[_adapted(row[name], kind) for name, kind in columns.items()] for row in rows]


def _adapted(value: object, kind: str) -> object:
    if value is None:
        return None
    return json_text(value) if kind == "jsonb" and not isinstance(value, JsonText) else value


def _plain(value: object) -> Any:
    """The form in which Django keeps a value in SQLite."""
    if isinstance(value, UUID):
        return value.hex
    if isinstance(value, datetime):
        return str(value.astimezone(UTC).replace(tzinfo=None))
    return value


def _uuid(value: object) -> UUID:
    return value if isinstance(value, UUID) else UUID(str(value))


def _text_of(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _loaded(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value
