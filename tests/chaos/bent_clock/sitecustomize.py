"""Loaded at the start of a process whose clock libfaketime bends (`test_wrong_clocks.py`).

libfaketime bends `clock_nanosleep` also where it is told to leave the monotonic clock alone, and
every `time.sleep` fails with it; `select` it leaves alone.
"""

import select
import time


def _sleep(seconds: float) -> None:
    select.select([], [], [], seconds)


time.sleep = _sleep
