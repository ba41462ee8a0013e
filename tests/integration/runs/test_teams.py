"""Teams whose members talk, as they are walked: every call a step run with rows and audit."""

from __future__ import annotations

import json

import pytest

from audit.models import AuditOutbox
from orchestrator.core.roles import BIDDER, DEBATER, NEGOTIATOR, PEER, SUPERVISOR
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


def register(world, slug, function, takes, gives, **parameters):
    config = {"function": function, "parameters": parameters}
    world.register(slug, input=takes, output=gives, config=config)


@pytest.fixture
def crew(world):
    """A supervisor and two workers, registered and signed off."""
    register(world, "boss", "fake.supervise", SUPERVISOR.takes, SUPERVISOR.gives)
    for slug in ("reader", "writer"):
        register(world, slug, "fake.work", fake_agents.TOPIC, fake_agents.TEXT)
    return world


def team(protocol, *members, **more):
    """start → a team that gets the run's input → done; otherwise → broken."""
    step = {
        "kind": "team",
        "name": "Crew",
        "members": [{"uses": {"agent": one, "version": 1}} for one in members],
        "input": {"topics": "input.topics", "others": "input.others"},
        "protocol": protocol,
        "retry": RETRY_SOON,
        **more,
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


def sound(run):
    """The journal leads to the stored state, and nothing is broken."""
    stored, replayed = stored_and_replayed(run)
    return stored == replayed and invariants() == {}


def test_the_best_bid_gets_the_task_and_the_next_best_when_it_fails(world, doorbells, fakes):
    for slug, cost, fails in (("cheap", 100, True), ("fair", 200, False), ("dear", 900, False)):
        offered = {"cost": cost, "seconds": 1, "confidence": 0.5, "fails": fails}
        register(world, slug, "fake.bid", BIDDER.takes, BIDDER.gives, **offered)
    run = start(world, team({"type": "auction"}, "dear", "cheap", "fair"), topics=[], text="hi")
    walk(run.id)
    assert status_of(run) == "succeeded"
    output = StepRun.objects.get(run=run, step="crew").output
    assert (output["output"], output["awarded"]) == ({"text": "Done for 200."}, "fair")
    assert [one["member"] for one in output["bids"]] == ["cheap", "fair", "dear"]
    assert (output["award"], output["failed"]) == ("cheapest", ["cheap"])
    assert Attempt.objects.filter(run=run).count() == 5
    done = AuditOutbox.objects.filter(run_id=run.id, action="step.completed")
    entry = json.loads(bytes(done.get(subject_id__contains="/crew/").envelope))
    assert entry["decision"]["basis"][0]["row"] == "cheapest"
    assert sound(run)


def test_peers_pass_the_work_along_and_every_pass_is_a_checked_message(world, doorbells, fakes):
    for slug, to in (("first", "second"), ("second", "third"), ("third", "")):
        register(world, slug, "fake.pass_on", PEER.takes, PEER.gives, to=to)
    peers = ("first", "second", "third")
    run = start(world, team({"type": "handoff"}, *peers), topics=[], text="hi")
    walk(run.id)
    assert status_of(run) == "succeeded"
    output = StepRun.objects.get(run=run, step="crew").output
    assert output["path"] == ["first", "second", "third"]
    assert output["output"] == {"text": "Came from second."}
    passed = Handoff.objects.filter(run=run, step__startswith="crew.")
    assert set(passed.values_list("verdict", flat=True)) == {"fits"}
    assert list_members(run.id, "crew").rows[2]["given"]["with"] == {"looked": True}
    assert sound(run)
    short = start(world, team({"type": "handoff", "max_hops": 1}, *peers), topics=[], text="hi")
    walk(short.id)
    result = StepRun.objects.get(run=short, step="crew").result
    assert result["reason_code"] == "too_many_hops"


def test_members_debate_until_they_agree_or_the_highest_priority_decides(world, doorbells, fakes):
    for slug, plan, is_stubborn in (("one", "x", True), ("two", "y", True), ("three", "z", False)):
        told = {"plan": plan, "stubborn": is_stubborn}
        register(world, slug, "fake.debate", DEBATER.takes, DEBATER.gives, **told)
    debate = {"type": "debate", "max_rounds": 3}
    run = start(world, team(debate, "one", "two", "three", ballot="decision"), topics=[], text="hi")
    walk(run.id)
    assert status_of(run) == "succeeded"
    output = StepRun.objects.get(run=run, step="crew").output
    assert (output["decision"], output["rounds"]) == ("x", 2)
    assert output["stopped_by"] == "agreement"
    assert [one["proposal"] for one in output["proposals"]] == ["x", "y", "x"]
    assert sound(run)
    step = {**debate, "arbitrate": True}
    document = team(step, "one", "two", ballot="decision")
    document["steps"]["crew"]["members"][1]["priority"] = 1
    other = start(world, document, topics=[], text="hi")
    walk(other.id)
    output = StepRun.objects.get(run=other, step="crew").output
    assert (output["decision"], output["by"], output["rounds"]) == ("y", "two", 3)
    assert output["stopped_by"] == "priority"


def test_members_agree_a_split_that_is_on_record_before_the_work_begins(world, doorbells, fakes):
    for slug, parts in (
        ("ann", {"ann": ["a"], "ben": ["b", "c"]}),
        ("ben", {"ann": ["a"], "ben": ["b"]}),
    ):
        told = {"name": slug, "parts": parts}
        register(world, slug, "fake.negotiate", NEGOTIATOR.takes, NEGOTIATOR.gives, **told)
    run = start(world, team({"type": "negotiate"}, "ann", "ben"), topics=[], text="hi")
    walk(run.id)
    assert status_of(run) == "succeeded"
    output = StepRun.objects.get(run=run, step="crew").output
    assert (output["by"], output["rounds"]) == ("ben", 2)
    assert [one["member"] for one in output["split"]] == ["ann", "ben"]
    assert output["outputs"] == [
        {"member": "ann", "output": {"text": "Did 1."}},
        {"member": "ben", "output": {"text": "Did 1."}},
    ]
    assert output["refused"][0]["reasons"] == [{"member": "ben", "reason": "That is too much."}]
    asked = [one["given"]["ask"] for one in list_members(run.id, "crew").rows]
    assert asked == ["propose", "accept", "propose", "accept", "work", "work"]
    assert sound(run)
