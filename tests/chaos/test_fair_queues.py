"""A flood of runs of one workflow, on real workers; another workflow's run does not wait for it."""

import pytest

from orchestrator.runs.lanes import lane_of_run
from orchestrator.runs.models import Run
from tests.integration.runs.world import chain, status_of, wait_for

FLOOD = 30


@pytest.mark.postgres
def test_a_slow_workflow_does_not_starve_another_one(world, processes, fakes):
    fakes.script("slow", seconds=0.2)
    slow = world.publish(chain("slow"))
    flood = [world.start(slow) for _ in range(FLOOD)]
    processes.start(concurrency=1)
    wait_for(lambda: Run.objects.filter(id=flood[0].id, status="succeeded"))
    late = world.start(chain("quick"))
    while lane_of_run(late.id) == lane_of_run(flood[0].id):  # one case in sixteen
        late = world.start(chain("quick"))
    wait_for(lambda: status_of(late) == "succeeded")
    done = Run.objects.filter(id__in=[one.id for one in flood], status="succeeded").count()
    assert done < FLOOD / 2
    wait_for(lambda: status_of(flood[-1]) == "succeeded")
