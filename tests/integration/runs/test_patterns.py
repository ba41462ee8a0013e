"""Some of the control-flow patterns in the engine: the same steps as in the simulator."""

from __future__ import annotations

from collections import Counter

import pytest

from orchestrator.runs.models import RunEvent
from orchestrator.runs.walker import walk
from tests.integration.runs.world import (
    decide,
    invariants,
    review_of,
    status_of,
    stored_and_replayed,
    wait_for,
)
from tests.patterns.running import FOLDER, ends, read, run

FILES = ("wcp_07_*.yaml", "wcp_21_*.yaml", "wcp_32_*.yaml", "wcp_39_*.yaml")


def has_ended(run):
    """Whether it has; a walker whose time is up leaves the rest to the next, and here nobody else walks."""
    walk(run.id)
    return status_of(run) == "succeeded"


@pytest.mark.parametrize("name", FILES)
def test_the_engine_executes_what_the_simulator_does(world, doorbells, fakes, name):
    (path,) = FOLDER.glob(name)
    pattern = read(path)
    started = world.start(pattern.document, text="hello")
    walk(started.id)
    for answers in pattern.people.values():
        for answer in answers:
            wait_for(lambda: review_of(started))
            decide(world, started, answer["outcome"], reason=answer.get("reason", ""))
            walk(started.id)
    wait_for(lambda: has_ended(started))
    ended = Counter(
        one["step"]
        for event in RunEvent.objects.filter(run=started)
        for one in event.body["derived"]
        if one["type"] == "step_ended" and one["step"] != "start"
    )
    assert ended == Counter(ends(run(pattern)))
    stored, replayed = stored_and_replayed(started)
    assert stored == replayed
    assert invariants() == {}
