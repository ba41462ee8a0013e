"""Places in the log: none missed, none doubled, dense; heads signed when they are due."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from django.conf import settings
from django.db import DatabaseError, connection, transaction

from audit import log_key, merkle, sequencer
from audit.checker import check_log
from audit.models import AuditEntry, AuditOutbox, SequencerState, TreeHead, TreeNode
from audit.note import open_head
from audit.sequencer import Sequencer, run_sequencer, sequence_once, sequencer_lock
from audit.services import Subject, append_entry
from orchestrator.access import SYSTEM

NOW = datetime(2026, 11, 20, 15, 41, 58, 204000, tzinfo=UTC)


def write(number=0, action="run.started"):
    return append_entry(actor=SYSTEM, action=action, subject=Subject("run", str(number)), now=NOW)


def leaves():
    return [
        merkle.leaf_hash(bytes(envelope))
        for envelope in AuditEntry.objects.order_by("seq").values_list(
            "outbox__envelope", flat=True
        )
    ]


def assert_log_is_whole():
    seqs = list(AuditEntry.objects.order_by("seq").values_list("seq", flat=True))
    assert seqs == list(range(AuditOutbox.objects.count()))
    head = TreeHead.objects.order_by("-size").first()
    assert head.size == len(seqs)
    assert head.root == merkle.root_of(leaves()).hex()


@pytest.mark.django_db
def test_each_row_gets_the_next_place_and_a_signed_head_follows():
    for number in range(5):
        write(number)
    assert sequence_once(NOW) == 5
    assert sequence_once(NOW) == 0
    assert_log_is_whole()
    signed = open_head(TreeHead.objects.get().note, log_key.verifier())
    assert (signed.size, signed.root.hex()) == (5, TreeHead.objects.get().root)


@pytest.mark.django_db
def test_the_order_within_one_writer_is_the_order_of_writing():
    ids = [write(number).id for number in range(20)]
    sequence_once(NOW)
    assert list(AuditEntry.objects.order_by("seq").values_list("outbox_id", flat=True)) == ids


@pytest.mark.django_db
def test_the_log_key_is_for_its_owner_only():
    key = log_key.signer()
    path = settings.BATON_HOME / "audit.key"
    assert path.stat().st_mode & 0o777 == 0o600
    assert log_key.signer() == key
    assert key.name.startswith("audit.127.0.0.1/baton/")


@pytest.mark.django_db
def test_a_head_is_signed_after_5_seconds_or_1000_entries_but_not_before():
    sequencer = Sequencer()
    write()
    sequencer.place(NOW)
    assert sequencer.sign(NOW).size == 1
    write()
    sequencer.place(NOW)
    assert sequencer.sign(NOW + timedelta(seconds=4)) is None
    assert sequencer.sign(NOW + timedelta(seconds=5)).size == 2
    assert sequencer.sign(NOW + timedelta(seconds=60)) is None
    with transaction.atomic():
        for number in range(1000):
            write(number)
    sequencer.place(NOW)
    assert sequencer.sign(NOW + timedelta(seconds=6)).size == 1002


@pytest.mark.django_db
def test_a_request_for_an_export_is_signed_at_once_for_exactly_its_size():
    write()
    write(action="audit_export.requested")
    write()
    Sequencer().place(NOW)
    head = TreeHead.objects.get()
    assert head.size == 2
    assert head.root == merkle.root_of(leaves()[:2]).hex()


@pytest.mark.django_db
def test_heads_are_kept_as_files_too():
    write()
    sequence_once(NOW)
    note = TreeHead.objects.get().note
    assert (settings.BATON_HOME / "tree-heads" / "latest").read_text() == note
    assert note in (settings.BATON_HOME / "tree-heads" / "2026-11-20.txt").read_text()


@pytest.mark.django_db
def test_complete_subtrees_of_256_leaves_are_stored():
    with transaction.atomic():
        for number in range(600):
            write(number)
    sequence_once(NOW)
    stored = [bytes(node.sha256) for node in TreeNode.objects.order_by("level", "index")]
    assert stored == [merkle.root_of(leaves()[:256]), merkle.root_of(leaves()[256:512])]


@pytest.mark.django_db
def test_a_frontier_that_does_not_fit_is_recomputed_from_the_entries():
    for number in range(3):
        write(number)
    sequence_once(NOW)
    SequencerState.objects.update(size=1, frontier=["00" * 32])
    write()
    sequence_once(NOW)
    assert_log_is_whole()
    assert check_log(NOW).ok


@pytest.mark.usefixtures("committed_db")
def test_concurrent_writers_lose_no_row_and_the_order_is_dense():
    stop = threading.Event()
    sequencer = threading.Thread(target=run_sequencer, args=(stop,))
    sequencer.start()
    written = [0]
    failures = []

    def writer(name):
        try:
            for number in range(40):
                with transaction.atomic():
                    write(f"{name}-{number}")
                    if number % 7 == 3:
                        write(f"{name}-{number}-second")
                    if number % 10 == 9:
                        transaction.set_rollback(True)
        except Exception as error:  # shown by the assertion below
            failures.append(error)
        finally:
            connection.close()

    writers = [threading.Thread(target=writer, args=(name,)) for name in "abcdef"]
    for thread in writers:
        thread.start()
    for thread in writers:
        thread.join()
    stop.set()
    sequencer.join()
    assert failures == []
    written = AuditOutbox.objects.count()
    assert written == 6 * (36 + 6)
    sequence_once(datetime.now(UTC))
    assert_log_is_whole()


@pytest.mark.postgres
@pytest.mark.usefixtures("committed_db")
def test_a_transaction_that_commits_late_is_not_passed_over():
    """Its row is older by id and transaction than rows that already have a place."""
    is_written, may_commit = threading.Event(), threading.Event()

    def late():
        with transaction.atomic():
            write("late")
            is_written.set()
            may_commit.wait(10)
        connection.close()

    thread = threading.Thread(target=late)
    thread.start()
    assert is_written.wait(10)
    sequencer = Sequencer()
    for number in range(3):
        write(number)
        assert sequencer.place(NOW) == 1
    may_commit.set()
    thread.join()
    assert sequencer.place(NOW) == 1
    assert sequencer.place(NOW) == 0
    sequencer.sign(NOW, at_once=True)
    assert_log_is_whole()
    assert AuditEntry.objects.order_by("-seq")[0].outbox.subject_id == "late"


@pytest.mark.postgres
@pytest.mark.usefixtures("committed_db")
def test_what_has_a_place_is_not_looked_at_again():
    """Transaction numbers are the whole server's: one that is open elsewhere holds `low` back."""
    sequencer = Sequencer()
    for number in range(50):
        write(number)
    deadline = time.monotonic() + 60
    looked_at = 50
    while looked_at and time.monotonic() < deadline:
        write()
        sequencer.place(NOW)
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM audit_auditoutbox WHERE txid >= (%s::text)::xid8",
                [sequencer._low],
            )
            looked_at = cursor.fetchone()[0]
        time.sleep(0.05 if looked_at else 0)
    assert looked_at == 0


@pytest.mark.usefixtures("committed_db")
def test_only_one_holds_the_lock_and_the_next_one_takes_over():
    taken = []

    def other():
        with sequencer_lock() as lock:
            taken.append(lock is not None)
        connection.close()

    def run_other():
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()

    with sequencer_lock() as lock:
        assert lock is not None
        run_other()
        write()
        assert sequence_once(NOW) == 0
    run_other()
    assert taken == [False, True]
    assert sequence_once(NOW) == 1


def stand_still_until(somebody_else_placed_it):
    """Hold the lock and give no sign of life; then ask for the time as its holder."""
    with sequencer_lock() as lock:
        lock.now()
        assert not somebody_else_placed_it()
        deadline = time.monotonic() + 60
        while not somebody_else_placed_it():
            assert time.monotonic() < deadline
            time.sleep(0.1)
        lock.now()


@pytest.mark.postgres
@pytest.mark.usefixtures("committed_db")
def test_a_sequencer_that_stands_still_is_replaced_and_notices_it(monkeypatch):
    monkeypatch.setattr(sequencer, "SILENT_SECONDS", 1)
    write()
    with pytest.raises(DatabaseError):
        stand_still_until(lambda: sequence_once(NOW) == 1)
    assert_log_is_whole()


@pytest.mark.usefixtures("committed_db")
def test_two_sequencers_at_once_cannot_place_the_same_row_twice():
    """The lock can be lost without notice; then the database refuses the second place."""
    for number in range(10):
        write(number)
    failures = []

    def place():
        try:
            Sequencer().place(NOW)
        except Exception as error:  # one of them may be refused
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=place) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(failures) < 3
    sequence_once(NOW)
    assert_log_is_whole()
