"""Redis is in trouble while runs are started and walked: all end by themselves, nothing is lost.

Redis carries doorbells and hints and nothing else, so that a start is accepted all the same, and
whatever was not rung for is found by the sweeper.
"""

import time

import pytest

from orchestrator.ids import new_id
from orchestrator.runs import lanes, services
from orchestrator.runs.models import Attempt, Run
from tests.integration.runs.world import agent, chain, definition, invariants, status_of, wait_for

pytestmark = pytest.mark.postgres

TROUBLE_SECONDS = 8.0
START_SECONDS = 5.0
"""How long a start may take, at most, while Redis does not answer."""


def flush(broker):
    """Forget everything, again and again."""
    until = time.monotonic() + TROUBLE_SECONDS
    while time.monotonic() < until:
        broker.client.flushall()
        yield
        time.sleep(0.5)


def stop(broker):
    """Be away for a while, and come back empty."""
    broker.stop()
    yield from waiting()
    broker.start()


def pause(broker):
    """Take connections and answer nobody."""
    broker.client.execute_command("CLIENT", "PAUSE", int(TROUBLE_SECONDS * 1000), "ALL")
    yield from waiting()


def fill(broker):
    """Refuse everything that needs memory."""
    broker.client.config_set("maxmemory-policy", "noeviction")
    broker.client.config_set("maxmemory", "1")
    yield from waiting()
    broker.client.config_set("maxmemory", "0")


def waiting():
    until = time.monotonic() + TROUBLE_SECONDS
    while time.monotonic() < until:
        yield
        time.sleep(0.5)


def trip():
    """start → a → b → pay (once) → done."""
    steps = {"a": agent("a"), "b": agent("b"), "pay": agent("pay", uses="once")}
    return definition(steps, ["start.next-a", "a.next-b", "b.next-pay", "pay.next-done"])


def runs_through(trouble, world, broker, fakes):
    """Start a run each time that the trouble lets us; returns them, and the longest start."""
    for label in ("a", "b"):
        fakes.script(label, seconds=0.3)
    slug = world.publish(trip())
    runs = [world.start(slug, text=f"before {number}") for number in range(6)]
    wait_for(lambda: fakes.calls("a"))
    longest = 0.0
    for _ in trouble(broker):
        asked = time.monotonic()
        runs.append(world.start(slug, text=f"run {len(runs)}"))
        longest = max(longest, time.monotonic() - asked)
    return slug, runs, longest


@pytest.mark.nightly
@pytest.mark.timeout(240)
@pytest.mark.parametrize("trouble", [flush, stop, pause, fill])
def test_runs_end_whatever_happens_to_the_broker(world, processes, fakes, broker, trouble, tell):
    workers = [processes.start(), processes.start()]
    slug, runs, longest = runs_through(trouble, world, broker, fakes)
    over = time.monotonic()
    wait_for(lambda: Run.objects.filter(status="succeeded").count() == len(runs), every=0.2)
    lasted = time.monotonic() - over
    wait_for(lambda: not Run.objects.filter(owner__isnull=False).exists())
    # The way through the broker works again as well: a new run is picked up at once.
    fresh = world.start(slug, text="after")
    asked = time.monotonic()
    wait_for(lambda: status_of(fresh) == "succeeded")
    tell(
        f"{trouble.__name__}: {len(runs)} runs, longest start {longest:.1f} s, the last ended "
        f"{lasted:.1f} s after the trouble; a run afterwards took {time.monotonic() - asked:.1f} s"
    )
    assert [one.poll() for one in workers] == [None, None], "a worker went away"
    assert longest < START_SECONDS
    assert len(fakes.calls("pay")) == len(runs) + 1
    assert Attempt.objects.filter(status="succeeded").count() == 3 * (len(runs) + 1)
    assert invariants() == {}


def test_a_broker_that_answers_nobody_holds_up_one_doorbell_and_not_the_next(broker):
    services.ring(new_id())
    broker.client.execute_command("CLIENT", "PAUSE", 60_000, "ALL")
    began = time.monotonic()
    services.ring(new_id())
    first = time.monotonic() - began
    for _ in range(200):
        services.ring(new_id())
    assert time.monotonic() - began < 1.5 * first
    broker.stop()
    broker.start()
    services.BROKER_AWAY.end()
    services.ring(new_id(), first=True)
    assert sum(broker.client.llen(name) for name in lanes.NAMES) == 1


def test_a_worker_outlives_a_broker_that_has_no_room(world, processes, fakes, broker):
    slug = world.publish(chain("a", "b"))
    worker = processes.start()
    with fakes.held():
        run = world.start(slug)
        wait_for(lambda: fakes.calls("a"))
        broker.client.config_set("maxmemory-policy", "noeviction")
        broker.client.config_set("maxmemory", "1")
    wait_for(lambda: status_of(run) == "succeeded")
    late = world.start(slug, text="while it has no room")
    time.sleep(1.0)  # the worker tells the broker that it has answered, and is refused
    broker.client.config_set("maxmemory", "0")
    wait_for(lambda: status_of(late) == "succeeded")
    assert worker.poll() is None
    assert invariants() == {}
