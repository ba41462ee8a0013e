"""W5: 10,000 runs that wait for a person: what they cost, and how fast 1,000 of them go on.

300 are parked by the engine; the others are copies of their rows, because to start them takes
minutes and changes nothing in what is measured. Database bytes are those of every table but the
audit log's, with indexes. The copies' decisions are put into their inboxes at once.
"""

from __future__ import annotations

import json
import time
from uuid import UUID

import psutil
from django.db import connection

from benchmarks.history import copy_runs
from benchmarks.stand import Stand, stand, step

PARKED = 10_000
REAL = 300
RESUMED = 1_000


def main() -> None:
    """Park, weigh, go on."""
    with stand() as made, made.workers() as workers:
        from tests.integration.runs.world import definition, gate

        slug = made.world.publish(
            definition(
                {"a": step("a"), "approve": gate()},
                ["start.next-a", "a.next-approve", "approve.approved-done"],
            )
        )
        parked(made, slug, 40)
        memory = resident(workers)
        before = tables()
        runs = parked(made, slug, REAL)
        copy_runs(runs, PARKED)
        grown = tables() - before
        out = {
            "worker_memory_mb": round((resident(workers) - memory) / 1e6, 2),
            "db_kb_per_parked_run": round(grown / PARKED / 1024, 3),
            "resume_1000_seconds": round(resumed(made), 2),
        }
    print(json.dumps(out))


def parked(made: Stand, slug: str, count: int) -> list[UUID]:
    """Runs that wait at their gate."""
    from orchestrator.runs.models import Run

    runs = made.start(slug, count)
    made.ring(runs)
    waiting = Run.objects.filter(id__in=runs, status="waiting", owner__isnull=True)
    deadline = time.monotonic() + 120
    while waiting.count() < count and time.monotonic() < deadline:
        time.sleep(0.1)
    assert waiting.count() == count
    return runs


def resumed(made: Stand) -> float:
    """Seconds until 1,000 runs whose decision takes effect now have ended."""
    from django.utils import timezone

    from orchestrator.core.events import ReviewDecided
    from orchestrator.ids import new_id
    from orchestrator.runs import services

    with connection.cursor() as cursor:
        cursor.execute("SELECT new FROM copied LIMIT %s", [RESUMED])
        runs = [row[0] for row in cursor.fetchall()]
    with made.silence():
        for run_id in runs:
            decided = ReviewDecided(
                step="approve", iteration=1, task=str(run_id), decision=str(run_id),
                outcome="approved", actor="bench",
            )  # fmt: skip
            services.commit_inbox_event(run_id, decided, event_id=new_id(), now=timezone.now())
    begun = time.perf_counter()
    made.ring_decided(runs)
    made.await_end(runs, every=0.1)
    return time.perf_counter() - begun


def resident(workers: list[psutil.Process]) -> int:
    """Bytes in memory of the processes that walk, the largest of them."""
    return max(child.memory_info().rss for one in workers for child in one.children())


def tables() -> int:
    """Bytes of all tables but the audit log's, with their indexes."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT sum(pg_total_relation_size(oid)) FROM pg_class "
            "WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace "
            "AND relname NOT LIKE 'audit%%'"
        )
        return int(cursor.fetchone()[0])


if __name__ == "__main__":
    main()
