"""W1: 10-step sequential runs, everything on, on two workers; CPU of all processes per step.

The runs are started beforehand (`start_run` is measured apart), then all doorbells are rung. CPU is
that of the workers, PostgreSQL and Redis from the first doorbell until every run has ended, then
that of the sequencer and PostgreSQL until every audit entry has its place. Floors in the same
rounds: two psycopg processes with one statement per step, and Celery no-ops on two workers.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import defaultdict

import psutil

from benchmarks import floor_app
from benchmarks.stand import ROOT, ROUNDS, Stand, chain_of, cpu_of, median, stand

STEPS = 10
RUNS = 120
Figures = dict[str, list[float]]


def main() -> None:
    """Three rounds of engine and floors."""
    figures: Figures = defaultdict(list)
    with (
        stand() as made,
        made.scheduler() as scheduler,
        made.workers() as workers,
        made.floor_workers() as floor_workers,
    ):
        slug = made.world.publish(chain_of(STEPS))
        psycopg_floor(made, 0)
        warm_up = made.start(slug, 10)
        made.ring(warm_up)
        made.await_end(warm_up)
        for _ in range(ROUNDS):
            engine(made, slug, workers, scheduler, figures)
            psycopg_floor(made, 600, figures)
            celery_floor(made, floor_workers, 600, figures)
    out = {name: median(values) for name, values in figures.items()}
    out["floor_ratio"] = round(out["steps_per_second"] / out["floor_steps_per_second"], 3)
    out["celery_noop_ratio"] = round(out["steps_per_second"] / out["celery_noop_per_second"], 3)
    print(json.dumps(out))


def engine(
    made: Stand,
    slug: str,
    workers: list[psutil.Process],
    scheduler: psutil.Process,
    figures: Figures,
) -> None:
    """One round of runs."""
    before, own = made.server_cpu(), time.process_time()
    runs = made.start(slug, RUNS)
    used = made.server_cpu()
    start = time.process_time() - own + used["postgres"] - before["postgres"]
    figures["start_run_cpu_ms"].append(start / RUNS * 1000)
    made.await_sequencer()
    steps = RUNS * STEPS
    before, worker, sequencer = made.server_cpu(), cpu_of(*workers), cpu_of(scheduler)
    begun = time.perf_counter()
    made.ring(runs)
    made.await_end(runs)
    seconds = time.perf_counter() - begun
    used = made.server_cpu()
    servers = sum(used.values()) - sum(before.values())
    mine = cpu_of(*workers) - worker
    made.await_sequencer()
    after = made.server_cpu()
    rest = cpu_of(scheduler) - sequencer + after["postgres"] - used["postgres"]
    figures["steps_per_second"].append(steps / seconds)
    figures["worker_cpu_ms_per_step"].append(mine / steps * 1000)
    figures["postgres_cpu_ms_per_step"].append(
        (used["postgres"] - before["postgres"]) / steps * 1000
    )
    figures["redis_cpu_ms_per_step"].append((used["redis"] - before["redis"]) / steps * 1000)
    figures["sequencer_cpu_ms_per_step"].append((cpu_of(scheduler) - sequencer) / steps * 1000)
    figures["cpu_ms_per_step_without_sequencer"].append((mine + servers) / steps * 1000)
    figures["cpu_ms_per_step"].append((mine + servers + rest) / steps * 1000)


def psycopg_floor(made: Stand, steps: int, figures: Figures | None = None) -> None:
    """Two processes, each so many steps; 0 makes the tables."""
    command = [sys.executable, "-m", "benchmarks.floor_psycopg", made.servers.database_url]
    before = made.server_cpu()
    processes = [
        subprocess.Popen([*command, str(steps)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        for _ in range(2 if steps else 1)
    ]
    outputs = [one.communicate()[0] for one in processes]
    if figures is None:
        return
    # the start of the processes would count for more than their steps
    cpu, seconds = zip(*(map(float, one.split()) for one in outputs), strict=True)
    used = made.server_cpu()["postgres"] - before["postgres"] + sum(cpu)
    figures["floor_cpu_ms_per_step"].append(used / (2 * steps) * 1000)
    figures["floor_steps_per_second"].append(sum(steps / one for one in seconds))


def celery_floor(made: Stand, workers: list[psutil.Process], tasks: int, figures: Figures) -> None:
    """So many tasks that do nothing and keep no result."""
    before, worker, begun = made.server_cpu(), cpu_of(*workers), time.perf_counter()
    for _ in range(tasks):
        floor_app.quiet.delay("x" * 200)
    floor_app.noop.delay("last").get(timeout=60, interval=0.002)
    seconds = time.perf_counter() - begun
    used = cpu_of(*workers) - worker + made.server_cpu()["redis"] - before["redis"]
    figures["celery_noop_cpu_ms"].append(used / tasks * 1000)
    figures["celery_noop_per_second"].append(tasks / seconds)


if __name__ == "__main__":
    main()
