"""Places of limits of calls at the same time: asked for before a call, left when it has ended.

Theory of operation
-------------------
1. A call that such limits concern asks for a place of each (`ask`). All of a call's places are
   given at once or none, so that two calls never wait for each other.
2. Who asks, and who leaves, first locks the workspace's limits of this kind, in the order of their
   ids: one after another counts what is given and gives what is free. However many workers call,
   no limit ever has more places given than its amount. Calls without such a limit ask nothing.
3. What is free goes to who has waited longest; a call that also waits for a place of another limit
   which is full is passed over, and is first again once that has room.
4. A call that got no place waits as a row, and nobody holds anything for it. Who leaves a place
   gives it to the next one at once and says whose run is to be woken (`Woken`); it takes what it
   was given with `begin`.
5. A place is left by who called. When he died it is left by the sweeper, which looks whether the
   call's attempt is still under way (`given`). A limit that has ended has room for everybody.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeAlias
from uuid import UUID, uuid5

from django.db import transaction
from django.db.models import Count, Exists, OuterRef, Q

from budgets.limits import LimitFacts, Unit
from budgets.models import BudgetLimit, BudgetPlace

AT_ONCE: Final = 200
"""Calls that are given places in one go."""

Woken: TypeAlias = frozenset[UUID]
"""Runs that were given a place while nobody walked them for it."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A call that needs a place of each of these limits."""

    run_id: UUID
    step: str
    iteration: int
    attempt: int
    limits: tuple[LimitFacts, ...]
    expires_at: datetime | None = None

    @property
    def ticket(self) -> UUID:
        """What its rows share; the same for the same call."""
        return ticket_of(self.run_id, self.step, self.iteration, self.attempt)


@dataclass(frozen=True, slots=True)
class Given:
    """A place that was given to a call; its run, and the attempt that the call is."""

    ticket: UUID
    workspace_id: UUID
    run_id: UUID
    step: str
    iteration: int
    attempt: int
    begun: bool
    given_at: datetime
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class Occupancy:
    """How a limit of calls at the same time stands."""

    amount: int
    in_use: int
    waiting: int


def ticket_of(run_id: UUID, step: str, iteration: int, attempt: int) -> UUID:
    """The ticket of a call."""
    return uuid5(run_id, f"place/{step}/{iteration}/{attempt}")


def ask(
    workspace_id: UUID, calls: Sequence[Asked], owner: UUID, now: datetime
) -> tuple[set[UUID], Woken]:
    """Ask for places; returns the tickets of calls that may begin now, and runs to wake.

    The other calls wait from now on. Asking again changes nothing.
    """
    tickets = {one.ticket for one in calls}
    with transaction.atomic():
        amounts = _locked(workspace_id)
        known = set(BudgetPlace.objects.filter(ticket__in=tickets).values_list("ticket", flat=True))
        BudgetPlace.objects.bulk_create(
            _row(one, limit, now)
            for one in calls
            if one.ticket not in known
            for limit in one.limits
            if limit.id in amounts
        )
        woken = _give(amounts, now)
        waiting = set(
            BudgetPlace.objects.filter(ticket__in=tickets, given_at__isnull=True).values_list(
                "ticket", flat=True
            )
        )
        begun = tickets - waiting
        BudgetPlace.objects.filter(ticket__in=begun).update(begun_by=owner)
    return begun, woken - {one.run_id for one in calls}


def begin(run_id: UUID, owner: UUID) -> set[UUID]:
    """Take what a run was given since it asked; the tickets of calls that may begin now."""
    rows = BudgetPlace.objects.filter(run_id=run_id, given_at__isnull=False, begun_by__isnull=True)
    tickets = set(rows.values_list("ticket", flat=True))
    if tickets:
        BudgetPlace.objects.filter(ticket__in=tickets).update(begun_by=owner)
    return tickets


def has_unbegun(run_id: UUID) -> bool:
    """Whether a run was given a place that it has not taken."""
    rows = BudgetPlace.objects.filter(run_id=run_id, given_at__isnull=False)
    return rows.filter(begun_by__isnull=True).exists()


def leave(workspace_id: UUID, tickets: Iterable[UUID], now: datetime) -> Woken:
    """Give back the places of calls that have ended or are not wanted any more.

    Returns the runs that were given them. A second time changes nothing.
    """
    with transaction.atomic():
        amounts = _locked(workspace_id)
        BudgetPlace.objects.filter(ticket__in=list(tickets)).delete()
        return _give(amounts, now)


def give_free(now: datetime) -> Woken:
    """Give what is free to who waits: after a limit was raised or has ended."""
    found = _let_through(now)
    waited = BudgetPlace.objects.filter(given_at__isnull=True)
    for workspace_id in set(waited.values_list("limit__workspace_id", flat=True)):
        with transaction.atomic():
            found |= _give(_locked(workspace_id), now)
    return found


def given() -> list[Given]:
    """The places that are given, of all limits."""
    rows = BudgetPlace.objects.filter(given_at__isnull=False).select_related("limit")
    return [
        Given(
            ticket=row.ticket,
            workspace_id=row.limit.workspace_id,
            run_id=row.run_id,
            step=row.step,
            iteration=row.iteration,
            attempt=row.attempt,
            begun=row.begun_by is not None,
            given_at=row.given_at or row.asked_at,
            expires_at=row.expires_at,
        )
        for row in rows
    ]


def occupancy_of(limit_ids: Iterable[UUID]) -> dict[UUID, Occupancy]:
    """How limits of calls at the same time stand, by id."""
    rows = BudgetLimit.objects.filter(id__in=list(limit_ids)).annotate(
        in_use=Count("places", filter=Q(places__given_at__isnull=False)),
        waiting=Count("places", filter=Q(places__given_at__isnull=True, places__isnull=False)),
    )
    return {row.id: Occupancy(row.amount, row.in_use, row.waiting) for row in rows}


def waits_of(run_id: UUID) -> dict[tuple[str, int], tuple[UUID, ...]]:
    """The limits that calls of a run wait for a place of, by step and iteration."""
    found: dict[tuple[str, int], tuple[UUID, ...]] = {}
    rows = BudgetPlace.objects.filter(run_id=run_id, given_at__isnull=True).order_by("id")
    for step, iteration, limit in rows.values_list("step", "iteration", "limit_id"):
        found[(step, iteration)] = (*found.get((step, iteration), ()), limit)
    return found


def _let_through(now: datetime) -> Woken:
    """Let go on what waits for places of limits that have ended."""
    waiting = BudgetPlace.objects.filter(given_at__isnull=True)
    others = waiting.filter(ticket=OuterRef("ticket"), limit__ended_at__isnull=True)
    ended = waiting.filter(limit__ended_at__isnull=False)
    through = list(ended.exclude(Exists(others)).values_list("id", "run_id"))
    if through:
        BudgetPlace.objects.filter(id__in=[key for key, _ in through]).update(given_at=now)
    return frozenset(run_id for _, run_id in through)


def _row(one: Asked, limit: LimitFacts, now: datetime) -> BudgetPlace:
    return BudgetPlace(
        limit_id=limit.id,
        ticket=one.ticket,
        run_id=one.run_id,
        step=one.step,
        iteration=one.iteration,
        attempt=one.attempt,
        asked_at=now,
        expires_at=one.expires_at,
    )


def _locked(workspace_id: UUID) -> dict[UUID, int]:
    """The amounts of a workspace's limits of this kind, locked; it makes callers take turns."""
    rows = BudgetLimit.objects.filter(
        workspace_id=workspace_id, unit=Unit.PLACES, ended_at__isnull=True
    )
    locked = rows.select_for_update(no_key=True).order_by("id")
    return dict(locked.values_list("id", "amount"))


def _give(amounts: Mapping[UUID, int], now: datetime) -> Woken:
    """Give free places to the calls that have waited longest; limits that have ended have room."""
    room = _room(amounts)
    woken: set[UUID] = set()
    while given_now := _next(room):
        tickets = list(given_now)
        rows = BudgetPlace.objects.filter(ticket__in=tickets)
        woken.update(rows.values_list("run_id", flat=True))
        rows.update(given_at=now)
    return frozenset(woken)


def _room(amounts: Mapping[UUID, int]) -> dict[UUID, int]:
    """How many places of each limit are free; below 0 after its amount was lowered."""
    given_rows = BudgetPlace.objects.filter(limit_id__in=list(amounts), given_at__isnull=False)
    taken = dict(
        given_rows.order_by()
        .values("limit_id")
        .annotate(taken=Count("id"))
        .values_list("limit_id", "taken")
    )
    return {limit: amount - taken.get(limit, 0) for limit, amount in amounts.items()}


def _next(room: dict[UUID, int]) -> list[UUID]:
    """The tickets of waiting calls for which there is room, the oldest first; takes the room."""
    has_room = [limit for limit, left in room.items() if left > 0]
    if not has_room:
        return []
    full = BudgetPlace.objects.filter(
        ticket=OuterRef("ticket"), limit_id__in=[one for one in room if one not in has_room]
    )
    first = (
        BudgetPlace.objects.filter(limit_id__in=has_room, given_at__isnull=True)
        .exclude(Exists(full))
        .order_by("asked_at", "id")
    )
    tickets = list(dict.fromkeys(first.values_list("ticket", flat=True)[:AT_ONCE]))
    needs: dict[UUID, list[UUID]] = {one: [] for one in tickets}
    rows = BudgetPlace.objects.filter(ticket__in=tickets).values_list("ticket", "limit_id")
    for ticket, limit in rows:
        needs[ticket].append(limit)
    found = []
    for ticket, wanted in needs.items():
        if all(room.get(limit, 1) > 0 for limit in wanted):
            room |= {limit: room[limit] - 1 for limit in wanted if limit in room}
            found.append(ticket)
    return found
