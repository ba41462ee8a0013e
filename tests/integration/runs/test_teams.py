"""Teams whose members talk, as they are walked: every call a step run with rows and audit."""

from __future__ import annotations

import json

import pytest

from audit.models import AuditOutbox
from orchestrator.core.roles import SUPERVISOR
from orchestrator.runs import services, walker
from orchestrator.runs.models import Attempt, Handoff, StepRun
from orchestrator.runs.selectors import list_members, run_snapshot
from orchestrator.runs.walker import walk
from tests import fake_agents
from tests.integration.runs.world import (
    RETRY_SOON,
    definition,
    invariants,
    now,
    status_of,
    stored_and_replayed,
)

GOAL = {
    "type": "object",
    "properties": {
        "topics": {"type": "array", "items": {"type": "string"}},
        "others": {"type": "array", "items": {"type": "string"}},
        "text": {"type": "string"},
    },
    "required": ["topics"],
}
BROKEN = {"kind": "end", "name": "Broken", "outcome": "broken"}


def register(world, slug, function, takes, gives):
    world.register(slug, input=takes, output=gives, config={"function": function})


@pytest.fixture
def crew(world):
    """A supervisor and two workers, registered and signed off."""
    register(world, "boss", "fake.supervise", SUPERVISOR.takes, SUPERVISOR.gives)
    for slug in ("reader", "writer"):
        register(world, slug, "fake.work", fake_agents.TOPIC, fake_agents.TEXT)
    return world


def team(protocol, *members):
    """start → a team that gets the run's input → done; otherwise → broken."""
    step = {
        "kind": "team",
        "name": "Crew",
        "members": [{"uses": {"agent": one, "version": 1}} for one in members],
        "input": {"topics": "input.topics", "others": "input.others"},
        "protocol": protocol,
        "retry": RETRY_SOON,
    }
    links = ["start.next-crew", "crew.next-done", "crew.failed-broken"]
    return {**definition({"crew": step, "broken": BROKEN}, links), "input": GOAL}


def start(world, document, **input_):
    return services.start_run(
        workflow_slug=world.publish(document), input=input_, actor=world.operator, now=now()
    )


def supervised(**bounds):
    lead = {"agent": "boss", "version": 1}
    return team({"type": "supervisor", "lead": lead, **bounds}, "reader", "writer")


def test_a_supervisor_and_its_workers_are_called_handed_over_and_audited_like_any_step(
    crew, doorbells, fakes, monkeypatch
):
    monkeypatch.setattr(walker, "SLICE_SECONDS", 0.0)  # another walker takes over all the time
    run = start(crew, supervised(max_parallel=1), topics=["tea", "rain", "ink"], text="hello")
    rounds = 0
    while status_of(run) != "succeeded":
        walk(run.id)
        rounds += 1
        assert rounds < 20
    output = StepRun.objects.get(run=run, step="crew").output
    assert output["output"] == {"findings": ["About tea.", "About rain.", "About ink."]}
    assert [one["worker"] for one in output["tasks"]] == ["reader", "writer", "reader"]
    calls = ["crew.0_2", "crew.1_0", "crew.2_1", "crew.3_0", "crew.4_2"]
    assert sorted(Attempt.objects.filter(run=run).values_list("step", flat=True)) == calls
    assert Handoff.objects.filter(run=run, step__in=calls, verdict="fits").count() == 5
    done = AuditOutbox.objects.filter(run_id=run.id, action="step.completed")
    assert done.filter(actor_kind="agent").count() == 5
    entry = json.loads(bytes(done.get(subject_id__contains="/crew/").envelope))
    counted = {"rounds": 1, "tasks": 3, "failed": 0}
    assert entry["decision"]["basis"][0]["values"] == counted
    listed = list_members(run.id, "crew").rows
    assert [one["id"] for one in listed] == calls
    assert listed[1]["given"] == {"topic": "tea"}
    assert (listed[1]["answer"], listed[1]["verdict"]) == ({"text": "About tea."}, "fits")
    counts = run_snapshot(run.id, crew.operator)["steps"]["crew"]["members"]
    assert counts == {"total": 5, "done": 5, "failed": 0, "open": 0}
    stored, replayed = stored_and_replayed(run)
    assert stored == replayed
    assert invariants() == {}


def test_a_plan_outside_of_the_bounds_stops_the_run_with_its_reason_and_can_be_made_again(
    crew, doorbells, fakes
):
    given = {"topics": ["tea", "rain", "ink"], "others": ["stranger"]}
    run = start(crew, supervised(), text="hello", **given)
    walk(run.id)
    run.refresh_from_db()
    assert (run.status, run.outcome) == ("failed", "broken")
    result = StepRun.objects.get(run=run, step="crew").result
    assert result["reason_code"] == "worker_not_allowed"
    assert "'stranger'" in result["reason"]
    assert not fakes.calls()
    services.resume_run(
        run_id=run.id,
        step="crew",
        input={"topics": ["tea"]},
        reason="Without the stranger",
        actor=crew.operator,
        now=now(),
    )
    walk(run.id)
    assert status_of(run) == "succeeded"
    stored, replayed = stored_and_replayed(run)
    assert stored == replayed
    assert invariants() == {}
