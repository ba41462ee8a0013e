"""A person gives a result in an agent's place."""

from __future__ import annotations

import pytest

from orchestrator.core.events import ResultGiven
from orchestrator.core.overrides import giver_of
from orchestrator.core.planner import overridable_steps, replay
from tests.unit.core.flows import Flow, agent, call, not_found, uncertain

GIVES = {"type": "object", "properties": {"v": {"type": "integer"}}, "required": ["v"]}


def row_of(*, mode="inbox", retry=1, arrows=("start-a", "a-b", "b-done")):
    return Flow(
        {
            "a": call("look", retry={"max_attempts": retry}),
            "b": call("use", input={"v": "steps.a.output.v"}),
        },
        list(arrows),
        agent("look", gives=GIVES),
        policies={"exceptions": {"mode": mode, "outcome": "failed"}},
    )


def give(flow, step="a", output=None, *, iteration=None):
    return flow.send(
        ResultGiven(
            step=step,
            iteration=iteration or flow.step(step).iteration,
            output={"v": 7} if output is None else output,
            reason="Read it on the telephone.",
            actor="otto",
        )
    )


def test_a_result_given_for_a_step_in_the_inbox_lets_the_run_go_on_and_withdraws_the_question():
    flow = row_of()
    flow.start()
    flow.fail("a")
    assert overridable_steps(flow.workflow, flow.state) == ("a",)
    give(flow)
    assert flow.status("a") == "succeeded"
    assert flow.calls() == ["b"]
    assert flow.emitted("invoke_agent")[0].input == {"v": 7}
    (withdrawn,) = flow.emitted("withdraw_review")
    assert (withdrawn.step, withdrawn.iteration, withdrawn.because) == ("a", 1, "answered")
    assert [one.timer for one in flow.emitted("cancel_timer")] == ["review/a/1"]


def test_a_given_result_is_the_next_iteration_with_the_same_input_in_the_persons_name():
    flow = row_of()
    flow.start()
    flow.end_with("a", uncertain({"v": 1}))
    give(flow)
    step = flow.step("a")
    assert (step.iteration, step.attempt, step.input) == (2, 0, {})
    assert giver_of(step.result) == "otto"
    assert step.result.reason == "Read it on the telephone."


def test_a_result_given_while_a_step_waits_for_its_next_try_replaces_that_try():
    flow = row_of(retry=3)
    flow.start()
    flow.fail("a", "unavailable")
    assert flow.step("a").waiting_for == "retry"
    timer = flow.timer("a", "retry")
    give(flow)
    assert flow.calls() == ["b"]
    assert [one.timer for one in flow.emitted("cancel_timer")] == [timer]
    flow.fire("a", timer=timer)
    assert flow.plan.events == ()


def test_a_failed_run_goes_on_from_a_given_result_and_runs_nothing_before_it_again():
    flow = row_of(mode="end")
    flow.start()
    flow.succeed("a", {"v": 1})
    flow.fail("b")
    assert flow.state.status == "failed"
    assert overridable_steps(flow.workflow, flow.state) == ("a", "b")
    give(flow, "b", {"anything": True})
    assert flow.calls() == []
    assert flow.state.status == "succeeded"
    assert flow.step("a").iteration == 1
    assert flow.state.resumes == 1


def test_a_result_given_upstream_of_the_failure_lets_what_follows_run_again_with_it():
    flow = row_of(mode="end")
    flow.start()
    flow.succeed("a", {"v": 1})
    flow.fail("b")
    give(flow, "a")
    (called,) = flow.emitted("invoke_agent")
    assert (called.step, called.iteration, called.input) == ("b", 2, {"v": 7})


def test_the_same_result_given_twice_counts_once():
    flow = row_of()
    flow.start()
    flow.end_with("a", not_found())
    give(flow)
    before = flow.state
    give(flow, iteration=1)
    assert flow.state is before


def test_a_result_that_breaks_the_contract_changes_nothing():
    flow = row_of()
    flow.start()
    flow.fail("a")
    before = flow.state
    give(flow, output={"v": "seven"})
    assert flow.state is before


@pytest.mark.parametrize("what", ["running", "pending", "ended well"])
def test_no_result_is_given_for_a_step_that_nobody_waits_for(what):
    flow = row_of()
    if what != "pending":
        flow.start()
    if what == "ended well":
        flow.succeed("a", {"v": 1})
        flow.succeed("b")
        assert flow.state.status == "succeeded"
    assert overridable_steps(flow.workflow, flow.state) == ()


def test_a_gates_decision_is_never_given_in_the_reviewers_place():
    gate = {"kind": "gate", "type": "approve", "name": "Ask", "question": "?",
            "contract": {"type": "object"}}  # fmt: skip
    flow = Flow({"a": gate}, ["start-a", "a.approved-done"])
    flow.start()
    flow.decide("a", "rejected")
    assert flow.step("a").waiting_for == "exception"
    assert overridable_steps(flow.workflow, flow.state) == ()


def test_a_step_without_a_way_on_for_a_value_takes_no_result():
    flow = row_of(arrows=("start-a", "a.not_found-b", "b-done"))
    flow.start()
    flow.fail("a")
    assert overridable_steps(flow.workflow, flow.state) == ()


def test_the_third_choice_of_an_exception_is_to_give_the_result():
    flow = row_of()
    flow.start()
    flow.fail("a")
    flow.decide_exception("a", "give", output={"v": 3})
    assert flow.calls() == ["b"]
    assert giver_of(flow.step("a").result) == "otto"
    assert replay(flow.workflow, "run-1", flow.journal) == flow.state


def test_a_result_chosen_for_an_exception_that_breaks_the_contract_is_asked_for_again():
    flow = row_of()
    flow.start()
    flow.fail("a")
    flow.decide_exception("a", "give", output={})
    assert flow.step("a").waiting_for == "exception"
    assert flow.step("a").result.kind == "contract"
    assert len(flow.emitted("open_review")) == 1
