"""Workers whose clocks are an hour off: times that matter come from the database's clock.

The clocks are bent by libfaketime (a system package; `make chaos` installs it). Each worker thread
pool has its own sweeper, so that the one who sweeps has a wrong clock as well.
"""

import os
import time
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from audit.models import AuditEntry, AuditOutbox, TreeHead
from orchestrator.runs.models import Attempt, Run, RunEvent, StepRun, Timer, Worker
from tests import fake_agents
from tests.chaos.processes import ROOT, kill
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

LIBRARIES = [
    *Path("/usr").glob("lib*/faketime/libfaketimeMT.so.1"),
    *Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"),
]
pytestmark = [
    pytest.mark.nightly,
    pytest.mark.postgres,
    pytest.mark.timeout(240),
    pytest.mark.skipif(not LIBRARIES, reason="libfaketime is not installed"),
]
BENT = Path(__file__).parent / "bent_clock"
AHEAD, BEHIND = "+3600", "-3600"
PAUSE_SECONDS = 2
BACKOFF_SECONDS = 2.0
LIMIT_SECONDS = 6
LONG_SECONDS = 12.0
"""Longer than two renewals of a lease."""
SLACK = timedelta(seconds=1)
DEAD_SECONDS = 10.0


def clock(offset):
    """The environment of a process whose clock is so many seconds off; how long things last is right."""
    return {
        "LD_PRELOAD": str(LIBRARIES[0]),
        "FAKETIME": offset,
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "DONT_FAKE_MONOTONIC": "1",
        "PYTHONPATH": os.pathsep.join([str(BENT), str(fake_agents.DIST), str(ROOT)]),
    }


def trip():
    """start → flaky (fails once) → wait → long → done."""
    retry = {"max_attempts": 3, "backoff_seconds": BACKOFF_SECONDS, "jitter": 0}
    pause = {"type": "duration", "seconds": PAUSE_SECONDS}
    steps = {
        "flaky": agent("flaky", input={"label": "input.text"}, retry=retry),
        "w": {"kind": "wait", "name": "Wait", "awaits": pause},
        "long": agent("long", timeout={"attempt_seconds": 60}),
    }
    return definition(steps, ["start.next-flaky", "flaky.next-w", "w.next-long", "long.next-done"])


def limited():
    """start → a → wait for an hour → done, in a run that may last some seconds."""
    hour = {"type": "duration", "seconds": 3600}
    steps = {"a": agent("a"), "w": {"kind": "wait", "name": "Wait", "awaits": hour}}
    links = ["start.next-a", "a.next-w", "w.next-done"]
    return definition(steps, links, run_timeout_seconds=LIMIT_SECONDS)


@pytest.mark.parametrize(
    ("first", "second"),
    [(AHEAD, BEHIND), (BEHIND, AHEAD), (AHEAD, AHEAD), (BEHIND, BEHIND)],
    ids=["ahead and behind", "behind and ahead", "ahead", "behind"],
)
def test_leases_timers_retries_and_the_journal_do_not_mind_a_wrong_clock(
    world, processes, fakes, first, second
):
    failed = {"type": "failed", "kind": "unavailable", "reason_code": "down", "reason": "Not now."}
    answer = {"type": "value", "output": {"label": "flaky", "text": "hello"}}
    names = [f"run-{number}" for number in range(4)]
    for name in names:
        fakes.script(name, failed, answer)
    fakes.script("long", seconds=LONG_SECONDS)
    processes.start(**clock(first))
    processes.start(**clock(second))
    processes.launch_scheduler(**clock(first))
    slug, short = world.publish(trip()), world.publish(limited())
    began = now()
    runs = [world.start(slug, text=name) for name in names]
    ending = world.start(short)
    wait_for(lambda: status_of(ending) == "failed", LIMIT_SECONDS + 20)
    assert_lasted(ending, LIMIT_SECONDS, LIMIT_SECONDS + 10)
    wait_for(lambda: all(status_of(run) == "succeeded" for run in runs), every=0.2)
    wait_for(lambda: not Run.objects.filter(owner__isnull=False).exists())
    ended = now()
    for run in runs:
        tried = Attempt.objects.filter(run=run).order_by("step", "number")
        assert [(one.step, one.status) for one in tried] == [
            ("flaky", "failed"),
            ("flaky", "succeeded"),
            ("long", "succeeded"),
        ]
        apart = tried[1].started_at - tried[0].ended_at
        assert timedelta(seconds=BACKOFF_SECONDS) - SLACK < apart < timedelta(seconds=30)
        waited = StepRun.objects.get(run=run, step="w")
        lasted = waited.ended_at - waited.started_at
        assert timedelta(seconds=PAUSE_SECONDS) - SLACK < lasted < timedelta(seconds=30)
    assert_times_are_right([*runs, ending], began, ended)
    assert invariants() == {}


def assert_lasted(run, least, most):
    run.refresh_from_db()
    lasted = (run.ended_at - run.started_at).total_seconds()
    assert least - 1 < lasted < most


def assert_times_are_right(runs, began, ended):
    """Whatever was written stands between begin and end, in the order in which it happened."""
    for run in runs:
        moments = list(
            RunEvent.objects.filter(run=run).order_by("seq").values_list("at", flat=True)
        )
        assert began - SLACK < moments[0]
        assert moments[-1] < ended + SLACK
        assert all(one <= other + SLACK for one, other in pairwise(moments))
        stored, replayed = stored_and_replayed(run)
        assert stored == replayed
    entries = AuditOutbox.objects.filter(run_id__in=[run.id for run in runs])
    assert entries.exists()
    for entry in entries:
        assert abs(entry.at - entry.inserted_at) < SLACK
    assert not Timer.objects.exists()
    for worker in Worker.objects.all():
        assert abs(worker.started_at - began) < timedelta(minutes=10)
    wait_for(lambda: AuditEntry.objects.count() == AuditOutbox.objects.count())
    assert all(abs(head.at - ended) < timedelta(minutes=10) for head in TreeHead.objects.all())


@pytest.mark.parametrize("offset", [AHEAD, BEHIND], ids=["ahead", "behind"])
def test_a_worker_that_dies_is_replaced_in_time_by_one_whose_clock_is_wrong(
    world, processes, fakes, offset
):
    """The claim of the dead one was written by the database's clock, and is judged by it."""
    fakes.script("a", seconds=LONG_SECONDS)
    slug = world.publish(definition({"a": agent("a")}, ["start.next-a", "a.next-done"]))
    doomed = processes.start(**clock(BEHIND if offset == AHEAD else AHEAD))
    run = world.start(slug)
    wait_for(lambda: fakes.calls("a"))
    processes.start(**clock(offset))
    time.sleep(7)  # longer than a renewal, and than a sweep of leases that ran out
    assert len(fakes.calls("a")) == 1, "taken from a worker that was alive"
    fakes.script("a")
    kill(doomed)
    died = time.monotonic()
    wait_for(lambda: status_of(run) == "succeeded")
    assert time.monotonic() - died < DEAD_SECONDS
    assert steps_of(run)["a"] == "succeeded"
    assert len(fakes.calls("a")) == 2
    wait_for(lambda: not Run.objects.filter(owner__isnull=False).exists())
    assert invariants() == {}
