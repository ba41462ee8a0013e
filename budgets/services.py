"""Setting, changing and ending limits: administrators, with a reason, audited."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import F, Q

from audit.services import append_entry, subject_of
from budgets import ledger, selectors
from budgets.limits import MAX_AMOUNT, MAX_PLACES, AtLimit, Period, Scope, Unit
from budgets.models import BudgetCounter, BudgetLimit
from designer import selectors as designer
from orchestrator import access
from orchestrator.access import Actor
from orchestrator.core.errors import ConflictError, InvalidInputError
from orchestrator.core.json import JsonObject
from orchestrator.core.reading import read_reason
from orchestrator.ids import new_id
from registry import selectors as registry


@dataclass(frozen=True, slots=True)
class Terms:
    """What may change about a limit. `amount` is in its unit, money in minor units."""

    amount: int
    threshold_percent: int = 80
    at_limit: AtLimit = AtLimit.STOP


@transaction.atomic
def set_limit(
    *,
    workspace_id: UUID,
    scope: Scope,
    target: str,
    unit: Unit,
    currency: str,
    period: Period,
    terms: Terms,
    reason: str,
    actor: Actor,
    now: datetime,
) -> BudgetLimit:
    """Set a limit; what is called from now on counts against it.

    `target` is the slug of the workflow or agent, empty for the whole workspace.

    Raises:
        InvalidInputError: names the place: an amount out of range, a currency without money, a
            reason that is missing.
        NotFoundError: there is no such workflow or agent in the workspace.
        ConflictError: there is such a limit already; `detail["limit"]` is its id.
    """
    access.require(actor, "policy.manage", workspace_id)
    _check_terms(terms, unit)
    if (unit is Unit.PLACES) != (period is Period.ALWAYS):
        raise _wrong(
            "period", "Calls at the same time have the period 'always', others a day or month."
        )
    if (unit is Unit.MONEY) != bool(currency):
        raise _wrong("currency", "Money needs a currency, and nothing else has one.")
    row = BudgetLimit(
        id=new_id(),
        workspace_id=workspace_id,
        scope=scope,
        target=target,
        workflow_id=_workflow(actor, workspace_id, target) if scope is Scope.WORKFLOW else None,
        agent_id=_agent(actor, workspace_id, target) if scope is Scope.AGENT else None,
        unit=unit,
        currency=currency,
        period=period,
        amount=terms.amount,
        threshold_percent=terms.threshold_percent,
        at_limit=terms.at_limit,
        created_at=now,
    )
    if scope is Scope.WORKSPACE and target:
        raise _wrong("target", "A limit of the whole workspace names no workflow or agent.")
    entry = append_entry(
        actor=actor,
        action="budget_limit.set",
        subject=subject_of(row),
        workspace_id=workspace_id,
        now=now,
        reason=read_reason(reason),
        payloads={"limit": _content(row)},
    )
    row.audit_id = entry.id
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError:
        raise ConflictError(
            "There is such a limit already. Change that one.",
            detail={"limit": selectors.id_of_same(row)},
        ) from None
    transaction.on_commit(ledger.forget_limits)
    return row


@transaction.atomic
def change_limit(
    *, limit_id: UUID, terms: Terms, reason: str, actor: Actor, now: datetime
) -> BudgetLimit:
    """Change a limit's terms; they hold for the next call. The same terms change nothing.

    Raises:
        NotFoundError: there is no such limit in the actor's workspaces.
        InvalidInputError: names the place.
        ConflictError: it has ended.
    """
    row = selectors.get_limit(actor, limit_id)
    access.require(actor, "policy.manage", row)
    _check_terms(terms, Unit(row.unit))
    before = Terms(row.amount, row.threshold_percent, AtLimit(row.at_limit))
    if row.ended_at is not None:
        raise ConflictError("This limit has ended. Set a new one.")
    if terms == before:
        return row
    text = read_reason(reason)
    row.amount, row.threshold_percent = terms.amount, terms.threshold_percent
    row.at_limit = terms.at_limit
    entry = append_entry(
        actor=actor,
        action="budget_limit.changed",
        subject=subject_of(row),
        workspace_id=row.workspace_id,
        now=now,
        reason=text,
        decision={"outcome": "changed", "amount_before": before.amount, "amount": terms.amount},
        payloads={"limit": _content(row)},
    )
    row.audit_id = entry.id
    row.save(update_fields=["amount", "threshold_percent", "at_limit", "audit_id"])
    _say_again(row)
    transaction.on_commit(ledger.forget_limits)
    return row


@transaction.atomic
def end_limit(*, limit_id: UUID, reason: str, actor: Actor, now: datetime) -> BudgetLimit:
    """End a limit: nothing counts against it any more. A second time changes nothing.

    Raises:
        NotFoundError: there is no such limit in the actor's workspaces.
        InvalidInputError: the reason is missing.
    """
    row = selectors.get_limit(actor, limit_id)
    access.require(actor, "policy.manage", row)
    if row.ended_at is not None:
        return row
    entry = append_entry(
        actor=actor,
        action="budget_limit.ended",
        subject=subject_of(row),
        workspace_id=row.workspace_id,
        now=now,
        reason=read_reason(reason),
    )
    row.ended_at, row.audit_id = now, entry.id
    row.save(update_fields=["ended_at", "audit_id"])
    transaction.on_commit(ledger.forget_limits)
    return row


def _say_again(row: BudgetLimit) -> None:
    """What was said about the periods is said anew, if it comes true anew."""
    counters = BudgetCounter.objects.filter(limit=row).alias(
        hundredfold=(F("used") + F("reserved")) * 100
    )
    below = Q(hundredfold__lt=row.amount * row.threshold_percent)
    counters.filter(below, warned_at__isnull=False).update(warned_at=None)
    counters.filter(hundredfold__lt=row.amount * 100, reached_at__isnull=False).update(
        reached_at=None
    )


def _workflow(actor: Actor, workspace_id: UUID, slug: str) -> UUID:
    found = designer.find_workflow(actor, slug)
    if found.workspace_id != workspace_id:
        raise _wrong("target", "This workflow belongs to another workspace.")
    return found.id


def _agent(actor: Actor, workspace_id: UUID, slug: str) -> UUID:
    found = registry.get_agent(actor, slug)
    if found.workspace_id != workspace_id:
        raise _wrong("target", "This agent belongs to another workspace.")
    return found.id


def _check_terms(terms: Terms, unit: Unit) -> None:
    if unit is Unit.PLACES and not 1 <= terms.amount <= MAX_PLACES:
        raise _wrong("amount", f"must be from 1 to {MAX_PLACES:,} calls at the same time")
    if (unit is Unit.PLACES) != (terms.at_limit is AtLimit.WAIT):
        raise _wrong("at_limit", "Only calls at the same time wait for a place, and always do.")
    if not 0 <= terms.amount <= MAX_AMOUNT:
        raise _wrong("amount", f"must be from 0 to {MAX_AMOUNT:,}")
    if not 1 <= terms.threshold_percent <= 100:
        raise _wrong("threshold_percent", "must be from 1 to 100")


def _wrong(field: str, reason: str) -> InvalidInputError:
    return InvalidInputError(
        f"{field.replace('_', ' ').capitalize()}: {reason}",
        detail={"violations": [{"path": f"/{field}", "rule": "invalid", "reason": reason}]},
    )


def _content(row: BudgetLimit) -> JsonObject:
    return {
        "scope": str(row.scope),
        "target": row.target,
        "unit": str(row.unit),
        "currency": row.currency,
        "period": str(row.period),
        "amount": row.amount,
        "threshold_percent": row.threshold_percent,
        "at_limit": str(row.at_limit),
    }
