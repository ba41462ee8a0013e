"""Triggers: what starts runs by itself.

Theory of operation
-------------------
The triggers of a workflow's active version stand in rows (`Trigger`), which the sweeper brings in
step with the active versions (`sync_triggers`); a row outlives versions by its name, so that its
address, secret and pause stay. Whatever a trigger is told of - a due time, a signed request, an
event of its type - becomes a `TriggerFiring` first, once for the same happening. Only then is it
decided, in order, by the sweeper, of which there is one: paused, chain too long, schema version,
contract and filter (`core/triggers.py`), de-duplication, coalescing, rate limit. What passes starts
a run; run, firing and audit entry are one transaction, with the firing as idempotency key. Nothing
starts when the trigger was paused or another version became active meanwhile: the next round looks
anew. What does not pass stays listed with its reason. Above the limit firings are parked in order
and go before whatever is new; gathered ones go on gathering until there is room.

Runs are started by an identity of the workspace that may start runs there and decides nothing.
A run that a trigger started and that leads to events carries the depth of its chain; past
`MAX_DEPTH` nothing is started any more.
"""

from __future__ import annotations

import hashlib
import json
import logging
import secrets
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import lru_cache, partial
from time import monotonic
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.db.models import F, Min

from audit.services import append_entry, subject_of
from designer import selectors as designer
from orchestrator import access
from orchestrator.access import SYSTEM, Actor
from orchestrator.accounts.services import own_identity
from orchestrator.core.canonical import content_sha256
from orchestrator.core.definition import EventSource, ScheduleSource, WorkflowDefinition
from orchestrator.core.definition import Trigger as TriggerDefinition
from orchestrator.core.errors import ConflictError, DomainError, IllegalTransitionError
from orchestrator.core.json import JsonObject, JsonValue, check_json
from orchestrator.core.reading import read_reason
from orchestrator.core.schedules import due_instants, next_instant, read_cron, read_zone
from orchestrator.core.triggers import (
    KEPT_STATUSES,
    MAX_DEPTH,
    OPEN_STATUSES,
    OWN_SOURCE,
    CompiledTrigger,
    FiringStatus,
    TriggerInputError,
    compile_trigger,
    event_view,
    input_of,
    judge,
    statuses_before,
)
from orchestrator.ids import new_id
from orchestrator.runs import selectors, services, signatures, statements
from orchestrator.runs.models import (
    ReceivedEvent,
    Run,
    Trigger,
    TriggerClock,
    TriggerFiring,
    TriggerRefusal,
)

logger = logging.getLogger("baton.runs.triggers")

IDENTITY: Final = "Triggers"
"""The name of the identity that starts runs."""
FORMER_SECRET_FOR: Final = timedelta(days=1)
BATCH: Final = 200
DRAIN_SECONDS: Final = 2.0
"""How long one round decides while there is more; schedules and timers want their turn too."""
NO_LIMIT: Final = 1 << 31
MINUTE: Final = timedelta(minutes=1)
MAX_REASON: Final = 200


# ---- in step with the active versions ------------------------------------------------------------


class Installed:
    """What this process knows about which versions have triggers: asked anew after a restart."""

    def __init__(self) -> None:
        self._bare: set[UUID] = set()

    def sync(self, now: datetime) -> int:
        """Bring trigger rows in step with the active versions; returns how many workflows moved."""
        active = designer.active_versions()
        known = dict(
            Trigger.objects.exclude(status="removed").values_list("workflow_id", "version_id")
        )
        moved = 0
        for workflow_id in known.keys() - active.keys():
            moved += _alone("triggers", workflow_id, partial(_uninstall, workflow_id, now))
        for workflow_id, version_id in active.items():
            if known.get(workflow_id) == version_id:
                continue
            if workflow_id not in known and version_id in self._bare:
                continue
            moved += _alone(
                "triggers", workflow_id, partial(self._install, workflow_id, version_id, now)
            )
        return moved

    def _install(self, workflow_id: UUID, version_id: UUID, now: datetime) -> int:
        moved = install_triggers(workflow_id=workflow_id, version_id=version_id, now=now)
        if not designer.compiled(version_id).definition.triggers:
            self._bare.add(version_id)
        return moved


def _uninstall(workflow_id: UUID, now: datetime) -> int:
    return install_triggers(workflow_id=workflow_id, version_id=None, now=now)


@transaction.atomic
def install_triggers(*, workflow_id: UUID, version_id: UUID | None, now: datetime) -> bool:
    """Give a workflow the triggers of this version (None: it has none any more).

    Triggers keep address, secret and pause by their name. What a removed one still holds back is
    settled by `decide_firings`. Safe to call twice.
    """
    rows = {row.name: row for row in Trigger.objects.filter(workflow_id=workflow_id)}
    wanted: dict[str, TriggerDefinition] = {}
    if version_id is not None:
        wanted = designer.compiled(version_id).definition.triggers
    changed = False
    for name, definition in wanted.items():
        row = rows.get(name)
        if row is None or row.version_id != version_id or row.status == "removed":
            assert version_id is not None
            _install(row, workflow_id, version_id, name, definition, now)
            changed = True
    for name, row in rows.items():
        if name not in wanted and row.status != "removed":
            _change(row, "trigger.removed", actor=SYSTEM, now=now, status="removed")
            TriggerClock.objects.filter(trigger=row).delete()
            changed = True
    return changed


def _install(  # noqa: PLR0917  a row of six columns
    row: Trigger | None,
    workflow_id: UUID,
    version_id: UUID,
    name: str,
    definition: TriggerDefinition,
    now: datetime,
) -> None:
    source = definition.source
    values: dict[str, Any] = {
        "version_id": version_id,
        "title": definition.name,
        "kind": source.type,
        "event_type": source.event if isinstance(source, EventSource) else "",
    }
    if row is not None:
        status = "active" if row.status == "removed" else row.status
        _change(row, "trigger.installed", actor=SYSTEM, now=now, status=status, **values)
    else:
        row = Trigger(
            id=new_id(),
            workspace_id=designer.workspace_of(workflow_id),
            workflow_id=workflow_id,
            name=name,
            address=secrets.token_urlsafe(16),
            status="active",
            created_at=now,
            **values,
        )
        entry = append_entry(
            actor=SYSTEM,
            action="trigger.installed",
            subject=subject_of(row),
            workspace_id=row.workspace_id,
            now=now,
            payloads={"trigger": {"name": name, "kind": source.type}},
        )
        row.audit_id = entry.id
        row.save(force_insert=True)
    _set_clock(row, definition, now)


def _set_clock(row: Trigger, definition: TriggerDefinition, now: datetime) -> None:
    source = definition.source
    if not isinstance(source, ScheduleSource) or row.status != "active":
        TriggerClock.objects.filter(trigger=row).delete()
        return
    due_at = next_instant(read_cron(source.cron), read_zone(source.zone), now)
    TriggerClock.objects.update_or_create(trigger=row, defaults={"due_at": due_at})


# ---- what people do ------------------------------------------------------------------------------


def pause_trigger(*, trigger_id: UUID, reason: str, actor: Actor, now: datetime) -> Trigger:
    """Let a trigger start nothing until it is resumed. Twice changes nothing.

    Raises:
        InvalidInputError: no reason is given.
        IllegalTransitionError: the active version has it no more.
    """
    return _set_status(trigger_id, "paused", "trigger.paused", actor=actor, now=now, reason=reason)


def resume_trigger(*, trigger_id: UUID, reason: str, actor: Actor, now: datetime) -> Trigger:
    """Let a paused trigger go on; due times of the pause are not made up for.

    Raises:
        InvalidInputError: no reason is given.
        IllegalTransitionError: the active version has it no more.
    """
    return _set_status(trigger_id, "active", "trigger.resumed", actor=actor, now=now, reason=reason)


@transaction.atomic
def rotate_secret(
    *,
    trigger_id: UUID,
    number: int | None = None,
    ends_former: bool = False,
    actor: Actor,
    now: datetime,
) -> tuple[Trigger, str]:
    """Give a webhook another secret, which is returned this once; the former counts for a day.

    Two secrets count at most. While a former one does, its senders may not have the present one
    yet: another is made only when `ends_former` says so. `number` is that of the secret which the
    actor saw.

    Raises:
        IllegalTransitionError: it is no webhook, or the active version has it no more.
        ConflictError: another secret was made since, or a former one still counts.
    """
    row = selectors.get_trigger(actor, trigger_id)
    access.require(actor, "workflow.publish", row)
    if row.kind != "webhook" or row.status == "removed":
        raise IllegalTransitionError(row.status, "rotate_secret")
    if number is not None and number != row.secret_number:
        raise ConflictError("Another secret was made since you looked. Look again.")
    if former_counts(row, now) and not ends_former:
        raise ConflictError(
            "The former secret still counts, and would end at once. Wait until it has ended, or "
            "agree that it ends.",
            detail={"field": "ends_former"},
        )
    number = row.secret_number + 1
    _change(
        row,
        "trigger.secret_rotated",
        actor=actor,
        now=now,
        secret_number=number,
        former_until=now + FORMER_SECRET_FOR,
    )
    return row, signatures.secret_of(row.id, number)


def former_counts(row: Trigger, now: datetime) -> bool:
    """Whether requests signed with the former secret are still taken."""
    return row.former_until is not None and row.former_until > now


def try_trigger(
    *,
    trigger_id: UUID,
    content: JsonValue,
    key: str = "",
    schema: str = "",
    actor: Actor,
    now: datetime,
) -> JsonObject:
    """What a trigger makes of a sample: `verdict`, `reason`, `input`, `violations`.

    Nothing is stored and nothing started.
    """
    row = selectors.get_trigger(actor, trigger_id)
    access.require(actor, "run.start", row)
    check_json(content)
    compiled = compiled_of(row)
    shown = event_view(
        event_type=row.event_type or row.kind,
        source="sample",
        event_id="sample",
        key=key,
        at=now,
        content=content,
    )
    judged = judge(compiled, shown, schema)
    tried: JsonObject = {"verdict": judged.verdict, "reason": judged.reason, "input": None}
    tried["violations"] = []
    if judged.verdict != "passes":
        return tried
    try:
        given = input_of(compiled, [shown])
    except TriggerInputError as error:
        return {**tried, "verdict": "failed", "reason": error.message}
    accepted = designer.compiled(row.version_id).input_contract.accept(given)
    tried["input"] = accepted.payload
    if accepted.verdict == "refused":
        first = accepted.violations[0]
        tried["verdict"] = "failed"
        tried["reason"] = f"The input breaks the contract: {first.path or '/'} {first.reason}."
        tried["violations"] = [one.model_dump(mode="json") for one in accepted.violations]
    return tried


@transaction.atomic
def _set_status(
    trigger_id: UUID, status: str, action: str, *, actor: Actor, now: datetime, reason: str
) -> Trigger:
    row = selectors.get_trigger(actor, trigger_id)
    access.require(actor, "run.start", row)
    reason = read_reason(reason)
    if row.status == status:
        return row
    if row.status == "removed":
        raise IllegalTransitionError(row.status, action.partition(".")[2])
    _change(row, action, actor=actor, now=now, reason=reason, status=status)
    _set_clock(row, compiled_of(row).trigger, now)
    return row


def _change(
    row: Trigger, action: str, *, actor: Actor, now: datetime, reason: str = "", **values: Any
) -> None:
    entry = append_entry(
        actor=actor,
        action=action,
        subject=subject_of(row),
        workspace_id=row.workspace_id,
        now=now,
        reason=reason,
    )
    unchanged = Trigger.objects.filter(id=row.id, audit_id=row.audit_id)
    if not unchanged.update(**values, audit_id=entry.id):
        raise ConflictError("Somebody else has just changed this trigger. Look again.")
    row.refresh_from_db()


# ---- what a trigger is told of -------------------------------------------------------------------


def note_refusal(trigger: Trigger, reason: str, now: datetime) -> None:
    """Count a request that a trigger's address refused."""
    where = {"trigger": trigger, "day": now.date(), "reason": reason}
    counted = TriggerRefusal.objects.filter(**where)
    if not counted.update(count=F("count") + 1, latest_at=now):
        TriggerRefusal.objects.get_or_create(**where, defaults={"latest_at": now})
        counted.update(count=F("count") + 1, latest_at=now)


def take_request(
    *, trigger: Trigger, content: JsonValue, signed: signatures.Signed, now: datetime
) -> bool:
    """Store what a signed request told; False: the same was told before.

    The same is what has the same id, ever; without an id, what was signed at the same second with
    the same body.
    """
    event_id = signed.event_id
    digest = hashlib.sha256(f"id\n{event_id}".encode() if event_id else b"body\n" + signed.text())
    shown = event_view(
        event_type="webhook",
        source=f"/hooks/{trigger.address}/",
        event_id=event_id or digest.hexdigest(),
        key="",
        at=now,
        content=content,
    )
    return bool(_tell([_firing(trigger, digest.hexdigest(), shown, now)]))


def take_events(events: Sequence[ReceivedEvent]) -> frozenset[UUID]:
    """Tell the triggers that listen; returns the ids of the events that one of them was told of."""
    wanted = {(event.workspace_id, event.type) for event in events}
    listening: dict[tuple[UUID, str], list[Trigger]] = defaultdict(list)
    rows = Trigger.objects.filter(
        workspace_id__in={one for one, _ in wanted}, event_type__in={one for _, one in wanted}
    ).exclude(status="removed")
    for row in rows:
        listening[row.workspace_id, row.event_type].append(row)
    told = [
        _firing(
            row,
            event.digest,
            _view_of(event),
            event.received_at,
            schema=event.schema,
            depth=event.depth,
        )
        for event in events
        for row in listening.get((event.workspace_id, event.type), ())
    ]
    _tell(told)
    return frozenset(
        event.id for event in events if listening.get((event.workspace_id, event.type))
    )


def fire_due_schedules(now: datetime) -> int:
    """Tell schedules of their due times; each due time once, whoever else does the same."""
    due = TriggerClock.objects.filter(due_at__lte=now).select_related("trigger")
    return sum(
        _alone("schedule", clock.trigger_id, partial(_fire_schedule, clock, now))
        for clock in due.order_by("due_at")[:BATCH]
    )


def _fire_schedule(clock: TriggerClock, now: datetime) -> int:
    source = compiled_of(clock.trigger).trigger.source
    assert isinstance(source, ScheduleSource)
    due = due_instants(
        read_cron(source.cron),
        read_zone(source.zone),
        clock.due_at,
        now,
        catch_up=source.catch_up,
        limit=source.catch_up_limit,
    )
    with transaction.atomic():
        mine = TriggerClock.objects.filter(trigger_id=clock.trigger_id, due_at=clock.due_at)
        if not mine.update(due_at=due.next_at):
            return 0
        firings = [_due_firing(clock.trigger, at, now) for at in due.fire]
        if due.missed:
            firings.append(_missed_firing(clock.trigger, clock.due_at, due.missed, now))
        return _tell(firings)


def _due_firing(trigger: Trigger, at: datetime, now: datetime) -> statements.Row:
    shown = event_view(
        event_type="schedule",
        source=OWN_SOURCE,
        event_id=at.isoformat(),
        key="",
        at=at,
        content=None,
    )
    return _firing(trigger, hashlib.sha256(at.isoformat().encode()).hexdigest(), shown, now)


def _missed_firing(trigger: Trigger, since: datetime, count: int, now: datetime) -> statements.Row:
    return {
        **_due_firing(trigger, since, now),
        "digest": hashlib.sha256(f"missed\n{since.isoformat()}".encode()).hexdigest(),
        "status": FiringStatus.SUPPRESSED,
        "reason": f"{count} due times passed while nobody looked, and are not made up for.",
        "decided_at": now,
    }


def _firing(
    trigger: Trigger,
    digest: str,
    shown: JsonObject,
    at: datetime,
    *,
    schema: str = "",
    depth: int = 0,
) -> statements.Row:
    return {
        "id": new_id(),
        "trigger_id": trigger.id,
        "digest": digest,
        "event": shown,
        "schema": schema,
        "depth": depth,
        "at": at,
        "status": FiringStatus.RECEIVED,
        "reason": "",
        "key": "",
        "decided_at": None,
    }


def _tell(firings: Sequence[statements.Row]) -> int:
    """Store firings; those that were told before are not stored again."""
    return statements.store_told("firings", firings)


def _view_of(event: ReceivedEvent) -> JsonObject:
    return event_view(
        event_type=event.type,
        source=event.source,
        event_id=event.event_id,
        key=event.key,
        at=event.happened_at,
        content=event.content,
    )


# ---- deciding ------------------------------------------------------------------------------------


def decide_firings(now: datetime) -> int:
    """Decide what triggers were told of, each trigger by itself; returns how many new ones.

    Batch after batch until nothing is left or `DRAIN_SECONDS` are over; whose firing has waited
    longest comes first, so that a storm at one trigger does not keep the others waiting.
    """
    until = monotonic() + DRAIN_SECONDS
    open_ = TriggerFiring.objects.filter(status__in=OPEN_STATUSES)
    waiting = list(open_.values("trigger_id").annotate(since=Min("at")).order_by("since"))
    decided = 0
    for one in waiting:
        trigger_id = one["trigger_id"]
        decided += _alone("firings", trigger_id, partial(_decide, trigger_id, now, until))
        if monotonic() >= until:
            break
    return decided


def drained(batch: Callable[[], int], size: int, *, until: float) -> int:
    """Do batch after batch until one is not full, or it is the others' turn; returns how much."""
    done = 0
    while True:
        found = batch()
        done += found
        if found < size or monotonic() >= until:
            return done


def _decide(trigger_id: UUID, now: datetime, until: float) -> int:
    def batch() -> int:
        return _Deciding(Trigger.objects.get(id=trigger_id), now).decide()

    return drained(batch, BATCH, until=until)


class _OvertakenError(Exception):
    """The trigger or the firing is no longer what was looked at; the next round looks anew."""


class _Deciding:
    """One look at one trigger: what it was told of, against what it did before."""

    def __init__(self, trigger: Trigger, now: datetime) -> None:
        self.trigger = trigger
        self.now = now
        self.compiled = compiled_of(trigger)
        self.definition = self.compiled.trigger
        self.firings = TriggerFiring.objects.filter(trigger=trigger)
        self.room = self._room()
        self.has_queue = False
        self.decided: list[TriggerFiring] = []
        self.kept_at: dict[str, datetime] = {}

    def decide(self) -> int:
        """Release what was held back, then decide new firings; returns how many of these."""
        try:
            if self.trigger.status == "active":
                self._release_parked()
                self._close_window()
            elif self.trigger.status == "removed":
                self._drop_held()
            return self._take()
        except _OvertakenError:
            return 0
        finally:
            self._write()

    def _release_parked(self) -> None:
        """Start as many as there is room for; those that are left go before whatever is new."""
        most = max(0, min(BATCH, self.room))
        parked = list(self.firings.filter(status=FiringStatus.PARKED).order_by("id")[: most + 1])
        self.has_queue = len(parked) > most
        for firing in parked[:most]:
            self._start([firing])

    def _close_window(self) -> None:
        """Start what was gathered, once nothing of its window is undecided and there is room."""
        gathering = self.firings.filter(status=FiringStatus.GATHERING).order_by("id")
        first = gathering.first()
        if first is None or first.due_at is None or first.due_at > self.now:
            return
        if self.firings.filter(status=FiringStatus.RECEIVED, at__lte=first.due_at).exists():
            return
        if self._parks() and not self._has_room():
            return
        self._start_or_hold(list(gathering.filter(at__lte=first.due_at)))

    def _drop_held(self) -> None:
        held = (FiringStatus.GATHERING, FiringStatus.PARKED)
        for firing in self.firings.filter(status__in=held).order_by("id")[:BATCH]:
            self._settle(firing, FiringStatus.SUPPRESSED, "The trigger is removed.")

    def _take(self) -> int:
        new = list(self.firings.filter(status=FiringStatus.RECEIVED).order_by("id")[:BATCH])
        for firing in new:
            if self._passes(firing):
                self._go_on(firing)
        return len(new)

    def _passes(self, firing: TriggerFiring) -> bool:
        if self.trigger.status != "active":
            reason = f"The trigger is {self.trigger.status}."
            return self._settle(firing, FiringStatus.SUPPRESSED, reason)
        if firing.depth > MAX_DEPTH:
            reason = f"It ends a chain of more than {MAX_DEPTH} runs that started one another."
            return self._settle(firing, FiringStatus.SUPPRESSED, reason)
        judged = judge(self.compiled, firing.event, firing.schema)
        if judged.verdict != "passes":
            return self._settle(firing, FiringStatus(judged.verdict), judged.reason)
        if judged.key is not None:
            firing.key = hashlib.sha256(judged.key.encode()).hexdigest()
            if self._is_duplicate(firing):
                reason = "It has the key of an earlier firing."
                return self._settle(firing, FiringStatus.SUPPRESSED, reason)
        return True

    def _is_duplicate(self, firing: TriggerFiring) -> bool:
        rule = self.definition.deduplicate
        assert rule is not None
        since = firing.at - timedelta(seconds=rule.window_seconds)
        if self.kept_at.get(firing.key, since) > since:
            return True
        earlier = self.firings.filter(key=firing.key, at__gt=since, id__lt=firing.id)
        return earlier.filter(status__in=KEPT_STATUSES).exists()

    def _go_on(self, firing: TriggerFiring) -> None:
        rule = self.definition.coalesce
        if rule is None:
            self._start_or_hold([firing])
            return
        firing.due_at = firing.at + timedelta(seconds=rule.window_seconds)
        reason = f"Gathered for {rule.window_seconds} s."
        self._settle(firing, FiringStatus.GATHERING, reason)

    def _start_or_hold(self, firings: Sequence[TriggerFiring]) -> None:
        if self._has_room():
            self._start(firings)
            return
        limit = self.definition.limit
        over = f"More than {limit.per_minute} a minute" if limit else "Others wait before it"
        for firing in firings:
            if self._parks():
                self._settle(firing, FiringStatus.PARKED, f"{over}; it waits.")
                self.has_queue = True
            else:
                self._settle(firing, FiringStatus.SUPPRESSED, f"{over}.")

    def _parks(self) -> bool:
        limit = self.definition.limit
        return limit is None or limit.overflow == "park"

    def _has_room(self) -> bool:
        return self.room > 0 and not (self.has_queue and self._parks())

    def _room(self) -> int:
        limit = self.definition.limit
        if limit is None:
            return NO_LIMIT
        started = self.firings.filter(status=FiringStatus.STARTED, decided_at__gt=self.now - MINUTE)
        return limit.per_minute - started.count()

    def _start(self, firings: Sequence[TriggerFiring]) -> None:
        """Start the run of one firing, or of several that are taken together."""
        latest = firings[-1]
        try:
            with transaction.atomic():
                run = self._started(firings, latest)
                self._require_unchanged(run)
                self._mark_started(firings, run)
        except DomainError as error:
            for firing in firings:
                self._settle(firing, FiringStatus.FAILED, error.message)
            return
        self.room -= 1
        for firing in firings:
            self._remember(firing)

    def _started(self, firings: Sequence[TriggerFiring], latest: TriggerFiring) -> Run:
        identity = own_identity(workspace_id=self.trigger.workspace_id, name=IDENTITY, now=self.now)
        return services.start_run(
            workflow_slug=designer.slug_of(self.trigger.workflow_id),
            input=input_of(self.compiled, [firing.event for firing in firings]),
            actor=Actor(kind="service", id=str(identity.id)),
            now=self.now,
            idempotency_key=f"trigger/{latest.id}",
            priority=self.definition.priority,
            depth=max(firing.depth for firing in firings),
        )

    def _require_unchanged(self, run: Run) -> None:
        """Nothing starts by a version that was not judged, or after a pause."""
        version_id = self.trigger.version_id
        unchanged = Trigger.objects.filter(
            id=self.trigger.id, status="active", version_id=version_id
        )
        if run.version_id != version_id or not unchanged.exists():
            raise _OvertakenError

    def _mark_started(self, firings: Sequence[TriggerFiring], run: Run) -> None:
        *others, latest = firings
        reason = f"{len(firings)} taken together." if others else ""
        undecided = self.firings.filter(status__in=statuses_before(FiringStatus.STARTED))
        marked = undecided.filter(id=latest.id).update(
            status=FiringStatus.STARTED,
            reason=reason,
            key=latest.key,
            run=run,
            decided_at=self.now,
        )
        marked += undecided.filter(id__in=[one.id for one in others]).update(
            status=FiringStatus.MERGED,
            reason="Taken together with a later one.",
            run=run,
            decided_at=self.now,
        )
        if marked != len(firings):
            raise _OvertakenError
        append_entry(
            actor=SYSTEM,
            action="trigger.fired",
            subject=subject_of(self.trigger),
            workspace_id=self.trigger.workspace_id,
            now=self.now,
            run=run.id,
            decision={
                "outcome": "started",
                "trigger": self.trigger.name,
                "kind": self.trigger.kind,
                "firing": str(latest.id),
                "taken_together": len(firings),
            },
            after_sha256=content_sha256(latest.event),
            payloads={"event": latest.event},
        )

    def _settle(self, firing: TriggerFiring, status: FiringStatus, reason: str) -> bool:
        firing.status, firing.reason, firing.decided_at = status, reason[:MAX_REASON], self.now
        self.decided.append(firing)
        if status in KEPT_STATUSES:
            self._remember(firing)
        return False

    def _remember(self, firing: TriggerFiring) -> None:
        if firing.key:
            self.kept_at[firing.key] = firing.at

    def _write(self) -> None:
        """Store what was decided, where the firing may still come to that status."""
        for status in FiringStatus:
            rows: list[statements.Row] = [
                {
                    "id": one.id,
                    "reason": one.reason,
                    "key": one.key,
                    "due_at": one.due_at,
                    "decided_at": one.decided_at,
                }
                for one in self.decided
                if one.status == status
            ]
            if rows:
                statements.decide_firings(status, statuses_before(status), rows)
        self.decided = []


def _alone(what: str, subject: UUID, work: Callable[[], int]) -> int:
    """Do one part of a round; its error must not keep the other parts from theirs."""
    try:
        return work()
    except Exception:  # whatever it was, the others must come
        logger.exception("part of a sweep failed", extra={"what": what, "subject": str(subject)})
        return 0


def compiled_of(trigger: Trigger) -> CompiledTrigger:
    """The trigger ready to be asked; `trigger` in it is what the version says."""
    return _compiled(trigger.version_id, trigger.name)


def sample_text(value: JsonValue) -> str:
    """A sample as people edit it."""
    return json.dumps(value, indent=2, ensure_ascii=False)


@lru_cache(maxsize=512)
def _compiled(version_id: UUID, name: str) -> CompiledTrigger:
    workflow = designer.compiled(version_id)
    definition: WorkflowDefinition = workflow.definition
    return compile_trigger(definition.triggers[name], workflow.types)
