"""Turns follow the weights of those who wait, and nobody with any weight is starved."""

from collections import Counter

import pytest

from orchestrator.core.shares import PRIORITY_WEIGHTS, Priority, Shares


def taken(shares, weights, turns, work=1.0):
    """How many of so many turns each got; each turn is the same work."""
    found = Counter()
    for _ in range(turns):
        one = shares.turn(weights)
        shares.charge(one, work, weights[one])
        found[one] += 1
    return found


def test_turns_follow_the_weights():
    assert taken(Shares(), {"a": 10, "b": 30}, 400) == {"a": 100, "b": 300}


def test_who_gets_more_work_in_a_turn_gets_fewer_turns():
    shares, found = Shares(), Counter()
    for _ in range(300):
        one = shares.turn({"long": 10, "short": 10})
        shares.charge(one, 2.0 if one == "long" else 1.0, 10)
        found[one] += 1
    assert found == {"long": 100, "short": 200}


def test_urgent_overtakes_and_low_goes_on():
    shares = Shares()
    assert taken(shares, dict(PRIORITY_WEIGHTS), 210) == {
        Priority.URGENT: 160,
        Priority.NORMAL: 40,
        Priority.LOW: 10,
    }
    assert shares.turn({Priority.LOW: 1}) == Priority.LOW


def test_of_equals_the_weightier_is_first():
    assert Shares().turn({"a": 1, "b": 2}) == "b"


def test_nobody_saves_up_turns_while_he_is_away():
    shares = Shares()
    taken(shares, {"here": 10}, 1_000)
    found = taken(shares, {"here": 10, "back": 10}, 101)
    assert found == {"here": 50, "back": 51}  # the first turn, and then in turn


def test_nobody_who_was_away_pays_for_it():
    shares = Shares()
    taken(shares, {"here": 10, "away": 10}, 100)
    taken(shares, {"here": 10}, 1_000)
    found = taken(shares, {"here": 10, "away": 10}, 101)
    assert found == {"here": 50, "away": 51}


def test_a_guess_that_is_taken_back_changes_nothing():
    shares = Shares()
    weights = {"a": 10, "b": 10}
    first = shares.turn(weights)
    shares.charge(first, 0.5, 10)
    assert shares.turn(weights) != first
    shares = Shares()
    shares.charge(shares.turn(weights), 0.5, 10)
    shares.charge(first, -0.5, 10)
    assert shares.turn(weights) == first


def test_without_anybody_who_waits_there_is_no_turn():
    with pytest.raises(ValueError, match="empty"):
        Shares().turn({})
