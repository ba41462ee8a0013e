"""Limits of calls at the same time: never more under way, who waits costs nothing, all end."""

import json
import threading
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connections

from budgets import ledger, places, services
from budgets.limits import AtLimit, Period, Scope, Unit
from budgets.models import BudgetPlace
from budgets.selectors import usage_of
from orchestrator.access import SYSTEM
from orchestrator.core.errors import InvalidInputError
from orchestrator.runs import placing, statements, trials
from orchestrator.runs import services as runs
from orchestrator.runs.models import Attempt, Run
from orchestrator.runs.selectors import run_snapshot
from orchestrator.runs.sweeper import free_dead
from orchestrator.runs.walker import walk
from tests.integration.runs.test_limits import change, limit
from tests.integration.runs.world import (
    chain,
    fan,
    invariants,
    mapped,
    now,
    status_of,
    steps_of,
    stored_and_replayed,
    wait_for,
)


def at_once(world, amount, scope=Scope.AGENT, target="scripted"):
    """So many calls at the same time."""
    more = {"unit": Unit.PLACES, "period": Period.ALWAYS, "at_limit": AtLimit.WAIT}
    return limit(world, amount, scope, target, **more)


def occupy(world, number=1, agent="scripted"):
    """Calls of another run that have places; what to leave them with."""
    limits = ledger.places_of(world.workspace.id, None, agent)
    run = uuid4()
    until = now() + timedelta(hours=1)
    calls = [places.Asked(run, "other", 1, one, limits, until) for one in range(number)]
    begun, _ = places.ask(world.workspace.id, calls, uuid4(), now())
    assert len(begun) == number
    return lambda: runs.wake(places.leave(world.workspace.id, begun, now()))


def stands(row):
    usage = usage_of([row], now())[row.id]
    return usage.reserved, usage.waiting


def most_at_once(fakes):
    """How many calls were under way at the same time at most, by the log of the calls."""
    under_way = most = 0
    for line in (fakes.folder() / "calls.jsonl").read_text().splitlines():
        under_way += 1 if json.loads(line)["what"] == "begin" else -1
        most = max(most, under_way)
    return most


def test_a_call_without_a_place_waits_as_rows_and_is_made_once_it_has_one(world, doorbells, fakes):
    row = at_once(world, 1)
    leave = occupy(world)
    run = world.start(chain("a", "b"))
    doorbells.clear()
    walk(run.id)
    assert (stands(row), fakes.calls()) == ((1, 1), [])
    parked = Run.objects.get(id=run.id)
    assert (parked.owner, parked.rung_at, parked.status) == (None, None, "running")
    assert invariants() == {}
    step = run_snapshot(run.id)["steps"]["a"]
    assert (step["status"], step["waiting_for"]) == ("ready", "place")
    assert step["reason"] == (
        "Waits for a place of the agent 'Scripted' (1 of 1 in use, 1 waiting)."
    )
    leave()
    assert doorbells == [run.id]
    walk(run.id)
    assert status_of(run) == "succeeded"
    assert [one["label"] for one in fakes.calls()] == ["a", "b"]
    assert stands(row) == (0, 0)
    assert list(Attempt.objects.filter(run=run).values_list("number", flat=True)) == [1, 1]
    stored, replayed = stored_and_replayed(run)
    assert stored == replayed
    assert invariants() == {}


def test_who_has_waited_longest_is_next(world, doorbells):
    at_once(world, 1)
    leave = occupy(world)
    waiting = [world.start(chain("a")) for _ in range(3)]
    for run in waiting:
        walk(run.id)
    doorbells.clear()
    leave()
    for run in waiting:
        assert doorbells.pop() == run.id
        walk(run.id)
        assert status_of(run) == "succeeded"
    assert not BudgetPlace.objects.exists()


def test_branches_of_a_run_share_the_places_and_all_end(world, workers, fakes):
    row = at_once(world, 2)
    labels = [f"l{number}" for number in range(6)]
    for label in labels:
        fakes.script(label, seconds=0.05)
    run = world.start(fan(*labels))
    wait_for(lambda: status_of(run) == "succeeded")
    assert most_at_once(fakes) <= 2
    assert len(fakes.calls()) == 6
    wait_for(lambda: stands(row) == (0, 0))
    stored, replayed = stored_and_replayed(run)
    assert stored == replayed


def test_runs_of_several_workers_keep_to_it_and_all_end(world, workers, fakes):
    row = at_once(world, 1)
    slug = world.publish(mapped())
    for label in "abc":
        fakes.script(label, seconds=0.02)
    found = [world.start(slug) for _ in range(4)]
    wait_for(lambda: all(status_of(run) == "succeeded" for run in found))
    assert most_at_once(fakes) == 1
    assert len(fakes.calls()) == 12
    wait_for(lambda: stands(row) == (0, 0))
    assert invariants() == {}


def test_a_raised_and_an_ended_limit_let_go_on_what_waits(world, doorbells):
    row = at_once(world, 1)
    occupy(world)
    first, second = world.start(chain("a")), world.start(chain("a"))
    walk(first.id)
    walk(second.id)
    change(row, amount=2, at_limit=AtLimit.WAIT)
    doorbells.clear()
    placing.leave_places_of_the_dead(now())
    assert doorbells == [first.id]
    services.end_limit(limit_id=row.id, reason="Over.", actor=SYSTEM, now=now())
    doorbells.clear()
    placing.leave_places_of_the_dead(now())
    assert second.id in doorbells
    walk(first.id)
    walk(second.id)
    assert status_of(first) == status_of(second) == "succeeded"


def test_a_cancelled_run_waits_no_longer_and_its_place_goes_to_the_next(world, doorbells):
    row = at_once(world, 1)
    leave = occupy(world)
    first, second = world.start(chain("a")), world.start(chain("a"))
    walk(first.id)
    walk(second.id)
    runs.cancel_run(run_id=first.id, reason="Stop.", actor=world.operator, now=now())
    walk(first.id)
    assert (status_of(first), steps_of(first)["a"]) == ("cancelled", "cancelled")
    doorbells.clear()
    leave()
    for _ in range(2):  # the place may have been given to the run that is over
        placing.leave_places_of_the_dead(now())
    assert second.id in doorbells
    walk(second.id)
    assert status_of(second) == "succeeded"
    assert stands(row) == (0, 0)


def test_the_places_of_a_dead_worker_come_free_with_its_claims(world, doorbells, fakes):
    row = at_once(world, 1)
    waiting, lost = world.start(chain("a")), world.start(chain("b"))
    boot = uuid4()
    statements.claim(lost.id, boot)
    limits = ledger.places_of(world.workspace.id, None, "scripted")
    places.ask(world.workspace.id, [places.Asked(lost.id, "b", 1, 1, limits)], boot, now())
    walk(waiting.id)
    placing.leave_places_of_the_dead(now())
    assert stands(row) == (1, 1)
    free_dead(now())
    doorbells.clear()
    assert placing.leave_places_of_the_dead(now()) == 1
    assert doorbells == [waiting.id]
    walk(waiting.id)
    assert status_of(waiting) == "succeeded"


def test_a_call_waits_for_all_its_limits_and_holds_none_meanwhile(world, doorbells):
    slug = world.publish(chain("a"))
    wide, narrow = at_once(world, 2), at_once(world, 1, Scope.WORKFLOW, slug)
    walking = world.start(slug)
    flow = ledger.places_of(world.workspace.id, Run.objects.get(id=walking.id).workflow_id, "none")
    until = now() + timedelta(hours=1)
    places.ask(world.workspace.id, [places.Asked(uuid4(), "x", 1, 1, flow, until)], uuid4(), now())
    walk(walking.id)
    assert (stands(narrow), stands(wide)) == ((1, 1), (0, 1))
    other = world.start(chain("b"))  # of another workflow: it passes by
    walk(other.id)
    assert status_of(other) == "succeeded"


def test_an_agent_that_was_light_is_light_no_more_under_such_a_limit(world, doorbells, fakes):
    slug = world.publish(chain(*"abcd"))
    walk(world.start(slug).id)
    at_once(world, 1)
    leave = occupy(world)
    run = world.start(slug)
    walk(run.id)
    assert len(fakes.calls()) == 4
    leave()
    walk(run.id)
    assert status_of(run) == "succeeded"


def test_without_such_a_limit_nothing_is_asked(world, doorbells, monkeypatch):
    limit(world, 9)
    monkeypatch.setattr(places, "ask", None)
    run = world.start(chain("a"))
    walk(run.id)
    assert status_of(run) == "succeeded"


def test_places_are_never_given_twice_however_many_ask(world):
    row = at_once(world, 3)
    limits = ledger.places_of(world.workspace.id, None, "scripted")
    wrong, ended, lock = [], [], threading.Lock()
    under_way = most = 0

    def work(number):
        nonlocal under_way, most
        try:
            run = uuid4()
            call = places.Asked(run, "s", 1, number, limits, now() + timedelta(hours=1))
            begun, _ = places.ask(world.workspace.id, [call], run, now())
            while not begun:
                begun = places.begin(run, run)
            with lock:
                under_way += 1
                most = max(most, under_way)
            with lock:
                under_way -= 1
            places.leave(world.workspace.id, begun, now())
            ended.append(number)
        except Exception as error:
            wrong.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert (len(ended), most <= 3, stands(row)) == (16, True, (0, 0))


@pytest.mark.parametrize(
    ("wrong", "place"),
    [
        ({"amount": 0}, "/amount"),
        ({"amount": 10_001}, "/amount"),
        ({"period": Period.DAY}, "/period"),
        ({"at_limit": AtLimit.STOP}, "/at_limit"),
        ({"unit": Unit.CALLS}, "/at_limit"),
    ],
)
def test_what_is_wrong_with_such_a_limit_is_named(world, wrong, place):
    given = {
        "amount": 1,
        "unit": Unit.PLACES,
        "period": Period.ALWAYS,
        "at_limit": AtLimit.WAIT,
        **wrong,
    }
    with pytest.raises(InvalidInputError) as caught:
        limit(world, given.pop("amount"), **given)
    assert caught.value.detail["violations"][0]["path"] == place


def test_a_try_takes_a_place_and_is_told_when_there_is_none(world, doorbells, fakes):
    row = at_once(world, 1)
    leave = occupy(world)

    def tried():
        return trials.try_agent(
            slug="scripted", version=1, input={"label": "x"}, actor=world.owner, now=now()
        )

    refused = tried()
    assert "as often at the same time as is allowed" in str(refused)
    assert (stands(row), fakes.calls()) == ((1, 0), [])
    leave()
    tried()
    assert (stands(row), len(fakes.calls())) == ((0, 0), 1)
