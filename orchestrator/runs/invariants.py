"""The eleven invariants that hold after every fault, each counted over the whole database.

Read only. Each check says how many violations it found and how many rows it looked at, so that it
cannot pass on nothing. The statements run on both databases.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.apps import apps
from django.contrib.auth.models import Group
from django.db import connection

from audit import merkle
from audit.guards import governed_models
from budgets import ledger as budgets
from orchestrator import access
from orchestrator.access import Role
from orchestrator.core.state import TERMINAL_RUN, TERMINAL_STEP

LEASE_LIMIT: Final = timedelta(seconds=30)
UNPLACED_LIMIT: Final = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found."""

    code: str
    title: str
    violations: int
    examined: int


@dataclass(frozen=True, slots=True)
class Count:
    """Violations, and rows looked at."""

    violations: int
    examined: int


def check_invariants(now: datetime) -> list[Finding]:
    """Run all eleven checks. `now` is the database's time."""
    return [Finding(code, title, *_pair(check(now))) for code, (title, check) in INVARIANTS.items()]


def runs_ended_as_their_steps() -> Count:
    """I1: a run has ended exactly when all its steps have."""
    ended_with_open = _count(
        f"SELECT count(DISTINCT s.run_id) FROM runs_steprun s JOIN runs_run r ON r.id = s.run_id "
        f"WHERE r.status IN ({_ENDED_RUN}) AND s.status NOT IN ({_ENDED_STEP})"
    )
    # A step that nothing has touched yet has no row: a run that goes on has one that is open, or
    # wants a walker, or has said all it had to say and is broken.
    going_on_with_none = _count(
        f"SELECT count(*) FROM runs_run r WHERE r.status NOT IN ({_ENDED_RUN}) "
        "AND r.owner IS NULL AND r.rung_at IS NULL AND r.inbox_seq = r.drained_seq "
        "AND EXISTS (SELECT 1 FROM runs_steprun s WHERE s.run_id = r.id) "
        "AND NOT EXISTS (SELECT 1 FROM runs_steprun s WHERE s.run_id = r.id "
        f"AND s.status NOT IN ({_ENDED_STEP}))"
    )
    return Count(ended_with_open + going_on_with_none, _count("SELECT count(*) FROM runs_run"))


def one_accepted_result() -> Count:
    """I2: no step of an iteration has two accepted results."""
    return Count(
        _count(
            "SELECT count(*) FROM (SELECT 1 FROM runs_attempt WHERE status = 'succeeded' "
            "GROUP BY run_id, step, iteration HAVING count(*) > 1) twice"
        ),
        _count("SELECT count(*) FROM runs_attempt WHERE status = 'succeeded'"),
    )


def one_request_per_key() -> Count:
    """I3: no idempotency key went out with two different requests."""
    return Count(
        _count(
            "SELECT count(*) FROM (SELECT 1 FROM runs_attempt GROUP BY idempotency_key "
            "HAVING count(DISTINCT request_sha256) > 1) mixed"
        ),
        _count("SELECT count(*) FROM runs_attempt"),
    )


def nothing_waits_forever() -> Count:
    """I4: every open step has a lease, a timer, a person with a due date, or an awaited event."""
    return Count(
        _count(f"SELECT count(*) FROM ({_WAITS_ON_NOTHING}) lost"),
        _count(
            f"SELECT count(*) FROM runs_steprun s JOIN runs_run r ON r.id = s.run_id "
            f"WHERE r.status NOT IN ({_ENDED_RUN}) AND s.status IN ('ready', 'running', 'waiting')"
        ),
    )


def no_old_leases(now: datetime) -> Count:
    """I5: no lease ran out more than 30 seconds ago and is still there."""
    return Count(
        _count(
            "SELECT count(*) FROM runs_run WHERE owner IS NOT NULL "
            "AND (lease_until IS NULL OR lease_until < %s)",
            now - LEASE_LIMIT,
        ),
        _count("SELECT count(*) FROM runs_run WHERE owner IS NOT NULL"),
    )


def governed_rows_are_audited() -> Count:
    """I6: each governed row has its audit entry; groups and grants are what memberships say."""
    violations = examined = 0
    for model in governed_models():
        table = connection.ops.quote_name(model._meta.db_table)
        violations += _count(
            f"SELECT count(*) FROM {table} g LEFT JOIN audit_auditoutbox o ON o.id = g.audit_id "
            "WHERE o.id IS NULL"
        )
        examined += _count(f"SELECT count(*) FROM {table}")
    groups = _group_differences()
    return Count(violations + groups.violations, examined + groups.examined)


def log_is_dense_and_whole() -> Count:
    """I7: places are dense from 0, leaves are those of the envelopes, roots those signed."""
    signed = dict(
        apps.get_model("audit.TreeHead")._default_manager.values_list("size", "root").iterator()
    )
    rows = (
        apps.get_model("audit.AuditEntry")
        ._default_manager.order_by("seq")
        .values_list("seq", "leaf_sha256", "outbox__envelope")
    )
    frontier = merkle.Frontier()
    violations = examined = 0
    for seq, stored, envelope in rows.iterator(chunk_size=2_000):
        leaf = merkle.leaf_hash(bytes(envelope))
        violations += seq != examined or leaf != bytes(stored)
        examined += 1
        frontier.append(leaf)
        root = signed.pop(examined, None)
        violations += root is not None and root != frontier.root().hex()
    return Count(violations + len(signed), examined)


def outbox_is_placed(now: datetime) -> Count:
    """I8: no audit entry waits for its place longer than 60 seconds."""
    return Count(
        _count(
            "SELECT count(*) FROM audit_auditoutbox o WHERE o.inserted_at < %s AND NOT EXISTS "
            "(SELECT 1 FROM audit_auditentry e WHERE e.outbox_id = o.id)",
            now - UNPLACED_LIMIT,
        ),
        _count("SELECT count(*) FROM audit_auditoutbox"),
    )


def one_final_decision() -> Count:
    """I9: no review has two decisions that were not undone; who signed are as many as needed."""
    twice = _count(
        "SELECT count(*) FROM (SELECT 1 FROM approvals_decision WHERE undone_at IS NULL "
        "GROUP BY task_id HAVING count(*) > 1) twice"
    )
    too_few = _count(
        "SELECT count(*) FROM approvals_signoff s WHERE s.status = 'signed' AND s.needed > "
        "(SELECT count(DISTINCT d.decided_by_id) FROM approvals_decision d "
        "JOIN approvals_reviewtask t ON t.id = d.task_id WHERE t.sign_off_id = s.id "
        "AND d.outcome = 'approved' AND d.undone_at IS NULL AND d.took_effect_at IS NOT NULL)"
    )
    return Count(
        twice + too_few,
        _count("SELECT count(*) FROM approvals_decision")
        + _count("SELECT count(*) FROM approvals_signoff"),
    )


def ends_are_audited_once() -> Count:
    """I10: a run's audited ends are as many as its resumes, plus one when it has ended."""
    resumes = (
        "coalesce((r.state->>'resumes')::integer, 0)"
        if connection.vendor == "postgresql"
        else "coalesce(json_extract(r.state, '$.resumes'), 0)"
    )
    return Count(
        _count(
            "SELECT count(*) FROM runs_run r WHERE (SELECT count(*) FROM audit_auditoutbox o "
            "WHERE o.run_id = r.id AND o.action = 'run.ended') <> "
            f"{resumes} + CASE WHEN r.status IN ({_ENDED_RUN}, 'rolling_back') THEN 1 ELSE 0 END"
        ),
        _count("SELECT count(*) FROM runs_run"),
    )


def counters_are_their_ledger() -> Count:
    """I11: what a limit's counter says is the sum of its ledger,"""
    return Count(budgets.mismatches(), _count("SELECT count(*) FROM budgets_budgetcounter"))


INVARIANTS: Final[Mapping[str, tuple[str, Callable[[datetime], Count]]]] = {
    "I1": (
        "a run has ended exactly when all its steps have",
        lambda _: runs_ended_as_their_steps(),
    ),
    "I2": ("no step has two accepted results", lambda _: one_accepted_result()),
    "I3": ("no idempotency key stands for two requests", lambda _: one_request_per_key()),
    "I4": ("nothing waits for something that never comes", lambda _: nothing_waits_forever()),
    "I5": ("no lease has been over for more than 30 s", no_old_leases),
    "I6": ("every governed row has its audit entry", lambda _: governed_rows_are_audited()),
    "I7": ("the log is dense, and its hashes are right", lambda _: log_is_dense_and_whole()),
    "I8": ("no audit entry waits longer than 60 s for its place", outbox_is_placed),
    "I9": (
        "no review has two final decisions, no sign-off too few signatures",
        lambda _: one_final_decision(),
    ),
    "I10": ("each end of a run is audited exactly once", lambda _: ends_are_audited_once()),
    "I11": (
        "what is used of each limit is the sum of its ledger",
        lambda _: counters_are_their_ledger(),
    ),
}


def _words(words: Sequence[str]) -> str:
    return ", ".join(f"'{word}'" for word in sorted(words))


_ENDED_RUN: Final = _words([status.value for status in TERMINAL_RUN])
_ENDED_STEP: Final = _words([status.value for status in TERMINAL_STEP])

_WAITS_ON_NOTHING: Final = f"""
SELECT r.id AS run_id, s.step FROM runs_run r JOIN runs_steprun s ON s.run_id = r.id
WHERE r.status NOT IN ({_ENDED_RUN}) AND s.status IN ('ready', 'running', 'waiting')
    AND r.owner IS NULL AND r.rung_at IS NULL AND r.inbox_seq = r.drained_seq
    AND NOT (r.status = 'paused' AND s.status = 'ready')
    AND NOT (s.waiting_for = 'members' AND EXISTS (
        SELECT 1 FROM runs_steprun m WHERE m.run_id = r.id
            AND m.status IN ('ready', 'running', 'waiting')
            AND substr(m.step, 1, length(s.step) + 1) = s.step || '.'))
    AND NOT (s.waiting_for IN ('turn', 'milestone') AND EXISTS (
        SELECT 1 FROM runs_steprun u WHERE u.run_id = r.id
            AND u.status IN ('ready', 'running', 'waiting')
            AND u.waiting_for NOT IN ('turn', 'milestone')))
    AND NOT (s.waiting_for = 'child' AND EXISTS (
        SELECT 1 FROM runs_childrun c WHERE c.parent_id = r.id AND c.step = s.step
            AND c.iteration = s.iteration AND (c.status = 'wanted' OR EXISTS (
                SELECT 1 FROM runs_run o WHERE o.id = c.id AND o.status NOT IN ({_ENDED_RUN})))))
    AND NOT (s.status IN ('ready', 'running') AND EXISTS (
        SELECT 1 FROM budgets_budgetplace p WHERE p.run_id = r.id AND p.step = s.step))
    AND NOT (s.status = 'waiting' AND EXISTS (
        SELECT 1 FROM runs_timer t WHERE t.run_id = r.id AND t.step = s.step))
    AND NOT (s.status = 'waiting' AND EXISTS (
        SELECT 1 FROM approvals_reviewtask k WHERE k.run_id = r.id
            AND k.subject_id LIKE '%%/' || s.step || '/%%'
            AND (k.status IN ('open', 'claimed') OR k.status = 'decided' AND EXISTS (
                SELECT 1 FROM approvals_decision d WHERE d.task_id = k.id
                    AND d.undone_at IS NULL AND d.took_effect_at IS NULL))))
"""


def _group_differences() -> Count:
    """Pairs of person and role group that only memberships or only groups have; grants too."""
    member = apps.get_model("accounts.Membership")
    given = {
        (user_id, access.group_name(role, slug))
        for user_id, role, slug in member._default_manager.filter(ended_at__isnull=True)
        .values_list("user_id", "role", "workspace__slug")
        .iterator()
    }
    held = set(
        Group.objects.filter(name__contains="@", user__isnull=False).values_list("user__id", "name")
    )
    granted = apps.get_model("accounts.WorkspaceGroupPermission")
    stored = set(granted._default_manager.values_list("group__name", "permission__codename"))
    wanted = {
        (access.group_name(role, slug), codename)
        for slug in apps.get_model("accounts.Workspace")._default_manager.values_list(
            "slug", flat=True
        )
        for role in Role
        for codename in access.codenames_of(role)
    }
    return Count(len(given ^ held) + len(stored ^ wanted), len(given | held) + len(wanted))


def _count(sql: str, *values: datetime) -> int:
    with connection.cursor() as cursor:
        # With a parameter list, even an empty one, Django reads %% as one percent sign.
        cursor.execute(sql, list(values))
        (count,) = cursor.fetchone()
    return int(count)


def _pair(count: Count) -> tuple[int, int]:
    return count.violations, count.examined


def runs_waiting_on_nothing(limit: int) -> list[UUID]:
    """Runs with a step that breaks I4, at most `limit`."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT DISTINCT run_id FROM ({_WAITS_ON_NOTHING}) lost LIMIT %s", [limit])
        return [row[0] if isinstance(row[0], UUID) else UUID(row[0]) for row in cursor.fetchall()]
