"""W6: both workers and their children are killed in the middle of 500 runs, and started again.

Nothing is lost when every run ends well; a call is repeated when its attempt was in flight. (Light
calls since a worker's last commit, 50 ms at most, are made again and stand nowhere.) The
first run that was cut off goes on by itself: `first_resumed_seconds` after the restart.
"""

from __future__ import annotations

import json
import time
from uuid import UUID

import psutil

from benchmarks.stand import OVER, Stand, chain_of, stand, wait_until

RUNS = 500
STEPS = 10


def main() -> None:
    """Walk a third, kill, start again, wait for the end."""
    with stand() as made, made.scheduler():
        from orchestrator.runs.models import Attempt, Run

        slug = made.world.publish(chain_of(STEPS))
        runs = made.start(slug, RUNS)
        mine = Run.objects.filter(id__in=runs)
        with made.workers() as workers:
            made.ring(runs)
            wait_until(lambda: mine.filter(status="succeeded").count() >= RUNS // 3, 120)
            for one in (*(child for worker in workers for child in worker.children()), *workers):
                one.kill()
            psutil.wait_procs(workers, 10)
            leased = Attempt.objects.filter(run__in=runs, status="leased", owner__isnull=False)
            in_flight = leased.count()
            cut_off = set(mine.filter(owner__isnull=False).values_list("id", flat=True))
        out = {"calls_in_flight": in_flight, **after_restart(made, runs, cut_off)}
        out["lost"] = RUNS - mine.filter(status="succeeded").count()
        repeated = Attempt.objects.filter(run__in=runs, number__gt=1).count()
        out["repeated_calls"] = repeated
    print(json.dumps(out))


def after_restart(made: Stand, runs: list[UUID], cut_off: set[UUID]) -> dict[str, float]:
    """Seconds from when the workers are up until the first cut-off run, and all, have ended."""
    from orchestrator.runs.models import Run

    out = {}
    with made.workers():
        begun = time.perf_counter()
        cut = Run.objects.filter(id__in=cut_off)
        if cut_off:
            wait_until(lambda: cut.filter(status__in=OVER).exists(), 60)
            out["first_resumed_seconds"] = round(time.perf_counter() - begun, 2)
        made.await_end(runs, every=0.2)
    out["all_ended_seconds"] = round(time.perf_counter() - begun, 2)
    return out


if __name__ == "__main__":
    main()
