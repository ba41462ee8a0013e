"""Plain Celery with Redis: what a step would cost if it were only a task."""

from __future__ import annotations

import os

from celery import Celery, chain, chord

REDIS = os.environ.get("FLOOR_REDIS", "redis://127.0.0.1:6379/5")
app = Celery("floor", broker=REDIS, backend=REDIS)
app.conf.update(
    task_acks_late=True,
    worker_prefetch_multiplier=1,
    worker_hijack_root_logger=False,
    task_default_queue="floor",
)


@app.task(name="floor.noop")
def noop(text: str) -> str:
    return text


@app.task(name="floor.quiet", ignore_result=True)
def quiet(text: str) -> str:
    return text


@app.task(name="floor.collect")
def collect(texts: list[str]) -> int:
    return len(texts)


def run_chain(steps: int) -> None:
    """A chain of so many tasks, each given what the one before gave; waits for its end."""
    first, *rest = [noop.s("x" * 200), *(noop.s() for _ in range(steps - 1))]
    chain(first, *rest).apply_async().get(timeout=60, interval=0.0005)


def run_chord(width: int) -> None:
    """So many tasks side by side and one that collects; waits for its end."""
    chord([noop.s("x" * 200) for _ in range(width)])(collect.s()).get(timeout=60, interval=0.0005)
