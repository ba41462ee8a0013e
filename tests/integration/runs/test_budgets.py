"""A run with a budget: exact beside the real engine, shown, and given anew by a person."""

from __future__ import annotations

from orchestrator.runs.models import Attempt
from orchestrator.runs.selectors import run_snapshot
from orchestrator.runs.walker import walk
from tests.integration.runs.world import (
    agent,
    chain,
    decide,
    definition,
    invariants,
    review_of,
    status_of,
    steps_of,
    stored_and_replayed,
)


def test_a_run_stops_at_its_budget_asks_and_goes_on_when_a_person_allows_it(
    world, doorbells, fakes
):
    run = world.start(chain("a", "b") | {"policies": policies(calls=1)})
    walk(run.id)
    assert steps_of(run) == {"start": "succeeded", "a": "succeeded", "b": "waiting"}
    assert len(fakes.calls()) == 1
    task = review_of(run, "exception")
    assert "budget" in str(task.evidence)
    assert run_snapshot(run.id)["budget"] == {"calls": 1, "limit": 1, "money": None}
    decide(world, run, "chosen", choice="retry", kind="exception")
    walk(run.id)
    assert status_of(run) == "succeeded"
    assert len(fakes.calls()) == 2
    stored, replayed = stored_and_replayed(run)
    assert stored == replayed
    assert invariants() == {}


def test_of_thirty_branches_exactly_ten_call(world, doorbells, fakes):
    names = [f"s{number}" for number in range(30)]
    steps = {name: agent(name) for name in names}
    steps["gather"] = {"kind": "join", "name": "Gather", "policy": "best_effort"}
    links = [f"start.next-{name}" for name in names]
    links += [f"{name}.{port}-gather" for name in names for port in ("next", "failed")]
    document = definition(steps, [*links, "gather.next-done"], budget={"calls": 10})
    run = world.start(document)
    walk(run.id)
    assert status_of(run) == "succeeded"
    assert len(fakes.calls()) == Attempt.objects.filter(run=run).count() == 10
    assert invariants() == {}


def test_a_run_stops_at_what_it_may_cost_and_says_what_it_has_cost(world, doorbells, fakes):
    world.register("dear", price={"minor": 250, "currency": "EUR"})
    money = {"minor": 400, "currency": "EUR"}
    document = chain("a", "b", uses="dear")
    document["policies"] = {**document["policies"], "budget": {"money": money}}
    run = world.start(document)
    walk(run.id)
    assert len(fakes.calls()) == 1
    snapshot = run_snapshot(run.id)
    assert snapshot["budget"] == {
        "calls": 1,
        "limit": None,
        "money": {"used": {"minor": 250, "currency": "EUR"}, "limit": money},
    }
    decide(world, run, "chosen", choice="retry", kind="exception")
    walk(run.id)
    assert status_of(run) == "succeeded"
    assert run_snapshot(run.id)["cost"] == [{"minor": 500, "currency": "EUR"}]
    stored, replayed = stored_and_replayed(run)
    assert stored == replayed


def test_without_a_budget_nothing_is_counted(world, doorbells):
    run = world.start(chain("a"))
    walk(run.id)
    snapshot = run_snapshot(run.id)
    assert snapshot["budget"] is None
    run.refresh_from_db()
    assert "calls" not in run.state


def policies(calls):
    return {**chain("a")["policies"], "budget": {"calls": calls}}
