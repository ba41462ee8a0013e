"""Each invariant is violated once, by raw SQL, and seen; a sound database shows none."""

import json
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection

from approvals.models import Decision
from audit.models import AuditEntry, AuditOutbox, TreeHead
from audit.sequencer import sequence_once
from orchestrator.ids import new_id
from orchestrator.runs.invariants import INVARIANTS, check_invariants
from orchestrator.runs.models import Run
from orchestrator.runs.walker import walk
from tests.integration.runs.test_limits import limit
from tests.integration.runs.world import chain, decide, now, with_gate


def sql(statement, *values):
    """Run a statement past triggers and constraints, as somebody with the database's password can."""
    values = [
        value.hex
        if hasattr(value, "hex") and not is_postgres() and hasattr(value, "int")
        else value
        for value in values
    ]
    with connection.cursor() as cursor:
        if is_postgres():
            cursor.execute("SET session_replication_role = replica")
        else:
            cursor.execute("PRAGMA foreign_keys=OFF")
        try:
            cursor.execute(statement, values)
            assert cursor.rowcount != 0
        finally:
            if is_postgres():
                cursor.execute("SET session_replication_role = origin")
            else:
                cursor.execute("PRAGMA foreign_keys=ON")


def is_postgres():
    return connection.vendor == "postgresql"


def drop_triggers(table):
    with connection.cursor() as cursor:
        if is_postgres():
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
            return
        cursor.execute(
            "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = %s", [table]
        )
        for (name,) in cursor.fetchall():
            cursor.execute(f'DROP TRIGGER "{name}"')


@pytest.fixture
def runs(world, doorbells):
    """One run that has ended and one that waits for a person who has just decided."""
    limit(world, 9)
    ended = world.start(chain("a"))
    walk(ended.id)
    waiting = world.start(with_gate())
    walk(waiting.id)
    decide(world, waiting, undo_seconds=600)
    sequence_once(now())
    return ended, waiting


def open_step(ended, waiting):
    sql("UPDATE runs_steprun SET status = 'running' WHERE run_id = %s AND step = 'a'", ended.id)


def second_result(ended, waiting):
    columns = (
        "run_id, step, iteration, agent_version_id, status, idempotency_key, request_sha256, "
        "fence, result_tag, failure_kind, reason, started_at"
    )
    sql(
        f"INSERT INTO runs_attempt (id, number, {columns}) "
        f"SELECT %s, 2, {columns} FROM runs_attempt WHERE run_id = %s",
        new_id(),
        ended.id,
    )


def other_request(ended, waiting):
    second_result(ended, waiting)
    sql(
        "UPDATE runs_attempt SET request_sha256 = 'other', status = 'failed' "
        "WHERE number = 2 AND run_id = %s",
        ended.id,
    )


def lost_wait(ended, waiting):
    drop_triggers("approvals_reviewtask")
    sql("UPDATE approvals_reviewtask SET status = 'withdrawn' WHERE run_id = %s", waiting.id)
    sql("DELETE FROM runs_timer WHERE run_id = %s", waiting.id)


def old_lease(ended, waiting):
    Run.objects.filter(id=ended.id).update(
        owner=new_id(), lease_until=now() - timedelta(seconds=31)
    )


def unaudited(ended, waiting):
    drop_triggers("accounts_workspace")
    sql(
        "INSERT INTO accounts_workspace (id, slug, name, created_at, audit_id) "
        "VALUES (%s, 'tests2', 'Tests', %s, %s)",
        new_id(),
        now() if is_postgres() else "2026-01-01 00:00:00",
        new_id(),
    )


def changed_entry(ended, waiting):
    drop_triggers("audit_auditoutbox")
    first = AuditEntry.objects.order_by("seq").first()
    sql("UPDATE audit_auditoutbox SET envelope = %s WHERE id = %s", b"{}", first.outbox_id)


def missing_entry(ended, waiting):
    drop_triggers("audit_auditentry")
    sql("DELETE FROM audit_auditentry WHERE seq = 3")


def unplaced(ended, waiting):
    drop_triggers("audit_auditentry")
    drop_triggers("audit_auditoutbox")
    latest = AuditEntry.objects.order_by("seq").last()
    sql("DELETE FROM audit_auditentry WHERE seq = %s", latest.seq)
    old = now() - timedelta(seconds=61)
    sql(
        "UPDATE audit_auditoutbox SET inserted_at = %s WHERE id = %s",
        old if is_postgres() else str(old.replace(tzinfo=None)),
        latest.outbox_id,
    )


def second_decision(ended, waiting):
    drop_triggers("approvals_decision")
    with connection.cursor() as cursor:
        cursor.execute("DROP INDEX one_final_decision_per_task")
    columns = ", ".join(
        field.column for field in Decision._meta.fields if field.column not in {"id", "audit_id"}
    )
    sql(
        f"INSERT INTO approvals_decision (id, audit_id, {columns}) "
        f"SELECT %s, %s, {columns} FROM approvals_decision LIMIT 1",
        new_id(),
        AuditOutbox.objects.values_list("id", flat=True).filter(action="run.ended")[0],
    )


def signed_by_nobody(ended, waiting):
    drop_triggers("approvals_signoff")
    sql("UPDATE approvals_signoff SET needed = 2 WHERE kind = 'workflow_version'")


def ended_twice(ended, waiting):
    columns = (
        "envelope, at, workspace_id, action, actor_kind, actor_id, subject_kind, subject_id, run_id"
    )
    sql(
        f"INSERT INTO audit_auditoutbox (id, {columns}) SELECT %s, {columns} "
        "FROM audit_auditoutbox WHERE action = 'run.ended'",
        new_id(),
    )


def used_without_a_call(ended, waiting):
    sql("UPDATE budgets_budgetcounter SET used = used + 1")


@pytest.mark.parametrize(
    ("code", "plant"),
    [
        ("I1", open_step),
        ("I2", second_result),
        ("I3", other_request),
        ("I4", lost_wait),
        ("I5", old_lease),
        ("I6", unaudited),
        ("I7", changed_entry),
        ("I7", missing_entry),
        ("I8", unplaced),
        ("I9", second_decision),
        ("I9", signed_by_nobody),
        ("I10", ended_twice),
        ("I11", used_without_a_call),
    ],
)
def test_a_planted_violation_is_counted(runs, code, plant):
    plant(*runs)
    found = {one.code: one for one in check_invariants(now())}
    assert found[code].violations >= 1
    assert found[code].examined >= 1


def test_a_sound_database_has_none_and_every_check_looks_at_rows(runs):
    assert TreeHead.objects.exists()
    Run.objects.filter(id=runs[0].id).update(owner=new_id(), lease_until=now())
    output = StringIO()
    call_command("check_invariants", "--json", stdout=output)
    found = json.loads(output.getvalue())
    assert list(found) == list(INVARIANTS)
    assert {code: one["violations"] for code, one in found.items()} == dict.fromkeys(INVARIANTS, 0)
    assert all(one["examined"] for one in found.values())


def test_the_command_exits_1_when_one_is_violated(runs):
    open_step(*runs)
    with pytest.raises(SystemExit) as caught:
        call_command("check_invariants", stdout=StringIO())
    assert caught.value.code == 1
