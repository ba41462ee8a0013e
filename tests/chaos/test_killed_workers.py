"""Workers are killed, the broker forgets everything; every run ends, and nothing is done twice."""

import os
import signal
import threading
import time

import pytest
from django.db import connection

from orchestrator.runs.models import Attempt, Run, RunEvent
from orchestrator.runs.statements import LEASE_SECONDS
from tests.chaos.processes import kill
from tests.integration.runs.world import chain, invariants, status_of, wait_for
from tests.servers import start_redis


def test_a_worker_killed_in_the_middle_of_a_run_is_replaced_before_its_lease_runs_out(
    world, processes, fakes, profile
):
    for label in "abcd":
        fakes.script(label, seconds=0.4)
    slug = world.publish(chain("a", "b", "c", "d"))
    first = processes.start()
    if profile == "postgres":
        processes.start()
    run = world.start(slug)
    began = wait_for(lambda: fakes.calls("b"))
    killed = next(one for one in processes.started if one.pid == began[0]["pid"])
    kill(killed)
    died = time.monotonic()
    if profile == "sqlite":
        assert killed is first
        processes.start()  # one process is all there is: it is started again, as a person would
        died = time.monotonic()
    wait_for(lambda: status_of(run) == "succeeded")
    assert time.monotonic() - died < LEASE_SECONDS, "found dead only when its lease ran out"
    assert RunEvent.objects.filter(run=run, type="attempt_lost").count() == 1
    assert len(fakes.calls("a")) == 1
    assert len(fakes.calls("b")) == 2
    wait_for(lambda: Run.objects.get(id=run.id).owner is None)
    assert invariants() == {}


def test_a_light_call_that_kills_its_process_is_found_out(world, processes, fakes, profile):
    """The first death leaves no trace of it; under the next claim its attempt is written before."""
    fakes.script("f", kills=True)
    slug = world.publish(chain(*"abcdefg"))
    if profile == "postgres":
        processes.launch_scheduler()
    doomed = processes.start()
    run = world.start(slug)
    wait_for(lambda: doomed.poll() is not None)
    doomed = processes.start()
    wait_for(lambda: doomed.poll() is not None)
    assert len(fakes.calls("f")) == 2
    assert Attempt.objects.filter(run=run, step="f").exists()
    for label in "abcde":
        assert Attempt.objects.filter(run=run, step=label, status="succeeded").count() == 1


@pytest.mark.postgres
def test_a_killed_child_of_a_prefork_worker_is_replaced(world, processes, fakes):
    from orchestrator.runs.sweeper import Sweeper

    fakes.script("b", seconds=0.8)
    slug = world.publish(chain("a", "b", "c"))
    processes.start(pool="prefork", concurrency=2)
    stop = threading.Event()
    sweeper = threading.Thread(target=Sweeper().run, args=(stop,))
    sweeper.start()
    try:
        run = world.start(slug)
        began = wait_for(lambda: fakes.calls("b"))
        assert began[0]["pid"] != processes.started[0].pid
        os.kill(began[0]["pid"], signal.SIGKILL)
        wait_for(lambda: status_of(run) == "succeeded")
        wait_for(lambda: Run.objects.get(id=run.id).owner is None)
    finally:
        stop.set()
        sweeper.join()
    assert invariants() == {}


@pytest.mark.postgres
def test_a_broker_that_forgets_everything_loses_no_run(world, processes, fakes, broker):
    slug = world.publish(chain("a", "b"))
    processes.start()
    processes.start()
    with fakes.held():
        runs = [world.start(slug, text=f"run {number}") for number in range(100)]
        wait_for(lambda: fakes.calls("a"))
        broker.client.flushall()
    wait_for(lambda: Run.objects.filter(status="succeeded").count() == len(runs), every=0.2)
    wait_for(lambda: not Run.objects.filter(owner__isnull=False).exists())
    # The way through the broker works again as well: a new run is picked up at once.
    fresh = world.start(slug, text="after")
    wait_for(lambda: status_of(fresh) == "succeeded")
    assert len(fakes.calls("b")) == len(runs) + 1
    assert invariants() == {}


@pytest.mark.postgres
def test_a_broker_that_goes_away_and_comes_back_holds_nothing_up_for_good(
    world, processes, fakes, tmp_path
):
    slug = world.publish(chain("a", "b"))
    broker, url = start_redis(tmp_path / "redis")
    try:
        processes.start(REDIS_URL=f"{url}/0")
        with fakes.held():
            first = world.start(slug)
            wait_for(lambda: fakes.calls("a"))
            broker.kill()
            broker.wait(10)
            asked = time.monotonic()
            runs = [world.start(slug, text=f"run {number}") for number in range(5)]
            assert time.monotonic() - asked < 20
        wait_for(lambda: status_of(first) == "succeeded")
        broker, _ = start_redis(tmp_path / "redis", int(url.rpartition(":")[2]))
        wait_for(lambda: all(status_of(run) == "succeeded" for run in runs), every=0.2)
        wait_for(lambda: not Run.objects.filter(owner__isnull=False).exists())
    finally:
        broker.kill()
        broker.wait(10)
    assert len(fakes.calls("b")) == 6
    assert invariants() == {}


@pytest.mark.postgres
def test_a_database_that_drops_every_connection_and_a_worker_that_dies_lose_no_run(
    world, processes, fakes
):
    """What an immediate restart of PostgreSQL looks like from outside, boot locks included."""
    fakes.script("b", seconds=0.1)
    slug = world.publish(chain("a", "b"))
    processes.launch()
    processes.start()
    with fakes.held():
        runs = [world.start(slug, text=f"run {number}") for number in range(40)]
        wait_for(lambda: fakes.calls("a"))
        drop_connections()
    begun = wait_for(lambda: fakes.calls("b"))
    kill(next(one for one in processes.started if one.pid == begun[0]["pid"]))
    wait_for(lambda: Run.objects.filter(status="succeeded").count() == len(runs), every=0.2)
    wait_for(lambda: not Run.objects.filter(owner__isnull=False).exists())
    for step in "ab":
        assert Attempt.objects.filter(step=step, status="succeeded").count() == len(runs)
    assert invariants() == {}


def drop_connections():
    """Break all connections to this database but the one that asks."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def test_a_worker_that_is_told_to_stop_hands_its_runs_on_at_once(world, processes, fakes):
    fakes.script("b", seconds=30)
    slug = world.publish(chain("a", "b"))
    stopping = processes.start()
    run = world.start(slug)
    wait_for(lambda: fakes.calls("b"))
    os.kill(stopping.pid, signal.SIGTERM)
    fakes.script("b")
    wait_for(lambda: stopping.poll() is not None)
    processes.start()
    wait_for(lambda: status_of(run) == "succeeded")
    wait_for(lambda: Run.objects.get(id=run.id).owner is None)
    assert invariants() == {}
