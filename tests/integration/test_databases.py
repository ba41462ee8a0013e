"""The test suite's own footing: a committed copy of the database, usable from threads."""

from __future__ import annotations

import threading

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
