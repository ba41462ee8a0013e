"""The least that a durable step can cost: one statement and one commit, by psycopg alone.

    python -m benchmarks.floor_psycopg URL STEPS

Prepares its tables when asked for no steps; prints the seconds of CPU that its steps used, and how
long they took.
"""

from __future__ import annotations

import sys
import time
from uuid import uuid4

import psycopg

STATEMENT = (
    "WITH guard AS (UPDATE floor_run SET seq = seq + 1, state = %s WHERE id = %s AND fence = 1 "
    "RETURNING id, seq) INSERT INTO floor_event (run_id, seq, body) SELECT id, seq, %s FROM guard"
)


def main() -> None:
    """Make the tables, or walk runs of ten steps."""
    url, steps = sys.argv[1], int(sys.argv[2])
    with psycopg.connect(url, autocommit=True, prepare_threshold=1) as connection:
        if not steps:
            connection.execute(
                "CREATE TABLE IF NOT EXISTS floor_run "
                "(id uuid PRIMARY KEY, seq int, fence int, state text)"
            )
            connection.execute(
                "CREATE TABLE IF NOT EXISTS floor_event "
                "(run_id uuid, seq int, body text, PRIMARY KEY (run_id, seq))"
            )
            return
        body = "x" * 200
        begun, at = time.process_time(), time.perf_counter()
        for number in range(steps):
            if number % 10 == 0:
                run_id = uuid4()
                connection.execute("INSERT INTO floor_run VALUES (%s, 0, 1, '')", (run_id,))
            connection.execute(STATEMENT, (body, run_id, body))
        print(time.process_time() - begun, time.perf_counter() - at)


if __name__ == "__main__":
    main()
