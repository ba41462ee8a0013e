"""What the sweeper finds: dead and cut-off owners, lost doorbells, runs that wait on nothing."""

import threading
import time
from datetime import timedelta

import pytest
from django.db import connections

from approvals.services import withdraw_review
from audit.models import AuditOutbox
from orchestrator.ids import new_id
from orchestrator.runs import boots, services, statements
from orchestrator.runs.models import Attempt, Incident, Run, RunEvent, Timer, Worker
from orchestrator.runs.recording import subject_id_of
from orchestrator.runs.sweeper import (
    Sweeper,
    end_boot,
    forget_workers,
    free_dead,
    free_expired,
    open_incidents,
    ring_again,
)
from orchestrator.runs.walker import walk
from tests.integration.runs.world import (
    chain,
    decide,
    invariants,
    now,
    status_of,
    wait_for,
    with_gate,
)


def in_thread(function, *arguments):
    def run():
        function(*arguments)
        connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


@pytest.mark.postgres
def test_a_sweeper_that_stands_still_is_replaced_and_stands_by_afterwards(engine, monkeypatch):
    monkeypatch.setattr(boots, "SILENT_SECONDS", 1)
    stopped, standing_by = boots.SingleHolder("sweeper"), boots.SingleHolder("sweeper")
    try:
        assert stopped.holds()
        assert not standing_by.holds()
        assert stopped.holds()
        wait_for(standing_by.holds)
        assert not stopped.holds()
        assert standing_by.holds()
    finally:
        stopped.give_back()
        standing_by.give_back()


def test_the_claims_of_a_dead_owner_are_freed_and_those_of_a_living_one_are_not(world, doorbells):
    mine, his = world.start(chain("a")), world.start(chain("a"))
    boot = boots.current()
    statements.claim(mine.id, boot.id)
    dead = new_id()
    Worker.objects.create(id=dead, hostname="gone", pid=1, started_at=now(), seen_at=now())
    statements.claim(his.id, dead)
    doorbells.clear()
    assert free_dead(now()) == 1
    assert doorbells == [his.id]
    assert Run.objects.get(id=mine.id).owner == boot.id
    assert Run.objects.get(id=his.id).owner is None
    assert Worker.objects.get(id=dead).ended_at is not None
    assert Worker.objects.get(id=boot.id).ended_at is None


def test_a_late_result_of_a_worker_that_was_cut_off_is_refused_and_recorded(
    world, doorbells, fakes
):
    """His lease runs out during the call; another walker repeats it; then he comes back."""
    fakes.script("a", seconds=90)
    run = world.start(chain("a"))
    cut_off = in_thread(walk, run.id)
    wait_for(lambda: fakes.calls("a"))
    Run.objects.filter(id=run.id).update(lease_until=now() - timedelta(seconds=1))
    # Nobody tells him: his own look at the inbox would notice the fence, so it is turned away here.
    boots.current().leave(run.id)
    assert free_expired(now()) == 1
    fakes.script("a")
    wait_for(lambda: walk(run.id) and Timer.objects.filter(run=run, purpose="retry").exists())
    Timer.objects.filter(run=run, purpose="retry").update(due_at=now())
    timer = Timer.objects.get(run=run, purpose="retry")
    assert services.fire_timer(timer_id=timer.id, now=now())
    walk(run.id)
    assert status_of(run) == "succeeded"
    fakes.release("a")
    cut_off.join()
    assert status_of(run) == "succeeded"
    assert Attempt.objects.filter(run=run, status="succeeded").count() == 1
    assert RunEvent.objects.filter(run=run, type="attempt_succeeded").count() == 1
    assert invariants() == {}


def test_the_result_of_a_lost_claim_is_an_incident(world, doorbells, fakes, monkeypatch):
    from orchestrator.runs import walker

    monkeypatch.setattr(walker, "LOOK_SECONDS", 60.0)  # he sees nothing until he commits
    fakes.script("a", seconds=90)
    run = world.start(chain("a"))
    cut_off = in_thread(walk, run.id)
    wait_for(lambda: fakes.calls("a"))
    Run.objects.filter(id=run.id).update(lease_until=now() - timedelta(seconds=1))
    assert free_expired(now()) == 1
    fakes.release("a")
    cut_off.join()
    incident = Incident.objects.get(run=run)
    assert (incident.kind, incident.detail) == ("late_result", {"attempts": [["a", 1, 1]]})
    assert not RunEvent.objects.filter(run=run, type="attempt_succeeded").exists()


def test_a_run_whose_doorbell_was_lost_is_rung_for_again_and_a_parked_one_is_not(world, doorbells):
    lost, parked = world.start(chain("a")), world.start(with_gate())
    walk(parked.id)
    doorbells.clear()
    assert ring_again(now(), older_than_seconds=5) == 0
    assert ring_again(now(), older_than_seconds=0) == 1
    assert doorbells == [lost.id]
    assert ring_again(now(), older_than_seconds=5) == 0


def test_a_decision_takes_effect_when_its_time_to_undo_is_over(world, workers):
    run = world.start(with_gate())
    wait_for(lambda: status_of(run) == "waiting")
    decide(world, run, undo_seconds=1)
    time.sleep(0.5)
    assert status_of(run) == "waiting"
    wait_for(lambda: status_of(run) == "succeeded")


def test_a_run_that_waits_on_nothing_becomes_one_incident(world, doorbells):
    run = world.start(with_gate())
    walk(run.id)
    assert open_incidents(now()) == 0
    Timer.objects.filter(run=run).delete()
    assert open_incidents(now()) == 0
    withdraw_review(
        kind="gate", subject_id=subject_id_of(run.id, "approve", 1, 1), now=now(), reason="x"
    )
    assert open_incidents(now()) == 1
    assert open_incidents(now()) == 0
    assert AuditOutbox.objects.filter(action="incident.opened", run_id=run.id).count() == 1
    services.cancel_run(run_id=run.id, reason="Stuck.", actor=world.operator, now=now())
    walk(run.id)
    assert open_incidents(now()) == 0
    assert Incident.objects.get(run=run).closed_at is not None
    assert AuditOutbox.objects.filter(action="incident.closed", run_id=run.id).count() == 1


def test_only_one_of_two_sweepers_sweeps(engine):
    first, second = Sweeper(), Sweeper()
    assert first.sweep_if_holder()
    assert not second.sweep_if_holder()
    first.give_back()
    assert second.sweep_if_holder()
    second.give_back()


def test_a_broken_part_of_a_round_leaves_the_others_their_turn(world, doorbells, monkeypatch):
    from orchestrator.runs import sweeper

    def broken(now):
        raise RuntimeError

    monkeypatch.setattr(sweeper, "free_dead", broken)
    run = world.start(with_gate())
    walk(run.id)
    Timer.objects.filter(run=run, purpose="review_due").update(due_at=now())
    one = Sweeper()
    assert one.sweep_if_holder()
    assert Run.objects.get(id=run.id).inbox_seq == 1
    one.give_back()


def test_a_process_that_ends_in_order_frees_what_it_claims(world, doorbells):
    run = world.start(chain("a"))
    statements.claim(run.id, boots.current().id)
    end_boot()
    assert Run.objects.get(id=run.id).owner is None
    assert Attempt.objects.get(run=run).status == "abandoned"
    assert Worker.objects.get().ended_at is not None


def test_silent_workers_are_forgotten(engine):
    Worker.objects.create(
        id=new_id(), hostname="x", pid=1, started_at=now(), seen_at=now() - timedelta(seconds=300)
    )
    assert forget_workers(now()) == 1
