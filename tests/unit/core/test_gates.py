"""Gates at which a person chooses a way, or decides between proposals that contradict each other."""

from __future__ import annotations

import pytest

from orchestrator.core.checks import check_definition
from orchestrator.core.events import ReviewDecided
from orchestrator.core.planner import replay
from orchestrator.core.results import Value
from orchestrator.core.simulation import Answer, simulate
from tests.unit.core.flows import ANY, START, Flow, agent, call, not_found

GIVES = {
    "type": "object",
    "properties": {"amount": {"type": "integer"}},
    "required": ["amount"],
    "additionalProperties": False,
}
CHOICES = [{"port": "repair", "title": "Repair it"}, {"port": "replace", "title": "Replace it"}]
CHOOSE = {
    "kind": "gate",
    "name": "What now",
    "type": "choose",
    "question": "What shall be done?",
    "contract": ANY,
    "proposal": {"n": "input.n"},
    "choices": CHOICES,
}
PROPOSALS = [
    {"title": "First opinion", "value": "steps.a.output"},
    {"title": "Second opinion", "value": "steps.b.output"},
]


def choosing():
    return Flow(
        {"g": CHOOSE, "a": call("a"), "b": call("b")},
        ["start-g", "g.repair-a", "g.replace-b", "a-done", "b-done"],
    )


def adjudicating(**more):
    gate = {
        "kind": "gate",
        "name": "Adjudicate",
        "type": "adjudicate",
        "question": "Which is right?",
        "contract": GIVES,
        "proposals": PROPOSALS,
    }
    end = {"kind": "end", "name": "E", "outcome": "done", "result": {"v": "steps.g.output.amount"}}
    return Flow(
        {
            "a": call("a"),
            "b": call("b"),
            "j": {"kind": "join", "name": "J", **more},
            "g": gate,
            "done": end,
        },
        ["start-a", "start-b", "a-j", "b-j", "a.not_found-j a", "j-g", "g.adjudicated-done"],
        agent("a", gives=GIVES),
        agent("b", gives=GIVES),
    )


def decide(flow, outcome, choice=None, output=None):
    return flow.send(
        ReviewDecided(
            step="g",
            iteration=flow.step("g").iteration,
            task="task-1",
            decision="decision-1",
            outcome=outcome,
            choice=choice,
            output=output,
            actor="rita",
        )
    )


def test_the_way_that_a_person_chooses_is_taken():
    flow = choosing()
    flow.start(n=1)
    decide(flow, "chosen", "replace")
    assert flow.calls() == ["b"]
    assert (flow.step("g").port, flow.step("g").result.output) == (
        "replace",
        {"choice": "replace"},
    )
    assert flow.step("g").result.basis[0].row == "replace"


@pytest.mark.parametrize(
    ("outcome", "choice"), [("chosen", "burn"), ("chosen", None), ("approved", None)]
)
def test_what_is_no_choice_of_the_gate_changes_nothing(outcome, choice):
    flow = choosing()
    flow.start(n=1)
    state = flow.state
    assert decide(flow, outcome, choice).state is state


def adjudicated(outcome="adjudicated", choice=None, output=None):
    flow = adjudicating()
    flow.start()
    flow.succeed("a", {"amount": 10})
    flow.succeed("b", {"amount": 99})
    return flow, lambda: decide(flow, outcome, choice, output)


def test_contradicting_proposals_are_put_side_by_side():
    flow, _ = adjudicated()
    (asked,) = flow.emitted("open_review")
    assert asked.proposal == {
        "proposals": [
            {"title": "First opinion", "value": {"amount": 10}},
            {"title": "Second opinion", "value": {"amount": 99}},
        ]
    }


def test_the_proposal_that_is_taken_becomes_the_output():
    flow, taken = adjudicated(choice="take_2")
    taken()
    assert flow.state.result == {"v": 99}
    assert flow.step("g").result.basis[0].row == "take_2"
    assert replay(flow.workflow, "run-1", flow.journal) == flow.state


def test_a_person_may_write_his_own_and_the_contract_judges_it():
    flow, written = adjudicated(choice="own", output={"amount": 50})
    written()
    assert flow.state.result == {"v": 50}
    flow, written = adjudicated(output={"amount": "fifty"})
    written()
    assert flow.step("g").waiting_for == "exception"


@pytest.mark.parametrize("choice", ["take_3", "take_x", None])
def test_a_proposal_that_is_not_there_cannot_be_taken(choice):
    flow, taken = adjudicated(choice=choice)
    state = flow.state
    assert taken().state is state


def test_a_proposal_without_a_value_is_shown_with_the_reason_and_cannot_be_taken():
    flow = adjudicating(policy="best_effort")
    flow.start()
    flow.end_with("a", not_found())
    flow.succeed("b", {"amount": 99})
    (asked,) = flow.emitted("open_review")
    first, second = asked.proposal["proposals"]
    assert "missing" in first
    assert second["value"] == {"amount": 99}
    state = flow.state
    assert decide(flow, "adjudicated", "take_1").state is state


def test_the_simulator_knows_both_answers():
    flow = choosing()
    done = simulate(
        flow.workflow,
        {"n": 1},
        lambda command, step: Value(output={}),
        lambda review: Answer("chosen", choice="repair"),
        start=START,
    )
    assert done.state.steps["a"].status == "succeeded"


def test_gates_need_at_least_two_things_to_choose_from():
    flow = choosing()
    few = flow.definition.model_copy(
        update={
            "steps": {
                **flow.definition.steps,
                "g": flow.definition.steps["g"].model_copy(update={"choices": ()}),
            }
        }
    )
    codes = {one.code for one in check_definition(few, flow.catalogue)}
    assert "gate_needs_several" in codes
    assert "gate_needs_several" not in {
        one.code for one in check_definition(flow.definition, flow.catalogue)
    }


def test_each_proposal_is_held_against_the_contract_before_it_runs():
    flow = adjudicating()
    steps = {**flow.definition.steps}
    wrong = steps["g"].proposals[0].model_copy(update={"value": "'ten'"})
    steps["g"] = steps["g"].model_copy(update={"proposals": (wrong, steps["g"].proposals[1])})
    made = flow.definition.model_copy(update={"steps": steps})
    found = [one for one in check_definition(made, flow.catalogue) if one.severity == "error"]
    assert [(one.code, one.field) for one in found] == [("does_not_fit", "proposals.0")]
    assert not [
        one for one in check_definition(flow.definition, flow.catalogue) if one.severity == "error"
    ]
