"""W2: one run of 40 light computing steps, from its doorbell to its end; beside a Celery chain."""

from __future__ import annotations

import json
import time

from benchmarks import floor_app
from benchmarks.stand import ROUNDS, chain_of, median, stand

STEPS = 40
RUNS = 5


def main() -> None:
    """Three rounds of five runs and two chains."""
    ours, chains = [], []
    with stand() as made, made.scheduler(), made.workers(), made.floor_workers():
        slug = made.world.publish(chain_of(STEPS))
        for run_id in made.start(slug, 4):
            made.run_one(run_id)
        for _ in range(ROUNDS):
            ours += [made.run_one(run_id) for run_id in made.start(slug, RUNS)]
            for _ in range(2):
                begun = time.perf_counter()
                floor_app.run_chain(STEPS)
                chains.append(time.perf_counter() - begun)
    out = {"seconds": median(ours, 4), "celery_chain_seconds": median(chains, 4)}
    out["chain_ratio"] = round(out["seconds"] / out["celery_chain_seconds"], 3)
    print(json.dumps(out))


if __name__ == "__main__":
    main()
