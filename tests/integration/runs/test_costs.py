"""What a step costs, where that can be counted: transactions, messages, bytes of the log."""

import time

import pytest
from django.db import connection

from audit.sequencer import sequence_once
from orchestrator.runs import walker
from orchestrator.runs.models import Run
from orchestrator.runs.walker import walk
from tests.integration.runs.world import chain, now, status_of

STEPS = 10
TRIES = 60


def ask(question):
    with connection.cursor() as cursor:
        cursor.execute(question)
        return int(cursor.fetchone()[0])


def write_transactions():
    """How many transactions have written anything so far, in the whole server."""
    return ask("SELECT pg_snapshot_xmax(pg_current_snapshot())::text")


def log_bytes():
    return ask("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn")


def ten_steps():
    return chain(*(f"s{number}" for number in range(STEPS)))


@pytest.fixture
def slug(world, doorbells, fakes, monkeypatch):
    """A workflow of ten steps; one run of it has warmed everything up.

    On a busy machine a run would be handed back to the queue after its time slice.
    """
    monkeypatch.setattr(walker, "SLICE_SECONDS", 60)
    made = world.publish(ten_steps())
    walk(world.start(made).id)
    sequence_once(now())
    doorbells.clear()
    return made


def least(count, limit, world, slug):
    """The least that one of many runs adds to a count of the whole server, per step.

    Tests beside this one write to the same server, which can only add to it: the first run that is
    not disturbed tells.
    """
    found = []
    while len(found) < TRIES and min(found, default=limit + 1) > limit:
        run = world.start(slug)
        sequence_once(now())
        before = count()
        walk(run.id)
        found.append((count() - before) / STEPS)
        assert status_of(run) == "succeeded"
        time.sleep(0.1 if len(found) > 2 else 0)
    return min(found)


@pytest.mark.postgres
def test_a_calling_step_is_little_more_than_one_transaction(world, slug):
    assert least(write_transactions, 1.15, world, slug) <= 1.15


def test_a_run_of_ten_steps_needs_one_doorbell(world, slug, doorbells):
    runs = [world.start(slug) for _ in range(4)]
    for run in runs:
        walk(run.id)
    assert doorbells == [run.id for run in runs]
    assert not Run.objects.exclude(status="succeeded").exists()


@pytest.mark.postgres
def test_a_step_writes_a_bounded_amount_of_write_ahead_log(world, slug):
    """Of a fresh database, whole pages are part of it; the sequencer's share is not."""
    assert least(log_bytes, 14_000, world, slug) <= 14_000
