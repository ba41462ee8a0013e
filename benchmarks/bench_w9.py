"""W9: what a step of a run of 1,000 steps costs, against one of a run of 10.

Walked in this process, so that its CPU and PostgreSQL's are those of the steps alone.
"""

from __future__ import annotations

import json
import time
from uuid import UUID

from benchmarks.stand import ROUNDS, Stand, chain_of, median, stand

LARGE = 998
"""With start and end 1,000, the most that a definition may have."""
SMALL = 10
RUNS = 100


def main() -> None:
    """Three rounds of one large run and as many steps in small ones."""
    with stand() as made:
        from orchestrator.runs import boots

        small, large = (made.world.publish(chain_of(steps)) for steps in (SMALL, LARGE))
        walked(made, made.start(small, 5))
        few, many = [], []
        for _ in range(ROUNDS):
            few.append(walked(made, made.start(small, RUNS)) / (RUNS * SMALL) * 1000)
            many.append(walked(made, made.start(large)) / LARGE * 1000)
        boots.retire()
    out = {"per_step_ms_of_10": median(few), "per_step_ms_of_1000": median(many)}
    out["per_step_ratio"] = round(out["per_step_ms_of_1000"] / out["per_step_ms_of_10"], 3)
    print(json.dumps(out))


def walked(made: Stand, runs: list[UUID]) -> float:
    """Walk runs here; seconds of CPU of this process and of PostgreSQL."""
    from orchestrator.runs.models import Run
    from orchestrator.runs.walker import walk

    before, begun = made.server_cpu()["postgres"], time.process_time()
    for run_id in runs:
        while Run.objects.get(id=run_id).status in {"pending", "running"}:
            walk(run_id)
    return time.process_time() - begun + made.server_cpu()["postgres"] - before


if __name__ == "__main__":
    main()
