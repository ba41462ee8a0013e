"""What a step costs, where that can be counted: transactions, messages, bytes of the log."""

import pytest
from django.db import connection

from audit.sequencer import sequence_once
from orchestrator.runs.models import Run
from orchestrator.runs.walker import walk
from tests.integration.runs.world import chain, now, status_of

STEPS = 10
RUNS = 4


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
def runs(world, doorbells, fakes):
    """Four runs of ten steps, started and not walked; a fifth has warmed everything up."""
    slug = world.publish(ten_steps())
    walk(world.start(slug).id)
    sequence_once(now())
    doorbells.clear()
    return [world.start(slug) for _ in range(RUNS)]


@pytest.mark.postgres
def test_a_calling_step_is_little_more_than_one_transaction(runs):
    before = write_transactions()
    for run in runs:
        walk(run.id)
    assert (write_transactions() - before) / (STEPS * RUNS) <= 1.15
    assert {status_of(run) for run in runs} == {"succeeded"}


def test_a_run_of_ten_steps_needs_one_doorbell(runs, doorbells):
    for run in runs:
        walk(run.id)
    assert doorbells == [run.id for run in runs]
    assert not Run.objects.exclude(status="succeeded").exists()


@pytest.mark.postgres
def test_a_step_writes_a_bounded_amount_of_write_ahead_log(runs):
    """The sequencer's share and, of a fresh database, whole pages are part of it."""
    before = log_bytes()
    for run in runs:
        walk(run.id)
    sequence_once(now())
    assert (log_bytes() - before) / (STEPS * RUNS) <= 16_000
