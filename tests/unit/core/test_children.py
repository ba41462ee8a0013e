"""Running other workflows: the child is asked for once, its end is heard, and it follows its parent."""

from __future__ import annotations

import pytest

from orchestrator.core.catalogue import MAX_NESTING, WorkflowInterface
from orchestrator.core.checks import check_definition
from orchestrator.core.compilation import compile_workflow
from orchestrator.core.continuation import obstacles
from orchestrator.core.definition import OutcomeKind
from orchestrator.core.events import (
    CancelRequested,
    ChildEnded,
    ContinueRequested,
    PauseRequested,
    RunResumed,
)
from orchestrator.core.planner import replay
from orchestrator.core.progress import child_id
from orchestrator.core.results import Value
from orchestrator.core.rollback import rollback_plan
from orchestrator.core.simulation import Answer, simulate
from orchestrator.core.step_trials import tried_step
from tests.unit.core.flows import START, Flow, agent, call, catalogue, definition, not_found

TAKES = {
    "type": "object",
    "properties": {"order": {"type": "string"}},
    "required": ["order"],
    "additionalProperties": False,
}
GIVES = {
    "type": "object",
    "properties": {"parcel": {"type": "string"}},
    "required": ["parcel"],
    "additionalProperties": False,
}
OUTCOMES = {"sent": "success", "kept": "success", "lost": "failure"}
INPUT = {
    "type": "object",
    "properties": {
        "order": {"type": "string"},
        "n": {"type": "integer"},
        "orders": {"type": "array"},
    },
    "required": ["order"],
}


def inner(**more):
    return WorkflowInterface(
        **{
            "slug": "shipping",
            "version": 2,
            "name": "Shipping",
            "input_schema": TAKES,
            "kinds": {name: OutcomeKind(kind) for name, kind in OUTCOMES.items()},
            "results": {"sent": GIVES, "kept": GIVES, "lost": None},
            **more,
        }
    )


def running(**more):
    return {
        "kind": "workflow",
        "name": "Ship it",
        "uses": {"workflow": "shipping", "version": 2},
        "outcomes": OUTCOMES,
        "input": {"order": "input.order"},
        **more,
    }


def flow(*arrows, after=None, **more):
    steps = {"w": running(**more), "bad": {"kind": "end", "name": "Bad", "outcome": "failed"}}
    steps |= {"a": after} if after else {}
    return Flow(
        steps, arrows or ["start-w", "w.sent-done", "w.kept-bad"], input=INPUT, workflows=[inner()]
    )


def begun(*arrows, **more):
    run = flow(*arrows, **more)
    run.start(order="o-7")
    return run


def ended(status="succeeded", outcome="sent", *, iteration=1, output=None, reason=None):
    child = child_id("run-1", "w", iteration)
    return ChildEnded(
        step="w",
        iteration=iteration,
        child=child,
        status=status,
        outcome=outcome,
        output=output,
        reason=reason,
    )


def findings(step, *known, own=""):
    made = definition({"w": step}, ["start-w", "w.sent-done"], input=INPUT)
    found = check_definition(made, catalogue(workflows=known, own=own))
    return {(one.severity, one.code, one.field) for one in found}


# ---- the run -------------------------------------------------------------------------------------


def test_a_step_asks_for_its_child_and_waits_for_its_end():
    run = begun()
    (asked,) = run.emitted("start_child")
    assert (asked.child, asked.input) == (child_id("run-1", "w", 1), {"order": "o-7"})
    assert (asked.uses.workflow, asked.uses.version) == ("shipping", 2)
    assert (run.status("w"), run.step("w").waiting_for, run.state.status) == (
        *("waiting", "child"),
        "waiting",
    )
    run.after(60).send(ended(output={"parcel": "p-1"}))
    assert run.state.status == "succeeded"
    assert run.step("w").result.output == {"parcel": "p-1"}
    assert replay(run.workflow, "run-1", run.journal) == run.state


def test_each_outcome_of_the_child_is_a_way_out():
    run = begun()
    run.send(ended(outcome="kept", output={"parcel": "p-1"}))
    assert (run.step("w").port, run.state.outcome) == ("kept", "failed")


def test_what_the_child_does_not_take_fails_the_step_and_asks_for_nothing():
    run = begun(input={"order": "input.n"})
    assert not [one for one in run.commands if one.type == "start_child"]
    assert run.step("w").waiting_for == "exception"


@pytest.mark.parametrize(
    ("status", "outcome", "code"),
    [
        ("failed", "lost", "child_failed"),
        ("cancelled", None, "child_cancelled"),
        ("not_started", None, "child_not_started"),
    ],
)
def test_a_child_that_does_not_succeed_is_an_exception_of_its_parent(status, outcome, code):
    run = begun()
    run.send(ended(status, outcome, reason="The van broke down."))
    result = run.step("w").result
    assert (run.step("w").waiting_for, result.reason_code) == ("exception", code)
    assert "The van broke down." in result.reason
    run.decide_exception("w", "retry")
    assert run.emitted("start_child")[0].child == child_id("run-1", "w", 2)
    run.send(ended(iteration=2, output={"parcel": "p-2"}))
    assert run.state.status == "succeeded"


def test_a_failure_leaves_by_its_own_way_where_it_has_one_else_by_failed():
    arrows = ["start-w", "w.sent-done", "w.lost-a", "a-done", "w.failed-bad"]
    run = begun(*arrows, after=call("a"))
    run.send(ended("failed", "lost"))
    assert (run.step("w").port, run.calls()) == ("lost", ["a"])
    run = begun("start-w", "w.sent-done", "w.failed-bad")
    run.send(ended("failed", "lost"))
    assert (run.step("w").port, run.state.outcome) == ("failed", "failed")


def test_an_end_that_is_heard_twice_or_of_another_iteration_changes_nothing():
    run = begun()
    run.send(ended(iteration=2))
    assert run.status("w") == "waiting"
    run.send(ended(output={"parcel": "p"}))
    before = run.state
    run.send(ended(output={"parcel": "q"}))
    assert run.state == before


def test_a_detached_child_is_asked_for_and_left_alone():
    run = begun("start-w", "w-done", detached=True)
    (asked,) = run.emitted("start_child")
    assert asked.detached
    assert run.state.status == "succeeded"
    assert run.step("w").result.output == {"run": asked.child}
    assert not run.emitted("tell_child")


def test_the_child_is_cancelled_paused_and_continued_with_its_parent():
    run = begun()
    run.send(PauseRequested(reason="wait", actor="otto"))
    assert [one.what for one in run.emitted("tell_child")] == ["pause"]
    run.send(ContinueRequested(reason="go", actor="otto"))
    assert [one.what for one in run.emitted("tell_child")] == ["continue"]
    run.send(CancelRequested(reason="enough", actor="otto"))
    (told,) = run.emitted("tell_child")
    assert (told.what, told.child) == ("cancel", child_id("run-1", "w", 1))


def test_a_time_limit_of_the_parent_ends_the_child():
    run = begun()
    run.fire(None, "run_timeout", "run_timeout/0")
    assert [one.what for one in run.emitted("tell_child")] == ["cancel"]
    assert run.state.status == "failed"


def test_a_child_that_its_own_plan_makes_needless_is_not_asked_for():
    steps = {
        "w": running(),
        "end": {"kind": "end", "name": "End", "outcome": "done"},
    }
    run = Flow(
        steps,
        ["start-w", "start-end", "w.sent-done"],
        input=INPUT,
        workflows=[inner()],
    )
    run.start(order="o-7")
    asked, told = run.emitted("start_child"), run.emitted("tell_child")
    assert run.state.status == "succeeded"
    assert not asked
    assert not told


def test_a_next_round_begins_another_child():
    arrows = ["start-w", "w.sent-a", "a-done", "a.not_found-w ^1", "w.kept-bad"]
    run = begun(*arrows, after=call("a"))
    run.send(ended(output={"parcel": "p"}))
    run.end_with("a", not_found())
    assert run.emitted("start_child")[0].child == child_id("run-1", "w", 2)


def test_resuming_at_the_step_begins_another_child():
    run = begun("start-w", "w.sent-done", "w.failed-bad")
    run.send(ended("failed", "lost"))
    run.send(RunResumed(step="w", reason="again", actor="otto"))
    assert run.emitted("start_child")[0].child == child_id("run-1", "w", 2)


def test_a_rollback_leaves_the_child_to_its_own_page():
    run = begun()
    run.send(ended(output={"parcel": "p"}))
    assert dict(rollback_plan(run.workflow, run.state).not_undone).keys() == {"w"}


# ---- before it runs ------------------------------------------------------------------------------


def test_the_checker_knows_what_the_other_workflow_takes_and_how_it_ends():
    assert not {one for one in findings(running(), inner()) if one[0] == "error"}
    assert ("error", "unknown_workflow", "uses") in findings(running())
    assert ("error", "missing_field", "input.order") in findings(running(input={}), inner())
    changed = running(outcomes={"sent": "success"})
    assert ("error", "outcomes_differ", "uses") in findings(changed, inner())
    assert ("warning", "unlinked_port", "kept") in findings(running(), inner())
    assert ("info", "unlinked_port", "lost") in findings(running(), inner())


def test_a_workflow_runs_neither_itself_nor_too_many_inside_one_another():
    assert ("error", "runs_itself", "uses") in findings(running(), inner(), own="shipping")
    through = inner(reaches=frozenset({"orders"}))
    assert ("error", "runs_itself", "uses") in findings(running(), through, own="orders")
    deep = inner(depth=MAX_NESTING)
    assert ("error", "nested_too_deep", "uses") in findings(running(), deep)


def test_later_steps_read_the_result_of_the_outcome_that_led_to_them():
    def read(text, port):
        steps = {"w": running(), "t": {"kind": "transform", "name": "T", "output": {"v": text}}}
        made = definition(steps, ["start-w", f"w.{port}-t", "t-done"], input=INPUT)
        found = check_definition(made, catalogue(workflows=[inner()]))
        return {(one.severity, one.code) for one in found if one.step == "t"}

    assert not read("steps.w.output.parcel", "sent")
    assert read("steps.w.output.nothing", "sent")
    assert read("steps.w.output.parcel", "lost")


def shipping():
    return compile_workflow(
        definition(
            {
                "pack": call("pack"),
                "sent": {
                    "kind": "end",
                    "name": "Sent",
                    "outcome": "sent",
                    "result": {"parcel": "steps.pack.output.parcel"},
                },
            },
            ["start-pack", "pack-sent"],
            input=TAKES,
            outcomes={"sent": {"kind": "success", "title": "Sent", "result": GIVES}},
        ),
        catalogue(*Flow({"p": call("pack")}, ["start-p", "p-done"]).catalogue.agents.values()),
    )


def test_a_simulation_runs_the_child_too():
    made = compile_workflow(
        definition({"w": running()}, ["start-w", "w.sent-done", "w.kept-done"], input=INPUT),
        catalogue(workflows=[inner()]),
    )
    done = simulate(
        made,
        {"order": "o-7"},
        lambda *_: Value(output={"parcel": "p-9"}),
        lambda _: Answer("end"),
        start=START,
        children={("shipping", 2): shipping()},
    )
    assert done.state.status == "succeeded"
    assert done.state.steps["w"].result.output == {"parcel": "p-9"}
    lonely = simulate(
        made, {"order": "o-7"}, lambda *_: Value(output={}), lambda _: Answer("end"), start=START
    )
    assert lonely.state.status == "failed"


def test_trying_the_step_shows_what_the_child_would_get():
    made = definition({"w": running()}, ["start-w", "w.sent-done"], input=INPUT)
    tried = tried_step(made, catalogue(workflows=[inner()]), "w", {"input": {"order": "o"}})
    assert (tried.result, tried.output) == ("waiting", {"order": "o"})
    assert "shipping version 2" in tried.reason


# ---- a run for each item -------------------------------------------------------------------------


def each(items="input.orders", **more):
    return {"each": items, "detached": True, "input": {"order": "item"}, **more}


def test_a_run_is_asked_for_per_item_and_nobody_waits_for_them():
    run = flow("start-w", "w.next-done", **each(input={"order": "item + string(index)"}))
    run.start(order="o", orders=["a", "b"])
    asked = run.emitted("start_child")
    assert [(one.step, one.input["order"], one.detached) for one in asked] == [
        ("w.0", "a0", True),
        ("w.1", "b1", True),
    ]
    ids = [child_id("run-1", f"w.{index}", 1) for index in range(2)]
    assert [one.child for one in asked] == ids
    assert run.step("w").result.output == {"runs": ids, "count": 2}
    assert run.state.status == "succeeded"
    begun = [one for one in run.plan.events if one.type == "child_begun"]
    assert [(one.child, one.count) for one in begun] == [(ids[0], 2)]
    assert replay(run.workflow, "run-1", run.journal) == run.state
    assert rollback_plan(run.workflow, run.state).not_undone


def test_one_item_that_does_not_fit_keeps_all_runs_from_being_asked_for():
    run = flow("start-w", "w.next-done", **each())
    run.start(order="o", orders=["a", 7])
    assert not run.emitted("start_child")
    assert run.step("w").waiting_for == "exception"
    assert "item 2" in run.step("w").result.reason
    assert not rollback_plan(run.workflow, run.state).not_undone


def test_an_empty_list_goes_on_and_one_that_is_too_long_is_refused():
    run = flow("start-w", "w.next-done", **each())
    run.start(order="o", orders=[])
    assert (run.state.status, run.step("w").result.output) == (
        "succeeded",
        {"runs": [], "count": 0},
    )
    long = flow("start-w", "w.next-done", **each())
    long.start(order="o", orders=["a"] * 201)
    assert long.step("w").result.reason_code == "input_refused"


def test_the_checker_reads_the_list_and_refuses_to_wait_or_to_multiply():
    step = running(**each("[input.order]"))
    assert not [one for one in findings(step, inner()) if one[0] == "error" and one[2]]
    assert ("error", "each_waits", "each") in findings({**step, "detached": False}, inner())
    assert ("error", "not_a_list", "each") in findings({**step, "each": "input.order"}, inner())
    wrong = {**step, "each": "[input.n]"}
    assert ("error", "does_not_fit", "input.order") in findings(wrong, inner())
    itself = {**step, "uses": {"itself": True}, "outcomes": {"done": "success"}}
    assert ("error", "each_multiplies", "each") in findings(itself)


def test_trying_the_step_shows_the_first_of_the_runs():
    step = running(**each("[input.order]"))
    made = definition({"w": step}, ["start-w", "w.next-done"], input=INPUT)
    tried = tried_step(made, catalogue(workflows=[inner()]), "w", {"input": {"order": "o-7"}})
    assert (tried.result, tried.output) == ("waiting", {"order": "o-7"})
    assert "a run for each of 1 item" in tried.reason


# ---- a map whose items are runs ------------------------------------------------------------------

LIST = ["o-1", "o-2", "o-3", "o-4"]
MAPPED = ("start-w", "w-done", "w.partial-done", "w.failed-bad")


def of_runs(**more):
    step = {
        "kind": "map",
        "name": "Ship all",
        "items": "input.orders",
        "uses": {"workflow": "shipping", "version": 2},
        "input": {"order": "item"},
    }
    return {**step, **more}


def mapped(*arrows, after=None, orders=LIST, policies=None, **more):
    """start -> w, a map of runs -> done; failed -> bad."""
    steps = {"w": of_runs(**more), "bad": {"kind": "end", "name": "Bad", "outcome": "failed"}}
    steps |= {"a": after} if after else {}
    run = Flow(steps, arrows or MAPPED, input=INPUT, workflows=[inner()], policies=policies or {})
    run.start(order="o", orders=orders)
    return run


def item_ended(run, index, status="succeeded", outcome="sent", *, iteration=None, **more):
    step = f"w.{index}"
    iteration = iteration or run.step(step).iteration
    child = child_id("run-1", step, iteration)
    place = {"step": step, "iteration": iteration, "child": child}
    return run.send(ChildEnded(**place, status=status, outcome=outcome, **more))


def asked_for(run):
    return [one.step for one in run.emitted("start_child")]


def told(run):
    return [(one.step, one.what) for one in run.emitted("tell_child")]


def sent(run, index):
    return item_ended(run, index, output={"parcel": f"p-{index}"})


def test_each_item_is_a_run_of_its_own_and_only_so_many_are_open_at_once():
    run = mapped(max_parallel=2)
    first, second = run.emitted("start_child")
    assert (first.step, first.input, first.detached) == ("w.0", {"order": "o-1"}, False)
    assert first.child == child_id("run-1", "w.0", 1) != second.child
    assert (first.uses.workflow, first.uses.version) == ("shipping", 2)
    assert (run.step("w").waiting_for, run.step("w.0").waiting_for) == ("members", "child")
    assert run.state.status == "waiting"
    assert "w.2" not in run.state.steps
    sent(run, 1)
    assert asked_for(run) == ["w.2"]
    assert not run.emitted("invoke_agent")


def test_runs_are_gathered_in_the_order_of_the_list_with_the_outcomes_they_reached():
    run = mapped()
    item_ended(run, 3, outcome="kept", output={"parcel": "p-3"})
    for index in (1, 0, 2):
        sent(run, index)
    output = run.step("w").result.output
    assert output["items"] == [{"parcel": f"p-{index}"} for index in range(4)]
    assert output["outcomes"] == ["sent", "sent", "sent", "kept"]
    assert (output["failed"], run.step("w").port, run.state.status) == ([], "next", "succeeded")
    assert replay(run.workflow, "run-1", run.journal) == run.state


@pytest.mark.parametrize(
    ("status", "outcome", "kind"),
    [
        ("failed", "lost", "agent_error"),
        ("cancelled", None, "cancelled"),
        ("not_started", None, "unavailable"),
    ],
)
def test_a_run_that_does_not_succeed_is_a_failed_item(status, outcome, kind):
    run = mapped(tolerated_failures=1)
    item_ended(run, 1, status, outcome, reason="The van broke down.")
    for index in (0, 2, 3):
        sent(run, index)
    output = run.step("w").result.output
    assert (run.step("w").port, output["items"][1]) == ("partial", None)
    assert output["outcomes"] == ["sent", outcome, "sent", "sent"]
    (failed,) = output["failed"]
    assert (failed["index"], failed["kind"]) == (1, kind)
    assert "The van broke down." in failed["reason"]


def test_one_failed_run_too_many_cancels_the_runs_that_are_open_and_begins_no_more():
    run = mapped(max_parallel=2)
    item_ended(run, 0, "failed", "lost", reason="Gone.")
    assert told(run) == [("w.1", "cancel")]
    assert not asked_for(run)
    assert (run.step("w").port, run.state.outcome) == ("failed", "failed")
    assert run.step("w").result.reason_code == "items_failed"
    assert "Item 1: The run of shipping version 2 did not succeed." in run.step("w").result.reason


def test_what_the_workflow_does_not_take_is_a_failed_item_and_starts_nothing():
    run = mapped(orders=["o-1", 7], tolerated_failures=1)
    assert asked_for(run) == ["w.0"]
    assert run.status("w.1") == "failed"
    sent(run, 0)
    assert run.step("w").result.output["outcomes"] == ["sent", None]


def test_an_end_that_is_heard_twice_late_or_of_another_iteration_counts_once():
    run = mapped(orders=LIST[:2])
    sent(run, 0)
    for again in (sent(run, 0), item_ended(run, 1, iteration=2)):
        assert not again.commands
        assert run.state.groups["w"].open == 1
    sent(run, 1)
    assert (run.state.status, run.step("w").iteration) == ("succeeded", 1)
    before = run.state
    sent(run, 1)
    assert run.state == before


def test_enough_runs_end_the_map_and_the_others_are_cancelled_or_finish_unheard():
    run = mapped(enough="2", max_parallel=3)
    item_ended(run, 2, output={"parcel": "p-2"})
    sent(run, 0)
    assert told(run) == [("w.1", "cancel"), ("w.3", "cancel")]
    left_out = run.step("w").result.output["left_out"]
    assert [one["status"] for one in left_out] == ["cancelled", "cancelled"]

    arrows = ("start-w", "w-a", "a-done", "w.partial-done", "w.failed-bad")
    run = mapped(*arrows, after=call("a"), enough="1", late="ignore", max_parallel=2)
    sent(run, 0)
    assert not told(run)
    left_out = run.step("w").result.output["left_out"]
    assert [one["status"] for one in left_out] == ["running", "not_begun", "not_begun"]
    was = run.step("w")
    sent(run, 1)
    assert (run.step("w"), run.status("w.1")) == (was, "succeeded")
    run.succeed("a")
    assert run.state.status == "succeeded"


def test_the_end_of_the_run_cancels_runs_that_finish_late():
    arrows = ("start-w", "w-a", "a-done", "w.partial-done", "w.failed-bad")
    run = mapped(*arrows, after=call("a"), enough="1", late="ignore", max_parallel=2)
    sent(run, 0)
    run.succeed("a")
    assert told(run) == [("w.1", "cancel")]


def test_pause_continue_and_cancel_reach_the_runs_that_are_open():
    run = mapped(max_parallel=2)
    sent(run, 0)
    run.send(PauseRequested(reason="wait", actor="otto"))
    assert told(run) == [("w.1", "pause"), ("w.2", "pause")]
    sent(run, 1)
    assert not asked_for(run)  # the next one begins when the run goes on
    run.send(ContinueRequested(reason="go", actor="otto"))
    assert told(run) == [("w.2", "continue")]
    assert asked_for(run) == ["w.3"]
    run.send(CancelRequested(reason="enough", actor="otto"))
    assert told(run) == [("w.2", "cancel"), ("w.3", "cancel")]


def test_places_for_calls_do_not_hold_items_back_that_are_runs():
    arrows = ("start-w", "start-a", "w-done", "w.partial-done", "w.failed-bad", "a-done")
    run = mapped(*arrows, after=call("a"), policies={"max_parallel": 1})
    assert len(asked_for(run)) == 4
    assert run.calls() == ["a"]


def test_resuming_keeps_the_runs_that_succeeded_and_begins_the_others_anew():
    run = mapped(orders=LIST[:3])
    sent(run, 0)
    item_ended(run, 1, "failed", "lost")
    run.send(RunResumed(step="w", reason="again", actor="otto"))
    asked = run.emitted("start_child")
    assert [(one.step, one.child) for one in asked] == [
        (f"w.{index}", child_id("run-1", f"w.{index}", 2)) for index in (1, 2)
    ]
    for index in (1, 2):
        sent(run, index)
    assert run.state.status == "succeeded"
    assert run.step("w").result.output["outcomes"] == ["sent"] * 3


def test_a_next_round_begins_other_runs():
    arrows = ("start-w", "w-a", "a-done", "a.not_found-w ^1", "w.failed-bad", "w.partial-done")
    run = mapped(*arrows, after=call("a"), orders=LIST[:1])
    sent(run, 0)
    run.end_with("a", not_found())
    assert [one.child for one in run.emitted("start_child")] == [child_id("run-1", "w.0", 2)]


def test_a_rollback_leaves_the_runs_of_items_to_their_own_pages():
    run = mapped(orders=LIST[:1])
    sent(run, 0)
    left = dict(rollback_plan(run.workflow, run.state).not_undone)
    assert "own pages" in left["w"]
    empty = mapped(orders=[])
    assert (empty.state.status, rollback_plan(empty.workflow, empty.state).not_undone) == (
        *("succeeded", ()),
    )


def test_the_checker_knows_what_a_run_for_each_item_takes_and_gives():
    def found(step, *known, own="", output=None):
        steps = {"w": step}
        arrows = ["start-w", "w-done", "w.partial-done", "w.failed-done"]
        if output:
            steps["t"] = {"kind": "transform", "name": "T", "output": {"v": output}}
            arrows = ["start-w", "w-t", "t-done", "w.partial-done", "w.failed-done"]
        made = definition(steps, arrows, input=LISTED)
        checked = check_definition(made, catalogue(workflows=known, own=own))
        return {(one.severity, one.code, one.field) for one in checked}

    assert not {one for one in found(of_runs(), inner()) if one[0] == "error"}
    assert ("error", "unknown_workflow", "uses") in found(of_runs())
    assert ("error", "missing_field", "input.order") in found(of_runs(input={}), inner())
    wrong = of_runs(input={"order": "index"})
    assert ("error", "does_not_fit", "input.order") in found(wrong, inner())
    assert ("error", "runs_itself", "uses") in found(of_runs(), inner(), own="shipping")
    deep = inner(depth=MAX_NESTING)
    assert ("error", "nested_too_deep", "uses") in found(of_runs(), deep)
    retried = of_runs(retry={"max_attempts": 5})
    assert ("error", "limits_of_calls", "timeout") in found(retried, inner())
    for text in ("steps.w.output.items[0].parcel", "steps.w.output.outcomes[0] == 'sent'"):
        assert not {one for one in found(of_runs(), inner(), output=text) if one[0] == "error"}
    for text in ("steps.w.output.items[0].lost", "steps.w.output.outcomes[0] == 'lost'"):
        assert {one for one in found(of_runs(), inner(), output=text) if one[0] != "info"}


LISTED = {
    "type": "object",
    "properties": {"orders": {"type": "array", "items": {"type": "string"}}},
    "required": ["orders"],
}


def test_a_case_whose_items_were_runs_goes_on_with_the_same_workflow_alone():
    arrows = ("start-w", "w-a", "a-done", "w.partial-done", "w.failed-bad")
    run = mapped(*arrows, after=call("a"), orders=LIST[:1])
    sent(run, 0)

    def against(**more):
        steps = {**{key: one.model_dump() for key, one in run.definition.steps.items()}}
        steps["w"] = of_runs(**more)
        made = definition(steps, arrows, input=INPUT)
        known = [inner(), inner(version=3)]
        new = compile_workflow(made, catalogue(agent("a"), workflows=known))
        return [(one.rule, one.place) for one in obstacles(run.state, run.workflow, new, START)]

    assert against() == []
    newer = {"workflow": "shipping", "version": 3}
    assert against(uses=newer) == [("changed", "/steps/w/uses")]
    assert against(uses={"agent": "a", "version": 1}) == [("changed", "/steps/w/uses")]


def test_a_simulation_runs_each_item_too():
    made = compile_workflow(
        definition({"w": of_runs()}, ["start-w", "w-done"], input=LISTED),
        catalogue(workflows=[inner()]),
    )
    done = simulate(
        made,
        {"orders": LIST},
        lambda *_: Value(output={"parcel": "p-9"}),
        lambda _: Answer("end"),
        start=START,
        children={("shipping", 2): shipping()},
    )
    assert done.state.status == "succeeded"
    assert done.state.steps["w"].result.output["outcomes"] == ["sent"] * 4


def test_a_definition_that_maps_agents_has_the_hash_it_had():
    step = of_runs(uses={"agent": "work", "version": 1})
    made = definition({"w": step}, ["start-w", "w-done"])
    assert made.hashed()["steps"]["w"]["uses"] == {"agent": "work", "version": 1}
