"""What a run may use: counted exactly, spent by further tries and items too, given anew by people."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pydantic import ValidationError

from orchestrator.core.checks import check_definition
from orchestrator.core.definition import BudgetPolicy
from orchestrator.core.events import RunResumed
from orchestrator.core.money import Money
from orchestrator.core.results import Failed
from tests.unit.core.flows import Flow, agent, call, each

END = {"kind": "end", "name": "Bad", "outcome": "failed"}


def chain(*names, budget, **policies):
    """start -> one agent after another -> done."""
    arrows = [
        f"{one}-{other}" for one, other in zip(("start", *names), (*names, "done"), strict=True)
    ]
    steps = {name: call(name) for name in names}
    return Flow(steps, arrows, policies={"budget": {"calls": budget}, **policies})


def test_a_run_within_its_budget_goes_on_as_without():
    flow = chain("a", "b", budget=2)
    flow.start(n=1)
    flow.succeed("a")
    flow.succeed("b")
    assert flow.state.outcome == "done"
    assert flow.state.calls == 2


def test_the_step_that_would_call_once_more_asks_a_person_and_says_why():
    flow = chain("a", "b", budget=1)
    flow.start(n=1)
    flow.succeed("a")
    step = flow.step("b")
    assert not flow.emitted("invoke_agent")
    assert (step.waiting_for, step.attempt) == ("exception", 0)
    assert (step.result.kind, step.result.reason_code) == ("budget", "budget_spent")
    assert step.result.reason == "The run has used the one call of agents that its budget allows."
    assert step.result.basis[0].values == {"calls": 1, "limit": 1}


def test_with_the_policy_to_end_the_run_ends():
    flow = chain("a", "b", budget=1, exceptions={"mode": "end", "outcome": "failed"})
    flow.start(n=1)
    flow.succeed("a")
    assert (flow.state.status, flow.state.outcome) == ("failed", "failed")


def test_a_way_out_of_the_step_is_taken_instead():
    steps = {"a": call("a"), "b": call("b"), "bad": END}
    arrows = ("start-a", "a-b", "b-done", "b.failed-bad")
    flow = Flow(steps, arrows, policies={"budget": {"calls": 1}})
    flow.start(n=1)
    flow.succeed("a")
    assert flow.step("b").port == "failed"
    assert flow.state.outcome == "failed"


def test_further_tries_spend_it_and_it_is_not_tried_again_without():
    flow = Flow(
        {"a": call("a", retry={"max_attempts": 5, "jitter": 0})},
        ("start-a", "a-done"),
        policies={"budget": {"calls": 2}},
    )
    flow.start(n=1)
    flow.fail("a", "unavailable")
    flow.fire("a")
    flow.fail("a", "unavailable")
    flow.fire("a")
    assert flow.step("a").waiting_for == "exception"
    assert flow.step("a").result.kind == "budget"
    assert flow.step("a").attempt == 2


def test_whoever_lets_the_step_run_again_allows_as_many_calls_again():
    flow = chain("a", "b", "c", budget=1)
    flow.start(n=1)
    flow.succeed("a")
    flow.decide_exception("b", "retry")
    assert flow.calls() == ["b"]
    assert flow.state.calls == 1
    flow.succeed("b")
    assert flow.step("c").result.kind == "budget"


def test_another_exception_gives_nothing():
    flow = chain("a", "b", budget=2)
    flow.start(n=1)
    flow.fail("a", retryable=False)
    flow.decide_exception("a", "retry")
    flow.succeed("a")
    assert flow.step("b").result.kind == "budget"


def test_a_resumed_run_has_its_budget_again():
    flow = chain("a", "b", budget=1, exceptions={"mode": "end", "outcome": "failed"})
    flow.start(n=1)
    flow.succeed("a")
    flow.send(RunResumed(step="b", input=None, reason="worth it", actor="otto"))
    assert flow.calls() == ["b"]
    flow.succeed("b")
    assert flow.state.outcome == "done"


def test_of_many_branches_exactly_as_many_call_as_the_budget_allows():
    names = [f"s{number}" for number in range(990)]
    join = {"kind": "join", "name": "Join", "policy": "best_effort"}
    arrows = [f"start-{name}" for name in names]
    arrows += [f"{name}{port}-join" for name in names for port in ("", ".failed")]
    flow = Flow(
        {**{name: call(name) for name in names}, "join": join},
        [*arrows, "join-done"],
        agent("work"),
        policies={"budget": {"calls": 300}, "max_parallel": 256},
    )
    flow.start(n=1)
    called = flow.calls()
    waiting = list(called)
    while waiting:
        flow.succeed(waiting.pop())
        called += flow.calls()
        waiting += flow.calls()
    assert len(called) == len(set(called)) == 300
    spent = [one for one in flow.state.steps.values() if one.result and one.result.type == "failed"]
    assert len(spent) == 690
    assert flow.state.outcome == "done"


def test_items_of_a_list_spend_it_and_what_is_left_of_the_list_is_not_called():
    flow = Flow(
        {"each": each(input={"n": "item"}), "bad": END},
        ("start-each", "each-done", "each.failed-bad"),
        policies={"budget": {"calls": 3}, "max_parallel": 1},
    )
    flow.start(items=[1, 2, 3, 4, 5])
    for index in range(3):
        flow.succeed(f"each.{index}", {"v": index})
    assert not flow.emitted("invoke_agent")
    result = flow.step("each").result
    assert (result.kind, result.reason_code) == ("budget", "items_failed")
    assert "Item 4: The run has used the 3 calls" in result.reason
    assert flow.state.outcome == "failed"


def test_a_list_that_tolerates_what_the_budget_refused_runs_again_with_the_budget_anew():
    flow = Flow(
        {"each": each(input={"n": "item"}, tolerated_failures=5)},
        ("start-each", "each-done"),
        policies={"budget": {"calls": 2}, "max_parallel": 1},
    )
    flow.start(items=[1, 2, 3])
    flow.succeed("each.0")
    flow.succeed("each.1")
    assert flow.step("each").waiting_for == "exception"
    assert flow.step("each").result.output["failed"][0]["kind"] == "budget"
    flow.decide_exception("each", "retry")
    assert flow.calls() == ["each.0"]
    assert flow.state.calls == 1


@pytest.mark.parametrize("calls", [0, -1, 1_000_001, "many", 1.5])
def test_a_budget_that_is_none_is_refused(calls):
    with pytest.raises(ValidationError):
        BudgetPolicy(calls=calls)


def test_a_definition_without_budget_keeps_its_hash():
    without = chain("a", budget=1).definition
    policies = without.policies.model_copy(update={"budget": None})
    plain = without.model_copy(update={"policies": policies})
    assert "budget" not in plain.hashed()["policies"]
    assert without.hashed()["policies"]["budget"] == {"calls": 1}


def test_a_limit_that_asks_asks_whatever_the_step_does_with_failures():
    steps = {"a": call("a"), "bad": END}
    flow = Flow(steps, ("start-a", "a-done", "a.failed-bad"))
    flow.start(n=1)
    flow.end_with("a", refused_by_a_limit("limit_asks"))
    assert flow.step("a").waiting_for == "exception"
    flow.decide_exception("a", "retry")
    flow.succeed("a")
    assert flow.state.outcome == "done"


def test_a_limit_that_stops_fails_the_step():
    steps = {"a": call("a"), "bad": END}
    flow = Flow(steps, ("start-a", "a-done", "a.failed-bad"))
    flow.start(n=1)
    flow.end_with("a", refused_by_a_limit("limit_reached"))
    assert flow.state.outcome == "failed"


def refused_by_a_limit(code):
    return Failed(kind="budget", reason_code=code, reason="Nothing is left.", retryable=False)


def test_money_is_counted_at_the_prices_of_the_agents_and_the_dear_one_too_much_is_not_called():
    flow = priced(minor=500)
    flow.start(n=1)
    flow.succeed("a")
    flow.succeed("free")
    flow.succeed("b")
    assert flow.state.money == 400
    step = flow.step("c")
    assert (step.waiting_for, step.attempt) == ("exception", 0)
    assert step.result.reason == (
        "The calls of the run have cost EUR 4.00 of the EUR 5.00 that its budget allows; this one "
        "costs EUR 2.00."
    )
    flow.decide_exception("c", "retry")
    flow.succeed("c")
    assert (flow.state.outcome, flow.state.money) == ("done", 200)


def test_branches_side_by_side_do_not_spend_the_same_money():
    steps = {name: call("dear") for name in ("a", "b", "c")}
    steps["all"] = {"kind": "join", "name": "All", "policy": "best_effort"}
    arrows = [arrow for name in "abc" for arrow in (f"start-{name}", f"{name}-all")]
    arrows += [f"{name}.failed-all" for name in "abc"]
    flow = Flow(steps, [*arrows, "all-done"], DEAR, policies={"budget": money(450)})
    flow.start(n=1)
    assert [one.step for one in flow.emitted("invoke_agent")] == ["a", "b"]
    assert flow.step("c").result.reason_code == "budget_spent"


def test_a_price_in_another_currency_takes_nothing():
    flow = priced(minor=1, currency="USD")
    flow.start(n=1)
    for name in ("a", "free", "b", "c"):
        flow.succeed(name)
    assert (flow.state.outcome, flow.state.money) == ("done", 0)


def test_a_budget_that_limits_nothing_is_refused():
    with pytest.raises(ValidationError, match="how many calls, how much money"):
        BudgetPolicy()


def test_a_budget_of_calls_is_written_as_before_there_was_money():
    assert BudgetPolicy(calls=3).model_dump(mode="json") == {"calls": 3}


def test_the_checker_warns_of_a_step_that_no_run_can_afford():
    flow = priced(minor=199)
    found = check_definition(flow.definition, flow.catalogue)
    assert [one.code for one in found if "budget" in one.code] == ["price_above_budget"] * 3


DEAR = replace(agent("dear"), price=Money(200, "EUR"))


def money(minor, currency="EUR"):
    return {"money": {"minor": minor, "currency": currency}}


def priced(minor, currency="EUR"):
    """start -> a -> free -> b -> c -> done; all but one cost EUR 2."""
    steps = {name: call("dear") for name in ("a", "b", "c")} | {"free": call("work")}
    arrows = ("start-a", "a-free", "free-b", "b-c", "c-done")
    budget = money(minor, currency)
    return Flow(steps, arrows, DEAR, agent("work"), policies={"budget": budget})
