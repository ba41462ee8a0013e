"""Members bid for a task, a rule gives it to one, and that one does it."""

from __future__ import annotations

import pytest

from orchestrator.core.checks import check_definition
from orchestrator.core.events import RunResumed
from orchestrator.core.planner import replay
from orchestrator.core.roles import BIDDER
from tests.unit.core.flows import Flow, agent, catalogue, definition, refused

BAD_END = {"kind": "end", "name": "Bad", "outcome": "failed"}
NONE_END = {"kind": "end", "name": "None", "outcome": "done"}
ARROWS = ["start-sale", "sale-done", "sale.disagreed-none", "sale.failed-bad"]
NAMES = ("a", "b", "c")


def step(**protocol):
    return {
        "kind": "team",
        "name": "Sale",
        "protocol": {"type": "auction", **protocol},
        "members": [{"uses": {"agent": one, "version": 1}} for one in NAMES],
        "input": {"n": "input.n"},
    }


def sale(**protocol):
    flow = Flow({"sale": step(**protocol), "bad": BAD_END, "none": NONE_END}, ARROWS)
    flow.start(n=3)
    return flow


def bid(cost, seconds=1.0, confidence=0.5, currency="EUR"):
    price = {"minor": cost, "currency": currency}
    return {"bid": {"cost": price, "seconds": seconds, "confidence": confidence}}


def offer(flow, *answers):
    for who, answer in enumerate(answers):
        flow.succeed(f"sale.{who}_{who}", answer)


def test_every_member_is_asked_for_a_bid_at_once():
    flow = sale()
    assert flow.calls() == ["sale.0_0", "sale.1_1", "sale.2_2"]
    assert flow.emitted("invoke_agent")[0].input == {"ask": "bid", "task": {"n": 3}}


@pytest.mark.parametrize(
    ("award", "winner"),
    [
        ({"award": "cheapest"}, "a"),
        ({"award": "fastest"}, "b"),
        ({"award": "most_confident"}, "c"),
        ({"award": "weighted", "weights": {"cost": 0, "seconds": 3, "confidence": 1}}, "b"),
        ({"award": "weighted", "weights": {"cost": 1, "seconds": 0, "confidence": 9}}, "c"),
    ],
)
def test_the_declared_rule_gives_the_task_to_one(award, winner):
    flow = sale(**award)
    offer(flow, bid(100, 9, 0.2), bid(300, 2, 0.5), bid(200, 8, 0.9))
    (call,) = flow.emitted("invoke_agent")
    assert call.uses.agent == winner
    assert call.input == {"ask": "work", "task": {"n": 3}}


def test_all_bids_stand_with_the_run_in_order_of_their_rank_with_the_rule():
    flow = sale()
    offer(flow, bid(200), bid(100), {})
    flow.succeed("sale.3_1", {"output": {"z": 1}})
    run = flow.step("sale")
    assert run.port == "next"
    assert run.result.output == {
        "award": "cheapest",
        "bids": [
            {"member": "b", "rank": 1, **bid(100)["bid"]},
            {"member": "a", "rank": 2, **bid(200)["bid"]},
        ],
        "absent": [{"member": "c", "reason": "It made no bid."}],
        "failed": [],
        "output": {"z": 1},
        "awarded": "b",
    }
    basis = run.result.basis[0]
    assert (basis.row, basis.values["rank"], basis.values["cost_minor"]) == ("cheapest", 1, 100)
    assert replay(flow.workflow, "run-1", flow.journal) == flow.state


def test_equal_bids_are_ranked_by_time_confidence_and_place():
    flow = sale()
    offer(flow, bid(100, 2, 0.5), bid(100, 1, 0.5), bid(100, 1, 0.6))
    assert flow.emitted("invoke_agent")[0].uses.agent == "c"


def test_the_next_best_gets_the_task_when_the_winner_fails():
    flow = sale()
    offer(flow, bid(1), bid(2), bid(3))
    flow.fail("sale.3_0", retryable=False)
    assert flow.calls() == ["sale.4_1"]
    flow.succeed("sale.4_1", {"nothing": 1})
    flow.succeed("sale.5_2", {"output": {}})
    output = flow.step("sale").result.output
    assert (output["awarded"], output["failed"]) == ("c", ["a", "b"])
    assert flow.step("sale").result.basis[0].values["rank"] == 3


def test_a_winner_that_fails_fails_the_step_when_nobody_is_next():
    flow = sale(next_best=False)
    offer(flow, bid(1), bid(2), bid(3))
    flow.fail("sale.3_0", retryable=False)
    result = flow.step("sale").result
    assert (result.reason_code, result.reason) == (
        "winner_failed",
        "a, who had the task, failed: It broke.",
    )
    flow.send(RunResumed(step="sale", reason="again", actor="otto"))
    assert flow.calls() == ["sale.3_0"]


def test_nobody_bids_and_that_has_a_way_of_its_own():
    flow = sale()
    offer(flow, {}, bid(1, currency="USD"))
    flow.end_with("sale.2_2", refused())
    run = flow.step("sale")
    assert (run.port, run.result.reason) == ("disagreed", "Nobody bids for it.")
    assert [one["reason"] for one in run.result.output["absent"]] == [
        "It made no bid.",
        "It bids in USD, and EUR is asked for.",
        "Not allowed.",
    ]


def test_an_auction_in_which_nobody_can_be_asked_fails():
    flow = sale()
    for who in range(3):
        flow.fail(f"sale.{who}_{who}", retryable=False)
    assert flow.step("sale").result.reason_code == "no_bids"
    assert flow.state.outcome == "failed"


def test_a_bidder_that_cannot_bid_is_found_before_it_runs():
    takes = {"type": "object", "properties": {"n": {"type": "integer"}}}
    made = definition({"sale": step(), "bad": BAD_END, "none": NONE_END}, ARROWS, input=takes)
    good = [agent(one, takes=BIDDER.takes, gives=BIDDER.gives) for one in NAMES]
    assert not check_definition(made, catalogue(*good))
    mute = agent("c", takes=BIDDER.takes, gives={"type": "object", "properties": {"output": {}}})
    (found,) = check_definition(made, catalogue(*good[:2], mute))
    assert (found.code, found.field) == ("role_does_not_fit", "members.2")
    assert "gives no bid" in found.message
