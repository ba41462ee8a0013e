"""Triggers: what starts runs by itself.

Theory of operation
-------------------
The triggers of a workflow's active version stand in rows (`Trigger`), which the sweeper brings in
step with the active versions (`sync_triggers`); a row outlives versions by its name, so that its
address, secret and pause stay. Whatever a trigger is told of - a due time, a signed request, an
event of its type - becomes a `TriggerFiring` first, once for the same happening. Only then is it
decided, in order, by the sweeper, of which there is one: paused, chain too long, schema version,
contract and filter (`core/triggers.py`), de-duplication, coalescing, rate limit. What passes starts
a run; run, firing and audit entry are one transaction, with the firing as idempotency key. What
does not pass stays listed with its reason.

Runs are started by an identity of the workspace that may start runs there and decides nothing.
A run that a trigger started and that leads to events carries the depth of its chain; past
`MAX_DEPTH` nothing is started any more.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.db.models import F

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
from orchestrator.core.schedules import due_instants, next_instant, read_cron, read_zone
from orchestrator.core.triggers import (
    MAX_DEPTH,
    OWN_SOURCE,
    CompiledTrigger,
    TriggerInputError,
    compile_trigger,
    event_view,
    input_of,
    judge,
)
from orchestrator.ids import new_id
from orchestrator.runs import selectors, services, signatures
from orchestrator.runs.models import (
    ReceivedEvent,
    Run,
    Trigger,
    TriggerClock,
    TriggerFiring,
    TriggerRefusal,
)

IDENTITY: Final = "Triggers"
"""The name of the identity that starts runs."""
FORMER_SECRET_FOR: Final = timedelta(days=1)
BATCH: Final = 200
MINUTE: Final = timedelta(minutes=1)
HELD_BACK: Final = ("gathering", "parked")
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
            moved += install_triggers(workflow_id=workflow_id, version_id=None, now=now)
        for workflow_id, version_id in active.items():
            if known.get(workflow_id) == version_id:
                continue
            if workflow_id not in known and version_id in self._bare:
                continue
            moved += install_triggers(workflow_id=workflow_id, version_id=version_id, now=now)
            if not designer.compiled(version_id).definition.triggers:
                self._bare.add(version_id)
        return moved


@transaction.atomic
def install_triggers(*, workflow_id: UUID, version_id: UUID | None, now: datetime) -> bool:
    """Give a workflow the triggers of this version (None: it has none any more).

    Triggers keep address, secret and pause by their name. Safe to call twice.
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
        IllegalTransitionError: the active version has it no more.
    """
    return _set_status(trigger_id, "paused", "trigger.paused", actor=actor, now=now, reason=reason)


def resume_trigger(*, trigger_id: UUID, reason: str, actor: Actor, now: datetime) -> Trigger:
    """Let a paused trigger go on; due times of the pause are not made up for.

    Raises:
        IllegalTransitionError: the active version has it no more.
    """
    return _set_status(trigger_id, "active", "trigger.resumed", actor=actor, now=now, reason=reason)


@transaction.atomic
def rotate_secret(*, trigger_id: UUID, actor: Actor, now: datetime) -> tuple[Trigger, str]:
    """Give a webhook another secret, which is returned this once; the former counts for a day.

    Raises:
        IllegalTransitionError: it is no webhook, or the active version has it no more.
    """
    row = selectors.get_trigger(actor, trigger_id)
    access.require(actor, "run.start", row)
    if row.kind != "webhook" or row.status == "removed":
        raise IllegalTransitionError(row.status, "rotate_secret")
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
    if row.status == status:
        return row
    if row.status == "removed":
        raise IllegalTransitionError(row.status, action.partition(".")[2])
    _change(row, action, actor=actor, now=now, reason=reason, status=status)
    _set_clock(row, definition_of(row), now)
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
        reason=reason[:2_000],
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
    *, trigger: Trigger, content: JsonValue, event_id: str, body: bytes, now: datetime
) -> bool:
    """Store what a signed request told; False: the same was told before."""
    digest = hashlib.sha256(f"id\n{event_id}".encode() if event_id else b"body\n" + body)
    shown = event_view(
        event_type="webhook",
        source=f"/hooks/{trigger.address}/",
        event_id=event_id or digest.hexdigest(),
        key="",
        at=now,
        content=content,
    )
    return bool(_tell([_firing(trigger, digest.hexdigest(), shown, now)]))


def take_events(events: Sequence[ReceivedEvent], now: datetime) -> frozenset[UUID]:
    """Tell the triggers that listen; returns the ids of the events that one of them was told of."""
    wanted = {(event.workspace_id, event.type) for event in events}
    listening: dict[tuple[UUID, str], list[Trigger]] = defaultdict(list)
    rows = Trigger.objects.filter(
        workspace_id__in={one for one, _ in wanted}, event_type__in={one for _, one in wanted}
    ).exclude(status="removed")
    for row in rows:
        listening[row.workspace_id, row.event_type].append(row)
    told = [
        _firing(row, event.digest, _view_of(event), now, schema=event.schema, depth=event.depth)
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
    return sum(_fire_schedule(clock, now) for clock in due.order_by("due_at")[:BATCH])


def _fire_schedule(clock: TriggerClock, now: datetime) -> int:
    source = definition_of(clock.trigger).source
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


def _due_firing(trigger: Trigger, at: datetime, now: datetime) -> TriggerFiring:
    shown = event_view(
        event_type="schedule",
        source=OWN_SOURCE,
        event_id=at.isoformat(),
        key="",
        at=at,
        content=None,
    )
    return _firing(trigger, hashlib.sha256(at.isoformat().encode()).hexdigest(), shown, now)


def _missed_firing(trigger: Trigger, since: datetime, count: int, now: datetime) -> TriggerFiring:
    firing = _due_firing(trigger, since, now)
    firing.digest = hashlib.sha256(f"missed\n{since.isoformat()}".encode()).hexdigest()
    firing.status = "suppressed"
    firing.reason = f"{count} due times passed while nobody looked, and are not made up for."
    firing.decided_at = now
    return firing


def _firing(
    trigger: Trigger,
    digest: str,
    shown: JsonObject,
    now: datetime,
    *,
    schema: str = "",
    depth: int = 0,
) -> TriggerFiring:
    return TriggerFiring(
        id=new_id(),
        trigger=trigger,
        digest=digest,
        event=shown,
        schema=schema,
        depth=depth,
        at=now,
        status="received",
    )


def _tell(firings: Sequence[TriggerFiring]) -> int:
    """Store firings; those that were told before are not stored again."""
    known = set(
        TriggerFiring.objects.filter(
            trigger_id__in={one.trigger_id for one in firings},
            digest__in=[one.digest for one in firings],
        ).values_list("trigger_id", "digest")
    )
    fresh = [one for one in firings if (one.trigger_id, one.digest) not in known]
    TriggerFiring.objects.bulk_create(fresh, ignore_conflicts=True)
    return len(fresh)


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
    """Decide what triggers were told of, in order; returns how many were looked at.

    Then those that were held back: gathered ones whose time is over, parked ones for which there is
    room by now.
    """
    found = list(
        TriggerFiring.objects.filter(status="received")
        .select_related("trigger")
        .order_by("id")[:BATCH]
    )
    for trigger, firings in _by_trigger(found):
        _Deciding(trigger, now).take(firings)
    held = TriggerFiring.objects.filter(status__in=HELD_BACK)
    for trigger in Trigger.objects.filter(id__in=held.values("trigger_id").distinct()):
        _Deciding(trigger, now).release()
    return len(found)


class _Deciding:
    """One look at one trigger: what it was told of, against what it did before."""

    def __init__(self, trigger: Trigger, now: datetime) -> None:
        self.trigger = trigger
        self.now = now
        self.compiled = _compiled(trigger.version_id, trigger.name)
        self.definition = self.compiled.trigger
        self.decided: list[TriggerFiring] = []
        self.keys: set[str] = set()

    def take(self, firings: Sequence[TriggerFiring]) -> None:
        """Decide new firings."""
        for firing in firings:
            if self._passes(firing):
                self._go_on(firing)
        self._write()

    def release(self) -> None:
        """Look again at what was held back."""
        if self.trigger.status != "active":
            return
        held = TriggerFiring.objects.filter(trigger=self.trigger)
        gathered = list(held.filter(status="gathering").order_by("id"))
        if gathered and gathered[0].due_at is not None and gathered[0].due_at <= self.now:
            until = gathered[0].due_at
            self._start_or_park([one for one in gathered if one.at <= until] or gathered[:1])
        parked = held.filter(status="parked").order_by("id")
        for firing in parked[: max(0, self._room())]:
            self._start([firing])
        self._write()

    def _passes(self, firing: TriggerFiring) -> bool:
        if self.trigger.status != "active":
            return self._settle(firing, "suppressed", f"The trigger is {self.trigger.status}.")
        if firing.depth > MAX_DEPTH:
            reason = f"It ends a chain of more than {MAX_DEPTH} runs that started one another."
            return self._settle(firing, "suppressed", reason)
        judged = judge(self.compiled, firing.event, firing.schema)
        if judged.verdict != "passes":
            return self._settle(firing, judged.verdict, judged.reason)
        if judged.key is not None:
            firing.key = hashlib.sha256(judged.key.encode()).hexdigest()
            if self._is_duplicate(firing):
                return self._settle(firing, "suppressed", "It has the key of an earlier firing.")
            self.keys.add(firing.key)
        return True

    def _is_duplicate(self, firing: TriggerFiring) -> bool:
        if firing.key in self.keys:
            return True
        rule = self.definition.deduplicate
        assert rule is not None
        since = firing.at - timedelta(seconds=rule.window_seconds)
        earlier = TriggerFiring.objects.filter(
            trigger=self.trigger, key=firing.key, at__gt=since, id__lt=firing.id
        )
        return earlier.exclude(status__in=("suppressed", "failed", "received")).exists()

    def _go_on(self, firing: TriggerFiring) -> None:
        rule = self.definition.coalesce
        if rule is None:
            self._start_or_park([firing])
            return
        firing.due_at = firing.at + timedelta(seconds=rule.window_seconds)
        self._settle(firing, "gathering", f"Gathered for {rule.window_seconds} s.")

    def _start_or_park(self, firings: Sequence[TriggerFiring]) -> None:
        limit = self.definition.limit
        if limit is None or self._room() > 0:
            self._start(firings)
            return
        latest = firings[-1]
        if limit.overflow == "park":
            self._settle(latest, "parked", f"More than {limit.per_minute} a minute; it waits.")
        else:
            self._settle(latest, "suppressed", f"More than {limit.per_minute} a minute.")
        for other in firings[:-1]:
            self._settle(other, "suppressed", "Taken together with a later one.")

    def _room(self) -> int:
        limit = self.definition.limit
        if limit is None:
            return BATCH
        started = TriggerFiring.objects.filter(
            trigger=self.trigger, status="started", decided_at__gt=self.now - MINUTE
        )
        return limit.per_minute - started.count()

    def _start(self, firings: Sequence[TriggerFiring]) -> None:
        """Start the run of one firing, or of several that are taken together."""
        latest = firings[-1]
        try:
            with transaction.atomic():
                run = self._started(firings, latest)
                self._mark_started(firings, run)
        except DomainError as error:
            for firing in firings:
                self._settle(firing, "failed", error.message)

    def _started(self, firings: Sequence[TriggerFiring], latest: TriggerFiring) -> Run:
        identity = own_identity(workspace_id=self.trigger.workspace_id, name=IDENTITY, now=self.now)
        return services.start_run(
            workflow_slug=designer.slug_of(self.trigger.workflow_id),
            input=input_of(self.compiled, [firing.event for firing in firings]),
            actor=Actor(kind="service", id=str(identity.id)),
            now=self.now,
            idempotency_key=f"trigger/{latest.id}",
        )

    def _mark_started(self, firings: Sequence[TriggerFiring], run: Run) -> None:
        latest = firings[-1]
        open_ = TriggerFiring.objects.filter(status__in=("received", *HELD_BACK))
        reason = f"{len(firings)} taken together." if len(firings) > 1 else ""
        marked = open_.filter(id=latest.id).update(
            status="started", reason=reason, key=latest.key, run=run, decided_at=self.now
        )
        if not marked:
            raise ConflictError("It was decided meanwhile.")
        open_.filter(id__in=[one.id for one in firings[:-1]]).update(
            status="merged", reason="Taken together with a later one.", run=run, decided_at=self.now
        )
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

    def _settle(self, firing: TriggerFiring, status: str, reason: str) -> bool:
        firing.status, firing.reason, firing.decided_at = status, reason[:MAX_REASON], self.now
        self.decided.append(firing)
        return False

    def _write(self) -> None:
        TriggerFiring.objects.bulk_update(
            self.decided, ("status", "reason", "key", "due_at", "decided_at"), batch_size=BATCH
        )
        self.decided = []


def definition_of(trigger: Trigger) -> TriggerDefinition:
    """What the version says about the trigger."""
    return _compiled(trigger.version_id, trigger.name).trigger


def compiled_of(trigger: Trigger) -> CompiledTrigger:
    """The trigger ready to be asked."""
    return _compiled(trigger.version_id, trigger.name)


def sample_text(value: JsonValue) -> str:
    """A sample as people edit it."""
    return json.dumps(value, indent=2, ensure_ascii=False)


@lru_cache(maxsize=512)
def _compiled(version_id: UUID, name: str) -> CompiledTrigger:
    workflow = designer.compiled(version_id)
    definition: WorkflowDefinition = workflow.definition
    return compile_trigger(definition.triggers[name], workflow.types)


def _by_trigger(
    firings: Iterable[TriggerFiring],
) -> Iterable[tuple[Trigger, list[TriggerFiring]]]:
    found: dict[UUID, list[TriggerFiring]] = defaultdict(list)
    for firing in firings:
        found[firing.trigger_id].append(firing)
    return [(members[0].trigger, members) for members in found.values()]
