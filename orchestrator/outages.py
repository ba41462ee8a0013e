"""What a process remembers of a server that did not answer: it leaves it alone for a while.

One that takes connections and answers nobody costs a time limit for each question. Whoever asks
often would come to nothing else meanwhile.
"""

from __future__ import annotations

import time


class Outage:
    """Lasts `seconds` from when it last began. Of the process: threads share it without a lock."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._until = 0.0

    @property
    def lasts(self) -> bool:
        """Whether the server is left alone now."""
        return time.monotonic() < self._until

    def begin(self) -> None:
        """Note that the server did not answer."""
        self._until = time.monotonic() + self.seconds

    def end(self) -> None:
        """Ask it again from now on."""
        self._until = 0.0
