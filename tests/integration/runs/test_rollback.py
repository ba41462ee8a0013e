"""A run is rolled back by the engine, on both databases."""

import pytest

from orchestrator.core.errors import IllegalTransitionError, PermissionDeniedError
from orchestrator.runs import services, statements
from orchestrator.runs.models import Attempt, Run, StepRun
from orchestrator.runs.selectors import list_runs, run_snapshot
from orchestrator.runs.sweeper import fire_due_timers
from orchestrator.runs.walker import walk
from tests.integration.runs.test_overrides import FATAL, envelopes
from tests.integration.runs.world import (
    RETRY_SOON,
    agent,
    definition,
    invariants,
    mapped,
    now,
    status_of,
    steps_of,
    stored_and_replayed,
    wait_for,
)

UNDO = {
    "uses": {"agent": "refund", "version": 1},
    "input": {"label": "'undo'", "text": "steps.pay.output.text"},
}


def trip(**pay):
    """start → book (once, writes, no way back) → pay (undone by refund) → done."""
    steps = {
        "book": agent("book", uses="once"),
        "pay": agent("pay", uses="writer", compensation=UNDO, **pay),
    }
    return definition(steps, ["start.next-book", "book.next-pay", "pay.next-done"])


def finished(world, **more):
    world.register("writer", side_effect="write")
    world.register("refund", side_effect="write")
    run = world.start(trip(**more), text="invoice 7")
    walk(run.id)
    assert status_of(run) == "succeeded"
    return run


def roll_back(world, run, actor=None):
    services.roll_back_run(
        run_id=run.id, reason="A mistake.", actor=actor or world.operator, now=now()
    )
    walk(run.id)


def test_a_run_is_undone_and_what_could_not_be_is_on_record(world, doorbells, fakes):
    run = finished(world)
    assert run_snapshot(run.id, world.operator)["can"]["roll_back"]
    roll_back(world, run)
    assert status_of(run) == "rolled_back"
    assert steps_of(run) == {
        "start": "succeeded",
        "book": "succeeded",
        "pay": "compensated",
        "done": "succeeded",
    }
    assert fakes.calls("undo")[0]["text"] == "invoice 7"
    rows = StepRun.objects.filter(run=run, step="pay").order_by("iteration")
    assert [(row.iteration, row.status) for row in rows] == [(1, "succeeded"), (2, "compensated")]
    shown = run_snapshot(run.id, world.operator)
    assert list(shown["not_undone"]) == ["book"]
    assert [one["agent"] for one in shown["steps"]["pay"]["attempts"]] == ["writer@1", "refund@1"]
    assert (shown["needs_attention"], shown["can"]["roll_back"]) == (True, False)
    assert invariants() == {}
    stored, replayed = stored_and_replayed(run)
    assert stored == replayed


def test_the_log_says_who_asked_what_was_undone_by_whom_and_what_was_not(world, doorbells):
    run = finished(world)
    roll_back(world, run)
    (asked,) = envelopes(run, "run.rollback_requested")
    assert asked["actor"]["id"] == world.operator.id
    (begun,) = envelopes(run, "run.rollback_begun")
    assert (begun["decision"]["undo"], begun["decision"]["not_undone"]) == (["pay"], ["book"])
    (undone,) = envelopes(run, "step.compensated")
    assert undone["decision"]["agent"]["slug"] == "refund"
    assert undone["subject"]["id"] == f"{run.id}/pay/2"
    (over,) = envelopes(run, "run.rolled_back")
    assert over["decision"]["not_undone"] == ["book"]
    assert len(envelopes(run, "run.ended")) == 1


def test_a_compensation_that_fails_is_tried_again_and_then_listed(world, doorbells, fakes):
    run = finished(world, retry={**RETRY_SOON, "max_attempts": 2})
    fakes.script("undo", {**FATAL, "retryable": True})
    roll_back(world, run)
    assert status_of(run) == "rolling_back"
    assert not run_snapshot(run.id, world.operator)["can"]["cancel"]
    wait_for(lambda: fire_due_timers(statements.database_now()))
    walk(run.id)
    assert status_of(run) == "rolled_back"
    assert [one["text"] for one in fakes.calls("undo")] == ["invoice 7"] * 2
    keys = Attempt.objects.filter(run=run, step="pay", iteration=2).values_list(
        "idempotency_key", flat=True
    )
    assert set(keys) == {f"{run.id}/pay/2/undo"}
    assert "The service is down." in run_snapshot(run.id)["not_undone"]["pay"]
    assert steps_of(run)["pay"] == "failed"
    assert envelopes(run, "step.not_undone")[0]["decision"]["kind"] == "unavailable"
    assert invariants() == {}


def test_what_was_not_undone_needs_attention_until_somebody_dismisses_it(world, doorbells):
    run = finished(world)
    roll_back(world, run)
    assert list(list_runs(world.operator, attention=True)) == [Run.objects.get(id=run.id)]
    services.dismiss_run(run_id=run.id, reason="Called them.", actor=world.operator, now=now())
    assert not list_runs(world.operator, attention=True)
    assert status_of(run) == "rolled_back"


def test_an_outcome_that_asks_for_it_rolls_back_in_the_same_commit(world, doorbells, fakes):
    world.register("writer", side_effect="write")
    world.register("refund", side_effect="write")
    document = trip()
    document["outcomes"]["done"]["rollback"] = True
    run = world.start(document)
    walk(run.id)
    assert status_of(run) == "rolled_back"
    assert len(fakes.calls("undo")) == 1
    assert invariants() == {}


def test_a_rollback_is_refused_without_right_or_end_or_anything_to_undo(world, doorbells):
    run = finished(world)
    with pytest.raises(PermissionDeniedError):
        roll_back(world, run, world.owner)
    roll_back(world, run)
    with pytest.raises(IllegalTransitionError):
        roll_back(world, run)
    harmless = world.start(definition({"a": agent("a")}, ["start.next-a", "a.next-done"]))
    with pytest.raises(IllegalTransitionError):
        roll_back(world, harmless)
    walk(harmless.id)
    with pytest.raises(services.NothingToUndoError):
        roll_back(world, harmless)


def test_a_rollback_is_offered_where_the_items_of_a_map_have_changed_something(world, doorbells):
    world.register("writer", side_effect="write")
    run = world.start(mapped(uses={"agent": "writer", "version": 1}))
    walk(run.id)
    assert run_snapshot(run.id, world.operator)["can"]["roll_back"]
    assert not run_snapshot(run.id, world.owner)["can"]["roll_back"]
    roll_back(world, run)
    assert list(run_snapshot(run.id)["not_undone"]) == ["each"]


def test_a_worker_that_dies_while_it_undoes_loses_nothing(world, doorbells, fakes):
    run = finished(world)
    services.roll_back_run(run_id=run.id, reason="A mistake.", actor=world.operator, now=now())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("orchestrator.runs.walker._Walk._call", _dies)
        walk(run.id)
    assert status_of(run) == "rolling_back"
    wait_for(lambda: walk(run.id) or status_of(run) == "rolled_back")
    wait_for(lambda: fire_due_timers(statements.database_now()) or status_of(run) != "rolling_back")
    walk(run.id)
    assert status_of(run) == "rolled_back"
    assert steps_of(run)["pay"] == "compensated"
    assert invariants() == {}


def _dies(_walk):
    raise RuntimeError("the worker is gone")
