"""The breakers of agent versions as rows: asked and told at the one door, shared by all workers.

Asking costs one read per second and version; a healthy breaker is never written. Every change is a
guarded UPDATE, so that of several workers one makes it, and it alone writes the audit entry.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q

from audit.services import Subject, append_entry
from orchestrator.access import SYSTEM, Actor
from orchestrator.core.breakers import USUAL, Breaker, BreakerStatus
from orchestrator.core.json import JsonObject
from orchestrator.runs.models import AgentBreaker


def read_breaker(version_id: UUID) -> Breaker:
    """The breaker of an agent version; without a row it is closed and healthy."""
    row = AgentBreaker.objects.filter(agent_version_id=version_id).first()
    if row is None:
        return Breaker()
    return Breaker(BreakerStatus(row.status), row.failures, row.until)


def begin_probe(version_id: UUID, workspace_id: UUID, *, now: datetime) -> bool:
    """Let this call be the one that tries the agent again.

    False: another call is, or the breaker is closed by now.
    """
    with transaction.atomic():
        begun = (
            AgentBreaker.objects.filter(agent_version_id=version_id)
            .filter(status__in=(BreakerStatus.OPEN, BreakerStatus.HALF_OPEN))
            .filter(Q(until__isnull=True) | Q(until__lte=now))
            .update(status=BreakerStatus.HALF_OPEN, until=USUAL.until(now), changed_at=now)
        )
        if begun:
            _record("agent_breaker.half_opened", version_id, workspace_id, now=now)
    return bool(begun)


def note_failure(version_id: UUID, workspace_id: UUID, reason: str, *, now: datetime) -> None:
    """Count a failure: the breaker opens when it was one too many, or the probe's."""
    with transaction.atomic():
        AgentBreaker.objects.bulk_create(
            [AgentBreaker(agent_version_id=version_id, counted_from=now, changed_at=now)],
            ignore_conflicts=True,
        )
        rows = AgentBreaker.objects.filter(agent_version_id=version_id)
        closed = rows.filter(status=BreakerStatus.CLOSED)
        stale = closed.filter(counted_from__lt=USUAL.counts_since(now))
        if not stale.update(failures=1, counted_from=now):
            closed.update(failures=F("failures") + 1)
        too_many = Q(status=BreakerStatus.CLOSED, failures__gte=USUAL.failures)
        opened = rows.filter(too_many | Q(status=BreakerStatus.HALF_OPEN)).update(
            status=BreakerStatus.OPEN, until=USUAL.until(now), reason=reason, changed_at=now
        )
        if opened:
            _record("agent_breaker.opened", version_id, workspace_id, now=now, reason=reason)


def note_answer(version_id: UUID, workspace_id: UUID, *, now: datetime) -> None:
    """End the count, or close the breaker when the probe answered."""
    with transaction.atomic():
        rows = AgentBreaker.objects.filter(agent_version_id=version_id)
        rows.filter(status=BreakerStatus.CLOSED, failures__gt=0).update(
            failures=0, counted_from=now
        )
        closed = rows.filter(status=BreakerStatus.HALF_OPEN).update(**_closed(now))
        if closed:
            _record("agent_breaker.closed", version_id, workspace_id, now=now)


def close_by_hand(
    version_id: UUID, workspace_id: UUID, *, reason: str, actor: Actor, now: datetime
) -> bool:
    """Close an open breaker because a person says so; False: it was closed."""
    with transaction.atomic():
        rows = AgentBreaker.objects.filter(agent_version_id=version_id)
        closed = rows.exclude(status=BreakerStatus.CLOSED).update(**_closed(now))
        if closed:
            _record(
                "agent_breaker.reset",
                version_id,
                workspace_id,
                now=now,
                reason=reason,
                actor=actor,
            )
    return bool(closed)


def _closed(now: datetime) -> dict[str, object]:
    return {
        "status": BreakerStatus.CLOSED,
        "failures": 0,
        "until": None,
        "reason": "",
        "counted_from": now,
        "changed_at": now,
    }


def _record(
    action: str,
    version_id: UUID,
    workspace_id: UUID,
    *,
    now: datetime,
    reason: str = "",
    actor: Actor = SYSTEM,
) -> None:
    decision: JsonObject = {"outcome": action.partition(".")[2]}
    if action == "agent_breaker.opened":
        decision |= {"failures": USUAL.failures, "cool_down_seconds": USUAL.cool_down_seconds}
    append_entry(
        actor=actor,
        action=action,
        subject=Subject("agent_version", str(version_id)),
        now=now,
        workspace_id=workspace_id,
        reason=reason,
        decision=decision,
    )
