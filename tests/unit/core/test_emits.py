"""Telling events: what goes out, once for each time, and where a chain of runs ends."""

from __future__ import annotations

import pytest

from orchestrator.core.checks import check_definition
from orchestrator.core.compilation import compile_workflow
from orchestrator.core.emits import TOO_LONG, is_reserved
from orchestrator.core.planner import replay
from orchestrator.core.rollback import rollback_plan
from orchestrator.core.simulation import simulate
from orchestrator.core.step_trials import tried_step, values_form
from orchestrator.core.triggers import MAX_DEPTH, REVIEW_DECIDED, RUN_FINISHED
from tests.unit.core.flows import START, Flow, call, catalogue, definition, not_found

INPUT = {
    "type": "object",
    "properties": {"order": {"type": "string"}, "amount": {"type": "integer"}},
    "required": ["order"],
}
PAID = {
    "type": "object",
    "properties": {"amount": {"type": "integer"}},
    "required": ["amount"],
    "additionalProperties": False,
}


def emit(**more):
    return {
        "kind": "emit",
        "name": "Tell",
        "event": "order.paid",
        "subject": "input.order",
        "content": {"amount": "input.amount"},
        "contract": PAID,
        **more,
    }


def flow(*arrows, after=None, before=None, **more):
    steps = {"e": emit(**more), "bad": {"kind": "end", "name": "Bad", "outcome": "failed"}}
    steps |= {"a": after} if after else {}
    steps |= {"b": before} if before else {}
    return Flow(steps, arrows or ["start-e", "e-done"], input=INPUT)


def told(run):
    return [one for one in run.commands if one.type == "publish_event"]


def found(**more):
    made = definition({"e": emit(**more)}, ["start-e", "e-done"], input=INPUT)
    return {(one.severity, one.code, one.field) for one in check_definition(made, catalogue())}


def test_a_step_tells_its_event_and_goes_on_at_once():
    run = flow(dataschema="v2")
    run.start(order="o-7", amount=12)
    (event,) = told(run)
    assert (event.id, event.event, event.subject) == ("run-1/e/1", "order.paid", "o-7")
    assert (event.content, event.dataschema, event.depth) == ({"amount": 12}, "v2", 1)
    assert not event.refused
    assert run.state.status == "succeeded"
    output = run.step("e").result.output
    assert output == {
        "id": "run-1/e/1",
        "type": "order.paid",
        "subject": "o-7",
        "at": START.isoformat(),
    }
    assert replay(run.workflow, "run-1", run.journal) == run.state


def test_an_event_without_a_key_is_told_as_well():
    run = flow(subject=None, contract=None, content={})
    run.start(order="o-7")
    assert (told(run)[0].subject, told(run)[0].content) == ("", {})


@pytest.mark.parametrize(
    ("more", "input_", "place"),
    [
        ({}, {"amount": "much"}, "/amount"),
        ({}, {}, ""),
        ({"content": {"amount": "1 / 0"}}, {}, "/amount"),
        ({"subject": "input.nope"}, {"amount": 1}, "/subject"),
        ({"subject": "input.amount"}, {"amount": 1}, "/subject"),
        ({"subject": "''"}, {"amount": 1}, "/subject"),
    ],
)
def test_what_cannot_be_told_is_not_told_and_leaves_by_failed(more, input_, place):
    run = flow("start-e", "e-done", "e.failed-bad", **more)
    run.start(order="o-7", **input_)
    assert not told(run)
    assert (run.step("e").port, run.state.outcome) == ("failed", "failed")
    violation = run.step("e").result.violations[0]
    assert violation.path == place or violation.rule == "required"


def test_each_round_of_a_loop_tells_an_event_of_its_own():
    run = flow("start-e", "e-a", "a-done", "a.not_found-e ^1", after=call("a"))
    run.start(order="o-7", amount=1)
    run.end_with("a", not_found())
    assert [event.id for event in told(run)] == ["run-1/e/1", "run-1/e/2"]


def test_a_person_who_lets_it_run_again_may_give_other_data():
    run = flow()
    run.start(order="o-7", amount="much")
    assert run.step("e").waiting_for == "exception"
    run.decide_exception("e", "retry", {"amount": 3})
    (event,) = told(run)
    assert (event.id, event.content) == ("run-1/e/2", {"amount": 3})
    assert run.state.status == "succeeded"


def test_a_chain_of_runs_ends_with_an_event_that_nobody_hears():
    run = flow("start-e", "e-done", "e.failed-bad")
    run.start_at(MAX_DEPTH - 1, order="o-7", amount=1)
    assert (told(run)[0].depth, told(run)[0].refused) == (MAX_DEPTH, "")
    run = flow("start-e", "e-done", "e.failed-bad")
    run.start_at(MAX_DEPTH, order="o-7", amount=1)
    assert told(run)[0].refused == TOO_LONG
    assert run.step("e").result.reason_code == "chain_too_long"
    assert run.state.outcome == "failed"


def test_what_a_run_heard_counts_for_the_chain_too():
    awaits = {"type": "event", "event": "x.y", "key": "'k'", "contract": {"type": "object"}}
    hears = {"kind": "wait", "name": "Hear", "awaits": awaits}
    run = flow("start-b", "b-e", "e-done", before=hears)
    run.start_at(2, order="o-7", amount=1)
    run.arrive("b", {}, depth=5)
    assert told(run)[0].depth == 6
    run = flow("start-b", "b-e", "e-done", before=hears)
    run.start_at(2, order="o-7", amount=1)
    run.arrive("b", {}, depth=1)
    assert told(run)[0].depth == 3
    assert replay(run.workflow, "run-1", run.journal) == run.state


def test_a_rollback_names_the_event_that_cannot_be_made_unheard():
    run = flow()
    run.start(order="o-7", amount=1)
    planned = rollback_plan(run.workflow, run.state)
    assert planned.undo == ()
    assert dict(planned.not_undone).keys() == {"e"}


# ---- before it runs ------------------------------------------------------------------------------


def test_a_simulation_shows_the_event_and_tells_nobody():
    made = definition({"e": emit()}, ["start-e", "e-done"], input=INPUT)
    done = simulate(
        compile_workflow(made, catalogue()),
        {"order": "o-7", "amount": 5},
        lambda *_: None,
        lambda _: None,
        start=START,
    )
    (event,) = [one for one in done.commands if one.type == "publish_event"]
    assert (event.subject, event.content) == ("o-7", {"amount": 5})


def test_trying_the_step_shows_what_it_would_tell():
    made = definition({"e": emit()}, ["start-e", "e-done"], input=INPUT)
    contract, _ = values_form(made, catalogue(), "e")
    assert contract["properties"]["input"]["properties"].keys() == {"order", "amount"}
    tried = tried_step(made, catalogue(), "e", {"input": {"order": "o-7", "amount": 5}})
    assert (tried.result, tried.port) == ("value", "next")
    assert tried.output == {"type": "order.paid", "subject": "o-7", "data": {"amount": 5}}
    tried = tried_step(made, catalogue(), "e", {"input": {"order": "o-7", "amount": "much"}})
    assert (tried.result, tried.violations[0].path) == ("failed", "/amount")


@pytest.mark.parametrize("event", [RUN_FINISHED, REVIEW_DECIDED, "Run.started", "baton.x"])
def test_nobody_may_tell_events_in_the_name_of_the_installation(event):
    assert is_reserved(event)
    assert ("error", "reserved_event", "event") in found(event=event)


def test_types_that_only_look_alike_may_be_told():
    assert not is_reserved("runner.arrived")
    assert not {one for one in found(event="runner.arrived") if one[0] == "error"}


def test_the_checker_holds_data_and_key_against_what_they_must_be():
    assert ("error", "missing_field", "content.amount") in found(content={})
    assert ("error", "does_not_fit", "content.amount") in found(content={"amount": "input.order"})
    assert ("error", "wrong_kind", "subject") in found(subject="1 + 1")
    assert ("info", "event_without_subject", "subject") in found(subject=None)
    assert ("error", "invalid_contract", "contract") in found(contract={"type": "nothing"})
    assert ("info", "unlinked_port", "failed") in found()


def test_later_steps_read_what_was_told():
    made = definition(
        {
            "e": emit(),
            "t": {"kind": "transform", "name": "T", "output": {"v": "steps.e.output.id"}},
        },
        ["start-e", "e-t", "t-done"],
        input=INPUT,
    )
    assert not [one for one in check_definition(made, catalogue()) if one.step == "t"]
