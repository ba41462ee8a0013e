"""Reading limits: what is used, reserved and left, now and in earlier periods."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from django.db.models import QuerySet

from budgets.limits import Period, period_end, period_start
from budgets.models import BudgetCounter, BudgetEntry, BudgetLimit
from orchestrator import access
from orchestrator.access import Actor
from orchestrator.core.errors import NotFoundError


@dataclass(frozen=True, slots=True)
class Usage:
    """One period of a limit; `ends_on` is the day on which the next one begins.

    `left` is never below 0, also after the amount was lowered.
    """

    starts_on: date
    ends_on: date
    amount: int
    used: int = 0
    reserved: int = 0
    refused: int = 0
    warned_at: datetime | None = None
    reached_at: datetime | None = None

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
    rows = {one.id: one for one in limits}
    starts = {key: period_start(Period(one.period), now) for key, one in rows.items()}
    counters = BudgetCounter.objects.filter(limit__in=rows, starts_on__in=set(starts.values()))
    found = {one.limit_id: one for one in counters if one.starts_on == starts[one.limit_id]}
    return {key: _usage(row, starts[key], found.get(key)) for key, row in rows.items()}


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
