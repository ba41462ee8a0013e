"""The sweeper: finds what nobody rings for any more. It writes no run or step state.

One process of the installation sweeps at a time (`boots.SingleHolder`); others stand by. Twice a
second it looks for owners that are dead, timers and decisions that are due; every few seconds for
leases that ran out, doorbells that were lost, and runs that wait on nothing. What it finds becomes
an event in a run's inbox, or just another doorbell. An error is logged, and the next round comes
all the same.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Final
from uuid import UUID

from django.conf import settings
from django.db import DatabaseError, close_old_connections, connection

from approvals.services import take_effect
from budgets.ledger import settle_expired
from orchestrator.core.state import RunStatus, is_terminal
from orchestrator.runs import boots, intake, invariants, selectors, services, statements, triggers
from orchestrator.runs.models import Incident, Run, Timer, Worker
from orchestrator.runs.own_events import tell_own_events
from orchestrator.runs.placing import leave_places_of_the_dead
from orchestrator.runs.retention import delete_expired
from orchestrator.runs.watch import Watch

logger = logging.getLogger("baton.runs.sweeper")

BATCH: Final = 200
"""Rows of one kind that one round takes; the next round takes the rest."""
WORKER_GONE_SECONDS: Final = 120
INCIDENT_SECONDS: Final = 30.0
NOTHING: Final = "waits_on_nothing"


class Sweeper:
    """One process's part in sweeping."""

    def __init__(self, *, embedded: bool | None = None) -> None:
        is_embedded = settings.EMBEDDED if embedded is None else embedded
        self.fast_seconds = 1.0 if is_embedded else 0.5
        self.slow_seconds = 1.0 if is_embedded else 5.0
        self.ring_again_seconds = 1.0 if is_embedded else 3.0
        self._holder = boots.SingleHolder("sweeper")
        self._slow_at = 0.0
        self._looked_at: datetime | None = None
        self._installed = triggers.Installed()
        self._watch = Watch()
        self._incidents_at = time.monotonic() + INCIDENT_SECONDS

    def run(self, stop: threading.Event) -> None:
        """Sweep until told to stop, while this process is the one that does."""
        try:
            while not stop.wait(self.fast_seconds):
                try:
                    self.sweep_if_holder()
                except Exception:  # whatever it was, the next round must come
                    logger.exception("sweep failed")
                    connection.close()
        finally:
            self.give_back()
            connection.close()

    def give_back(self) -> None:
        """Let another process sweep."""
        self._holder.give_back()

    def sweep_if_holder(self) -> bool:
        """One round, if this process holds the sweeper's lock; False when another one does."""
        close_old_connections()
        if not self._holder.holds():
            return False
        now = statements.database_now()
        _each("dead owners", free_dead, now)
        # decisions first: one made just before its review is due must not be overtaken by the timer
        _each("places", leave_places_of_the_dead, now)
        _each("decisions", take_effect, now)
        _each("triggers", self._installed.sync, now)
        _each("own events", tell_own_events, now)
        # events first, for the same reason: one that came in time must not find its wait expired
        _each("events", _settle_received, now)
        _each("parked events", self._deliver_parked, now)
        _each("schedules", triggers.fire_due_schedules, now)
        _each("firings", triggers.decide_firings, now)
        _each("timers", fire_due_timers, now)
        at = time.monotonic()
        if at >= self._slow_at:
            self._slow_at = at + self.slow_seconds
            _each("children", services.start_children, now)
            _each("leases", free_expired, now)
            _each("doorbells", self._ring_again, now)
            _each("workers", forget_workers, now)
            _each("reservations", settle_expired, now)
        if at >= self._incidents_at:
            self._incidents_at = at + INCIDENT_SECONDS
            _each("incidents", open_incidents, now)
            _each("retention", delete_expired, now)
            _each("what runs do", self._watch.look_over, now)
        return True

    def _deliver_parked(self, now: datetime) -> int:
        since = self._looked_at and self._looked_at - intake.NEW_WAITS
        found = intake.deliver_parked(now, since=since)
        self._looked_at = now
        return found

    def _ring_again(self, now: datetime) -> int:
        return ring_again(now, older_than_seconds=self.ring_again_seconds)


def run_sweeper(stop: threading.Event) -> None:
    """Sweep until told to stop; any number of processes may run this, one sweeps."""
    Sweeper().run(stop)


def end_boot() -> None:
    """End this process's boot and free what it still claims, so that others go on at once."""
    boot = boots.retire()
    if boot is None:
        return
    try:
        _free_all_of(boot, statements.database_now())
    except DatabaseError:
        logger.exception("own claims could not be freed; the sweeper will")


def _settle_received(now: datetime) -> int:
    until = time.monotonic() + triggers.DRAIN_SECONDS
    return triggers.drained(partial(intake.settle_received, now), intake.BATCH, until=until)


def free_dead(now: datetime) -> int:
    """Free the claims of owners whose boot lock nobody holds; returns how many runs."""
    claimed = Run.objects.filter(owner__isnull=False).values_list("owner", flat=True)
    owners: set[UUID] = {owner for owner in claimed.distinct() if owner is not None}
    unended: set[UUID] = set(
        Worker.objects.filter(ended_at__isnull=True).values_list("id", flat=True)
    )
    freed = 0
    for boot in boots.dead_among(owners | unended):
        freed += _free_all_of(boot, now)
        Worker.objects.filter(id=boot, ended_at__isnull=True).update(ended_at=now)
    return freed


def free_expired(now: datetime) -> int:
    """Free claims whose lease ran out: their worker is cut off or stopped."""
    expired = Run.objects.filter(owner__isnull=False, lease_until__lt=now)
    freed = 0
    for run_id, owner in expired.values_list("id", "owner")[:BATCH]:
        if owner is not None:
            freed += services.free_run(run_id=run_id, owner=owner, now=now, only_expired=True)
    return freed


def fire_due_timers(now: datetime) -> int:
    """Turn timers that are due into events; returns how many."""
    due = Timer.objects.filter(due_at__lte=now).order_by("due_at").values_list("id", flat=True)
    return sum(services.fire_timer(timer_id=timer_id, now=now) for timer_id in due[:BATCH])


def ring_again(now: datetime, *, older_than_seconds: float) -> int:
    """Ring for runs that have wanted a walker for a while and have none.

    For those that need a worker with a label only while there is one.
    """
    before = now - timedelta(seconds=older_than_seconds)
    unclaimed = Run.objects.filter(rung_at__isnull=False, rung_at__lt=before, owner__isnull=True)
    can_be_served = unclaimed.filter(needs__in=["", *selectors.labels_alive()])
    rung = 0
    for run_id, workflow_id, label in can_be_served.order_by("rung_at").values_list(
        "id", "workflow_id", "needs"
    )[:BATCH]:
        if Run.objects.filter(id=run_id, rung_at__lt=before, owner__isnull=True).update(
            rung_at=now
        ):
            services.ring(run_id, workflow_id=workflow_id, label=label)
            rung += 1
    return rung


def forget_workers(now: datetime) -> int:
    """Mark workers as ended that have given no sign of life for two minutes."""
    silent = Worker.objects.filter(
        ended_at__isnull=True, seen_at__lt=now - timedelta(seconds=WORKER_GONE_SECONDS)
    )
    return silent.update(ended_at=now)


def open_incidents(now: datetime) -> int:
    """Open an incident for each run that is going on and waits on nothing, and ring for it once.

    Incidents whose run goes on again, or has ended, are closed.
    """
    lost = invariants.runs_waiting_on_nothing(limit=BATCH)
    opened = 0
    for run_id in lost:
        if services.open_incident(kind=NOTHING, run_id=run_id, detail={}, now=now):
            services.ring(run_id)
            opened += 1
    for incident in Incident.objects.filter(closed_at__isnull=True).select_related("run")[:BATCH]:
        if _is_settled(incident, lost):
            services.close_incident(incident=incident, now=now)
    return opened


def _is_settled(incident: Incident, lost: list[UUID]) -> bool:
    run = incident.run
    if run is None or is_terminal(RunStatus(run.status)):
        return True
    if incident.kind == NOTHING:
        return run.id not in lost
    return run.owner is None and run.rung_at is None  # it parked in order since


def _free_all_of(boot: UUID, now: datetime) -> int:
    claimed = Run.objects.filter(owner=boot).values_list("id", flat=True)
    return sum(services.free_run(run_id=run_id, owner=boot, now=now) for run_id in claimed)


def _each(what: str, sweep: Callable[[datetime], int], now: datetime) -> None:
    """Run one part of a round; its error must not keep the other parts from theirs."""
    try:
        found = sweep(now)
    except Exception:  # whatever it was, the other parts and the next round must come
        logger.exception("sweep of %s failed", what)
        connection.close()
    else:
        if found:
            logger.info("swept", extra={"what": what, "found": found})
