"""Reserving before a call, settling after it: the protocol that keeps limits hard.

Theory of operation
-------------------
1. `dues_of` says which limits a call counts against. They are read once a second per workspace and
   process; a call that none concerns costs nothing.
2. `reserve` adds what the call takes to each limit's counter, in one guarded UPDATE per limit which
   refuses when used and reserved would pass the amount. However many call at once, the row decides
   for one after another. All limits of a call, its reservations and its lines in the ledger commit
   together, in the order of the limits' ids, so that two calls never wait for each other; a refusal
   takes all of it back.
3. `settle` gives back what was reserved and counts what the call took, or all of it when nobody
   knows; `release` gives it back when the call was not made. Whoever deletes the reservation's row
   does it, and nobody else. What a call takes at most is estimated rather too high; one that took
   more all the same counts with what it took, and may pass the limit by that.
4. A reservation that nobody settles, because its worker died, expires: the sweeper calls
   `settle_expired`, which counts it as used, since nobody knows whether the call was made.

So used + reserved never passes the amount by more than such a call, and the sum of the ledger is
always what the counters say (`mismatches`). A limit that is lowered below what is used refuses
everything until it begins anew. A limit counts from the moment that it is set.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid5

from django.db import OperationalError, connection, transaction
from django.db.models import BigIntegerField, Exists, F, OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce

from audit.services import Subject, append_entry
from budgets.limits import (
    AtLimit,
    Due,
    LimitFacts,
    Period,
    Scope,
    Takes,
    Unit,
    period_start,
    refusal,
)
from budgets.models import BudgetCounter, BudgetEntry, BudgetLimit, BudgetReservation
from orchestrator.access import SYSTEM
from orchestrator.core.policies import FailureKind
from orchestrator.core.results import Failed
from orchestrator.fresh import Fresh
from orchestrator.ids import new_id

logger = logging.getLogger("baton.budgets")

FRESH_SECONDS: Final = 1.0
"""How old the limits may be that a call is held against."""
GRACE: Final = timedelta(seconds=60)
"""How long after its deadline a call may still be settled by who made it."""
TRIES: Final = 4
BATCH: Final = 200


@dataclass(frozen=True, slots=True)
class Call:
    """The call that something is reserved for; `workspace_id` is its run's."""

    workspace_id: UUID
    run_id: UUID
    step: str
    iteration: int
    attempt: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Reservation:
    """What is reserved for a call under way: its rows and limits, in the order of the limits."""

    ids: tuple[UUID, ...]
    limits: tuple[LimitFacts, ...]


class _SpentError(Exception):
    """Nothing is left of a limit; takes back what was reserved of the others."""

    def __init__(self, due: Due, starts_on: date) -> None:
        super().__init__(due.limit.about)
        self.due = due
        self.starts_on = starts_on


def forget_limits() -> None:
    """Read limits anew; for who has just changed them, and tests."""
    _limits.clear()


def has_limits(workspace_id: UUID) -> bool:
    """Whether anything counts in the workspace, as of at most a second ago."""
    return bool(_limits.get(workspace_id))


def dues_of(
    workspace_id: UUID, workflow_id: UUID | None, agent: str, takes: Takes
) -> tuple[Due, ...]:
    """What a call of this agent takes of which limits; empty when none concerns it."""
    limits = _limits.get(workspace_id)
    return tuple(
        Due(one, cost)
        for one in limits
        if one.counts(workflow_id, agent) and (cost := one.cost(takes))
    )


def places_of(workspace_id: UUID, workflow_id: UUID | None, agent: str) -> tuple[LimitFacts, ...]:
    """The limits of calls at the same time that a call of this agent needs a place of."""
    return tuple(
        one
        for one in _limits.get(workspace_id)
        if one.unit is Unit.PLACES and one.counts(workflow_id, agent)
    )


def reserve(call: Call, dues: Sequence[Due], now: datetime) -> Reservation | Failed:
    """Reserve for a call what it takes of its limits; the failure of its step when one is spent."""
    for left in reversed(range(TRIES)):
        try:
            return _reserve(call, dues, now)
        except OperationalError:
            if left == 0:
                logger.exception("budget could not be asked", extra={"run": str(call.run_id)})
                break
            time.sleep(random.uniform(0.005, 0.05))  # noqa: S311  to keep two apart, no secret
    return Failed(
        kind=FailureKind.UNAVAILABLE,
        reason_code="budget_unknown",
        reason="What is left of the budget could not be asked. The call was not made.",
    )


def settle(reservation: Reservation, now: datetime, used: Takes | None = None) -> None:
    """Count what the call took, or all that was reserved when nobody knows: it was made.

    A second time changes nothing.
    """
    amounts = [None if used is None else one.cost(used) for one in reservation.limits]
    _end(zip(reservation.ids, amounts, strict=True), "settled", now)


def release(reservation: Reservation, now: datetime) -> None:
    """Give back what was reserved: the call was not made. A second time changes nothing."""
    _end(((key, 0) for key in reservation.ids), "released", now)


def settle_expired(now: datetime) -> int:
    """Count as used what nobody settled in time; returns how many reservations."""
    expired = BudgetReservation.objects.filter(expires_at__lt=now).order_by("expires_at")
    ids = expired.values_list("id", flat=True)[:BATCH]
    return sum(_end([(key, None)], "lost", now) for key in ids)


def mismatches() -> int:
    """Counters that are not the sum of their ledger, or not that of what is under way."""
    ends = BudgetEntry.objects.exclude(kind="reserved")
    ended = _summed(ends.exclude(kind="released"))
    begun = BudgetEntry.objects.filter(kind="reserved")
    left = _summed(begun.exclude(Exists(ends.filter(reservation=OuterRef("reservation")))))
    under_way = _summed(BudgetReservation.objects.all())
    return (
        BudgetCounter.objects.annotate(ended=ended, left=left, under_way=under_way)
        .exclude(Q(used=F("ended")) & Q(reserved=F("left")) & Q(reserved=F("under_way")))
        .count()
    )


def _summed(rows: QuerySet[BudgetEntry] | QuerySet[BudgetReservation]) -> Coalesce:
    """The sum of their amounts, per counter."""
    sums = rows.filter(counter=OuterRef("pk")).order_by().values("counter")
    total = Subquery(sums.annotate(total=Sum("amount")).values("total"))
    return Coalesce(total, 0, output_field=BigIntegerField())


def _reserve(call: Call, dues: Sequence[Due], now: datetime) -> Reservation | Failed:
    try:
        with transaction.atomic():
            taken = _taken(call, dues, now)
            rows = [_row(call, due, counter_id, now) for due, counter_id in taken]
            BudgetReservation.objects.bulk_create(rows)
            BudgetEntry.objects.bulk_create([_line(row, "reserved", now) for row in rows])
    except _SpentError as spent:
        return _refused(call, spent, now)
    return Reservation(tuple(row.id for row in rows), tuple(due.limit for due, _ in taken))


def _taken(call: Call, dues: Sequence[Due], now: datetime) -> list[tuple[Due, UUID]]:
    """Take from every limit; those that ended a moment ago are left out.

    Raises:
        _SpentError: nothing is left of one.
    """
    taken = []
    for due in sorted(dues, key=lambda one: one.limit.id):
        starts_on = period_start(due.limit.period, now)
        counter_id = counter_of(due.limit.id, starts_on)
        added = _add(counter_id, due)
        if added is None:
            if not BudgetLimit.objects.filter(id=due.limit.id, ended_at__isnull=True).exists():
                continue
            _begin(due.limit.id, starts_on)
            added = _add(counter_id, due)
            if added is None:
                raise _SpentError(due, starts_on)
        _warn(call, due, counter_id, added, now=now)
        taken.append((due, counter_id))
    return taken


def counter_of(limit_id: UUID, starts_on: date) -> UUID:
    """The id of a limit's counter for a period: it needs no look-up."""
    return uuid5(limit_id, starts_on.isoformat())


def _begin(limit_id: UUID, starts_on: date) -> None:
    row = BudgetCounter(id=counter_of(limit_id, starts_on), limit_id=limit_id, starts_on=starts_on)
    BudgetCounter.objects.bulk_create([row], ignore_conflicts=True)


@dataclass(frozen=True, slots=True)
class _Taken:
    """A counter when something was reserved."""

    total: int
    is_warned: bool


def _add(counter_id: UUID, due: Due) -> _Taken | None:
    """Reserve; None: it would pass the limit, or there is no counter yet.

    Only the counter's own columns stand beside the amount, so that PostgreSQL looks at them again
    when it has waited for another call's lock.
    """
    found = _rows(
        "UPDATE budgets_budgetcounter SET reserved = reserved + %s "
        "WHERE id = %s AND used + reserved + %s <= "
        "(SELECT amount FROM budgets_budgetlimit WHERE id = %s AND ended_at IS NULL) "
        "RETURNING used + reserved, warned_at",
        (due.amount, counter_id, due.amount, due.limit.id),
    )
    return _Taken(int(found[0][0]), found[0][1] is not None) if found else None


def _warn(call: Call, due: Due, counter_id: UUID, taken: _Taken, *, now: datetime) -> None:
    """Say once in a period that the threshold is passed; a call far from it asks nothing.

    The threshold may be a moment old: what is asked is asked of the limit as it is now.
    """
    if taken.is_warned or taken.total * 100 < due.limit.amount * due.limit.threshold_percent:
        return
    limits = BudgetLimit.objects.filter(id=due.limit.id)
    threshold = limits.values_list(F("amount") * F("threshold_percent"), flat=True)
    passed = BudgetCounter.objects.filter(id=counter_id, warned_at__isnull=True).alias(
        hundredfold=(F("used") + F("reserved")) * 100
    )
    if passed.filter(hundredfold__gte=Subquery(threshold)).update(warned_at=now):
        _record("budget_limit.threshold_passed", call.workspace_id, due, counter_id, now=now)


def _refused(call: Call, spent: _SpentError, now: datetime) -> Failed:
    """Count a refusal, write the first of a period to the audit log, and say why."""
    due, counter_id = spent.due, counter_of(spent.due.limit.id, spent.starts_on)
    with transaction.atomic():
        _begin(due.limit.id, spent.starts_on)
        rows = BudgetCounter.objects.filter(id=counter_id)
        rows.update(refused=F("refused") + 1)
        if rows.filter(reached_at__isnull=True).update(reached_at=now):
            _record("budget_limit.reached", call.workspace_id, due, counter_id, now=now)
        counter = rows.select_related("limit").get()
    taken = counter.used + counter.reserved
    return refusal(due, counter.limit.amount, taken, spent.starts_on)


def _end(ends: Iterable[tuple[UUID, int | None]], kind: str, now: datetime) -> int:
    """End reservations that are still under way, with what was used; returns how many.

    None: all that was reserved. Whoever deletes the row of one moves its amount and writes its
    line, in one statement. Several go one after another, in the order of their limits: no two calls
    wait for each other.
    """
    end = _end_one if connection.vendor == "postgresql" else _end_one_portably
    with transaction.atomic():
        return sum(end(key, used, kind, now) for key, used in ends)


def _end_one(key: UUID, used: int | None, kind: str, now: datetime) -> int:
    return len(
        _rows(
            "WITH gone AS (DELETE FROM budgets_budgetreservation WHERE id = %s "
            "RETURNING *, coalesce(%s::bigint, amount) AS took), "
            "moved AS (UPDATE budgets_budgetcounter AS c SET reserved = c.reserved - gone.amount, "
            "used = c.used + gone.took FROM gone WHERE c.id = gone.counter_id) "
            "INSERT INTO budgets_budgetentry (id, counter_id, reservation, kind, amount, run_id, "
            "step, iteration, attempt, at) "
            "SELECT %s, counter_id, id, %s, CASE WHEN %s = 'released' THEN amount ELSE took END, "
            "run_id, step, iteration, attempt, %s FROM gone RETURNING 1",
            (key, used, new_id(), kind, kind, now),
        )
    )


def _end_one_portably(key: UUID, used: int | None, kind: str, now: datetime) -> int:
    row = BudgetReservation.objects.filter(id=key).first()
    if row is None or not BudgetReservation.objects.filter(id=key).delete()[0]:
        return 0
    took = row.amount if used is None else used
    BudgetCounter.objects.filter(id=row.counter_id).update(
        reserved=F("reserved") - row.amount, used=F("used") + took
    )
    if kind != "released":
        row.amount = took
    _line(row, kind, now).save(force_insert=True)
    return 1


def _rows(sql: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Run a statement that both databases know; ids go as each of them keeps them."""
    is_plain = connection.vendor != "postgresql"
    given = [one.hex if is_plain and isinstance(one, UUID) else one for one in values]
    with connection.cursor() as cursor:
        cursor.execute(sql, given)
        return list(cursor.fetchall())


def _row(call: Call, due: Due, counter_id: UUID, now: datetime) -> BudgetReservation:
    return BudgetReservation(
        id=new_id(),
        counter_id=counter_id,
        amount=due.amount,
        run_id=call.run_id,
        step=call.step,
        iteration=call.iteration,
        attempt=call.attempt,
        expires_at=now + timedelta(seconds=call.seconds) + GRACE,
    )


def _line(row: BudgetReservation, kind: str, now: datetime) -> BudgetEntry:
    return BudgetEntry(
        id=new_id(),
        counter_id=row.counter_id,
        reservation=row.id,
        kind=kind,
        amount=row.amount,
        run_id=row.run_id,
        step=row.step,
        iteration=row.iteration,
        attempt=row.attempt,
        at=now,
    )


def _record(action: str, workspace_id: UUID, due: Due, counter_id: UUID, *, now: datetime) -> None:
    counter = BudgetCounter.objects.select_related("limit").get(id=counter_id)
    append_entry(
        actor=SYSTEM,
        action=action,
        subject=Subject("budget_limit", str(due.limit.id)),
        workspace_id=workspace_id,
        now=now,
        decision={
            "outcome": action.partition(".")[2],
            "amount": counter.limit.amount,
            "used": counter.used,
            "reserved": counter.reserved,
            "period": counter.starts_on.isoformat(),
        },
    )


def _read_limits(workspace_id: UUID) -> tuple[LimitFacts, ...]:
    rows = BudgetLimit.objects.filter(
        workspace_id=workspace_id, ended_at__isnull=True
    ).select_related("workspace", "workflow", "agent")
    return tuple(map(facts_of, rows))


_limits: Final = Fresh(_read_limits, FRESH_SECONDS)
"""The limits of each workspace."""


def facts_of(row: BudgetLimit) -> LimitFacts:
    """A limit as calls are held against it."""
    named = {
        Scope.WORKSPACE: f"The workspace '{row.workspace}'",
        Scope.WORKFLOW: f"The workflow '{row.workflow}'",
        Scope.AGENT: f"The agent '{row.agent}'",
    }
    scope = Scope(row.scope)
    return LimitFacts(
        id=row.id,
        scope=scope,
        unit=Unit(row.unit),
        currency=row.currency,
        period=Period(row.period),
        at_limit=AtLimit(row.at_limit),
        about=named[scope],
        amount=row.amount,
        threshold_percent=row.threshold_percent,
        workflow_id=row.workflow_id,
        agent=row.target if scope is Scope.AGENT else "",
    )
