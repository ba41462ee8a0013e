"""Calls that only workers with a label make: the run is handed over, and what nobody can do is shown."""

from datetime import timedelta

import pytest
from celery import current_app

from orchestrator.runs import services
from orchestrator.runs.models import Attempt, Run, Worker
from orchestrator.runs.selectors import compiled_run, labels_wanted, run_snapshot
from orchestrator.runs.sweeper import ring_again
from orchestrator.runs.timeline import timeline_of
from orchestrator.runs.trials import try_agent
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

LINKS = ("start.next-a", "a.next-draw", "draw.next-b", "b.next-done")


@pytest.fixture
def drawn(world, doorbells):
    """The slug of a workflow whose second step needs a worker with the label gpu."""
    world.register("painter", worker="gpu")
    steps = {"a": agent("a"), "draw": agent("draw", uses="painter"), "b": agent("b")}
    return world.publish(definition(steps, LINKS))


@pytest.fixture
def gpu(settings):
    """Makes this process a worker with the label."""

    def begin():
        settings.WORKER_LABELS = ("gpu", "io")

    return begin


def live_worker(labels):
    return Worker.objects.create(
        hostname="elsewhere", pid=1, started_at=now(), seen_at=now(), labels=labels
    )


def test_a_run_is_handed_to_a_worker_that_has_the_label(world, drawn, gpu):
    run = world.start(drawn)
    walk(run.id)
    run.refresh_from_db()
    assert (run.needs, run.owner) == ("gpu", None)
    assert run.rung_at is not None
    assert steps_of(run)["a"] == "succeeded"
    assert Attempt.objects.get(step="draw").owner is None
    gpu()
    walk(run.id)
    run.refresh_from_db()
    assert (run.status, run.needs, run.rung_at) == ("succeeded", "", None)
    assert Attempt.objects.filter(step="draw").count() == 1
    assert stored_and_replayed(run)
    assert invariants() == {}


def test_what_needs_no_label_goes_on_meanwhile(world, doorbells, gpu):
    world.register("painter", worker="gpu")
    steps = {"draw": agent("draw", uses="painter"), "b": agent("b"), "c": agent("c")}
    steps["both"] = {"kind": "join", "name": "Both", "policy": "all"}
    links = ("start.next-draw", "start.next-b", "b.next-c", "c.next-both", "draw.next-both")
    run = world.start(definition(steps, [*links, "both.next-done"]))
    walk(run.id)
    assert (steps_of(run)["b"], steps_of(run)["c"]) == ("succeeded", "succeeded")
    assert Run.objects.get(id=run.id).needs == "gpu"
    gpu()
    walk(run.id)
    assert status_of(run) == "succeeded"
    assert invariants() == {}


def test_of_several_labels_a_run_goes_to_one_that_a_worker_has(world, doorbells, settings):
    world.register("painter", worker="gpu")
    world.register("caller", worker="io")
    steps = {"draw": agent("draw", uses="painter"), "call": agent("call", uses="caller")}
    steps["both"] = {"kind": "join", "name": "Both", "policy": "all"}
    links = ("start.next-draw", "start.next-call", "call.next-both", "draw.next-both")
    run = world.start(definition(steps, [*links, "both.next-done"]))
    live_worker("io")
    walk(run.id)
    assert Run.objects.get(id=run.id).needs == "io"
    settings.WORKER_LABELS = ("io",)
    walk(run.id)
    assert Run.objects.get(id=run.id).needs == "gpu"
    settings.WORKER_LABELS = ("gpu",)
    walk(run.id)
    assert status_of(run) == "succeeded"
    assert invariants() == {}


def test_any_worker_ends_such_a_run_when_it_is_cancelled(world, drawn):
    run = world.start(drawn)
    walk(run.id)
    services.cancel_run(run_id=run.id, reason="Not needed.", actor=world.operator, now=now())
    walk(run.id)
    run.refresh_from_db()
    assert (run.status, run.needs, run.rung_at) == ("cancelled", "", None)
    assert invariants() == {}


def test_a_worker_without_the_label_hands_it_over_again(world, drawn, gpu):
    run = world.start(drawn)
    walk(run.id)
    walk(run.id)
    run.refresh_from_db()
    assert (run.needs, run.owner) == ("gpu", None)
    gpu()
    walk(run.id)
    assert status_of(run) == "succeeded"


def test_a_label_that_no_worker_has_is_shown_with_the_run_and_the_list(world, drawn):
    run = world.start(drawn)
    walk(run.id)
    step = run_snapshot(run.id)["steps"]["draw"]
    assert (step["status"], step["waiting_for"]) == ("ready", "worker")
    assert step["reason"] == "Waits for a worker with the label “gpu”; none is running."
    assert labels_wanted(world.operator) == {"gpu": 1}
    live_worker("cpu,gpu")
    step = run_snapshot(run.id)["steps"]["draw"]
    assert step["reason"] == "Waits for a worker with the label “gpu”."
    assert labels_wanted(world.operator) == {}


def test_its_time_in_the_timeline_is_that_of_a_queue(world, drawn):
    run = world.start(drawn)
    walk(run.id)
    snapshot = run_snapshot(run.id)
    shown = timeline_of(snapshot, compiled_run(Run.objects.get(id=run.id)).definition, now())
    bars = {row.step: [bar.kind for bar in row.bars] for row in shown.rows}
    assert set(bars["a"]) <= {"queue", "agent"}
    assert set(bars["draw"]) == {"queue"}


def test_the_sweeper_rings_for_it_once_a_worker_with_the_label_is_alive(world, drawn, doorbells):
    run = world.start(drawn)
    walk(run.id)
    doorbells.clear()
    later = now() + timedelta(seconds=60)
    assert ring_again(later, older_than_seconds=3) == 0
    live_worker("gpu")
    assert ring_again(later, older_than_seconds=3) == 1
    assert doorbells == [run.id]


def test_its_doorbell_goes_into_the_queue_of_the_label(world, engine, monkeypatch):
    sent = []
    monkeypatch.setattr(current_app, "send_task", lambda *_, queue, **__: sent.append(queue))
    world.register("painter", worker="gpu")
    document = definition(
        {"draw": agent("draw", uses="painter")}, ["start.next-draw", "draw.next-done"]
    )
    walk(world.start(document).id)
    assert sent[-1] == "runs.for.gpu"


def test_who_tries_such_an_agent_elsewhere_is_told(world, drawn, gpu):
    def try_painter():
        return try_agent(
            slug="painter", version=1, input={"label": "x"}, actor=world.owner, now=now()
        ).tried

    tried = try_painter()
    assert tried.result == "failed"
    assert "only by workers with the label “gpu”" in tried.reason
    gpu()
    assert try_painter().result == "value"
