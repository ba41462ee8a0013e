"""A call that needs a label waits for a real worker that has it, and goes on when one comes."""

import pytest

from orchestrator.runs.models import Attempt, Run, Worker
from tests.integration.runs.world import agent, definition, status_of, wait_for


@pytest.mark.postgres
def test_a_run_waits_for_a_worker_with_the_label_and_goes_on_when_one_comes(world, processes):
    world.register("painter", worker="gpu")
    steps = {"a": agent("a"), "draw": agent("draw", uses="painter"), "b": agent("b")}
    links = ["start.next-a", "a.next-draw", "draw.next-b", "b.next-done"]
    run = world.start(definition(steps, links))
    processes.start(concurrency=1)
    wait_for(lambda: Run.objects.filter(id=run.id, needs="gpu", owner__isnull=True), 60)
    assert Attempt.objects.get(step="draw").status == "leased"
    processes.start(concurrency=1, BATON_WORKER_LABELS="gpu")
    wait_for(lambda: status_of(run) == "succeeded", 60)
    painter = Worker.objects.get(labels="gpu")
    drew = Attempt.objects.get(step="draw")
    assert (drew.status, drew.owner) == ("succeeded", painter.id)
