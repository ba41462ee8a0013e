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
