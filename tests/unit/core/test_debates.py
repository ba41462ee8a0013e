"""Members propose in rounds, until they agree or the rounds are used up."""

from __future__ import annotations

from orchestrator.core.checks import check_definition
from orchestrator.core.planner import replay
from orchestrator.core.roles import debater
from tests.unit.core.flows import Flow, agent, catalogue, definition

BAD_END = {"kind": "end", "name": "Bad", "outcome": "failed"}
ARROWS = ["start-talk", "talk-done", "talk.disagreed-done", "talk.failed-bad"]
NAMES = ("a", "b", "c")


def step(priorities=(), **protocol):
    ranks = dict(zip(NAMES, priorities, strict=False))
    return {
        "kind": "team",
        "name": "Talk",
        "protocol": {"type": "debate", **protocol},
        "members": [
            {"uses": {"agent": one, "version": 1}, "priority": ranks.get(one, 0)} for one in NAMES
        ],
        "input": {"n": "input.n"},
        "ballot": "plan",
    }


def talk(*priorities, **protocol):
    flow = Flow({"talk": step(priorities, **protocol), "bad": BAD_END}, ARROWS)
    flow.start(n=3)
    return flow


def propose(flow, begin, *plans):
    for who, plan in enumerate(plans):
        name = f"talk.{begin + who}_{who}"
        if plan is None:
            flow.fail(name, retryable=False)
        else:
            flow.succeed(name, {"plan": plan})


def test_in_the_next_round_everybody_knows_what_the_others_proposed():
    flow = talk()
    assert flow.emitted("invoke_agent")[0].input == {"task": {"n": 3}, "round": 1, "others": []}
    propose(flow, 0, "x", "y", None)
    calls = {one.step: one.input for one in flow.emitted("invoke_agent")}
    assert calls == {
        "talk.3_0": {
            "task": {"n": 3},
            "round": 2,
            "own": "x",
            "others": [{"name": "b", "proposal": "y"}],
        },
        "talk.4_1": {
            "task": {"n": 3},
            "round": 2,
            "own": "y",
            "others": [{"name": "a", "proposal": "x"}],
        },
        "talk.5_2": {
            "task": {"n": 3},
            "round": 2,
            "others": [{"name": "a", "proposal": "x"}, {"name": "b", "proposal": "y"}],
        },
    }


def test_a_debate_stops_with_agreement_and_keeps_the_losing_proposals():
    flow = talk()
    propose(flow, 0, "x", "y", "z")
    propose(flow, 3, "x", "x", "z")
    run = flow.step("talk")
    assert run.port == "next"
    output = run.result.output
    assert (output["decision"], output["rounds"], output["stopped_by"]) == ("x", 2, "agreement")
    assert [one["proposal"] for one in output["proposals"]] == ["x", "x", "z"]
    assert run.result.basis[0].row == "agreement"
    assert replay(flow.workflow, "run-1", flow.journal) == flow.state


def test_a_debate_without_agreement_disagrees_after_its_last_round():
    flow = talk(max_rounds=2)
    propose(flow, 0, "x", "y", "z")
    propose(flow, 3, "x", "y", "z")
    run = flow.step("talk")
    assert (run.port, run.result.output["stopped_by"]) == ("disagreed", "max_rounds")
    assert "decision" not in run.result.output
    assert run.result.reason == "The team disagrees: the most weight is 1 of 3 after 2 rounds."


def test_the_highest_priority_decides_when_that_is_declared():
    flow = talk(0, 2, 5, max_rounds=1, arbitrate=True)
    flow.succeed("talk.0_0", {"plan": "x"})
    flow.succeed("talk.1_1", {"plan": "y"})
    flow.fail("talk.2_2", retryable=False)
    run = flow.step("talk")
    assert run.port == "next"
    output = run.result.output
    assert (output["decision"], output["by"], output["stopped_by"]) == ("y", "b", "priority")
    assert [one["proposal"] for one in output["proposals"]] == ["x", "y"]
    assert output["absent"] == [{"agent": "c", "reason": "It broke."}]


def test_too_few_proposals_fail_the_step():
    flow = talk()
    propose(flow, 0, "x", None, None)
    result = flow.step("talk").result
    assert result.reason_code == "too_few_votes"
    assert "2 of 3 members gave none. b: It broke." in result.reason


def test_a_debater_that_proposes_nothing_is_found_before_it_runs():
    takes = {"type": "object", "properties": {"n": {"type": "integer"}}}
    made = definition({"talk": step(), "bad": BAD_END}, ARROWS, input=takes)
    role = debater("plan", {"type": "string"})
    gives = {**role.gives, "required": ["plan"]}
    good = [agent(one, takes=role.takes, gives=gives) for one in NAMES]
    assert not check_definition(made, catalogue(*good))
    mute = agent("c", takes=role.takes, gives={"type": "object", "properties": {"x": {}}})
    codes = {(one.code, one.field) for one in check_definition(made, catalogue(*good[:2], mute))}
    assert ("role_does_not_fit", "members.2") in codes
