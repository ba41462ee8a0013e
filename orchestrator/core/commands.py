"""Intents that the planner emits and the engine carries out. Imperative; a closed union."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from orchestrator.core.definition import AgentRef, Itself, WorkflowRef
from orchestrator.core.json import JsonObject, Model, Text
from orchestrator.core.results import Failed, NotFound, Refused, Uncertain


class InvokeAgent(Model):
    """Call the bound agent version.

    `idempotency_key` is `run_id/step/iteration`, the same at every retry; with the place of the
    agent behind it when one of the step's fallback agents is called, and with `undo` behind it when
    the call undoes the step.
    """

    type: Literal["invoke_agent"] = "invoke_agent"
    step: str
    uses: AgentRef
    iteration: int
    attempt: int
    input: JsonObject
    timeout_seconds: float
    idempotency_key: str


class CancelAttempt(Model):
    """Abort the call in flight; the fence refuses what still comes back."""

    type: Literal["cancel_attempt"] = "cancel_attempt"
    step: str
    iteration: int
    attempt: int


class OpenReview(Model):
    """Open a ReviewTask.

    For an exception, `result` is what went wrong and `proposal` the step's input. `number`: the
    n-th review of this step in this run.
    """

    type: Literal["open_review"] = "open_review"
    step: str
    iteration: int
    review: Literal["gate", "exception"]
    number: int = 1
    question: Text
    title: Text | None = None
    why: Text | None = None
    proposal: JsonObject
    evidence: tuple[JsonObject, ...] = ()
    """Each `{"title", "kind", "value", "sources"?}`: evaluated, ready to show."""
    confidence: float | None = None
    assign_role: str
    due_at: datetime
    result: (
        Annotated[Failed | Refused | NotFound | Uncertain, Field(discriminator="type")] | None
    ) = None


class WithdrawReview(Model):
    """The question no longer matters.

    The run ended, nobody answered in time (`expired`), somebody gave the result otherwise
    (`answered`), a loop began its next round, or the run goes on without it (`not_needed`).
    """

    type: Literal["withdraw_review"] = "withdraw_review"
    step: str
    iteration: int
    number: int
    because: Literal["run_ended", "expired", "answered", "round_begun", "not_needed"] = "run_ended"


class EventKey(Model):
    """Which event is meant: its type, and the key that tells it from others of that type.

    With `only_new` an event that came before the wait began is not meant.
    """

    type: str
    key: Text
    only_new: bool = False


class StartTimer(Model):
    """Set a timer; `timer` is unique within the run and setting it again replaces it.

    With `awaits` an event of that key ends the wait before the timer is due: whichever comes first
    takes the timer away, so that the other has no effect.
    """

    type: Literal["start_timer"] = "start_timer"
    timer: str
    purpose: Literal["retry", "run_timeout", "review_due", "wait"]
    due_at: datetime
    step: str | None = None
    iteration: int | None = None
    awaits: EventKey | None = None


class CancelTimer(Model):
    """Drop a timer; nothing happens when it is gone."""

    type: Literal["cancel_timer"] = "cancel_timer"
    timer: str


class PublishEvent(Model):
    """Tell the workspace of an event; `id` names step and iteration, so that it counts once.

    `depth` counts the runs that led to it, one by the event of another. `refused` says why nobody
    hears it; it is kept for people to see.
    """

    type: Literal["publish_event"] = "publish_event"
    step: str
    iteration: int
    id: str
    event: str
    subject: Text
    dataschema: Text
    content: JsonObject
    depth: int
    refused: Text = ""


class StartChild(Model):
    """Start a run of a workflow; its id follows from run, step and iteration."""

    type: Literal["start_child"] = "start_child"
    step: str
    iteration: int
    child: str
    uses: WorkflowRef | Itself
    input: JsonObject
    detached: bool = False


class TellChild(Model):
    """Have the run that a step started do what its parent does."""

    type: Literal["tell_child"] = "tell_child"
    step: str
    iteration: int
    child: str
    what: Literal["cancel", "pause", "continue"]


Command = Annotated[
    InvokeAgent
    | CancelAttempt
    | OpenReview
    | WithdrawReview
    | StartTimer
    | CancelTimer
    | PublishEvent
    | StartChild
    | TellChild,
    Field(discriminator="type"),
]
