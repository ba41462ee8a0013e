"""Run state: the value that the planner folds events into, the statuses, and the lifecycle tables.

`RunState` is stored as JSON in the run row *without* step outputs and inputs (`RunState.stored()`);
those stand in the step rows and are put back when a walker claims the run. Serialised statuses are
the same words in database, JSON, TypeScript and audit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any, TypeVar

from pydantic import Field
from pydantic_core import to_jsonable_python

from orchestrator.core.errors import IllegalTransitionError
from orchestrator.core.json import JsonObject, JsonValue, Model
from orchestrator.core.model_usage import TokenRates, Usage
from orchestrator.core.policies import OUTCOME_UNKNOWN
from orchestrator.core.results import Failed, StepResult, Uncertain, Value


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
GOING_ON = (RunStatus.PENDING, RunStatus.RUNNING, RunStatus.WAITING, RunStatus.PAUSED)
"""The statuses of a run that may still reach an end; paused ones come last."""


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


ENDED_WITH_RESULT = frozenset({StepStatus.SUCCEEDED, StepStatus.FAILED})
"""The statuses of a step that has ended by itself, and not because something else did."""


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
    within the iteration (0 before the first). `port` is the port that was left by. `input` is what
    the agent saw after mapping and repair (for a gate: the proposal); `input_override` what a
    person gave instead. `waiting_for` names what a waiting step waits for: `review`, `retry`,
    `exception`, `time`, `event`, `child` (the run that it started), `members` (the step runs that
    it is made of), or before it has begun `turn` and `milestone` (`core/turns.py`). `free_attempts`
    are those that no longer count against the retry policy, because a person let the step run
    again, a pause aborted them, or another agent took over. `reviews` counts the reviews that were
    opened for the step and names their timers; `fallback` is the place of the agent in use among
    the step's agents (0: its own); `decided_tasks` are the review tasks whose decisions were
    applied. `round` grows each time a back link starts the step anew. Until it ends again (or is
    skipped) in its new round, expressions still read `former`: the result of its iteration
    `former_iteration`. `undo`: this iteration undoes the one before it. `unclear`: nobody knows
    what an earlier try of this iteration did. `called_before`: a call of an earlier iteration, or
    of an agent that another took over from, may have had an effect; or the step told an event, or
    started a run. `seen`: the versions of all shared values when the iteration began. `reserved` is
    what the call under way takes of the run's budget at most, as far as models take it.
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
    free_attempts: int = 0
    reviews: int = 0
    fallback: int = 0
    decided_tasks: tuple[str, ...] = ()
    round: int = 1
    former: StepResult | None = None
    former_iteration: int | None = None
    undo: bool = False
    unclear: bool = False
    called_before: bool = False
    seen: dict[str, int] = Field(default_factory=dict)
    reserved: Usage | None = None


class SharedVersion(Model):
    """One version of a value that the steps of a run share (`core/shared_keys.py`).

    `step` gave it in its `iteration`, having read version `based_on` (0: there was none). `given`
    is what was written; `is_whole`: it is the value itself, whatever the key's rule. `without`:
    nothing was written, these versions were taken back.
    """

    step: str
    iteration: int
    based_on: int
    at: datetime
    given: JsonValue = None
    is_whole: bool = False
    without: tuple[int, ...] = ()

    def stored(self) -> JsonObject:
        """As JSON; what is given as it is, nulls inside it too."""
        kept: JsonObject = {
            "step": self.step,
            "iteration": self.iteration,
            "based_on": self.based_on,
            "at": to_jsonable_python(self.at),
        }
        if self.given is not None:
            kept["given"] = self.given
        if self.is_whole:
            kept["is_whole"] = True
        if self.without:
            kept["without"] = list(self.without)
        return kept


class Talk(Model):
    """What a team has said in one of its step's iterations.

    `calls` are its calls so far (`<place>_<index>`, as in their ids), those from `batch` on belong
    to the move that is being made.
    """

    calls: tuple[str, ...]
    batch: int


class MemberGroup(Model):
    """How far a step is with the step runs that it is made of, in one of its iterations.

    The first `begun` of `total` items have been begun, `open` of them are under way (once the step
    has ended: were cut off, or are not waited for), `failed` of them have ended without a value.
    `is_again`: the iteration is continued, and what has succeeded in it stays. `enough` items must
    succeed; None: whatever the step tolerates. `talk`: of a team that talks, whose `total` grows.
    """

    iteration: int
    total: int
    begun: int
    open: int
    failed: int
    is_again: bool
    enough: int | None = None
    talk: Talk | None = None

    @property
    def has_enough(self) -> bool:
        """Whether so many items as the step needs have succeeded."""
        return self.enough is not None and self.begun - self.open - self.failed >= self.enough

    @property
    def is_out_of_reach(self) -> bool:
        """Whether so many items as the step needs cannot succeed any more."""
        return self.enough is not None and self.total - self.failed < self.enough


def may_have_acted(run: StepRunState) -> bool:
    """Whether calls of the step's present iteration may have had an effect."""
    if run.attempt == 0:
        return False
    is_told = run.status in {StepStatus.WAITING, *ENDED_WITH_RESULT}
    if not is_told or run.result is None:
        return True  # a call was broken off, or is under way
    return is_unclear(run, run.result) or isinstance(run.result, (Value, Uncertain))


def is_unclear(run: StepRunState, result: StepResult) -> bool:
    """Whether nobody knows what the tries of an iteration did that ends with this result."""
    if isinstance(result, (Value, Uncertain)):
        return False
    return run.unclear or (isinstance(result, Failed) and result.kind in OUTCOME_UNKNOWN)


def next_iteration(run: StepRunState, *, override: JsonObject | None) -> dict[str, Any]:
    """The changes with which a step's next iteration begins; `override` is its `input_override`."""
    return {
        "iteration": run.iteration + 1,
        "attempt": 0,
        "free_attempts": 0,
        "fallback": 0,
        "input": None,
        "input_override": override,
        "result": None,
        "port": None,
        "started_at": None,
        "ended_at": None,
        "unclear": False,
        "called_before": run.called_before or may_have_acted(run),
        "seen": {},
    }


def same_iteration(run: StepRunState) -> dict[str, Any]:
    """The changes with which a step is begun again in its iteration: the same call, all tries."""
    has_acted, is_stand_in = may_have_acted(run), run.fallback > 0
    return {
        "free_attempts": run.attempt,
        "fallback": 0,
        "result": None,
        "port": None,
        "ended_at": None,
        "unclear": has_acted and not is_stand_in,
        "called_before": run.called_before or (has_acted and is_stand_in),
    }


class RunState(Model):
    """Everything the planner knows of a run. `input` is the run's input.

    `steps` holds the step runs: one per step, and those that a step is made of (`<step>.<member>`).
    `groups` is about the latter, by step. `resumes` counts how often a failed run was resumed; it
    names the timer of the run's time limit. `rounds` counts per back link how often it was taken
    since its loop was entered. `sections` lists per section the stretches that are in it, or wait
    for it, by their first steps: the one that has it first. `calls` counts the calls of a run that
    has a budget, `tokens` and `money` what they took of it, since a person last let it go on; what
    is `reserved` for calls under way comes on top of that. `rates`: what tokens cost, by route,
    when it began. While a run is rolled back, `undo` are the steps that are still to be undone, in
    order; `not_undone` gives per step the reason why it was not undone. `depth` counts the runs
    that led to this one, or to an event that it heard. `context` holds every version of what the
    steps share, by `<key>@<number>`; versions are added and never changed.
    """

    run_id: str
    status: RunStatus = RunStatus.PENDING
    input: JsonObject = Field(default_factory=dict)
    steps: dict[str, StepRunState] = Field(default_factory=dict)
    links: dict[str, LinkStatus] = Field(default_factory=dict)
    groups: dict[str, MemberGroup] = Field(default_factory=dict)
    outcome: str | None = None
    result: JsonObject | None = None
    failed_step: str | None = None
    """The step that the end of a failed run is put down to; resuming starts there."""
    started_at: datetime | None = None
    ended_at: datetime | None = None
    resumes: int = 0
    rounds: dict[str, int] = Field(default_factory=dict)
    sections: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    calls: int = 0
    tokens: int = 0
    money: int = 0
    reserved: Usage | None = None
    rates: dict[str, TokenRates] = Field(default_factory=dict)
    undo: tuple[str, ...] = ()
    not_undone: dict[str, str] = Field(default_factory=dict)
    depth: int = 0
    context: dict[str, SharedVersion] = Field(default_factory=dict)

    def stored(self) -> JsonObject:
        """The control part as JSON: without inputs and outputs, which the step rows hold."""
        stored = stored_run(self)
        if self.steps:
            stored["steps"] = {name: stored_step(step) for name, step in self.steps.items()}
        if self.links:
            stored["links"] = {link: status.value for link, status in self.links.items()}
        return stored


def stored_run(state: RunState) -> JsonObject:
    """`RunState.stored()` without steps and links."""
    stored = _stored(state, _RUN_PARTS)
    if state.context:
        stored["context"] = {name: one.stored() for name, one in state.context.items()}
    return stored


def stored_step(step: StepRunState, *, without: frozenset[str] = frozenset()) -> JsonObject:
    """One step of `RunState.stored()`: what differs from a step that nothing has happened to."""
    return _stored(step, _STEP_PARTS | without if without else _STEP_PARTS)


def patch_of(
    before: RunState, after: RunState, steps: Iterable[str], links: Iterable[str]
) -> JsonObject:
    """What has to change in `before.stored()` to make it `after.stored()`.

    `steps` and `links` are those that may have changed. Null stands for a usual value, which is
    left out of the stored form.
    """
    patch: JsonObject = {}
    if not before.steps:  # it has started
        steps, links = after.steps, after.links
    patch["steps"] = {name: stored_step(after.steps[name]) for name in steps}
    patch["links"] = {link: after.links[link].value for link in links}
    if after.context is not before.context:
        new = after.context.keys() - before.context.keys()
        patch["context"] = {name: after.context[name].stored() for name in sorted(new)}
    was, now = before.__dict__, after.__dict__
    for name in RunState.model_fields:
        if name not in _RUN_PARTS and was[name] is not now[name] and was[name] != now[name]:
            patch[name] = _stored_value(now[name], _usual(RunState)[name])
    return patch


def patched(stored: JsonObject, patches: Iterable[JsonObject]) -> JsonObject:
    """A stored state with patches applied, in order."""
    whole = dict(stored)
    for patch in patches:
        for name, value in patch.items():
            if name in _MERGED and isinstance(value, dict):
                former = whole.get(name)
                merged = {**former, **value} if isinstance(former, dict) else value
                if merged:
                    whole[name] = merged
            elif value is None:
                whole.pop(name, None)
            else:
                whole[name] = value
    return whole


_STEP_PARTS = frozenset({"input", "input_override", "result", "former"})
_RUN_PARTS = frozenset({"input", "result", "steps", "links", "context"})
_MERGED = frozenset({"steps", "links", "context"})
"""Parts of a stored state that a patch adds to, or changes in part."""
_AS_THEY_ARE = (str, bool, int, float)


@lru_cache
def _usual(model: type[Model]) -> Mapping[str, Any]:
    """The usual values of a model's fields."""
    return {
        name: field.get_default(call_default_factory=True)
        for name, field in model.model_fields.items()
    }


def _stored(model: Model, parts: frozenset[str]) -> JsonObject:
    """The fields that differ from their usual values, apart from `parts`; as pydantic dumps them.

    Written by hand because it runs at every step; a property test compares it with pydantic.
    """
    usual = _usual(type(model))
    stored: JsonObject = {}
    for name, value in model.__dict__.items():
        if value is usual[name] or name in parts:
            continue
        if (kept := _stored_value(value, usual[name])) is not None:
            stored[name] = kept
    return stored


def _stored_value(value: Any, usual: Any) -> JsonValue:
    """A value as JSON; None when it is the usual one."""
    if value == usual:
        return None
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, _AS_THEY_ARE):
        return value
    dumped: JsonValue = to_jsonable_python(value, exclude_none=True)
    return dumped


def is_terminal(status: RunStatus) -> bool:
    """Whether a run with this status has ended (a failed one may still be resumed)."""
    return status in TERMINAL_RUN


# ---- lifecycles: status -> what happens -> status; a pair that is absent is illegal ------------

StepTable = Mapping[StepStatus, Mapping[str, StepStatus]]
RunTable = Mapping[RunStatus, Mapping[str, RunStatus]]
AttemptTable = Mapping[AttemptStatus, Mapping[str, AttemptStatus]]
LinkTable = Mapping[LinkStatus, Mapping[str, LinkStatus]]

STEP_TRANSITIONS: StepTable = {
    StepStatus.PENDING: {
        "step_readied": StepStatus.READY,
        "step_skipped": StepStatus.SKIPPED,
    },
    StepStatus.READY: {
        "attempt_leased": StepStatus.RUNNING,
        "step_held": StepStatus.WAITING,  # it is not its turn, or too early
        "step_skipped": StepStatus.SKIPPED,  # it is too late for it
        "review_opened": StepStatus.WAITING,
        "wait_begun": StepStatus.WAITING,
        "members_begun": StepStatus.WAITING,
        "child_begun": StepStatus.WAITING,
        "step_succeeded": StepStatus.SUCCEEDED,
        "step_failed": StepStatus.FAILED,
        "step_cancelled": StepStatus.CANCELLED,
        "step_returned": StepStatus.PENDING,  # a back link began the next round, here and below
    },
    StepStatus.RUNNING: {
        "step_succeeded": StepStatus.SUCCEEDED,
        "step_failed": StepStatus.FAILED,
        "step_compensated": StepStatus.COMPENSATED,
        "retry_planned": StepStatus.WAITING,
        "review_opened": StepStatus.WAITING,
        "step_readied": StepStatus.READY,  # the run was paused and the call aborted
        "step_cancelled": StepStatus.CANCELLED,
        "step_returned": StepStatus.PENDING,
    },
    StepStatus.WAITING: {
        "step_readied": StepStatus.READY,  # a retry came due, or a person lets it run again
        "step_succeeded": StepStatus.SUCCEEDED,
        "step_failed": StepStatus.FAILED,
        "review_opened": StepStatus.WAITING,  # a gate expired without a way out: now an exception
        "step_cancelled": StepStatus.CANCELLED,
        "step_returned": StepStatus.PENDING,
    },
    # Out of a final status only by a back link, or when a failed run is resumed or an ended one
    # rolled back.
    StepStatus.SUCCEEDED: {
        "step_readied": StepStatus.READY,
        "step_returned": StepStatus.PENDING,
    },
    StepStatus.FAILED: {
        "step_readied": StepStatus.READY,
        "step_returned": StepStatus.PENDING,
    },
    StepStatus.SKIPPED: {
        "step_returned": StepStatus.PENDING,
    },
    StepStatus.CANCELLED: {
        "step_readied": StepStatus.READY,
        "step_returned": StepStatus.PENDING,
    },
    StepStatus.COMPENSATED: {},
}

RUN_TRANSITIONS: RunTable = {
    RunStatus.PENDING: {
        "run_started": RunStatus.RUNNING,
        "run_cancelled": RunStatus.CANCELLED,
    },
    RunStatus.RUNNING: {
        "run_waiting": RunStatus.WAITING,
        "run_paused": RunStatus.PAUSED,
        "run_succeeded": RunStatus.SUCCEEDED,
        "run_failed": RunStatus.FAILED,
        "run_cancelled": RunStatus.CANCELLED,
    },
    RunStatus.WAITING: {
        "run_running": RunStatus.RUNNING,
        "run_paused": RunStatus.PAUSED,
        "run_succeeded": RunStatus.SUCCEEDED,
        "run_failed": RunStatus.FAILED,
        "run_cancelled": RunStatus.CANCELLED,
    },
    RunStatus.PAUSED: {
        "run_running": RunStatus.RUNNING,
        "run_failed": RunStatus.FAILED,
        "run_cancelled": RunStatus.CANCELLED,
    },
    RunStatus.SUCCEEDED: {"rollback_begun": RunStatus.ROLLING_BACK},
    RunStatus.FAILED: {
        "run_resumed": RunStatus.RUNNING,
        "rollback_begun": RunStatus.ROLLING_BACK,
    },
    RunStatus.CANCELLED: {"rollback_begun": RunStatus.ROLLING_BACK},
    RunStatus.ROLLING_BACK: {"run_rolled_back": RunStatus.ROLLED_BACK},
    RunStatus.ROLLED_BACK: {},
}

ATTEMPT_TRANSITIONS: AttemptTable = {
    AttemptStatus.LEASED: {
        "attempt_succeeded": AttemptStatus.SUCCEEDED,
        "attempt_failed": AttemptStatus.FAILED,
        "attempt_timed_out": AttemptStatus.TIMED_OUT,
        "attempt_lost": AttemptStatus.ABANDONED,
        "attempt_cancelled": AttemptStatus.ABANDONED,
    },
    AttemptStatus.SUCCEEDED: {},
    AttemptStatus.FAILED: {},
    AttemptStatus.TIMED_OUT: {},
    AttemptStatus.ABANDONED: {},
}

LINK_TRANSITIONS: LinkTable = {
    LinkStatus.OPEN: {"link_taken": LinkStatus.TAKEN, "link_died": LinkStatus.DEAD},
    LinkStatus.TAKEN: {"link_reopened": LinkStatus.OPEN},
    LinkStatus.DEAD: {"link_reopened": LinkStatus.OPEN},
}

_Status = TypeVar("_Status", bound=StrEnum)


def next_status(
    table: Mapping[_Status, Mapping[str, _Status]], status: _Status, event: str
) -> _Status:
    """Look a transition up in its table.

    Raises:
        IllegalTransitionError: the table has no entry for this pair.
    """
    try:
        return table[status][event]
    except KeyError:
        raise IllegalTransitionError(status.value, event) from None
