"""The queues in which doorbells wait: a flood of one workflow keeps no other one waiting.

A doorbell goes into one of the lanes, by its run's workflow. Workers listen to all of them, and the
Redis transport gives them in turn: however many runs of a workflow wait, a run of another one is
next but for its turn (unless both share a lane, which is one case in sixteen). In a lane, and
across all of them, runs that go on come before those that begin (`services.ring`). While weights of
workspaces or priorities of runs matter, a doorbell may be answered with another run (`fairness`).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final
from uuid import UUID

LANES: Final = 16
NAMES: Final = tuple(f"runs.{number}" for number in range(LANES))
FIRST, LATER = 0, 3
"""The two steps in which a queue keeps priorities: the lower comes first."""


def lane_of(workflow_id: UUID) -> str:
    """The name of the queue for the runs of a workflow."""
    return NAMES[workflow_id.int % LANES]


def lane_for(label: str) -> str:
    """The name of the queue for runs that need a worker with a label."""
    return f"runs.for.{label}"


@lru_cache(maxsize=4_096)
def lane_of_run(run_id: UUID) -> str:
    """As `lane_of`, by one of the runs; a run that does not exist has some lane."""
    from orchestrator.runs.models import Run

    found = Run.objects.values_list("workflow_id", flat=True).filter(id=run_id).first()
    return lane_of(found or run_id)
