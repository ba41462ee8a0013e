"""The test suite's own footing: a committed copy of the database, usable from threads."""

from __future__ import annotations

import os
import threading
from uuid import UUID, uuid4

import pytest
from django.db import connection, connections

from orchestrator.runs import services


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


def heard(count):
    """The runs of so many doorbells, in the order in which one worker hears them."""
    from celery import current_app
    from kombu import Consumer

    runs = []
    with current_app.connection_for_read() as broker, broker.channel() as channel:
        channel.basic_qos(0, 1, False)

        def note(body, message):
            runs.append(UUID(body[1]["run_id"]))
            message.ack()

        with Consumer(channel, current_app.conf.task_queues, callbacks=[note]):
            while len(runs) < count:
                broker.drain_events(timeout=60)
    return runs


@pytest.mark.skipif(not os.environ.get("REDIS_URL"), reason="only Redis keeps an order")
class TestTheOrderOfDoorbells:
    def test_a_run_that_goes_on_is_rung_for_before_those_that_begin(self, committed_db):
        new, other, cut_off, workflow = (uuid4() for _ in range(4))
        services.ring(new, workflow_id=workflow)
        services.ring(other, workflow_id=workflow)
        services.ring(cut_off, workflow_id=workflow, first=True)
        assert heard(3) == [cut_off, new, other]

    def test_a_flood_of_one_workflow_keeps_no_other_one_waiting(self, committed_db):
        flood = [uuid4() for _ in range(40)]
        for one in flood:
            services.ring(one, workflow_id=UUID(int=1))
        late = uuid4()
        services.ring(late, workflow_id=UUID(int=2))
        order = heard(41)
        assert order.index(late) < 3
        assert [one for one in order if one != late] == flood
