"""How long events and firings are kept, and the sweep that deletes what was kept long enough.

Theory of operation
-------------------
A workspace keeps what came in for ever, unless its administrators say otherwise: so many days for
events (`ReceivedEvent`), so many for firings of triggers. Only what is over goes: an event that was
delivered or unheard, a firing that is decided and whose run has ended. Runs, reviews and the audit
log hold copies of what they need of an event, so that nothing there changes; the log itself is
never deleted. An event or firing that is gone is no longer known as a duplicate, so that nothing is
kept for less than the longest time for which a trigger can de-duplicate.

A rule by which something would go at once needs consent: without it the answer says how much. The
sweeper (`delete_expired`) deletes in small batches; each batch commits with an audit entry that
names the rule and the number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from time import monotonic
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet

from audit.services import append_entry, subject_of
from orchestrator import access
from orchestrator.access import SYSTEM, Actor
from orchestrator.core.errors import InvalidInputError
from orchestrator.core.json import JsonObject
from orchestrator.core.reading import read_reason
from orchestrator.core.state import TERMINAL_RUN
from orchestrator.core.triggers import OPEN_STATUSES
from orchestrator.ids import first_id, new_id
from orchestrator.runs.models import ReceivedEvent, RetentionPolicy, TriggerFiring

MIN_DAYS: Final = 32
"""Longer than the longest window in which a trigger de-duplicates."""
MAX_DAYS: Final = 18_250
MOST_COUNTED: Final = 1_000_000
"""More than that is not counted for a preview."""
BATCH: Final = 500
SWEEP_SECONDS: Final = 2.0
"""How long one round deletes while there is more."""


class Kept(StrEnum):
    """What is kept for a time."""

    EVENTS = "events"
    FIRINGS = "firings"


@dataclass(frozen=True, slots=True)
class Terms:
    """For how many days each is kept; None: for ever."""

    events_days: int | None = None
    firings_days: int | None = None

    def days(self, kept: Kept) -> int | None:
        """For how many days this is kept."""
        return self.events_days if kept is Kept.EVENTS else self.firings_days


class RetentionUnconfirmedError(InvalidInputError):
    """Something would be deleted at once; `detail["would_delete"]` says how much of what."""

    code = "retention_unconfirmed"


def terms_of(workspace_id: UUID) -> Terms:
    """What a workspace says; without a policy it keeps everything."""
    policy = RetentionPolicy.objects.filter(workspace_id=workspace_id).first()
    return Terms() if policy is None else _terms(policy)


def policy_id_of(workspace_id: UUID) -> UUID | None:
    """The id under which the audit log tells of a workspace's policy; None: it has none."""
    return (
        RetentionPolicy.objects.filter(workspace_id=workspace_id)
        .values_list("id", flat=True)
        .first()
    )


def would_delete(workspace_id: UUID, terms: Terms, now: datetime) -> dict[Kept, int]:
    """How much of each would go by these terms now; counted up to `MOST_COUNTED`."""
    return {
        kept: _expired(workspace_id, kept, days, now)[:MOST_COUNTED].count() if days else 0
        for kept in Kept
        for days in (terms.days(kept),)
    }


@transaction.atomic
def set_retention(
    *,
    workspace_id: UUID,
    terms: Terms,
    reason: str,
    confirmed: bool,
    actor: Actor,
    now: datetime,
) -> Terms:
    """Say how long events and firings are kept; the same terms change nothing.

    Raises:
        InvalidInputError: days out of range, or the reason is missing.
        RetentionUnconfirmedError: something would go at once, and nobody consented.
    """
    access.require(actor, "policy.manage", workspace_id)
    _check(terms)
    policy = RetentionPolicy.objects.filter(workspace_id=workspace_id).first()
    before = Terms() if policy is None else _terms(policy)
    if terms == before:
        return terms
    text = read_reason(reason)
    if not confirmed:
        _require_nothing_to_delete(workspace_id, terms, now)
    row = policy or RetentionPolicy(id=new_id(), workspace_id=workspace_id)
    entry = append_entry(
        actor=actor,
        action="retention_policy.set",
        subject=subject_of(row),
        workspace_id=workspace_id,
        now=now,
        reason=text,
        decision={"outcome": "set", "before": _shown(before), "after": _shown(terms)},
    )
    row.events_days, row.firings_days = terms.events_days, terms.firings_days
    row.set_at, row.audit_id = now, entry.id
    row.save(force_insert=policy is None)
    return terms


def delete_expired(now: datetime) -> int:
    """Delete what was kept long enough, in small batches; returns how many rows went."""
    until = monotonic() + SWEEP_SECONDS
    deleted = 0
    for policy in RetentionPolicy.objects.order_by("workspace_id"):
        for kept in Kept:
            while days := _terms(policy).days(kept):
                gone = _delete_batch(policy, kept, days, now)
                deleted += gone
                if gone < BATCH or monotonic() >= until:
                    break
    return deleted


@transaction.atomic
def _delete_batch(policy: RetentionPolicy, kept: Kept, days: int, now: datetime) -> int:
    """Delete one batch, unless the policy was changed since it was read."""
    if not RetentionPolicy.objects.filter(id=policy.id, audit_id=policy.audit_id).exists():
        return 0
    expired = _expired(policy.workspace_id, kept, days, now)
    ids = list(expired.values_list("id", flat=True)[:BATCH])
    if not ids:
        return 0
    deleted, _ = _ROWS[kept](ids).delete()
    append_entry(
        actor=SYSTEM,
        action="retention_policy.applied",
        subject=subject_of(policy),
        workspace_id=policy.workspace_id,
        now=now,
        decision={
            "outcome": "deleted",
            "kind": kept.value,
            "days": days,
            "count": deleted,
            "before": (now - timedelta(days=days)).isoformat(),
        },
    )
    return deleted


def _expired(workspace_id: UUID, kept: Kept, days: int, now: datetime) -> QuerySet[Any, Any]:
    """What is over and was told longer ago than that; ids are in the order of time."""
    before = first_id(now - timedelta(days=days))
    if kept is Kept.EVENTS:
        return ReceivedEvent.objects.filter(
            workspace_id=workspace_id, id__lt=before, status__in=("delivered", "unheard")
        )
    over = Q(run=None) | Q(run__status__in=TERMINAL_RUN)
    return TriggerFiring.objects.filter(
        over, trigger__workspace_id=workspace_id, id__lt=before
    ).exclude(status__in=OPEN_STATUSES)


_ROWS: Final[Mapping[Kept, Callable[[list[UUID]], QuerySet[Any, Any]]]] = {
    Kept.EVENTS: lambda ids: ReceivedEvent.objects.filter(id__in=ids),
    Kept.FIRINGS: lambda ids: TriggerFiring.objects.filter(id__in=ids),
}


def _require_nothing_to_delete(workspace_id: UUID, terms: Terms, now: datetime) -> None:
    counts = would_delete(workspace_id, terms, now)
    if not any(counts.values()):
        return
    words = " and ".join(_count_words(counts[kept], kept) for kept in Kept)
    error = wrong("confirmed", "consent", f"{words} would be deleted now. Say that you mean it.")
    shown: JsonObject = {kept.value: count for kept, count in counts.items()}
    raise RetentionUnconfirmedError(error.message, detail={**error.detail, "would_delete": shown})


def _count_words(count: int, kept: Kept) -> str:
    number = f"{count:,} or more" if count >= MOST_COUNTED else f"{count:,}"
    return f"{number} {kept.value[:-1] if count == 1 else kept.value}"


def _terms(policy: RetentionPolicy) -> Terms:
    return Terms(policy.events_days, policy.firings_days)


def _shown(terms: Terms) -> JsonObject:
    return {kept.value: terms.days(kept) for kept in Kept}


def _check(terms: Terms) -> None:
    for kept in Kept:
        days = terms.days(kept)
        if days is not None and not MIN_DAYS <= days <= MAX_DAYS:
            reason = f"must be from {MIN_DAYS} to {MAX_DAYS:,} days, or for ever"
            raise wrong(f"{kept.value}_days", "range", reason)


def wrong(field: str, rule: str, reason: str) -> InvalidInputError:
    """The error of one field of the terms."""
    violation: JsonObject = {"path": f"/{field}", "rule": rule, "reason": reason}
    return InvalidInputError(
        f"{field.replace('_', ' ').capitalize()}: {reason}", detail={"violations": [violation]}
    )
