"""Events that the installation tells itself: a run has finished, a review was decided.

They are read off the audit log, where both stand anyway, in the order of their places: dense, so
that nothing is missed, and without any work for the walker. An event is told only where a trigger
listens, or a run that is going on waits for it or has a step that will.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Final
from uuid import UUID

from django.db import transaction

from audit.selectors import content_of, latest_seq, placed_after
from designer import selectors as designer
from orchestrator.access import SYSTEM
from orchestrator.core.cloudevents import IncomingEvent
from orchestrator.core.definition import EventAwaited, WaitStep
from orchestrator.core.json import JsonObject
from orchestrator.core.state import TERMINAL_RUN
from orchestrator.core.triggers import OWN_SOURCE, REVIEW_DECIDED, RUN_FINISHED
from orchestrator.runs import intake
from orchestrator.runs.models import EventCursor, Run, Timer, Trigger, TriggerFiring
from orchestrator.runs.publishing import correlation_of

if TYPE_CHECKING:
    from audit.models import AuditOutbox

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
    happened = [
        (runs[row.run_id], row) for row in rows if row.run_id is not None and row.run_id in runs
    ]
    heard = _heard([(run, _ACTIONS[row.action]) for run, row in happened])
    events: dict[tuple[UUID, int], list[IncomingEvent]] = defaultdict(list)
    for run, row in happened:
        if (run.id, _ACTIONS[row.action]) in heard:
            events[run.workspace_id, depths.get(run.id, 0) + 1].append(_event(run, row))
    for (workspace_id, depth), members in events.items():
        intake.receive(
            events=members, workspace_id=workspace_id, actor=SYSTEM, now=now, depth=depth
        )
    return sum(len(members) for members in events.values())


def _event(run: Run, row: AuditOutbox) -> IncomingEvent:
    """The event that an entry about a run is."""
    event_type = _ACTIONS[row.action]
    decision = content_of(row).get("decision")
    said = decision if isinstance(decision, dict) else {}
    content: JsonObject = {
        "run": str(run.id),
        "title": run.title,
        "workflow": run.workflow.slug,
        "outcome": str(said.get("declared_outcome") or ""),
    }
    if event_type == RUN_FINISHED:
        content["status"] = str(said.get("outcome") or run.status)
    else:
        content |= {"review": row.subject_id, "outcome": str(said.get("outcome") or "")}
    return IncomingEvent(
        id=str(row.id),
        source=OWN_SOURCE,
        type=event_type,
        key=str(run.id),
        at=row.at,
        content=content,
    )


def _heard(asked: Sequence[tuple[Run, str]]) -> set[tuple[UUID, str]]:
    """Those of these runs and event types that somebody hears, or may wait for before its end."""
    workspaces = {run.workspace_id for run, _ in asked}
    listening = set(
        Trigger.objects.filter(workspace_id__in=workspaces, event_type__in=_ACTIONS.values())
        .exclude(status="removed")
        .values_list("workspace_id", "event_type")
    )
    going_on = Run.objects.filter(workspace_id__in=workspaces, mode="live").exclude(
        status__in=TERMINAL_RUN
    )
    for workspace_id, version_id in going_on.values_list("workspace_id", "version_id").distinct():
        listening |= {(workspace_id, one) for one in _awaited(version_id)}
    correlations = {
        correlation_of(run.workspace_id, event_type, str(run.id)): (run.id, event_type)
        for run, event_type in asked
    }
    waiting = Timer.objects.filter(correlation__in=list(correlations))
    heard = {correlations[one] for one in waiting.values_list("correlation", flat=True)}
    return heard | {
        (run.id, event_type)
        for run, event_type in asked
        if (run.workspace_id, event_type) in listening
    }


@lru_cache(maxsize=512)
def _awaited(version_id: UUID) -> frozenset[str]:
    """The types of events that a step of this version waits for."""
    return frozenset(
        step.awaits.event
        for step in designer.compiled(version_id).definition.steps.values()
        if isinstance(step, WaitStep) and isinstance(step.awaits, EventAwaited)
    )
