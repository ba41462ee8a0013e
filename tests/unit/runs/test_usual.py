"""A run beside the ones before it, and the latest runs beside the earlier."""

from __future__ import annotations

from uuid import UUID, uuid4

from orchestrator.runs.usual import RunFigures, grown, unusual
from tests.unit.core.flows import call, definition

VERSION = UUID(int=1)
CLAIM = definition(
    {"check": call("check"), "pay": call("pay"), "ask": call("ask")},
    ["start-check", "check-pay", "check.not_found-ask", "pay-done", "ask-done"],
)
USUAL = frozenset({("check", "next"), ("pay", "next")})


def run(calls=10, cost=0, ways=USUAL, version=VERSION):
    costs = (("EUR", cost),) if cost else ()
    return RunFigures(uuid4(), version, calls, costs, frozenset(ways))


def kinds(found):
    return [one.kind for one in found]


def test_nothing_is_unusual_before_there_are_enough_runs():
    odd = run(calls=1_000, ways={("check", "not_found")})
    assert kinds(unusual(CLAIM, odd, [run()] * 19)) == []
    assert kinds(unusual(CLAIM, odd, [run()] * 20)) == ["storm", "unusual_route"]


def test_a_storm_is_many_calls_and_many_times_the_usual():
    before = [run(calls=10)] * 30
    (one,) = unusual(CLAIM, run(calls=50), before)
    assert one.text == "The run made 50 calls; 10 are usual for this workflow."
    assert kinds(unusual(CLAIM, run(calls=49), before)) == []
    assert kinds(unusual(CLAIM, run(calls=29), [run(calls=1)] * 30)) == [], "few are no storm"


def test_a_way_that_no_run_of_this_version_went_is_named():
    before = [run()] * 25
    odd = run(ways={("check", "not_found"), ("ask", "next")})
    (one,) = unusual(CLAIM, odd, before)
    assert (one.kind, one.step) == ("unusual_route", "check")
    assert one.text == "The run went a way that none of the 25 before went: Check (not found), Ask."
    assert kinds(unusual(CLAIM, odd, [*before, odd])) == []
    others = [run(version=UUID(int=2))] * 25
    assert kinds(unusual(CLAIM, odd, others)) == [], "another version is another workflow"


def test_growth_compares_the_latest_runs_with_those_before():
    earlier = [run(calls=4, cost=100)] * 20
    assert kinds(grown([run(calls=4, cost=149)] * 10 + earlier)) == []
    more = list(grown([run(calls=6, cost=150)] * 10 + earlier))
    assert [one.text for one in more] == [
        "A run makes 6 calls now; it was 4 before.",
        "A run costs EUR 1.50 now; it was EUR 1.00 before.",
    ]
    assert kinds(grown([run(calls=6, cost=150)] * 10 + earlier[1:])) == [], "too few to say"


def test_one_odd_run_is_no_growth():
    assert kinds(grown([run(calls=900), *[run(calls=4)] * 40])) == []
