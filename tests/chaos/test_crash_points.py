"""Seven points at which a worker dies, with its group, or stands still for a minute: the run ends by itself.

CP1 after the claim, CP2 when the request goes out, CP3 when the response is there, CP4 inside the
commit, CP5 after the commit, CP6 before the next doorbell, CP7 while a step is undone.
"""

import os
import signal
import time

import pytest

from orchestrator.runs import boots
from orchestrator.runs.models import Attempt, ChildRun, Run
from tests.integration.runs.test_children import mapping, running
from tests.integration.runs.world import (
    agent,
    definition,
    invariants,
    status_of,
    steps_of,
    stored_and_replayed,
    wait_for,
)

POINTS = {
    "CP1": "after_claim",
    "CP2": "before_call",
    "CP3": "after_call",
    "CP4": "inside_commit",
    "CP5": "after_commit",
    "CP6": "before_doorbell",
    "CP7": "before_call:pay.undo",
}
DEAD_SECONDS = 10.0
"""P4: a dead worker's run goes on within 5 s; the rest is for its steps."""
CUT_OFF_SECONDS = 40.0
"""P4: a stopped worker's run goes on within 30 s."""
STOP_SECONDS = 60.0


def trip():
    """start → a → b → pay (once, undone by refund) → done, an outcome that is rolled back.

    The points are met at a or b: a call of pay that nobody knows of would go to a person.
    """
    undo = {"uses": {"agent": "refund", "version": 1}, "input": {"label": "'undo'"}}
    steps = {
        "a": agent("a"),
        "b": agent("b"),
        "pay": agent("pay", uses="once", compensation=undo),
    }
    document = definition(steps, ["start.next-a", "a.next-b", "b.next-pay", "pay.next-done"])
    document["outcomes"]["done"]["rollback"] = True
    return document


def somebody_sweeps():
    holder = boots.SingleHolder("sweeper")
    try:
        return not holder.holds()
    finally:
        holder.give_back()


def crash(world, processes, fakes, tmp_path, *, point, how, is_sweeping=lambda: True):
    """Let a worker come to the point; returns the run, the worker, and when it happened."""
    world.register("refund", side_effect="write")
    if point == "before_doorbell":
        fakes.script("a", seconds=0.7)  # longer than a time slice: then the run rings for itself
    slug = world.publish(trip())
    marker = tmp_path / "met"
    pool = {"pool": "prefork", "concurrency": 1} if how == "kill" else {}
    doomed = processes.start(fault=point, marker=marker, BATON_FAULT_HOW=how, **pool)
    wait_for(is_sweeping)
    run = world.start(slug)
    wait_for(marker.exists)
    return run, doomed, time.monotonic()


def assert_ended_well(run, fakes):
    assert steps_of(run)["pay"] == "compensated"
    wait_for(lambda: Run.objects.get(id=run.id).owner is None)
    assert len(fakes.calls("pay")) == 1, "called twice what must be called once"
    for step in ("a", "b", "pay"):
        done = Attempt.objects.filter(run=run, step=step, iteration=1, status="succeeded")
        assert done.count() == 1
    stored, replayed = stored_and_replayed(run)
    assert stored == replayed
    assert invariants() == {}


def die(world, processes, fakes, tmp_path, *, point, how):
    run, _doomed, met = crash(world, processes, fakes, tmp_path, point=point, how=how)
    processes.start()
    wait_for(lambda: status_of(run) == "rolled_back")
    assert time.monotonic() - met < DEAD_SECONDS + 20.0  # a worker process takes its time to start
    assert_ended_well(run, fakes)


@pytest.mark.nightly
@pytest.mark.timeout(180)
@pytest.mark.parametrize("how", ["kill", "kill_group"])
@pytest.mark.parametrize("name", POINTS)
def test_whoever_dies_where_ever_the_run_ends_by_itself(
    world, processes, fakes, tmp_path, name, how
):
    die(world, processes, fakes, tmp_path, point=POINTS[name], how=how)


def test_a_worker_that_dies_while_it_undoes_a_step_leaves_a_run_that_is_undone(
    world, processes, fakes, tmp_path
):
    die(world, processes, fakes, tmp_path, point=POINTS["CP7"], how="kill_group")


@pytest.mark.nightly
@pytest.mark.postgres
@pytest.mark.timeout(240)
@pytest.mark.parametrize("name", POINTS)
def test_a_worker_that_stands_still_for_a_minute_is_replaced_and_does_no_harm_afterwards(
    world, processes, fakes, tmp_path, name
):
    """The embedded profile is one process: when that stands still there is nobody to take over.

    The worker sweeps as well, and holds the sweeper's lock when it is stopped.
    """
    run, doomed, met = crash(
        world,
        processes,
        fakes,
        tmp_path,
        point=POINTS[name],
        how="stop",
        is_sweeping=somebody_sweeps,
    )
    processes.start()
    try:
        wait_for(lambda: status_of(run) == "rolled_back", CUT_OFF_SECONDS)
        time.sleep(max(0.0, STOP_SECONDS - (time.monotonic() - met)))
    finally:
        os.killpg(doomed.pid, signal.SIGCONT)
    time.sleep(3)
    assert status_of(run) == "rolled_back"
    assert_ended_well(run, fakes)


# ---- a run that starts another ---------------------------------------------------------------------

CHILD_POINTS = {
    "parent claimed": "after_claim",
    "child asked for": "before_child",
    "child started": "after_child",
    "child calls": "before_call:a",
    "child has its answer": "after_call:a",
    "first commit": "inside_commit",
    "after the first commit": "after_commit",
    "child has ended": "before_telling",
}


def paying():
    """start → a → b → pay (once) → done."""
    steps = {"a": agent("a"), "b": agent("b"), "pay": agent("pay", uses="once")}
    return definition(steps, ["start.next-a", "a.next-b", "b.next-pay", "pay.next-done"])


def going_to(slug):
    """start → first → w, which runs the workflow, → done: a worker and not the starter starts it."""
    document = running(slug)
    links = {**document["links"]}
    del links["start.next-w"]
    links["start.next-first"] = {"source": "start", "port": "next", "target": "first"}
    links["first.next-w"] = {"source": "first", "port": "next", "target": "w"}
    return {**document, "steps": {**document["steps"], "first": agent("first")}, "links": links}


@pytest.mark.nightly
@pytest.mark.timeout(180)
@pytest.mark.parametrize("how", ["kill", "kill_group"])
@pytest.mark.parametrize("name", CHILD_POINTS)
def test_parent_and_child_both_end_whoever_dies_and_the_child_is_one(
    world, processes, fakes, tmp_path, name, how
):
    parent = world.publish(going_to(world.publish(paying())))
    marker = tmp_path / "met"
    pool = {"pool": "prefork", "concurrency": 1} if how == "kill" else {}
    processes.start(fault=CHILD_POINTS[name], marker=marker, BATON_FAULT_HOW=how, **pool)
    run = world.start(parent)
    wait_for(marker.exists)
    met = time.monotonic()
    processes.start()
    wait_for(lambda: status_of(run) == "succeeded")
    assert time.monotonic() - met < DEAD_SECONDS + 20.0  # a worker process takes its time to start
    asked = ChildRun.objects.get()
    assert (asked.parent_id, asked.status) == (run.id, "started")
    started = Run.objects.exclude(id=run.id).get()
    assert (started.id, status_of(started)) == (asked.id, "succeeded")
    assert len(fakes.calls("pay")) == 1, "called twice what must be called once"
    for step in ("a", "b", "pay"):
        assert Attempt.objects.filter(run=started, step=step, status="succeeded").count() == 1
    wait_for(lambda: not Run.objects.filter(owner__isnull=False).exists())
    for one in (run, started):
        stored, replayed = stored_and_replayed(one)
        assert stored == replayed
    assert invariants() == {}


@pytest.mark.nightly
@pytest.mark.timeout(180)
def test_a_worker_that_dies_between_the_runs_of_items_loses_and_doubles_none(
    world, processes, fakes, tmp_path
):
    document = mapping(world.publish(paying()), max_parallel=2)
    document["links"] = {
        **document["links"],
        "start.next-first": {"source": "start", "port": "next", "target": "first"},
        "first.next-m": {"source": "first", "port": "next", "target": "m"},
    }
    del document["links"]["start.next-m"]
    document["steps"]["first"] = agent("first")
    marker = tmp_path / "met"
    slug = world.publish(document)
    processes.start(fault="after_child", marker=marker, BATON_FAULT_HOW="kill_group")
    run = world.start(slug)
    wait_for(marker.exists)
    assert ChildRun.objects.filter(status="wanted").count() == 1, "it died between two of them"
    processes.start()
    wait_for(lambda: status_of(run) == "succeeded")
    asked = ChildRun.objects.filter(parent=run)
    assert sorted((one.step, one.iteration, one.status) for one in asked) == [
        (f"m.{index}", 1, "started") for index in range(3)
    ]
    runs = Run.objects.exclude(id=run.id)
    assert {one.id for one in runs} == {one.id for one in asked}
    assert {status_of(one) for one in runs} == {"succeeded"}
    assert len(fakes.calls("pay")) == 3, "called twice what must be called once"
    wait_for(lambda: not Run.objects.filter(owner__isnull=False).exists())
    stored, replayed = stored_and_replayed(run)
    assert stored == replayed
    assert invariants() == {}
