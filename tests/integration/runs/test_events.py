"""Events from outside: stored, delivered to the runs that wait for them, parked, or unheard."""

import threading
from datetime import timedelta

import pytest
from django.db import connections

from orchestrator.core.cloudevents import IncomingEvent
from orchestrator.core.errors import PermissionDeniedError
from orchestrator.runs import intake
from orchestrator.runs.models import InboxEvent, ReceivedEvent, Run, RunDetail, StepRun, Timer
from orchestrator.runs.sweeper import Sweeper, fire_due_timers
from orchestrator.runs.walker import walk
from tests.integration.runs.world import (
    agent,
    definition,
    invariants,
    now,
    status_of,
    steps_of,
    stored_and_replayed,
    wait_for,
)

PAID = {
    "type": "object",
    "properties": {"amount": {"type": "integer"}},
    "required": ["amount"],
}


def waiting(**awaits):
    """start → wait → a → done; expired → late."""
    awaits = awaits or {
        "type": "event",
        "event": "order.paid",
        "key": "input.text",
        "contract": PAID,
        "deadline_seconds": 3_600,
    }
    steps = {"w": {"kind": "wait", "name": "Wait", "awaits": awaits}, "a": agent("a")}
    links = ["start.next-w", "w.next-a", "a.next-done"]
    if awaits["type"] == "event":
        steps["late"] = {"kind": "end", "name": "Late", "outcome": "broken"}
        links.append("w.expired-late")
    return definition(steps, links)


def paid(key="o-1", number=1, amount=5, **more):
    return IncomingEvent(
        id=f"e-{number}",
        source="shop",
        type="order.paid",
        key=key,
        content={"amount": amount},
        **more,
    )


def send(world, *events):
    return intake.receive(
        events=events, workspace_id=world.workspace.id, actor=world.operator, now=now()
    )


def begun(world, text="o-1", **awaits):
    run = world.start(waiting(**awaits), text=text)
    walk(run.id)
    return run


def fate():
    return list(ReceivedEvent.objects.order_by("id").values_list("status", flat=True))


def test_an_event_ends_the_wait_of_the_run_that_waits_for_its_key(world, doorbells):
    slug = world.publish(waiting())
    mine, other = (world.start(slug, text=text) for text in ("o-1", "o-2"))
    for run in (mine, other):
        walk(run.id)
        assert status_of(run) == "waiting"
    assert invariants() == {}
    send(world, paid("o-1", amount=7))
    doorbells.clear()
    assert intake.settle_received(now()) == 1
    assert doorbells == [mine.id]
    walk(mine.id)
    assert status_of(mine) == "succeeded"
    assert status_of(other) == "waiting"
    output = StepRun.objects.get(run=mine, step="w").output
    assert (output["event"], output["source"], output["id"]) == ({"amount": 7}, "shop", "e-1")
    assert fate() == ["delivered"]
    assert not Timer.objects.filter(run=mine).exists()
    stored, replayed = stored_and_replayed(mine)
    assert stored == replayed
    assert invariants() == {}


def test_an_event_that_comes_before_the_wait_is_kept_and_delivered_when_it_begins(world, doorbells):
    send(world, paid())
    intake.settle_received(now())
    (event,) = ReceivedEvent.objects.all()
    assert (event.status, event.reason) == ("parked", "Nothing waits for it yet.")
    run = begun(world)
    assert intake.deliver_parked(now(), since=now() - timedelta(minutes=1)) == 1
    walk(run.id)
    assert status_of(run) == "succeeded"
    assert fate() == ["delivered"]


def test_what_nothing_waits_for_in_time_is_unheard_with_its_reason(world, doorbells):
    send(world, paid(), IncomingEvent(id="k", source="shop", type="order.paid"))
    intake.settle_received(now())
    later = now() + intake.PARKED_FOR + timedelta(seconds=1)
    intake.deliver_parked(later, since=None)
    assert fate() == ["unheard", "unheard"]
    assert all(ReceivedEvent.objects.values_list("reason", flat=True))
    run = begun(world)
    assert intake.deliver_parked(now(), since=None) == 0
    assert status_of(run) == "waiting"


def test_without_the_event_the_deadline_passes(world, doorbells):
    run = begun(world)
    Timer.objects.filter(run=run, purpose="wait").update(due_at=now())
    wait_for(lambda: fire_due_timers(now()))
    walk(run.id)
    assert steps_of(run)["late"] == "succeeded"
    send(world, paid())
    intake.settle_received(now())
    assert fate() == ["parked"]
    assert invariants() == {}


def test_of_deadline_and_event_at_the_same_time_one_reaches_the_run(world, doorbells):
    run = begun(world)
    send(world, paid())
    Timer.objects.filter(run=run, purpose="wait").update(due_at=now())
    start = threading.Barrier(2)

    def race(what):
        start.wait()
        what(now())
        connections.close_all()

    racers = [
        threading.Thread(target=race, args=(what,))
        for what in (fire_due_timers, intake.settle_received)
    ]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    assert InboxEvent.objects.filter(run=run).count() == 1
    heard = InboxEvent.objects.get(run=run).body["type"] == "event_arrived"
    assert fate()[0] == "delivered" if heard else fate()[0] in {"received", "parked"}
    walk(run.id)
    assert invariants() == {}


def test_an_event_is_stored_once_however_often_it_is_sent(world, doorbells):
    first = send(world, paid(), paid(), paid("o-2", number=2))
    assert (first.accepted, first.duplicates) == (3, 1)
    again = send(world, paid())
    assert (again.accepted, again.duplicates) == (1, 1)
    assert ReceivedEvent.objects.count() == 2


def test_one_event_ends_every_wait_of_its_key_and_the_next_one_is_parked(world, doorbells):
    runs = [begun(world), begun(world)]
    send(world, paid(), paid(number=2))
    intake.settle_received(now())
    for run in runs:
        walk(run.id)
        assert status_of(run) == "succeeded"
    assert fate() == ["delivered", "parked"]


def test_a_test_run_hears_an_event_and_leaves_it_to_live_ones(world, doorbells):
    tried = begun(world)
    Run.objects.filter(id=tried.id).update(mode="test")
    send(world, paid())
    intake.settle_received(now())
    assert InboxEvent.objects.filter(run=tried).count() == 1
    assert fate() == ["parked"]
    live = begun(world)
    assert intake.deliver_parked(now(), since=None) == 1
    assert InboxEvent.objects.filter(run=live).count() == 1
    assert fate() == ["delivered"]


def test_time_passes_by_the_sweeper(world, doorbells):
    run = begun(world, type="duration", seconds=1)
    assert status_of(run) == "waiting"
    sweeper = Sweeper()
    wait_for(lambda: sweeper.sweep_if_holder() and run.id in doorbells[1:])
    walk(run.id)
    assert status_of(run) == "succeeded"
    assert RunDetail.objects.get(run=run).result == {"text": "o-1"}
    sweeper.give_back()


def test_whoever_may_not_start_runs_may_not_send_events(world):
    with pytest.raises(PermissionDeniedError):
        intake.receive(
            events=[paid()], workspace_id=world.workspace.id, actor=world.reviewer, now=now()
        )


def test_a_thousand_events_are_stored_with_a_handful_of_statements(
    world, django_assert_max_num_queries
):
    events = [paid(f"o-{number}", number=number) for number in range(1_000)]
    with django_assert_max_num_queries(25):
        assert send(world, *events).accepted == 1_000
    assert ReceivedEvent.objects.count() == 1_000
