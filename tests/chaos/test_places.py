"""A limit of calls at the same time on real workers, of which one is killed."""

import json

import pytest

from budgets.models import BudgetPlace
from orchestrator.runs.models import Attempt, Run
from tests.chaos.processes import kill
from tests.integration.runs.test_places import at_once
from tests.integration.runs.world import chain, invariants, wait_for

PLACES = 3
RUNS = 12


@pytest.mark.postgres
def test_never_more_calls_are_under_way_than_places_and_a_dead_worker_gives_its_back(
    world, processes, fakes
):
    at_once(world, PLACES)
    fakes.script("a", seconds=0.2)
    slug = world.publish(chain("a", "b"))
    for _ in range(3):
        processes.start()
    processes.launch_scheduler()
    found = [world.start(slug).id for _ in range(RUNS)]
    began = wait_for(lambda: fakes.calls("a"))
    dead = began[0]["pid"]
    kill(next(one for one in processes.started if one.pid == dead))
    runs = Run.objects.filter(id__in=found)
    wait_for(lambda: runs.filter(status="succeeded").count() == RUNS)
    assert most_at_once(fakes, dead) <= PLACES
    assert Attempt.objects.filter(run__in=found, status="succeeded").count() == 2 * RUNS
    wait_for(lambda: not BudgetPlace.objects.exists())
    assert invariants() == {}


def most_at_once(fakes, dead):
    """How many calls of living workers were under way at once, and those of the dead one before."""
    lines = [json.loads(line) for line in (fakes.folder() / "calls.jsonl").read_text().splitlines()]
    died = max(number for number, one in enumerate(lines) if one["pid"] == dead)
    most = 0
    open_calls = {}
    for number, one in enumerate(lines):
        open_calls.setdefault(one["pid"], 0)
        open_calls[one["pid"]] += 1 if one["what"] == "begin" else -1
        counted = sum(count for pid, count in open_calls.items() if pid != dead or number <= died)
        most = max(most, counted)
    return most
