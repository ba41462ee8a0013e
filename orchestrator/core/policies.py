"""Policies as data, and the decisions over them."""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from orchestrator.core.json import Model


class FailureKind(StrEnum):
    """Why a step failed: a closed list."""

    TIMEOUT = "timeout"
    UNAVAILABLE = "unavailable"
    CONTRACT = "contract"
    AGENT_ERROR = "agent_error"
    BUDGET = "budget"
    CANCELLED = "cancelled"
    LOST = "lost"


OUTCOME_UNKNOWN = frozenset({FailureKind.LOST, FailureKind.TIMEOUT})
"""The failures after which nobody knows whether the call took effect."""
FALLBACK_KINDS = (
    FailureKind.TIMEOUT,
    FailureKind.UNAVAILABLE,
    FailureKind.CONTRACT,
    FailureKind.AGENT_ERROR,
    FailureKind.LOST,
)
"""The failures after which another agent usually takes over."""


MOST_ASKED_SECONDS = 3_600
"""Who is called may ask to be left alone for an hour at most; what asks for more counts as that."""


class TimeoutPolicy(Model):
    """Time limit of one attempt, in seconds."""

    attempt_seconds: Annotated[float, Field(gt=0, le=86_400)] = 30


class RetryPolicy(Model):
    """Which failures are tried again, how often, and how long between."""

    max_attempts: Annotated[int, Field(ge=1, le=20)] = 3
    kinds: tuple[FailureKind, ...] = (
        FailureKind.TIMEOUT,
        FailureKind.UNAVAILABLE,
        FailureKind.LOST,
    )
    backoff_seconds: Annotated[float, Field(ge=0, le=3_600)] = 1
    backoff_factor: Annotated[float, Field(ge=1, le=10)] = 2
    max_backoff_seconds: Annotated[float, Field(ge=0, le=86_400)] = 60
    jitter: Annotated[float, Field(ge=0, le=1)] = 0.2


def retry_delay_seconds(
    policy: RetryPolicy, *, attempt: int, seed: str, asked_seconds: int | None = None
) -> float:
    """Seconds to wait after failed attempt number `attempt` (from 1).

    Exponential back-off with a cap; the jitter spreads it by up to ± `jitter` and comes from a hash
    of `seed` and attempt, so that the planner stays a pure function. Whoever was called may have
    asked for `asked_seconds`: then it is at least that, and the jitter only adds to it.
    """
    base = min(
        policy.backoff_seconds * policy.backoff_factor ** (attempt - 1), policy.max_backoff_seconds
    )
    digest = hashlib.sha256(f"{seed}/{attempt}".encode()).digest()
    spread = int.from_bytes(digest[:8], "big") / 2**64 * 2 - 1
    delay = base * (1 + policy.jitter * spread)
    if asked_seconds is None:
        return delay
    return max(delay, asked_seconds * (1 + policy.jitter * abs(spread)))
