"""How long the checker takes to examine a definition, as the editor asks it after each edit.

    .venv/bin/python -m benchmarks.bench_checks

Processor time of this process: `cold` is its first examination, the other figure the median of
those that follow; the ratio says how time per step grows from 50 steps on (1.0: in proportion).
"""

from __future__ import annotations

import json
import statistics
import time

from benchmarks.large import catalogue, workflow
from orchestrator.core.checks import examine

SIZES = (50, 300, 1_000)
AIMS_MS = {50: 60, 300: 150, 1_000: 700}
ROUNDS = 7


def milliseconds(size: int) -> tuple[float, float, int]:
    """Cold and warm time, and how many steps there are."""
    definition, known = workflow(size), catalogue()
    step = next(key for key in reversed(definition.steps) if key.startswith("s"))
    times = []
    for _ in range(ROUNDS + 1):
        began = time.process_time()
        examine(definition, known, step)
        times.append((time.process_time() - began) * 1_000)
    return times[0], statistics.median(times[1:]), len(definition.steps)


def main() -> None:
    """Print a line per size, and all figures as one JSON object."""
    figures: dict[str, float] = {}
    base = 0.0
    for size in SIZES:
        cold, warm, steps = milliseconds(size)
        base = base or warm / steps
        ratio = warm / steps / base
        print(
            f"{steps:>5} steps: cold {cold:7.1f} ms, then {warm:6.1f} ms "
            f"(aim {AIMS_MS[size]} ms), per step {ratio:.2f} of the smallest"
        )
        figures |= {
            f"examine_{size}_ms": round(warm, 1),
            f"examine_{size}_cold_ms": round(cold, 1),
            f"examine_{size}_ratio": round(ratio, 2),
        }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
