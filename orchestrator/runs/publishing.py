"""Events that runs tell: stored like those that come from outside, once for each telling step.

Called in the transaction that records the result of the step, so that an event is there exactly
when the result is. The sweeper settles it like any other (`intake.py`). Its digest is made another
way than those of events from outside: nobody can send an event that takes the place of one that a
run is going to tell.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from orchestrator.core.commands import PublishEvent
from orchestrator.core.triggers import OWN_SOURCE
from orchestrator.ids import new_id
from orchestrator.runs.models import ReceivedEvent

SENT_BY_RUN: Final = "run"
"""The kind of sender of an event that a run tells."""


def source_of(workflow_slug: str) -> str:
    """The source of the events that runs of a workflow tell."""
    return f"{OWN_SOURCE}/workflows/{workflow_slug}"


def correlation_of(workspace_id: UUID, event_type: str, key: str) -> str:
    """What an event and a wait for it have in common, as one indexed text."""
    return hashlib.sha256(f"{workspace_id}\n{event_type}\n{key}".encode()).hexdigest()


def publish(
    told: Sequence[PublishEvent],
    *,
    workspace_id: UUID,
    workflow_slug: str,
    run_id: UUID,
    now: datetime,
) -> None:
    """Store what a run tells. Safe to call twice: an event that is there is not stored again."""
    ReceivedEvent.objects.bulk_create(
        [
            ReceivedEvent(
                id=new_id(),
                workspace_id=workspace_id,
                digest=hashlib.sha256(b"\0run\n" + event.id.encode()).hexdigest(),
                source=source_of(workflow_slug),
                event_id=event.id,
                type=event.event,
                key=event.subject,
                schema=event.dataschema,
                content=event.content,
                happened_at=now,
                received_at=now,
                sender_kind=SENT_BY_RUN,
                sender=str(run_id),
                depth=event.depth,
                correlation=correlation_of(workspace_id, event.event, event.subject)
                if event.subject
                else "",
                status="unheard" if event.refused else "received",
                reason=event.refused,
            )
            for event in told
        ],
        ignore_conflicts=True,
    )
