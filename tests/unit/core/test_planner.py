"""What the planner does, one sentence per test."""

from __future__ import annotations

from datetime import timedelta

import pytest

from orchestrator.core.catalogue import DomainType, Repair
from orchestrator.core.events import (
    AttemptLost,
    AttemptSucceeded,
    CancelRequested,
    ContinueRequested,
    PauseRequested,
    RunResumed,
    RunStarted,
)
from orchestrator.core.planner import Course, plan, replay, resumable_steps, title_of
from orchestrator.core.progress import Progress
from orchestrator.core.results import Value
from orchestrator.core.state import RunState
from tests.unit.core.flows import ANY, START, Flow, agent, call, not_found, refused, uncertain

GATE = {"kind": "gate", "name": "Gate", "type": "review", "question": "OK?", "contract": ANY}
JOIN = {"kind": "join", "name": "Join"}
BAD_END = {"kind": "end", "name": "Bad", "outcome": "failed"}
NEEDS_N = {
    "type": "object",
    "properties": {"n": {"type": "integer"}},
    "required": ["n"],
    "additionalProperties": False,
}


def line(**step):
    """start -> a -> done."""
    return Flow({"a": call("a", **step)}, ["start-a", "a-done"])


def pause(flow):
    return flow.send(PauseRequested(reason="hold", actor="otto"))


def go_on(flow):
    return flow.send(ContinueRequested(reason="go", actor="otto"))


def cancel(flow):
    return flow.send(CancelRequested(reason="enough", actor="otto"))


def resume(flow, step, input_=None):
    return flow.send(RunResumed(step=step, input=input_, reason="again", actor="otto"))


# ---- starting and links ----------------------------------------------------------------------


def test_starting_a_run_calls_the_first_agent_with_its_mapped_input():
    flow = line(input={"x": "input.n"})
    flow.start(n=3)
    (command,) = flow.emitted("invoke_agent")
    assert command.input == {"x": 3}
    assert command.idempotency_key == "run-1/a/1"
    assert (command.iteration, command.attempt, command.timeout_seconds) == (1, 1, 30)
    assert flow.state.status == "running"


def test_a_second_start_changes_nothing():
    flow = line()
    flow.start()
    state = flow.state
    assert flow.start().state is state


def test_a_run_ends_in_the_outcome_of_the_end_step_with_its_result():
    flow = Flow(
        {
            "a": call("a"),
            "done": {
                "kind": "end",
                "name": "E",
                "outcome": "done",
                "result": {"v": "steps.a.output.v"},
            },
        },
        ["start-a", "a-done"],
    )
    flow.start()
    flow.succeed("a", {"v": 7})
    assert (flow.state.status, flow.state.outcome, flow.state.result) == (
        "succeeded",
        "done",
        {"v": 7},
    )


def test_an_absent_plain_path_leaves_its_field_out():
    flow = line(input={"x": "input.n", "y": "input.missing"})
    flow.start(n=3)
    assert flow.emitted("invoke_agent")[0].input == {"x": 3}


def test_a_null_is_passed_on_and_not_left_out():
    flow = line(input={"x": "input.n"})
    flow.start(n=None)
    assert flow.emitted("invoke_agent")[0].input == {"x": None}


def test_several_links_from_one_port_start_their_targets_side_by_side():
    flow = Flow(
        {"a": call("a"), "b": call("b"), "j": JOIN}, ["start-a", "start-b", "a-j", "b-j", "j-done"]
    )
    flow.start()
    assert flow.calls() == ["a", "b"]


def test_a_step_whose_links_are_all_dead_is_skipped_and_so_is_what_follows():
    flow = Flow(
        {"a": call("a"), "b": call("b"), "c": call("c")},
        ["start-a", "a-done", "a.not_found-b", "b-c", "c-done"],
    )
    flow.start()
    flow.succeed("a")
    assert [flow.status(name) for name in "bc"] == ["skipped", "skipped"]
    assert flow.state.links["b.next-c"] == "dead"
    assert flow.state.status == "succeeded"


def test_a_merge_without_a_join_waits_for_all_links_and_takes_what_came():
    flow = Flow(
        {"a": call("a"), "b": call("b"), "m": call("m")},
        ["start-a", "start-b", "a-m", "b.not_found-m", "b-done", "m-done"],
    )
    flow.start()
    flow.succeed("a")
    assert flow.calls() == []
    flow.end_with("b", not_found())
    assert flow.calls() == ["m"]


def test_only_as_many_agents_run_as_the_policy_allows_and_the_rest_follow():
    names = "abcde"
    flow = Flow(
        {**{name: call(name) for name in names}, "j": JOIN},
        [*(f"start-{name}" for name in names), *(f"{name}-j" for name in names), "j-done"],
        policies={"max_parallel": 2},
    )
    flow.start()
    assert flow.calls() == ["a", "b"]
    assert flow.status("c") == "ready"
    flow.succeed("a")
    assert flow.calls() == ["c"]


def test_an_end_closes_everything_that_is_still_open():
    flow = Flow(
        {
            "a": call("a"),
            "b": call("b"),
            "c": call("c"),
            "g": GATE,
            "stop": {**BAD_END, "outcome": "done"},
        },
        ["start-a", "start-b", "start-g", "a-stop", "b-c", "c-done", "g.approved-done"],
    )
    flow.start()
    flow.succeed("a")
    assert flow.state.status == "succeeded"
    assert [flow.status(name) for name in "bgc"] == ["cancelled", "cancelled", "skipped"]
    assert [(c.step, c.attempt) for c in flow.emitted("cancel_attempt")] == [("b", 1)]
    assert [c.step for c in flow.emitted("withdraw_review")] == ["g"]
    assert {c.timer for c in flow.emitted("cancel_timer")} == {"review/g/1", "run_timeout/0"}


def test_nothing_is_started_by_the_event_that_ends_the_run():
    flow = Flow(
        {"a": call("a"), "b": call("b"), "stop": {**BAD_END, "outcome": "done"}},
        ["start-a", "a-b", "a-stop", "b-done"],
    )
    flow.start()
    flow.succeed("a")
    assert flow.state.status == "succeeded"
    assert flow.calls() == []
    assert flow.status("b") == "cancelled"


# ---- routers and joins ----------------------------------------------------------------------------


def routed(when="input.n > 10"):
    router = {
        "kind": "router",
        "name": "R",
        "routes": [
            {"port": "big", "title": "Big", "when": when},
            {"port": "some", "title": "Some", "when": "input.n > 5"},
        ],
    }
    return Flow(
        {"r": router, "a": call("a"), "b": call("b"), "c": call("c")},
        ["start-r", "r.big-a", "r.some-b", "r.default-c", "a-done", "b-done", "c-done"],
    )


@pytest.mark.parametrize(("n", "called"), [(11, "a"), (6, "b"), (5, "c")])
def test_a_router_takes_the_first_route_that_holds_else_the_default(n, called):
    flow = routed()
    flow.start(n=n)
    assert flow.calls() == [called]


def test_a_router_tells_which_values_it_looked_at():
    flow = routed()
    flow.start(n=6)
    (chosen,) = [e for e in flow.plan.events if e.type == "route_chosen"]
    assert (chosen.port, chosen.when, chosen.tested) == ("some", "input.n > 5", {"input.n": 6})
    (basis,) = flow.step("r").result.basis
    assert (basis.row, basis.values) == ("some", {"input.n": 6})


def test_a_condition_without_a_value_is_a_contract_failure_and_never_the_default():
    flow = routed()
    flow.start()
    assert flow.step("r").waiting_for == "exception"
    assert flow.step("r").result.kind == "contract"
    assert "'input.n' has no value" in flow.step("r").result.reason


def test_a_person_may_choose_the_route_that_a_router_could_not():
    flow = routed()
    flow.start()
    flow.decide_exception("r", "retry", {"port": "some"})
    assert flow.calls() == ["b"]


def joined(policy="all", **more):
    return Flow(
        {"a": call("a"), "b": call("b"), "j": {**JOIN, "policy": policy}, "bad": BAD_END, **more},
        [
            "start-a",
            "start-b",
            "a-j",
            "b-j",
            "b.failed-j",
            "b.not_found-j",
            "j-done",
            "j.failed-bad",
        ],
    )


def test_a_join_goes_on_when_all_branches_have_arrived():
    flow = joined()
    flow.start()
    flow.succeed("a")
    assert flow.status("j") == "pending"
    flow.succeed("b")
    assert flow.step("j").result.output == {"arrived": ["a", "b"], "missing": []}
    assert flow.state.status == "succeeded"


def test_a_branch_that_found_nothing_has_arrived():
    flow = joined()
    flow.start()
    flow.succeed("a")
    flow.end_with("b", not_found())
    assert flow.step("j").result.output["arrived"] == ["a", "b"]


def test_a_join_of_all_fails_when_a_branch_failed_and_says_which():
    flow = joined()
    flow.start()
    flow.succeed("a")
    flow.fail("b", retryable=False)
    assert flow.step("j").result.reason == "'Join' is missing: b."
    assert (flow.state.status, flow.state.outcome) == ("failed", "failed")
    assert flow.state.failed_step == "j"


def test_a_best_effort_join_goes_on_and_records_what_is_missing():
    flow = joined("best_effort")
    flow.start()
    flow.succeed("a")
    flow.fail("b", retryable=False)
    assert flow.step("j").result.output == {
        "arrived": ["a"],
        "missing": [{"branch": "b", "reason": "It broke."}],
    }
    assert flow.state.status == "succeeded"


def test_links_of_one_named_branch_count_once():
    flow = Flow(
        {"a": call("a"), "b": call("b"), "j": JOIN},
        ["start-a", "start-b", "a-j left", "a.not_found-j left", "b-j right", "j-done"],
    )
    flow.start()
    flow.end_with("a", not_found())
    flow.succeed("b")
    assert flow.step("j").result.output == {"arrived": ["left", "right"], "missing": []}


# ---- results and ports ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("result", "port", "status"),
    [
        (not_found(), "not_found", "succeeded"),
        (uncertain(), "uncertain", "succeeded"),
        (refused(), "refused", "failed"),
    ],
)
def test_each_result_leaves_by_its_own_port(result, port, status):
    flow = Flow({"a": call("a"), "b": call("b")}, ["start-a", "a-done", f"a.{port}-b", "b-done"])
    flow.start()
    flow.end_with("a", result)
    assert (flow.step("a").port, flow.status("a")) == (port, status)
    assert flow.calls() == ["b"]


def test_a_value_below_the_confidence_threshold_is_uncertain_and_says_why():
    flow = Flow(
        {"a": call("a", confidence_threshold=0.8), "b": call("b")},
        ["start-a", "a-done", "a.uncertain-b", "b-done"],
    )
    flow.start()
    flow.succeed("a", {"v": 1}, score=0.7)
    result = flow.step("a").result
    assert (result.type, result.output, result.score) == ("uncertain", {"v": 1}, 0.7)
    assert result.basis[-1].values == {"score_ppm": 700_000, "threshold_ppm": 800_000}
    assert flow.calls() == ["b"]


def test_a_value_at_the_confidence_threshold_is_a_value():
    flow = line(confidence_threshold=0.8)
    flow.start()
    flow.succeed("a", {}, score=0.8)
    assert flow.state.status == "succeeded"


def test_later_steps_see_result_output_reason_and_score():
    shown = {
        "r": "steps.a.result",
        "o": "steps.a.output.v",
        "w": "steps.a.reason",
        "s": "steps.a.score",
    }
    flow = Flow(
        {"a": call("a"), "b": call("b", input=shown)}, ["start-a", "a.uncertain-b", "b-done"]
    )
    flow.start()
    flow.end_with("a", uncertain({"v": 5}))
    assert flow.emitted("invoke_agent")[0].input == {
        "r": "uncertain",
        "o": 5,
        "w": "Not sure.",
        "s": 0.4,
    }


def test_a_skipped_step_has_no_result_and_can_be_asked_about():
    flow = Flow(
        {
            "a": call("a"),
            "b": call("b"),
            "t": {"kind": "transform", "name": "T", "output": {"has": "has(steps.b.output)"}},
        },
        ["start-a", "a-t", "a.not_found-b", "b-t", "t-done"],
    )
    flow.start()
    flow.succeed("a")
    assert flow.step("t").result.output == {"has": False}


# ---- contracts at the handoff -------------------------------------------------------------------------

POLICY = DomainType(
    "PolicyNumber",
    1,
    {"type": "string", "pattern": r"^[A-Z]{2}-\d{3}$"},
    repairs=(Repair(r"[ ._]+", "-", "separators became dashes"),),
    uppercase=True,
)


def policy_flow():
    takes = {
        "type": "object",
        "properties": {"policy": {"$ref": "baton:PolicyNumber"}},
        "required": ["policy"],
    }
    return Flow(
        {"a": call("a", input={"policy": "input.policy"})},
        ["start-a", "a-done"],
        agent("a", takes=takes),
        types={"PolicyNumber": POLICY},
    )


def handoff(flow):
    return next(e for e in flow.plan.events if e.type == "handoff_made")


def test_a_handoff_that_fits_is_recorded_with_its_links():
    flow = policy_flow()
    flow.start(policy="MV-882")
    assert (handoff(flow).verdict, handoff(flow).links) == ("fits", ("start.next-a",))


def test_a_nearly_right_value_is_repaired_and_the_repair_is_recorded():
    flow = policy_flow()
    flow.start(policy="mv 882")
    assert flow.emitted("invoke_agent")[0].input == {"policy": "MV-882"}
    assert handoff(flow).verdict == "repaired"
    assert handoff(flow).repairs == ("/policy: 'mv 882' became 'MV-882'",)


@pytest.mark.parametrize("bad", ["nonsense", "", None])
def test_a_value_that_cannot_be_repaired_is_refused_with_its_path_and_the_agent_is_not_called(bad):
    flow = policy_flow()
    flow.start(policy=bad)
    assert flow.calls() == []
    assert handoff(flow).verdict == "refused"
    assert [v.path for v in handoff(flow).violations] == ["/policy"]
    result = flow.step("a").result
    assert (result.type, result.kind, result.retryable) == ("failed", "contract", False)
    assert flow.step("a").waiting_for == "exception"


def test_an_edited_input_is_held_against_the_contract_too():
    flow = policy_flow()
    flow.start(policy="nonsense")
    flow.decide_exception("a", "retry", {"policy": "still nonsense"})
    assert flow.calls() == []
    assert (flow.step("a").iteration, flow.step("a").waiting_for) == (2, "exception")
    flow.decide_exception("a", "retry", {"policy": "ab.123"})
    assert flow.emitted("invoke_agent")[0].input == {"policy": "AB-123"}
    assert flow.emitted("invoke_agent")[0].idempotency_key == "run-1/a/3"


def test_an_expression_that_fails_at_run_time_fails_the_step_with_the_field():
    flow = line(input={"x": "input.n * 2", "y": "input.n"})
    flow.start(n="text")
    result = flow.step("a").result
    assert [(v.path, v.rule) for v in result.violations] == [("/x", "type")]
    assert flow.step("a").input == {"y": "text"}


def test_an_end_holds_its_result_against_the_outcome():
    flow = Flow(
        {"done": {"kind": "end", "name": "E", "outcome": "done", "result": {"n": "input.n"}}},
        ["start-done"],
        outcomes={"done": {"kind": "success", "title": "Done", "result": NEEDS_N}},
    )
    flow.start(n="three")
    assert flow.step("done").waiting_for == "exception"
    flow.decide_exception("done", "retry", {"n": 3})
    assert (flow.state.status, flow.state.result) == ("succeeded", {"n": 3})


# ---- retries ------------------------------------------------------------------------------------


def test_a_failure_of_a_listed_kind_is_tried_again_after_a_growing_pause():
    flow = line(retry={"max_attempts": 3, "backoff_seconds": 10, "jitter": 0})
    flow.start()
    flow.fail("a", "unavailable")
    assert flow.step("a").waiting_for == "retry"
    assert flow.emitted("start_timer")[0].due_at == START + timedelta(seconds=10)
    assert flow.state.status == "waiting"
    flow.after(10).fire("a")
    assert flow.calls() == ["a"]
    assert flow.emitted("invoke_agent")[0].idempotency_key == "run-1/a/1"
    flow.fail("a", "unavailable")
    assert flow.emitted("start_timer")[0].due_at == START + timedelta(seconds=30)


def test_a_service_that_asks_to_be_left_alone_is_called_no_sooner():
    flow = line(retry={"max_attempts": 3, "backoff_seconds": 10, "jitter": 0})
    flow.start()
    flow.fail("a", "unavailable", retry_after_seconds=90)
    assert flow.emitted("start_timer")[0].due_at == START + timedelta(seconds=90)


def test_no_second_handoff_is_recorded_for_a_further_attempt():
    flow = line()
    flow.start()
    flow.fail("a", "unavailable")
    flow.fire("a")
    assert [e for e in flow.plan.events if e.type == "handoff_made"] == []


def test_attempts_end_and_then_the_result_leaves_by_failed():
    flow = Flow({"a": call("a", retry={"max_attempts": 2})}, ["start-a", "a-done", "a.failed-done"])
    flow.start()
    flow.fail("a", "unavailable")
    flow.fire("a")
    flow.fail("a", "unavailable")
    assert flow.step("a").port == "failed"


@pytest.mark.parametrize(("kind", "retryable"), [("agent_error", True), ("unavailable", False)])
def test_other_failures_are_not_tried_again(kind, retryable):
    flow = line()
    flow.start()
    flow.fail("a", kind, retryable=retryable)
    assert flow.step("a").waiting_for == "exception"


def test_a_lost_call_is_made_again_when_the_agent_is_idempotent():
    flow = line()
    flow.start()
    flow.send(AttemptLost(step="a", iteration=1, attempt=1))
    assert flow.step("a").waiting_for == "retry"


@pytest.mark.parametrize("how", ["lost", "timeout"])
def test_a_call_that_may_happen_once_is_never_repeated_by_the_machine(how):
    flow = Flow(
        {"a": call("pay")}, ["start-a", "a-done", "a.failed-done"], agent("pay", effect="once")
    )
    flow.start()
    if how == "lost":
        flow.send(AttemptLost(step="a", iteration=1, attempt=1))
    else:
        flow.fail("a", "timeout")
    assert flow.step("a").waiting_for == "exception"
    assert (flow.step("a").result.kind, flow.step("a").result.retryable) == ("lost", False)
    assert flow.emitted("open_review")[0].review == "exception"


def test_a_late_answer_of_an_earlier_attempt_changes_nothing():
    flow = line()
    flow.start()
    flow.fail("a", "unavailable")
    flow.fire("a")
    state = flow.state
    assert flow.succeed("a", {"v": 1}, attempt=1).state is state
    assert flow.succeed("a", {"v": 1}, iteration=2).state is state


def test_a_timer_that_fires_twice_counts_once():
    flow = line()
    flow.start()
    flow.fail("a", "unavailable")
    flow.fire("a")
    state = flow.state
    assert flow.fire("a").state is state


# ---- exceptions -----------------------------------------------------------------------------------


def test_an_unlinked_result_goes_to_the_exceptions_inbox_with_what_went_wrong():
    flow = line(input={"x": "input.n"})
    flow.start(n=3)
    flow.end_with("a", not_found("No such policy."))
    (review,) = flow.emitted("open_review")
    assert (review.review, review.assign_role, review.proposal) == (
        "exception",
        "operator",
        {"x": 3},
    )
    assert review.result.type == "not_found"
    assert review.why == "No such policy."
    assert flow.state.status == "waiting"


def test_an_exception_run_again_unchanged_keeps_its_key_and_gets_fresh_attempts():
    flow = line(retry={"max_attempts": 1}, input={"x": "input.n"})
    flow.start(n=3)
    flow.fail("a", "unavailable")
    flow.decide_exception("a", "retry")
    (command,) = flow.emitted("invoke_agent")
    assert (command.attempt, command.idempotency_key, command.input) == (2, "run-1/a/1", {"x": 3})
    flow.fail("a", "unavailable")
    assert flow.step("a").waiting_for == "exception"


def test_a_person_who_runs_a_step_again_gives_it_its_retries_anew():
    flow = line(retry={"max_attempts": 2})
    flow.start()
    flow.fail("a", "unavailable")
    flow.fire("a")
    flow.fail("a", "unavailable")
    flow.decide_exception("a", "retry")
    flow.fail("a", "unavailable")
    assert flow.step("a").waiting_for == "retry"
    flow.fire("a")
    flow.fail("a", "unavailable")
    assert flow.step("a").waiting_for == "exception"


def test_an_exception_run_again_with_other_input_is_the_next_iteration():
    flow = line(input={"x": "input.n"})
    flow.start(n=3)
    flow.fail("a")
    flow.decide_exception("a", "retry", {"x": 4})
    (command,) = flow.emitted("invoke_agent")
    assert (command.iteration, command.attempt, command.input) == (2, 1, {"x": 4})
    assert command.idempotency_key == "run-1/a/2"
    assert {c.timer for c in flow.emitted("cancel_timer")} == {"review/a/1"}


def test_the_same_input_given_back_counts_as_unchanged():
    flow = line(input={"x": "input.n"})
    flow.start(n=3)
    flow.fail("a")
    flow.decide_exception("a", "retry", {"x": 3})
    assert flow.emitted("invoke_agent")[0].iteration == 1


def test_an_exception_ended_by_a_person_ends_the_run_in_the_declared_outcome():
    flow = line()
    flow.start()
    flow.fail("a")
    flow.decide_exception("a", "end")
    state = flow.state
    assert (state.status, state.outcome, state.failed_step) == ("failed", "failed", "a")
    assert flow.status("a") == "failed"


def test_the_end_policy_ends_the_run_at_once():
    flow = Flow(
        {"a": call("a"), "b": call("b")},
        ["start-a", "start-b", "a-done", "b-done"],
        policies={"exceptions": {"mode": "end", "outcome": "failed"}},
    )
    flow.start()
    flow.end_with("a", not_found())
    assert (flow.state.status, flow.state.failed_step) == ("failed", "a")
    assert [c.step for c in flow.emitted("cancel_attempt")] == ["b"]


def test_an_exception_that_nobody_decides_ends_the_run_in_time():
    flow = line()
    flow.start()
    flow.fail("a")
    flow.fire("a", "review_due")
    assert flow.state.status == "failed"
    assert flow.emitted("withdraw_review")[0].because == "expired"


def test_one_decision_counts_once_even_when_the_step_waits_again():
    flow = line(retry={"max_attempts": 1})
    flow.start()
    flow.fail("a")
    flow.decide_exception("a", "retry", task="t1")
    flow.fail("a")
    state = flow.state
    assert flow.decide_exception("a", "end", task="t1").state is state


# ---- gates ------------------------------------------------------------------------------------------


def gate_flow(**gate):
    return Flow(
        {"a": call("a"), "g": {**GATE, **gate}, "r": call("r"), "f": call("f")},
        ["start-a", "a-g", "g.approved-done", "g.rejected-r", "g.returned-f", "r-done", "f-done"],
    )


def test_a_gate_opens_a_review_with_everything_evaluated():
    flow = gate_flow(
        proposal={"pay": "steps.a.output.pay"},
        why="'Above ' + string(1000)",
        title="steps.a.output.title",
        confidence="steps.a.score",
        evidence=[
            {
                "title": "Fields",
                "kind": "fields",
                "value": "steps.a.output",
                "sources": "input.src",
            },
            {"title": "Photo", "kind": "image", "value": "input.photo"},
        ],
    )
    flow.start(src={"/pay": {}})
    flow.succeed("a", {"pay": 5, "title": "Claim 7"}, score=0.9)
    (review,) = flow.emitted("open_review")
    assert (review.proposal, review.why, review.title) == ({"pay": 5}, "Above 1000", "Claim 7")
    assert review.confidence == 0.9
    assert review.evidence[0] == {
        "title": "Fields",
        "kind": "fields",
        "value": {"pay": 5, "title": "Claim 7"},
        "sources": {"/pay": {}},
    }
    assert review.evidence[1]["value"] == "Not available: 'input.photo' has no value."
    assert flow.state.status == "waiting"


def test_a_proposal_that_breaks_the_gates_contract_reaches_nobody():
    flow = gate_flow(proposal={"n": "input.n"}, contract=NEEDS_N)
    flow.start(n="x")
    flow.succeed("a")
    assert flow.step("g").waiting_for == "exception"
    assert flow.step("g").result.kind == "contract"


def test_an_approved_proposal_is_the_gates_output_and_names_who_decided():
    flow = gate_flow(proposal={"n": "input.n"})
    flow.start(n=3)
    flow.succeed("a")
    flow.decide("g", "approved")
    result = flow.step("g").result
    assert (flow.step("g").port, result.output) == ("approved", {"n": 3})
    assert (result.basis[0].kind, result.basis[0].row) == ("person", "approved")
    assert result.basis[0].values == {"decision": "decision-1", "actor": "rita"}
    assert flow.state.status == "succeeded"


def test_an_edit_leaves_by_approved_with_the_edited_output():
    flow = gate_flow(proposal={"n": "input.n"}, contract=NEEDS_N)
    flow.start(n=3)
    flow.succeed("a")
    flow.decide("g", "edited", {"n": 4})
    assert (flow.step("g").port, flow.step("g").result.output) == ("approved", {"n": 4})


def test_an_edit_that_breaks_the_contract_is_an_exception_and_not_an_output():
    flow = gate_flow(proposal={"n": "input.n"}, contract=NEEDS_N)
    flow.start(n=3)
    flow.succeed("a")
    flow.decide("g", "edited", {"n": None})
    assert flow.step("g").waiting_for == "exception"
    assert flow.step("g").result.violations[0].path == "/n"


@pytest.mark.parametrize(("outcome", "called"), [("rejected", "r"), ("returned", "f")])
def test_rejected_and_returned_leave_by_their_ports_with_the_reason(outcome, called):
    flow = gate_flow()
    flow.start()
    flow.succeed("a")
    flow.decide("g", outcome, reason="Not covered.")
    assert flow.calls() == [called]
    assert flow.step("g").result.reason == "Not covered."


def test_what_is_filled_in_is_the_gates_output():
    fill = {**GATE, "type": "fill", "contract": NEEDS_N}
    flow = Flow({"g": fill}, ["start-g", "g.filled-done"])
    flow.start()
    flow.decide("g", "filled", {"n": 3})
    assert flow.step("g").result.output == {"n": 3}
    assert flow.state.status == "succeeded"


def test_a_decision_of_the_wrong_kind_or_round_changes_nothing():
    flow = gate_flow()
    flow.start()
    flow.succeed("a")
    state = flow.state
    assert flow.decide("g", "filled", {}).state is state
    assert flow.decide("g", "approved", iteration=2).state is state
    flow.decide("g", "approved")
    state = flow.state
    assert flow.decide("g", "rejected").state is state


def test_a_gate_that_nobody_decides_leaves_by_expired():
    flow = Flow(
        {"g": GATE, "a": call("a")}, ["start-g", "g.approved-done", "g.expired-a", "a-done"]
    )
    flow.start()
    flow.fire("g", "review_due")
    assert flow.step("g").port == "expired"
    assert flow.step("g").result.reason_code == "review_expired"
    assert flow.emitted("withdraw_review")[0].because == "expired"
    assert flow.calls() == ["a"]


def test_an_expired_gate_without_a_way_out_is_an_exception_that_can_ask_again():
    flow = Flow({"g": GATE}, ["start-g", "g.approved-done"])
    flow.start()
    flow.fire("g", "review_due")
    assert flow.step("g").waiting_for == "exception"
    flow.decide_exception("g", "retry")
    assert (flow.step("g").waiting_for, flow.step("g").iteration) == ("review", 2)
    assert flow.emitted("start_timer")[0].timer == "review/g/3"


# ---- cancel, pause, timeout ---------------------------------------------------------------------------


def test_cancelling_ends_the_run_and_aborts_what_is_in_flight():
    flow = line()
    flow.start()
    cancel(flow)
    assert (flow.state.status, flow.state.outcome) == ("cancelled", None)
    assert [c.step for c in flow.emitted("cancel_attempt")] == ["a"]
    assert flow.status("done") == "skipped"
    state = flow.state
    assert flow.succeed("a").state is state


def test_a_run_that_has_not_started_can_be_cancelled_and_then_never_starts():
    flow = line()
    cancel(flow)
    assert flow.state.status == "cancelled"
    assert flow.start().commands == ()


def test_the_time_limit_of_the_run_ends_it_in_its_own_outcome():
    flow = Flow(
        {"a": call("a")},
        ["start-a", "a-done"],
        outcomes={"late": {"kind": "failure", "title": "Late"}},
        policies={"timeout_outcome": "late", "run_timeout_seconds": 60},
    )
    flow.start()
    assert flow.emitted("start_timer")[0].due_at == START + timedelta(seconds=60)
    flow.after(60).fire(None, "run_timeout", timer="run_timeout/0")
    assert (flow.state.status, flow.state.outcome, flow.state.failed_step) == (
        "failed",
        "late",
        "a",
    )


def test_pausing_aborts_calls_and_continuing_makes_them_again_without_using_up_attempts():
    flow = line(retry={"max_attempts": 1})
    flow.start()
    pause(flow)
    assert flow.state.status == "paused"
    assert [c.step for c in flow.emitted("cancel_attempt")] == ["a"]
    assert flow.status("a") == "ready"
    go_on(flow)
    (command,) = flow.emitted("invoke_agent")
    assert (command.attempt, command.idempotency_key) == (2, "run-1/a/1")
    flow.fail("a", "unavailable")
    assert flow.step("a").waiting_for == "exception"


def test_a_call_that_may_happen_once_is_let_finish_while_paused():
    flow = Flow(
        {"a": call("pay"), "b": call("b")},
        ["start-a", "a-b", "b-done"],
        agent("pay", effect="once"),
    )
    flow.start()
    pause(flow)
    assert flow.emitted("cancel_attempt") == []
    flow.succeed("a")
    assert (flow.status("a"), flow.status("b"), flow.calls()) == ("succeeded", "ready", [])
    go_on(flow)
    assert flow.calls() == ["b"]


def test_decisions_are_recorded_while_paused_and_take_the_run_on_later():
    flow = gate_flow()
    flow.start()
    flow.succeed("a")
    pause(flow)
    flow.decide("g", "rejected")
    assert (flow.status("g"), flow.status("r"), flow.state.status) == (
        "succeeded",
        "ready",
        "paused",
    )
    go_on(flow)
    assert flow.calls() == ["r"]


def test_an_end_is_not_reached_while_paused():
    flow = Flow({"a": call("pay")}, ["start-a", "a-done"], agent("pay", effect="once"))
    flow.start()
    pause(flow)
    flow.succeed("a")
    assert flow.state.status == "paused"
    go_on(flow)
    assert flow.state.status == "succeeded"


def test_pausing_twice_or_continuing_a_running_run_changes_nothing():
    flow = line()
    flow.start()
    state = flow.state
    assert go_on(flow).state is state
    pause(flow)
    state = flow.state
    assert pause(flow).state is state


# ---- resuming ---------------------------------------------------------------------------------------


def failed_at_b():
    flow = Flow(
        {"a": call("a"), "b": call("b", input={"x": "steps.a.output.v"}), "c": call("c")},
        ["start-a", "a-b", "b-c", "c-done"],
    )
    flow.start()
    flow.succeed("a", {"v": 1})
    flow.fail("b", retryable=False)
    flow.decide_exception("b", "end")
    return flow


def test_a_failed_run_resumes_at_the_failed_step_and_runs_nothing_before_it_again():
    flow = failed_at_b()
    resume(flow, "b", {"x": 2})
    assert flow.calls() == ["b"]
    assert flow.emitted("invoke_agent")[0].idempotency_key == "run-1/b/2"
    assert flow.state.status == "running"
    assert flow.step("a").attempt == 1
    flow.succeed("b")
    flow.succeed("c")
    assert (flow.state.status, flow.state.resumes) == ("succeeded", 1)


def test_resuming_with_the_input_unchanged_keeps_the_iteration():
    flow = failed_at_b()
    resume(flow, "b")
    (command,) = flow.emitted("invoke_agent")
    assert (command.iteration, command.attempt, command.input) == (1, 2, {"x": 1})


def test_a_run_that_failed_by_its_own_drawing_resumes_and_what_followed_starts_over():
    flow = Flow(
        {"a": call("a"), "note": call("note"), "bad": BAD_END},
        ["start-a", "a-done", "a.failed-note", "note-bad"],
    )
    flow.start()
    flow.fail("a", retryable=False)
    flow.succeed("note")
    assert (flow.state.status, flow.state.failed_step) == ("failed", "a")
    resume(flow, "a")
    assert flow.status("note") == "pending"
    assert flow.step("note").iteration == 2
    flow.succeed("a")
    assert flow.state.status == "succeeded"
    assert flow.status("note") == "skipped"


def test_branches_that_the_failure_cut_off_go_on_when_the_run_is_resumed():
    flow = Flow(
        {"a": call("a"), "b": call("b"), "j": JOIN, "g": GATE},
        ["start-a", "start-b", "start-g", "a-j", "b-j", "g.approved-j", "j-done"],
    )
    flow.start()
    flow.fail("a", retryable=False)
    flow.decide_exception("a", "end")
    assert [flow.status(name) for name in "abg"] == ["failed", "cancelled", "cancelled"]
    resume(flow, "a")
    assert sorted(flow.calls()) == ["a", "b"]
    assert [c.iteration for c in flow.emitted("open_review")] == [2]
    flow.succeed("a")
    flow.succeed("b", attempt=2)
    flow.decide("g", "approved")
    assert flow.state.status == "succeeded"


def test_resuming_elsewhere_tries_the_step_that_ended_the_run_again_too():
    flow = Flow(
        {"a": call("a"), "b": call("b"), "j": JOIN},
        ["start-a", "start-b", "a-j", "b-j", "j-done"],
    )
    flow.start()
    flow.fail("a", retryable=False)
    flow.decide_exception("a", "end")
    resume(flow, "b", {"x": 1})
    assert sorted(flow.calls()) == ["a", "b"]
    flow.succeed("a")
    flow.succeed("b")
    assert flow.state.status == "succeeded"


def test_a_run_that_ran_out_of_time_resumes_with_a_new_time_limit():
    flow = line()
    flow.start()
    flow.fire(None, "run_timeout", timer="run_timeout/0")
    resume(flow, "a")
    assert flow.calls() == ["a"]
    assert "run_timeout/1" in {c.timer for c in flow.emitted("start_timer")}
    state = flow.state
    assert flow.fire(None, "run_timeout", timer="run_timeout/0").state is state


def test_only_failed_runs_resume_and_only_at_steps_on_the_way_to_the_failure():
    flow = failed_at_b()
    assert resumable_steps(flow.workflow, flow.state) == ("a", "b")
    state = flow.state
    assert resume(flow, "c").state is state
    cancelled = line()
    cancelled.start()
    cancel(cancelled)
    state = cancelled.state
    assert resume(cancelled, "a").state is state


def test_a_step_that_had_succeeded_is_run_again_as_its_next_iteration():
    flow = failed_at_b()
    resume(flow, "a")
    assert flow.emitted("invoke_agent")[0].idempotency_key == "run-1/a/2"
    flow.succeed("a", {"v": 9})
    (command,) = flow.emitted("invoke_agent")
    assert (command.step, command.iteration, command.input) == ("b", 2, {"x": 9})


# ---- replay and form ----------------------------------------------------------------------------------


def test_replaying_the_journal_gives_the_stored_state():
    flow = failed_at_b()
    resume(flow.after(5), "b", {"x": 2})
    assert replay(flow.workflow, "run-1", flow.journal) == flow.state


def test_the_stored_state_holds_no_payloads():
    flow = failed_at_b()
    stored = flow.state.stored()
    assert "input" not in stored
    assert all("input" not in step and "result" not in step for step in stored["steps"].values())
    assert RunState.model_validate(stored).status == "failed"


def test_a_run_is_named_by_what_it_knows_so_far():
    flow = Flow(
        {"a": call("a")}, ["start-a", "a-done"], run_title="'Claim ' + steps.a.output.number"
    )
    flow.start()
    assert title_of(flow.workflow, flow.state) == ""
    flow.succeed("a", {"number": "7"})
    assert title_of(flow.workflow, flow.state) == "Claim 7"


def test_only_the_steps_that_the_title_reads_are_looked_at():
    steps = {"a": call("a"), "b": call("b")}
    arrows = ["start-a", "a-b", "b-done"]
    some = Flow(steps, arrows, run_title="'Claim ' + steps.a.output.number")
    assert some.workflow.title_reads == {"a"}
    every = Flow(steps, arrows, run_title="'Steps: ' + string(size(steps))")
    assert every.workflow.title_reads == set(every.workflow.order)
    assert Flow(steps, arrows).workflow.title_reads == set()


def test_an_event_that_does_not_apply_leaves_the_count_of_open_steps(monkeypatch):
    flow = line()
    course = Course(flow.workflow, flow.state)
    started = course.plan(RunStarted(input={}), START)
    done = AttemptSucceeded(step="a", iteration=1, attempt=1, result=Value(output={}))
    monkeypatch.setattr(Progress, "_open_steps", None)
    late = done.model_copy(update={"attempt": 7})
    assert course.plan(late, START).state is started.state
    assert course.plan(done, START).state.outcome == "done"


def test_fractions_stay_fractions_when_the_contract_says_number():
    gives = {"type": "object", "properties": {"v": {"type": "number"}}}
    flow = Flow(
        {
            "a": call("a"),
            "t": {"kind": "transform", "name": "T", "output": {"half": "steps.a.output.v / 2"}},
        },
        ["start-a", "a-t", "t-done"],
        agent("a", gives=gives),
    )
    flow.start()
    flow.succeed("a", {"v": 7})
    assert flow.step("t").result.output == {"half": 3.5}


def test_a_workflow_of_many_steps_is_planned_quickly():
    count = 500
    steps = {f"s{i:03}": call("a") for i in range(count)}
    arrows = [
        "start-s000",
        *(f"s{i:03}-s{i + 1:03}" for i in range(count - 1)),
        f"s{count - 1:03}-done",
    ]
    flow = Flow(steps, arrows)
    flow.start()
    for i in range(count):
        flow.succeed(f"s{i:03}")
    assert flow.state.status == "succeeded"


def test_an_event_for_a_step_that_does_not_exist_changes_nothing():
    flow = line()
    flow.start()
    event = AttemptLost(step="ghost", iteration=1, attempt=1)
    assert plan(flow.workflow, flow.state, event, flow.now).state is flow.state


def test_planning_leaves_the_given_state_untouched():
    flow = line()
    before = flow.state
    plan(flow.workflow, before, RunStarted(input={"n": 1}), START)
    assert before.steps == {}
