"""A run is undone: in which order, with what input, and what cannot be undone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.core.checks import check_definition
from orchestrator.core.events import CancelRequested, RollbackRequested, RunResumed, TimerFired
from orchestrator.core.planner import replay
from orchestrator.core.results import Uncertain
from tests.unit.core.flows import Flow, agent, call, catalogue, definition, not_found, refused

GIVES = {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]}
TAKES = {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]}


def writer(slug, **more):
    return replace(agent(slug, gives=GIVES, **more), side_effect="write")


def undo(slug="refund", **input_):
    return {"uses": {"agent": slug, "version": 1}, "input": input_}


def trip(*, outcome=None, retry=1, refund=None, **pay):
    """start → book (no way back) → pay (undone by refund) → read → done."""
    steps = {
        "book": call("book"),
        "pay": call(
            "pay",
            retry={"max_attempts": retry},
            compensation=undo(id="steps.pay.output.id"),
            **pay,
        ),
        "read": call("read"),
    }
    more = {"outcomes": {"done": outcome}} if outcome else {}
    return Flow(
        steps,
        ["start-book", "book-pay", "pay-read", "read-done"],
        writer("book"),
        writer("pay"),
        refund or agent("refund", takes=TAKES),
        **more,
    )


def finished(flow):
    flow.start()
    for name in ("book", "pay", "read"):
        flow.after(1).succeed(name, {"id": name})
    return flow


def roll_back(flow):
    return flow.send(RollbackRequested(reason="A mistake.", actor="otto"))


def test_what_a_step_has_done_is_undone_with_its_own_output_and_the_rest_is_listed():
    flow = finished(trip())
    roll_back(flow)
    assert flow.state.status == "rolling_back"
    (called,) = flow.emitted("invoke_agent")
    assert (called.step, called.uses.agent, called.input) == ("pay", "refund", {"id": "pay"})
    assert (called.iteration, called.idempotency_key) == (2, "run-1/pay/2/undo")
    flow.succeed("pay", {})
    assert flow.state.status == "rolled_back"
    assert flow.status("pay") == "compensated"
    assert [flow.status(one) for one in ("book", "read", "done")] == ["succeeded"] * 3
    assert list(flow.state.not_undone) == ["book"]
    assert "no way to undo it" in flow.state.not_undone["book"]
    assert replay(flow.workflow, "run-1", flow.journal) == flow.state


def test_the_latest_step_is_undone_first_and_the_next_only_after_it():
    steps = {
        name: call(name, compensation=undo(id=f"steps.{name}.output.id")) for name in ("a", "b")
    }
    flow = Flow(
        steps, ["start-a", "a-b", "b-done"], *map(writer, "ab"), agent("refund", takes=TAKES)
    )
    flow.start()
    flow.after(1).succeed("a", {"id": "1"})
    flow.after(1).succeed("b", {"id": "2"})
    roll_back(flow)
    assert flow.calls() == ["b"]
    assert flow.status("a") == "pending"
    flow.succeed("b", {})
    assert flow.calls() == ["a"]
    assert flow.emitted("invoke_agent")[0].input == {"id": "1"}
    flow.succeed("a", {})
    assert (flow.state.status, flow.state.not_undone) == ("rolled_back", {})


def test_a_compensation_has_the_tries_of_its_step_and_is_given_up_after_them():
    flow = finished(trip(retry=2))
    roll_back(flow)
    flow.fail("pay", "unavailable")
    assert flow.step("pay").waiting_for == "retry"
    flow.fire("pay")
    (again,) = flow.emitted("invoke_agent")
    assert (again.attempt, again.idempotency_key) == (2, "run-1/pay/2/undo")
    flow.fail("pay", "unavailable")
    assert flow.state.status == "rolled_back"
    assert flow.status("pay") == "failed"
    assert flow.state.not_undone["pay"] == "Undoing it did not succeed: It broke."


@pytest.mark.parametrize(
    "answer", [refused(), Uncertain(reason_code="x", reason="?", output={}, score=0.1)]
)
def test_an_agent_that_will_not_or_is_not_sure_has_not_undone_it(answer):
    flow = finished(trip())
    roll_back(flow)
    flow.end_with("pay", answer)
    assert "pay" in flow.state.not_undone
    assert flow.status("pay") == "failed"


def test_where_nothing_is_left_to_undo_the_step_counts_as_undone():
    flow = finished(trip())
    roll_back(flow)
    flow.end_with("pay", not_found())
    assert flow.status("pay") == "compensated"


def test_a_compensation_that_must_not_be_repeated_is_not_when_nobody_knows_what_it_did():
    refund = agent("refund", takes=TAKES, effect="once")
    flow = finished(trip(retry=3, refund=refund))
    roll_back(flow)
    flow.fail("pay", "timeout")
    assert flow.state.status == "rolled_back"
    assert "pay" in flow.state.not_undone


def test_an_outcome_that_asks_for_it_rolls_the_run_back_by_itself():
    outcome = {"kind": "success", "title": "Done", "rollback": True}
    flow = finished(trip(outcome=outcome))
    assert flow.state.status == "rolling_back"
    assert [one.type for one in flow.plan.events if one.type.startswith("r")][-2:] == [
        "run_ended",
        "rollback_begun",
    ]
    flow.succeed("pay", {})
    assert (flow.state.status, flow.state.outcome) == ("rolled_back", "done")


def test_a_call_that_was_broken_off_may_have_changed_something_and_is_listed():
    flow = trip()
    flow.start()
    flow.send(CancelRequested(reason="Stop.", actor="otto"))
    roll_back(flow)
    assert flow.state.status == "rolled_back"
    assert "broken off" in flow.state.not_undone["book"]


def test_nothing_to_undo_changes_nothing_and_nobody_rolls_back_twice():
    plain = Flow({"a": call("read")}, ["start-a", "a-done"])
    plain.start()
    assert roll_back(plain).events == ()  # it has not ended
    plain.succeed("a")
    before = plain.state
    roll_back(plain)
    assert plain.state is before
    flow = finished(trip())
    roll_back(flow)
    before = flow.state
    roll_back(flow)
    assert flow.state is before
    flow.succeed("pay", {})
    before = flow.state
    roll_back(flow)
    assert flow.state is before


def test_a_rollback_is_not_cancelled_timed_out_or_resumed():
    flow = finished(trip())
    roll_back(flow)
    before = flow.state
    flow.send(CancelRequested(reason="Stop.", actor="otto"))
    flow.send(TimerFired(timer="run_timeout/0", purpose="run_timeout"))
    flow.send(RunResumed(step="pay", reason="Again.", actor="otto"))
    assert flow.state is before


def test_a_compensation_whose_input_is_not_there_is_listed_with_the_place():
    flow = trip()
    flow.start()
    flow.succeed("book", {"id": "b"})
    flow.succeed("pay", {"other": 1})
    flow.succeed("read", {})
    roll_back(flow)
    assert flow.calls() == []
    assert "/id" in flow.state.not_undone["pay"]


def codes(step, *agents):
    found = check_definition(
        definition({"a": step}, ["start-a", "a-done"]), catalogue(writer("pay"), *agents)
    )
    return {(one.code, one.field) for one in found if (one.field or "").startswith("compensation")}


def test_the_checker_wants_the_agent_its_fields_and_values_that_fit():
    refund = agent("refund", takes=TAKES)
    good = call("pay", compensation=undo(id="steps.a.output.id"))
    assert codes(good, refund) == set()
    assert codes(good) == {("unknown_agent", "compensation.uses")}
    assert codes(call("pay", compensation=undo()), refund) == {
        ("missing_field", "compensation.input.id")
    }
    assert codes(call("pay", compensation=undo(id="1 + 1")), refund) == {
        ("does_not_fit", "compensation.input.id")
    }
    assert ("unknown_step", "compensation.input.id") in codes(
        call("pay", compensation=undo(id="steps.nobody.output.id")), refund
    )
