"""Runs that steps of runs start: asked for with the parent's commit, told what becomes of it.

A child is a row first (`ChildRun`), written in the transaction that records that the step began;
its id is that of the run to come. `services.start_children` makes a run of it, once, right after
that commit; the sweeper finds what was forgotten. When the parent is cancelled, paused or
continued, and when the child ends, the other hears of it by its inbox, in the transaction that
records it. Whom to ring is returned: doorbells are rung after the commit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID, uuid5

from audit.services import Subject, append_entry
from orchestrator.access import Actor
from orchestrator.core import events
from orchestrator.core.commands import StartChild, TellChild
from orchestrator.core.definition import Itself, WorkflowRef
from orchestrator.core.json import JsonObject, JsonValue
from orchestrator.core.state import GOING_ON, RunStatus
from orchestrator.runs import statements
from orchestrator.runs.models import ChildRun

WANTED: Final = "wanted"
STARTED: Final = "started"
DROPPED: Final = "dropped"
REFUSED: Final = "refused"
_MESSAGES: Final = UUID("5b8a4d2e-1b0c-4a53-9a55-0f6c3f1f6f10")


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a child is asked for: the event, its audit action, from which statuses, and why."""

    event: (
        type[events.CancelRequested] | type[events.PauseRequested] | type[events.ContinueRequested]
    )
    action: str
    statuses: Sequence[RunStatus]
    reason: str


_ASKED: Final = {
    "cancel": _Asked(
        events.CancelRequested,
        "run.cancel_requested",
        GOING_ON,
        "The run that started it does not need it any more.",
    ),
    "pause": _Asked(
        events.PauseRequested, "run.paused", GOING_ON[:3], "The run that started it was paused."
    ),
    "continue": _Asked(
        events.ContinueRequested,
        "run.continued",
        (RunStatus.PAUSED,),
        "The run that started it goes on.",
    ),
}


@dataclass(frozen=True, slots=True)
class Parent:
    """The run that says what becomes of its children; `seq` is the number of its latest event.

    `version` is the one that it runs.
    """

    run_id: UUID
    workspace_id: UUID
    actor: Actor
    seq: int
    depth: int
    version: WorkflowRef


def ask_for(commands: Sequence[StartChild], parent: Parent, now: datetime) -> None:
    """Note the runs that are to be started; those that are noted stay as they are."""
    named = [parent.version if isinstance(one.uses, Itself) else one.uses for one in commands]
    ChildRun.objects.bulk_create(
        [
            ChildRun(
                id=UUID(one.child),
                parent_id=parent.run_id,
                step=one.step,
                iteration=one.iteration,
                workflow=uses.workflow,
                number=uses.version,
                input=one.input,
                is_detached=one.detached,
                depth=parent.depth,
                status=WANTED,
                created_at=now,
            )
            for one, uses in zip(commands, named, strict=True)
        ],
        ignore_conflicts=True,
    )


def tell(command: TellChild, parent: Parent, now: datetime) -> UUID | None:
    """Have a child do what its parent does; returns its id when it is to be rung."""
    child = UUID(command.child)
    if command.what == "cancel":
        ChildRun.objects.filter(id=child, status=WANTED).update(status=DROPPED)
    asked = _ASKED[command.what]
    event = asked.event(reason=asked.reason, actor=parent.actor.id)
    event_id = uuid5(_MESSAGES, f"{child}/{command.what}/{parent.run_id}/{parent.seq}")
    sent = statements.send(
        child, event.model_dump(mode="json"), event_id=event_id, now=now, statuses=asked.statuses
    )
    if sent is None:
        return None
    append_entry(
        actor=parent.actor,
        action=asked.action,
        subject=Subject("run", str(child)),
        now=now,
        workspace_id=parent.workspace_id,
        run=child,
        reason=asked.reason,
        payloads={"parent": {"run": str(parent.run_id), "step": command.step}},
        event_id=event_id,
    )
    return child


def report_end(
    binding: JsonObject, child: UUID, ended: events.RunEnded, *, seq: int, now: datetime
) -> UUID | None:
    """Tell the parent that its child has ended; returns the parent's id when it is to be rung."""
    parent = binding.get("parent")
    if not isinstance(parent, dict) or parent["detached"]:
        return None
    event = events.ChildEnded.model_validate(
        {
            "step": parent["step"],
            "iteration": parent["iteration"],
            "child": str(child),
            "status": ended.status,
            "outcome": ended.outcome,
            "output": ended.result,
            "reason": ended.reason,
        }
    )
    return send_end(UUID(str(parent["run"])), event, seq=seq, now=now)


def send_end(parent: UUID, event: events.ChildEnded, *, seq: int, now: datetime) -> UUID | None:
    """Put the end of a child into its parent's inbox; None when it stands there."""
    event_id = uuid5(_MESSAGES, f"{event.child}/ended/{seq}")
    body: JsonObject = event.model_dump(mode="json")
    sent = statements.send(parent, body, event_id=event_id, now=now, statuses=GOING_ON)
    return None if sent is None else parent


def level_of(binding: JsonObject) -> int:
    """How many runs stand above each other with this one, one having started the next."""
    parent = binding.get("parent")
    level: JsonValue = parent["level"] if isinstance(parent, dict) else 1
    return level if isinstance(level, int) else 1
