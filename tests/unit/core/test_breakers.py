"""The rules of a circuit breaker."""

from __future__ import annotations

from datetime import timedelta

import pytest

from orchestrator.core.breakers import (
    BREAKER_TRANSITIONS,
    USUAL,
    Breaker,
    BreakerStatus,
    counts_as_answer,
    counts_as_failure,
    refused,
)
from orchestrator.core.errors import IllegalTransitionError
from orchestrator.core.policies import FailureKind
from orchestrator.core.results import Failed, Value
from orchestrator.core.state import next_status
from tests.unit.core.flows import START, Flow, agent, call, not_found

EVENTS = sorted({event for row in BREAKER_TRANSITIONS.values() for event in row})


def failed(kind, code="broke"):
    return Failed(kind=FailureKind(kind), reason_code=code, reason="It broke.")


@pytest.mark.parametrize("status", list(BreakerStatus))
@pytest.mark.parametrize("event", EVENTS)
def test_every_pair_is_listed_or_refused(status, event):
    if event in BREAKER_TRANSITIONS[status]:
        assert next_status(BREAKER_TRANSITIONS, status, event) in BreakerStatus
    else:
        with pytest.raises(IllegalTransitionError):
            next_status(BREAKER_TRANSITIONS, status, event)


@pytest.mark.parametrize("status", [BreakerStatus.OPEN, BreakerStatus.HALF_OPEN])
def test_until_its_time_is_over_nobody_calls_and_then_one_may_try(status):
    breaker = Breaker(status, 5, until=USUAL.until(START))
    assert breaker.lets_through(START) is False
    later = START + timedelta(seconds=USUAL.cool_down_seconds)
    assert breaker.lets_through(later - timedelta(seconds=1)) is False
    assert breaker.lets_through(later) is None
    assert Breaker().lets_through(START) is True


@pytest.mark.parametrize(
    ("result", "is_failure", "is_answer"),
    [
        (failed("timeout"), True, False),
        (failed("unavailable"), True, False),
        (failed("unavailable", "breaker_open"), False, False),
        (failed("agent_error"), False, True),
        (failed("contract"), False, True),
        (failed("cancelled"), False, False),
        (not_found(), False, True),
        (Value(output={}), False, True),
    ],
)
def test_only_not_being_there_counts_against_an_agent(result, is_failure, is_answer):
    assert (counts_as_failure(result), counts_as_answer(result)) == (is_failure, is_answer)


def test_a_call_that_is_not_made_fails_as_unavailable_and_says_until_when():
    found = refused("Register v1", Breaker(BreakerStatus.OPEN, 5, until=START))
    assert (found.kind, found.reason_code, found.retryable) == ("unavailable", "breaker_open", True)
    assert "until 09:00:00 UTC" in found.reason


def test_with_an_open_breaker_the_next_agent_takes_over_at_once_and_else_it_is_tried_again():
    others = [{"agent": "second", "version": 1}]
    both = Flow({"a": call("first", fallbacks=others)}, ["start-a", "a-done"], agent("second"))
    both.start()
    both.end_with("a", failed("unavailable", "breaker_open"))
    assert both.emitted("invoke_agent")[0].uses.agent == "second"
    alone = Flow({"a": call("first")}, ["start-a", "a-done"])
    alone.start()
    alone.end_with("a", failed("unavailable", "breaker_open"))
    assert alone.step("a").waiting_for == "retry"
