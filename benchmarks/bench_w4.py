"""W4: runs of 3 steps, one at a time on an idle installation; beside a Celery chain of 3.

`p50_ms` counts from the doorbell of a run that was started, to its end; `p50_with_start_ms` from
the call of `start_run`, with its checks, its sign-off wall and its commit.
"""

from __future__ import annotations

import json
import time

from benchmarks import floor_app
from benchmarks.stand import ROUNDS, Stand, chain_of, median, percentile, stand

RUNS = 25


def main() -> None:
    """Three rounds of 25 runs and 25 chains."""
    ours, whole, chains = [], [], []
    with stand() as made, made.scheduler(), made.workers(), made.floor_workers():
        slug = made.world.publish(chain_of(3))
        for _ in range(10):
            started(made, slug)
        for _ in range(ROUNDS):
            for _ in range(RUNS):
                all_of_it, walking = started(made, slug)
                whole.append(all_of_it * 1000)
                ours.append(walking * 1000)
                begun = time.perf_counter()
                floor_app.run_chain(3)
                chains.append((time.perf_counter() - begun) * 1000)
    out = {
        "p50_ms": median(ours, 2),
        "p95_ms": round(percentile(ours, 95), 2),
        "p50_with_start_ms": median(whole, 2),
        "celery_chain_p50_ms": median(chains, 2),
        "celery_chain_p95_ms": round(percentile(chains, 95), 2),
    }
    out["p50_chain_ratio"] = round(out["p50_ms"] / out["celery_chain_p50_ms"], 3)
    out["p95_chain_ratio"] = round(out["p95_ms"] / out["celery_chain_p95_ms"], 3)
    print(json.dumps(out))


def started(made: Stand, slug: str) -> tuple[float, float]:
    """Start and walk one run; seconds with and without `start_run`."""
    time.sleep(0.02)
    begun = time.perf_counter()
    (run_id,) = made.start(slug)
    walking = made.run_one(run_id)
    return time.perf_counter() - begun, walking


if __name__ == "__main__":
    main()
