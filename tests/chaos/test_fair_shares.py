"""Floods on real workers: workspaces share them by weight, urgent overtakes, low ones go on."""

from orchestrator.access import SYSTEM
from orchestrator.accounts import services as accounts
from orchestrator.core.shares import Priority
from orchestrator.runs.models import Run, StepRun
from tests.integration.runs.world import chain, now, wait_for

FLOOD = 150
BY_THEN = 80
"""Steps that have ended when the shares are looked at; far from the end of either flood."""
ENOUGH = 120.0


def steps_done(runs):
    """How many steps of agents these runs have behind them."""
    ended = StepRun.objects.filter(run_id__in=[one.id for one in runs], status="succeeded")
    return ended.exclude(step__in=("start", "done")).count()


def runs_done(runs):
    return Run.objects.filter(id__in=[one.id for one in runs], status="succeeded").count()


def started(world, number, uses, **more):
    slug = world.publish(chain("brief", uses=uses))
    return [world.start(slug, **more) for _ in range(number)]


def test_workers_are_shared_by_the_weights_of_workspaces(world, processes, fakes):
    fakes.script("brief", seconds=0.05)
    heavy = world.neighbour("heavy")
    accounts.change_workspace(workspace_id=heavy.workspace.id, weight=30, actor=SYSTEM, now=now())
    # The one with the smaller weight comes first, with all that it has.
    light_runs = started(world, FLOOD, "scripted")
    heavy_runs = started(heavy, FLOOD, "scripted-heavy")
    both = [*light_runs, *heavy_runs]
    for _ in range(2):
        processes.start(concurrency=1)
    wait_for(lambda: steps_done(both) >= BY_THEN, ENOUGH)
    share = steps_done(heavy_runs) / steps_done(both)
    assert 0.6 <= share <= 0.9  # three quarters
    wait_for(lambda: runs_done(both) == len(both), ENOUGH)


def test_urgent_runs_overtake_and_low_ones_go_on(world, processes, fakes):
    fakes.script("brief", seconds=0.05)
    low = started(world, FLOOD, "scripted", priority=Priority.LOW)
    usual = started(world, FLOOD, "scripted")
    processes.start(concurrency=1)
    wait_for(lambda: steps_done(usual) >= 10, ENOUGH)
    urgent = started(world, 20, "scripted", priority=Priority.URGENT)
    wait_for(lambda: runs_done(urgent) == len(urgent), ENOUGH)
    assert runs_done(usual) < FLOOD
    assert runs_done(low) < FLOOD
    before = runs_done(low)
    assert before >= 1
    wait_for(lambda: runs_done(low) > before and runs_done(usual) < FLOOD, ENOUGH)
