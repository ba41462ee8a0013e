"""What a run that goes on at a step need not do again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from orchestrator.core.compilation import compile_workflow
from orchestrator.runs.saved import saved_by
from tests.unit.core.flows import agent, call, catalogue, definition, each

T0 = datetime(2026, 11, 20, 16, 0, tzinfo=UTC)
NAMES = ("read", "look", "rate", "pay", "tell")


def line(**steps):
    known = {name: call(name) for name in NAMES} | steps
    arrows = ["start-read", "read-look", "look-rate", "rate-pay", "pay-tell", "tell-done"]
    return compile_workflow(
        definition(known, arrows), catalogue(*(agent(name) for name in (*NAMES, "work")))
    )


def at(seconds):
    return (T0 + timedelta(seconds=seconds)).isoformat()


def step(begun, *, status="succeeded", tries=1, **more):
    """A step whose tries took a second each, one after another."""
    attempts = [
        {"started_at": at(begun + number), "ended_at": at(begun + number + 1)}
        for number in range(tries)
    ]
    return {"status": status, "attempts": attempts, "ended_at": at(begun + tries), **more}


def model(tokens_in, tokens_out):
    return [{"kind": "model", "values": {"tokens_in": tokens_in, "tokens_out": tokens_out}}]


def eur(minor):
    return [{"minor": minor, "currency": "EUR"}]


def test_step_three_of_five_keeps_the_first_two_with_calls_tokens_cost_and_time():
    steps = {
        "read": step(0, tries=2, cost=eur(20), basis=model(900, 100)),
        "look": step(2, cost=eur(5), basis=model(30, 10)),
        "rate": step(3, status="failed", tries=3, cost=eur(15)),
    }
    saved = saved_by({"steps": steps}, line(), "rate")
    assert saved.as_json() == {
        "resumed_at": "rate",
        "steps": ["Read", "Look"],
        "calls": 3,
        "tokens": 1_040,
        "cost": eur(25),
        "seconds": 3.0,
    }


def test_what_comes_after_the_step_is_done_again_though_it_had_ended():
    steps = {name: step(place) for place, name in enumerate(NAMES[:4])}
    assert saved_by({"steps": steps}, line(), "look").steps == ("Read",)
    assert saved_by({"steps": steps}, line(), "read").steps == ()


def test_of_a_run_that_went_on_only_what_had_ended_before_counts():
    steps = {name: step(place) for place, name in enumerate(NAMES)}
    saved = saved_by({"steps": steps}, line(), "tell", before=T0 + timedelta(seconds=2))
    assert saved.steps == ("Read", "Look")


def test_a_quick_call_that_is_noted_late_took_no_less_than_nothing():
    steps = {"read": step(0)}
    steps["read"]["attempts"] = [{"started_at": at(1.01), "ended_at": at(1)}]
    assert saved_by({"steps": steps}, line(), "look").seconds == 0.0


def test_items_of_a_list_count_as_the_calls_they_are():
    members = {"total": 9, "done": 7, "failed": 1, "open": 0}
    steps = {"read": step(0, tries=0, started_at=at(0), members=members)}
    steps["read"]["ended_at"] = at(4)
    saved = saved_by({"steps": steps}, line(read=each()), "look")
    assert (saved.calls, saved.seconds, saved.tokens) == (8, 4.0, 0)
    steps["read"]["tokens"] = 1_200
    assert saved_by({"steps": steps}, line(read=each()), "look").tokens == 1_200
