"""When an agent that does not answer is left alone for a while: the rules of a circuit breaker.

A breaker belongs to one agent version and is shared by all workers. *Closed*, calls go through;
failures of a kind that says "it is not there" are counted, and an answer ends the count. When as
many as the policy says have come within its window without an answer between them, the breaker
*opens*: until the cool-down is over every call fails at once, unavailable, with the reason
`breaker_open`. After that the next call is a *probe* (half open): its answer closes the breaker,
its failure opens it again. A probe that never comes back counts as over after another cool-down.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from orchestrator.core.policies import FailureKind
from orchestrator.core.results import Failed, StepResult

BREAKER_OPEN: Final = "breaker_open"
"""The reason code of a call that was not made because the breaker is open."""
COUNTED: Final = frozenset({FailureKind.TIMEOUT, FailureKind.UNAVAILABLE})


class BreakerStatus(StrEnum):
    """Lifecycle of a breaker."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


BREAKER_TRANSITIONS: Final[Mapping[BreakerStatus, Mapping[str, BreakerStatus]]] = {
    BreakerStatus.CLOSED: {"limit_reached": BreakerStatus.OPEN},
    BreakerStatus.OPEN: {
        "probe_begun": BreakerStatus.HALF_OPEN,
        "reset": BreakerStatus.CLOSED,
    },
    BreakerStatus.HALF_OPEN: {
        "probe_begun": BreakerStatus.HALF_OPEN,  # the former one never came back
        "probe_answered": BreakerStatus.CLOSED,
        "probe_failed": BreakerStatus.OPEN,
        "reset": BreakerStatus.CLOSED,
    },
}


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """When a breaker opens, and for how long. Times in seconds."""

    failures: int = 5
    window_seconds: int = 60
    cool_down_seconds: int = 30

    def counts_since(self, now: datetime) -> datetime:
        """A count that began before this instant begins anew."""
        return now - timedelta(seconds=self.window_seconds)

    def until(self, now: datetime) -> datetime:
        """When a breaker that opens now, or a probe that begins now, is over."""
        return now + timedelta(seconds=self.cool_down_seconds)


USUAL: Final = BreakerPolicy()


@dataclass(frozen=True, slots=True)
class Breaker:
    """A breaker as it stands. `until`: open, or a probe under way, up to this instant."""

    status: BreakerStatus = BreakerStatus.CLOSED
    failures: int = 0
    until: datetime | None = None

    @property
    def is_healthy(self) -> bool:
        """Whether nothing has gone wrong since the last answer: then an answer changes nothing."""
        return self.status is BreakerStatus.CLOSED and self.failures == 0

    def lets_through(self, now: datetime) -> bool | None:
        """Whether a call may be made; None: as a probe, by whoever begins it first."""
        if self.status is BreakerStatus.CLOSED:
            return True
        return None if self.until is None or self.until <= now else False


def counts_as_failure(result: StepResult) -> bool:
    """Whether a result says that the agent is not there."""
    return (
        isinstance(result, Failed) and result.kind in COUNTED and result.reason_code != BREAKER_OPEN
    )


def counts_as_answer(result: StepResult) -> bool:
    """Whether a result says that the agent is there; an agent's error or a broken answer does."""
    if isinstance(result, Failed):
        return result.kind in {FailureKind.AGENT_ERROR, FailureKind.CONTRACT}
    return True


def refused(label: str, breaker: Breaker) -> Failed:
    """The failure of a call that is not made because the breaker is open."""
    until = f" until {breaker.until:%H:%M:%S} UTC" if breaker.until is not None else ""
    what = "is being tried" if breaker.status is BreakerStatus.HALF_OPEN else "is left alone"
    return Failed(
        kind=FailureKind.UNAVAILABLE,
        reason_code=BREAKER_OPEN,
        reason=f"{label} did not answer several times in a row and {what}{until}.",
    )
