"""What a run may use: counted exactly, spent by further tries and items too, given anew by people."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pydantic import ValidationError

from orchestrator.core.checks import check_definition
from orchestrator.core.definition import BudgetPolicy
from orchestrator.core.events import (
    AttemptLost,
    CancelRequested,
    PauseRequested,
    RunResumed,
    RunStarted,
)
from orchestrator.core.model_usage import ModelTerms, TokenRates
from orchestrator.core.money import Money
from orchestrator.core.results import Basis, Failed, Value
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
    with pytest.raises(ValidationError, match="how many calls, how many tokens"):
        BudgetPolicy()


def test_a_budget_of_calls_is_written_as_before_there_was_money():
    assert BudgetPolicy(calls=3).model_dump(mode="json") == {"calls": 3}


def test_the_checker_warns_of_a_step_that_no_run_can_afford():
    flow = priced(minor=199)
    found = check_definition(flow.definition, flow.catalogue)
    assert [one.code for one in found if "budget" in one.code] == ["price_above_budget"] * 3


# ---- language models ---------------------------------------------------------------------------


def test_tokens_count_as_the_model_says_and_the_call_that_may_take_too_many_is_not_made():
    flow = asking("a", "b", tokens=MOST + 99)
    flow.start(n=1)
    assert reserved_of(flow) == (MOST, 0)
    flow.end_with("a", answered(100))
    step = flow.step("b")
    assert not flow.emitted("invoke_agent")
    assert (flow.state.tokens, reserved_of(flow)) == (100, (0, 0))
    assert (step.waiting_for, step.result.reason_code) == ("exception", "budget_spent")
    assert step.result.reason == (
        f"The calls of the run have used 100 of the {MOST + 99:,} tokens that its budget allows; "
        f"this one may take {MOST:,}."
    )
    flow.decide_exception("b", "retry")
    flow.end_with("b", answered(40))
    assert (flow.state.outcome, flow.state.tokens) == ("done", 40)


def test_a_longer_input_reserves_more():
    short, long = (TERMS.most({"text": "x" * many}) for many in (3, 3_000))
    assert (long[0] - short[0], long[1]) == (3 * 999, short[1])
    assert sum(TERMS.most({})) == MOST


def test_what_others_have_reserved_is_waited_for_and_what_they_did_not_take_is_used():
    names = [f"s{number}" for number in range(30)]
    flow = side_by_side(names, tokens=2 * MOST + 29 * 50)
    flow.start(n=1)
    under_way, most = flow.calls(), 0
    assert len(under_way) == 2
    while under_way:
        most = max(most, flow.state.tokens + flow.state.reserved.tokens)
        flow.end_with(under_way.pop(0), answered(50))
        under_way += flow.calls()
    assert flow.state.outcome == "done"
    assert flow.state.tokens == 30 * 50
    assert MOST < most <= 2 * MOST + 29 * 50


def test_once_it_is_used_up_the_branches_that_waited_fail():
    names = [f"s{number}" for number in range(12)]
    flow = side_by_side(names, tokens=2 * MOST)
    flow.start(n=1)
    under_way, made = flow.calls(), 0
    while under_way:
        made += 1
        flow.end_with(under_way.pop(0), answered(MOST // 2))
        under_way += flow.calls()
    assert (flow.state.outcome, made) == ("done", 3)
    failed = [one.result for one in flow.state.steps.values() if one.status == "failed"]
    assert {one.reason_code for one in failed} == {"budget_spent"}
    assert len(failed) == 9


def test_a_call_of_which_nobody_knows_what_it_took_counts_whole():
    lost = Failed(kind="timeout", reason_code="deadline_passed", reason="It was late.")
    unknown = answered(1, usage_unknown=True)
    for result in (lost, unknown, Value(output={})):
        flow = asking("a", tokens=10 * MOST)
        flow.start(n=1)
        flow.end_with("a", result)
        assert flow.state.tokens == MOST
    flow = asking("a", tokens=10 * MOST)
    flow.start(n=1)
    flow.send(AttemptLost(step="a", iteration=1, attempt=1))
    assert (flow.state.tokens, reserved_of(flow)) == (MOST, (0, 0))


@pytest.mark.parametrize("code", ["no_model_configured", "context_too_large", "limit_reached"])
def test_a_call_that_reached_no_model_counts_nothing(code):
    flow = asking("a", tokens=10 * MOST)
    flow.start(n=1)
    flow.end_with("a", Failed(kind="budget", reason_code=code, reason="No.", retryable=False))
    assert (flow.state.tokens, reserved_of(flow)) == (0, (0, 0))


def test_calls_that_a_pause_or_the_end_breaks_off_count_whole():
    for event in (PauseRequested, CancelRequested):
        flow = asking("a", tokens=10 * MOST)
        flow.start(n=1)
        flow.send(event(reason="wait", actor="otto"))
        assert (flow.state.tokens, reserved_of(flow)) == (MOST, (0, 0))


def test_who_is_put_off_takes_no_place_of_another_agent():
    names = [f"s{number}" for number in range(9)]
    steps = {name: call("asks") for name in names} | {"z": call("work")}
    arrows = (*(f"start-{name}" for name in (*names, "z")), "z-done")
    flow = Flow(steps, arrows, ASKS, policies=budget(MOST))
    flow.start(n=1)
    assert flow.calls() == ["s0", "z"]
    assert {flow.step(name).status.value for name in names[1:]} == {"ready"}
    assert flow.state.status == "running"


def test_of_those_put_off_the_one_that_a_cancelled_call_leaves_nothing_for_fails():
    steps = {"a": call("asks"), "b": call("asks"), "c": call("work"), "bad": END}
    steps["join"] = {"kind": "join", "name": "First", "policy": "first", "losers": "cancel"}
    arrows = ("start-a", "start-b", "start-c", "a-join", "c-join", "b.failed-bad", "b-done")
    flow = Flow(steps, (*arrows, "join-done"), ASKS, policies=budget(MOST))
    flow.start(n=1)
    flow.succeed("c")
    assert flow.step("a").status == "cancelled"
    assert flow.step("b").result.reason_code == "budget_spent"
    assert (flow.state.tokens, reserved_of(flow)) == (MOST, (0, 0))


def test_a_list_whose_items_were_refused_tokens_has_them_anew_when_a_person_lets_it_run_again():
    flow = Flow(
        {"each": each(input={"n": "item"}, slug="asks")},
        ("start-each", "each-done"),
        ASKS,
        policies={"max_parallel": 1, **budget(MOST + 10)},
    )
    flow.start(items=[1, 2])
    flow.end_with("each.0", answered(MOST, {"v": 1}))
    assert (flow.step("each").waiting_for, flow.step("each").result.kind) == ("exception", "budget")
    flow.decide_exception("each", "retry")
    assert flow.calls() == ["each.1"]
    assert flow.state.tokens == 0


def test_what_models_cost_is_reserved_at_the_rates_of_the_start_and_counts_as_they_say():
    flow = asking("a", "b", money=500)
    flow.send(RunStarted(input={}, rates={"strong": RATES}))
    reads, writes = TERMS.most({})
    most = -(-(reads * 2_000 + writes * 8_000) // 1_000_000)
    assert reserved_of(flow) == (0, most)
    flow.end_with("a", answered(100, cost_minor_millionths=495_000_001, currency="EUR"))
    assert flow.state.money == 496
    assert "may cost" in flow.step("b").result.reason


def test_a_call_with_a_price_waits_for_what_models_have_reserved():
    reads, writes = TERMS.most({})
    most = -(-(reads * 2_000 + writes * 8_000) // 1_000_000)
    steps = {"a": call("asks"), "b": call("dear"), "all": {"kind": "join", "name": "All"}}
    arrows = ("start-a", "start-b", "a-all", "b-all", "all-done")
    flow = Flow(steps, arrows, ASKS, DEAR, policies={"budget": money(DEAR.price.minor + most - 1)})
    flow.send(RunStarted(input={}, rates={"strong": RATES}))
    assert [one.step for one in flow.emitted("invoke_agent")] == ["a"]
    flow.end_with("a", answered(100))
    assert [one.step for one in flow.emitted("invoke_agent")] == ["b"]


def test_what_models_cost_in_another_currency_takes_nothing():
    flow = asking("a", money=500)
    flow.start(n=1)
    flow.end_with("a", answered(100, cost_minor_millionths=450_000_000, currency="USD"))
    assert (flow.state.outcome, flow.state.money) == ("done", 0)


def test_a_budget_of_calls_knows_no_tokens():
    flow = Flow({"a": call("asks")}, ("start-a", "a-done"), ASKS, policies={"budget": {"calls": 3}})
    flow.start(n=1)
    flow.end_with("a", answered(100))
    assert {"tokens", "reserved", "rates"}.isdisjoint(flow.state.stored())


def test_the_checker_warns_of_tokens_that_no_call_has_enough_of_and_of_those_that_nobody_takes():
    few = asking("a", tokens=MOST - 1)
    found = check_definition(few.definition, few.catalogue)
    assert [one.code for one in found if "budget" in one.code] == ["tokens_above_budget"]
    none = chain("a", budget=1).definition
    policies = none.policies.model_copy(update={"budget": BudgetPolicy(tokens=9)})
    found = check_definition(
        none.model_copy(update={"policies": policies}), chain("a", budget=1).catalogue
    )
    assert [one.code for one in found if "budget" in one.code] == ["budget_without_models"]


TERMS = ModelTerms(route="strong", fixed_tokens=90, output_tokens=100, repairs=2)
ASKS = replace(agent("asks"), kind="llm", models=TERMS)
MOST = sum(TERMS.most({}))
RATES = TokenRates(input_minor=2_000, output_minor=8_000)


def budget(tokens):
    return {"budget": {"tokens": tokens}}


def asking(*names, tokens=None, money=None):
    """start -> one agent after another that asks a model -> done."""
    arrows = [
        f"{one}-{other}" for one, other in zip(("start", *names), (*names, "done"), strict=True)
    ]
    limits = {"tokens": tokens} if money is None else globals()["money"](money)
    return Flow({name: call("asks") for name in names}, arrows, ASKS, policies={"budget": limits})


def side_by_side(names, tokens):
    """Many branches that ask a model, and a join that takes what has come."""
    join = {"kind": "join", "name": "Join", "policy": "best_effort"}
    arrows = [f"start-{name}" for name in names]
    arrows += [f"{name}{port}-join" for name in names for port in ("", ".failed")]
    steps = {**{name: call("asks") for name in names}, "join": join}
    return Flow(steps, [*arrows, "join-done"], ASKS, policies=budget(tokens))


def answered(tokens, output=None, **figures):
    """What a model gives that took so many tokens."""
    said = {"tokens_in": tokens - 1, "tokens_out": 1, **figures}
    return Value(
        output=output or {}, basis=(Basis(kind="model", id="model_route/strong", values=said),)
    )


def reserved_of(flow):
    held = flow.state.reserved
    by_step = [one.reserved for one in flow.state.steps.values() if one.reserved]
    assert sum(one.tokens for one in by_step) == (held.tokens if held else 0)
    return (held.tokens, held.money) if held else (0, 0)


DEAR = replace(agent("dear"), price=Money(200, "EUR"))


def money(minor, currency="EUR"):
    return {"money": {"minor": minor, "currency": currency}}


def priced(minor, currency="EUR"):
    """start -> a -> free -> b -> c -> done; all but one cost EUR 2."""
    steps = {name: call("dear") for name in ("a", "b", "c")} | {"free": call("work")}
    arrows = ("start-a", "a-free", "free-b", "b-c", "c-done")
    budget = money(minor, currency)
    return Flow(steps, arrows, DEAR, agent("work"), policies={"budget": budget})
