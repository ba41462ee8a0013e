"""The hot statements: with a stale fence nothing lands, numbers are dense, claims are exclusive."""

import threading
from contextlib import suppress
from datetime import timedelta
from importlib import import_module

import pytest
from django.apps import apps
from django.db import IntegrityError, OperationalError, connection, connections, transaction

from orchestrator.core import events
from orchestrator.ids import new_id
from orchestrator.runs import services, statements
from orchestrator.runs.models import Attempt, InboxEvent, Run, RunEvent, Timer
from orchestrator.runs.recording import Recording, types_of
from orchestrator.runs.selectors import hydrated
from orchestrator.runs.walker import _facts, _key_of, _row_of
from tests.integration.runs.world import chain, fan, now, with_gate

TABLES = (
    *("runs_run", "runs_rundetail", "runs_runevent", "runs_steprun", "runs_attempt"),
    *("runs_handoff", "runs_timer", "runs_inboxevent", "audit_auditoutbox", "audit_auditpayload"),
    *("approvals_reviewtask",),
)


def everything():
    """Every row of every table that the engine writes."""
    found = {}
    for table in TABLES:
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT * FROM {table}")
            found[table] = sorted(map(repr, cursor.fetchall()))
    return found


def recording_of(claim):
    rows = {_key_of(row): _row_of(claim.run_id, row) for row in claim.begun}
    return Recording(
        _facts(claim, types_of(claim.binding)),
        hydrated(claim.state, claim.input, claim.steps),
        seq=claim.seq,
        title=claim.title,
        live=rows,
    )


def succeeded(step="a"):
    return events.AttemptSucceeded.model_validate(
        {
            "step": step,
            "iteration": 1,
            "attempt": 1,
            "result": {"type": "value", "output": {"label": step, "text": "x"}},
        }
    )


def committed(recording, claim, **changes):
    asked = {"owner": new_id(), "fence": claim.fence, "drained_seq": 0, "release": "hold"}
    return recording.commit(**{"now": claim.now, **asked, **changes})


@pytest.mark.parametrize("release", ["hold", "park", "hand_back"])
@pytest.mark.parametrize("document", [chain("a", "b"), chain("a"), with_gate()])
def test_a_commit_with_a_stale_fence_changes_no_row(world, doorbells, document, release):
    run = world.start(document)
    claim = statements.claim(run.id, new_id())
    recording = recording_of(claim)
    recording.apply(succeeded(), now())
    before = everything()
    assert committed(recording, claim, fence=claim.fence - 1, release=release) is None
    assert everything() == before
    assert committed(recording, claim, release=release) is not None
    assert everything() != before


def test_parking_releasing_and_looking_with_a_stale_fence_change_no_row(world, doorbells):
    run, owner = world.start(chain("a")), new_id()
    claim = statements.claim(run.id, owner)
    before = everything()
    assert statements.park(run.id, claim.fence - 1) is None
    assert statements.release(run.id, claim.fence - 1, owner=owner, rung_at=now()) is None
    assert statements.inbox_seq(run.id, claim.fence - 1) is None
    assert statements.free(run.id, new_id(), only_expired=False) is None
    assert everything() == before


def test_a_held_run_is_claimed_again_only_after_its_lease(world, doorbells):
    run = world.start(chain("a"))
    first = statements.claim(run.id, new_id())
    assert statements.claim(run.id, new_id()) is None
    Run.objects.filter(id=run.id).update(lease_until=now() - timedelta(seconds=1))
    second = statements.claim(run.id, new_id())
    assert second.fence == first.fence + 1
    assert [one["step"] for one in first.begun] == ["a"]
    assert second.begun == []
    assert [one["step"] for one in second.lost] == ["a"]


def test_a_dead_owners_claim_is_freed_with_a_new_fence_and_its_attempts_are_lost(world, doorbells):
    run = world.start(fan("a", "b"))
    owner = new_id()
    claim = statements.claim(run.id, owner)
    assert services.free_run(run_id=run.id, owner=owner, now=now())
    assert not services.free_run(run_id=run.id, owner=owner, now=now())
    run.refresh_from_db()
    assert (run.owner, run.fence) == (None, claim.fence + 1)
    assert run.rung_at is not None
    assert set(Attempt.objects.values_list("status", flat=True)) == {"abandoned"}
    lost = InboxEvent.objects.order_by("seq")
    assert [(one.seq, one.body["type"]) for one in lost] == [
        (1, "attempt_lost"),
        (2, "attempt_lost"),
    ]


def test_a_run_parks_only_when_its_inbox_is_drained(world, doorbells):
    run = world.start(chain("a"))
    claim = statements.claim(run.id, new_id())
    statements.send(run.id, {"type": "x"}, event_id=new_id(), now=now())
    kept = statements.park(run.id, claim.fence)
    assert (kept.inbox_seq, kept.held) == (1, True)
    Run.objects.filter(id=run.id).update(drained_seq=1)
    assert not statements.park(run.id, claim.fence).held
    run.refresh_from_db()
    assert (run.owner, run.lease_until, run.rung_at) == (None, None, None)


def test_inbox_numbers_are_dense_in_commit_order_and_an_event_is_sent_once(world, doorbells):
    run = world.start(chain("a"))
    event_id = new_id()
    barrier = threading.Barrier(4)

    def send():
        barrier.wait()
        for _ in range(5):
            statements.send(run.id, {"type": "x"}, event_id=new_id(), now=now())
        with suppress(IntegrityError):  # the other was first, in the same moment
            statements.send(run.id, {"type": "same"}, event_id=event_id, now=now())
        connections.close_all()

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    numbers = list(InboxEvent.objects.order_by("seq").values_list("seq", flat=True))
    assert numbers == list(range(1, 22))
    assert Run.objects.get(id=run.id).inbox_seq == 21


def test_an_event_for_another_status_is_not_sent(world, doorbells):
    run = world.start(chain("a"))
    before = everything()
    asked = {"event_id": new_id(), "now": now()}
    assert statements.send(run.id, {"type": "x"}, statuses=("failed",), **asked) is None
    assert statements.send(new_id(), {"type": "x"}, **asked) is None
    assert everything() == before


def test_a_timer_is_taken_once_and_only_when_it_is_due(world, doorbells):
    run = world.start(chain("a"))
    timer = Timer.objects.get(run=run)
    assert not services.fire_timer(timer_id=timer.id, now=now())
    Timer.objects.filter(id=timer.id).update(due_at=now() - timedelta(seconds=1))
    assert services.fire_timer(timer_id=timer.id, now=now())
    assert not services.fire_timer(timer_id=timer.id, now=now())
    assert InboxEvent.objects.get().body["purpose"] == "run_timeout"


def test_a_start_that_is_rolled_back_leaves_nothing(world, doorbells):
    slug = world.publish(chain("a"))
    before = everything()

    def started_and_failed():
        with transaction.atomic():
            world.start(slug)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        started_and_failed()
    assert everything() == before
    assert doorbells == []


@pytest.mark.postgres
def test_a_step_is_committed_after_a_rollback_has_forgotten_what_was_prepared(world, doorbells):
    for _ in range(2):
        run = world.start(chain("a", "b"))
        claim = statements.claim(run.id, new_id())
        recording = recording_of(claim)
        recording.apply(succeeded(), now())
        with suppress(RuntimeError), transaction.atomic():
            connection.ensure_connection()
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
            raise RuntimeError
        assert committed(recording, claim, now=now()) is not None


@pytest.mark.parametrize(("release", "is_kept"), [("hold", True), ("hand_back", False)])
def test_an_event_keeps_what_it_changed_only_when_the_state_is_not_written(
    world, doorbells, release, is_kept
):
    run = world.start(chain("a", "b"))
    claim = statements.claim(run.id, new_id())
    recording = recording_of(claim)
    recording.apply(succeeded(), now())
    assert committed(recording, claim, release=release) is not None
    latest = RunEvent.objects.filter(run=run).order_by("seq").last()
    assert latest.type == "attempt_succeeded"
    assert (latest.patch is not None) == is_kept
    assert RunEvent.objects.filter(id=latest.id, patch__isnull=False).exists() == is_kept


def test_taking_the_journals_changes_out_of_the_database_puts_them_into_the_states(
    world, doorbells
):
    run = world.start(chain("a", "b"))
    claim = statements.claim(run.id, new_id())
    recording = recording_of(claim)
    recording.apply(succeeded(), now())
    committed(recording, claim)
    assert Run.objects.get(id=run.id).state["steps"]["a"]["status"] == "running"
    migration = import_module(
        "orchestrator.runs.migrations.0005_keep_changes_of_state_in_the_journal"
    )
    migration.put_changes_into_states(apps, None)
    assert Run.objects.get(id=run.id).state == recording.state.stored()


def one_plus(number):
    ((found,),) = statements._fetch_at_once(f"SELECT %s::integer + {number}", ["1"])
    return int(found)


@pytest.mark.postgres
def test_statements_of_several_shapes_are_run_in_any_order_after_a_rollback(world):
    assert one_plus(1) == 2
    with suppress(RuntimeError), transaction.atomic():
        assert [one_plus(3), one_plus(3)] == [4, 4]  # so psycopg prepares it and forgets it below
        raise RuntimeError
    assert [one_plus(2), one_plus(1), one_plus(2)] == [3, 2, 3]


@pytest.mark.postgres
def test_a_connection_keeps_a_limited_number_of_statements_prepared(world):
    many = range(statements.MAX_PREPARED + 5)
    assert [one_plus(number) for number in many] == [1 + number for number in many]
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_prepared_statements WHERE name LIKE 'baton_%'")
        assert 0 < cursor.fetchone()[0] <= statements.MAX_PREPARED
    assert one_plus(0) == 1


@pytest.mark.postgres
def test_a_step_is_one_statement_and_one_commit(world, doorbells, monkeypatch):
    from django.test.utils import CaptureQueriesContext

    run = world.start(chain("a", "b"))
    claim = statements.claim(run.id, new_id())
    recording = recording_of(claim)
    at = now()
    recording.apply(succeeded(), at)
    seen = []

    def counting(name):
        real = getattr(statements, name)

        def counted(sql, values):
            seen.append(sql)
            return real(sql, values)

        monkeypatch.setattr(statements, name, counted)

    counting("_fetch")
    counting("_fetch_at_once")
    with CaptureQueriesContext(connection) as others:
        committed(recording, claim, now=at)
    assert len(seen) == 1
    assert len(others) == 0


def test_whoever_sends_an_event_learns_of_which_workflow_the_run_is_and_rings_there(
    world, doorbells, monkeypatch
):
    run, rung = world.start(chain("a")), []
    monkeypatch.setattr(services, "ring", lambda *one, **more: rung.append((one, more)))
    event = events.CancelRequested(reason="Enough.", actor="bench")
    asked = {"event_id": new_id(), "now": now()}
    assert statements.send(run.id, event.model_dump(mode="json"), **asked) == run.workflow_id
    with transaction.atomic():
        assert services.commit_inbox_event(run.id, event, event_id=new_id(), now=now())
        assert rung == []
    assert rung == [((run.id,), {"workflow_id": run.workflow_id, "first": True})]


def test_a_claim_reads_what_its_inbox_holds_that_was_not_applied(world, doorbells):
    run = world.start(chain("a"))
    for kind in ("x", "y", "z"):
        statements.send(run.id, {"type": kind}, event_id=new_id(), now=now())
    Run.objects.filter(id=run.id).update(drained_seq=1)
    claim = statements.claim(run.id, new_id())
    assert [(one.seq, one.body["type"]) for one in claim.received] == [(2, "y"), (3, "z")]
    assert claim.received == statements.received(run.id, 1)


@pytest.mark.parametrize("is_inside", [False, True])
def test_an_owner_that_does_not_get_a_run_takes_over_nothing_of_it(world, doorbells, is_inside):
    """Not even of a run that it holds already, whose planned calls wait for the next claim."""
    run, owner = world.start(chain("a")), new_id()
    until = now() + timedelta(seconds=60)
    Run.objects.filter(id=run.id).update(owner=owner, lease_until=until)
    before = everything()
    if is_inside:
        with transaction.atomic():
            assert statements.claim(run.id, owner) is None
    else:
        assert statements.claim(run.id, owner) is None
    assert everything() == before


def test_a_claim_inside_a_transaction_takes_its_planned_calls_over_too(world, doorbells):
    run = world.start(chain("a"))
    with transaction.atomic(), transaction.atomic():
        claim = statements.claim(run.id, new_id())
    assert [one["step"] for one in claim.begun] == ["a"]


def test_only_its_owner_gives_a_claim_back(world, doorbells):
    """After a crash of the database two claims may have had the same fence."""
    run, owner = world.start(chain("a")), new_id()
    claim = statements.claim(run.id, owner)
    before = everything()
    assert statements.release(run.id, claim.fence, owner=new_id(), rung_at=now()) is None
    assert everything() == before
    assert statements.release(run.id, claim.fence, owner=owner, rung_at=now()) is not None
    assert Run.objects.get(id=run.id).owner is None


@pytest.mark.postgres
def test_a_claim_waits_for_the_disk_only_when_it_begins_calls_that_are_not_light(world, doorbells):
    def waits_for_the_disk(light):
        run = world.start(chain("a"))
        version_id = Attempt.objects.get(run=run).agent_version_id
        place = (new_id().hex, run.id.hex)
        listed = "{" + ",".join(one.hex for one in (version_id, new_id())[not light :]) + "}"
        connection.ensure_connection()
        claim = (statements._CLAIM_SQL, place)
        hydrate = (statements._HYDRATE_AT_ONCE_SQL, (*place, listed))
        claimed, read = statements._run_in_turn(connection.connection, (claim, hydrate))
        assert len(claimed) == 1
        return read[0][-1] is None

    with connection.cursor() as cursor:
        cursor.execute("SET synchronous_commit = on")  # test servers do without, all of them
        assert waits_for_the_disk(light=False)
        assert not waits_for_the_disk(light=True)
        cursor.execute("SHOW synchronous_commit")
        assert cursor.fetchone() == ("on",)  # it was for the claim alone
        cursor.execute("RESET synchronous_commit")


@pytest.mark.postgres
def test_a_claim_whose_connection_breaks_raises_and_the_next_connection_claims(world, doorbells):
    run = world.start(chain("a"))
    connection.ensure_connection()
    before = everything()
    other = connection.copy()
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", [connection.connection.info.backend_pid])
    other.close()
    with pytest.raises(OperationalError):
        statements.claim(run.id, new_id())
    connection.close()
    assert everything() == before
    assert statements.claim(run.id, new_id()) is not None
