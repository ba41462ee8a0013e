"""One act for several runs: each asked by itself, all of them or none allowed, results kept."""

from uuid import uuid4

import pytest

from audit.models import AuditOutbox
from audit.selectors import content_of
from orchestrator.access import SYSTEM, Role
from orchestrator.accounts import services as accounts
from orchestrator.core.errors import InvalidInputError, NotFoundError, PermissionDeniedError
from orchestrator.runs import bulk
from orchestrator.runs.bulk import BulkKind
from orchestrator.runs.models import BulkAct, InboxEvent
from orchestrator.runs.services import IdempotencyKeyReusedError
from orchestrator.runs.walker import walk
from tests.integration.runs.test_walking import FATAL, answer
from tests.integration.runs.world import (
    chain,
    decide,
    invariants,
    now,
    status_of,
    steps_of,
    with_gate,
)


def ask(world, act, runs, *, actor=None, reason="The service is down.", **more):
    return bulk.act_on_runs(
        act=act,
        run_ids=[getattr(run, "id", run) for run in runs],
        reason=reason,
        actor=actor or world.operator,
        now=now(),
        **more,
    )


def waiting(world, count):
    slug = world.publish(with_gate())
    runs = [world.start(slug, text=f"case {number}") for number in range(count)]
    for run in runs:
        walk(run.id)
    return runs


def test_each_run_is_asked_and_each_has_its_entry_beside_that_of_the_act(world, doorbells):
    runs = waiting(world, 3)
    row = ask(world, BulkKind.CANCEL, runs)
    for run in runs:
        walk(run.id)
        assert status_of(run) == "cancelled"
    assert [one["is_done"] for one in row.results] == [True] * 3
    entries = AuditOutbox.objects.filter(action="run.cancel_requested")
    assert set(entries.values_list("run_id", flat=True)) == {run.id for run in runs}
    (entry,) = AuditOutbox.objects.filter(action="bulk_act.requested")
    said = content_of(entry)["decision"]
    assert (said["outcome"], said["runs"]) == ("cancel", 3)
    assert invariants() == {}


def test_the_same_key_asks_once_and_gives_the_act_as_it_stands(world, doorbells):
    runs = waiting(world, 2)
    first = ask(world, BulkKind.PAUSE, runs, idempotency_key="k1")
    again = ask(world, BulkKind.PAUSE, runs, idempotency_key="k1")
    assert (again.id, again.results) == (first.id, first.results)
    assert InboxEvent.objects.filter(run__in=runs).count() == 2
    for other in ({"act": BulkKind.CANCEL}, {"runs": runs[:1]}, {"reason": "Another."}):
        given = {"act": BulkKind.PAUSE, "runs": runs, **other}
        with pytest.raises(IdempotencyKeyReusedError):
            ask(world, given.pop("act"), given.pop("runs"), idempotency_key="k1", **given)
    assert ask(world, BulkKind.PAUSE, runs, idempotency_key="k2").id != first.id


def test_what_cannot_be_done_keeps_no_other_from_it_and_says_why(world, doorbells):
    one, ended, other = waiting(world, 3)
    ask(world, BulkKind.CANCEL, [ended])
    walk(ended.id)
    row = ask(world, BulkKind.PAUSE, [one, ended, other])
    assert [result["is_done"] for result in row.results] == [True, False, True]
    assert row.results[1]["reason"] == "The run is cancelled."
    assert bulk.get_bulk_act(world.operator, row.id).results == row.results
    assert bulk.unasked(row) == 0
    for run in (one, other):
        walk(run.id)
        assert status_of(run) == "paused"
    ask(world, BulkKind.CONTINUE, [one, other])
    for run in (one, other):
        walk(run.id)
        assert status_of(run) == "waiting"


def test_failed_runs_try_the_step_again_at_which_they_failed(world, doorbells, fakes):
    slug = world.publish(chain("a", "b"))
    fakes.script("b", FATAL, FATAL, answer("b"))
    runs = [world.start(slug, text=f"case {number}") for number in range(2)]
    for run in runs:
        walk(run.id)
        decide(world, run, "chosen", choice="end", kind="exception")
        walk(run.id)
        assert status_of(run) == "failed"
    row = ask(world, BulkKind.RESUME, runs)
    assert [one["is_done"] for one in row.results] == [True, True]
    for run in runs:
        walk(run.id)
        assert steps_of(run)["b"] == "succeeded"
        assert status_of(run) == "succeeded"


def test_with_one_foreign_run_among_them_nothing_is_done(world, doorbells):
    (run,) = waiting(world, 1)
    with pytest.raises(NotFoundError):
        ask(world, BulkKind.PAUSE, [run, uuid4()])
    with pytest.raises(PermissionDeniedError):
        ask(world, BulkKind.PAUSE, [run], actor=world.reviewer)
    assert not InboxEvent.objects.filter(body__type="pause_requested").exists()
    assert not BulkAct.objects.exists()


@pytest.mark.parametrize("count", [0, bulk.MAX_RUNS + 1])
def test_none_and_too_many_are_refused(world, count):
    with pytest.raises(InvalidInputError):
        ask(world, BulkKind.PAUSE, [uuid4() for _ in range(count)])


def test_without_a_reason_nothing_is_done(world, doorbells):
    (run,) = waiting(world, 1)
    with pytest.raises(InvalidInputError):
        ask(world, BulkKind.PAUSE, [run], reason=" ")
    assert not BulkAct.objects.exists()


def test_what_came_of_it_is_seen_only_by_who_sees_all_of_its_runs(world, doorbells):
    row = ask(world, BulkKind.PAUSE, waiting(world, 1))
    elsewhere = accounts.create_workspace(
        slug="elsewhere", name="Elsewhere", actor=SYSTEM, now=now()
    )
    stranger = world.actor("stranger", Role.OPERATOR, workspace=elsewhere)
    assert bulk.get_bulk_act(world.reviewer, row.id).id == row.id
    with pytest.raises(NotFoundError):
        bulk.get_bulk_act(stranger, row.id)


def test_what_was_asked_before_the_process_died_is_on_record(world, doorbells, monkeypatch):
    runs = waiting(world, 2)
    asked = []

    def dies(**given):
        asked.append(given["run_id"])
        if len(asked) == 2:
            raise KeyboardInterrupt

    rule = bulk._Rule("run.pause", dies)
    monkeypatch.setitem(bulk._RULES, BulkKind.PAUSE, rule)
    with pytest.raises(KeyboardInterrupt):
        ask(world, BulkKind.PAUSE, runs)
    row = BulkAct.objects.get()
    assert [one["run"] for one in row.results] == [str(runs[0].id)]
    assert bulk.unasked(row) == 1
