"""Peers pass the work along an allowed matrix."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from orchestrator.core.checks import check_definition
from orchestrator.core.events import RunResumed
from orchestrator.core.planner import replay
from orchestrator.core.roles import PEER
from tests.unit.core.flows import Flow, agent, catalogue, definition

BAD_END = {"kind": "end", "name": "Bad", "outcome": "failed"}
ARROWS = ["start-desk", "desk-done", "desk.failed-bad"]


def step(hops=8, **passes):
    return {
        "kind": "team",
        "name": "Desk",
        "protocol": {"type": "handoff", "max_hops": hops},
        "members": [
            {
                "uses": {"agent": one, "version": 1},
                "purpose": f"Does {one}.",
                **({"passes_to": passes[one]} if one in passes else {}),
            }
            for one in ("a", "b", "c")
        ],
        "input": {"n": "input.n"},
    }


def desk(hops=8, **passes):
    flow = Flow({"desk": step(hops, **passes), "bad": BAD_END}, ARROWS)
    flow.start(n=3)
    return flow


def to(name, **given):
    return {"pass": {"to": name, "with": given}}


def failure(flow):
    return flow.step("desk").result.reason_code, flow.step("desk").result.reason


def test_the_first_member_begins_and_knows_to_whom_it_may_pass():
    flow = desk(a=["c"])
    (call,) = flow.emitted("invoke_agent")
    assert (call.step, call.input) == (
        "desk.0_0",
        {"task": {"n": 3}, "peers": [{"name": "c", "purpose": "Does c."}], "left": 8},
    )


def test_the_work_goes_from_hand_to_hand_until_one_ends_it():
    flow = desk()
    flow.succeed("desk.0_0", to("b", seen=1))
    (call,) = flow.emitted("invoke_agent")
    assert call.step == "desk.1_1"
    assert call.input["from"] == "a"
    assert (call.input["with"], call.input["left"]) == ({"seen": 1}, 7)
    assert [one["name"] for one in call.input["peers"]] == ["a", "c"]
    flow.succeed("desk.1_1", to("a"))
    flow.succeed("desk.2_0", {"output": {"z": 1}})
    run = flow.step("desk")
    assert run.result.output == {"output": {"z": 1}, "by": "a", "path": ["a", "b", "a"], "hops": 2}
    assert run.result.basis[0].values == {"hops": 2}
    assert replay(flow.workflow, "run-1", flow.journal) == flow.state


@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        (to("b"), "pass_refused", "a may not pass the work to 'b', but to c."),
        (to("a"), "pass_refused", "a may not pass the work to 'a'"),
        (to("ghost"), "pass_refused", "'ghost'"),
        ({}, "answer_refused", "neither passed nor ended it."),
        ({**to("c"), "output": {}}, "answer_refused", "both passed the work on and ended it."),
        ({"pass": {}}, "answer_refused", "/pass"),
    ],
)
def test_a_pass_outside_of_the_matrix_is_refused_with_its_reason(answer, code, words):
    flow = desk(a=["c"])
    flow.succeed("desk.0_0", answer)
    found, reason = failure(flow)
    assert found == code
    assert words in reason
    assert flow.state.outcome == "failed"


def test_the_work_is_passed_on_so_many_times_at_most():
    flow = desk(hops=1)
    flow.succeed("desk.0_0", to("b"))
    flow.succeed("desk.1_1", to("c"))
    assert failure(flow) == ("too_many_hops", "The work may be passed on once, and has been.")
    flow.send(RunResumed(step="desk", reason="again", actor="otto"))
    assert flow.calls() == ["desk.1_1"]
    flow.succeed("desk.1_1", {"output": {}})
    assert flow.state.status.value == "succeeded"


def test_a_member_that_fails_fails_the_step_because_it_has_the_work():
    flow = desk()
    flow.fail("desk.0_0", retryable=False)
    assert failure(flow) == ("member_failed", "a failed: It broke.")


def test_a_pass_to_nobody_of_the_team_is_found_before_it_runs():
    takes = {"type": "object", "properties": {"n": {"type": "integer"}}}
    peers = [agent(one, takes=PEER.takes, gives=PEER.gives) for one in "abc"]

    def found(**passes):
        made = definition({"desk": step(**passes), "bad": BAD_END}, ARROWS, input=takes)
        return {(one.code, one.field) for one in check_definition(made, catalogue(*peers))}

    assert found(a=["b"]) == set()
    assert found(a=["a"], b=["ghost"]) == {
        ("unknown_member", "members.0.passes_to"),
        ("unknown_member", "members.1.passes_to"),
    }


def test_only_what_the_way_of_working_reads_may_be_said_of_a_member():
    made = step(a=["b"])
    with pytest.raises(ValidationError, match="only a member of a relay"):
        definition({"desk": {**made, "protocol": {"type": "auction"}}}, [])
    made["members"][0] = {"uses": {"agent": "a", "version": 1}, "priority": 1}
    with pytest.raises(ValidationError, match="only a member of a debate"):
        definition({"desk": made}, [])
