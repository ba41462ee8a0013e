"""A run is undone: in which order, with what input, and what cannot be undone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.core.checks import check_definition
from orchestrator.core.events import (
    CancelRequested,
    ResultGiven,
    RollbackRequested,
    RunResumed,
    TimerFired,
)
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


# ---- what was called before ---------------------------------------------------------------------


def looping(when, pay=None):
    """start → r, which calls pay or passes it by → check, which may lead back to r once → done."""
    route = {"port": "yes", "title": "Yes", "when": when}
    steps = {
        "r": {"kind": "router", "name": "R", "routes": [route]},
        "pay": call("pay", compensation=undo(id="steps.pay.output.id")),
        "check": call("check"),
    }
    arrows = ["start-r", "r.yes-pay", "r.default-check", "pay-check", "check-done"]
    flow = Flow(
        steps, [*arrows, "check.not_found-r ^1"], pay or writer("pay"), agent("refund", takes=TAKES)
    )
    flow.start()
    return flow


def test_a_round_that_passed_the_step_by_does_not_hide_what_the_one_before_it_did():
    flow = looping("steps.r.round == 1")
    flow.succeed("pay", {"id": "1"})
    flow.end_with("check", not_found())
    assert flow.status("pay") == "skipped"
    flow.succeed("check")
    roll_back(flow)
    assert flow.calls() == []
    assert "called before its last result" in flow.state.not_undone["pay"]


def test_a_round_that_passed_the_step_by_is_no_call_that_is_left():
    flow = looping("steps.r.round == 2")
    flow.end_with("check", not_found())
    flow.after(1).succeed("pay", {"id": "2"})
    flow.after(1).succeed("check")
    roll_back(flow)
    assert flow.calls() == ["pay"]
    assert flow.state.not_undone == {}


@pytest.mark.parametrize(("pay", "left"), [(writer("pay"), ["pay"]), (agent("pay"), [])])
def test_of_a_step_that_ran_in_two_rounds_the_last_is_undone_and_the_first_is_told(pay, left):
    flow = looping("steps.r.round < 9", pay)
    flow.succeed("pay", {"id": "1"})
    flow.end_with("check", not_found())
    flow.after(1).succeed("pay", {"id": "2"})
    flow.after(1).succeed("check")
    roll_back(flow)
    assert flow.emitted("invoke_agent")[0].input == {"id": "2"}
    assert list(flow.state.not_undone) == left, "who changes nothing has nothing to be told of"


def test_a_call_that_nobody_knows_the_end_of_stays_told_when_a_person_gives_its_result():
    flow = Flow(
        {"pay": call("pay", compensation=undo(id="steps.pay.output.id"))},
        ["start-pay", "pay-done"],
        writer("pay", effect="once"),
        agent("refund", takes=TAKES),
    )
    flow.start()
    flow.fail("pay", "timeout")
    flow.decide_exception("pay", "give", output={"id": "mine"})
    assert flow.state.status == "succeeded"
    roll_back(flow)
    assert flow.calls() == []
    assert list(flow.state.not_undone) == ["pay"]


@pytest.mark.parametrize(
    ("kind", "left"), [("timeout", ["book", "pay"]), ("unavailable", ["book"])]
)
def test_a_try_that_nobody_knows_the_end_of_is_told_though_the_last_one_failed_for_certain(
    kind, left
):
    flow = trip(retry=2)
    flow.start()
    flow.after(1).succeed("book", {"id": "b"})
    flow.fail("pay", kind)
    flow.fire("pay")
    flow.fail("pay", "agent_error", retryable=False)
    flow.after(1).decide_exception("pay", "end")
    roll_back(flow)
    assert sorted(flow.state.not_undone) == left


def failed_after_pay():
    flow = trip()
    flow.start()
    flow.after(1).succeed("book", {"id": "b"})
    flow.after(1).succeed("pay", {"id": "1"})
    flow.after(1).fail("read", retryable=False)
    flow.after(1).decide_exception("read", "end")
    return flow


def test_what_a_step_did_stays_told_when_a_person_gives_another_result_for_it():
    flow = failed_after_pay()
    flow.send(
        ResultGiven(step="pay", iteration=1, output={"id": "mine"}, reason="known", actor="otto")
    )
    flow.after(1).succeed("read")
    roll_back(flow)
    assert flow.calls() == []
    assert "called before" in flow.state.not_undone["pay"]


def test_what_a_step_did_with_its_first_input_stays_told_when_it_runs_with_another():
    flow = failed_after_pay()
    flow.send(RunResumed(step="pay", input={"sum": 2}, reason="Wrong sum.", actor="otto"))
    flow.after(1).succeed("pay", {"id": "2"})
    flow.after(1).succeed("read")
    roll_back(flow)
    assert flow.emitted("invoke_agent")[0].input == {"id": "2"}
    assert "called before" in flow.state.not_undone["pay"]


@pytest.mark.parametrize(("kind", "left"), [("timeout", ["pay"]), ("unavailable", [])])
def test_an_agent_that_another_took_over_from_is_told_when_nobody_knows_what_it_did(kind, left):
    step = call(
        "pay",
        fallbacks=[{"agent": "spare", "version": 1}],
        retry={"max_attempts": 1},
        compensation=undo(id="steps.pay.output.id"),
    )
    flow = Flow(
        {"pay": step},
        ["start-pay", "pay-done"],
        writer("pay"),
        writer("spare"),
        agent("refund", takes=TAKES),
    )
    flow.start()
    flow.fail("pay", kind)
    flow.after(1).succeed("pay", {"id": "spare's"})
    roll_back(flow)
    assert flow.emitted("invoke_agent")[0].input == {"id": "spare's"}
    assert list(flow.state.not_undone) == left


# ---- the checker ---------------------------------------------------------------------------------


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
