"""Members agree who does what, and then do it."""

from __future__ import annotations

import pytest

from orchestrator.core.checks import check_definition
from orchestrator.core.events import RunResumed
from orchestrator.core.planner import replay
from orchestrator.core.roles import NEGOTIATOR
from tests.unit.core.flows import Flow, agent, catalogue, definition

BAD_END = {"kind": "end", "name": "Bad", "outcome": "failed"}
ARROWS = ["start-crew", "crew-done", "crew.disagreed-done", "crew.failed-bad"]
NAMES = ("a", "b", "c")
YES, NO = {"accept": True}, {"accept": False, "reason": "Too much."}


def step(**protocol):
    return {
        "kind": "team",
        "name": "Crew",
        "protocol": {"type": "negotiate", **protocol},
        "members": [{"uses": {"agent": one, "version": 1}} for one in NAMES],
        "input": {"n": "input.n"},
    }


def crew(**protocol):
    flow = Flow({"crew": step(**protocol), "bad": BAD_END}, ARROWS)
    flow.start(n=3)
    return flow


def split(*names):
    return {"split": [{"member": one, "part": {"of": one}} for one in names]}


def agreed():
    flow = crew()
    flow.succeed("crew.0_0", split("b", "c"))
    flow.succeed("crew.1_1", YES)
    flow.succeed("crew.2_2", YES)
    return flow


def test_one_proposes_and_all_others_are_asked_whether_they_accept():
    flow = crew()
    (call,) = flow.emitted("invoke_agent")
    assert (call.step, call.input["ask"], call.input["round"]) == ("crew.0_0", "propose", 1)
    assert [one["name"] for one in call.input["members"]] == ["a", "b", "c"]
    flow.succeed("crew.0_0", split("b", "c"))
    assert flow.calls() == ["crew.1_1", "crew.2_2"]
    given = flow.emitted("invoke_agent")[0].input
    assert given == {"ask": "accept", "task": {"n": 3}, "by": "a", **split("b", "c")}


def test_the_parts_begin_only_when_all_have_accepted():
    flow = crew()
    flow.succeed("crew.0_0", split("b", "c"))
    flow.succeed("crew.1_1", YES)
    assert flow.calls() == []
    flow.succeed("crew.2_2", YES)
    calls = {one.uses.agent: one.input for one in flow.emitted("invoke_agent")}
    assert calls == {
        one: {"ask": "work", "task": {"n": 3}, "part": {"of": one}} for one in ("b", "c")
    }


def test_the_agreed_split_stands_with_what_came_of_each_part():
    flow = agreed()
    flow.succeed("crew.4_2", {"output": {"y": 2}})
    flow.succeed("crew.3_1", {"output": {"y": 1}})
    run = flow.step("crew")
    assert run.port == "next"
    assert run.result.output == {
        **split("b", "c"),
        "by": "a",
        "rounds": 1,
        "outputs": [
            {"member": "b", "output": {"y": 1}},
            {"member": "c", "output": {"y": 2}},
        ],
        "refused": [],
    }
    assert run.result.basis[0].values == {"rounds": 1, "parts": 2}
    assert replay(flow.workflow, "run-1", flow.journal) == flow.state


def test_the_next_member_proposes_when_one_refuses_and_reads_why():
    flow = crew()
    flow.succeed("crew.0_0", split("b", "c"))
    flow.succeed("crew.1_1", NO)
    flow.fail("crew.2_2", retryable=False)
    (call,) = flow.emitted("invoke_agent")
    assert (call.uses.agent, call.input["round"]) == ("b", 2)
    assert call.input["refused"] == [
        {
            "by": "a",
            **split("b", "c"),
            "reasons": [
                {"member": "b", "reason": "Too much."},
                {"member": "c", "reason": "It broke."},
            ],
        }
    ]


@pytest.mark.parametrize(
    ("proposal", "words"),
    [
        ({}, "no split that can be read"),
        ({"split": []}, "no split that can be read"),
        (split("b", "ghost"), "gives a part to ghost, who is not in the team"),
        (split("b", "b"), "gives one member two parts"),
    ],
)
def test_a_split_that_cannot_be_used_counts_as_refused(proposal, words):
    flow = crew(max_rounds=1)
    flow.succeed("crew.0_0", proposal)
    run = flow.step("crew")
    assert (run.port, run.result.reason) == (
        "disagreed",
        "The team has agreed no split in one round.",
    )
    (refused,) = run.result.output["refused"]
    assert words in refused["reasons"][0]["reason"]


def test_a_part_that_fails_fails_the_step_and_is_done_again_alone():
    flow = agreed()
    flow.succeed("crew.3_1", {"output": {"y": 1}})
    flow.fail("crew.4_2", retryable=False)
    result = flow.step("crew").result
    assert (result.reason_code, result.reason) == (
        "part_failed",
        "The part of c failed: It broke.",
    )
    flow.send(RunResumed(step="crew", reason="again", actor="otto"))
    assert flow.calls() == ["crew.4_2"]
    flow.succeed("crew.4_2", {"output": {}})
    assert flow.state.status.value == "succeeded"


def test_a_negotiator_that_cannot_answer_is_found_before_it_runs():
    takes = {"type": "object", "properties": {"n": {"type": "integer"}}}
    made = definition({"crew": step(), "bad": BAD_END}, ARROWS, input=takes)
    good = [agent(one, takes=NEGOTIATOR.takes, gives=NEGOTIATOR.gives) for one in NAMES]
    assert not check_definition(made, catalogue(*good))
    mute = agent("c", takes=NEGOTIATOR.takes, gives={"type": "object", "properties": {"x": {}}})
    (found,) = check_definition(made, catalogue(*good[:2], mute))
    assert (found.code, found.field) == ("role_does_not_fit", "members.2")
