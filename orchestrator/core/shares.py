"""Whose turn it is: work is shared by weight, by what each has used.

Start-time fair queueing (Goyal, Vin, Cheng 1996). Each party has a clock that advances by the work
that it is given, divided by its weight; the turn goes to the waiting party whose clock is behind
the others'. One that comes back after an absence is set to the clock of the latest turn, so that
nobody saves up turns while there is nothing for him to do. Who has any weight is never starved.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from enum import StrEnum
from typing import Final, Generic, TypeVar

K = TypeVar("K", bound=Hashable)

USUAL_WEIGHT: Final = 10
MAX_WEIGHT: Final = 100
"""Weights of workspaces are whole numbers from 1 to this."""


class Priority(StrEnum):
    """How pressing a run is, among the runs of its workspace."""

    URGENT = "urgent"
    NORMAL = "normal"
    LOW = "low"


PRIORITY_WEIGHTS: Final[Mapping[Priority, int]] = {
    Priority.URGENT: 16,
    Priority.NORMAL: 4,
    Priority.LOW: 1,
}
"""Shares of the runs of one workspace: while all three wait, one turn in 21 is a low one's."""


class Shares(Generic[K]):
    """The clocks of those who share some work."""

    def __init__(self) -> None:
        self._clocks: dict[K, float] = {}
        self._now = 0.0

    def turn(self, weights: Mapping[K, int]) -> K:
        """Whose turn it is among those who wait, given by their weights; of equals, the weightier.

        The same until something is charged. Raises ValueError when nobody waits.
        """
        chosen = min(weights, key=lambda one: (self._clock(one), -weights[one], str(one)))
        self._now = self._clock(chosen)
        self._clocks = {one: at for one, at in self._clocks.items() if at > self._now}
        return chosen

    def charge(self, party: K, work: float, weight: int) -> None:
        """Count work that a party was given, in any unit; less than nothing takes back a guess."""
        self._clocks[party] = self._clock(party) + work / weight

    def _clock(self, party: K) -> float:
        return max(self._clocks.get(party, 0.0), self._now)
