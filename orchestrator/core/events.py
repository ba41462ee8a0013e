"""Facts the planner reacts to, and facts that it derives: closed unions with a `type` tag.

*Driving* events come from outside the planner: the walker (its own calls), the sweeper (timers,
lost attempts), people (decisions, cancel, pause, resume). *Derived* events are what one application
of the planner made of it; they are journalled inside the driving event's row, in order.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from orchestrator.core.json import JsonObject, JsonValue, Model, Text
from orchestrator.core.model_usage import TokenRates
from orchestrator.core.results import (
    Failed,
    NotFound,
    Refused,
    StepResult,
    Uncertain,
    Value,
    Violation,
)

ActorId = str


class EventBase(Model):
    """What every event has."""


# ---- driving -----------------------------------------------------------------------------------


class RunStarted(EventBase):
    """The run was accepted; its input fits the input contract.

    `depth` counts the runs that led to it, one by the event of another; None: none did. `rates`:
    what tokens cost then, by route, in the currency of the run's budget; None: nothing asks for it.
    """

    type: Literal["run_started"] = "run_started"
    input: JsonObject
    depth: int | None = None
    rates: dict[str, TokenRates] | None = None


class AttemptSucceeded(EventBase):
    """The agent answered; contracts on its output were met."""

    type: Literal["attempt_succeeded"] = "attempt_succeeded"
    step: str
    iteration: int
    attempt: int
    result: Annotated[Value | NotFound | Uncertain | Refused, Field(discriminator="type")]


class AttemptFailed(EventBase):
    """The call failed, timed out, or its answer broke the contract."""

    type: Literal["attempt_failed"] = "attempt_failed"
    step: str
    iteration: int
    attempt: int
    result: Failed


class AttemptLost(EventBase):
    """The worker that held the lease is dead or cut off; nobody knows what the call did."""

    type: Literal["attempt_lost"] = "attempt_lost"
    step: str
    iteration: int
    attempt: int


class TimerFired(EventBase):
    """A timer came due. `purpose`: retry, run_timeout, review_due, wait."""

    type: Literal["timer_fired"] = "timer_fired"
    timer: str
    purpose: Literal["retry", "run_timeout", "review_due", "wait"]
    step: str | None = None
    iteration: int | None = None


class EventArrived(EventBase):
    """The event that a step waits for came in.

    `output` is `{"event": its data, "source", "id", "at"}`, not yet held against the contract.
    `depth` counts the runs that led to it; None: none did.
    """

    type: Literal["event_arrived"] = "event_arrived"
    step: str
    iteration: int
    output: JsonObject
    depth: int | None = None


class ChildEnded(EventBase):
    """The run that a step started has ended, or could not be started (`not_started`).

    `outcome` is its declared outcome, `output` what that resulted in.
    """

    type: Literal["child_ended"] = "child_ended"
    step: str
    iteration: int
    child: str
    status: Literal["succeeded", "failed", "cancelled", "not_started"]
    outcome: str | None = None
    output: JsonObject | None = None
    reason: Text | None = None


class ReviewDecided(EventBase):
    """A person's decision on a gate takes effect.

    `output` is the proposal as approved, what was filled in, or what was written in the proposals'
    place; `choice` names the way that was chosen, or the proposal that was taken.
    """

    type: Literal["review_decided"] = "review_decided"
    step: str
    iteration: int
    task: str
    decision: str
    outcome: Literal[
        "approved", "edited", "rejected", "returned", "filled", "chosen", "adjudicated"
    ]
    choice: str | None = None
    output: JsonObject | None = None
    reason: Text | None = None
    actor: ActorId


class ExceptionDecided(EventBase):
    """A person's decision on an exception.

    `retry` runs the step again (with `input` when edited), `give` takes `output` as the step's
    result, `end` ends the run.
    """

    type: Literal["exception_decided"] = "exception_decided"
    step: str
    iteration: int
    task: str
    decision: str
    choice: Literal["retry", "end", "give"]
    input: JsonObject | None = None
    output: JsonObject | None = None
    reason: Text | None = None
    actor: ActorId


class CancelRequested(EventBase):
    """An operator ends the run."""

    type: Literal["cancel_requested"] = "cancel_requested"
    reason: Text
    actor: ActorId


class PauseRequested(EventBase):
    """An operator holds the run; calls in flight are aborted and made again later."""

    type: Literal["pause_requested"] = "pause_requested"
    reason: Text
    actor: ActorId


class ContinueRequested(EventBase):
    """An operator lets a paused run go on."""

    type: Literal["continue_requested"] = "continue_requested"
    reason: Text
    actor: ActorId


class RunResumed(EventBase):
    """A failed run goes on at `step` (default: the step it failed at), with `input` when edited."""

    type: Literal["run_resumed"] = "run_resumed"
    step: str
    input: JsonObject | None = None
    reason: Text
    actor: ActorId


class ResultGiven(EventBase):
    """An operator gives a step's result in place of its agent.

    The step waits (for a person or its next try), or stands on the way to the end of a failed run,
    which goes on from there. `iteration` is the one that the person saw.
    """

    type: Literal["result_given"] = "result_given"
    step: str
    iteration: int
    output: JsonObject
    reason: Text
    actor: ActorId


class RollbackRequested(EventBase):
    """An operator has an ended run undone."""

    type: Literal["rollback_requested"] = "rollback_requested"
    reason: Text
    actor: ActorId


DrivingEvent = Annotated[
    RunStarted
    | AttemptSucceeded
    | AttemptFailed
    | AttemptLost
    | TimerFired
    | EventArrived
    | ChildEnded
    | ReviewDecided
    | ExceptionDecided
    | CancelRequested
    | PauseRequested
    | ContinueRequested
    | RunResumed
    | ResultGiven
    | RollbackRequested,
    Field(discriminator="type"),
]


# ---- derived -----------------------------------------------------------------------------------


class StepReadied(EventBase):
    """The step may begin: its links say so, a back link leads to it, or it is begun again.

    A step is begun again for a further try, by the agent that takes over, after a pause, and when a
    person lets it run again or gives its result.
    """

    type: Literal["step_readied"] = "step_readied"
    step: str
    iteration: int


class StepSkipped(EventBase):
    """All incoming links are dead; or the step may not begin any more (`too_late`)."""

    type: Literal["step_skipped"] = "step_skipped"
    step: str
    too_late: bool = False


class StepHeld(EventBase):
    """The step is ready and may not begin yet.

    `turn`: the stretch that begins with the step `behind` is in its section. `milestone`: the step
    `behind` has not ended.
    """

    type: Literal["step_held"] = "step_held"
    step: str
    iteration: int
    because: Literal["turn", "milestone"]
    behind: str


class AttemptLeased(EventBase):
    """A worker starts the call."""

    type: Literal["attempt_leased"] = "attempt_leased"
    step: str
    iteration: int
    attempt: int


class RetryPlanned(EventBase):
    """The failure is of a kind that is tried again."""

    type: Literal["retry_planned"] = "retry_planned"
    step: str
    iteration: int
    attempt: int
    due_at: datetime
    kind: str


class FallbackChosen(EventBase):
    """The agent in use failed for good; another one takes over. Agents as `slug@number`."""

    type: Literal["fallback_chosen"] = "fallback_chosen"
    step: str
    iteration: int
    agent: str
    in_place_of: str
    kind: str
    reason: Text


class ReviewOpened(EventBase):
    """The step waits for a person (a gate's question, or an exception)."""

    type: Literal["review_opened"] = "review_opened"
    step: str
    iteration: int
    review: Literal["gate", "exception"]
    reason: Text | None = None


class WaitBegun(EventBase):
    """The step waits until `until`, or until an event of the type `event` comes."""

    type: Literal["wait_begun"] = "wait_begun"
    step: str
    iteration: int
    until: datetime
    event: str | None = None


class EventTold(EventBase):
    """The step told its workspace of an event; `refused` says why nobody hears it."""

    type: Literal["event_told"] = "event_told"
    step: str
    iteration: int
    event: str
    subject: Text
    refused: Text = ""


class ChildBegun(EventBase):
    """The step starts a run of a workflow and, unless `detached`, waits for its end.

    `child` is the first of `count`.
    """

    type: Literal["child_begun"] = "child_begun"
    step: str
    iteration: int
    child: str
    detached: bool
    count: int = 1


class HandoffMade(EventBase):
    """Input was passed to a step and checked. `links` are the taken links that led to it."""

    type: Literal["handoff_made"] = "handoff_made"
    step: str
    iteration: int
    links: tuple[str, ...]
    verdict: Literal["fits", "repaired", "refused"]
    violations: tuple[Violation, ...] = ()
    repairs: tuple[Text, ...] = ()


class RouteChosen(EventBase):
    """A router decided. `tested` maps each path used by the conditions to the value it had.

    `ports` lists all of them when it took several.
    """

    type: Literal["route_chosen"] = "route_chosen"
    step: str
    port: str
    ports: tuple[str, ...] = ()
    when: str | None = None
    tested: JsonObject = Field(default_factory=dict)


class StepEnded(EventBase):
    """The step has its result and left by `port` (None: the exception policy took over)."""

    type: Literal["step_ended"] = "step_ended"
    step: str
    iteration: int
    result: StepResult
    port: str | None


class ContextWritten(EventBase):
    """A shared value has its next version: the step wrote, having read version `based_on`.

    `value` is what the key holds now; None when it is absent. `without`: these versions were taken
    back, because the run goes on at `step`.
    """

    type: Literal["context_written"] = "context_written"
    step: str
    iteration: int
    key: str
    version: int
    based_on: int
    value: JsonValue = None
    without: tuple[int, ...] = ()


class RoundBegun(EventBase):
    """A back link was taken: `step` and all that comes after it begin anew.

    `round` is the round of `step` that begins; the link was taken `used` times of at most `limit`.
    """

    type: Literal["round_begun"] = "round_begun"
    link: str
    step: str
    round: int
    used: int
    limit: int


class StepClosed(EventBase):
    """A step was taken out of its course, and did not end by itself.

    The run ended, was resumed or began a next round; a map gave up; or a join that the step leads
    to alone has gone on without it.
    """

    type: Literal["step_closed"] = "step_closed"
    step: str
    to: Literal["cancelled", "skipped", "pending"]


class LinkResolved(EventBase):
    """A link was taken or died."""

    type: Literal["link_resolved"] = "link_resolved"
    link: str
    to: Literal["taken", "dead", "open"]


class RunEnded(EventBase):
    """The run reached an end. `outcome` is a declared one (None when cancelled)."""

    type: Literal["run_ended"] = "run_ended"
    status: Literal["succeeded", "failed", "cancelled"]
    outcome: str | None
    result: JsonObject | None = None
    step: str | None = None
    reason: Text | None = None


class RollbackBegun(EventBase):
    """The run is undone: these steps in this order; the others cannot be, each with its reason."""

    type: Literal["rollback_begun"] = "rollback_begun"
    undo: tuple[str, ...]
    not_undone: dict[str, Text]


class StepCompensated(EventBase):
    """What the step did is undone."""

    type: Literal["step_compensated"] = "step_compensated"
    step: str
    iteration: int
    result: StepResult


class StepNotUndone(EventBase):
    """Undoing the step failed for good. `kind`: of the failure, or the tag of the answer."""

    type: Literal["step_not_undone"] = "step_not_undone"
    step: str
    iteration: int
    kind: str
    reason: Text


class RunRolledBack(EventBase):
    """The rollback is over; `not_undone` gives per step the reason why it was not undone."""

    type: Literal["run_rolled_back"] = "run_rolled_back"
    not_undone: dict[str, Text]


class RunStatusChanged(EventBase):
    """The run moved between running, waiting and paused."""

    type: Literal["run_status_changed"] = "run_status_changed"
    to: Literal["running", "waiting", "paused"]


DerivedEvent = Annotated[
    StepReadied
    | StepSkipped
    | StepHeld
    | AttemptLeased
    | RetryPlanned
    | FallbackChosen
    | ReviewOpened
    | WaitBegun
    | EventTold
    | ChildBegun
    | HandoffMade
    | RouteChosen
    | StepEnded
    | ContextWritten
    | RoundBegun
    | StepClosed
    | LinkResolved
    | RunEnded
    | RollbackBegun
    | StepCompensated
    | StepNotUndone
    | RunRolledBack
    | RunStatusChanged,
    Field(discriminator="type"),
]
Event = DrivingEvent | DerivedEvent
