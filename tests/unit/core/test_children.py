"""Running other workflows: the child is asked for once, its end is heard, and it follows its parent."""

from __future__ import annotations

import pytest

from orchestrator.core.catalogue import MAX_NESTING, WorkflowInterface
from orchestrator.core.checks import check_definition
from orchestrator.core.compilation import compile_workflow
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
from tests.unit.core.flows import START, Flow, call, catalogue, definition, not_found

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
