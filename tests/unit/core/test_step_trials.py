"""What one step makes of values that somebody gives, without a run."""

from __future__ import annotations

import pytest

from orchestrator.core.checks import examine
from orchestrator.core.contracts import Validator
from orchestrator.core.errors import DomainError
from orchestrator.core.policies import FailureKind
from orchestrator.core.results import Failed, Value
from orchestrator.core.step_trials import tried_by_step, tried_call, tried_step, values_form
from tests.unit.core.flows import agent, call, catalogue, definition, not_found, refused, uncertain

GIVES = {
    "type": "object",
    "properties": {
        "amount": {"type": "integer", "examples": [1200]},
        "day": {"$ref": "baton:Date"},
        "name": {"type": "string"},
    },
    "required": ["amount"],
    "additionalProperties": False,
}
TAKES = {
    "type": "object",
    "properties": {"total": {"type": "integer", "minimum": 1}, "on": {"$ref": "baton:Date"}},
    "required": ["total"],
    "additionalProperties": False,
}
KNOWN = catalogue(agent("read", gives=GIVES))
IN = {
    "type": "object",
    "properties": {"n": {"type": "integer"}},
    "required": ["n"],
    "additionalProperties": False,
}
ROUTER = {
    "kind": "router",
    "name": "Router",
    "routes": [
        {"port": "big", "title": "Big", "when": "steps.read.output.amount > 1000"},
        {"port": "odd", "title": "Odd", "when": "input.n % 2 == 1"},
    ],
}
GATE = {
    "kind": "gate",
    "name": "Gate",
    "type": "review",
    "question": "OK?",
    "why": "'It is ' + string(steps.read.output.amount)",
    "proposal": {"total": "steps.read.output.amount", "on": "steps.read.output.day"},
    "contract": TAKES,
}
STEPS = {
    "read": call("read"),
    "router": ROUTER,
    "gate": GATE,
    "form": {**GATE, "type": "fill", "why": None},
    "sum": {
        "kind": "transform",
        "name": "Sum",
        "output": {"twice": "steps.read.output.amount * 2"},
    },
    "left": call("read"),
    "both": {"kind": "join", "name": "Both"},
    "any": {"kind": "join", "name": "Any", "policy": "best_effort"},
}
FLOW = definition(
    STEPS,
    [
        "start-read", "read-router", "router.big-gate", "router.odd-sum", "router.default-left",
        "read-both", "left-both", "read-any", "left-any",
    ],
    input=IN,
)  # fmt: skip


def reading(**output):
    return {"input": {"n": 2}, "steps": {"read": {"output": output}}}


def tried(step, values):
    return tried_step(FLOW, KNOWN, step, values)


@pytest.mark.parametrize(
    ("values", "port", "reason"),
    [
        (reading(amount=2000), "big", "'Big' holds: steps.read.output.amount > 1000"),
        ({**reading(amount=5), "input": {"n": 3}}, "odd", "'Odd' holds: input.n % 2 == 1"),
        (reading(amount=5), "default", "No condition holds."),
    ],
)
def test_a_router_tells_its_way_and_why(values, port, reason):
    found = tried("router", values)
    assert (found.result, found.port, found.output) == ("value", port, {"port": port})
    assert found.reason == reason


def test_a_condition_without_a_value_fails_at_its_route():
    found = tried("router", {"input": {"n": 1}})
    assert (found.result, found.port) == ("failed", "failed")
    assert found.violations[0].path == "/routes/big"


def test_a_transform_gives_what_it_builds():
    assert tried("sum", reading(amount=4)).output == {"twice": 8}
    assert tried("sum", {}).result == "failed"


def test_a_gate_shows_its_proposal_repaired_and_why_it_asks():
    found = tried("gate", reading(amount=3, day="31.03.2026"))
    assert (found.result, found.port, found.reason) == ("waiting", None, "It is 3")
    assert found.output == {"total": 3, "on": "2026-03-31"}
    assert found.repairs


def test_a_gate_whose_proposal_breaks_the_contract_fails_with_the_places():
    found = tried("gate", reading(amount=0))
    assert found.result == "failed"
    assert found.violations[0].path == "/total"


def test_a_form_to_fill_demands_nothing_of_its_proposal():
    assert tried("form", reading(amount=0)).result == "waiting"


@pytest.mark.parametrize(
    ("step", "steps", "result"),
    [
        ("both", {"read": {"result": "value"}, "left": {"result": "not_found"}}, "value"),
        ("both", {"read": {"result": "value"}, "left": {"result": "failed"}}, "failed"),
        ("any", {"read": {"result": "value"}, "left": {"result": "failed"}}, "value"),
        ("any", {"read": {"result": "failed"}}, "failed"),
    ],
)
def test_a_join_counts_what_arrived(step, steps, result):
    found = tried(step, {"steps": steps})
    assert found.result == result
    if result == "value":
        assert found.output["arrived"]


def test_the_start_holds_the_input_against_its_contract():
    assert tried("start", {"input": {"n": 1}}).port == "next"
    assert tried("start", {"input": {"n": "x"}}).violations[0].path == "/n"


def test_an_end_shows_the_result_of_the_run():
    assert tried("done", {}).output == {}


def test_an_agents_result_leaves_by_its_port():
    step = FLOW.steps["read"]
    for result, port in (
        (Value(output={"amount": 1}), "next"),
        (not_found(), "not_found"),
        (uncertain(), "uncertain"),
        (refused(), "refused"),
        (Failed(kind=FailureKind.TIMEOUT, reason_code="late", reason="Late."), "failed"),
    ):
        assert tried_by_step(tried_call(result), step).port == port


def test_a_value_below_the_threshold_is_uncertain():
    step = FLOW.steps["read"].model_copy(update={"confidence_threshold": 0.7})
    sure = tried_by_step(tried_call(Value(output={}, score=0.8)), step)
    unsure = tried_by_step(tried_call(Value(output={}, score=0.6)), step)
    assert (sure.result, unsure.result, unsure.port) == ("value", "uncertain", "uncertain")
    assert "0.60 is below the threshold 0.70" in unsure.reason


@pytest.mark.parametrize("step", ["router", "sum", "both", "start"])
def test_the_form_asks_for_what_the_step_reads_and_its_sample_fits(step):
    contract, sample = values_form(FLOW, KNOWN, step)
    assert Validator(contract, KNOWN.types).check(sample) == ()
    assert tried(step, sample).result == "value"


def test_the_form_names_the_steps_and_keeps_shared_types():
    contract, sample = values_form(FLOW, KNOWN, "gate")
    steps = contract["properties"]["steps"]["properties"]
    assert steps["read"]["title"] == "Read"
    assert steps["read"]["properties"]["output"]["properties"]["day"] == {"$ref": "baton:Date"}
    assert sample["steps"]["read"]["output"]["amount"] == 1200


def test_a_broken_expression_is_reported_when_the_step_is_tried():
    broken = definition(
        {"t": {"kind": "transform", "name": "T", "output": {"x": "1 +"}}}, ["start-t"]
    )
    assert values_form(broken, KNOWN, "t")[1] == {}
    with pytest.raises(DomainError):
        tried_step(broken, KNOWN, "t", {})


def test_a_step_can_be_tried_while_the_rest_of_the_draft_is_broken():
    steps = {**STEPS, "bad": call("nobody", input={"x": "1 +"})}
    flow = definition(steps, ["start-read", "read-sum"], input=IN)
    assert any(one.severity == "error" for one in examine(flow, KNOWN).findings)
    assert tried_step(flow, KNOWN, "sum", reading(amount=1)).output == {"twice": 2}
