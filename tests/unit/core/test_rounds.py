"""Loops: what a back link starts anew, what stays, what can be read, and how often it is taken."""

from __future__ import annotations

import pytest

from orchestrator.core.compilation import DefinitionError
from orchestrator.core.events import RunResumed
from orchestrator.core.planner import replay
from orchestrator.core.state import RunState
from tests.unit.core.flows import ANY, Flow, call, not_found

GATE = {"kind": "gate", "name": "Review", "type": "review", "question": "OK?", "contract": ANY}
REVIEWED = {**GATE, "proposal": {"text": "steps.write.output.text"}}


def writing(max_rounds=2, **write):
    """start -> write -> review; a returned review leads back to write."""
    return Flow(
        {
            "write": call("write", **{"input": {"hint": "steps.review.reason"}, **write}),
            "review": REVIEWED,
        },
        [
            "start-write",
            "write-review",
            "review.approved-done",
            f"review.returned-write ^{max_rounds}",
        ],
    )


def kinds(flow):
    return [command.type for command in flow.plan.commands]


def of_type(flow, kind):
    return [event for event in flow.plan.events if event.type == kind]


# ---- a round -----------------------------------------------------------------------------------


def test_a_returned_review_starts_the_writer_anew_with_the_reviewers_reason():
    flow = writing()
    flow.start()
    assert flow.emitted("invoke_agent")[0].input == {}
    flow.succeed("write", {"text": "one"})
    flow.decide("review", "returned", reason="too short")
    (call_,) = flow.emitted("invoke_agent")
    assert (call_.input, call_.iteration, call_.attempt) == ({"hint": "too short"}, 2, 1)
    assert call_.idempotency_key == "run-1/write/2"
    assert flow.status("review") == "pending"
    assert (flow.step("write").round, flow.step("review").round) == (2, 2)
    (begun,) = of_type(flow, "round_begun")
    assert (begun.step, begun.round, begun.used, begun.limit) == ("write", 2, 1, 2)


def test_the_second_round_goes_on_to_the_end():
    flow = writing()
    flow.start()
    flow.succeed("write", {"text": "one"})
    flow.decide("review", "returned", reason="too short")
    flow.succeed("write", {"text": "two"})
    (review,) = flow.emitted("open_review")
    assert (review.proposal, review.iteration, review.number) == ({"text": "two"}, 2, 2)
    flow.decide("review", task="task-2")
    assert (flow.state.status, flow.state.outcome) == ("succeeded", "done")


def test_the_iteration_that_was_passed_is_kept_with_its_result():
    flow = writing()
    flow.start()
    flow.succeed("write", {"text": "one"})
    flow.decide("review", "returned", reason="too short")
    kept = {name: (run.iteration, run.status, run.port) for name, run in flow.plan.passed}
    assert kept == {"write": (1, "succeeded", "next"), "review": (1, "succeeded", "returned")}


def test_the_handoff_of_a_new_round_names_the_link_back():
    flow = writing()
    flow.start()
    assert of_type(flow, "handoff_made")[0].links == ("start.next-write",)
    flow.succeed("write", {"text": "one"})
    flow.decide("review", "returned", reason="too short")
    assert of_type(flow, "handoff_made")[0].links == ("review.returned-write",)


def test_a_late_answer_of_a_former_round_changes_nothing():
    flow = writing()
    flow.start()
    flow.succeed("write", {"text": "one"})
    flow.decide("review", "returned", reason="too short")
    state = flow.state
    assert flow.succeed("write", {"text": "late"}, iteration=1).state is state
    assert flow.decide("review", iteration=1).state is state


def test_the_reason_is_read_until_the_review_ends_again():
    flow = writing()
    flow.start()
    flow.succeed("write", {"text": "one"})
    flow.decide("review", "returned", reason="too short")
    assert flow.step("review").former.reason == "too short"
    flow.succeed("write", {"text": "two"})
    flow.decide("review", "returned", reason="too long", task="task-2")
    assert flow.emitted("invoke_agent")[0].input == {"hint": "too long"}


def test_a_step_may_lead_back_to_itself_and_reads_its_own_round():
    flow = Flow(
        {"find": call("find", input={"limit": "10 * steps.find.round"})},
        ["start-find", "find-done", "find.not_found-find ^3"],
    )
    flow.start()
    seen = [flow.emitted("invoke_agent")[0].input["limit"]]
    for _ in range(3):
        flow.end_with("find", not_found())
        seen.append(flow.emitted("invoke_agent")[0].input["limit"])
    assert seen == [10, 20, 30, 40]
    flow.succeed("find")
    assert flow.state.status == "succeeded"


def test_a_loop_without_calls_goes_round_in_one_plan():
    flow = Flow(
        {
            "count": {"kind": "transform", "name": "C", "output": {"n": "steps.count.round"}},
            "enough": {
                "kind": "router",
                "name": "E",
                "routes": [{"port": "yes", "title": "Y", "when": "steps.count.output.n >= 4"}],
            },
        },
        ["start-count", "count-enough", "enough.yes-done", "enough.default-count ^9"],
    )
    flow.start()
    assert flow.state.status == "succeeded"
    assert flow.step("count").result.output == {"n": 4}
    assert [run.iteration for name, run in flow.plan.passed if name == "count"] == [1, 2, 3]


# ---- what is under way -------------------------------------------------------------------------


def beside(policy="all"):
    """write, then review and a call side by side, joined."""
    return Flow(
        {
            "write": call("write"),
            "review": REVIEWED,
            "other": call("other", retry={"max_attempts": 3}),
            "ask": {**GATE, "name": "Ask"},
            "j": {"kind": "join", "name": "J", "policy": policy},
        },
        [
            "start-write",
            "write-review",
            "write-other",
            "write-ask",
            "review.approved-j",
            "other-j",
            "ask.approved-j",
            "j-done",
            "review.returned-write ^3",
        ],
    )


def test_what_is_under_way_beside_the_way_back_is_broken_off():
    flow = beside()
    flow.start()
    flow.succeed("write", {"text": "one"})
    flow.decide("review", "returned", reason="no")
    assert kinds(flow) == [
        "cancel_timer",
        "withdraw_review",
        "cancel_timer",
        "cancel_attempt",
        "invoke_agent",
    ]
    (withdrawn,) = flow.emitted("withdraw_review")
    assert (withdrawn.step, withdrawn.number, withdrawn.because) == ("ask", 1, "round_begun")
    assert [flow.status(name) for name in ("other", "ask", "j")] == ["pending"] * 3
    flow.succeed("write", {"text": "two"})
    assert flow.calls() == ["other"]
    assert {command.step for command in flow.emitted("open_review")} == {"ask", "review"}


def test_a_pause_before_a_retry_is_dropped():
    flow = beside()
    flow.start()
    flow.succeed("write", {"text": "one"})
    flow.fail("other", "unavailable")
    timer = flow.timer("other", "retry")
    flow.decide("review", "returned", reason="no")
    assert timer in [command.timer for command in flow.emitted("cancel_timer")]
    state = flow.state
    assert flow.fire("other", timer=timer).state is state


def test_a_call_that_waits_for_a_free_place_waits_no_longer():
    flow = Flow(
        {
            "write": call("write"),
            "a": call("a"),
            "b": call("b"),
            "j": {"kind": "join", "name": "J"},
        },
        ["start-write", "write-a", "write-b", "a-j", "b-j", "j-done", "a.not_found-write ^1"],
        policies={"max_parallel": 1},
    )
    flow.start()
    flow.succeed("write")
    assert flow.calls() == ["a"]
    flow.end_with("a", not_found())
    assert flow.calls() == ["write"]
    assert flow.status("b") == "pending"
    assert flow.step("b").iteration == 1, "it never began"


def test_input_that_a_person_gave_for_a_call_that_never_began_is_not_used_in_the_next_round():
    flow = Flow(
        {
            "write": call("write"),
            "a": call("a", retry={"max_attempts": 2}),
            "b": call("b", input={"v": "steps.write.output.v"}),
            "j": {"kind": "join", "name": "J"},
        },
        ["start-write", "write-a", "write-b", "a-j", "b-j", "j-done", "a.not_found-write ^1"],
        policies={"max_parallel": 1},
    )
    flow.start()
    flow.succeed("write", {"v": 1})
    flow.fail("a", "unavailable")
    flow.fail("b", retryable=False)
    flow.fire("a")
    flow.decide_exception("b", "retry", {"v": "a person's"})
    assert (flow.status("b"), flow.step("b").started_at) == ("ready", None)
    flow.end_with("a", not_found())
    flow.succeed("write", {"v": 2})
    flow.succeed("a")
    (called,) = flow.emitted("invoke_agent")
    assert (called.step, called.input) == ("b", {"v": 2})


def test_a_link_from_outside_the_loop_stays_as_it_is():
    flow = Flow(
        {
            "side": call("side"),
            "write": call("write"),
            "review": REVIEWED,
            "j": {"kind": "join", "name": "J"},
        },
        [
            "start-side",
            "start-write",
            "write-review",
            "review.approved-j",
            "side-j",
            "j-done",
            "review.returned-write ^1",
        ],
    )
    flow.start()
    flow.succeed("write", {"text": "one"})
    flow.succeed("side")
    flow.decide("review", "returned", reason="no")
    assert (flow.status("side"), flow.state.links["side.next-j"]) == ("succeeded", "taken")
    flow.succeed("write", {"text": "two"})
    flow.decide("review", task="task-2")
    assert flow.state.status == "succeeded"


# ---- how often ---------------------------------------------------------------------------------


def test_a_link_back_that_is_used_up_is_an_exception_that_names_the_loop():
    flow = writing(max_rounds=1)
    flow.start()
    flow.succeed("write", {"text": "one"})
    flow.decide("review", "returned", reason="no")
    flow.succeed("write", {"text": "two"})
    flow.decide("review", "returned", reason="still no", task="task-2")
    (review,) = flow.emitted("open_review")
    assert review.review == "exception"
    assert review.why == (
        "'Review' leads back to 'Write' by 'returned' at most once, and that is used up."
    )
    flow.decide_exception("review", "end")
    assert flow.state.status == "failed"


def nested():
    """outer: a -> b -> c -> a; inside it b leads back to itself."""
    return Flow(
        {"a": call("a"), "b": call("b"), "c": call("c")},
        ["start-a", "a-b", "b-c", "c-done", "b.not_found-b ^1", "c.not_found-a ^2"],
    )


def test_a_loop_inside_another_has_all_its_rounds_in_each_round_of_the_outer_one():
    flow = nested()
    flow.start()
    for _ in range(3):
        flow.succeed("a")
        flow.end_with("b", not_found())
        assert flow.calls() == ["b"]
        flow.succeed("b")
        flow.end_with("c", not_found())
    assert flow.step("c").waiting_for == "exception"
    assert flow.state.rounds == {"b.not_found-b": 1, "c.not_found-a": 2}


def test_two_links_back_to_the_same_step_cannot_keep_each_other_alive():
    flow = Flow(
        {"a": call("a"), "b": call("b")},
        ["start-a", "a-b", "b-done", "b.not_found-a ^1", "b.uncertain-a ^1"],
    )
    flow.start()
    flow.succeed("a")
    flow.end_with("b", not_found())
    flow.succeed("a")
    flow.end_with("b", not_found())
    assert flow.step("b").waiting_for == "exception"


def test_rounds_and_former_results_survive_replay_and_the_stored_state():
    flow = writing()
    flow.start()
    flow.succeed("write", {"text": "one"})
    flow.decide("review", "returned", reason="too short")
    assert replay(flow.workflow, "run-1", flow.journal) == flow.state
    stored = flow.state.stored()
    assert stored["rounds"] == {"review.returned-write": 1}
    assert "former" not in stored["steps"]["review"]
    assert stored["steps"]["review"]["former_iteration"] == 1
    assert RunState.model_validate_json(flow.state.model_dump_json()) == flow.state


# ---- resuming ----------------------------------------------------------------------------------


def test_resuming_before_a_loop_gives_it_all_its_rounds_again():
    flow = writing(max_rounds=1)
    flow.start()
    flow.succeed("write", {"text": "one"})
    flow.decide("review", "returned", reason="no")
    flow.succeed("write", {"text": "two"})
    flow.decide("review", "returned", reason="still no", task="task-2")
    flow.decide_exception("review", "end")
    flow.send(RunResumed(step="write", input=None, reason="again", actor="otto"))
    assert flow.state.rounds == {}
    assert flow.emitted("invoke_agent")[0].input == {"hint": "still no"}


def test_a_run_that_failed_in_its_second_round_is_resumed_in_it():
    flow = writing(retry={"max_attempts": 1})
    flow.start()
    flow.succeed("write", {"text": "one"})
    flow.decide("review", "returned", reason="too short")
    flow.fail("write")
    flow.decide_exception("write", "end")
    flow.send(RunResumed(step="write", input={"hint": "mine"}, reason="again", actor="otto"))
    flow.succeed("write", {"text": "two"})
    assert (flow.step("review").round, flow.status("review")) == (2, "waiting")


# ---- what cannot be run ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arrows",
    [
        ["start-a", "start-b", "a-b", "b-done", "b.not_found-a ^1"],
        ["start-a", "a-b", "b-done", "b.not_found-start ^1"],
        ["start-a", "a-b", "b-done", "a.not_found-b ^1"],
    ],
    ids=["can be passed by", "the start", "not earlier"],
)
def test_a_link_back_to_what_is_not_on_every_way_there_cannot_be_compiled(arrows):
    with pytest.raises(DefinitionError, match="which is not on every way there"):
        Flow({"a": call("a"), "b": call("b")}, arrows)


def test_a_cycle_without_a_limit_cannot_be_compiled():
    with pytest.raises(DefinitionError, match="form a cycle"):
        Flow({"a": call("a"), "b": call("b")}, ["start-a", "a-b", "b-done", "b.not_found-a"])


def test_fields_that_came_later_are_not_written_while_they_are_not_used():
    flow = writing()
    links = flow.definition.hashed()["links"]
    assert links["review.returned-write"]["max_rounds"] == 2
    assert set(links["start.next-write"]) == {"source", "port", "target", "branch"}
