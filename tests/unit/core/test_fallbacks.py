"""Another agent takes over when a step's own has failed for good."""

from __future__ import annotations

import pytest

from orchestrator.core.checks import check_definition
from orchestrator.core.planner import replay
from orchestrator.core.policies import FailureKind
from orchestrator.core.results import Failed
from tests.unit.core.flows import Flow, agent, call, catalogue, definition, not_found

OTHERS = [{"agent": "second", "version": 1}, {"agent": "third", "version": 1}]
TAKES = {"type": "object", "properties": {"v": {"type": "integer"}}, "required": ["v"]}
GIVES = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


def flow_of(*agents, retry=1, arrows=("start-a", "a-done"), **more):
    step = call("first", fallbacks=OTHERS, retry={"max_attempts": retry}, **more)
    return Flow({"a": step}, list(arrows), agent("second"), agent("third"), *agents)


def called(flow):
    (command,) = flow.emitted("invoke_agent")
    return command


def test_after_the_last_try_the_next_agent_gets_the_same_input_under_a_key_of_its_own():
    flow = flow_of(retry=2, input={"v": "input.v"})
    flow.start(v=3)
    first = called(flow)
    flow.fail("a", "unavailable")
    assert flow.step("a").waiting_for == "retry"
    flow.fire("a")
    flow.fail("a", "unavailable")
    second = called(flow)
    assert (first.uses.agent, second.uses.agent) == ("first", "second")
    assert (second.input, second.iteration, second.attempt) == ({"v": 3}, 1, 3)
    assert (first.idempotency_key, second.idempotency_key) == ("run-1/a/1", "run-1/a/1/1")


def test_each_agent_has_the_tries_of_the_retry_policy():
    flow = flow_of(retry=2)
    flow.start()
    seen = []
    while flow.status("a") in {"running", "waiting"} and flow.step("a").waiting_for != "exception":
        if flow.status("a") == "waiting":
            flow.fire("a")
        seen.append(called(flow).uses.agent)
        flow.fail("a", "timeout")
        if flow.emitted("invoke_agent"):
            seen.append(called(flow).uses.agent)
            flow.fail("a", "timeout")
    assert seen == ["first", "first", "second", "second", "third", "third"]
    assert flow.step("a").waiting_for == "exception"


def test_the_result_says_which_agent_answered_and_the_journal_why_the_first_did_not():
    flow = flow_of()
    flow.start()
    flow.fail("a")
    (chosen,) = [one for one in flow.plan.events if one.type == "fallback_chosen"]
    assert (chosen.agent, chosen.in_place_of) == ("second@1", "first@1")
    assert (chosen.kind, chosen.reason) == ("agent_error", "It broke.")
    flow.succeed("a")
    (basis,) = flow.step("a").result.basis
    assert (basis.id, basis.row) == ("a.fallbacks", "second@1")
    assert basis.values == {"in_place_of": "first@1", "number": 1}
    assert flow.state.status == "succeeded"
    assert replay(flow.workflow, "run-1", flow.journal) == flow.state


@pytest.mark.parametrize("kind", ["budget", "cancelled"])
def test_a_kind_that_is_not_listed_ends_the_step(kind):
    flow = flow_of()
    flow.start()
    flow.fail("a", kind)
    assert flow.step("a").waiting_for == "exception"


def test_a_found_nothing_is_an_answer_and_no_reason_to_ask_another_agent():
    flow = flow_of(arrows=("start-a", "a-done", "a.not_found-done"))
    flow.start()
    flow.end_with("a", not_found())
    assert flow.state.status == "succeeded"


@pytest.mark.parametrize(
    ("kind", "code", "goes_on"),
    [
        ("unavailable", "service_unreachable", True),
        ("unavailable", "breaker_open", True),
        ("contract", "input_contract", True),
        ("unavailable", "service_error", False),
        ("agent_error", "broke", False),
        ("timeout", "deadline_passed", False),
    ],
)
def test_who_may_not_be_called_twice_is_replaced_only_when_he_was_not_reached(kind, code, goes_on):
    flow = flow_of(agent("first", effect="once"))
    flow.start()
    failed = Failed(kind=FailureKind(kind), reason_code=code, reason="No.", retryable=False)
    flow.end_with("a", failed)
    assert bool(flow.emitted("invoke_agent")) == goes_on
    assert (flow.step("a").waiting_for == "exception") != goes_on


def test_a_stand_in_that_may_not_be_called_twice_goes_to_a_person_when_it_is_lost():
    step = call("first", fallbacks=[{"agent": "pay", "version": 1}], retry={"max_attempts": 1})
    flow = Flow({"a": step}, ["start-a", "a-done"], agent("pay", effect="once"))
    flow.start()
    flow.fail("a")
    flow.fail("a", "timeout")
    assert flow.step("a").result.reason_code == "outcome_unknown"


def test_a_person_who_lets_the_step_run_again_begins_with_its_own_agent():
    flow = flow_of()
    flow.start()
    for _ in range(3):
        flow.fail("a")
    flow.decide_exception("a", "retry")
    again = called(flow)
    assert (again.uses.agent, again.attempt, again.idempotency_key) == ("first", 4, "run-1/a/1")


def codes(step, *agents):
    found = check_definition(
        definition({"a": step}, ["start-a", "a-done", "a.failed-done"]), catalogue(*agents)
    )
    return {
        (one.code, one.severity) for one in found if one.code.startswith(("fall", "rep", "unk"))
    }


OWN = agent("first", takes=TAKES, gives=GIVES)


def step_with(*slugs):
    others = [{"agent": slug, "version": 1} for slug in slugs]
    return call("first", input={"v": "1"}, fallbacks=others)


def test_a_fallback_with_the_same_contracts_is_fine():
    assert codes(step_with("second"), OWN, agent("second", takes=TAKES, gives=GIVES)) == set()


def test_a_fallback_that_takes_or_gives_something_else_is_an_error_with_the_place():
    picky = {**TAKES, "required": ["v", "w"]}
    vague = {**GIVES, "required": []}
    found = codes(step_with("second"), OWN, agent("second", takes=picky, gives=vague))
    assert found == {("fallback_input", "error"), ("fallback_output", "error")}


def test_a_fallback_that_is_missing_or_named_twice_is_an_error():
    other = agent("second", takes=TAKES, gives=GIVES)
    found = codes(step_with("second", "second", "nobody"), OWN, other)
    assert found == {("repeated_fallback", "error"), ("unknown_agent", "error")}


def test_fields_that_are_not_used_do_not_change_the_content_hash():
    plain = definition({"a": call("first")}, ["start-a", "a-done"])
    dumped = plain.hashed()["steps"]["a"]
    assert not {"fallbacks", "fallback_on"} & set(dumped)
