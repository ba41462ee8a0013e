"""Pages of triggers: those of a workflow, one with what it was told of, and the events received."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from designer import selectors as designer
from designer.frames import frame_of
from designer.words import source_words
from orchestrator import access
from orchestrator.access import Actor
from orchestrator.accounts.authentication import actor_of
from orchestrator.core.definition import ScheduleSource
from orchestrator.core.definition import Trigger as TriggerDefinition
from orchestrator.core.errors import ConflictError, DomainError, InvalidInputError
from orchestrator.core.examples import sample_document
from orchestrator.core.json import parse_json
from orchestrator.core.schedules import next_instant, read_cron, read_zone
from orchestrator.core.triggers import own_contract
from orchestrator.runs import selectors, triggers
from orchestrator.runs.models import ReceivedEvent, Trigger, TriggerFiring
from orchestrator.runs.trigger_words import (
    EVENT_LOOKS,
    FIRING_LOOKS,
    REFUSAL_WORDS,
    STATUS_LOOKS,
    address_of,
    rule_words,
)
from orchestrator.web.lists import (
    Column,
    Empty,
    Filter,
    Link,
    ListSpec,
    Option,
    render_list,
)
from orchestrator.web.templatetags.baton import Look

NEXT_TIMES: Final = 5

FIRINGS: Final = ListSpec(
    key="firings",
    one="firing",
    many="firings",
    columns=(
        Column("When"),
        Column("What became of it", "end"),
        Column("Why", "wide"),
        Column("Run", "wide"),
        Column("Event", "wide"),
    ),
    row_template="runs/firing_row.html",
    filters=(
        Filter(
            "status",
            "What became of it",
            tuple(
                Option(key, look.word, condition=Q(status=key))
                for key, look in FIRING_LOOKS.items()
            ),
        ),
    ),
    empty=Empty(
        "bolt", "Nothing yet", "What this trigger is told of shows here, with what it did."
    ),
    order=("-id",),
    is_card=True,
)
EVENTS: Final = ListSpec(
    key="events",
    one="event",
    many="events",
    columns=(
        Column("Event"),
        Column("What became of it", "end"),
        Column("Why", "wide"),
        Column("From", "wide"),
        Column("Received", "only-wide"),
    ),
    row_template="runs/event_row.html",
    search_fields=("type", "key", "event_id"),
    search_label="Type, subject or id",
    filters=(
        Filter(
            "status",
            "What became of it",
            tuple(
                Option(key, look.word, condition=Q(status=key)) for key, look in EVENT_LOOKS.items()
            ),
        ),
    ),
    empty=Empty(
        "bell",
        "No events yet",
        "Programs send events to the API; runs that wait for one go on, and triggers start runs.",
        (Link("Choose a workflow", "/workflows/", "workflow"),),
    ),
    order=("-id",),
)


@dataclass(frozen=True, slots=True)
class ShownTrigger:
    """A trigger as its pages show it. `next_times` are due times in the trigger's own zone."""

    row: Trigger
    look: Look
    fires: str
    rules: list[str]
    zone: str
    next_times: list[str]
    counts: list[tuple[str, Look, int]]
    refused: list[tuple[str, int]]


@require_safe
def workflow_triggers(request: HttpRequest, slug: str) -> HttpResponse:
    """The triggers of a workflow's active version."""
    actor = actor_of(request)
    workflow = designer.find_workflow(actor, slug)
    rows = list(selectors.list_triggers(actor, workflow=slug))
    context = {
        **frame_of(actor, workflow, designer.shown_version(workflow, None), "triggers"),
        "shown": _shown(rows),
    }
    return render(request, "runs/triggers.html", context)


@require_safe
def trigger(request: HttpRequest, slug: str, name: str) -> HttpResponse:
    """One trigger: when it fires, its address, a try with a sample, what it was told of."""
    actor = actor_of(request)
    return _page(request, actor, _find(actor, slug, name))


@require_POST
def act(request: HttpRequest, slug: str, name: str, verb: str) -> HttpResponse:
    """Pause or resume a trigger, make another secret, or try it with a sample."""
    actor = actor_of(request)
    row = _find(actor, slug, name)
    access.require(actor, "workflow.publish" if verb == "rotate" else "run.start", row)
    if verb in {"pause", "resume"}:
        return _switched(request, actor, row, verb)
    if verb == "rotate":
        return _rotated(request, actor, row)
    if verb == "try":
        return _tried(request, actor, row)
    raise Http404


@require_safe
def events(request: HttpRequest) -> HttpResponse:
    """What was told to the actor's workspaces, and what became of it."""
    actor = actor_of(request)
    access.require(actor, "run.read")

    def extras(page: list[ReceivedEvent]) -> dict[str, Any]:
        return {"looks": {row.id: EVENT_LOOKS[row.status] for row in page}}

    return render_list(
        request,
        EVENTS,
        selectors.received_events(actor),
        template="runs/events.html",
        extras=extras,
    )


def _switched(request: HttpRequest, actor: Actor, row: Trigger, verb: str) -> HttpResponse:
    change = triggers.pause_trigger if verb == "pause" else triggers.resume_trigger
    reason = request.POST.get("reason", "")
    try:
        change(trigger_id=row.id, reason=reason, actor=actor, now=timezone.now())
    except InvalidInputError as error:
        return _page(request, actor, row, error=error, place="reason", status=422)
    messages.success(request, "It is paused." if verb == "pause" else "It goes on.")
    return redirect("runs:trigger", slug=row.workflow.slug, name=row.name)


def _rotated(request: HttpRequest, actor: Actor, row: Trigger) -> HttpResponse:
    number = request.POST.get("number", "")
    try:
        changed, secret = triggers.rotate_secret(
            trigger_id=row.id,
            number=int(number) if number.isdecimal() and len(number) < 10 else 0,
            ends_former="ends_former" in request.POST,
            actor=actor,
            now=timezone.now(),
        )
    except ConflictError as error:
        row.refresh_from_db()
        return _page(request, actor, row, error=error, place="rotate", status=409)
    return _page(request, actor, changed, secret=secret)


def _tried(request: HttpRequest, actor: Actor, row: Trigger) -> HttpResponse:
    names = ("sample", "key", "dataschema")
    given: dict[str, Any] = {name: request.POST.get(name, "") for name in names}
    sample = given["sample"]
    try:
        tried = triggers.try_trigger(
            trigger_id=row.id,
            content=parse_json(sample) if sample.strip() else None,
            key=given["key"],
            schema=given["dataschema"],
            actor=actor,
            now=timezone.now(),
        )
    except InvalidInputError as error:
        return _page(request, actor, row, error=error, place="sample", status=422, **given)
    look = {"passes": "started", "suppressed": "suppressed"}.get(str(tried["verdict"]), "failed")
    mapped = tried["input"]
    shown: dict[str, Any] = {
        "tried": tried,
        "tried_look": FIRING_LOOKS[look],
        "tried_text": triggers.sample_text(mapped) if mapped is not None else "",
    }
    return _page(request, actor, row, **given, **shown)


def _page(
    request: HttpRequest,
    actor: Actor,
    row: Trigger,
    *,
    secret: str = "",
    error: DomainError | None = None,
    place: Literal["", "sample", "rotate", "reason"] = "",
    status: int = 200,
    **more: Any,
) -> HttpResponse:
    """The page of a trigger; `error` is about the field or form with the id `place`."""
    workflow = designer.find_workflow(actor, row.workflow.slug)

    def extras(page: list[TriggerFiring]) -> dict[str, Any]:
        return {"looks": {one.id: FIRING_LOOKS[one.status] for one in page}}

    (shown,) = _shown([row])
    definition = triggers.compiled_of(row).trigger
    context = {
        **frame_of(actor, workflow, designer.shown_version(workflow, None), "triggers"),
        "one": shown,
        "address": address_of(row) if row.kind == "webhook" else "",
        "secret": secret,
        "error": error,
        "place": place,
        "sample": _sample(row, definition),
        "schemas": definition.schemas,
        "dataschema": definition.schemas[0] if definition.schemas else "",
        "can_act": access.can(actor, "run.start", row) and row.status != "removed",
        "can_rotate": access.can(actor, "workflow.publish", row) and row.status != "removed",
        "former_counts": triggers.former_counts(row, timezone.now()),
        **more,
    }
    return render_list(
        request,
        FIRINGS,
        selectors.firings_of(row),
        template="runs/trigger.html",
        context=context,
        extras=extras,
        path=reverse("runs:trigger", args=[workflow.slug, row.name]),
        status=status,
    )


def _find(actor: Actor, slug: str, name: str) -> Trigger:
    found = selectors.list_triggers(actor, workflow=slug).filter(name=name).first()
    if found is None:
        raise Http404
    return found


def _sample(row: Trigger, definition: TriggerDefinition) -> str:
    """Data that fit the trigger's contract, as text; empty where no data come."""
    if isinstance(definition.source, ScheduleSource):
        return ""
    contract = definition.contract or own_contract(row.event_type) or {"type": "object"}
    return triggers.sample_text(sample_document(contract))


def _shown(rows: list[Trigger]) -> list[ShownTrigger]:
    now = timezone.now()
    since = now - selectors.COUNTED
    counts = selectors.firing_counts(rows, since)
    refused = selectors.refusals_of(rows, since)
    return [_one(row, counts.get(row.id, {}), refused.get(row.id, {})) for row in rows]


def _one(row: Trigger, counts: dict[str, int], refused: dict[str, int]) -> ShownTrigger:
    definition = triggers.compiled_of(row).trigger
    source = definition.source
    return ShownTrigger(
        row=row,
        look=STATUS_LOOKS[row.status],
        fires=source_words(definition),
        rules=rule_words(definition),
        zone=source.zone if isinstance(source, ScheduleSource) else "",
        next_times=_next_times(row, source) if isinstance(source, ScheduleSource) else [],
        counts=[(key, look, counts[key]) for key, look in FIRING_LOOKS.items() if counts.get(key)],
        refused=[(REFUSAL_WORDS[key], count) for key, count in sorted(refused.items())],
    )


def _next_times(row: Trigger, source: ScheduleSource) -> list[str]:
    clock = getattr(row, "clock", None)
    if clock is None:
        return []
    cron, zone = read_cron(source.cron), read_zone(source.zone)
    times = [clock.due_at]
    while len(times) < NEXT_TIMES:
        times.append(next_instant(cron, zone, times[-1]))
    return [_local(one.astimezone(zone), zone) for one in times]


def _local(at: Any, zone: ZoneInfo) -> str:
    return f"{at:%a %d %b %Y, %H:%M} {at.tzname() or zone.key}"
