"""Events from outside: stored, delivered to the runs that wait for them, parked, or unheard."""

import threading
from datetime import timedelta

import pytest
from django.db import connections

from audit.sequencer import sequence_once
from orchestrator.core.cloudevents import IncomingEvent
from orchestrator.core.errors import InvalidInputError, PermissionDeniedError
from orchestrator.runs import intake, own_events, triggers
from orchestrator.runs.models import (
    InboxEvent,
    ReceivedEvent,
    Run,
    RunDetail,
    StepRun,
    Timer,
    TriggerFiring,
)
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


AWAITED = {
    "type": "event",
    "event": "order.paid",
    "key": "input.text",
    "contract": PAID,
    "deadline_seconds": 3_600,
}


def waiting(**awaits):
    """start → wait → a → done; expired → late."""
    awaits = awaits or AWAITED
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


NEW = {**AWAITED, "only_new": True}


def test_an_event_that_came_before_a_wait_for_new_ones_is_lost_to_it_and_kept_for_others(
    world, doorbells
):
    send(world, paid("o-1", 1))
    intake.settle_received(now())
    send(world, paid("o-1", 2))
    fresh = begun(world, **NEW)
    intake.settle_received(now())
    assert fate() == ["parked", "parked"], "one was kept already, one not looked at yet"
    assert intake.deliver_parked(now(), since=None) == 0
    walk(fresh.id)
    assert status_of(fresh) == "waiting"
    other = begun(world)
    assert intake.deliver_parked(now(), since=None) == 1
    walk(other.id)
    assert (status_of(fresh), status_of(other)) == ("waiting", "succeeded")
    send(world, paid("o-1", 3, amount=9))
    assert intake.settle_received(now()) == 1
    walk(fresh.id)
    assert StepRun.objects.get(run=fresh, step="w").output["event"] == {"amount": 9}
    stored, replayed = stored_and_replayed(fresh)
    assert stored == replayed
    assert invariants() == {}


def test_a_new_event_that_was_parked_before_its_wait_could_be_seen_is_delivered(world, doorbells):
    send(world, paid("o-1", 1))
    run = begun(world, **NEW)
    (timer,) = Timer.objects.filter(run=run).exclude(correlation="")
    Timer.objects.filter(id=timer.id).update(correlation="")  # as long as it is not committed
    send(world, paid("o-1", 2, amount=8))
    intake.settle_received(now())
    Timer.objects.filter(id=timer.id).update(correlation=timer.correlation)
    assert intake.deliver_parked(now(), since=now() - timedelta(minutes=1)) == 1
    walk(run.id)
    assert StepRun.objects.get(run=run, step="w").output["event"] == {"amount": 8}


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
    none = send(world)
    assert (none.accepted, none.duplicates) == (0, 0)


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


FORGED = {
    "the type": (IncomingEvent(id="1", source="shop", type="run.finished"), "/1/type"),
    "the source": (IncomingEvent(id="1", source="baton", type="order.paid"), "/1/source"),
}


@pytest.mark.parametrize("what", FORGED)
def test_what_only_the_installation_tells_is_refused_from_anybody_else(world, what):
    event, place = FORGED[what]
    with pytest.raises(InvalidInputError, match="installation") as refused:
        send(world, paid(), event)
    assert refused.value.detail["violations"][0]["path"] == place
    assert not ReceivedEvent.objects.exists()


def test_one_round_settles_batch_after_batch(world, doorbells, monkeypatch):
    monkeypatch.setattr(intake, "BATCH", 2)
    send(world, *(paid(f"o-{number}", number=number) for number in range(5)))
    sweeper = Sweeper()
    sweeper.sweep_if_holder()
    sweeper.give_back()
    assert fate() == ["parked"] * 5


def test_parked_events_are_looked_up_together(world, doorbells, django_assert_max_num_queries):
    begun(world, text="other")
    send(world, *(paid(f"o-{number}", number=number) for number in range(20)))
    intake.settle_received(now())
    with django_assert_max_num_queries(5):
        assert intake.deliver_parked(now(), since=None) == 0


# ---- beside triggers -------------------------------------------------------------------------------


@pytest.fixture
def listened(world, doorbells):
    """A trigger listens to what runs wait for."""
    document = definition({"a": agent("a")}, ["start.next-a", "a.next-done"])
    source = {"type": "event", "event": "order.paid"}
    paid_trigger = {"name": "Paid", "source": source, "input": {"text": "event.key"}}
    world.publish({**document, "triggers": {"paid": paid_trigger}})
    triggers.Installed().sync(now())


def test_a_trigger_does_not_take_an_event_away_from_a_wait_that_begins_later(world, listened):
    send(world, paid())
    intake.settle_received(now())
    run = begun(world)
    assert intake.deliver_parked(now(), since=None) == 1
    walk(run.id)
    assert status_of(run) == "succeeded"
    assert fate() == ["delivered"]
    assert TriggerFiring.objects.count() == 1


def test_what_a_trigger_was_told_of_ends_as_delivered_also_when_nothing_waits(world, listened):
    send(world, paid(), IncomingEvent(id="k", source="shop", type="order.paid"))
    intake.settle_received(now())
    assert fate() == ["parked", "delivered"]
    intake.deliver_parked(now() + intake.PARKED_FOR + timedelta(seconds=1), since=None)
    assert fate() == ["delivered", "delivered"]


def test_the_end_of_a_run_is_kept_for_a_run_whose_wait_has_not_begun(world, doorbells, fakes):
    own_events.tell_own_events(now())
    first = world.start(definition({"a": agent("a")}, ["start.next-a", "a.next-done"]))
    awaits = {**AWAITED, "event": "run.finished", "contract": {"type": "object"}}
    steps = {"a": agent("a"), "w": {"kind": "wait", "name": "Wait", "awaits": awaits}}
    links = ["start.next-a", "a.next-w", "w.next-done", "w.expired-done"]
    second = world.start(definition(steps, links), text=str(first.id))
    walk(first.id)
    sequence_once(now())
    assert own_events.tell_own_events(now()) == 1
    intake.settle_received(now())
    assert fate() == ["parked"]
    walk(second.id)
    assert intake.deliver_parked(now(), since=None) == 1
    walk(second.id)
    assert status_of(second) == "succeeded"
    sequence_once(now())
    assert own_events.tell_own_events(now()) == 0


def test_a_thousand_events_are_stored_with_a_handful_of_statements(
    world, django_assert_max_num_queries
):
    events = [paid(f"o-{number}", number=number) for number in range(1_000)]
    with django_assert_max_num_queries(5):
        assert send(world, *events).accepted == 1_000
    assert ReceivedEvent.objects.count() == 1_000
