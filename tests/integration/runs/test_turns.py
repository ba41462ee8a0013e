"""Runs whose steps may not begin at once: parked like any other, and in sight of the invariants."""

from __future__ import annotations

from orchestrator.runs.models import StepRun
from orchestrator.runs.walker import walk
from tests.integration.runs.world import (
    agent,
    decide,
    definition,
    gate,
    invariants,
    status_of,
    steps_of,
    stored_and_replayed,
)


def test_a_run_parks_while_a_person_keeps_the_section_and_then_takes_its_turns(
    world, doorbells, fakes
):
    till = {"exclusive": {"section": "till"}}
    steps = {
        "approve": gate(**till),
        "b": agent("b", **till),
        "c": agent("c", only_while={"after": "b"}),
        "all": {"kind": "join", "name": "All", "policy": "all"},
        "refused": {"kind": "end", "name": "Refused", "outcome": "done"},
    }
    links = ["start.next-approve", "start.next-b", "start.next-c", "approve.approved-all"]
    links += ["b.next-all", "c.next-all", "all.next-done", "approve.rejected-refused"]
    run = world.start(definition(steps, [*links, "approve.expired-refused"]))
    walk(run.id)
    assert status_of(run) == "waiting"
    held = dict(
        StepRun.objects.filter(run=run, status="waiting").values_list("step", "waiting_for")
    )
    assert held == {"approve": "review", "b": "turn", "c": "milestone"}
    assert fakes.calls() == []
    assert invariants() == {}
    decide(world, run)
    walk(run.id)
    assert status_of(run) == "succeeded"
    assert [one["label"] for one in fakes.calls()] == ["b", "c"]
    assert "skipped" not in {steps_of(run)[name] for name in ("approve", "b", "c")}
    stored, replayed = stored_and_replayed(run)
    assert stored == replayed
    assert invariants() == {}
