"""W7: throughput and pages with 300,000 finished runs in the database, against an empty one.

The finished runs are copies of the rows of real runs of one step, each with one audit entry, which
the sequencer places in the log as any other; it is idle again, and the database is vacuumed, before
anything is measured.
"""

from __future__ import annotations

import json
import os
import statistics
import time

from benchmarks.history import copy_entries, copy_runs, settle
from benchmarks.stand import ROUNDS, Stand, chain_of, median, stand

FINISHED = int(os.environ.get("BATON_BENCH_HISTORY", "300000"))
REAL = 100
RUNS = 120
STEPS = 10
LOOKS = 15


def main() -> None:
    """Measure empty, fill, measure again."""
    with stand() as made, made.scheduler():
        slug, short = (made.world.publish(chain_of(steps)) for steps in (STEPS, 1))
        with made.workers():
            walked(made, slug)
            empty = [walked(made, slug) for _ in range(ROUNDS)]
            runs = made.start(short, REAL)
            made.ring(runs)
            made.await_end(runs)
        copy_runs(runs, FINISHED)
        copy_entries("run.ended")
        made.await_sequencer(1_200)
        settle()
        with made.workers():
            walked(made, slug)
            full = [walked(made, slug) for _ in range(ROUNDS)]
        out = {
            "finished_runs": FINISHED,
            "steps_per_second_empty": median(empty, 1),
            "steps_per_second_full": median(full, 1),
            "history_ratio": round(statistics.median(full) / statistics.median(empty), 3),
            **pages(),
        }
    print(json.dumps(out))


def walked(made: Stand, slug: str) -> float:
    """Steps per second of a round; the sequencer is done when it begins and ends."""
    runs = made.start(slug, RUNS)
    made.await_sequencer()
    begun = time.perf_counter()
    made.ring(runs)
    made.await_end(runs)
    seconds = time.perf_counter() - begun
    made.await_sequencer()
    return RUNS * STEPS / seconds


def pages() -> dict[str, float]:
    """Milliseconds of the server for the run list and the audit log, as their readers see them."""
    from django.contrib.auth import get_user_model
    from django.test import Client
    from django.test.utils import setup_test_environment

    setup_test_environment()
    taken = {}
    for name, person, address in (
        ("runs_page_ms", "operator", "/runs/"),
        ("runs_search_ms", "operator", "/runs/?q=0042"),
        ("audit_page_ms", "signer", "/audit/"),
        ("audit_filter_ms", "signer", "/audit/?action=run.ended"),
    ):
        client = Client()
        client.force_login(
            get_user_model().objects.get(username=person),
            backend="allauth.account.auth_backends.AuthenticationBackend",
        )
        looks = []
        for _ in range(LOOKS):
            begun = time.perf_counter()
            assert client.get(address).status_code == 200, address
            looks.append((time.perf_counter() - begun) * 1000)
        taken[name] = median(looks, 1)
    return taken


if __name__ == "__main__":
    main()
