"""Many runs in the database without waiting for the engine: copies of the rows of real ones."""

from __future__ import annotations

from uuid import UUID

from django.db import connection

TABLES = (
    ("runs_run", "id", False),
    ("runs_rundetail", "run_id", False),
    ("runs_runevent", "run_id", False),
    ("runs_steprun", "run_id", True),
    ("runs_attempt", "run_id", True),
    ("runs_handoff", "run_id", True),
    ("runs_timer", "run_id", True),
)
"""Table, the column that names the run, and whether its id is a UUID of its own."""


def copy_runs(runs: list[UUID], total: int) -> None:
    """Copy the rows of these runs until there are so many with them.

    The temporary table `copied` says which is whose copy (old, new). Copies have ids in the order
    in which they are stored, as runs have, and begin within the last 300 days. The planner's
    statistics are renewed, as autovacuum does within a minute.
    """
    wanted = total - len(runs)
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TEMP TABLE copied AS SELECT id AS old, uuidv7() AS new, "
            "random() * interval '300 days' AS before "
            "FROM runs_run, generate_series(1, %s) WHERE id = ANY(%s) LIMIT %s",
            [-(-wanted // len(runs)), runs, wanted],
        )
        for table, key, has_own_id in TABLES:
            _copy(table, key, has_own_id=has_own_id)
        cursor.execute("ANALYZE")


def copy_entries(action: str) -> None:
    """Give each copy an audit entry like that of its run with this action, to be placed."""
    _copy("audit_auditoutbox", "run_id", has_own_id=True, only=("action", action))


def settle() -> None:
    """Tidy up after copying, as the database does by itself in time: vacuum and checkpoint."""
    with connection.cursor() as cursor:
        cursor.execute("VACUUM (ANALYZE)")
        cursor.execute("CHECKPOINT")


def _copy(table: str, key: str, *, has_own_id: bool, only: tuple[str, str] | None = None) -> None:
    given = {key: "c.new", "created_at": "t.created_at - c.before"}
    if has_own_id:
        given["id"] = "uuidv7()"
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT column_name FROM information_schema.columns WHERE table_name = %s "
            "AND table_schema = 'public' AND is_generated = 'NEVER' "
            "AND column_name NOT IN ('txid', 'seen_at')",
            [table],
        )
        columns = [row[0] for row in cursor.fetchall()]
        if "id" in columns and not has_own_id and key != "id":
            columns.remove("id")  # a number of the database's
        values = ", ".join(given.get(name, f't."{name}"') for name in columns)
        names = ", ".join(f'"{name}"' for name in columns)
        where = f"WHERE t.{only[0]} = %s" if only else ""
        cursor.execute(
            f"INSERT INTO {table} ({names}) SELECT {values} "
            f"FROM {table} t JOIN copied c ON t.{key} = c.old {where} ORDER BY c.new",
            [only[1]] if only else [],
        )
