"""Dry runs: scripted agents and people, and a clock that jumps."""

from __future__ import annotations

from datetime import timedelta

import pytest

from orchestrator.core.planner import replay
from orchestrator.core.policies import FailureKind
from orchestrator.core.results import Failed, Value
from orchestrator.core.simulation import Answer, simulate
from tests.unit.core.flows import ANY, START, Flow, agent, call, not_found

GATE = {"kind": "gate", "name": "Gate", "type": "review", "question": "OK?", "contract": ANY}
GIVES = {"type": "object", "properties": {"v": {"type": "integer"}}, "required": ["v"]}


def flow():
    return Flow(
        {
            "a": call("a", input={"n": "input.n"}),
            "g": {**GATE, "proposal": {"v": "steps.a.output.v"}},
        },
        ["start-a", "a-g", "g.approved-done"],
        agent("a", gives=GIVES),
    )


def works(command, step):
    return Value(output={"v": command.input["n"] * 2})


def approves(review):
    return Answer("approved")


def run(agents=works, people=approves):
    return simulate(flow().workflow, {"n": 3}, agents, people, start=START)


def test_a_run_goes_to_its_end_in_virtual_time():
    done = run()
    assert done.state.status == "succeeded"
    assert [entry.event.type for entry in done.journal] == [
        "run_started",
        "attempt_succeeded",
        "review_decided",
    ]
    assert done.state.ended_at == START + timedelta(seconds=61)


def test_the_journal_replays_to_the_same_state():
    done = run()
    journal = [(entry.event, entry.at) for entry in done.journal]
    assert replay(flow().workflow, "simulated", journal) == done.state


def test_failures_are_tried_again_after_their_pauses():
    answers = iter([Failed(kind=FailureKind.UNAVAILABLE, reason_code="down", reason="Down."), None])

    def flaky(command, step):
        return next(answers) or works(command, step)

    done = run(flaky)
    assert done.state.status == "succeeded"
    assert done.state.steps["a"].attempt == 2
    assert [entry.event.type for entry in done.journal][1:4] == [
        "attempt_failed",
        "timer_fired",
        "attempt_succeeded",
    ]


def test_a_value_that_breaks_the_agents_contract_is_a_failure_with_its_path():
    done = run(lambda command, step: Value(output={"v": None}), lambda review: Answer("end"))
    assert done.state.status == "failed"
    assert done.state.steps["a"].result.violations[0].path == "/v"


def test_when_nobody_answers_the_due_time_passes():
    done = run(people=lambda review: None)
    assert (done.state.status, done.state.outcome) == ("failed", "failed")
    assert done.journal[-1].event.purpose == "review_due"
    assert done.state.ended_at == START + timedelta(seconds=1 + 86_400 + 2 * 86_400)


def test_exceptions_can_be_run_again_with_other_input():
    def picky(command, step):
        return works(command, step) if command.input["n"] > 5 else not_found()

    def people(review):
        return (
            Answer("retry", {"n": 6})
            if review.review == "exception"
            else Answer("edited", {"v": 1})
        )

    done = run(picky, people)
    assert done.state.status == "succeeded"
    assert (done.state.steps["a"].iteration, done.state.steps["g"].result.output) == (2, {"v": 1})


@pytest.mark.parametrize("outcome", ["rejected", "returned"])
def test_every_answer_of_a_reviewer_is_understood(outcome):
    done = run(people=lambda review: Answer(outcome) if review.review == "gate" else Answer("end"))
    assert done.state.status == "failed"
