"""Reading limits: what is used, reserved and left, now and in earlier periods."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final
from uuid import UUID

from django.db.models import Q, QuerySet

from budgets import places
from budgets.limits import Period, Scope, Unit, period_end, period_start
from budgets.models import BudgetCounter, BudgetEntry, BudgetLimit
from orchestrator import access
from orchestrator.access import Actor
from orchestrator.core.errors import NotFoundError

_CONCERNED: Final = ("policy.manage", "workflow.edit", "agent.edit")


@dataclass(frozen=True, slots=True)
class Usage:
    """One period of a limit; `ends_on` is the day on which the next one begins.

    Of calls at the same time: no end, `reserved` are those under way, `waiting` wait for a place.
    `left` is never below 0, also after the amount was lowered.
    """

    starts_on: date
    ends_on: date | None
    amount: int
    used: int = 0
    reserved: int = 0
    refused: int = 0
    warned_at: datetime | None = None
    reached_at: datetime | None = None
    waiting: int = 0

    @property
    def left(self) -> int:
        """What may still be reserved."""
        return max(0, self.amount - self.used - self.reserved)

    @property
    def percent(self) -> int:
        """How much of it is used or reserved, at most 100."""
        taken = self.used + self.reserved
        return 100 if taken >= self.amount else taken * 100 // self.amount


def list_limits(actor: Actor) -> QuerySet[BudgetLimit]:
    """The limits of the actor's workspaces that have not ended."""
    return _seen(actor).filter(ended_at__isnull=True)


def get_limit(actor: Actor, limit_id: UUID) -> BudgetLimit:
    """A limit, also one that has ended.

    Raises:
        NotFoundError: it does not exist, or the actor holds nothing in its workspace.
    """
    found = _seen(actor).filter(id=limit_id).first()
    if found is None:
        raise NotFoundError("There is no such limit, or it is not yours to see.")
    return found


def id_of_same(row: BudgetLimit) -> str:
    """The id of the limit that stands for the same already."""
    same = BudgetLimit.objects.filter(
        workspace_id=row.workspace_id,
        scope=row.scope,
        target=row.target,
        unit=row.unit,
        currency=row.currency,
        period=row.period,
        ended_at__isnull=True,
    )
    return str(same.values_list("id", flat=True).first() or "")


def usage_of(limits: Iterable[BudgetLimit], now: datetime) -> dict[UUID, Usage]:
    """How each limit stands in the period that `now` is in."""
    everything = list(limits)
    rows = {one.id: one for one in everything if one.unit != Unit.PLACES}
    starts = {key: period_start(Period(one.period), now) for key, one in rows.items()}
    counters = BudgetCounter.objects.filter(limit__in=rows, starts_on__in=set(starts.values()))
    found = {one.limit_id: one for one in counters if one.starts_on == starts[one.limit_id]}
    usage = {key: _usage(row, starts[key], found.get(key)) for key, row in rows.items()}
    return usage | _occupancy([one for one in everything if one.unit == Unit.PLACES])


@dataclass(frozen=True, slots=True)
class LimitUsage:
    """A limit and how it stands."""

    limit_id: UUID
    usage: Usage


def places_of_agents(actor: Actor, agent_ids: Iterable[UUID]) -> dict[UUID, LimitUsage]:
    """How the limits of calls at the same time stand that are about agents, by agent."""
    about = list_limits(actor).filter(scope=Scope.AGENT, unit=Unit.PLACES)
    rows = list(about.filter(agent_id__in=list(agent_ids)))
    usage = _occupancy(rows)
    return {
        row.agent_id: LimitUsage(row.id, usage[row.id]) for row in rows if row.agent_id is not None
    }


@dataclass(frozen=True, slots=True)
class WaitedFor:
    """A limit that a call waits for a place of: what it is about, `3 of 3 in use, 5 waiting`."""

    about: str
    words: str


def places_waited_for(run_id: UUID) -> dict[tuple[str, int], tuple[WaitedFor, ...]]:
    """What the calls of a run wait for that find no place, by step and iteration."""
    waits = places.waits_of(run_id)
    ids = {one for limits in waits.values() for one in limits}
    if not ids:
        return {}
    rows = BudgetLimit.objects.filter(id__in=ids).select_related("workspace", "workflow", "agent")
    occupancy = places.occupancy_of(ids)
    shown = {
        row.id: WaitedFor(
            f"the {row.scope} '{row.workflow or row.agent or row.workspace}'",
            f"{one.in_use:,} of {one.amount:,} in use, {one.waiting:,} waiting",
        )
        for row in rows
        for one in (occupancy[row.id],)
    }
    return {key: tuple(shown[one] for one in limits) for key, limits in waits.items()}


def _occupancy(rows: list[BudgetLimit]) -> dict[UUID, Usage]:
    """How limits of calls at the same time stand; no query when there are none."""
    if not rows:
        return {}
    found = places.occupancy_of(one.id for one in rows)
    return {
        row.id: Usage(
            row.created_at.date(),
            None,
            row.amount,
            reserved=found[row.id].in_use,
            waiting=found[row.id].waiting,
        )
        for row in rows
    }


def pressing_limits(actor: Actor, now: datetime) -> list[tuple[BudgetLimit, Usage]]:
    """Limits whose threshold is passed, or that are used up, for those who can do something.

    These are the administrators of the workspace, and who owns the workflow or agent.
    """
    if not any(access.can(actor, line) for line in _CONCERNED):
        return []
    managed = access.workspaces_where(actor, "policy.manage")
    concerns = Q(limit__workspace_id__in=managed)
    if actor.kind == "user":
        mine = Q(limit__workflow__owner_id=actor.id) | Q(limit__agent__owner_id=actor.id)
        concerns |= mine & Q(limit__workspace_id__in=access.workspaces_of(actor))
    starts = {one: period_start(one, now) for one in Period}
    counters = (
        BudgetCounter.objects.filter(concerns, limit__ended_at=None, starts_on__in=starts.values())
        .filter(Q(warned_at__isnull=False) | Q(reached_at__isnull=False))
        .select_related("limit__workspace", "limit__workflow", "limit__agent")
        .order_by("limit_id")
    )
    return [
        (one.limit, _usage(one.limit, one.starts_on, one))
        for one in counters
        if one.starts_on == starts[Period(one.limit.period)]
    ]


def earlier_periods(limit: BudgetLimit, now: datetime) -> list[Usage]:
    """The twelve periods before this one in which something was called, the latest first."""
    counters = BudgetCounter.objects.filter(
        limit=limit, starts_on__lt=period_start(Period(limit.period), now)
    ).order_by("-starts_on")[:12]
    return [_usage(limit, one.starts_on, one) for one in counters]


def ledger_of(limit: BudgetLimit) -> QuerySet[BudgetEntry]:
    """The lines of a limit's ledger."""
    return BudgetEntry.objects.filter(counter__limit=limit).select_related("counter")


def _seen(actor: Actor) -> QuerySet[BudgetLimit]:
    return BudgetLimit.objects.filter(workspace_id__in=access.workspaces_of(actor)).select_related(
        "workspace", "workflow", "agent"
    )


def _usage(limit: BudgetLimit, starts_on: date, counter: BudgetCounter | None) -> Usage:
    ends_on = period_end(Period(limit.period), starts_on)
    if counter is None:
        return Usage(starts_on, ends_on, limit.amount)
    return Usage(
        starts_on,
        ends_on,
        limit.amount,
        counter.used,
        counter.reserved,
        counter.refused,
        counter.warned_at,
        counter.reached_at,
    )
