"""The Celery task: a doorbell. It carries one id and may come twice, late, or not at all.

The run that is walked may be another one, whose turn it is (`fairness`).
"""

from __future__ import annotations

import logging
import os
import signal
import time
from typing import Final
from uuid import UUID

from celery import shared_task
from django.conf import settings

from orchestrator.runs import services
from orchestrator.runs.fairness import TURNS
from orchestrator.runs.invoke import stuck_threads

logger = logging.getLogger("baton.runs.tasks")

MAX_STUCK_THREADS: Final = 2
STUCK_SECONDS: Final = 5.0


@shared_task(name=services.WALK_RUN)
def walk_run(run_id: str) -> None:
    TURNS.answer(UUID(run_id))
    if not settings.EMBEDDED and _has_stuck_threads():
        # Threads that run past their call cannot be ended; a new process takes over.
        logger.error("worker restarts: threads are stuck", extra={"threads": stuck_threads()})
        os.kill(os.getpid(), signal.SIGTERM)


def _has_stuck_threads() -> bool:
    """Whether threads are stuck for good, and not only on their way out on a busy machine."""
    if stuck_threads() < MAX_STUCK_THREADS:
        return False
    time.sleep(STUCK_SECONDS)
    return stuck_threads() >= MAX_STUCK_THREADS
