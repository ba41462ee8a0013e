"""Run state: the value that the planner folds events into, the statuses, and the lifecycle tables.

`RunState` is stored as JSON in the run row *without* step outputs and inputs (`RunState.stored()`);
those stand in the step rows and are put back when a walker claims the run. Serialised statuses are
the same words in database, JSON, TypeScript and audit.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from pydantic import Field

from orchestrator.core.json import JsonObject, Model
from orchestrator.core.results import StepResult


class RunStatus(StrEnum):
    """Lifecycle of a run."""

    PENDING = "pending"
    RUNNING = "running"
    WAITING = "waiting"
    PAUSED = "paused"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    ROLLING_BACK = "rolling_back"
    ROLLED_BACK = "rolled_back"


TERMINAL_RUN = frozenset(
    {RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.CANCELLED, RunStatus.ROLLED_BACK}
)


class StepStatus(StrEnum):
    """Lifecycle of a step run."""

    PENDING = "pending"
    READY = "ready"
    RUNNING = "running"
    WAITING = "waiting"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"
    COMPENSATED = "compensated"


TERMINAL_STEP = frozenset(
    {
        StepStatus.SUCCEEDED,
        StepStatus.FAILED,
        StepStatus.SKIPPED,
        StepStatus.CANCELLED,
        StepStatus.COMPENSATED,
    }
)


class AttemptStatus(StrEnum):
    """Lifecycle of an attempt."""

    LEASED = "leased"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    ABANDONED = "abandoned"


class LinkStatus(StrEnum):
    """What became of a link; `open` until its source step ends."""

    OPEN = "open"
    TAKEN = "taken"
    DEAD = "dead"


class StepRunState(Model):
    """One step in one run.

    `iteration` starts at 1 and grows with an edited input or a loop round; `attempt` counts tries
    within the iteration (0 before the first). `port` is the port that was left by. `input` is what the
    agent saw after mapping and repair; `input_override` what a person gave instead.
    `waiting_for` names what a waiting step waits for: `review`, `retry` or `exception`.
    """

    status: StepStatus = StepStatus.PENDING
    iteration: int = 1
    attempt: int = 0
    input: JsonObject | None = None
    input_override: JsonObject | None = None
    result: StepResult | None = None
    port: str | None = None
    waiting_for: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None


class RunState(Model):
    """Everything the planner knows of a run. `input` is the run's input.

    `held` keeps commands' cause while paused: the steps that became ready and were not started.
    """

    run_id: str
    status: RunStatus = RunStatus.PENDING
    input: JsonObject = Field(default_factory=dict)
    steps: dict[str, StepRunState] = Field(default_factory=dict)
    links: dict[str, LinkStatus] = Field(default_factory=dict)
    outcome: str | None = None
    result: JsonObject | None = None
    failed_step: str | None = None
    """The step that the end of a failed run is put down to; resuming starts there."""
    started_at: datetime | None = None
    ended_at: datetime | None = None
    resumes: int = 0

    def stored(self) -> JsonObject:
        """The control part as JSON: without inputs and outputs, which the step rows hold."""
        dumped: JsonObject = self.model_dump(
            mode="json",
            exclude={
                "input": True,
                "result": True,
                "steps": {"__all__": {"input", "input_override", "result"}},
            },
            exclude_defaults=True,
        )
        return dumped


def is_terminal(status: RunStatus) -> bool:
    """Whether a run with this status has ended (a failed one may still be resumed)."""
    return status in TERMINAL_RUN


StepTable = Mapping[StepStatus, Mapping[str, StepStatus]]
