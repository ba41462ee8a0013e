"""Which run a doorbell is answered with: by weight among workspaces, by priority within one."""

from collections import Counter
from itertools import count

import pytest

from audit.models import AuditOutbox
from audit.selectors import content_of
from orchestrator.access import SYSTEM
from orchestrator.accounts import services as accounts
from orchestrator.core.shares import Priority
from orchestrator.runs.fairness import Turns
from orchestrator.runs.models import Run
from tests.integration.runs.test_children import child_of, go_on, running
from tests.integration.runs.world import chain, now, status_of


@pytest.fixture
def turns(doorbells):
    """The turns of a process in which each walk takes the same time."""
    return Turns(clock=count(0.0, 1.0).__next__)


def weigh(world, weight):
    accounts.change_workspace(
        workspace_id=world.workspace.id, weight=weight, actor=SYSTEM, now=now()
    )


def flood(world, number, **more):
    """So many runs of one workflow, and nobody who has walked them."""
    slug = world.publish(chain("a", uses=agent_of(world)))
    return [world.start(slug, **more) for _ in range(number)]


def agent_of(world):
    return "scripted" if world.prefix == "flow" else f"scripted-{world.prefix}"


def done(runs):
    return Run.objects.filter(id__in=[one.id for one in runs], status="succeeded").count()


def test_without_weights_and_priorities_a_doorbell_is_answered_with_its_own_run(world, turns):
    runs = flood(world, 3)
    turns.answer(runs[2].id)
    assert [status_of(one) for one in runs] == ["pending", "pending", "succeeded"]


def test_workspaces_are_served_by_their_weights(world, turns):
    other = world.neighbour()
    weigh(world, 10)
    weigh(other, 30)
    mine, theirs = flood(world, 16), flood(other, 16)
    for run in mine:  # it rings for one workspace only
        turns.answer(run.id)
    assert (done(mine), done(theirs)) == (4, 12)


def test_every_run_is_served_though_turns_are_used_for_others(world, turns):
    other = world.neighbour()
    weigh(other, 100)
    runs = [*flood(world, 5), *flood(other, 5), *flood(other, 5)]
    for run in runs:
        turns.answer(run.id)
    assert done(runs) == len(runs)


def test_an_urgent_run_overtakes(world, turns):
    runs = flood(world, 5)
    urgent = flood(world, 2, priority=Priority.URGENT)
    turns.answer(runs[0].id)
    assert (done(runs), done(urgent)) == (0, 1)
    turns.answer(runs[1].id)
    turns.answer(runs[2].id)
    assert (done(runs), done(urgent)) == (1, 2)


def test_low_ones_go_on_beside_urgent_ones(world, turns):
    low = flood(world, 5, priority=Priority.LOW)
    urgent = flood(world, 40, priority=Priority.URGENT)
    for run in urgent[:34]:
        turns.answer(run.id)
    assert (done(low), done(urgent)) == (2, 32)


def test_urgent_runs_of_one_workspace_take_nothing_from_another(world, turns):
    other = world.neighbour()
    urgent = flood(world, 10, priority=Priority.URGENT)
    usual = flood(other, 10)
    for run in urgent:
        turns.answer(run.id)
    assert (done(urgent), done(usual)) == (5, 5)


def test_workflows_of_one_workspace_take_turns(world, turns):
    other = world.neighbour()
    weigh(other, 100)
    floods = [flood(other, 30) for _ in range(2)]
    for run in flood(world, 22):
        turns.answer(run.id)
    served = Counter({number: done(runs) for number, runs in enumerate(floods)})
    assert served.total() == 20
    assert min(served.values()) >= 1  # at random; none in one case of half a million


def test_a_doorbell_of_a_run_that_waits_for_nobody_serves_another(world, turns):
    urgent = flood(world, 6, priority=Priority.URGENT)
    for _ in urgent:
        turns.answer(urgent[0].id)
    assert done(urgent) == len(urgent)


def test_children_have_the_priority_of_their_parent(world, doorbells):
    parent = world.start(running(world.publish(chain("a"))), priority=Priority.LOW)
    go_on()
    assert child_of(parent).priority == Priority.LOW


def test_a_run_has_the_priority_of_its_workflow_unless_it_is_told_another(world, doorbells):
    slug = world.publish({**chain("a"), "policies": {**chain("a")["policies"], "priority": "low"}})
    assert world.start(slug).priority == Priority.LOW
    urgent = world.start(slug, priority=Priority.URGENT)
    assert urgent.priority == Priority.URGENT
    entry = content_of(AuditOutbox.objects.get(action="run.started", run_id=urgent.id))
    assert entry["decision"]["priority"] == "urgent"
