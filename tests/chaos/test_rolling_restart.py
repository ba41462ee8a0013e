"""Workers replaced one after another under load, as a deployment does; nobody notices."""

import os
import signal

import pytest

from orchestrator.runs.models import Attempt, Run, RunEvent
from tests.integration.runs.world import chain, invariants, wait_for

RUNS = 16
STEPS = ("a", "b", "c", "d")


@pytest.mark.postgres
def test_a_rolling_restart_fails_nothing_and_makes_no_call_twice(world, processes, fakes, tell):
    for label in STEPS:
        fakes.script(label, seconds=0.3)
    slug = world.publish(chain(*STEPS, uses="once"))  # a call made twice would ask a person
    serving = [processes.start(), processes.start()]
    processes.launch_scheduler()
    found, open_at_stops = [], []
    for old in serving:
        found += [world.start(slug).id for _ in range(RUNS // len(serving))]
        before = begun_by(fakes, old)
        wait_for(lambda old=old, before=before: begun_by(fakes, old) > before)
        open_at_stops.append(Run.objects.filter(id__in=found).exclude(status="succeeded").count())
        os.kill(old.pid, signal.SIGTERM)
        processes.start()
        wait_for(lambda old=old: old.poll() is not None)
    runs = Run.objects.filter(id__in=found)
    wait_for(lambda: runs.filter(status="succeeded").count() == RUNS)
    calls = len(fakes.calls())
    tell(f"open at the two stops: {open_at_stops}; {calls} calls of {RUNS * len(STEPS)}")
    assert all(open_at_stops)
    assert calls == RUNS * len(STEPS)
    assert set(Attempt.objects.values_list("status", "number")) == {("succeeded", 1)}
    assert not RunEvent.objects.filter(type="attempt_lost").exists()
    wait_for(lambda: not runs.filter(owner__isnull=False).exists())
    assert invariants() == {}


def begun_by(fakes, process):
    """How many calls a worker has begun."""
    return sum(one["pid"] == process.pid for one in fakes.calls())
