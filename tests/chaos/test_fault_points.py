"""A worker dies at each named point, once; whoever is left finishes the run by himself."""

import signal
import threading
import time

import pytest

from orchestrator.runs import faults, services
from orchestrator.runs.models import Attempt, Run, RunEvent
from orchestrator.runs.statements import LEASE_SECONDS
from orchestrator.runs.sweeper import Sweeper
from orchestrator.runs.walker import walk
from tests.integration.runs.world import (
    chain,
    invariants,
    review_of,
    status_of,
    steps_of,
    stored_and_replayed,
    wait_for,
)


@pytest.fixture
def rescue(engine, monkeypatch):
    """Begin to work in this process: a sweeper, and a thread that answers what it rings for."""
    from queue import SimpleQueue

    from django.db import connections

    bells, stop, threads = SimpleQueue(), threading.Event(), []

    def answer():
        while (run_id := bells.get()) is not None:
            walk(run_id)
        connections.close_all()

    def begin():
        monkeypatch.setattr(services, "ring", lambda run_id, **_: bells.put(run_id))
        sweeper = Sweeper()
        for target in (answer, lambda: (sweeper.run(stop), connections.close_all())):
            threads.append(threading.Thread(target=target))
            threads[-1].start()

    yield begin
    stop.set()
    bells.put(None)
    for thread in threads:
        thread.join(60)


@pytest.mark.parametrize("point", faults.POINTS)
def test_a_run_whose_worker_dies_finishes_by_itself(
    world, processes, rescue, fakes, tmp_path, point
):
    document = chain("a", "b", "c")
    if point == "before_doorbell":
        fakes.script("a", seconds=0.7)  # longer than a time slice: then the run rings for itself
    slug = world.publish(document)
    doomed = processes.start(fault=point, marker=tmp_path / "died")
    run = world.start(slug)
    wait_for(lambda: doomed.poll() is not None)
    assert doomed.returncode == -signal.SIGKILL
    assert (tmp_path / "died").exists()
    assert status_of(run) != "succeeded"
    rescue()
    began = time.monotonic()
    wait_for(lambda: status_of(run) == "succeeded")
    assert time.monotonic() - began < LEASE_SECONDS, "found dead only when his lease ran out"
    wait_for(lambda: Run.objects.get(id=run.id).owner is None)
    for label in "abc":
        assert 1 <= len(fakes.calls(label)) <= 2
        done = Attempt.objects.filter(run=run, step=label, status="succeeded")
        assert done.count() == 1
    stored, replayed = stored_and_replayed(run)
    assert stored == replayed
    assert invariants() == {}


@pytest.mark.parametrize("point", ["before_call:pay", "after_call:pay"])
def test_a_call_that_must_not_be_repeated_goes_to_a_person(
    world, processes, rescue, fakes, tmp_path, point
):
    slug = world.publish(chain("pay", uses="once"))
    doomed = processes.start(fault=point, marker=tmp_path / "died")
    run = world.start(slug)
    wait_for(lambda: doomed.poll() is not None)
    rescue()
    task = wait_for(lambda: review_of(run, "exception"))
    assert task.question == "'Pay' cannot go on. Run it again, give the result, or end the run?"
    assert steps_of(run)["pay"] == "waiting"
    assert len(fakes.calls("pay")) == (1 if point.startswith("after") else 0)
    assert RunEvent.objects.filter(run=run, type="attempt_lost").count() == 1
    assert invariants() == {}
