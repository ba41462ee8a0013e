"""Events that the installation tells itself: a run has finished, a review was decided.

They are read off the audit log, where both stand anyway, in the order of their places: dense, so
that nothing is missed, and without any work for the walker. An event is told only where a trigger
listens or a step waits for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db import transaction

from audit.models import AuditOutbox
from audit.selectors import content_of, latest_seq, placed_after
from orchestrator.access import SYSTEM
from orchestrator.core.cloudevents import IncomingEvent
from orchestrator.core.json import JsonObject
from orchestrator.core.triggers import OWN_SOURCE, REVIEW_DECIDED, RUN_FINISHED
from orchestrator.runs import intake
from orchestrator.runs.models import EventCursor, Run, Timer, Trigger, TriggerFiring
from orchestrator.runs.recording import correlation_of

STRETCH: Final = 2_000
"""Entries of the log that one round looks at."""
_CURSOR: Final = "own_events"
_ACTIONS: Final[Mapping[str, str]] = {
    "run.ended": RUN_FINISHED,
    "decision.took_effect": REVIEW_DECIDED,
}


def tell_own_events(now: datetime) -> int:
    """Tell what has happened since the last look; returns how many events were told."""
    cursor, is_new = EventCursor.objects.get_or_create(name=_CURSOR, defaults={"seq": latest_seq()})
    if is_new:
        return 0
    placed = placed_after(cursor.seq, tuple(_ACTIONS), STRETCH)
    if placed.latest == cursor.seq:
        return 0
    with transaction.atomic():
        moved = EventCursor.objects.filter(name=_CURSOR, seq=cursor.seq).update(seq=placed.latest)
        return _tell(placed.rows, now) if moved else 0


def _tell(rows: Sequence[AuditOutbox], now: datetime) -> int:
    runs = {
        run.id: run
        for run in Run.objects.filter(id__in={row.run_id for row in rows}, mode="live")
        .select_related("workflow")
        .defer("state")
    }
    depths = dict(
        TriggerFiring.objects.filter(run_id__in=runs, status="started").values_list(
            "run_id", "depth"
        )
    )
    told = 0
    for row in rows:
        run = runs.get(row.run_id) if row.run_id is not None else None
        if run is None:
            continue
        for event in _heard(row, run):
            intake.receive(
                events=[event],
                workspace_id=run.workspace_id,
                actor=SYSTEM,
                now=now,
                depth=depths.get(run.id, 0) + 1,
            )
            told += 1
    return told


def _heard(row: AuditOutbox, run: Run) -> Iterator[IncomingEvent]:
    """The event that an entry is, where somebody hears it."""
    event_type = _ACTIONS[row.action]
    key = str(run.id)
    if not _is_heard(run.workspace_id, event_type, key):
        return
    decision = content_of(row).get("decision")
    said = decision if isinstance(decision, dict) else {}
    content: JsonObject = {
        "run": key,
        "title": run.title,
        "workflow": run.workflow.slug,
        "outcome": str(said.get("declared_outcome") or ""),
    }
    if event_type == RUN_FINISHED:
        content["status"] = str(said.get("outcome") or run.status)
    else:
        content |= {"review": row.subject_id, "outcome": str(said.get("outcome") or "")}
    yield IncomingEvent(
        id=str(row.id),
        source=OWN_SOURCE,
        type=event_type,
        key=key,
        at=row.at,
        content=content,
    )


def _is_heard(workspace_id: UUID, event_type: str, key: str) -> bool:
    listening = Trigger.objects.filter(workspace_id=workspace_id, event_type=event_type)
    if listening.exclude(status="removed").exists():
        return True
    correlation = correlation_of(workspace_id, event_type, key)
    return Timer.objects.filter(correlation=correlation).exists()
