"""Run all benchmarks, or those named, each in a process of its own, and write the results.

    python -m benchmarks.run [NAME ...]     (canvas, checks, lists, W1 ... W9)

A benchmark is a module `benchmarks/bench_<name>.py` that prints, as its last line, one JSON
object: figure -> value. `GOALS` says in words what each figure should be. `benchmarks/latest.json`
keeps the newest values (name -> figure -> value); `docs/performance.md` is made from it.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
LATEST = HERE / "latest.json"
REPORT = HERE.parent / "docs" / "performance.md"

PYTHONPATH = (HERE.parent, HERE.parent / "tests" / "fake_dist")

GOALS = {
    "W1": {
        "steps_per_second": "10-step sequential runs, two workers, everything on",
        "cpu_ms_per_step": "workers, PostgreSQL, Redis and sequencer; goal: at most 1.1",
        "cpu_ms_per_step_without_sequencer": "goal: at most 0.9",
        "worker_cpu_ms_per_step": "of it, the two workers",
        "postgres_cpu_ms_per_step": "of it, PostgreSQL while the runs are walked",
        "sequencer_cpu_ms_per_step": "the scheduler's process: placing, hashing, checking entries",
        "start_run_cpu_ms": "one `start_run`, with PostgreSQL; not part of the figures above",
        "floor_cpu_ms_per_step": "floor: psycopg, one statement per step, two processes",
        "floor_steps_per_second": "the same floor",
        "floor_ratio": "our steps per second to the floor's; goal: at least 0.45",
        "celery_noop_cpu_ms": "floor: a Celery task that does nothing",
        "celery_noop_per_second": "the same floor",
        "celery_noop_ratio": "our steps per second to its tasks; goal: at least 1.5",
    },
    "W2": {
        "seconds": "one run of 40 light steps; goal: at most 0.04",
        "celery_chain_seconds": "floor: a Celery chain of 40",
        "chain_ratio": "goal: at most 0.2",
    },
    "W3": {
        "milliseconds": "100 light branches and a join; goal: at most 25",
        "waiting_200_milliseconds": "100 HTTP calls that wait 200 ms; goal: at most 300",
        "celery_chord_milliseconds": "floor: a Celery chord of 100",
        "chord_ratio": "our light branches to the chord",
    },
    "W4": {
        "p50_ms": "3 steps on an idle machine, from the doorbell to the end",
        "p50_chain_ratio": "to a Celery chain of 3; goal: at most 0.7",
        "p95_chain_ratio": "95th percentiles; goal: at most 1.0",
        "p50_with_start_ms": "from the call of `start_run`",
        "celery_chain_p50_ms": "floor: a Celery chain of 3",
    },
    "W5": {
        "db_kb_per_parked_run": "10,000 parked runs, without the audit log; goal: at most 1",
        "worker_memory_mb": "how much a worker grows by them; goal: at most 5",
        "resume_1000_seconds": "goal: at most 3",
    },
    "W6": {
        "lost": "500 runs, both workers killed in the middle; goal: 0",
        "repeated_calls": "attempts made again; goal: at most the calls in flight",
        "calls_in_flight": "attempts that were leased when the workers died",
        "first_resumed_seconds": "after the restart; goal: at most 5",
        "all_ended_seconds": "until all 500 have ended",
    },
    "W7": {
        "finished_runs": "in the database, each with its audit entry",
        "steps_per_second_empty": "10-step sequential runs on two workers, without them",
        "steps_per_second_full": "the same with them",
        "history_ratio": "goal: at least 0.95",
        "runs_page_ms": "server time of the run list there, median; goal: below 150",
        "runs_search_ms": "the same with a search",
        "audit_page_ms": "of the audit log; goal: below 150",
        "audit_filter_ms": "the same of one action",
    },
    "W8": {
        "waiting_ratio": "two workers to one, steps that wait 20 ms; goal: at least 1.8",
        "computing_ratio": "two workers to one, steps that compute 10 ms; goal: at least 1.6",
    },
    "W9": {
        "per_step_ms_of_10": "CPU of a step in runs of 10, with PostgreSQL, walked in process",
        "per_step_ms_of_1000": "the same in a run of 1,000",
        "per_step_ratio": "goal: at most 1.3",
    },
    "canvas": {
        "open_100_ms": "opening the editor with 100 steps; goal: at most 1,000",
        "open_300_ms": "with 300 steps; goal: at most 1,500",
        "open_1000_ms": "with 1,000 steps; goal: at most 3,000",
        "pan_300_ms": "95th percentile of a frame while panning 300 steps; goal: at most 25",
        "pan_1000_ms": "the same with 1,000 steps; goal: at most 40",
        "zoom_300_ms": "the same while zooming 300 steps; goal: at most 25",
        "zoom_1000_ms": "the same with 1,000 steps; goal: at most 40",
        "pan_all_300_ms": "panning 300 steps with all of them in view; goal: at most 45",
        "tidy_longest_300_ms": "longest task while 300 steps are laid out; goal: at most 50",
    },
    "lists": {
        "workflows_ms": "server time of the first page of 1,000 workflows, median",
        "workflows_search_ms": "the same with a search",
        "workflows_queries": "its queries; goal: at most 12",
        "workflows_kb": "its HTML in kB; goal: at most 100",
        "agents_ms": "server time of the first page of 1,000 agents, median",
        "agents_search_ms": "the same with a search",
        "agents_queries": "its queries; goal: at most 12",
        "agents_kb": "its HTML in kB; goal: at most 100",
    },
}


def main() -> int:
    """Measure, keep, report; returns how many benchmarks failed."""
    known = sorted(_name_of(path) for path in HERE.glob("bench_*.py"))
    wanted = sys.argv[1:] or known
    latest = json.loads(LATEST.read_text()) if LATEST.exists() else {}
    failed = 0
    for name in wanted:
        print(f"== {name}", flush=True)
        done = subprocess.run(
            [sys.executable, "-m", f"benchmarks.bench_{name.lower()}"],
            cwd=HERE.parent,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, PYTHONPATH))},
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        lines = done.stdout.strip().splitlines()
        print("\n".join(lines), flush=True)
        if done.returncode or not lines:
            failed += 1
            continue
        latest[name] = json.loads(lines[-1])
    LATEST.write_text(json.dumps(latest, indent=2, sort_keys=True) + "\n")
    REPORT.write_text(_report(latest))
    return failed


def _name_of(path: Path) -> str:
    """The workloads of the engine are called W1, W2, ..., everything else in small letters."""
    name = path.stem.removeprefix("bench_")
    return name.upper() if name[1:].isdigit() else name


def _report(latest: dict[str, dict[str, float]]) -> str:
    lines = [
        "# Performance",
        "",
        "Made by `make bench` from `benchmarks/latest.json`; medians, on "
        f"{os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}. "
        "Compare ratios and orders of magnitude, not single milliseconds.",
    ]
    for name, figures in sorted(latest.items()):
        lines += ["", f"## {name}", "", "| figure | value | what it is |", "|---|---|---|"]
        goals = GOALS.get(name, {})
        lines += [
            f"| `{figure}` | {value:g} | {goals.get(figure, '')} |"
            for figure, value in sorted(figures.items())
        ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
