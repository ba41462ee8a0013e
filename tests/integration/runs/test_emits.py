"""Events that runs tell: stored with the step's result, heard by triggers and waits, once."""

import pytest

from orchestrator.core.cloudevents import IncomingEvent
from orchestrator.core.errors import InvalidInputError
from orchestrator.core.triggers import MAX_DEPTH
from orchestrator.runs import intake, services, statements, triggers
from orchestrator.runs.models import ReceivedEvent, Run, StepRun
from orchestrator.runs.walker import walk
from tests.integration.runs.world import (
    agent,
    definition,
    invariants,
    now,
    status_of,
    steps_of,
    stored_and_replayed,
)

LISTENS = {"source": {"type": "event", "event": "order.paid"}, "input": {"text": "event.key"}}


def telling(*, after_agent=True, **more):
    """start → a → tell → done, or without the agent."""
    tell = {
        "kind": "emit",
        "name": "Tell",
        "event": "order.paid",
        "subject": "input.text",
        "content": {"amount": "7"},
        "dataschema": "v2",
        **more,
    }
    if after_agent:
        links = ["start.next-a", "a.next-tell", "tell.next-done"]
        return definition({"a": agent("a"), "tell": tell}, links)
    return definition({"tell": tell}, ["start.next-tell", "tell.next-done"])


def hearing():
    awaits = {"type": "event", "event": "order.paid", "key": "input.text"}
    awaits |= {"contract": {"type": "object"}, "deadline_seconds": 3_600}
    steps = {"w": {"kind": "wait", "name": "Wait", "awaits": awaits}}
    return definition(steps, ["start.next-w", "w.next-done"])


def listening(document, **trigger):
    return {**document, "triggers": {"paid": {"name": "Paid", **LISTENS, **trigger}}}


def go_on():
    """Let the sweeper's work be done, and walk what was started, until nothing happens any more."""
    while intake.settle_received(now()) + triggers.decide_firings(now()):
        for run in Run.objects.filter(status__in=("pending", "running")):
            walk(run.id)


@pytest.mark.parametrize("after_agent", [True, False])
def test_what_a_run_tells_is_heard_by_the_triggers_and_waits_of_its_workspace(
    world, doorbells, after_agent
):
    waits = world.start(hearing(), text="o-7")
    walk(waits.id)
    listener = world.publish(listening(definition({}, ["start.next-done"])))
    triggers.Installed().sync(now())
    run = world.start(telling(after_agent=after_agent), text="o-7")
    walk(run.id)
    event = ReceivedEvent.objects.get()
    assert (event.type, event.key, event.schema, event.depth) == ("order.paid", "o-7", "v2", 1)
    assert (event.source, event.event_id) == (
        f"baton/workflows/{run.workflow.slug}",
        f"{run.id}/tell/1",
    )
    assert (event.sender_kind, event.sender) == ("run", str(run.id))
    assert StepRun.objects.get(run=run, step="tell").output["id"] == event.event_id
    go_on()
    walk(waits.id)
    assert status_of(waits) == "succeeded"
    heard = StepRun.objects.get(run=waits, step="w").output
    assert (heard["event"], heard["id"]) == ({"amount": 7}, event.event_id)
    started = Run.objects.get(workflow__slug=listener)
    assert (started.title, started.status) == ("o-7", "succeeded")
    for one in (run, waits, started):
        stored, replayed = stored_and_replayed(one)
        assert stored == replayed
    assert invariants() == {}


def test_a_commit_with_a_stale_fence_tells_nothing(world, doorbells, fakes, monkeypatch):
    run = world.start(telling())
    commit = statements.commit
    stolen = []

    def late(run_id, fence, what):
        """Somebody else has taken the run over when the step's end is to be written."""
        tells = any(row["step"] == "tell" for row in what.rows.steps)
        stolen.append(tells)
        return commit(run_id, fence - 1 if tells else fence, what)

    monkeypatch.setattr(statements, "commit", late)
    walk(run.id)
    assert stolen.count(True) == 1
    assert steps_of(run)["a"] == "running"
    assert not ReceivedEvent.objects.exists()


def test_a_step_that_is_planned_again_tells_the_same_event_once(world, doorbells, fakes):
    run = world.start(telling())
    walk(run.id)
    told = ReceivedEvent.objects.get()
    forged = IncomingEvent(id=told.event_id, source="elsewhere", type="order.paid", key="x")
    intake.receive(
        events=[forged], workspace_id=world.workspace.id, actor=world.operator, now=now()
    )
    assert ReceivedEvent.objects.filter(type="order.paid").count() == 2
    walk(run.id)
    assert ReceivedEvent.objects.filter(sender_kind="run").count() == 1
    in_its_name = forged.model_copy(update={"source": told.source})
    with pytest.raises(InvalidInputError, match="source"):
        intake.receive(
            events=[in_its_name], workspace_id=world.workspace.id, actor=world.operator, now=now()
        )


@pytest.mark.parametrize("after_agent", [True, False])
def test_runs_that_start_one_another_by_their_events_come_to_an_end(world, doorbells, after_agent):
    slug = world.publish(listening(telling(after_agent=after_agent)))
    triggers.Installed().sync(now())
    run = world.start(slug, text="o-7")
    walk(run.id)
    go_on()
    events = list(ReceivedEvent.objects.order_by("depth"))
    assert [event.depth for event in events] == list(range(1, MAX_DEPTH + 2))
    assert {event.status for event in events[:-1]} <= {"delivered", "parked"}
    assert events[-1].status == "unheard"
    assert events[-1].reason.startswith("It ends a chain of more than")
    runs = list(Run.objects.filter(workflow__slug=slug).order_by("id"))
    assert len(runs) == MAX_DEPTH + 1
    assert steps_of(runs[-1])["tell"] == "waiting"
    assert all(one.status == "succeeded" for one in runs[:-1])
    assert invariants() == {}


def test_a_test_run_shows_the_event_and_tells_nobody(world, doorbells, fakes):
    world.publish(telling(after_agent=False))
    run = services.start_run(
        workflow_slug="flow-1",
        input={"text": "o-7"},
        mode="test",
        actor=world.owner,
        now=now(),
    )
    walk(run.id)
    assert status_of(run) == "succeeded"
    row = StepRun.objects.get(run=run, step="tell")
    assert (row.input, row.output["subject"]) == ({"amount": 7}, "o-7")
    assert not ReceivedEvent.objects.exists()
