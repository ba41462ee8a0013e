"""What a map does with its list, one sentence per test."""

from __future__ import annotations

from time import perf_counter

import pytest

from orchestrator.core.catalogue import AgentExample
from orchestrator.core.checks import check_definition, examine
from orchestrator.core.definition import MAX_ITEMS
from orchestrator.core.events import (
    AttemptLost,
    CancelRequested,
    ContinueRequested,
    PauseRequested,
    RunResumed,
)
from orchestrator.core.planner import replay, resumable_steps
from orchestrator.core.state import RunState
from orchestrator.core.step_trials import tried_step
from tests.unit.core.flows import (
    ANY,
    Flow,
    agent,
    call,
    catalogue,
    definition,
    each,
    not_found,
    refused,
    uncertain,
)

LINES = [{"n": 1}, {"n": 2}, {"n": 3}, {"n": 4}]
NEEDS_N = {
    "type": "object",
    "properties": {"n": {"type": "integer"}},
    "required": ["n"],
    "additionalProperties": False,
}
BAD_END = {"kind": "end", "name": "Bad", "outcome": "failed"}
ARROWS = ("start-each", "each-done", "each.partial-done", "each.failed-bad")


def mapped(*agents, arrows=ARROWS, policies=None, **more):
    """start -> each -> done; failed -> bad."""
    step = each(**{"input": {"n": "item.n", "place": "index"}, **more})
    steps = {"each": step, "bad": BAD_END} if "each.failed-bad" in arrows else {"each": step}
    return Flow(steps, arrows, *agents, policies=policies or {})


def output(flow):
    return flow.step("each").result.output


def test_each_item_is_a_call_of_its_own_with_its_place():
    flow = mapped()
    flow.start(items=LINES)
    assert [one.input for one in flow.emitted("invoke_agent")] == [
        {"n": n, "place": n - 1} for n in (1, 2, 3, 4)
    ]
    assert [one.idempotency_key for one in flow.emitted("invoke_agent")] == [
        f"run-1/each.{index}/1" for index in range(4)
    ]
    assert flow.state.status == "running"
    assert (flow.status("each"), flow.step("each").waiting_for) == ("waiting", "members")


def test_outputs_are_gathered_in_the_order_of_the_list_whatever_order_they_come_in():
    flow = mapped()
    flow.start(items=LINES)
    for index in (2, 0, 3, 1):
        flow.succeed(f"each.{index}", {"v": index})
    assert output(flow) == {"items": [{"v": n} for n in range(4)], "failed": [], "count": 4}
    assert flow.step("each").port == "next"
    assert flow.state.outcome == "done"
    assert flow.state.groups["each"].open == 0


def test_only_so_many_items_are_under_way_at_once():
    flow = mapped(max_parallel=2)
    flow.start(items=LINES)
    assert flow.calls() == ["each.0", "each.1"]
    assert "each.2" not in flow.state.steps
    flow.succeed("each.1")
    assert flow.calls() == ["each.2"]
    flow.succeed("each.0")
    assert flow.calls() == ["each.3"]


def test_the_limit_of_the_workflow_holds_for_items_too():
    flow = mapped(policies={"max_parallel": 1})
    flow.start(items=LINES)
    assert flow.calls() == ["each.0"]
    flow.succeed("each.0")
    assert flow.calls() == ["each.1"]


def test_items_begin_in_the_order_of_the_list_also_past_the_tenth():
    flow = mapped(max_parallel=12, policies={"max_parallel": 1})
    flow.start(items=[{"n": n} for n in range(12)])
    called = ["each.0"]
    for index in range(11):
        flow.succeed(f"each.{index}")
        called += flow.calls()
    assert called == [f"each.{index}" for index in range(12)]


def test_an_empty_list_goes_on_with_no_items():
    flow = mapped()
    flow.start(items=[])
    assert output(flow) == {"items": [], "failed": [], "count": 0}
    assert flow.state.outcome == "done"


@pytest.mark.parametrize("items", ["text", None, {"a": 1}, [1] * (MAX_ITEMS + 1)])
def test_what_is_no_list_or_too_long_a_one_is_refused(items):
    flow = mapped()
    flow.start(items=items)
    assert flow.step("each").result.reason_code == "input_refused"
    assert flow.state.outcome == "failed"
    assert not flow.emitted("invoke_agent")


def test_a_failed_item_fails_the_map_and_the_rest_is_cancelled():
    flow = mapped(max_parallel=2)
    flow.start(items=LINES)
    flow.fail("each.1")
    result = flow.step("each").result
    assert (result.kind, result.reason_code) == ("agent_error", "items_failed")
    assert result.reason == "1 of 4 items failed. Item 2: It broke."
    assert [one.step for one in flow.emitted("cancel_attempt")] == ["each.0"]
    assert flow.status("each.0") == "cancelled"
    assert "each.2" not in flow.state.steps
    assert flow.state.groups["each"].open == 1, "how many were cut off is kept"
    assert flow.state.outcome == "failed"


def test_failures_within_the_tolerance_lead_on_as_partial_with_each_reason():
    flow = mapped(tolerated_failures=3)
    flow.start(items=LINES)
    flow.succeed("each.0", {"v": 0})
    flow.fail("each.1")
    flow.end_with("each.2", not_found())
    flow.end_with("each.3", refused())
    assert flow.step("each").port == "partial"
    assert output(flow) == {
        "items": [{"v": 0}, None, None, None],
        "failed": [
            {"index": 1, "kind": "agent_error", "reason": "It broke."},
            {"index": 2, "kind": "not_found", "reason": "Nothing there."},
            {"index": 3, "kind": "refused", "reason": "Not allowed."},
        ],
        "count": 4,
    }


def test_an_answer_that_is_not_sure_enough_counts_as_failed():
    flow = mapped(tolerated_failures=1)
    flow.start(items=LINES[:1])
    flow.end_with("each.0", uncertain({"v": 1}))
    assert output(flow)["items"] == [None]
    assert output(flow)["failed"][0]["kind"] == "uncertain"


def test_an_item_that_the_agent_does_not_take_fails_alone():
    flow = mapped(agent("work", takes=NEEDS_N), tolerated_failures=1, input={"n": "item.n"})
    flow.start(items=[{"n": "one"}, {"n": 2}])
    assert flow.calls() == ["each.1"]
    assert flow.step("each.0").result.reason_code == "input_refused"
    flow.succeed("each.1", {"v": 2})
    assert output(flow)["items"] == [None, {"v": 2}]


def test_when_every_item_is_refused_at_once_nothing_is_called():
    flow = mapped(agent("work", takes=NEEDS_N), input={"n": "item.n"})
    flow.start(items=[{"n": "one"}, {"n": "two"}])
    assert not flow.emitted("invoke_agent")
    assert flow.state.outcome == "failed"


def test_an_item_is_tried_again_like_a_step():
    flow = mapped(retry={"max_attempts": 2, "jitter": 0})
    flow.start(items=LINES[:1])
    flow.fail("each.0", "timeout")
    assert flow.state.status == "waiting"
    flow.fire("each.0")
    assert flow.emitted("invoke_agent")[0].idempotency_key == "run-1/each.0/1"
    flow.succeed("each.0")
    assert flow.state.outcome == "done"


def test_items_that_wait_for_another_try_are_dropped_when_the_map_gives_up():
    flow = mapped(retry={"max_attempts": 2})
    flow.start(items=LINES[:2])
    flow.fail("each.0", "timeout")
    flow.fail("each.1")
    assert flow.timer("each.0", "retry") in [one.timer for one in flow.emitted("cancel_timer")]
    assert flow.status("each.0") == "cancelled"


def test_the_steps_after_it_read_the_gathered_outputs():
    flow = Flow(
        {
            "each": each(input={"n": "item"}),
            "sum": {"kind": "transform", "name": "S", "output": {"n": "steps.each.output.count"}},
        },
        ["start-each", "each-sum", "sum-done"],
    )
    flow.start(items=[1, 2])
    flow.succeed("each.0")
    flow.succeed("each.1")
    assert flow.step("sum").result.output == {"n": 2}


def test_cancelling_the_run_ends_every_item():
    flow = mapped(max_parallel=2)
    flow.start(items=LINES)
    flow.send(CancelRequested(reason="enough", actor="otto"))
    assert [one.step for one in flow.emitted("cancel_attempt")] == ["each.0", "each.1"]
    assert {flow.status(name) for name in ("each", "each.0", "each.1")} == {"cancelled"}


def test_pausing_aborts_the_calls_and_going_on_makes_them_again():
    flow = mapped(max_parallel=2)
    flow.start(items=LINES)
    flow.send(PauseRequested(reason="hold", actor="otto"))
    assert [one.step for one in flow.emitted("cancel_attempt")] == ["each.0", "each.1"]
    flow.send(ContinueRequested(reason="go", actor="otto"))
    assert flow.calls() == ["each.0", "each.1"]
    assert flow.step("each").waiting_for == "members"


def test_a_person_decides_about_an_item_whose_call_must_not_be_repeated():
    flow = mapped(agent("once", effect="once"), slug="once", tolerated_failures=1)
    flow.start(items=LINES[:2])
    flow.send(AttemptLost(step="each.0", iteration=1, attempt=1))
    (asked,) = flow.emitted("open_review")
    assert (asked.step, asked.title) == ("each.0", "Each, item 1")
    flow.succeed("each.1")
    assert flow.state.status == "waiting"
    flow.decide_exception("each.0", "retry")
    flow.succeed("each.0")
    assert flow.step("each").port == "next"


def test_a_person_who_gives_an_item_up_ends_the_run_at_its_map():
    flow = mapped(agent("once", effect="once"), slug="once")
    flow.start(items=LINES[:2])
    flow.send(AttemptLost(step="each.0", iteration=1, attempt=1))
    flow.decide_exception("each.0", "end")
    assert (flow.state.status, flow.state.failed_step) == ("failed", "each")
    assert flow.step("each").result.reason.startswith("Item 1: The call may have taken effect")
    assert flow.status("each.1") == "cancelled"


def test_resuming_a_failed_map_keeps_what_succeeded_and_calls_the_rest():
    flow = mapped(max_parallel=1)
    flow.start(items=LINES)
    flow.succeed("each.0", {"v": 0})
    flow.fail("each.1")
    assert "each" in resumable_steps(flow.workflow, flow.state)
    flow.send(RunResumed(step="each", reason="again", actor="otto"))
    (again,) = flow.emitted("invoke_agent")
    assert (again.step, again.idempotency_key, again.attempt) == ("each.1", "run-1/each.1/1", 2)
    for index in (1, 2, 3):
        flow.succeed(f"each.{index}", {"v": index})
    assert output(flow)["items"] == [{"v": n} for n in range(4)]
    assert flow.state.outcome == "done"


def test_resuming_with_another_list_calls_everything_anew():
    flow = mapped()
    flow.start(items=LINES[:2])
    flow.succeed("each.0")
    flow.fail("each.1")
    changed = {"items": [{"n": 8}]}
    flow.send(RunResumed(step="each", input=changed, reason="other", actor="otto"))
    (again,) = flow.emitted("invoke_agent")
    assert (again.step, again.input["n"], again.idempotency_key) == ("each.0", 8, "run-1/each.0/2")
    flow.succeed("each.0", {"v": 8})
    assert output(flow) == {"items": [{"v": 8}], "failed": [], "count": 1}


def test_a_person_lets_the_map_go_on_where_it_failed():
    flow = mapped(arrows=("start-each", "each-done"))
    flow.start(items=LINES[:2])
    flow.succeed("each.0", {"v": 0})
    flow.fail("each.1")
    assert flow.step("each").waiting_for == "exception"
    flow.decide_exception("each", "retry")
    assert flow.calls() == ["each.1"]
    flow.succeed("each.1", {"v": 1})
    assert output(flow)["items"] == [{"v": 0}, {"v": 1}]


def test_a_list_that_was_refused_is_read_again_on_retry():
    flow = mapped(arrows=("start-each", "each-done"))
    flow.start(items="text")
    flow.decide_exception("each", "retry")
    assert flow.step("each").waiting_for == "exception"
    flow.decide_exception("each", "retry", {"items": [{"n": 1}]})
    assert flow.calls() == ["each.0"]


def test_replaying_the_journal_gives_the_same_state_and_it_survives_storage():
    flow = mapped(max_parallel=2, tolerated_failures=1)
    flow.start(items=LINES)
    flow.succeed("each.0")
    flow.fail("each.1")
    assert replay(flow.workflow, "run-1", flow.journal) == flow.state
    assert RunState.model_validate_json(flow.state.model_dump_json()) == flow.state


def test_an_item_that_ends_changes_no_more_of_what_is_stored_than_itself_and_the_next():
    flow = mapped(max_parallel=2)
    flow.start(items=[{"n": n} for n in range(40)])
    for index in range(30):
        flow.succeed(f"each.{index}")
    assert flow.plan.steps == ("each.29", "each.31")


def test_an_event_about_one_of_a_thousand_items_costs_little():
    flow = mapped(max_parallel=4, policies={"max_parallel": 4})
    flow.start(items=[{"n": n} for n in range(MAX_ITEMS)])
    begun = perf_counter()
    for index in range(MAX_ITEMS):
        flow.succeed(f"each.{index}")
    spent = perf_counter() - begun
    assert flow.state.outcome == "done"
    assert spent < 10, "1,000 events took longer than 10 ms each"


# ---- enough --------------------------------------------------------------------------------------


def test_a_map_is_done_with_as_many_results_as_are_enough_and_the_rest_is_cancelled():
    flow = mapped(enough="2", max_parallel=3)
    flow.start(items=LINES)
    assert flow.step("each").input["enough"] == 2
    flow.succeed("each.2", {"v": 2})
    assert flow.calls() == ["each.3"]
    flow.succeed("each.0", {"v": 0})
    assert [one.step for one in flow.emitted("cancel_attempt")] == ["each.1", "each.3"]
    assert (flow.step("each").port, flow.state.outcome) == ("next", "done")
    assert output(flow) == {
        "items": [{"v": 0}, None, {"v": 2}, None],
        "failed": [],
        "count": 4,
        "left_out": [
            {"index": 1, "status": "cancelled"},
            {"index": 3, "status": "cancelled"},
        ],
    }
    assert {flow.status(name) for name in ("each.1", "each.3")} == {"cancelled"}


def test_items_that_have_not_begun_when_there_are_enough_never_begin():
    flow = mapped(enough="1", max_parallel=1)
    flow.start(items=LINES)
    flow.succeed("each.0")
    assert not flow.calls()
    assert "each.1" not in flow.state.steps
    left = [{"index": index, "status": "not_begun"} for index in (1, 2, 3)]
    assert output(flow)["left_out"] == left


def test_how_many_are_enough_may_depend_on_the_run():
    flow = mapped(enough="size(input.items) - 1")
    flow.start(items=LINES)
    for index in (3, 1):
        flow.succeed(f"each.{index}")
    assert flow.step("each").waiting_for == "members"
    flow.succeed("each.0")
    assert flow.state.outcome == "done"


WORKED_ON = ("start-each", "each-after", "each.partial-after", "each.failed-bad", "after-done")


def racing(*agents, policies=None, **more):
    """start -> each -> after -> done; late items finish while `after` is under way."""
    step = each(**{"input": {"n": "item.n"}, "enough": "1", "late": "ignore", **more})
    steps = {"each": step, "after": call("work"), "bad": BAD_END}
    return Flow(steps, WORKED_ON, *agents, policies=policies or {})


def test_late_calls_that_are_ignored_finish_and_change_nothing():
    flow = racing()
    flow.start(items=LINES[:3])
    flow.succeed("each.1", {"v": 1})
    assert not flow.emitted("cancel_attempt")
    assert flow.calls() == ["after"]
    said = output(flow)
    assert said["left_out"] == [{"index": index, "status": "running"} for index in (0, 2)]
    flow.succeed("each.0", {"v": 0})
    assert (flow.status("each.0"), flow.step("each.0").result.output) == ("succeeded", {"v": 0})
    flow.fail("each.2")
    assert (flow.status("each.2"), flow.state.groups["each"].open) == ("failed", 0)
    assert output(flow) == said
    flow.succeed("after")
    assert flow.state.outcome == "done"


def test_a_late_call_that_fails_is_not_tried_again_and_nobody_is_asked_about_it():
    flow = racing(agent("once", effect="once"), slug="once", retry={"max_attempts": 3})
    flow.start(items=LINES[:3])
    flow.succeed("each.1")
    flow.fail("each.0", "timeout")
    flow.send(AttemptLost(step="each.2", iteration=1, attempt=1))
    assert {flow.status("each.0"), flow.status("each.2")} == {"failed"}
    assert not flow.emitted("open_review")
    assert flow.state.groups["each"].failed == 2


def test_an_item_that_waits_for_another_try_when_there_are_enough_is_cancelled_though_late_ones_finish():
    flow = racing(retry={"max_attempts": 2})
    flow.start(items=LINES[:2])
    flow.fail("each.0", "timeout")
    flow.succeed("each.1")
    assert flow.timer("each.0", "retry") in [one.timer for one in flow.emitted("cancel_timer")]
    assert output(flow)["left_out"] == [{"index": 0, "status": "cancelled"}]
    assert output(flow)["failed"] == []


def test_the_end_of_the_run_cancels_late_calls():
    flow = racing()
    flow.start(items=LINES[:2])
    flow.succeed("each.0")
    flow.succeed("after")
    assert [one.step for one in flow.emitted("cancel_attempt")] == ["each.1"]
    assert flow.status("each.1") == "cancelled"


def test_failures_within_the_tolerance_count_as_before_beside_what_is_enough():
    flow = mapped(enough="2", tolerated_failures=1)
    flow.start(items=LINES)
    flow.fail("each.0")
    flow.succeed("each.1")
    flow.succeed("each.2")
    assert flow.step("each").port == "partial"
    assert [one["index"] for one in output(flow)["failed"]] == [0]
    assert [one["index"] for one in output(flow)["left_out"]] == [3]


def test_a_failure_more_than_is_tolerated_fails_the_map_though_enough_might_still_succeed():
    flow = mapped(enough="2")
    flow.start(items=LINES)
    flow.fail("each.0")
    assert flow.step("each").result.reason_code == "items_failed"


def test_a_map_fails_as_soon_as_what_is_enough_cannot_be_reached():
    flow = mapped(enough="3", tolerated_failures=4)
    flow.start(items=LINES)
    flow.fail("each.0")
    assert flow.step("each").waiting_for == "members"
    flow.fail("each.3")
    result = flow.step("each").result
    assert (result.kind, result.reason_code) == ("unavailable", "enough_out_of_reach")
    assert result.reason == "2 of 4 items failed, and 3 must succeed. Item 4: It broke."
    assert [one.step for one in flow.emitted("cancel_attempt")] == ["each.1", "each.2"]
    assert flow.state.outcome == "failed"


def test_a_list_that_is_shorter_than_what_is_enough_calls_nobody():
    flow = mapped(enough="5")
    flow.start(items=LINES)
    result = flow.step("each").result
    assert result.reason_code == "enough_out_of_reach"
    assert result.reason == "5 items must succeed, and the list has 4."
    assert not flow.emitted("invoke_agent")


@pytest.mark.parametrize("enough", ["0", "1.5", "'two'", "-1"])
def test_what_is_enough_must_be_a_whole_number_from_one(enough):
    flow = mapped(enough=enough)
    flow.start(items=LINES)
    result = flow.step("each").result
    assert result.reason_code == "input_refused"
    assert result.violations[0].path == "/enough"


def test_a_person_may_run_a_map_again_with_less_that_is_enough():
    flow = mapped(enough="3", tolerated_failures=4, arrows=("start-each", "each-done"))
    flow.start(items=LINES[:3])
    flow.succeed("each.0")
    flow.fail("each.1")
    assert flow.step("each").waiting_for == "exception"
    flow.decide_exception("each", "retry", {"items": LINES[:3], "enough": 1})
    flow.succeed("each.2", {"v": 2})
    assert output(flow)["items"] == [None, None, {"v": 2}]


def test_resuming_a_map_counts_what_had_succeeded_before_towards_what_is_enough():
    flow = mapped(enough="2", tolerated_failures=4, max_parallel=1)
    flow.start(items=LINES[:2])
    flow.succeed("each.0", {"v": 0})
    flow.fail("each.1")
    flow.send(RunResumed(step="each", reason="again", actor="otto"))
    assert flow.calls() == ["each.1"]
    flow.succeed("each.1", {"v": 1})
    assert output(flow)["items"] == [{"v": 0}, {"v": 1}]


def test_a_map_that_begins_anew_breaks_off_the_late_calls_of_the_round_before():
    step = each(input={"n": "item.n"}, enough="1", late="ignore")
    steps = {"each": step, "after": call("work")}
    arrows = ["start-each", "each-after", "after-done", "after.not_found-each ^2"]
    flow = Flow(steps, arrows)
    flow.start(items=LINES[:2])
    flow.succeed("each.0")
    flow.end_with("after", not_found())
    assert [one.step for one in flow.emitted("cancel_attempt")] == ["each.1"]
    assert sorted(flow.calls()) == ["each.0", "each.1"]
    flow.succeed("each.1")
    assert flow.calls() == ["after"]


def test_a_map_that_has_no_way_on_is_run_again_without_its_late_calls():
    flow = racing(tolerated_failures=1)
    steps = {"each": flow.workflow.definition.steps["each"].model_dump(mode="json")}
    flow = Flow(steps, ["start-each", "each-done"])
    flow.start(items=LINES[:3])
    flow.fail("each.0")
    flow.succeed("each.1")
    assert (flow.step("each").waiting_for, flow.status("each.2")) == ("exception", "running")
    flow.decide_exception("each", "retry")
    assert [one.step for one in flow.emitted("cancel_attempt")] == ["each.2"]
    assert flow.calls() == ["each.0", "each.1", "each.2"]


def test_a_join_that_drops_a_map_drops_its_late_calls_too():
    steps = {
        "each": each(input={"n": "item.n"}, enough="1", late="ignore"),
        "then": call("work"),
        "fast": call("work"),
        "join": {"kind": "join", "name": "J", "policy": "first"},
        "after": call("work"),
    }
    arrows = ["start-each", "start-fast", "each-then", "then-join", "fast-join", "join-after"]
    flow = Flow(steps, [*arrows, "after-done"])
    flow.start(items=LINES[:2])
    flow.succeed("each.0")
    flow.succeed("fast")
    assert [one.step for one in flow.emitted("cancel_attempt")] == ["each.1", "then"]


def test_pausing_breaks_late_calls_off_and_going_on_makes_them_again():
    flow = racing()
    flow.start(items=LINES[:2])
    flow.succeed("each.0")
    flow.send(PauseRequested(reason="hold", actor="otto"))
    assert sorted(one.step for one in flow.emitted("cancel_attempt")) == ["after", "each.1"]
    flow.send(ContinueRequested(reason="go", actor="otto"))
    assert sorted(flow.calls()) == ["after", "each.1"]
    flow.succeed("each.1")
    flow.succeed("after")
    assert flow.state.outcome == "done"


@pytest.mark.parametrize("late", ["cancel", "ignore"])
def test_a_journal_with_late_items_gives_the_same_state_and_survives_storage(late):
    flow = racing(late=late, tolerated_failures=1)
    flow.start(items=LINES)
    flow.fail("each.3")
    flow.succeed("each.1")
    if late == "ignore":
        flow.succeed("each.0")
    assert replay(flow.workflow, "run-1", flow.journal) == flow.state
    assert RunState.model_validate_json(flow.state.model_dump_json()) == flow.state


# ---- what is said before it runs -----------------------------------------------------------------

GIVES = {
    "type": "object",
    "properties": {"v": {"type": "integer"}},
    "required": ["v"],
    "additionalProperties": False,
}
TAKES_LINES = {
    "type": "object",
    "properties": {"items": {"type": "array", "items": NEEDS_N}, "name": {"type": "string"}},
    "required": ["items", "name"],
    "additionalProperties": False,
}


def findings(step, *more, arrows=("start-each", "each-done", "each.partial-done"), **steps):
    made = definition({"each": step, **steps}, arrows, input=TAKES_LINES)
    known = catalogue(agent("work", takes=NEEDS_N, gives=GIVES), *more)
    return [
        (one.code, one.field) for one in check_definition(made, known) if one.severity != "info"
    ]


def test_an_input_that_fits_each_item_has_no_finding():
    assert findings(each(input={"n": "item.n"})) == []
    assert findings(each(input={"n": "index"})) == []


@pytest.mark.parametrize(
    ("step", "wanted"),
    [
        (each("input.name", input={"n": "index"}), ("not_a_list", "items")),
        (each(input={"n": "item"}), ("does_not_fit", "input.n")),
        (each(input={"n": "item.other"}), ("unknown_field", "input.n")),
        (each(input={}), ("missing_field", "input.n")),
        (each("item", input={"n": "index"}), ("unknown_name", "items")),
        (each(slug="nobody", input={"n": "item.n"}), ("unknown_agent", "uses")),
    ],
)
def test_what_is_wrong_with_a_map_is_found_before_it_runs(step, wanted):
    assert wanted in findings(step)


@pytest.mark.parametrize(
    ("enough", "items", "wanted"),
    [
        ("0", "input.items", "enough_out_of_range"),
        ("1.5", "input.items", "enough_out_of_range"),
        ("1001", "input.items", "enough_out_of_range"),
        ("3", "[{'n': 1}, {'n': 2}]", "enough_out_of_range"),
        ("input.name", "input.items", "wrong_kind"),
        ("item.n", "input.items", "unknown_name"),
    ],
)
def test_a_number_of_items_that_cannot_be_right_is_found_before_it_runs(enough, items, wanted):
    assert (wanted, "enough") in findings(each(items, input={"n": "item.n"}, enough=enough))


def test_a_number_of_items_that_may_be_right_has_no_finding():
    for enough in ("1", "size(input.items) - 1", "2 + 2"):
        assert findings(each(input={"n": "item.n"}, enough=enough)) == []
    listed = each("[{'n': 1}, {'n': 2}]", input={"n": "item.n"}, enough="2")
    assert findings(listed) == []


def test_items_may_be_empty_and_what_was_left_out_is_known_after_a_map_that_stops_early():
    steps = {"whole": call("sum", input={"all": "steps.each.output.items"})}
    takes = {
        "type": "object",
        "properties": {"all": {"type": "array", "items": GIVES}},
        "required": ["all"],
    }
    made = definition(
        {"each": each(input={"n": "item.n"}, enough="1"), **steps},
        ["start-each", "each-whole", "whole-done"],
        input=TAKES_LINES,
    )
    known = catalogue(agent("work", takes=NEEDS_N, gives=GIVES), agent("sum", takes=takes))
    assert ("may_not_fit", "whole") in {
        (one.code, one.step) for one in check_definition(made, known)
    }
    examined = examine(made, known, "whole")
    assert "steps.each.output.left_out" in [one.expression for one in examined.scope]


def test_the_item_is_known_in_the_map_only():
    wrong = {"kind": "transform", "name": "T", "output": {"v": "item.n"}}
    arrows = ("start-each", "each-t", "each.partial-done", "t-done")
    assert ("unknown_name", "output.v") in findings(
        each(input={"n": "item.n"}), t=wrong, arrows=arrows
    )


def test_after_the_usual_way_out_no_item_is_empty_and_after_partial_each_may_be():
    steps = {
        "whole": call("sum", input={"all": "steps.each.output.items"}),
        "part": call("sum", input={"all": "steps.each.output.items"}),
    }
    takes = {
        "type": "object",
        "properties": {"all": {"type": "array", "items": GIVES}},
        "required": ["all"],
    }
    made = definition(
        {"each": each(input={"n": "item.n"}), **steps},
        ["start-each", "each-whole", "each.partial-part", "whole-done", "part-done"],
        input=TAKES_LINES,
    )
    known = catalogue(agent("work", takes=NEEDS_N, gives=GIVES), agent("sum", takes=takes))
    found = {(one.code, one.step) for one in check_definition(made, known)}
    assert ("may_not_fit", "part") in found
    assert not {("may_not_fit", "whole"), ("does_not_fit", "whole")} & found


def test_a_map_that_has_no_list_is_offered_those_there_are():
    made = definition(
        {"each": each("input.name", input={"n": "index"})},
        ["start-each", "each-done"],
        input=TAKES_LINES,
    )
    examined = examine(made, catalogue(agent("work", takes=NEEDS_N, gives=GIVES)), "each")
    (wrong,) = [one for one in examined.findings if one.code == "not_a_list"]
    mended = wrong.mendings[0].patch[0].value
    assert mended == "input.items"


def test_a_map_is_offered_the_fields_of_the_item_in_hand_first():
    made = definition({"each": each()}, ["start-each", "each-done"], input=TAKES_LINES)
    examined = examine(made, catalogue(agent("work", takes=NEEDS_N, gives=GIVES)), "each")
    assert [one.expression for one in examined.scope][:3] == ["item", "item.n", "index"]
    assert examined.fields[0].candidates[0] == "item.n"


def test_trying_a_map_shows_what_its_first_item_is_handed_over_as():
    made = definition({"each": each(input={"n": "item.n"})}, ["start-each", "each-done"])
    known = catalogue(agent("work", takes=NEEDS_N))
    tried = tried_step(made, known, "each", {"input": {"items": [{"n": 7}, {"n": 8}]}})
    assert (tried.result, tried.output) == ("value", {"n": 7})
    assert tried.reason == "2 items. The first is handed over like this."
    assert tried_step(made, known, "each", {"input": {"items": 3}}).result == "failed"
    assert tried_step(made, known, "each", {"input": {"items": []}}).port == "next"


def test_an_output_example_of_the_agent_is_no_example_of_the_map():
    example = AgentExample(title="One", input={"n": 1}, output={"v": 1})
    known = catalogue(agent("work", takes=NEEDS_N, gives=GIVES), agent("sum", takes=ANY))
    shown = known.agents["work", 1]
    shown = type(shown)(
        **{name: getattr(shown, name) for name in shown.__slots__} | {"examples": (example,)}
    )
    made = definition(
        {"each": each(input={"n": "item.n"}), "sum": call("sum")},
        ["start-each", "each-sum", "sum-done"],
        input=TAKES_LINES,
    )
    examined = examine(made, catalogue(shown, agent("sum", takes=ANY)), "sum")
    (listed,) = [one for one in examined.scope if one.expression == "steps.each.output.items"]
    assert listed.sample is None
