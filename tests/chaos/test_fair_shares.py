"""Floods on real workers: workspaces share them by weight, urgent overtakes, low ones go on.

What is looked at is the order in which runs ended, once all of them have.
"""

import pytest

from orchestrator.access import SYSTEM
from orchestrator.accounts import services as accounts
from orchestrator.core.shares import Priority
from orchestrator.runs.models import Run
from tests.integration.runs.world import chain, now, wait_for

pytestmark = pytest.mark.postgres
ENOUGH = 180.0


def flood(world, number, uses, **more):
    slug = world.publish(chain("brief", uses=uses))
    return [world.start(slug, **more).id for _ in range(number)]


def order_of(**floods):
    """The names of the floods, one for each run, in the order in which the runs ended."""
    name_of = {run: name for name, runs in floods.items() for run in runs}
    ended = Run.objects.filter(id__in=name_of, status="succeeded")
    wait_for(lambda: ended.count() == len(name_of), ENOUGH)
    return [name_of[run] for run in ended.order_by("ended_at").values_list("id", flat=True)]


def test_workers_are_shared_by_the_weights_of_workspaces(world, processes, fakes):
    fakes.script("brief", seconds=0.2)
    other = world.neighbour("heavy")
    accounts.change_workspace(workspace_id=other.workspace.id, weight=30, actor=SYSTEM, now=now())
    # The one with the smaller weight comes first, with all that it has.
    light = flood(world, 120, "scripted")
    heavy = flood(other, 120, "scripted-heavy")
    for _ in range(2):
        processes.start(concurrency=4)
    first = order_of(light=light, heavy=heavy)[:100]
    assert 60 <= first.count("heavy") <= 95  # three quarters, and a worker may stall


def test_urgent_runs_overtake_and_low_ones_go_on(world, processes, fakes):
    fakes.script("brief", seconds=0.05)
    low = flood(world, 30, "scripted", priority=Priority.LOW)
    usual = flood(world, 90, "scripted")
    processes.start(concurrency=1)
    wait_for(lambda: Run.objects.filter(id__in=usual, status="succeeded").exists(), ENOUGH)
    urgent = flood(world, 15, "scripted", priority=Priority.URGENT)
    order = order_of(low=low, usual=usual, urgent=urgent)
    after_urgent = order[len(order) - order[::-1].index("urgent") :]
    assert after_urgent.count("usual") >= 10
    before_usual_is_done = order[: len(order) - order[::-1].index("usual")]
    assert before_usual_is_done.count("low") >= 3
    assert after_urgent.count("low") >= 3
