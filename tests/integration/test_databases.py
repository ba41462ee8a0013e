"""The test suite's own footing: a committed copy of the database, usable from threads."""

from __future__ import annotations

import os
import threading

import pytest
from django.db import connection, connections


def test_a_copy_of_the_database_is_private_and_reachable_from_threads(committed_db):
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE scratch (n integer)")
        cursor.execute("INSERT INTO scratch VALUES (1)")
    seen = []

    def read():
        with connection.cursor() as cursor:
            cursor.execute("SELECT n FROM scratch")
            seen.append(cursor.fetchone()[0])
        connections.close_all()

    thread = threading.Thread(target=read)
    thread.start()
    thread.join()
    assert seen == [1]


def test_the_next_copy_does_not_hold_what_the_former_committed(committed_db):
    assert "scratch" not in connection.introspection.table_names()


@pytest.mark.skipif(not os.environ.get("REDIS_URL"), reason="only Redis keeps an order")
def test_a_run_that_goes_on_is_rung_for_before_those_that_begin(committed_db):
    from uuid import uuid4

    from celery import current_app

    from orchestrator.runs import services

    new, other, cut_off = uuid4(), uuid4(), uuid4()
    services.ring(new)
    services.ring(other)
    services.ring(cut_off, first=True)
    with current_app.connection_for_read() as broker, broker.SimpleQueue(services.QUEUE) as queue:
        heard = [queue.get(timeout=5).payload[1]["run_id"] for _ in range(3)]
    assert heard == [str(cut_off), str(new), str(other)]
