"""One plan being made: a working copy of a run, how its parts move, and what came of it.

Every change of a status goes through the lifecycle tables of `core/state.py`; every intent is
collected as a command. Here stands what all kinds of steps share: how links resolve, what an
exception does, how a run ends. On it build, in this order, steps that may not begin yet
(`core/turns.py`), leaving a step and going back (`core/rounds.py`), what steps share
(`core/sharing.py`), steps made of members and waits (`core/members.py`, `core/waits.py`), what each
kind of step does (`core/execution.py`), undoing a run (`core/undoing.py`), and the events from
outside (`core/planner.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, TypeAlias, TypeVar
from uuid import UUID, uuid5

from pydantic import BaseModel

from orchestrator.core.budgets import Wanted
from orchestrator.core.commands import (
    CancelAttempt,
    CancelTimer,
    Command,
    InvokeAgent,
    OpenReview,
    StartChild,
    StartTimer,
    TellChild,
    WithdrawReview,
)
from orchestrator.core.compilation import (
    CompiledStep,
    CompiledWorkflow,
)
from orchestrator.core.context import (
    Scope,
    view_of,
)
from orchestrator.core.definition import (
    PARTIAL,
    AgentStep,
    JoinStep,
    is_member,
    item_run_of,
    owner_of,
)
from orchestrator.core.events import (
    DerivedEvent,
    LinkResolved,
    ReviewOpened,
    RunEnded,
    RunStatusChanged,
    StepClosed,
    StepEnded,
    StepReadied,
    StepSkipped,
)
from orchestrator.core.joins import Arrivals, arrivals
from orchestrator.core.json import JsonObject
from orchestrator.core.model_usage import Usage, less
from orchestrator.core.overrides import takes_result
from orchestrator.core.results import (
    Failed,
    NotFound,
    Refused,
    StepResult,
    Uncertain,
    Value,
)
from orchestrator.core.state import (
    LINK_TRANSITIONS,
    RUN_TRANSITIONS,
    STEP_TRANSITIONS,
    TERMINAL_STEP,
    LinkStatus,
    RunState,
    RunStatus,
    StepRunState,
    StepStatus,
    is_terminal,
    next_status,
)

_RUN_ENDS: dict[str, Literal["succeeded", "failed", "cancelled"]] = {
    "run_succeeded": "succeeded",
    "run_failed": "failed",
    "run_cancelled": "cancelled",
}
_RUN_DOES: dict[RunStatus, Literal["running", "waiting", "paused"]] = {
    RunStatus.RUNNING: "running",
    RunStatus.WAITING: "waiting",
    RunStatus.PAUSED: "paused",
}
WAITS = frozenset({"time", "event"})
"""What a step of the kind wait waits for."""
HELD = frozenset({"turn", "milestone"})
"""What a step waits for that has not begun (`core/turns.py`)."""
CHILD = "child"
"""A step waits for the run that it started."""
_CHILDREN = UUID("2c9a1f0e-7f55-4b70-8f0e-54d2a1b7c6de")
NO_FORMER: dict[str, Any] = {"former": None, "former_iteration": None}
Broken: TypeAlias = Literal["run_ended", "round_begun", "not_needed"]
"""Why something is broken off."""
_M = TypeVar("_M", bound=BaseModel)
_V = TypeVar("_V")


@dataclass(frozen=True, slots=True)
class Plan:
    """What one event leads to; one that does not apply gives the same state and nothing else.

    `passed` are iterations of steps that a next round took the place of, as they ended. `steps` and
    `links` are those that may have changed.
    """

    state: RunState
    commands: tuple[Command, ...] = ()
    events: tuple[DerivedEvent, ...] = ()
    passed: tuple[tuple[str, StepRunState], ...] = ()
    steps: tuple[str, ...] = ()
    links: tuple[str, ...] = ()


@dataclass(slots=True)
class OpenSteps:
    """The steps that are under way, kept from event to event so that nobody counts them anew."""

    ready: set[str] = field(default_factory=set)
    """Steps that call nobody."""
    ready_agents: set[str] = field(default_factory=set)
    running: int = 0
    waiting: int = 0


class Touched(dict[str, _V]):
    """A dictionary that knows which keys were written, in order."""

    def __init__(self, values: Mapping[str, _V]) -> None:
        super().__init__(values)
        self.keys_written: dict[str, None] = {}

    def __setitem__(self, key: str, value: _V) -> None:
        self.keys_written[key] = None
        super().__setitem__(key, value)


def retry_timer(step: str, run: StepRunState) -> str:
    """The name of the timer that a step in back-off waits for."""
    return f"retry/{step}/{run.iteration}/{run.attempt}"


def review_timer(step: str, run: StepRunState) -> str:
    """The name of the timer that ends the wait for a person."""
    return f"review/{step}/{run.reviews}"


def wait_timer(step: str, run: StepRunState) -> str:
    """The name of the timer that a wait ends with; it also stands for the awaited event."""
    return f"wait/{step}/{run.iteration}"


def child_id(run_id: str, step: str, iteration: int) -> str:
    """The id of the run that a step starts in one of its iterations."""
    return str(uuid5(_CHILDREN, f"{run_id}/{step}/{iteration}"))


def run_timer(state: RunState) -> str:
    """The name of the timer that ends the run."""
    return f"run_timeout/{state.resumes}"


class Progress:
    """One application of the planner: a private working copy and what came of it."""

    def __init__(
        self,
        workflow: CompiledWorkflow,
        state: RunState,
        now: datetime,
        open_steps: OpenSteps | None = None,
    ) -> None:
        self.workflow = workflow
        self.definition = workflow.definition
        self.before = state
        self.now = now
        self.status = state.status
        self.steps = Touched(state.steps)
        self.links = Touched(state.links)
        self.rounds = state.rounds
        self.sections = state.sections
        self.calls = state.calls
        self.tokens = state.tokens
        self.money = state.money
        self.reserved = state.reserved
        self.groups = dict(state.groups)
        self.shared = state.context
        self.changes: dict[str, Any] = {}
        self.commands: list[Command] = []
        self.events: list[DerivedEvent] = []
        self.passed: list[tuple[str, StepRunState]] = []
        self.open = self._open_steps() if open_steps is None else open_steps
        self.prepared: list[str] = []
        self.wanted: dict[str, Wanted] = {}
        self.put_off: set[str] = set()
        self.is_leasing = False
        self.views: dict[str, JsonObject] = {}
        self.writing: dict[str, tuple[Any, ...]] = {}

    def _open_steps(self) -> OpenSteps:
        self.open = OpenSteps()
        for step_id, run in self.steps.items():
            self._count(step_id, run.status, 1)
        return self.open

    def _count(self, step_id: str, status: StepStatus, more: int) -> None:
        """Note that a step has come to a status (1) or left it (-1)."""
        if status is StepStatus.READY:
            step = self.workflow.steps[owner_of(step_id)].step
            is_call = (
                item_run_of(step) is None if is_member(step_id) else isinstance(step, AgentStep)
            )
            steps = self.open.ready_agents if is_call else self.open.ready
            (steps.add if more > 0 else steps.discard)(step_id)
        elif status is StepStatus.RUNNING:
            self.open.running += more
        elif status is StepStatus.WAITING:
            self.open.waiting += more

    # ---- results ---------------------------------------------------------------------------------

    def _hand_to_policy(self, step_id: str, result: StepResult, reason: str) -> None:
        """Let the exception policy take over a step whose result has no way on."""
        if self.definition.policies.exceptions.mode == "inbox":
            self._open_exception(step_id, result, reason)
        else:
            self.steps[step_id] = changed(self.steps[step_id], result=result)
            self._end_by_exception(step_id, reason)

    def _open_exception(self, step_id: str, result: StepResult, reason: str) -> None:
        """Ask a person what to do about a result that the workflow has no way for."""
        policy = self.definition.policies.exceptions
        run, name = self.steps[step_id], self.workflow.step(step_id).step.name
        due_at = self.now + timedelta(seconds=policy.due_seconds)
        may_give = takes_result(self.workflow, step_id)
        ways = "Run it again, give the result" if may_give else "Run it again"
        self._await_person(
            step_id,
            due_at=due_at,
            waiting_for="exception",
            reason=reason,
            result=result,
            command=OpenReview.model_construct(
                step=step_id,
                iteration=run.iteration,
                review="exception",
                question=f"'{name}' cannot go on. {ways}, or end the run?",
                title=name,
                why=reason,
                proposal=run.input or {},
                assign_role=policy.assign_role,
                due_at=due_at,
                result=result if not isinstance(result, Value) else None,
            ),
        )

    def _end_by_exception(self, step_id: str, reason: str) -> None:
        """End the step where it stands, its links left open, and the run with it."""
        result = self.steps[step_id].result
        assert result is not None
        self._end_step(step_id, result, None)
        self._end_run(
            "run_failed", self.definition.policies.exceptions.outcome, step=step_id, reason=reason
        )

    def _end_step(self, step_id: str, result: StepResult, port: str | None) -> None:
        """Give a step its result; with a port, resolve its links."""
        self._finish_step(step_id, result, port)
        if port is not None:
            self._resolve_links(step_id, port)

    def _finish_step(self, step_id: str, result: StepResult, port: str | None) -> None:
        is_bad = isinstance(result, (Failed, Refused))
        run = self._step_moves(
            step_id,
            "step_failed" if is_bad else "step_succeeded",
            result=result,
            port=port,
            waiting_for=None,
            started_at=self.steps[step_id].started_at or self.now,
            ended_at=self.now,
            **(NO_FORMER if port is not None else {}),
        )
        self.views.pop(step_id, None)
        self.events.append(
            StepEnded(step=step_id, iteration=run.iteration, result=result, port=port)
        )

    def _resolve_links(self, step_id: str, *ports: str) -> None:
        """Resolve a step's links and follow dead paths; a path that dies has no port."""
        pending: list[tuple[str, tuple[str, ...]]] = [(step_id, ports)]
        while pending:
            source, left_by = pending.pop()
            compiled = self.workflow.steps[source]
            taken = {link_id for port in left_by for link_id in compiled.by_port.get(port, ())}
            for link_id in compiled.outgoing:
                event = "link_taken" if link_id in taken else "link_died"
                self.links[link_id] = next_status(LINK_TRANSITIONS, self.links[link_id], event)
                self.events.append(
                    LinkResolved(link=link_id, to="taken" if link_id in taken else "dead")
                )
            targets = {self.definition.links[link_id].target for link_id in compiled.outgoing}
            skipped = [target for target in sorted(targets, key=self._rank) if self._settle(target)]
            pending.extend((target, ()) for target in skipped)

    def _settle(self, step_id: str) -> bool:
        """Make a pending step ready or skip it, when its links say so; True when it was skipped."""
        if self.steps[step_id].status is not StepStatus.PENDING:
            return False
        compiled = self.workflow.steps[step_id]
        statuses = [self.links[link_id] for link_id in compiled.incoming]
        if not statuses:
            return False
        if LinkStatus.OPEN in statuses and not self._is_decided(compiled, statuses):
            return False
        if LinkStatus.TAKEN in statuses:
            self._make_ready(step_id)
            return False
        self._step_moves(step_id, "step_skipped", ended_at=self.now, **NO_FORMER)
        self.views.pop(step_id, None)
        self.events.append(StepSkipped(step=step_id))
        return True

    def _is_decided(self, compiled: CompiledStep, statuses: list[LinkStatus]) -> bool:
        """Whether a join need not wait for the links that are still open."""
        step = compiled.step
        if not isinstance(step, JoinStep) or step.policy not in PARTIAL:
            return False
        return LinkStatus.TAKEN in statuses and self._arrivals(compiled).is_decided(step)

    def _arrivals(self, compiled: CompiledStep) -> Arrivals:
        return arrivals(self.definition, compiled, self.links, self.steps)

    # ---- small moves -----------------------------------------------------------------------------

    def _make_ready(self, step_id: str, **changes: Any) -> None:
        run = self._step_moves(step_id, "step_readied", waiting_for=None, **changes)
        self.events.append(StepReadied(step=step_id, iteration=run.iteration))

    def _step_moves(self, step_id: str, event: str, **changes: Any) -> StepRunState:
        run = self.steps[step_id]
        status = next_status(STEP_TRANSITIONS, run.status, event)
        self._count(step_id, run.status, -1)
        self._count(step_id, status, 1)
        if run.reserved is not None:  # nobody knows what the call took
            self._release(run.reserved, took=run.reserved)
            changes["reserved"] = None
        run = self.steps[step_id] = changed(run, status=status, **changes)
        return run

    def _release(self, reserved: Usage, *, took: Usage) -> None:
        """Count what a call took in place of what was reserved for it."""
        self.tokens += took.tokens
        self.money += took.money
        self.reserved = less(self.reserved, reserved)
        self.put_off.clear()  # there may be room for them now, or none any more

    def _run_moves(self, event: str) -> None:
        self.status = next_status(RUN_TRANSITIONS, self.status, event)

    def _rank(self, step_id: str) -> int:
        return self.workflow.steps[owner_of(step_id)].rank

    def _start_run_timer(self, resumes: int) -> None:
        seconds = self.definition.policies.run_timeout_seconds
        self.commands.append(
            StartTimer(
                timer=f"run_timeout/{resumes}",
                purpose="run_timeout",
                due_at=self.now + timedelta(seconds=seconds),
            )
        )

    def _scope(self, compiled: CompiledStep) -> Scope:
        """What the step's expressions may see: the run's input and the results that they read."""
        names = self.workflow.order if "*" in compiled.reads else compiled.reads
        steps: JsonObject = {}
        for name in names:
            if name not in self.views and name in self.steps:
                self.views[name] = view_of(self.steps[name])
            steps[name] = self.views.get(name, {})
        return {"input": self.changes.get("input", self.before.input), "steps": steps}

    def _first_open(self) -> str | None:
        """The first step that was under way, in order of rank."""
        for step_id in self.workflow.order:
            if self.steps[step_id].status in {
                StepStatus.RUNNING,
                StepStatus.WAITING,
                StepStatus.READY,
            }:
                return step_id
        return None

    # ---- the end ---------------------------------------------------------------------------------

    def _end_run(
        self,
        event: str,
        outcome: str | None,
        *,
        step: str | None = None,
        result: JsonObject | None = None,
        reason: str | None = None,
    ) -> None:
        """End the run: nothing new is started, everything open is closed."""
        self.commands = [
            command
            for command in self.commands
            if not isinstance(command, (InvokeAgent, OpenReview, StartTimer))
            and not (isinstance(command, StartChild) and not command.detached)
        ]
        for step_id in self.workflow.order if self.steps else ():
            if self.steps[step_id].status not in TERMINAL_STEP:
                self._close(step_id)
            else:
                self._break_off_late(step_id, "run_ended")
        if self.before.status is not RunStatus.PENDING:
            self.commands.append(CancelTimer(timer=run_timer(self.before)))
        self._run_moves(event)
        self.sections = {}
        self.changes |= {
            "outcome": outcome,
            "result": result,
            "failed_step": step,
            "ended_at": self.now,
        }
        self.events.append(
            RunEnded(
                status=_RUN_ENDS[event], outcome=outcome, result=result, step=step, reason=reason
            )
        )

    def _close(self, step_id: str) -> None:
        if self.steps[step_id].status is StepStatus.PENDING:
            self._step_moves(step_id, "step_skipped", ended_at=self.now)
            self.events.append(StepClosed(step=step_id, to="skipped"))
            return
        self._break_off(step_id, "run_ended")
        self._step_moves(step_id, "step_cancelled", waiting_for=None, ended_at=self.now)
        self.events.append(StepClosed(step=step_id, to="cancelled"))

    def _break_off(self, step_id: str, because: Broken) -> None:
        """Abort what an open step has under way; what this plan asked for is not asked for."""
        if step_id in self.prepared:
            self.prepared.remove(step_id)
            self.put_off.clear()
        run, was = self.steps[step_id], self.before.steps.get(step_id)
        if run.status is StepStatus.RUNNING:
            self.commands.append(
                CancelAttempt(step=step_id, iteration=run.iteration, attempt=run.attempt)
            )
        elif run.waiting_for in HELD:
            return
        elif run.status is StepStatus.WAITING and run.waiting_for in WAITS:
            self.commands.append(CancelTimer(timer=wait_timer(step_id, run)))
        elif run.status is StepStatus.WAITING and run.waiting_for == CHILD:
            self._leave_child(step_id, run, was)
        elif run.status is StepStatus.WAITING and run.waiting_for == "retry":
            self.commands.append(CancelTimer(timer=retry_timer(step_id, run)))
        elif run.status is StepStatus.WAITING and (was is None or was.reviews != run.reviews):
            self.commands = [
                command
                for command in self.commands
                if not isinstance(command, (OpenReview, StartTimer)) or command.step != step_id
            ]
        elif run.status is StepStatus.WAITING:
            self.commands.append(
                WithdrawReview(
                    step=step_id, iteration=run.iteration, number=run.reviews, because=because
                )
            )
            self.commands.append(CancelTimer(timer=review_timer(step_id, run)))

    def _break_off_late(self, step_id: str, because: Broken) -> None:
        """Abort what a step still has under way that has ended; only a map may have that."""

    def _leave_child(self, step_id: str, run: StepRunState, was: StepRunState | None) -> None:
        """Cancel the run that a step waits for; one that this plan asked for is not asked for."""
        if was is None or (was.waiting_for, was.iteration) != (CHILD, run.iteration):
            self.commands = [
                command
                for command in self.commands
                if not isinstance(command, StartChild) or command.step != step_id
            ]
            before = was is not None and was.called_before
            self.steps[step_id] = changed(run, called_before=before)
            return
        child = child_id(self.before.run_id, step_id, run.iteration)
        self.commands.append(
            TellChild(step=step_id, iteration=run.iteration, child=child, what="cancel")
        )

    def finish(self) -> Plan:
        """The plan: the new state, and what the run is doing now (step 5)."""
        if not is_terminal(self.status) and self.status is not RunStatus.ROLLING_BACK:
            self._say_what_it_does()
        state = changed(
            self.before,
            status=self.status,
            steps=self.steps,
            links=self.links,
            rounds=self.rounds,
            sections=self.sections,
            calls=self.calls,
            tokens=self.tokens,
            money=self.money,
            reserved=self.reserved,
            groups=self.groups,
            context=self.shared,
            **self.changes,
        )
        return Plan(
            state,
            tuple(self.commands),
            tuple(self.events),
            tuple(self.passed),
            tuple(self.steps.keys_written),
            tuple(self.links.keys_written),
        )

    def _say_what_it_does(self) -> None:
        is_busy = bool(self.open.ready or self.open.ready_agents or self.open.running)
        if not is_busy and not self.open.waiting:
            self._end_run(
                "run_failed",
                self.definition.policies.exceptions.outcome,
                reason="No step is left to do, and no end was reached.",
            )
            return
        if self.status is not RunStatus.PAUSED:
            wanted = RunStatus.RUNNING if is_busy else RunStatus.WAITING
            if self.status is not wanted:
                self._run_moves("run_running" if is_busy else "run_waiting")
        if self.status is not self.before.status:
            self.events.append(RunStatusChanged(to=_RUN_DOES[self.status]))

    def _await_person(
        self,
        step_id: str,
        *,
        command: OpenReview,
        due_at: datetime,
        waiting_for: str,
        reason: str | None,
        **changes: Any,
    ) -> None:
        reviews = self.steps[step_id].reviews + 1
        run = self._step_moves(
            step_id,
            "review_opened",
            waiting_for=waiting_for,
            reviews=reviews,
            started_at=self.steps[step_id].started_at or self.now,
            **changes,
        )
        self.events.append(
            ReviewOpened(
                step=step_id, iteration=run.iteration, review=command.review, reason=reason
            )
        )
        self.commands.append(changed(command, number=reviews))
        self.commands.append(
            StartTimer(
                timer=review_timer(step_id, run),
                purpose="review_due",
                due_at=due_at,
                step=step_id,
                iteration=run.iteration,
            )
        )


def reason_of(result: StepResult | None) -> str:
    """Why a result needs attention, in words."""
    if isinstance(result, (NotFound, Uncertain, Refused, Failed)):
        return result.reason
    if isinstance(result, Value) and result.reason:
        return result.reason
    return "The result has no way on in this workflow."


def changed(model: _M, **changes: Any) -> _M:
    """A frozen model with other values, unvalidated: the planner makes none that are not valid.

    As `model_copy`, at a sixth of its time: it runs several times at every step. Which fields were
    set is not kept; nobody asks that of a state.
    """
    made = object.__new__(type(model))
    _set(made, "__dict__", {**model.__dict__, **changes})
    _set(made, "__pydantic_fields_set__", model.__pydantic_fields_set__)
    _set(made, "__pydantic_extra__", None)
    _set(made, "__pydantic_private__", None)
    return made


_set = object.__setattr__  # past the model, which is frozen
