"""Departments with supervisors and pools of their own, each under its own rules, below one workflow."""

from __future__ import annotations

import pytest

from orchestrator.core.roles import SUPERVISOR
from orchestrator.runs import services
from orchestrator.runs.models import Attempt, ChildRun, Run
from orchestrator.runs.walker import walk
from registry.models import AgentVersion
from tests import fake_agents
from tests.integration.runs.test_teams import register, team
from tests.integration.runs.world import definition, invariants, now, status_of

ENDS = {"done": "success", "broken": "failure"}
DEPARTMENTS = ("procurement", "logistics")


def department(world, name, **policies):
    """A workflow in which a supervisor of the department gives tasks to its own specialists."""
    register(world, f"{name}-lead", "fake.supervise", SUPERVISOR.takes, SUPERVISOR.gives)
    pool = [f"{name}-{number}" for number in (1, 2)]
    for slug in pool:
        register(world, slug, "fake.work", fake_agents.TOPIC, fake_agents.TEXT)
    lead = {"agent": f"{name}-lead", "version": 1}
    document = team({"type": "supervisor", "lead": lead}, *pool)
    document["policies"] = {**document["policies"], **policies}
    return world.publish(document)


def order(departments):
    """One workflow that asks every department side by side, and goes on without one that fails."""
    steps = {
        name: {
            "kind": "workflow",
            "name": name.title(),
            "uses": {"workflow": slug, "version": 1},
            "outcomes": ENDS,
            "input": {"topics": "['a', 'b', 'c']"},
        }
        for name, slug in departments.items()
    }
    steps["collect"] = {"kind": "join", "name": "Collect", "policy": "best_effort"}
    links = ["collect.next-done"]
    for name in departments:
        links += [f"start.next-{name}", f"{name}.done-collect", f"{name}.failed-collect"]
    return definition(steps, links)


@pytest.fixture
def departments(world, doorbells, fakes):
    return {
        "procurement": department(world, "procurement", budget={"calls": 2}),
        "logistics": department(world, "logistics"),
    }


def go_on():
    while busy := list(Run.objects.filter(rung_at__isnull=False)):
        for run in busy:
            walk(run.id)


def test_each_department_works_with_its_own_pool_under_its_own_rules(world, departments):
    run = world.start(order(departments))
    go_on()
    children = {one.step: Run.objects.get(id=one.id) for one in ChildRun.objects.all()}
    assert set(children) == set(DEPARTMENTS)
    assert status_of(children["logistics"]) == "succeeded"
    assert status_of(children["procurement"]) == "failed", "its budget allows two calls"
    assert status_of(run) == "succeeded", "the other department's work is there"
    for name, child in children.items():
        called = Attempt.objects.filter(run=child).values_list("agent_version_id", flat=True)
        slugs = AgentVersion.objects.filter(id__in=called).values_list("agent__slug", flat=True)
        assert slugs
        assert all(slug.startswith(name) for slug in slugs), "nobody of another department"
    assert Attempt.objects.filter(run=children["procurement"]).count() == 2
    assert Attempt.objects.filter(run=children["logistics"]).count() == 5
    assert invariants() == {}


def test_what_stops_one_department_stops_no_other(world, departments):
    run = world.start(order(departments))
    walk(run.id)
    services.start_children(now())
    one = Run.objects.get(id=ChildRun.objects.get(step="procurement").id)
    services.cancel_run(run_id=one.id, reason="Closed.", actor=world.operator, now=now())
    go_on()
    assert status_of(one) == "cancelled"
    other = Run.objects.get(id=ChildRun.objects.get(step="logistics").id)
    assert status_of(other) == "succeeded"
    assert status_of(run) == "succeeded"
