"""Calls that are light are made before the commit that writes them; what that may not change."""

import pytest

from orchestrator.runs import pace, services, statements, walker
from orchestrator.runs.models import Attempt, Handoff, Run
from orchestrator.runs.walker import walk
from tests.integration.runs.world import (
    agent,
    chain,
    definition,
    fan,
    invariants,
    now,
    status_of,
    steps_of,
    stored_and_replayed,
    wait_for,
)

LABELS = tuple("abcdefgh")


@pytest.fixture
def commits(monkeypatch):
    """How many events each commit of a walker wrote; slowness of this machine ends no batch."""
    written = []
    commit = statements.commit

    def noted(run_id, fence, what):
        written.append(len(what.rows.events))
        return commit(run_id, fence, what)

    monkeypatch.setattr(statements, "commit", noted)
    for module, name in ((pace, "LIGHT_SECONDS"), (walker, "BATCH_SECONDS")):
        monkeypatch.setattr(module, name, 60)
    monkeypatch.setattr(walker, "SLICE_SECONDS", 60)
    return written


@pytest.fixture
def quick(world, doorbells, commits):
    """A world whose agent `scripted` has just been quick, in this process."""
    warm = world.start(chain(*LABELS[: pace.ENOUGH_CALLS]))
    walk(warm.id)
    assert status_of(warm) == "succeeded"
    assert commits == [1] * pace.ENOUGH_CALLS  # not known yet: each call after its commit
    commits.clear()
    return world


def test_light_calls_are_written_together_and_nothing_of_them_is_missing(quick, commits, fakes):
    run = quick.start(chain(*LABELS))
    walk(run.id)
    assert status_of(run) == "succeeded"
    assert commits == [len(LABELS)]
    assert set(steps_of(run).values()) == {"succeeded"}
    done = Attempt.objects.filter(run=run).values_list("step", "number", "status", "result_tag")
    assert sorted(done) == [(label, 1, "succeeded", "value") for label in LABELS]
    assert not Attempt.objects.filter(run=run, owner=None).exists()
    assert Handoff.objects.filter(run=run).count() == len(LABELS) + 1
    stored, replayed = stored_and_replayed(run)
    assert stored == replayed
    assert invariants() == {}


def test_light_branches_are_called_one_after_another_and_join(quick, commits):
    run = quick.start(fan(*LABELS))
    walk(run.id)
    assert status_of(run) == "succeeded"
    assert commits == [len(LABELS)]
    assert invariants() == {}


def test_what_leaves_something_outside_is_committed_before_it_is_called(quick, commits, fakes):
    steps = {label: agent(label) for label in "ac"} | {"pay": agent("pay", uses="once")}
    links = ("start.next-a", "a.next-pay", "pay.next-c", "c.next-done")
    for _ in range(pace.ENOUGH_CALLS + 1):
        commits.clear()
        run = quick.start(definition(steps, links))
        walk(run.id)
        assert status_of(run) == "succeeded"
        # a is light; then pay's lease is written with a's result, and pay's result with c's.
        assert commits == [1, 2]


def test_no_batch_is_larger_than_it_may_be(quick, commits, monkeypatch):
    monkeypatch.setattr(walker, "BATCH_EVENTS", 3)
    run = quick.start(chain(*LABELS))
    walk(run.id)
    assert status_of(run) == "succeeded"
    assert commits == [3, 3, 2]


def test_a_light_call_that_takes_long_this_time_is_written_down_while_it_runs(
    quick, workers, fakes
):
    fakes.script("c", seconds=90)
    run = quick.start(chain(*LABELS))
    leased = wait_for(lambda: Attempt.objects.filter(run=run, step="c", status="leased").first())
    assert leased.owner == Run.objects.get(id=run.id).owner
    assert steps_of(run)["b"] == "succeeded"
    services.cancel_run(run_id=run.id, actor=quick.operator, reason="Enough.", now=now())
    wait_for(lambda: status_of(run) == "cancelled")
    assert Attempt.objects.get(id=leased.id).status == "abandoned"
    assert invariants() == {}


def test_after_a_lost_claim_all_is_called_again_and_nothing_is_light(
    quick, commits, workers, monkeypatch
):
    judged, lost = walker.invoke_sync, []

    def lose_the_claim(prepared):
        if prepared.context.step == "e" and not lost:
            lost.append(Run.objects.get(id=prepared.context.run_id).owner)
            services.free_run(run_id=prepared.context.run_id, owner=lost[0], now=now())
            commits.clear()
        return judged(prepared)

    monkeypatch.setattr(walker, "invoke_sync", lose_the_claim)
    run = quick.start(chain(*LABELS))
    wait_for(lambda: status_of(run) == "succeeded")
    assert commits[0] == len(LABELS)  # refused, for the claim was lost
    assert max(commits[1:]) == 1
    done = Attempt.objects.filter(run=run, status="succeeded").values_list("step", "number")
    assert sorted(done) == [("a", 2), *((label, 1) for label in LABELS[1:])]
    stored, replayed = stored_and_replayed(run)
    assert stored == replayed
    assert invariants() == {}
