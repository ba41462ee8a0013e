"""How votes are counted."""

from __future__ import annotations

import pytest

from orchestrator.core.checks import check_definition
from orchestrator.core.consensus import Verdict, Vote, tally
from orchestrator.core.definition import VoteRule
from orchestrator.core.events import AttemptLost, RunResumed
from orchestrator.core.planner import replay
from tests.unit.core.flows import Flow, agent, catalogue, definition, refused

MAJORITY, UNANIMITY = VoteRule.MAJORITY, VoteRule.UNANIMITY
DECIDED, DISAGREED, TOO_FEW = Verdict.DECIDED, Verdict.DISAGREED, Verdict.TOO_FEW


@pytest.mark.parametrize(
    ("ballots", "of", "rule", "verdict", "winner", "weight"),
    [
        ([("yes", 1), ("yes", 1), ("no", 1)], 3, MAJORITY, DECIDED, "yes", 2),
        ([("yes", 1), ("no", 1)], 2, MAJORITY, DISAGREED, "yes", 1),
        ([("yes", 1), ("no", 3)], 4, MAJORITY, DECIDED, "no", 3),
        ([("yes", 1), ("no", 1), ("later", 1)], 3, MAJORITY, DISAGREED, "yes", 1),
        ([("yes", 2)], 3, MAJORITY, DECIDED, "yes", 2),
        ([("yes", 1)], 3, MAJORITY, TOO_FEW, "yes", 1),
        ([("yes", 2)], 4, MAJORITY, TOO_FEW, "yes", 2),
        ([("yes", 1), ("yes", 1)], 2, UNANIMITY, DECIDED, "yes", 2),
        ([("yes", 5), ("no", 1)], 6, UNANIMITY, DISAGREED, "yes", 5),
        ([("yes", 1), ("yes", 1)], 3, UNANIMITY, TOO_FEW, "yes", 2),
        ([], 2, MAJORITY, TOO_FEW, None, 0),
    ],
)
def test_votes_are_counted_by_weight_of_all_members(ballots, of, rule, verdict, winner, weight):
    counted = tally([Vote(*one) for one in ballots], rule, of)
    assert (counted.verdict, counted.ballot, counted.weight) == (verdict, winner, weight)


def test_ballots_are_the_same_when_their_values_are():
    votes = [Vote({"a": 1, "b": [2]}, 1), Vote({"b": [2], "a": 1}, 1)]
    assert tally(votes, UNANIMITY, 2).verdict is DECIDED


# ---- a team in a run -----------------------------------------------------------------------------

BAD_END = {"kind": "end", "name": "Bad", "outcome": "failed"}


def team(*members, arrows=("team.disagreed-done", "team.failed-bad"), weights=(), **more):
    """start -> team -> done; disagreed -> done; failed -> bad."""
    weighed = dict(zip(members, weights, strict=False))
    step = {
        "kind": "team",
        "name": "Panel",
        "members": [
            {"uses": {"agent": one, "version": 1}, "weight": weighed.get(one, 1)} for one in members
        ],
        "input": {"n": "input.n"},
        "ballot": "decision",
        **more,
    }
    return Flow({"team": step, "bad": BAD_END}, ["start-team", "team-done", *arrows])


def vote(flow, *ballots):
    for index, ballot in enumerate(ballots):
        flow.succeed(f"team.{index}", {} if ballot is None else {"decision": ballot})


def test_every_member_gets_the_same_input_at_once():
    flow = team("a", "b", "c")
    flow.start(n=3)
    assert flow.calls() == ["team.0", "team.1", "team.2"]
    assert {str(one.input) for one in flow.emitted("invoke_agent")} == {"{'n': 3}"}
    assert [one.uses.agent for one in flow.emitted("invoke_agent")] == ["a", "b", "c"]


def test_what_most_vote_is_the_decision_with_every_vote_beside_it():
    flow = team("a", "b", "c")
    flow.start(n=3)
    vote(flow, "pay", "decline", "pay")
    run = flow.step("team")
    assert run.port == "next"
    assert run.result.output == {
        "decision": "pay",
        "weight": 2,
        "of": 3,
        "votes": [
            {"agent": "a", "vote": "pay", "weight": 1},
            {"agent": "b", "vote": "decline", "weight": 1},
            {"agent": "c", "vote": "pay", "weight": 1},
        ],
        "absent": [],
    }
    assert run.result.basis[0].values == {"weight": 2, "of": 3, "absent": 0}
    assert replay(flow.workflow, "run-1", flow.journal) == flow.state


def test_a_heavy_vote_outweighs_the_others():
    flow = team("a", "b", "c", weights=(3,))
    flow.start(n=3)
    vote(flow, "pay", "decline", "decline")
    assert flow.step("team").result.output["decision"] == "pay"


def test_without_agreement_the_votes_go_on_without_a_decision():
    flow = team("a", "b")
    flow.start(n=3)
    vote(flow, "pay", "decline")
    run = flow.step("team")
    assert run.port == "disagreed"
    assert "decision" not in run.result.output
    assert run.result.reason == "The team disagrees: the most weight is 1 of 2."


def test_a_member_that_fails_or_gives_no_vote_is_absent_and_still_counts_in_the_whole():
    flow = team("a", "b", "c", "d")
    flow.start(n=3)
    vote(flow, "pay", "pay")
    flow.end_with("team.2", refused())
    flow.succeed("team.3", {})
    result = flow.step("team").result
    assert result.reason_code == "too_few_votes"
    assert "2 of 4 members gave none. c: Not allowed." in result.reason
    assert flow.state.outcome == "failed"


def test_a_decision_that_absent_members_cannot_change_stands():
    flow = team("a", "b", "c")
    flow.start(n=3)
    vote(flow, "pay", "pay")
    flow.fail("team.2")
    output = flow.step("team").result.output
    assert output["decision"] == "pay"
    assert output["absent"] == [{"agent": "c", "kind": "agent_error", "reason": "It broke."}]


def test_resuming_a_failed_team_keeps_the_votes_and_asks_the_absent_again():
    flow = team("a", "b")
    flow.start(n=3)
    flow.succeed("team.0", {"decision": "pay"})
    flow.fail("team.1")
    assert flow.state.outcome == "failed"
    flow.send(RunResumed(step="team", reason="again", actor="otto"))
    assert flow.calls() == ["team.1"]
    flow.succeed("team.1", {"decision": "pay"})
    assert flow.step("team").result.output["weight"] == 2


def test_resuming_with_another_input_asks_everybody_that():
    flow = team("a", "b")
    flow.start(n=3)
    flow.succeed("team.0", {"decision": "pay"})
    flow.fail("team.1")
    flow.send(RunResumed(step="team", input={"n": 9}, reason="again", actor="otto"))
    assert [one.input for one in flow.emitted("invoke_agent")] == [{"n": 9}, {"n": 9}]


def test_a_person_may_give_the_vote_of_a_member_whose_call_must_not_be_repeated():
    step = {
        "kind": "team",
        "name": "Panel",
        "members": [{"uses": {"agent": one, "version": 1}} for one in ("once", "b")],
        "ballot": "decision",
    }
    flow = Flow({"team": step}, ["start-team", "team-done"], agent("once", effect="once"))
    flow.start(n=3)
    flow.send(AttemptLost(step="team.0", iteration=1, attempt=1))
    assert flow.emitted("open_review")[0].title == "Panel, member 1"


# ---- what is said before it runs -----------------------------------------------------------------

TAKES = {
    "type": "object",
    "properties": {"n": {"type": "integer"}},
    "required": ["n"],
    "additionalProperties": False,
}


def gives(**ballot):
    return {"type": "object", "properties": ballot, "required": list(ballot)}


def findings(*agents, **more):
    step = {
        "kind": "team",
        "name": "Panel",
        "members": [{"uses": {"agent": one, "version": 1}} for one in ("a", "b")],
        "input": {"n": "input.n"},
        "ballot": "decision",
        **more,
    }
    made = definition({"team": step}, ["start-team", "team-done"], input=TAKES)
    return {(one.code, one.field) for one in check_definition(made, catalogue(*agents))}


def test_what_is_wrong_with_a_team_is_found_before_it_runs():
    text = {"type": "string"}
    good = agent("a", takes=TAKES, gives=gives(decision=text))
    assert ("unknown_agent", "members.1") in findings(good)
    other = agent("b", takes=TAKES, gives=gives(verdict=text))
    assert ("no_ballot", "members.1") in findings(good, other)
    wants = {**TAKES, "properties": {"n": text}}
    picky = agent("b", takes=wants, gives=gives(decision=text))
    assert ("does_not_fit", "input.n") in findings(good, picky)
    fine = agent("b", takes=TAKES, gives=gives(decision=text))
    assert {code for code, _ in findings(good, fine)} == {"unlinked_port"}


@pytest.mark.parametrize("ending", ["cancel", "pause"])
def test_a_team_is_stopped_like_any_step(ending):
    from orchestrator.core.events import CancelRequested, PauseRequested

    flow = team("a", "b")
    flow.start(n=1)
    event = CancelRequested if ending == "cancel" else PauseRequested
    flow.send(event(reason="hold", actor="otto"))
    assert [one.step for one in flow.emitted("cancel_attempt")] == ["team.0", "team.1"]
