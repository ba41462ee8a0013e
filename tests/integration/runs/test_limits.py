"""Limits of a workspace, its workflows and agents: hard beside the real engine, on both databases."""

import threading
from datetime import timedelta
from itertools import pairwise
from uuid import uuid4

import pytest
from django.db import connection, connections

from audit.models import AuditOutbox
from budgets import ledger, services
from budgets.limits import AtLimit, Period, Scope, Takes, Unit
from budgets.models import BudgetCounter, BudgetEntry, BudgetLimit, BudgetReservation
from orchestrator.access import SYSTEM
from orchestrator.core.errors import ConflictError
from orchestrator.core.results import Failed
from orchestrator.runs import invoke
from orchestrator.runs.models import Attempt
from orchestrator.runs.selectors import run_snapshot
from orchestrator.runs.sweeper import fire_due_timers
from orchestrator.runs.walker import walk
from tests.integration.runs.test_overrides import FATAL
from tests.integration.runs.world import (
    agent,
    chain,
    decide,
    definition,
    invariants,
    mapped,
    now,
    review_of,
    status_of,
    steps_of,
    stored_and_replayed,
)


def limit(world, amount, scope=Scope.WORKSPACE, target="", **more):
    """A limit of calls per month."""
    terms = services.Terms(amount, more.pop("percent", 80), more.pop("at_limit", AtLimit.STOP))
    row = services.set_limit(
        workspace_id=world.workspace.id,
        scope=scope,
        target=target,
        unit=more.pop("unit", Unit.CALLS),
        currency=more.pop("currency", ""),
        period=more.pop("period", Period.MONTH),
        terms=terms,
        reason="A test.",
        actor=SYSTEM,
        now=now(),
    )
    invoke.forget_status()
    return row


def change(row, **terms):
    given = {"amount": row.amount, "at_limit": AtLimit(row.at_limit), **terms}
    services.change_limit(
        limit_id=row.id, terms=services.Terms(**given), reason="More.", actor=SYSTEM, now=now()
    )
    invoke.forget_status()


def counter(row):
    found = BudgetCounter.objects.get(limit=row)
    return found.used, found.reserved


def kinds():
    return sorted(BudgetEntry.objects.values_list("kind", flat=True))


def actions():
    rows = AuditOutbox.objects.filter(action__startswith="budget_limit.").order_by("id")
    return [row.action.partition(".")[2] for row in rows]


def test_calls_count_and_the_one_too_many_is_not_made(world, doorbells, fakes):
    row = limit(world, 2)
    run = world.start(ending_at_once(chain("a", "b", "c")))
    walk(run.id)
    assert status_of(run) == "failed"
    assert len(fakes.calls()) == 2
    assert counter(row) == (2, 0)
    assert kinds() == ["reserved", "reserved", "settled", "settled"]
    refused = Attempt.objects.get(run=run, step="c")
    assert refused.failure_kind == "budget"
    assert "may use 2 calls per month" in refused.reason
    assert "An administrator" in refused.reason
    assert actions() == ["set", "threshold_passed", "reached"]
    assert invariants() == {}


def test_a_limit_that_asks_lets_the_run_wait_and_go_on_once_it_is_raised(world, doorbells, fakes):
    row = limit(world, 1, at_limit=AtLimit.ASK)
    run = world.start(chain("a", "b"))
    walk(run.id)
    assert steps_of(run) == {"start": "succeeded", "a": "succeeded", "b": "waiting"}
    assert "may use 1 call per month" in str(review_of(run, "exception").evidence)
    change(row, amount=5)
    decide(world, run, "chosen", choice="retry", kind="exception")
    walk(run.id)
    assert status_of(run) == "succeeded"
    assert len(fakes.calls()) == 2
    assert counter(row) == (2, 0)
    stored, replayed = stored_and_replayed(run)
    assert stored == replayed
    assert invariants() == {}


def test_an_item_of_a_list_waits_too_and_the_others_are_kept(world, doorbells, fakes):
    row = limit(world, 2, at_limit=AtLimit.ASK)
    run = world.start(mapped())
    walk(run.id)
    assert sorted(steps_of(run).values()).count("waiting") == 2  # the map, and its third item
    change(row, amount=3)
    decide(world, run, "chosen", choice="retry", kind="exception")
    walk(run.id)
    assert status_of(run) == "succeeded"
    assert len(fakes.calls()) == 3
    assert invariants() == {}


def test_a_limit_counts_only_what_it_is_about(world, doorbells, fakes):
    slug = world.publish(chain("a", "b"))
    limits = {
        "agent": limit(world, 9, Scope.AGENT, "scripted", period=Period.DAY),
        "other agent": limit(world, 9, Scope.AGENT, "once"),
        "workflow": limit(world, 9, Scope.WORKFLOW, slug),
        "other workflow": limit(world, 9, Scope.WORKFLOW, world.publish(chain("a"))),
    }
    walk(world.start(slug).id)
    used = {name: BudgetCounter.objects.filter(limit=row) for name, row in limits.items()}
    assert {name: sum(one.used for one in rows) for name, rows in used.items()} == {
        "agent": 2,
        "other agent": 0,
        "workflow": 2,
        "other workflow": 0,
    }


def test_of_two_limits_the_refusing_one_takes_back_what_the_other_reserved(world, doorbells, fakes):
    wide, narrow = limit(world, 9), limit(world, 1, Scope.AGENT, "scripted")
    run = world.start(chain("a", "b"))
    walk(run.id)
    assert counter(wide) == counter(narrow) == (1, 0)
    assert BudgetReservation.objects.count() == 0
    assert invariants() == {}


def test_a_priced_call_takes_its_price_and_a_free_one_nothing(world, doorbells, fakes):
    world.register("dear", price={"minor": 250, "currency": "EUR"})
    row = limit(world, 600, unit=Unit.MONEY, currency="EUR")
    steps = {name: agent(name, uses="dear") for name in ("a", "b", "c")} | {"free": agent("free")}
    links = [
        f"{one}.next-{other}" for one, other in pairwise(["start", "a", "free", "b", "c", "done"])
    ]
    document = definition(steps, links)
    run = world.start(ending_at_once(document))
    walk(run.id)
    assert counter(row) == (500, 0)
    refused = Attempt.objects.get(run=run, step="c")
    assert "EUR 6.00 per month, and EUR 5.00 are used" in refused.reason
    assert "this call costs EUR 2.50" in refused.reason
    snapshot = run_snapshot(run.id)
    assert snapshot["cost"] == [{"minor": 500, "currency": "EUR"}]
    assert snapshot["steps"]["a"]["cost"] == [{"minor": 250, "currency": "EUR"}]
    assert not {"cost"} & {*snapshot["steps"]["c"], *snapshot["steps"]["free"]}


def test_what_items_cost_stands_at_their_list_and_what_was_not_reached_costs_nothing(
    world, doorbells, fakes
):
    world.register("dear", price={"minor": 3, "currency": "JPY"})
    fakes.script("b", {**FATAL, "kind": "unavailable", "reason_code": "service_unreachable"})
    run = world.start(mapped(uses={"agent": "dear", "version": 1}, tolerated_failures=1))
    walk(run.id)
    snapshot = run_snapshot(run.id, member="each.0")
    assert (
        snapshot["cost"] == snapshot["steps"]["each"]["cost"] == [{"minor": 6, "currency": "JPY"}]
    )
    assert snapshot["steps"]["each.0"]["cost"] == [{"minor": 3, "currency": "JPY"}]


def test_without_a_limit_a_call_asks_nothing(world, doorbells, fakes, monkeypatch):
    monkeypatch.setattr(ledger, "reserve", None)
    run = world.start(chain("a"))
    walk(run.id)
    assert status_of(run) == "succeeded"
    assert not BudgetEntry.objects.exists()


def test_a_retry_reserves_anew(world, doorbells, fakes):
    row = limit(world, 9)
    fakes.script(
        "a", {"type": "failed", "kind": "unavailable", "reason_code": "down", "reason": "D."}
    )
    run = world.start(chain("a", retry={"max_attempts": 2, "backoff_seconds": 0, "jitter": 0}))
    walk(run.id)
    fire_due_timers(now() + timedelta(seconds=5))
    walk(run.id)
    assert counter(row)[0] == Attempt.objects.filter(run=run).count() == 2


def test_what_a_dead_worker_reserved_counts_once_it_has_expired(world):
    row = limit(world, 1)
    held = reserve(world)
    assert counter(row) == (0, 1)
    assert isinstance(reserve(world), Failed)
    assert ledger.settle_expired(now()) == 0
    assert ledger.settle_expired(now() + timedelta(hours=1)) == 1
    ledger.settle(held, now())  # too late: it has been settled
    assert counter(row) == (1, 0)
    assert kinds() == ["lost", "reserved"]
    assert invariants() == {}


def test_what_is_released_may_be_reserved_again(world):
    row = limit(world, 1)
    ledger.release(reserve(world), now())
    assert counter(row) == (0, 0)
    assert not isinstance(reserve(world), Failed)
    assert invariants() == {}


def test_of_a_thousand_calls_at_once_exactly_as_many_are_made_as_are_left(world, profile):
    amount, calls = 300, 1000
    askers = (
        6 if profile == "sqlite" else 24
    )  # SQLite lets one write, and keeps no order among the others
    row = limit(world, amount)
    dues = ledger.dues_of(world.workspace.id, None, "scripted", Takes())
    left = iter(range(calls))
    made, refused, wrong, lock = [], [], [], threading.Lock()

    def work():
        try:
            while True:
                with lock:
                    number = next(left, None)
                if number is None:
                    return
                held = reserve(world, dues)
                (refused if isinstance(held, Failed) else made).append(number)
                if not isinstance(held, Failed):
                    ledger.settle(held, now())
        except Exception as error:
            wrong.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(askers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert (len(made), len(refused)) == (amount, calls - amount)
    assert counter(row) == (amount, 0)
    assert BudgetCounter.objects.get().refused == calls - amount
    assert actions() == ["set", "threshold_passed", "reached"]
    assert invariants() == {}


def test_a_call_far_from_the_threshold_or_past_it_asks_no_more_than_it_must(
    world, django_assert_num_queries
):
    row = limit(world, 10, percent=50)
    held = [reserve(world)]
    reserving = 3 + 2  # add, reservation, line; the transaction
    with django_assert_num_queries(reserving):
        held.append(reserve(world))
    held += [reserve(world) for _ in range(3)]
    assert actions() == ["set", "threshold_passed"]
    with django_assert_num_queries(reserving):
        held.append(reserve(world))
    if connection.vendor == "postgresql":
        with django_assert_num_queries(1 + 2):
            ledger.settle(held.pop(), now())
    for one in held:
        ledger.settle(one, now())
        ledger.settle(one, now())
    assert counter(row) == (6, 0)
    assert invariants() == {}


def test_a_second_limit_of_the_same_kind_is_refused(world):
    row = limit(world, 1)
    with pytest.raises(ConflictError) as refused:
        limit(world, 2)
    assert refused.value.detail["limit"] == str(row.id)
    services.end_limit(limit_id=row.id, reason="Done.", actor=SYSTEM, now=now())
    limit(world, 2)
    assert BudgetLimit.objects.count() == 2


def test_a_raised_limit_warns_again(world):
    row = limit(world, 2, percent=50)
    reserve(world)
    change(row, amount=100, threshold_percent=50)
    assert BudgetCounter.objects.get().warned_at is None
    change(row, amount=4, threshold_percent=50)
    reserve(world)
    assert actions() == ["set", "threshold_passed", "changed", "changed", "threshold_passed"]


def reserve(world, dues=None):
    call = ledger.Call(world.workspace.id, uuid4(), "a", 1, 1, 30)
    found = dues or ledger.dues_of(world.workspace.id, None, "scripted", Takes())
    return ledger.reserve(call, found, now())


def ending_at_once(document):
    """The same, where nobody is asked about exceptions."""
    policies = {**document["policies"], "exceptions": {"mode": "end", "outcome": "broken"}}
    return {**document, "policies": policies}
