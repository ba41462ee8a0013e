"""The places that the calls of one walk need, and the calls that wait for one (`budgets.places`).

Theory of operation. A call that a limit of calls at the same time concerns asks for a place after
its attempt was leased and before it is made. Without a place it is set down: its attempt is planned
and not begun again, as after a walker's slice. So a waiting call costs no worker anything; the run
parks when nothing else is under way. Whoever leaves a place gives it to the call that has waited
longest and wakes its run, whose next claim takes up what was set down. Between the question and the
parking a place may be given to a run that is being walked: the walker looks once more after it has
parked, and the sweeper looks for places that nobody took.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Final
from uuid import UUID

from django.db import DatabaseError

from budgets import ledger, places
from budgets.places import Asked, ticket_of
from orchestrator.core.commands import InvokeAgent
from orchestrator.runs import services, statements
from orchestrator.runs.models import Attempt

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.runs.recording import AttemptKey, Recording

logger = logging.getLogger("baton.runs.placing")

TAKE_SECONDS: Final = 2.0
"""How long a given place may be untaken before its run is rung for again."""


class Places:
    """The calls of one claim that have a place, and those that wait for one."""

    def __init__(self, recording: Recording, owner: UUID, fence: int) -> None:
        self._recording = recording
        self._facts = recording.facts
        self._owner = owner
        self._fence = fence
        self._placed: set[AttemptKey] = set()
        self._waiting: dict[AttemptKey, InvokeAgent] = {}

    @property
    def has_waiting(self) -> bool:
        """Whether a call waits for a place."""
        return bool(self._waiting)

    def concern(self, call: InvokeAgent) -> bool:
        """Whether a call needs a place; costs no query while the limits are fresh."""
        facts = self._facts
        return bool(ledger.places_of(facts.workspace_id, facts.workflow_id, call.uses.agent))

    def admitted(self, calls: list[InvokeAgent]) -> list[InvokeAgent]:
        """The calls that may be made now; the others are set down and wait."""
        facts = self._facts
        asked = {
            _key(call): Asked(facts.run_id, *_key(call), limits)
            for call in calls
            if _key(call) not in self._placed
            and (limits := ledger.places_of(facts.workspace_id, facts.workflow_id, call.uses.agent))
        }
        if not asked:
            return calls
        begun, woken = places.ask(
            facts.workspace_id, list(asked.values()), self._owner, statements.CLOCK.now()
        )
        services.wake(woken)
        without = {key for key, one in asked.items() if one.ticket not in begun}
        self._placed |= asked.keys() - without
        self._waiting |= {_key(call): call for call in calls if _key(call) in without}
        set_down(self._recording, self._owner, self._fence, without)
        return [call for call in calls if _key(call) not in without]

    def taken_up(self) -> list[InvokeAgent]:
        """Calls that have got a place since they were set down, leased again.

        Raises:
            StaleClaimError: the claim is somebody else's by now.
        """
        begun = places.begin(self._facts.run_id, self._owner)
        keys = [key for key in self._waiting if ticket_of(self._facts.run_id, *key) in begun]
        if not keys:
            return []
        rows = Attempt.objects.filter(id__in=self._ids(keys), status="leased", owner__isnull=True)
        leased = rows.filter(run__fence=self._fence).update(
            owner=self._owner, fence=self._fence, started_at=statements.CLOCK.now()
        )
        if leased != len(keys):
            raise statements.StaleClaimError
        self._placed.update(keys)
        return [self._waiting.pop(key) for key in keys]

    def forget(self, key: AttemptKey) -> None:
        """The planner wants a call no more; if it waits, it waits no longer."""
        if self._waiting.pop(key, None) is not None:
            self._leave(key)

    def after(self, call: InvokeAgent) -> Callable[[], None] | None:
        """What to do when a call has ended, however: leave its places; None: it has none."""
        return partial(self._leave, _key(call)) if _key(call) in self._placed else None

    def wake_if_given(self) -> None:
        """Ring for this run if it was given a place while it was parking."""
        if self._waiting and places.has_unbegun(self._facts.run_id):
            services.wake([self._facts.run_id])

    def _leave(self, key: AttemptKey) -> None:
        _leave(self._facts.workspace_id, self._facts.run_id, key)

    def _ids(self, keys: Iterable[AttemptKey]) -> list[str]:
        return _ids(self._recording, keys)


def set_down(recording: Recording, owner: UUID, fence: int, keys: Iterable[AttemptKey]) -> None:
    """Have calls wait that were begun: planned and not begun, as after a walker's slice."""
    rows = Attempt.objects.filter(id__in=_ids(recording, keys), status="leased")
    rows.filter(owner=owner, fence=fence).update(owner=None)


def _ids(recording: Recording, keys: Iterable[AttemptKey]) -> list[str]:
    return [str(recording.live[key]["id"]) for key in keys]


def _leave(workspace_id: UUID, run_id: UUID, key: AttemptKey) -> None:
    try:
        woken = places.leave(workspace_id, [ticket_of(run_id, *key)], statements.CLOCK.now())
        services.wake(woken)
    except DatabaseError:  # the sweeper leaves it
        logger.exception("place could not be left", extra={"run": str(run_id)})


def leave_places_of_the_dead(now: datetime) -> int:
    """Leave places whose calls are over though nobody left them, and give what is free.

    For the sweeper. Returns how many were left. A place that was given and that nobody has begun
    to use for a while is rung for again.
    """
    given = places.given()
    under_way = _under_way({one.run_id for one in given})
    left = 0
    for one in given:
        key = (one.run_id, one.step, one.iteration, one.attempt)
        is_over = one.expires_at < now if one.expires_at is not None else key not in under_way
        if is_over:
            services.wake(places.leave(one.workspace_id, [one.ticket], now))
            left += 1
        elif not one.begun and (now - one.given_at).total_seconds() > TAKE_SECONDS:
            services.wake([one.run_id])
    services.wake(places.give_free(now))
    return left


def _under_way(runs: set[UUID]) -> set[tuple[UUID, str, int, int]]:
    """The attempts of runs that are leased, begun or not."""
    if not runs:
        return set()
    rows = Attempt.objects.filter(run_id__in=runs, status="leased")
    return set(rows.values_list("run_id", "step", "iteration", "number"))


def _key(call: InvokeAgent) -> AttemptKey:
    return call.step, call.iteration, call.attempt
