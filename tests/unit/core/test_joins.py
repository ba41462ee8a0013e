"""Joins that do not wait for all, what becomes of the others, and routers that take several ways."""

from __future__ import annotations

import pytest

from orchestrator.core.events import PauseRequested, RunResumed
from orchestrator.core.planner import replay, resumable_steps
from orchestrator.core.state import RunState
from tests.unit.core.flows import ANY, Flow, agent, call, catalogue, definition, not_found

GATE = {"kind": "gate", "name": "Ask", "type": "approve", "question": "OK?", "contract": ANY}


def race(policy="first", more=(), after=(), **join):
    """start -> a, b, c side by side -> a join -> last -> done."""
    return Flow(
        {
            **{name: call(name) for name in "abc"},
            "j": {"kind": "join", "name": "J", "policy": policy, **join},
            "last": call("last"),
            **dict(after),
        },
        [
            *(f"start-{name}" for name in "abc"),
            *(f"{name}-j" for name in "abc"),
            "j-last",
            "last-done",
            *more,
        ],
    )


# ---- when a join fires -------------------------------------------------------------------------


def test_first_goes_on_with_the_first_branch_and_cancels_the_others():
    flow = race()
    flow.start()
    flow.succeed("b")
    assert flow.step("j").result.output == {"arrived": ["b"], "missing": [], "late": ["a", "c"]}
    assert [command.step for command in flow.emitted("cancel_attempt")] == ["a", "c"]
    assert (flow.status("a"), flow.status("c")) == ("cancelled", "cancelled")
    assert flow.calls() == ["last"]
    assert flow.state.links["a.next-j"] == "dead"


def test_a_failed_branch_is_not_the_first():
    flow = race(more=["a.failed-j a"])
    flow.start()
    flow.fail("a", retryable=False)
    assert flow.status("j") == "pending"
    flow.succeed("c")
    assert flow.step("j").result.output["arrived"] == ["c"]
    assert flow.step("j").result.output["missing"] == [{"branch": "a", "reason": "It broke."}]


def test_n_of_m_waits_for_n_branches():
    flow = race("n_of_m", n=2)
    flow.start()
    flow.succeed("a")
    assert flow.status("j") == "pending"
    flow.succeed("c")
    assert flow.step("j").result.output == {"arrived": ["a", "c"], "missing": [], "late": ["b"]}


def test_n_of_m_fails_as_soon_as_n_cannot_arrive_any_more():
    flow = race("n_of_m", n=2, more=["a.failed-j a", "b.failed-j b"])
    flow.start()
    flow.fail("a", retryable=False)
    assert flow.status("j") == "pending"
    flow.fail("b", retryable=False)
    assert flow.step("j").waiting_for == "exception"
    assert flow.step("j").result.reason == "'J' needs 2 branches and is missing: a, b, c."
    assert flow.status("c") == "cancelled"


def test_a_join_whose_branches_are_all_dead_is_skipped_even_when_one_would_do():
    bad = {"kind": "end", "name": "Bad", "outcome": "failed"}
    flow = race(more=[f"{name}.not_found-bad" for name in "abc"], after={"bad": bad})
    flow.start()
    for name in "abc":
        flow.end_with(name, not_found())
    assert (flow.state.outcome, flow.status("j")) == ("failed", "skipped")


def test_a_join_fires_once():
    flow = race(losers="ignore")
    flow.start()
    flow.succeed("a")
    flow.succeed("b")
    flow.succeed("c")
    ended = [e for e in flow.events if e.type == "step_ended" and e.step == "j"]
    assert len(ended) == 1


# ---- the others --------------------------------------------------------------------------------


def test_ignored_branches_go_on_and_what_they_find_is_dropped():
    flow = race(losers="ignore")
    flow.start()
    flow.succeed("a")
    assert (flow.status("b"), flow.emitted("cancel_attempt")) == ("running", [])
    flow.fail("b", retryable=False)
    assert flow.status("b") == "failed", "nobody is asked about what no longer matters"
    assert not flow.emitted("open_review")
    flow.succeed("c")
    assert flow.state.links["c.next-j"] == "taken"
    flow.succeed("last")
    assert flow.state.status == "succeeded"


def test_an_ignored_branch_that_would_lead_back_ends_instead_and_the_join_stays_as_it_is():
    again = {"port": "again", "title": "Again", "when": "steps.b.round == 1"}
    flow = Flow(
        {
            "a": call("a"),
            "b": call("b"),
            "r": {"kind": "router", "name": "R", "routes": [again]},
            "j": {"kind": "join", "name": "J", "policy": "first", "losers": "ignore"},
            "last": call("last"),
        },
        [
            "start-a",
            "start-b",
            "a-j",
            "b-r",
            "r.default-j",
            "r.again-b ^1",
            "j-last",
            "last-done",
        ],
    )
    flow.start()
    flow.succeed("a")
    assert flow.calls() == ["last"]
    flow.succeed("b")
    assert (flow.status("r"), flow.step("b").round) == ("succeeded", 1)
    assert (flow.step("j").round, flow.status("last")) == (1, "running")
    flow.succeed("last")
    assert flow.state.outcome == "done"


def test_a_failed_run_is_not_resumed_at_a_branch_that_the_join_had_cancelled():
    flow = race()
    flow.start()
    flow.succeed("a")
    flow.fail("last", retryable=False)
    flow.decide_exception("last", "end")
    assert resumable_steps(flow.workflow, flow.state) == ("a", "last")
    before = flow.state
    flow.send(RunResumed(step="b", input=None, reason="again", actor="otto"))
    assert flow.state is before


def test_a_step_that_also_leads_elsewhere_goes_on():
    flow = race(more=["b-also", "also-done"], after={"also": call("also")})
    flow.start()
    flow.succeed("a")
    assert (flow.status("b"), flow.status("c")) == ("running", "cancelled")
    flow.succeed("b")
    assert flow.calls() == ["also"]


def test_whole_branches_are_dropped_whatever_they_wait_for():
    flow = Flow(
        {
            "a": call("a"),
            "b": call("b"),
            "b2": call("b2"),
            "g": GATE,
            "j": {"kind": "join", "name": "J", "policy": "first"},
            "last": call("last"),
        },
        [
            "start-a",
            "start-b",
            "start-g",
            "a-j",
            "b-b2",
            "b2-j",
            "g.approved-j",
            "j-last",
            "last-done",
        ],
    )
    flow.start()
    flow.succeed("a")
    (withdrawn,) = flow.emitted("withdraw_review")
    assert (withdrawn.step, withdrawn.because) == ("g", "not_needed")
    statuses = {name: flow.status(name) for name in ("b", "b2", "g")}
    assert statuses == {"b": "cancelled", "b2": "skipped", "g": "cancelled"}
    state = flow.state
    assert flow.decide("g").state is state


def test_a_call_that_waits_for_a_free_place_is_never_made():
    flow = Flow(
        {name: call(name) for name in "abc"}
        | {"j": {"kind": "join", "name": "J", "policy": "first"}},
        ["start-a", "start-b", "start-c", "a-j", "b-j", "c-j", "j-done"],
        policies={"max_parallel": 1},
    )
    flow.start()
    flow.succeed("a")
    assert flow.state.status == "succeeded"
    assert [c.step for c in flow.commands if c.type == "invoke_agent"] == ["a"]


def test_a_resumed_run_does_not_start_losers_again():
    flow = race()
    flow.start()
    flow.succeed("b")
    flow.fail("last", retryable=False)
    flow.decide_exception("last", "end")
    flow.send(RunResumed(step="last", input=None, reason="again", actor="otto"))
    assert flow.calls() == ["last"]
    assert (flow.status("a"), flow.status("c")) == ("cancelled", "cancelled")


def test_a_paused_join_takes_what_has_arrived_meanwhile():
    flow = Flow(
        {
            "a": call("once"),
            "b": call("once"),
            "j": {"kind": "join", "name": "J", "policy": "first"},
        },
        ["start-a", "start-b", "a-j", "b-j", "j-done"],
        agent("once", effect="once"),
    )
    flow.start()
    flow.send(PauseRequested(reason="hold", actor="otto"))
    flow.succeed("a")
    flow.succeed("b")
    assert flow.status("j") == "ready"
    assert replay(flow.workflow, "run-1", flow.journal) == flow.state
    assert RunState.model_validate_json(flow.state.model_dump_json()) == flow.state


def test_in_a_loop_a_join_fires_once_in_each_round():
    flow = Flow(
        {
            "split": {"kind": "transform", "name": "S", "output": {}},
            "a": call("a"),
            "b": call("b"),
            "j": {"kind": "join", "name": "J", "policy": "first"},
            "check": {**GATE, "name": "Check"},
        },
        [
            "start-split",
            "split-a",
            "split-b",
            "a-j",
            "b-j",
            "j-check",
            "check.approved-done",
            "check.returned-split ^2",
        ],
    )
    flow.start()
    flow.succeed("a")
    flow.decide("check", "returned")
    assert flow.calls() == ["a", "b"]
    flow.succeed("b")
    assert flow.step("j").result.output["arrived"] == ["b"]
    assert flow.step("j").iteration == 2


# ---- routers -----------------------------------------------------------------------------------


def choice(mode="all", **more):
    routes = [
        {"port": "big", "title": "Big", "when": "input.n > 5"},
        {"port": "odd", "title": "Odd", "when": "input.n % 2 == 1"},
    ]
    return Flow(
        {
            "r": {"kind": "router", "name": "R", "mode": mode, "routes": routes, **more},
            "a": call("a"),
            "b": call("b"),
            "c": call("c"),
            "j": {"kind": "join", "name": "J", "policy": "best_effort"},
        },
        ["start-r", "r.big-a", "r.odd-b", "r.default-c", "a-j", "b-j", "c-j", "j-done"],
    )


@pytest.mark.parametrize(
    ("n", "called"),
    [(7, ["a", "b"]), (8, ["a"]), (3, ["b"]), (2, ["c"])],
    ids=["both", "one", "the other", "none: default"],
)
def test_a_router_that_takes_all_ways_takes_each_whose_condition_holds(n, called):
    flow = choice()
    flow.start(n=n)
    assert flow.calls() == called
    for name in called:
        flow.succeed(name)
    assert flow.state.status == "succeeded"
    assert flow.step("j").result.output["arrived"] == called


def test_several_ways_are_told_in_the_output_and_the_event():
    flow = choice()
    flow.start(n=7)
    assert flow.step("r").result.output == {"ports": ["big", "odd"]}
    (chosen,) = [event for event in flow.events if event.type == "route_chosen"]
    assert chosen.ports == ("big", "odd")
    assert chosen.when == "input.n > 5 | input.n % 2 == 1"


def test_a_router_takes_the_first_way_when_nothing_else_is_said():
    flow = choice("first")
    flow.start(n=7)
    assert flow.calls() == ["a"]
    assert flow.step("r").result.output == {"port": "big"}


def test_new_fields_are_not_written_while_they_have_their_usual_value():
    made = definition(
        {
            "r": choice("first").definition.steps["r"].model_dump(),
            "j": {"kind": "join", "name": "J"},
        },
        [],
    )
    steps = made.hashed()["steps"]
    assert "mode" not in steps["r"]
    assert not {"n", "losers"} & set(steps["j"])
    assert catalogue().agents == {}
