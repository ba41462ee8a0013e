"""Findings of the checker, one wrong definition per test."""

from __future__ import annotations

import pytest

from orchestrator.core.checks import check_definition, has_errors
from orchestrator.core.compilation import DefinitionError, compile_workflow, step_order
from tests.unit.core.flows import ANY, agent, call, catalogue, definition

IN = {
    "type": "object",
    "properties": {
        "n": {"type": "integer"},
        "s": {"type": "string"},
        "d": {"type": ["integer", "null"]},
    },
    "required": ["n", "d"],
    "additionalProperties": False,
}
TAKES = {
    "type": "object",
    "properties": {"x": {"type": "integer"}, "p": {"$ref": "baton:Date"}, "o": {}},
    "required": ["x"],
    "additionalProperties": False,
}
GIVES = {
    "type": "object",
    "properties": {"v": {"type": "integer"}, "kind": {"enum": ["car", "home"]}},
    "required": ["v"],
    "additionalProperties": False,
}
A = agent("a", takes=TAKES, gives=GIVES)
GATE = {"kind": "gate", "name": "Gate", "type": "review", "question": "OK?", "contract": ANY}
BAD_END = {"kind": "end", "name": "Bad", "outcome": "failed"}
JOIN = {"kind": "join", "name": "Join"}


def work(**input_):
    return call("a", input=input_ or {"x": "input.n"})


def check(steps, arrows, **more):
    more.setdefault("input", IN)
    return check_definition(definition(steps, arrows, **more), catalogue(A))


def found(findings, severity=None):
    return [(f.code, f.step, f.field) for f in findings if severity in {None, f.severity}]


def errors(steps, arrows, **more):
    return found(check(steps, arrows, **more), "error")


def warnings(steps, arrows, **more):
    return found(check(steps, arrows, **more), "warning")


LINE = ["start-a", "a-done"]


def test_a_sound_definition_has_no_errors_or_warnings():
    findings = check({"a": work()}, LINE)
    assert not has_errors(findings)
    assert {f.severity for f in findings} == {"info"}


def test_no_start_and_a_second_start():
    made = definition({"a": work()}, LINE, input=IN)
    dumped = made.model_dump(mode="json")
    dumped["steps"]["again"] = {"kind": "start", "name": "Again"}
    twice = check_definition(type(made).model_validate(dumped), catalogue(A))
    assert ("several_starts", "start", None) in found(twice) or (
        "several_starts",
        "again",
        None,
    ) in found(twice)
    del dumped["steps"]["start"], dumped["steps"]["again"], dumped["links"]["start.next-a"]
    none = check_definition(type(made).model_validate(dumped), catalogue(A))
    assert ("no_start", None, "steps") in found(none)


def test_a_link_into_the_start():
    assert ("link_into_start", "start", None) in errors({"a": work()}, [*LINE, "a.failed-start"])


def test_no_end():
    made = definition({"a": work()}, ["start-a"], input=IN)
    dumped = made.model_dump(mode="json")
    del dumped["steps"]["done"]
    assert ("no_end", None, "steps") in found(
        check_definition(type(made).model_validate(dumped), catalogue(A))
    )


def test_an_unreachable_step_and_one_without_a_way_to_an_end():
    result = errors({"a": work(), "b": work(), "c": work()}, [*LINE, "a.failed-c", "b-done"])
    assert ("unreachable_step", "b", None) in result
    assert ("no_way_to_end", "c", None) in result


def test_a_cycle_is_refused_and_named():
    findings = check({"a": work(), "b": work()}, ["start-a", "a-b", "b-a", "b.failed-done"])
    (cycle,) = [f for f in findings if f.code == "cycle"]
    assert cycle.severity == "error"
    assert "a → b → a" in cycle.message or "b → a → b" in cycle.message


BACK = ["start-a", "a-b", "b-done", "b.not_found-a ^2"]
B = {**work(), "name": "B"}


def test_a_link_back_is_no_cycle_and_says_what_happens_when_it_is_used_up():
    findings = check({"a": work(), "b": B}, BACK)
    assert not [f for f in findings if f.severity == "error"]
    (used_up,) = [f for f in findings if f.code == "back_link_used_up"]
    assert (used_up.severity, used_up.link) == ("info", "b.not_found-a")
    assert used_up.message.startswith("When 'B' has led back to 'A' 2 times, ")


def test_a_link_back_to_a_step_that_can_be_passed_by_names_the_way_around():
    findings = check({"a": work(), "b": B}, [*BACK, "start-b"])
    (found,) = [f for f in findings if f.code == "back_link_passed_by"]
    assert (found.severity, found.link) == ("error", "b.not_found-a")
    assert "'Start' → 'B'" in found.message


def test_a_way_out_that_leads_back_leads_nowhere_else():
    findings = check({"a": work(), "b": work()}, [*BACK, "b.not_found-done"])
    assert "back_link_not_alone" in [f.code for f in findings if f.severity == "error"]


def test_a_step_whose_only_way_on_leads_back_still_has_a_way_to_the_end():
    steps = {"a": work(), "b": work(), "c": work()}
    findings = check(steps, ["start-a", "a-b", "b-done", "b.not_found-c", "c-a ^2"])
    assert not [f for f in findings if f.severity == "error"]


def test_in_a_loop_a_step_may_read_what_comes_after_it_and_itself_but_never_for_certain():
    steps = {"a": work(x="steps.a.round", o="steps.b.output.v"), "b": work()}
    findings = check(steps, BACK)
    assert not [f for f in findings if f.severity == "error"]
    steps["a"] = work(x="steps.b.output.v + 1")
    assert "may_have_no_value" in [f.code for f in check(steps, BACK)]


def test_outside_a_loop_a_step_may_not_read_what_comes_after_it():
    steps = {"a": work(x="steps.b.output.x"), "b": work()}
    assert "not_upstream" in [code for code, _, _ in errors(steps, BACK[:3])]


def test_an_unknown_way_out():
    assert ("unknown_port", "a", None) in errors({"a": work()}, [*LINE, "a.sideways-done"])


def test_an_unknown_agent_names_the_versions_there_are():
    steps = {"a": {**work(), "uses": {"agent": "a", "version": 9}}}
    (finding,) = [f for f in check(steps, LINE) if f.code == "unknown_agent"]
    assert finding.hint == "There are versions 1."


@pytest.mark.parametrize(
    "more",
    [
        {"input": {"$ref": "baton:Nothing"}},
        {"outcomes": {"done": {"kind": "success", "title": "D", "result": {"type": "strin"}}}},
    ],
)
def test_an_unusable_contract(more):
    assert "invalid_contract" in [code for code, _, _ in errors({"a": work(x="1")}, LINE, **more)]


def test_an_unusable_gate_contract():
    steps = {"g": {**GATE, "contract": {"$ref": "https://example.org"}}}
    assert ("invalid_contract", "g", "contract") in errors(steps, ["start-g", "g.approved-done"])


def test_outcomes_that_are_not_declared_or_of_the_wrong_kind():
    result = errors(
        {"a": work(), "e": {"kind": "end", "name": "E", "outcome": "nowhere"}},
        [*LINE, "a.failed-e"],
        policies={"exceptions": {"outcome": "done"}, "timeout_outcome": "gone"},
    )
    assert ("undeclared_outcome", "e", "outcome") in result
    assert ("outcome_is_success", None, "policies.exceptions.outcome") in result
    assert ("undeclared_outcome", None, "policies.timeout_outcome") in result


def test_a_router_needs_a_default_and_its_conditions_must_be_sound():
    router = {
        "kind": "router",
        "name": "R",
        "routes": [
            {"port": "one", "title": "One", "when": "input.n + 1"},
            {"port": "two", "title": "Two", "when": "input.nn > 3"},
            {"port": "three", "title": "Three", "when": "input.s"},
        ],
    }
    result = errors({"r": router}, ["start-r", "r.one-done"])
    assert ("router_without_default", "r", "default") in result
    assert ("not_a_condition", "r", "routes.one") in result
    assert ("unknown_field", "r", "routes.two") in result
    assert ("not_a_condition", "r", "routes.three") in result


def test_two_ways_out_of_one_name():
    route = {"port": "default", "title": "D", "when": "true"}
    steps = {"r": {"kind": "router", "name": "R", "routes": [route]}}
    assert ("port_twice", "r", None) in errors(steps, ["start-r", "r.default-done"])


def test_a_join_needs_two_branches():
    assert ("join_needs_branches", "j", None) in errors(
        {"a": work(), "j": JOIN}, ["start-a", "a-j", "j-done"]
    )


def test_unlinked_ports_say_what_will_happen():
    findings = [f for f in check({"a": work()}, LINE) if f.code == "unlinked_port"]
    assert {f.field for f in findings} == {"not_found", "uncertain", "refused", "failed"}
    assert findings[0].message.endswith(
        "asks a person to run it again, to give its result or to end the run."
    )
    nowhere = [f for f in check({"j": JOIN}, ["start-j", "j-done"]) if f.code == "unlinked_port"]
    assert "asks a person to run it again or to end the run." in nowhere[0].message
    policies = {"exceptions": {"mode": "end", "outcome": "failed"}}
    findings = [
        f for f in check({"a": work()}, LINE, policies=policies) if f.code == "unlinked_port"
    ]
    assert "the run ends as 'failed'" in findings[0].message


def test_an_unlinked_expected_port_is_a_warning():
    assert ("unlinked_port", "b", "next") in warnings(
        {"a": work(), "b": work()}, [*LINE, "a.failed-b"]
    )


# ---- mappings -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("input_", "code", "field"),
    [
        ({"o": "input.n"}, "missing_field", "input.x"),
        ({"x": "input.nn"}, "unknown_field", "input.x"),
        ({"x": "input.n +"}, "syntax", "input.x"),
        ({"x": "input.s"}, "does_not_fit", "input.x"),
        ({"x": "'text'"}, "does_not_fit", "input.x"),
        ({"x": "input.n", "zz": "1"}, "unknown_target_field", "input.zz"),
        ({"x": "steps.ghost.output.v"}, "unknown_step", "input.x"),
        ({"x": "steps.b.output.v"}, "not_upstream", "input.x"),
        ({"x": "steps.a.output.v"}, "not_upstream", "input.x"),
    ],
)
def test_a_mapping_that_cannot_work_is_an_error_with_its_field(input_, code, field):
    assert (code, "a", field) in errors(
        {"a": work(**input_), "b": work()}, ["start-a", "a-b", "b-done"]
    )


@pytest.mark.parametrize(
    ("input_", "code", "field"),
    [
        ({"x": "input.d"}, "may_not_fit", "input.x"),
        ({"x": "input.n", "p": "input.s"}, "may_not_fit", "input.p"),
        ({"x": "input.d + 1"}, "may_be_empty", "input.x"),
        ({"x": "size(input.s)"}, "may_have_no_value", "input.x"),
    ],
)
def test_a_mapping_that_may_fail_is_a_warning_with_its_field(input_, code, field):
    steps = {"a": work(**input_)}
    assert errors(steps, LINE) == []
    assert (code, "a", field) in warnings(steps, LINE)


def test_a_guarded_value_is_no_warning():
    assert warnings({"a": work(x="has(input.s) ? size(input.s) : 0")}, LINE) == []


def test_what_only_the_run_can_tell_is_an_info():
    open_input = {"type": "object"}
    findings = check({"a": work()}, LINE, input=open_input)
    assert ("cannot_tell", "a", "input.x") in found(findings, "info")


def test_an_unknown_field_of_an_earlier_output_suggests_the_right_one():
    steps = {"a": work(), "b": work(x="steps.a.output.w")}
    (finding,) = [
        f for f in check(steps, ["start-a", "a-b", "b-done"]) if f.code == "unknown_field"
    ]
    assert finding.message == "'steps.a.output.w' does not exist. Did you mean 'v'?"


def test_an_output_is_certain_only_when_the_step_left_by_a_port_that_has_one():
    after = {"a": work(), "b": work(x="steps.a.output.v")}
    assert warnings(after, ["start-a", "a-b", "b-done"]) == []
    assert ("may_be_missing", "b", "input.x") in warnings(
        after, ["start-a", "a-b", "a.not_found-b", "b-done"]
    )
    assert ("unknown_field", "b", "input.x") in errors(
        {**after, "c": work()}, ["start-a", "a-c", "a.failed-b", "b-done", "c-done"]
    )


def test_a_join_of_all_makes_all_branches_certain_and_a_best_effort_join_does_not():
    steps = {
        "a": work(),
        "b": work(),
        "j": JOIN,
        "c": work(x="steps.a.output.v", o="steps.b.output.v"),
    }
    arrows = ["start-a", "start-b", "a-j", "b-j", "j-c", "c-done"]
    assert warnings(steps, arrows) == []
    loose = {**steps, "j": {**JOIN, "policy": "best_effort"}}
    assert ("may_be_missing", "c", "input.x") in warnings(loose, arrows)


def test_an_alternative_that_may_not_have_run_is_not_certain():
    router = {
        "kind": "router",
        "name": "R",
        "routes": [{"port": "big", "title": "B", "when": "input.n > 3"}],
    }
    steps = {"r": router, "a": work(), "b": work(x="steps.a.output.v")}
    arrows = ["start-r", "r.big-a", "r.default-b", "a-b", "b-done"]
    assert ("may_be_missing", "b", "input.x") in warnings(steps, arrows)


def test_the_fields_of_a_transform_are_known_downstream():
    steps = {
        "t": {"kind": "transform", "name": "T", "output": {"z": "input.n * 2"}},
        "a": work(x="steps.t.output.y"),
    }
    assert ("unknown_field", "a", "input.x") in errors(steps, ["start-t", "t-a", "a-done"])
    steps["a"] = work(x="steps.t.output.z")
    assert errors(steps, ["start-t", "t-a", "a-done"]) == []


def test_the_result_of_a_run_is_compared_with_its_outcome():
    end = {"kind": "end", "name": "E", "outcome": "done", "result": {"n": "input.s"}}
    result = {
        "type": "object",
        "properties": {"n": {"type": "integer"}, "m": {"type": "integer"}},
        "required": ["n", "m"],
    }
    outcomes = {"done": {"kind": "success", "title": "D", "result": result}}
    found_ = errors({"a": work(), "done": end}, LINE, outcomes=outcomes)
    assert ("does_not_fit", "done", "result.n") in found_
    assert ("missing_field", "done", "result.m") in found_


def test_everything_a_gate_shows_is_typed():
    gate = {
        **GATE,
        "proposal": {"n": "input.s"},
        "contract": {"type": "object", "properties": {"n": {"type": "integer"}}},
        "why": "input.n",
        "confidence": "input.s",
        "evidence": [{"title": "E", "kind": "text", "value": "input.zz", "sources": "input.yy"}],
    }
    found_ = errors({"g": gate}, ["start-g", "g.approved-done"])
    assert ("does_not_fit", "g", "proposal.n") in found_
    assert ("wrong_kind", "g", "why") in found_
    assert ("wrong_kind", "g", "confidence") in found_
    assert [code for code, _, field in found_ if field == "evidence.0"] == ["unknown_field"] * 2


def test_the_name_of_a_run_must_be_text():
    assert ("wrong_kind", None, "run_title") in errors({"a": work()}, LINE, run_title="input.n")
    assert errors({"a": work()}, LINE, run_title="'Run ' + string(input.n)") == []


def test_checking_never_raises_for_a_definition_that_is_wrong_in_every_way():
    steps = {"a": work(x="((("), "j": JOIN, "g": {**GATE, "contract": {"type": 3}}, "e": BAD_END}
    findings = check(steps, ["start-a", "a.x-j", "j-g", "g-a"], input={"type": []})
    assert has_errors(findings)


def test_checking_a_large_definition_is_quick():
    steps = {f"s{i:03}": work() for i in range(150)}
    arrows = ["start-s000", *(f"s{i:03}-s{i + 1:03}" for i in range(149)), "s149-done"]
    assert errors(steps, arrows) == []


# ---- compiling ------------------------------------------------------------------------------------


def test_compiling_refuses_what_cannot_run():
    for steps, arrows, words in (
        ({"a": work(), "b": work()}, ["start-a", "a-b", "b-a", "b.failed-done"], "cycle"),
        ({"a": {**work(), "uses": {"agent": "a", "version": 2}}}, LINE, "does not exist"),
        (
            {"e": {"kind": "end", "name": "E", "outcome": "nowhere"}},
            ["start-e"],
            "not a declared outcome",
        ),
    ):
        with pytest.raises(DefinitionError, match=words):
            compile_workflow(definition(steps, arrows), catalogue(A))


def test_the_order_of_steps_depends_on_the_ids_only():
    made = definition({"b": work(), "a": work()}, ["start-b", "start-a", "b-done", "a-done"])
    assert step_order(made) == ("start", "a", "b", "done")


def test_the_title_of_a_run_can_be_told_from_its_input():
    made = definition({"a": work()}, LINE, run_title="'Claim ' + input.number")
    workflow = compile_workflow(made, catalogue(A))
    assert workflow.title_of({"number": "7"}) == "Claim 7"
    assert workflow.title_of({}) == ""


# ---- joins and routers -------------------------------------------------------------------------

TWO = ["start-a", "start-b", "a-j", "b-j", "j-done"]


@pytest.mark.parametrize("n", [None, 3])
def test_a_join_that_waits_for_n_says_how_many_of_those_there_are(n):
    steps = {"a": work(), "b": work(), "j": {**JOIN, "policy": "n_of_m", "n": n}}
    assert ("join_number", "j", "n") in errors(steps, TWO)
    steps["j"]["n"] = 2
    assert not errors(steps, TWO)


def test_where_several_ways_are_taken_each_leads_onwards():
    routes = [{"port": "big", "title": "Big", "when": "input.n > 2"}]
    steps = {"r": {"kind": "router", "name": "R", "mode": "all", "routes": routes}, "a": work()}
    arrows = ["start-a", "a-r", "r.default-done"]
    assert ("route_leads_nowhere", "r", "big") in errors(steps, arrows)
    assert ("route_leads_back", "r", "big") in errors(steps, [*arrows, "r.big-a ^1"])
    assert not errors(steps, [*arrows, "r.big-done"])


@pytest.mark.parametrize(("calls", "is_told"), [(1, True), (2, False), (None, False)])
def test_a_budget_below_the_steps_that_call_is_a_warning(calls, is_told):
    steps = {"a": work(), "b": work()}
    policies = {"budget": calls and {"calls": calls}}
    result = found(check(steps, ("start-a", "a-b", "b-done"), policies=policies), "warning")
    assert (("budget_below_steps", None, "policies.budget.calls") in result) == is_told
