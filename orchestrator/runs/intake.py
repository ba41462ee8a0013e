"""Events from outside of runs: stored as they come, looked at after, delivered to what waits.

Theory of operation
-------------------
`receive` stores and answers; nothing is decided while a sender waits, so a storm costs inserts
only, many in one statement, and what was accepted is stored. The sweeper, of which there is one,
then settles events in the order in which they came: triggers that listen are told, and each wait of
the same correlation (workspace, type, key) is ended by deleting its timer and putting
`EventArrived` into its run's inbox, in one transaction. An event that nobody waits for yet is
parked for a while, also when a trigger was told of it. The other way round, a wait that begins
looks for a parked event (`deliver_parked`). Both are done by the same thread one after the other: a
wait that was committed too late to be seen by the first is seen by the second. A wait for new
events only (`Timer.hears_from`) takes none that was received before it began, parked or not.
"""

from __future__ import annotations

import hashlib
import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid5

from django.db import transaction
from django.db.models import QuerySet

from orchestrator import access
from orchestrator.access import SYSTEM, Actor
from orchestrator.core.cloudevents import IncomingEvent
from orchestrator.core.errors import InvalidInputError
from orchestrator.core.events import EventArrived
from orchestrator.core.json import JsonObject
from orchestrator.core.triggers import OWN_TYPES, is_own
from orchestrator.core.waits import arrived
from orchestrator.ids import first_id, new_id
from orchestrator.runs import statements, triggers
from orchestrator.runs.models import ReceivedEvent, Timer
from orchestrator.runs.publishing import correlation_of
from orchestrator.runs.services import commit_inbox_event

logger = logging.getLogger("baton.runs.intake")

PARKED_FOR: Final = timedelta(minutes=15)
"""How long before a wait begins its event may come."""
NEW_WAITS: Final = timedelta(minutes=5)
"""How far back `deliver_parked` looks for waits that have begun: longer than any commit takes."""
BATCH: Final = 500
_ARRIVALS: Final = UUID("0b0f7c1e-2f52-4a0c-9a53-6f5d0a1f5a44")
_FATES: Final[Mapping[tuple[bool, bool], Mapping[str, str]]] = {
    (True, False): {"status": "parked", "reason": "Nothing waits for it yet."},
    (True, True): {
        "status": "parked",
        "reason": "Triggers were told of it; nothing waits for it yet.",
    },
    (False, False): {
        "status": "unheard",
        "reason": "It names no subject, so that nothing can wait for it.",
    },
    (False, True): {"status": "delivered", "reason": ""},
}
"""What becomes of an event that no wait has heard, by whether it has a key and was told."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """How many events are stored now, and how many of them were there before."""

    accepted: int
    duplicates: int


def receive(
    *,
    events: Sequence[IncomingEvent],
    workspace_id: UUID,
    actor: Actor,
    now: datetime,
    depth: int = 0,
) -> Accepted:
    """Store events; one that its source has sent before is not stored again.

    Raises:
        PermissionDeniedError: the actor may not start runs there.
        InvalidInputError: one of them is an event that only the installation itself tells.
    """
    access.require(actor, "run.start", workspace_id)
    if actor != SYSTEM:
        _refuse_forged(events)
    common: statements.Row = {
        "workspace_id": workspace_id,
        "received_at": now,
        "sender_kind": actor.kind,
        "sender": actor.id,
        "depth": depth,
        "status": "received",
        "reason": "",
        "is_told": False,
    }
    rows = [{**common, **_row(one, workspace_id, now)} for one in events]
    stored = statements.store_told("received", rows)
    return Accepted(accepted=len(events), duplicates=len(events) - stored)


def settle_received(now: datetime) -> int:
    """Deliver events that came in, or park them; returns how many were looked at."""
    events = list(ReceivedEvent.objects.filter(status="received").order_by("id")[:BATCH])
    keys = {event.correlation for event in events if event.correlation}
    waited_for = _waits(_timers().filter(correlation__in=keys)) if keys else {}
    told = triggers.take_events(events)
    quiet: list[ReceivedEvent] = []
    for event in events:
        waits = [one for one in waited_for.get(event.correlation, ()) if _hears(one, event)]
        if not (waits and _settle(event, waits, now)):
            quiet.append(event)
    _park(quiet, told, now)
    return len(events)


def deliver_parked(now: datetime, *, since: datetime | None) -> int:
    """Give waits that began after `since` (None: all of them) their parked events."""
    parked = ReceivedEvent.objects.filter(status="parked")
    expired = parked.filter(parked_until__lte=now)
    expired.filter(is_told=True).update(status="delivered", reason="", parked_until=None)
    expired.update(status="unheard", reason="Nothing waited for it in time.", parked_until=None)
    if not parked.exists():
        return 0
    waits = _timers().exclude(correlation="")
    if since is not None:
        waits = waits.filter(id__gte=first_id(since))
    kept: dict[str, list[ReceivedEvent]] = {}
    for event in parked.filter(correlation__in=waits.values("correlation")).order_by("id"):
        kept.setdefault(event.correlation, []).append(event)
    heard: dict[UUID, tuple[ReceivedEvent, list[Timer]]] = {}
    for timer in waits.filter(correlation__in=list(kept)) if kept else ():
        earliest = next((one for one in kept[timer.correlation] if _hears(timer, one)), None)
        if earliest is not None:
            heard.setdefault(earliest.id, (earliest, []))[1].append(timer)
    return sum(_settle(event, timers, now) for event, timers in heard.values())


def _refuse_forged(events: Sequence[IncomingEvent]) -> None:
    for number, event in enumerate(events):
        if not is_own(event.source, event.type):
            continue
        name = "type" if event.type in OWN_TYPES else "source"
        said = event.type if name == "type" else event.source
        place = f"/{number}/{name}" if len(events) > 1 else f"/{name}"
        violation: JsonObject = {
            "path": place,
            "rule": "reserved",
            "reason": f"'{said}' is told by the installation itself only",
        }
        raise InvalidInputError(
            f"Nobody else may tell an event of the {name} '{said}': the installation does so "
            f"itself. Send it with a {name} of your own.",
            detail={"violations": [violation]},
        )


def _row(event: IncomingEvent, workspace_id: UUID, now: datetime) -> statements.Row:
    named = f"{event.source}\n{event.id}".encode()
    return {
        "id": new_id(),
        "digest": hashlib.sha256(named).hexdigest(),
        "source": event.source,
        "event_id": event.id,
        "type": event.type,
        "key": event.key,
        "schema": event.schema_,
        "content": event.content,
        "happened_at": event.at or now,
        "correlation": correlation_of(workspace_id, event.type, event.key) if event.key else "",
    }


def _timers() -> QuerySet[Timer]:
    """Timers, each with what is asked of its run."""
    return Timer.objects.select_related("run").only("id", "correlation", "hears_from", "run__mode")


def _hears(timer: Timer, event: ReceivedEvent) -> bool:
    """Whether an event counts for a wait of its correlation, by when it was received."""
    return timer.hears_from is None or event.received_at >= timer.hears_from


def _waits(timers: Iterable[Timer]) -> dict[str, list[Timer]]:
    found: dict[str, list[Timer]] = {}
    for timer in timers:
        found.setdefault(timer.correlation, []).append(timer)
    return found


def _settle(event: ReceivedEvent, waits: Sequence[Timer], now: datetime) -> bool:
    """Deliver an event to each wait that is still there; False: no live run heard it.

    A test run hears it too, but does not use it up: it may still be meant for a live one.
    """
    with transaction.atomic():
        mine = ReceivedEvent.objects.filter(id=event.id, status__in=("received", "parked"))
        was_open = mine.update(status="delivered", reason="", parked_until=None)
        heard = [wait for wait in waits if _deliver(event, wait.id, now)] if was_open else []
        is_live = any(wait.run.mode == "live" for wait in heard)
        if heard and not is_live:
            ReceivedEvent.objects.filter(id=event.id).update(
                status=event.status, reason=event.reason, parked_until=event.parked_until
            )
        elif not heard:
            transaction.set_rollback(True)
    return is_live


def _deliver(event: ReceivedEvent, timer_id: UUID, now: datetime) -> bool:
    taken = statements.take_wait(timer_id)
    if taken is None:
        return False
    run_id, step, iteration = taken
    output = arrived(
        content=event.content,
        source=event.source,
        event_id=event.event_id,
        at=event.happened_at,
    )
    return commit_inbox_event(
        run_id,
        EventArrived(step=step, iteration=iteration, output=output, depth=event.depth or None),
        event_id=uuid5(_ARRIVALS, f"{event.id}/{timer_id}"),
        now=now,
    )


def _park(events: Sequence[ReceivedEvent], told: frozenset[UUID], now: datetime) -> None:
    """Keep those that a wait may still begin for; settle the others."""
    fates: dict[tuple[bool, bool], list[UUID]] = defaultdict(list)
    for event in events:
        fates[bool(event.correlation), event.id in told].append(event.id)
    undecided = ReceivedEvent.objects.filter(status="received")
    for (is_keyed, is_told), ids in fates.items():
        values: dict[str, Any] = dict(_FATES[is_keyed, is_told])
        if is_keyed:
            values["parked_until"] = now + PARKED_FOR
        undecided.filter(id__in=ids).update(**values, is_told=is_told)
