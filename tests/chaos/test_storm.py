"""A storm: PostgreSQL crashes and processes are killed, again and again, while 500 runs go on.

Whoever starts a run tries again with the same key until he is told that it was accepted. What was
killed is started again, as a service manager does. The seed decides when and whom; another one is
chosen with BATON_SEED.
"""

import os
import random
import time
from contextlib import suppress

import pytest
from django.db import DatabaseError, connection
from django.db.models import Count

from audit.models import AuditEntry, AuditOutbox
from orchestrator.runs.models import Attempt, Run, StepRun
from tests.chaos.processes import kill
from tests.integration.runs.world import agent, chain, definition, invariants, wait_for

RUNS = 500
STEPS = 10
START_EVERY = 0.4
STEP_SECONDS = 0.15
APART = (5.0, 40.0)
LIMIT_SECONDS = 900.0
OVER = ("succeeded", "failed", "cancelled")


class Storm:
    """What happens when; `tick` lets happen what is due."""

    def __init__(self, seed, servers, processes):
        self.chance = random.Random(seed)
        self.servers = servers
        self.processes = processes
        self.places = [
            processes.launch,
            processes.launch,
            self._prefork,
            processes.launch_scheduler,
        ]
        self.alive = [place() for place in self.places]
        self.restart_at = self.kill_at = 0.0
        self.restarts = self.kills = self.ended_by_themselves = 0
        self.plan()

    def _prefork(self):
        return self.processes.launch(pool="prefork", concurrency=2)

    def plan(self, *, restart=True, kill=True):
        """Decide when the next restart, the next kill, is."""
        if restart:
            self.restart_at = time.monotonic() + self.chance.uniform(*APART)
        if kill:
            self.kill_at = time.monotonic() + self.chance.uniform(*APART)

    def tick(self):
        """Restart PostgreSQL or kill a process when it is time; start again what has ended."""
        if time.monotonic() >= self.restart_at:
            self.servers.restart_postgres()
            self.restarts += 1
            self.plan(kill=False)
        for place, process in enumerate(self.alive):
            if process.poll() is not None:
                self.ended_by_themselves += 1
                self.alive[place] = self.places[place]()
        if time.monotonic() >= self.kill_at:
            place = self.chance.randrange(len(self.alive))
            kill(self.alive[place])
            self.alive[place] = self.places[place]()
            self.kills += 1
            self.plan(restart=False)


def ten_steps():
    """start → s1 … s10 → done, each a call that takes a moment."""
    names = [f"s{number}" for number in range(1, STEPS + 1)]
    document = chain(*names)
    return definition(
        {
            name: agent(
                name,
                uses="pause",
                input={"label": f"'{name}'", "text": "input.text", "seconds": str(STEP_SECONDS)},
                retry={"max_attempts": 10, "backoff_seconds": 0.1, "jitter": 0},
            )
            for name in names
        },
        list(document["links"]),
    )


def through(ask):
    """What `ask` returns, or None when the database is away."""
    try:
        return ask()
    except DatabaseError:
        with suppress(DatabaseError):
            connection.close()
        return None


@pytest.mark.nightly
@pytest.mark.postgres
@pytest.mark.timeout(1500)
def test_five_hundred_runs_come_through_crashes_of_the_database_and_of_processes(own_servers, tell):
    world, installation, processes = own_servers
    seed = int(os.environ.get("BATON_SEED", random.randrange(10**6)))
    tell(f"seed {seed}")
    world.register("pause", config={"function": "fake.pause"})
    slug = world.publish(ten_steps())
    storm = Storm(seed, installation.servers, processes)
    began = time.monotonic()
    accepted, refused, next_start = set(), 0, began
    going_on = True
    while going_on:
        assert time.monotonic() - began < LIMIT_SECONDS, f"seed {seed}: did not end"
        storm.tick()
        if len(accepted) < RUNS and time.monotonic() >= next_start:
            number = len(accepted)
            run = through(lambda n=number: world.start(slug, text=f"{n}", idempotency_key=f"k{n}"))
            if run is None:
                refused += 1
                time.sleep(0.2)
            else:
                accepted.add(run.id)
                next_start += START_EVERY
        elif len(accepted) == RUNS:
            time.sleep(0.5)
            going_on = through(lambda: Run.objects.exclude(status__in=OVER).count()) != 0
        else:
            time.sleep(0.01)
    lasted = time.monotonic() - began
    repeated = Attempt.objects.filter(number__gt=1).count()
    tell(
        f"seed {seed}: {lasted:.0f} s, {storm.restarts} restarts of PostgreSQL, {storm.kills} kills, "
        f"{storm.ended_by_themselves} ended by themselves, {refused} starts refused, "
        f"{repeated} calls repeated"
    )
    assert storm.restarts >= 3
    assert storm.kills >= 3
    assert_all_is_well(accepted)


def assert_all_is_well(accepted):
    assert Run.objects.filter(status="succeeded").count() == Run.objects.count() == RUNS
    assert set(Run.objects.values_list("id", flat=True)) == accepted
    ended = StepRun.objects.filter(status="succeeded", step__regex=r"^s\d+$")
    assert ended.count() == RUNS * STEPS
    answered = Attempt.objects.filter(status="succeeded").values("run", "step")
    assert answered.count() == RUNS * STEPS
    assert not answered.annotate(times=Count("id")).filter(times__gt=1).exists()
    wait_for(lambda: not Run.objects.filter(owner__isnull=False).exists())
    wait_for(lambda: AuditEntry.objects.count() == AuditOutbox.objects.count())
    assert invariants() == {}
