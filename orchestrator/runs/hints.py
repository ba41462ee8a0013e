"""Tells browsers which runs have moved: at most every 75 ms, in a thread off everybody's path.

A publication costs milliseconds; a step must not wait for it, and a hundred steps of one run within
that time need one hint, because whoever hears of it fetches everything after the number it has.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from typing import Final
from uuid import UUID

from orchestrator import live

logger = logging.getLogger("baton.runs.hints")

EVERY_SECONDS: Final = 0.075


class _Hints:
    """What has been noted and not yet published; one thread per process, made anew after a fork."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._noted: dict[UUID, int | None] = {}
        self._filled = threading.Event()
        self._pid = 0

    def note(self, run_id: UUID, seq: int | None) -> None:
        with self._lock:
            if self._pid != os.getpid():
                self._pid, self._filled = os.getpid(), threading.Event()
                threading.Thread(target=self._publish, name="hints", daemon=True).start()
            self._noted[run_id] = seq
        self._filled.set()

    def renew_lock(self) -> None:
        """In a child: the parent's lock may have been held by another thread at the fork."""
        self._lock = threading.Lock()

    def _publish(self) -> None:
        while True:
            self._filled.wait()
            self._filled.clear()
            with self._lock:
                noted, self._noted = self._noted, {}
            for run_id, seq in noted.items():
                live.hint(f"run:{run_id}", seq)
            if noted:
                live.hint("runs")
            time.sleep(EVERY_SECONDS)


_hints = _Hints()
os.register_at_fork(after_in_child=_hints.renew_lock)


def note(run_id: UUID, seq: int | None = None) -> None:
    """Let those who watch the run, and lists of runs, know soon; call it after commit.

    `seq`: the journal has reached this number; None when something beside the journal changed.
    """
    _hints.note(run_id, seq)
