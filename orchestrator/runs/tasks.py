"""The Celery task: a doorbell. It carries one id and may come twice, late, or not at all."""

from __future__ import annotations

import logging
import os
import signal
from typing import Final
from uuid import UUID

from celery import shared_task
from django.conf import settings

from orchestrator.runs import services
from orchestrator.runs.invoke import stuck_threads
from orchestrator.runs.walker import walk

logger = logging.getLogger("baton.runs.tasks")

MAX_STUCK_THREADS: Final = 2


@shared_task(name=services.WALK_RUN)
def walk_run(run_id: str) -> None:
    walk(UUID(run_id))
    if stuck_threads() >= MAX_STUCK_THREADS and not settings.EMBEDDED:
        # Threads that run past their call cannot be ended; a new process takes over.
        logger.error("worker restarts: threads are stuck", extra={"threads": stuck_threads()})
        os.kill(os.getpid(), signal.SIGTERM)
