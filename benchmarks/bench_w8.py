"""W8: how much more two workers do than one, on steps that wait 20 ms and on steps that compute 10.

Runs of one step, so that each worker takes them one by one.
"""

from __future__ import annotations

import json
import time

from benchmarks.stand import ROUNDS, Stand, chain_of, median, stand

RUNS = {"pause": 60, "compute": 60}


def main() -> None:
    """One worker, then two, three rounds each."""
    taken: dict[tuple[str, int], list[float]] = {}
    with stand() as made, made.scheduler():
        slugs = {kind: made.world.publish(chain_of(1, kind)) for kind in RUNS}
        for count in (1, 2):
            with made.workers(count):
                for kind, slug in slugs.items():
                    walked(made, slug, 4)
                    for _ in range(ROUNDS):
                        taken.setdefault((kind, count), []).append(walked(made, slug, RUNS[kind]))
    out = {}
    for kind, name in (("pause", "waiting"), ("compute", "computing")):
        one, two = (median(taken[kind, count]) for count in (1, 2))
        out[f"{name}_steps_per_second_of_1"] = round(RUNS[kind] / one, 1)
        out[f"{name}_steps_per_second_of_2"] = round(RUNS[kind] / two, 1)
        out[f"{name}_ratio"] = round(one / two, 3)
    print(json.dumps(out))


def walked(made: Stand, slug: str, count: int) -> float:
    """Seconds from the first doorbell to the end of the last run."""
    runs = made.start(slug, count)
    begun = time.perf_counter()
    made.ring(runs)
    made.await_end(runs)
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
