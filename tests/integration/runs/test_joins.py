"""Joins that do not wait for all, and routers that take several ways, in the engine."""

from __future__ import annotations

import json

from audit.models import AuditOutbox
from orchestrator.runs.models import Attempt, StepRun
from orchestrator.runs.walker import walk
from tests.integration.runs.world import (
    agent,
    definition,
    fan,
    invariants,
    status_of,
    steps_of,
    stored_and_replayed,
    wait_for,
)


def test_the_first_branch_goes_on_and_calls_in_flight_are_broken_off(world, doorbells, fakes):
    fakes.script("slow", seconds=90)
    flow = fan("quick", "slow")
    flow["steps"]["collect"] |= {"policy": "first"}
    run = world.start(flow)
    walk(run.id)
    wait_for(lambda: status_of(run) == "succeeded")
    assert not fakes.calls("slow", "end")
    assert steps_of(run)["slow"] == "cancelled"
    assert Attempt.objects.get(run=run, step="slow").status == "abandoned"
    output = StepRun.objects.get(run=run, step="collect").output
    assert output == {"arrived": ["quick"], "missing": [], "late": ["slow"]}
    stored, replayed = stored_and_replayed(run)
    assert stored == replayed
    assert invariants() == {}


def test_several_ways_are_taken_at_once_and_stand_in_the_audit_log(world, doorbells, fakes):
    routes = [
        {"port": "long", "title": "Long", "when": "size(input.text) > 3"},
        {"port": "polite", "title": "Polite", "when": "input.text.startsWith('please')"},
    ]
    run = world.start(
        definition(
            {
                "split": {"kind": "router", "name": "Split", "mode": "all", "routes": routes},
                "a": agent("a"),
                "b": agent("b"),
                "c": agent("c"),
                "all": {"kind": "join", "name": "All", "policy": "best_effort"},
            },
            [
                *("start.next-split", "split.long-a", "split.polite-b", "split.default-c"),
                *("a.next-all", "b.next-all", "c.next-all", "all.next-done"),
            ],
        ),
        text="please help",
    )
    walk(run.id)
    assert status_of(run) == "succeeded"
    assert sorted(one["label"] for one in fakes.calls()) == ["a", "b"]
    rows = AuditOutbox.objects.filter(run_id=run.id, action="step.completed")
    said = [json.loads(row.envelope) for row in rows]
    (split,) = [one for one in said if one["subject"]["id"].endswith("/split/1")]
    assert split["decision"]["basis"][0]["row"] == "long, polite"
    assert invariants() == {}
