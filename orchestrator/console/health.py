"""Whether the parts are up: for load balancers, `make run` and people."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import DatabaseError, connection

if TYPE_CHECKING:
    from datetime import datetime

WORKER_SEEN_SECONDS = 30


def database_is_up() -> bool:
    """Whether one statement goes through."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            return bool(cursor.fetchone())
    except DatabaseError:
        return False


def readiness(now: datetime) -> dict[str, bool]:
    """Each part and whether it is ready: database, a live worker, demo data when it is a demo."""
    from orchestrator.runs import selectors

    if not database_is_up():
        return {"database": False}
    parts = {
        "database": True,
        "workers": selectors.live_workers(since=now - timedelta(seconds=WORKER_SEEN_SECONDS)) > 0,
    }
    if settings.DEMO:
        from orchestrator.console import demo

        parts["demo"] = demo.is_complete()
    return parts
