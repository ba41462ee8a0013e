"""When a step may begin: one at a time in a section, and only while something holds."""

from __future__ import annotations

import pytest

from orchestrator.core.checks import check_definition
from orchestrator.core.compilation import DefinitionError, compile_workflow
from orchestrator.core.definition import WorkflowDefinition
from orchestrator.core.events import CancelRequested, ContinueRequested, PauseRequested, RunResumed
from orchestrator.core.planner import replay
from tests.unit.core.flows import Flow, call, catalogue, definition, each, not_found

TILL = {"exclusive": {"section": "till"}}
KEPT = {"exclusive": {"section": "till", "keep": True}}
ASKED = {"kind": "gate", "type": "approve", "question": "?", "contract": {"type": "object"}}


def agents(*names, **more):
    return {name: call(name=name.upper(), **more) for name in names}


def joined(*names):
    return [
        *(f"start-{name}" for name in names),
        *(f"{name}-all" for name in names),
        "all-done",
    ]


JOIN = {"all": {"kind": "join", "name": "All"}}


def side_by_side(*names, **more):
    return Flow({**agents(*names, **more), **JOIN}, joined(*names))


def test_steps_of_one_section_go_one_after_another_in_the_order_of_their_ranks():
    flow = side_by_side("c", "a", "b", **TILL)
    assert [
        command.step for command in flow.start().commands if command.type == "invoke_agent"
    ] == ["a"]
    assert [(flow.status(one), flow.step(one).waiting_for) for one in "bc"] == [
        ("waiting", "turn"),
        ("waiting", "turn"),
    ]
    flow.succeed("a")
    assert flow.calls() == ["b"]
    flow.succeed("b")
    assert flow.calls() == ["c"]
    flow.succeed("c")
    assert flow.state.outcome == "done"
    assert flow.state.sections == {}


def test_who_was_ready_first_comes_first_whatever_his_rank():
    steps = {**agents("a", "late", "z", **TILL), **agents("before"), **JOIN}
    flow = Flow(
        steps,
        ["start-late", "start-before", "before-a", "late-z", "a-all", "z-all", "all-done"],
    )
    flow.start()
    flow.succeed("before")
    flow.succeed("late")
    assert flow.calls() == ["a"], "it became ready while the other one was in the section"
    assert flow.step("z").waiting_for == "turn"


def test_steps_of_other_sections_and_of_none_are_not_held_back():
    steps = {
        **agents("a", **TILL),
        **agents("b", exclusive={"section": "dock"}),
        **agents("c"),
        **JOIN,
    }
    flow = Flow(steps, joined("a", "b", "c"))
    flow.start()
    assert sorted(flow.calls()) == ["a", "b", "c"]


def test_the_section_is_held_through_retries_and_the_question_to_a_person():
    flow = side_by_side("a", "b", **TILL, retry={"max_attempts": 2})
    flow.start()
    flow.fail("a", "timeout")
    assert flow.step("a").waiting_for == "retry"
    assert flow.step("b").waiting_for == "turn"
    assert flow.state.status.value == "waiting", "nobody calls, so the run may be parked"
    flow.fire("a")
    assert flow.calls() == ["a"]
    flow.fail("a", "timeout")
    assert flow.step("a").waiting_for == "exception"
    assert flow.step("b").waiting_for == "turn"
    flow.decide_exception("a", "retry")
    assert flow.calls() == ["a"]
    flow.succeed("a")
    assert flow.calls() == ["b"]


def test_a_gate_and_a_map_take_turns_with_an_agent():
    steps = {
        "ask": {**ASKED, "name": "Ask", **TILL},
        "each": each("[1, 2]", **TILL),
        **agents("z", **TILL),
        **JOIN,
    }
    flow = Flow(
        steps,
        ["start-ask", "start-each", "start-z", "ask.approved-all", "each-all", "z-all", "all-done"],
    )
    flow.start()
    assert flow.status("ask") == "waiting"
    assert flow.step("each").waiting_for == "turn"
    flow.decide("ask")
    assert flow.calls() == ["each.0", "each.1"]
    flow.succeed("each.0")
    assert flow.step("z").waiting_for == "turn"
    flow.succeed("each.1")
    assert flow.calls() == ["z"]


def test_calls_of_a_map_that_finish_late_keep_its_section():
    steps = {
        "each": each("[1, 2]", enough="1", late="ignore", **TILL),
        **agents("z", **TILL),
        **JOIN,
    }
    flow = Flow(steps, joined("each", "z"))
    flow.start()
    flow.succeed("each.0")
    assert flow.status("each") == "succeeded"
    assert flow.step("z").waiting_for == "turn"
    flow.succeed("each.1")
    assert flow.calls() == ["z"]


def test_a_section_that_is_kept_is_free_only_after_the_last_of_its_steps():
    steps = {**agents("a", "b", **KEPT), **agents("a2", "b2", **TILL), **JOIN}
    flow = Flow(steps, ["start-a", "start-b", "a-a2", "b-b2", "a2-all", "b2-all", "all-done"])
    flow.start()
    assert flow.calls() == ["a"]
    flow.succeed("a")
    assert flow.calls() == ["a2"], "not b: the section is kept for a2"
    flow.succeed("a2")
    assert flow.calls() == ["b"]


def test_without_keeping_it_another_one_comes_between():
    steps = {**agents("a", "a2", "b", **TILL), **JOIN}
    flow = Flow(steps, ["start-a", "a-a2", "start-b", "a2-all", "b-all", "all-done"])
    flow.start()
    flow.succeed("a")
    assert flow.calls() == ["b"]
    flow.succeed("b")
    assert flow.calls() == ["a2"]


def test_a_kept_section_is_free_when_the_way_leaves_it():
    steps = {**agents("a", **KEPT), **agents("a2", "b", **TILL), **JOIN}
    flow = Flow(
        steps, ["start-a", "a-a2", "a.failed-all", "start-b", "a2-all", "b-all", "all-done"]
    )
    flow.start()
    flow.fail("a", retryable=False)
    assert flow.status("a2") == "skipped"
    assert flow.calls() == ["b"]


def test_a_loop_takes_its_turn_anew_in_each_round():
    steps = {**agents("a", "b", **TILL), **JOIN}
    flow = Flow(steps, ["start-a", "start-b", "a-all", "a.not_found-a ^2", "b-all", "all-done"])
    flow.start()
    flow.end_with("a", not_found())
    assert flow.step("a").round == 2
    assert flow.calls() == ["a"], "it goes on at once, so the section stays with it"
    flow.succeed("a")
    assert flow.calls() == ["b"]


def test_pausing_and_continuing_keeps_who_is_in_the_section():
    flow = side_by_side("a", "b", **TILL)
    flow.start()
    flow.send(PauseRequested(reason="why", actor="otto"))
    assert flow.status("a") == "ready"
    flow.send(ContinueRequested(reason="on", actor="otto"))
    assert flow.calls() == ["a"]
    assert flow.step("b").waiting_for == "turn"


def test_a_run_that_ends_frees_all_sections_and_takes_turns_again_when_it_is_resumed():
    flow = side_by_side("a", "b", "c", **TILL)
    flow.start()
    flow.fail("a", retryable=False)
    flow.decide_exception("a", "end")
    assert flow.state.status.value == "failed"
    assert flow.state.sections == {}
    assert flow.status("b") == "cancelled"
    flow.send(RunResumed(step="a", reason="again", actor="otto"))
    assert flow.calls() == ["a"]
    assert [flow.step(one).waiting_for for one in "bc"] == ["turn", "turn"]
    assert replay(flow.workflow, "run-1", flow.journal) == flow.state


def test_a_cancelled_run_withdraws_nothing_for_steps_that_only_wait_for_their_turn():
    flow = side_by_side("a", "b", **TILL)
    flow.start()
    plan = flow.send(CancelRequested(reason="enough", actor="otto"))
    assert [one.type for one in plan.commands] == ["cancel_attempt", "cancel_timer"]
    assert flow.status("b") == "cancelled"


# ---- only while ----------------------------------------------------------------------------------


def milestone(**limits):
    """`b` then `c` on one way, `x` on the other; `ask` keeps `x` away from its beginning."""
    steps = {
        **agents("b", "c", "ask"),
        "x": call(name="X", only_while=limits),
        **JOIN,
        "all": {"kind": "join", "name": "All", "policy": "best_effort"},
    }
    return Flow(steps, ["start-b", "b-c", "c-all", "start-ask", "ask-x", "x-all", "all-done"])


def test_a_step_that_is_too_early_waits_until_the_other_one_has_ended():
    flow = milestone(after="b")
    flow.start()
    flow.succeed("ask")
    assert (flow.status("x"), flow.step("x").waiting_for) == ("waiting", "milestone")
    flow.succeed("b")
    assert sorted(flow.calls()) == ["c", "x"]


def test_a_step_that_comes_too_late_is_skipped_and_its_way_is_dead():
    flow = milestone(until="c")
    flow.start()
    flow.succeed("b")
    flow.succeed("ask")
    assert flow.status("x") == "skipped"
    assert flow.state.links["x.next-all"].value == "dead"
    assert [one.too_late for one in flow.plan.events if one.type == "step_skipped"] == [True]
    flow.succeed("c")
    assert flow.state.outcome == "done"


def test_while_the_milestone_holds_both_may_begin():
    flow = milestone(after="b", until="c")
    flow.start()
    flow.succeed("ask")
    flow.succeed("b")
    assert sorted(flow.calls()) == ["c", "x"]


def test_what_waits_too_long_is_skipped_once_its_time_is_over():
    steps = {
        **agents("b", "c"),
        "x": call(name="X", only_while={"after": "b", "until": "c"}),
        "all": {"kind": "join", "name": "All", "policy": "best_effort"},
    }
    flow = Flow(steps, ["start-b", "start-c", "start-x", "b-all", "c-all", "x-all", "all-done"])
    flow.start()
    assert flow.status("x") == "skipped", "c has begun in this very plan"


def test_a_step_whose_other_one_was_skipped_is_skipped_too():
    steps = {
        "which": {
            "kind": "router",
            "name": "Which",
            "routes": [{"port": "left", "title": "Left", "when": "input.n > 1"}],
        },
        **agents("left", "right"),
        "x": call(name="X", only_while={"after": "left"}),
        "all": {"kind": "join", "name": "All", "policy": "best_effort"},
    }
    arrows = ["start-which", "start-x", "which.left-left", "which.default-right"]
    flow = Flow(steps, [*arrows, "left-all", "right-all", "x-all", "all-done"])
    flow.start(n=0)
    assert flow.status("left") == "skipped"
    assert flow.status("x") == "skipped"


def test_steps_that_wait_for_one_that_comes_too_late_are_skipped_one_after_another():
    """Whatever their order: the first to be looked at waits for the last to be skipped."""
    steps = {
        **agents("ends", "ask"),
        "x": call(name="X", only_while={"after": "y"}),
        "y": call(name="Y", only_while={"after": "z"}),
        "z": call(name="Z", only_while={"until": "ends"}),
        "all": {"kind": "join", "name": "All", "policy": "best_effort"},
    }
    arrows = ["start-ends", "start-x", "start-y", "start-ask", "ask-z"]
    flow = Flow(steps, [*arrows, "ends-all", "x-all", "y-all", "z-all", "all-done"])
    flow.start()
    flow.succeed("ends")
    assert {flow.step(name).waiting_for for name in "xy"} == {"milestone"}
    flow.succeed("ask")
    assert {flow.status(name) for name in "xyz"} == {"skipped"}
    assert flow.state.outcome == "done"


def test_a_step_that_lost_its_place_to_the_limit_of_the_run_is_looked_at_again():
    steps = {
        **agents("a", "b"),
        "x": call(name="X", only_while={"until": "b"}),
        "all": {"kind": "join", "name": "All", "policy": "best_effort"},
    }
    flow = Flow(
        steps,
        ["start-a", "start-b", "start-x", "a-all", "b-all", "x-all", "all-done"],
        policies={"max_parallel": 1},
    )
    flow.start()
    assert flow.status("x") == "ready"
    flow.succeed("a")
    assert flow.calls() == ["b"]
    flow.succeed("b")
    assert flow.status("x") == "skipped"


def test_a_step_that_is_too_early_again_keeps_nobody_from_the_section():
    steps = {**agents("first", "then", **TILL), **JOIN}
    steps["then"]["only_while"] = {"after": "first"}
    flow = Flow(
        steps,
        joined("first", "then"),
        policies={"exceptions": {"mode": "end", "outcome": "failed"}},
    )
    flow.start()
    flow.fail("first", "contract")
    assert flow.state.status.value == "failed"
    flow.send(RunResumed(step="then", input=None, reason="again", actor="otto"))
    assert flow.calls() == ["first"], "it had ended when the other one lined up, and began anew"
    flow.succeed("first")
    assert flow.calls() == ["then"]
    flow.succeed("then")
    assert flow.state.outcome == "done"


def test_a_step_in_a_section_lines_up_only_once_it_is_not_too_early():
    steps = {
        **agents("b"),
        **agents("z", **TILL),
        "x": call(name="X", only_while={"after": "b"}, **TILL),
        **JOIN,
    }
    flow = Flow(steps, joined("b", "x", "z"))
    flow.start()
    assert sorted(flow.calls()) == ["b", "z"]
    flow.succeed("b")
    assert flow.step("x").waiting_for == "turn"
    flow.succeed("z")
    assert flow.calls() == ["x"]


# ---- the checker ---------------------------------------------------------------------------------


def codes(steps, arrows):
    made = definition(steps, arrows)
    known = catalogue(*Flow({"w": call()}, ["start-w", "w-done"]).catalogue.agents.values())
    return {
        (one.severity, one.code, one.step)
        for one in check_definition(made, known)
        if (one.field or "").startswith(("exclusive", "only_while"))
    }


def test_the_checker_says_who_waits_for_whom():
    found = codes({**agents("a", "b", **TILL), **JOIN}, joined("a", "b"))
    assert found == {("info", "waits_for_section", "a"), ("info", "waits_for_section", "b")}


def test_a_section_of_one_and_one_that_is_kept_for_nothing_are_warned_of():
    found = codes(agents("a", **KEPT), ["start-a", "a-done"])
    assert found == {("warning", "alone_in_section", "a"), ("warning", "keeps_for_nothing", "a")}


MIDWAY = {**agents("a", **KEPT), **agents("a2", **TILL), **agents("b")}
MIDWAY_LINKS = ["start-a", "a-a2", "start-b", "b-a2", "a2-done"]


def test_what_would_wait_inside_a_section_is_refused():
    assert ("error", "enters_kept_section", "a2") in codes(MIDWAY, MIDWAY_LINKS)
    held = {**agents("a", "b", **KEPT), "c": call(name="C", only_while={"after": "b"}, **TILL)}
    found = codes({**held, **JOIN}, ["start-a", "a-c", "start-b", "c-all", "b-all", "all-done"])
    assert ("error", "waits_in_section", "c") in found
    with pytest.raises(DefinitionError, match="keep its section"):
        compile_workflow(
            definition(MIDWAY, MIDWAY_LINKS), Flow(MIDWAY, ["start-b", "b-done"]).catalogue
        )


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        ({"after": "nobody"}, "unknown_step"),
        ({"until": "nobody"}, "unknown_step"),
        ({"after": "x"}, "never_begins"),
        ({"until": "x"}, "never_begins"),
        ({"after": "done"}, "never_begins"),
        ({"until": "a"}, "never_begins"),
        ({"after": "y"}, "never_begins"),
        ({"after": "c", "until": "b"}, "never_begins"),
        ({"after": "a"}, "always_ended"),
        ({"after": "b", "until": "c"}, "skipped_when_late"),
    ],
)
def test_the_checker_refuses_what_can_never_begin(limits, code):
    steps = {**agents("a", "b", "c", "y"), "x": call(name="X", only_while=limits), **JOIN}
    arrows = ["start-a", "a-x", "x-y", "y-all", "start-b", "b-c", "c-all", "all-done"]
    assert [one for _, one, _ in codes(steps, arrows)] == [code]


def test_steps_that_would_wait_for_each_other_are_refused():
    steps = {
        "a": call(name="A", only_while={"after": "b"}),
        "b": call(name="B", only_while={"after": "a"}),
        **JOIN,
    }
    assert {one for _, one, _ in codes(steps, joined("a", "b"))} == {"never_begins"}
    with pytest.raises(DefinitionError, match="wait for each other"):
        Flow(steps, joined("a", "b"))


def test_a_definition_without_them_is_written_as_before():
    made = definition(agents("a"), ["start-a", "a-done"])
    assert not {"exclusive", "only_while"} & set(made.hashed()["steps"]["a"])
    limited = definition(agents("a", **TILL), ["start-a", "a-done"])
    assert limited.hashed()["steps"]["a"]["exclusive"] == {"section": "till", "keep": False}
    assert WorkflowDefinition.model_validate(limited.hashed() | {"positions": {}}) == limited
