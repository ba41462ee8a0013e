"""The heart: `plan(workflow, state, event, now) -> Plan(state, commands, events)`.

Theory of operation
-------------------
A run is a set of steps and links. Tokens move along links:
when a step ends, each link that leaves it becomes *taken* (it hangs on the port that the step left
by) or *dead*. A step whose incoming links are all resolved is *ready* when at least one is taken;
when all are dead it is skipped and its own links die too. Exclusive choice, fan-out, synchronising
merge and partial joins are all this one rule.

One call to `plan` applies one driving event and then goes on as far as it can without the world:

1. Apply the event to the step or run it names. An event that no longer applies (another iteration
   or attempt, a step that is not waiting for it, a run that has ended) changes nothing at all.
2. Execute ready *pure* steps (router, join, transform, end) in order of rank until none is left.
3. Prepare ready *calling* steps: map their input, let the contract judge it (the handoff), open
   gates. What fails here is treated like any failure and may make further steps ready: go to 2.
4. Lease prepared agent steps, at most `max_parallel` running at once; the others stay ready.
5. Say what the run is doing now: running, waiting (nothing ready or running), paused or ended.

A result that has no linked port, and a failure that is not tried again, belong to the exception
policy: the step waits for a person (`waiting_for` "exception"), or the run ends. A step whose
exception ended the run keeps its links open, so that a resumed run can go on from it.

When a run ends everything open ends with it in the same plan: calls are cancelled, reviews
withdrawn, timers dropped; commands of this very plan that would start something are not emitted in
the first place.

The function is pure: time comes in as `now`, jitter from a hash, order from ranks. Applying the
same events at the same times again gives the same state (`replay`), which is how the journal is
checked. States are frozen; the work happens on shallow copies of two dictionaries, and payloads are
shared, never copied or validated again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, TypeAlias, TypeVar, assert_never

from pydantic import BaseModel

from orchestrator.core.commands import (
    CancelAttempt,
    CancelTimer,
    Command,
    InvokeAgent,
    OpenReview,
    StartTimer,
    WithdrawReview,
)
from orchestrator.core.compilation import (
    CompiledStep,
    CompiledWorkflow,
    is_failure,
)
from orchestrator.core.context import (
    Scope,
    audited_values,
    build,
    evidence_of,
    tested_values,
    text_or_none,
    value_or_none,
    view_of,
    views_of,
)
from orchestrator.core.definition import (
    AgentStep,
    EndStep,
    GateStep,
    GateType,
    JoinPolicy,
    JoinStep,
    RouterStep,
    StartStep,
    TransformStep,
)
from orchestrator.core.events import (
    AttemptFailed,
    AttemptLeased,
    AttemptLost,
    AttemptSucceeded,
    CancelRequested,
    ContinueRequested,
    DerivedEvent,
    DrivingEvent,
    ExceptionDecided,
    HandoffMade,
    LinkResolved,
    PauseRequested,
    RetryPlanned,
    ReviewDecided,
    ReviewOpened,
    RouteChosen,
    RunEnded,
    RunResumed,
    RunStarted,
    RunStatusChanged,
    StepClosed,
    StepEnded,
    StepReadied,
    StepSkipped,
    TimerFired,
)
from orchestrator.core.expressions import ExpressionError
from orchestrator.core.json import JsonObject, JsonValue
from orchestrator.core.policies import FailureKind, retry_delay_seconds
from orchestrator.core.results import (
    Basis,
    BasisKind,
    Failed,
    NotFound,
    Refused,
    StepResult,
    Uncertain,
    Value,
    Violation,
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

_PORTS = {
    "value": "next",
    "not_found": "not_found",
    "uncertain": "uncertain",
    "refused": "refused",
    "failed": "failed",
}
_GATE_PORTS = {
    "approved": "approved",
    "edited": "approved",
    "rejected": "rejected",
    "returned": "returned",
    "filled": "filled",
}
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
_ENDED = frozenset({StepStatus.SUCCEEDED, StepStatus.FAILED})
_AMBIGUOUS = frozenset({FailureKind.LOST, FailureKind.TIMEOUT})

_M = TypeVar("_M", bound=BaseModel)
_OpenRunEvent: TypeAlias = (
    AttemptSucceeded
    | AttemptFailed
    | AttemptLost
    | TimerFired
    | ReviewDecided
    | ExceptionDecided
    | CancelRequested
    | PauseRequested
    | ContinueRequested
)


@dataclass(frozen=True, slots=True)
class Plan:
    """What one event leads to; one that does not apply gives the same state and nothing else."""

    state: RunState
    commands: tuple[Command, ...] = ()
    events: tuple[DerivedEvent, ...] = ()


def initial_state(run_id: str) -> RunState:
    """The state of a run that has been accepted and not started."""
    return RunState(run_id=run_id)


def plan(workflow: CompiledWorkflow, state: RunState, event: DrivingEvent, now: datetime) -> Plan:
    """Apply one driving event and go on as far as possible without the world."""
    work = _Work(workflow, state, now)
    if not work.apply(event):
        return Plan(state)
    work.advance()
    return work.finish()


def replay(
    workflow: CompiledWorkflow, run_id: str, journal: Iterable[tuple[DrivingEvent, datetime]]
) -> RunState:
    """Fold a journal's driving events, each with its recorded time, into the state they lead to."""
    state = initial_state(run_id)
    for event, now in journal:
        state = plan(workflow, state, event, now).state
    return state


def resumable_steps(workflow: CompiledWorkflow, state: RunState) -> tuple[str, ...]:
    """The steps at which a failed run may be resumed, by rank; none when it has not failed.

    A step qualifies when it failed, was cut off by the end of the run, or succeeded on the way to
    the failure; when the run reached an end step, only steps before that one do.
    """
    if state.status is not RunStatus.FAILED:
        return ()
    reached = _reached_end(workflow, state)
    return tuple(
        step_id
        for step_id in workflow.order
        if _may_resume_at(workflow, state, step_id)
        and (reached is None or reached in workflow.descendants[step_id] or reached == step_id)
    )


def title_of(workflow: CompiledWorkflow, state: RunState) -> str:
    """The run's name in lists as far as it can be told yet; empty when it cannot."""
    if workflow.run_title is None:
        return ""
    try:
        value = workflow.run_title.evaluate(
            {"input": state.input, "steps": views_of(state.steps, workflow.order)}
        )
    except ExpressionError:
        return ""
    return value if isinstance(value, str) else ""


def retry_timer(step: str, run: StepRunState) -> str:
    """The name of the timer that a step in back-off waits for."""
    return f"retry/{step}/{run.iteration}/{run.attempt}"


def review_timer(step: str, run: StepRunState) -> str:
    """The name of the timer that ends the wait for a person."""
    return f"review/{step}/{run.reviews}"


def run_timer(state: RunState) -> str:
    """The name of the timer that ends the run."""
    return f"run_timeout/{state.resumes}"


class _Work:
    """One application of the planner: a private working copy and what came of it."""

    def __init__(self, workflow: CompiledWorkflow, state: RunState, now: datetime) -> None:
        self.workflow = workflow
        self.definition = workflow.definition
        self.before = state
        self.now = now
        self.status = state.status
        self.steps = dict(state.steps)
        self.links = dict(state.links)
        self.changes: dict[str, Any] = {}
        self.commands: list[Command] = []
        self.events: list[DerivedEvent] = []
        self.ready: set[str] = set()
        self.ready_agents: set[str] = set()
        self.running = 0
        for step_id, run in self.steps.items():
            if run.status is StepStatus.READY:
                self._ready_set(step_id).add(step_id)
            elif run.status is StepStatus.RUNNING:
                self.running += 1
        self.prepared: list[str] = []
        self.views: dict[str, JsonObject] = {}

    # ---- step 1: the event ---------------------------------------------------------------------

    def apply(self, event: DrivingEvent) -> bool:
        """Apply the event itself; False when it no longer applies."""
        if isinstance(event, RunStarted):
            return self._start(event)
        if isinstance(event, RunResumed):
            return self._resume(event)
        return not is_terminal(self.status) and self._apply_to_open(event)

    def _apply_to_open(self, event: _OpenRunEvent) -> bool:
        match event:
            case AttemptSucceeded():
                return self._attempt_succeeded(event)
            case AttemptFailed() | AttemptLost():
                return self._attempt_failed(event)
            case TimerFired():
                return self._timer_fired(event)
            case ReviewDecided():
                return self._review_decided(event)
            case ExceptionDecided():
                return self._exception_decided(event)
            case CancelRequested():
                self._end_run("run_cancelled", None, reason=event.reason)
                return True
            case PauseRequested():
                return self._pause()
            case ContinueRequested():
                return self._continue()
            case _:
                assert_never(event)

    def _start(self, event: RunStarted) -> bool:
        if self.status is not RunStatus.PENDING:
            return False
        self.changes |= {"input": event.input, "started_at": self.now}
        self._run_moves("run_started")
        fresh = StepRunState()
        self.steps = dict.fromkeys(self.workflow.order, fresh)
        self.links = dict.fromkeys(sorted(self.definition.links), LinkStatus.OPEN)
        self._start_run_timer(0)
        self._make_ready(self.workflow.start)
        return True

    def _attempt_succeeded(self, event: AttemptSucceeded) -> bool:
        if not self._is_current_attempt(event):
            return False
        self._leave(event.step, self._judged(event.step, event.result))
        return True

    def _judged(self, step_id: str, result: StepResult) -> StepResult:
        """A value below the step's confidence threshold is uncertain."""
        step = self.workflow.steps[step_id].step
        if not isinstance(step, AgentStep) or not isinstance(result, Value):
            return result
        threshold = step.confidence_threshold
        if threshold is None or result.score is None or result.score >= threshold:
            return result
        basis = Basis(
            kind=BasisKind.THRESHOLD,
            id=f"{step_id}.confidence_threshold",
            values={
                "score_ppm": round(result.score * 1e6),
                "threshold_ppm": round(threshold * 1e6),
            },
        )
        return Uncertain.model_construct(
            basis=(*result.basis, basis),
            reason_code="low_confidence",
            reason=f"The confidence {result.score:.2f} is below the threshold {threshold:.2f}.",
            output=result.output,
            score=result.score,
        )

    def _attempt_failed(self, event: AttemptFailed | AttemptLost) -> bool:
        if not self._is_current_attempt(event):
            return False
        result = event.result if isinstance(event, AttemptFailed) else _LOST
        compiled, run = self.workflow.steps[event.step], self.steps[event.step]
        if compiled.calls_once and result.kind in _AMBIGUOUS:
            self._open_exception(event.step, _unknown_outcome(result))
        elif self._may_retry(compiled, run, result):
            self._plan_retry(event.step, result)
        else:
            self._leave(event.step, result)
        return True

    def _is_current_attempt(self, event: AttemptSucceeded | AttemptFailed | AttemptLost) -> bool:
        run = self.steps.get(event.step)
        return (
            run is not None
            and run.status is StepStatus.RUNNING
            and (run.iteration, run.attempt) == (event.iteration, event.attempt)
        )

    def _may_retry(self, compiled: CompiledStep, run: StepRunState, result: Failed) -> bool:
        step = compiled.step
        return (
            isinstance(step, AgentStep)
            and result.retryable
            and result.kind in step.retry.kinds
            and run.attempt - run.free_attempts < step.retry.max_attempts
        )

    def _plan_retry(self, step_id: str, result: Failed) -> None:
        run, step = self.steps[step_id], self.workflow.steps[step_id].step
        assert isinstance(step, AgentStep)
        delay = retry_delay_seconds(
            step.retry,
            attempt=max(run.attempt - run.free_attempts, 1),
            seed=f"{self.before.run_id}/{step_id}/{run.iteration}/{run.free_attempts}",
        )
        due_at = self.now + timedelta(seconds=delay)
        run = self._step_moves(step_id, "retry_planned", waiting_for="retry", result=result)
        self.events.append(
            RetryPlanned(
                step=step_id,
                iteration=run.iteration,
                attempt=run.attempt,
                due_at=due_at,
                kind=result.kind.value,
            )
        )
        self.commands.append(
            StartTimer(
                timer=retry_timer(step_id, run),
                purpose="retry",
                due_at=due_at,
                step=step_id,
                iteration=run.iteration,
            )
        )

    def _timer_fired(self, event: TimerFired) -> bool:
        if event.purpose == "run_timeout":
            if event.timer != run_timer(self.before):
                return False
            self._end_run(
                "run_failed",
                self.definition.policies.timeout_outcome,
                step=self._first_open(),
                reason="The run's time limit has passed.",
            )
            return True
        run = self.steps.get(event.step or "")
        if event.step is None or run is None or run.status is not StepStatus.WAITING:
            return False
        if event.purpose == "retry":
            if run.waiting_for != "retry" or event.timer != retry_timer(event.step, run):
                return False
            self._make_ready(event.step)
            return True
        if run.waiting_for not in {"review", "exception"} or event.timer != review_timer(
            event.step, run
        ):
            return False
        self._review_expired(event.step, run)
        return True

    def _review_expired(self, step_id: str, run: StepRunState) -> None:
        self.commands.append(
            WithdrawReview(step=step_id, iteration=run.iteration, because="expired")
        )
        if run.waiting_for == "exception":
            self._end_by_exception(step_id, "Nobody decided about the exception in time.")
            return
        expired = Failed(
            kind=FailureKind.TIMEOUT,
            reason_code="review_expired",
            reason="Nobody decided in time.",
            retryable=False,
        )
        self._leave(step_id, expired, port="expired")

    def _review_decided(self, event: ReviewDecided) -> bool:
        compiled, run = self._waiting(event.step, event.iteration, "review")
        if run is None or compiled is None or not isinstance(compiled.step, GateStep):
            return False
        is_fill = compiled.step.type is GateType.FILL
        if is_fill != (event.outcome == "filled"):
            return False
        self.commands.append(CancelTimer(timer=review_timer(event.step, run)))
        self._note_task(event.step, event.task)
        output = (run.input or {}) if event.output is None else event.output
        if event.outcome in {"edited", "filled"} and compiled.contract is not None:
            violations = compiled.contract.check(output)
            if violations:
                self._leave(event.step, _refusal(compiled.step.name, violations))
                return True
        basis = Basis(
            kind=BasisKind.PERSON,
            id=event.step,
            row=event.outcome,
            values={"decision": event.decision[:120], "actor": event.actor[:120]},
        )
        result = Value.model_construct(basis=(basis,), output=output, reason=event.reason or None)
        self._leave(event.step, result, port=_GATE_PORTS[event.outcome])
        return True

    def _exception_decided(self, event: ExceptionDecided) -> bool:
        compiled, run = self._waiting(event.step, event.iteration, "exception")
        if run is None or compiled is None or event.task in run.decided_tasks:
            return False
        self.commands.append(CancelTimer(timer=review_timer(event.step, run)))
        self._note_task(event.step, event.task)
        if event.choice == "end":
            self._end_by_exception(event.step, event.reason or "A person ended the run.")
        else:
            self._run_again(event.step, event.input)
        return True

    def _waiting(
        self, step_id: str, iteration: int, waiting_for: str
    ) -> tuple[CompiledStep | None, StepRunState | None]:
        run = self.steps.get(step_id)
        if (
            run is None
            or run.status is not StepStatus.WAITING
            or run.iteration != iteration
            or run.waiting_for != waiting_for
        ):
            return None, None
        return self.workflow.steps[step_id], run

    def _note_task(self, step_id: str, task: str) -> None:
        run = self.steps[step_id]
        self.steps[step_id] = _copy(run, decided_tasks=(*run.decided_tasks, task))

    def _run_again(self, step_id: str, edited: JsonObject | None) -> None:
        """Make a step ready again for a person.

        A call with the same input goes on in its iteration, so that its key stays the same. Edited
        input, a call that had succeeded, and every step that calls nothing start the next one.
        """
        run, step = self.steps[step_id], self.workflow.steps[step_id].step
        is_edited = edited is not None and edited != run.input
        goes_on = isinstance(step, AgentStep) and run.status is not StepStatus.SUCCEEDED
        is_new_round = is_edited or not goes_on
        changes: dict[str, Any] = {"result": None, "port": None, "ended_at": None}
        if is_new_round:
            changes |= _NEXT_ITERATION | {
                "iteration": run.iteration + 1,
                "input_override": edited if is_edited else run.input_override,
            }
        else:
            changes["free_attempts"] = run.attempt
            if run.attempt == 0:
                changes["input"] = None
        self._make_ready(step_id, **changes)

    def _pause(self) -> bool:
        if self.status not in {RunStatus.RUNNING, RunStatus.WAITING}:
            return False
        self._run_moves("run_paused")
        for step_id in self.workflow.order:
            run = self.steps[step_id]
            if run.status is StepStatus.RUNNING and not self.workflow.steps[step_id].calls_once:
                self.commands.append(
                    CancelAttempt(step=step_id, iteration=run.iteration, attempt=run.attempt)
                )
                self._make_ready(step_id, free_attempts=run.free_attempts + 1)
        return True

    def _continue(self) -> bool:
        if self.status is not RunStatus.PAUSED:
            return False
        self._run_moves("run_running")
        return True

    # ---- resuming a failed run -------------------------------------------------------------------

    def _resume(self, event: RunResumed) -> bool:
        """A failed run goes on at a step.

        1. What comes after the step starts over: those steps return to pending, their links reopen.
        2. Steps that the end of the run closed go back to pending, or to ready as their links say.
        3. Steps whose own exception ended the run are tried again too, as their links are still
           open.
        4. Everything else that is finished stays finished.
        """
        if event.step not in resumable_steps(self.workflow, self.before):
            return False
        self._run_moves("run_resumed")
        resumes = self.before.resumes + 1
        self.changes |= {
            "outcome": None,
            "result": None,
            "failed_step": None,
            "ended_at": None,
            "resumes": resumes,
        }
        self._start_run_timer(resumes)
        after = self.workflow.descendants[event.step]
        for step_id in sorted({event.step, *after}, key=self._rank):
            self._reopen_links(step_id)
        for step_id in self.workflow.order:
            if step_id == event.step:
                self._run_again(step_id, event.input)
            elif step_id in after:
                self._start_over(step_id)
            elif self._was_closed(step_id):
                self._return(step_id, self._next_round(step_id))
            elif self.steps[step_id].status in _ENDED and self._ended_without_port(step_id):
                self._run_again(step_id, None)
        for step_id in self.workflow.order:
            if self.steps[step_id].status is StepStatus.PENDING and self._settle(step_id):
                self._resolve_links(step_id, None)
        return True

    def _reopen_links(self, step_id: str) -> None:
        for link_id in self.workflow.steps[step_id].outgoing:
            if self.links[link_id] is not LinkStatus.OPEN:
                self.links[link_id] = next_status(
                    LINK_TRANSITIONS, self.links[link_id], "link_reopened"
                )
                self.events.append(LinkResolved(link=link_id, to="open"))

    def _start_over(self, step_id: str) -> None:
        run = self.steps[step_id]
        if run.status is StepStatus.PENDING:
            return
        has_run = run.attempt > 0 or run.reviews > 0 or run.result is not None
        changes: dict[str, Any] = dict(_NEXT_ITERATION) if has_run else {}
        if has_run:
            changes |= {"iteration": run.iteration + 1, "input_override": None}
        self._return(step_id, changes | {"result": None, "port": None, "ended_at": None})

    def _was_closed(self, step_id: str) -> bool:
        """Whether the end of the run, and not a dead path, closed this step."""
        run = self.steps[step_id]
        if run.status is StepStatus.CANCELLED:
            return True
        incoming = self.workflow.steps[step_id].incoming
        return run.status is StepStatus.SKIPPED and any(
            self.links[link_id] is not LinkStatus.DEAD for link_id in incoming
        )

    def _next_round(self, step_id: str) -> dict[str, Any]:
        """A step that was cut off keeps its iteration and input, unless a person was asked."""
        run = self.steps[step_id]
        changes: dict[str, Any] = {"result": None, "port": None, "ended_at": None}
        if run.reviews and isinstance(self.workflow.steps[step_id].step, GateStep):
            return changes | _NEXT_ITERATION | {"iteration": run.iteration + 1}
        return changes | {"free_attempts": run.attempt}

    def _return(self, step_id: str, changes: Mapping[str, Any]) -> None:
        self._step_moves(step_id, "step_returned", waiting_for=None, **changes)
        self.events.append(StepClosed(step=step_id, to="pending"))

    def _ended_without_port(self, step_id: str) -> bool:
        step = self.workflow.steps[step_id].step
        return self.steps[step_id].port is None and not isinstance(step, EndStep)

    # ---- steps 2 to 4: going on --------------------------------------------------------------

    def advance(self) -> None:
        """Execute and prepare what is ready; lease what may run."""
        while not is_terminal(self.status) and self.status is not RunStatus.PAUSED:
            step_id = self._next_ready()
            if step_id is None:
                break
            self._execute(step_id)
        if not is_terminal(self.status):
            for step_id in self.prepared:
                self._lease(step_id)

    def _next_ready(self) -> str | None:
        """Pure steps by rank, then gates, then agent steps while there are free places."""
        if self.ready:
            return min(self.ready, key=self._turn)
        places = self.definition.policies.max_parallel - self.running - len(self.prepared)
        if places <= 0 or len(self.ready_agents) == len(self.prepared):
            return None
        return min(self.ready_agents.difference(self.prepared), key=self._turn)

    def _turn(self, step_id: str) -> tuple[bool, int]:
        compiled = self.workflow.steps[step_id]
        return isinstance(compiled.step, GateStep), compiled.rank

    def _ready_set(self, step_id: str) -> set[str]:
        is_agent = isinstance(self.workflow.steps[step_id].step, AgentStep)
        return self.ready_agents if is_agent else self.ready

    def _execute(self, step_id: str) -> None:
        compiled = self.workflow.steps[step_id]
        match compiled.step:
            case StartStep():
                self._end_step(step_id, Value.model_construct(output=self.changes["input"]), "next")
            case AgentStep():
                if self._hand_over(compiled):
                    self.prepared.append(step_id)
            case RouterStep():
                self._route(compiled, compiled.step)
            case JoinStep():
                self._join(compiled, compiled.step)
            case GateStep():
                self._open_gate(compiled, compiled.step)
            case TransformStep():
                self._transform(compiled)
            case EndStep():
                self._end(compiled, compiled.step)
            case _:
                assert_never(compiled.step)

    def _hand_over(self, compiled: CompiledStep) -> bool:
        """Map a step's input and let its contract judge it; False when that failed the step."""
        step_id = compiled.id
        run = self.steps[step_id]
        if run.input is not None:
            return True  # a further attempt with the input that was accepted before
        payload, failed = self._built(compiled, run.input_override)
        if failed is not None:
            self._keep_input(step_id, payload)
            self._record_handoff(compiled, "refused", failed.violations)
            self._leave(step_id, failed)
            return False
        if compiled.contract is None:
            self._keep_input(step_id, payload)
            self._record_handoff(compiled, "fits")
            return True
        accepted = compiled.contract.accept(payload)
        given = accepted.payload if isinstance(accepted.payload, dict) else payload
        self._keep_input(step_id, given)
        self._record_handoff(compiled, accepted.verdict, accepted.violations, accepted.repairs)
        if accepted.verdict == "refused":
            self._leave(step_id, _refusal(compiled.step.name, accepted.violations))
            return False
        return True

    def _built(
        self, compiled: CompiledStep, override: JsonObject | None
    ) -> tuple[JsonObject, Failed | None]:
        if override is not None:
            return override, None
        built, violations = build(compiled.mapping, self._scope(compiled))
        return built, _unmapped(compiled.step.name, violations) if violations else None

    def _keep_input(self, step_id: str, payload: JsonObject) -> None:
        self.steps[step_id] = _copy(self.steps[step_id], input=payload)

    def _record_handoff(
        self,
        compiled: CompiledStep,
        verdict: Literal["fits", "repaired", "refused"],
        violations: tuple[Violation, ...] = (),
        repairs: tuple[str, ...] = (),
    ) -> None:
        taken = tuple(key for key in compiled.incoming if self.links[key] is LinkStatus.TAKEN)
        self.events.append(
            HandoffMade(
                step=compiled.id,
                iteration=self.steps[compiled.id].iteration,
                links=taken,
                verdict=verdict,
                violations=violations,
                repairs=repairs,
            )
        )

    def _lease(self, step_id: str) -> None:
        step = self.workflow.steps[step_id].step
        assert isinstance(step, AgentStep)
        run = self.steps[step_id]
        run = self._step_moves(
            step_id,
            "attempt_leased",
            attempt=run.attempt + 1,
            started_at=run.started_at or self.now,
        )
        self.events.append(
            AttemptLeased(step=step_id, iteration=run.iteration, attempt=run.attempt)
        )
        self.commands.append(
            InvokeAgent.model_construct(
                step=step_id,
                iteration=run.iteration,
                attempt=run.attempt,
                input=run.input or {},
                timeout_seconds=step.timeout.attempt_seconds,
                idempotency_key=f"{self.before.run_id}/{step_id}/{run.iteration}",
            )
        )

    def _route(self, compiled: CompiledStep, step: RouterStep) -> None:
        override = self.steps[compiled.id].input_override or {}
        scope = self._scope(compiled)
        port, when = override.get("port"), None
        tested: JsonObject = {}
        if port not in {*(route.port for route in step.routes), "default"}:
            port = "default"
            for route, condition in compiled.routes:
                tested |= tested_values(condition, scope)
                try:
                    holds = condition.holds(scope)
                except ExpressionError as error:
                    violation = Violation(
                        path=f"/routes/{route.port}", rule=error.code, reason=error.message[:1_000]
                    )
                    self._leave(compiled.id, _unmapped(step.name, (violation,)))
                    return
                if holds:
                    port, when = route.port, route.when
                    break
        chosen = str(port)
        self.events.append(RouteChosen(step=compiled.id, port=chosen, when=when, tested=tested))
        basis = Basis(
            kind=BasisKind.RULE, id=compiled.id, row=chosen, values=audited_values(tested)
        )
        result = Value.model_construct(basis=(basis,), output={"port": chosen})
        self._leave(compiled.id, result, port=chosen)

    def _join(self, compiled: CompiledStep, step: JoinStep) -> None:
        arrived: list[JsonValue] = []
        missing: list[JsonValue] = []
        for branch, links in compiled.branches:
            reason = self._missing_reason(links)
            if reason is None:
                arrived.append(branch)
            else:
                missing.append({"branch": branch, "reason": reason})
        is_overridden = self.steps[compiled.id].input_override is not None
        needs_all = step.policy is JoinPolicy.ALL
        if (missing and needs_all and not is_overridden) or not arrived:
            names = ", ".join(str(item["branch"]) for item in missing if isinstance(item, dict))
            failed = Failed(
                kind=FailureKind.UNAVAILABLE,
                reason_code="branch_missing",
                reason=f"'{step.name}' is missing: {names}."[:2_000],
                retryable=False,
            )
            self._leave(compiled.id, failed)
            return
        output: JsonObject = {"arrived": arrived, "missing": missing}
        self._leave(compiled.id, Value.model_construct(output=output))

    def _missing_reason(self, links: tuple[str, ...]) -> str | None:
        """Why a branch did not arrive; None when it did."""
        reason = "was not taken"
        for link_id in links:
            source = self.steps[self.definition.links[link_id].source]
            if self.links[link_id] is not LinkStatus.TAKEN:
                continue
            if not isinstance(source.result, (Failed, Refused)):
                return None
            reason = source.result.reason
        return reason

    def _transform(self, compiled: CompiledStep) -> None:
        output, failed = self._built(compiled, self.steps[compiled.id].input_override)
        if failed is not None:
            self._keep_input(compiled.id, output)
            self._leave(compiled.id, failed)
        else:
            self._leave(compiled.id, Value.model_construct(output=output))

    def _end(self, compiled: CompiledStep, step: EndStep) -> None:
        if not self._hand_over(compiled):
            return
        result = self.steps[compiled.id].input or {}
        self._end_step(compiled.id, Value.model_construct(output=result), None)
        if is_failure(self.definition, step.outcome):
            blamed = self._blame(compiled)
            self._end_run(
                "run_failed",
                step.outcome,
                step=blamed,
                result=result,
                reason=_reason_of(self.steps[blamed].result),
            )
        else:
            self._end_run("run_succeeded", step.outcome, result=result)

    def _blame(self, end: CompiledStep) -> str:
        """The step that a failure end is put down to.

        Going back along taken links: the nearest failed step, else the nearest agent or gate.
        """
        nearest: str | None = None
        layer, seen = [end.id], {end.id}
        while layer:
            sources = sorted(
                {
                    self.definition.links[link_id].source
                    for step_id in layer
                    for link_id in self.workflow.steps[step_id].incoming
                    if self.links[link_id] is LinkStatus.TAKEN
                }
                - seen,
                key=self._rank,
            )
            for step_id in sources:
                if self.steps[step_id].status is StepStatus.FAILED:
                    return step_id
                if isinstance(self.workflow.steps[step_id].step, (AgentStep, GateStep)):
                    nearest = nearest or step_id
            seen.update(sources)
            layer = sources
        return nearest or end.id

    # ---- gates ---------------------------------------------------------------------------------

    def _open_gate(self, compiled: CompiledStep, step: GateStep) -> None:
        if step.type is GateType.FILL:
            proposal, failed = self._built(compiled, self.steps[compiled.id].input_override)
            self._keep_input(compiled.id, proposal)
            if failed is not None:
                self._leave(compiled.id, failed)
                return
            self._record_handoff(compiled, "fits")
        elif not self._hand_over(compiled):
            return
        scope = self._scope(compiled)
        why, title = text_or_none(compiled.why, scope), text_or_none(compiled.title, scope)
        confidence = value_or_none(compiled.confidence, scope)
        run = self.steps[compiled.id]
        is_number = isinstance(confidence, (int, float)) and not isinstance(confidence, bool)
        self._await_person(
            compiled.id,
            due_at=self.now + timedelta(seconds=step.due_seconds),
            waiting_for="review",
            reason=why,
            command=OpenReview.model_construct(
                step=compiled.id,
                iteration=run.iteration,
                review="gate",
                question=step.question,
                title=title,
                why=why,
                proposal=run.input or {},
                evidence=evidence_of(compiled, scope),
                confidence=float(confidence) if is_number else None,  # type: ignore[arg-type]  # is_number
                assign_role=step.assign_role,
                due_at=self.now + timedelta(seconds=step.due_seconds),
            ),
        )

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
        self.commands.append(command)
        self.commands.append(
            StartTimer(
                timer=review_timer(step_id, run),
                purpose="review_due",
                due_at=due_at,
                step=step_id,
                iteration=run.iteration,
            )
        )

    # ---- results ---------------------------------------------------------------------------------

    def _leave(self, step_id: str, result: StepResult, *, port: str | None = None) -> None:
        """End a step by the port of its result, or hand it to the exception policy."""
        port = port or _PORTS[result.type]
        if port in self.workflow.steps[step_id].by_port:
            self._end_step(step_id, result, port)
        elif self.definition.policies.exceptions.mode == "inbox":
            self._open_exception(step_id, result)
        else:
            self.steps[step_id] = _copy(self.steps[step_id], result=result)
            self._end_by_exception(step_id, _reason_of(result))

    def _open_exception(self, step_id: str, result: StepResult) -> None:
        """Ask a person what to do about a result that the workflow has no way for."""
        policy = self.definition.policies.exceptions
        run, name = self.steps[step_id], self.workflow.steps[step_id].step.name
        due_at = self.now + timedelta(seconds=policy.due_seconds)
        reason = _reason_of(result)
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
                question=f"'{name}' cannot go on. Run it again, or end the run?",
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
        is_bad = isinstance(result, (Failed, Refused))
        run = self._step_moves(
            step_id,
            "step_failed" if is_bad else "step_succeeded",
            result=result,
            port=port,
            waiting_for=None,
            started_at=self.steps[step_id].started_at or self.now,
            ended_at=self.now,
        )
        self.views.pop(step_id, None)
        self.events.append(
            StepEnded(step=step_id, iteration=run.iteration, result=result, port=port)
        )
        if port is not None:
            self._resolve_links(step_id, port)

    def _resolve_links(self, step_id: str, port: str | None) -> None:
        """Resolve a step's links and follow dead paths; a path that dies has no port."""
        pending: list[tuple[str, str | None]] = [(step_id, port)]
        while pending:
            source, left_by = pending.pop()
            compiled = self.workflow.steps[source]
            taken = () if left_by is None else compiled.by_port.get(left_by, ())
            for link_id in compiled.outgoing:
                event = "link_taken" if link_id in taken else "link_died"
                self.links[link_id] = next_status(LINK_TRANSITIONS, self.links[link_id], event)
                self.events.append(
                    LinkResolved(link=link_id, to="taken" if link_id in taken else "dead")
                )
            targets = {self.definition.links[link_id].target for link_id in compiled.outgoing}
            skipped = [target for target in sorted(targets, key=self._rank) if self._settle(target)]
            pending.extend((target, None) for target in skipped)

    def _settle(self, step_id: str) -> bool:
        """Make a pending step ready or skip it, when its links say so; True when it was skipped."""
        if self.steps[step_id].status is not StepStatus.PENDING:
            return False
        statuses = [self.links[link_id] for link_id in self.workflow.steps[step_id].incoming]
        if not statuses or LinkStatus.OPEN in statuses:
            return False
        if LinkStatus.TAKEN in statuses:
            self._make_ready(step_id)
            return False
        self._step_moves(step_id, "step_skipped", ended_at=self.now)
        self.events.append(StepSkipped(step=step_id))
        return True

    # ---- small moves -----------------------------------------------------------------------------

    def _make_ready(self, step_id: str, **changes: Any) -> None:
        run = self._step_moves(step_id, "step_readied", waiting_for=None, **changes)
        self.events.append(StepReadied(step=step_id, iteration=run.iteration))

    def _step_moves(self, step_id: str, event: str, **changes: Any) -> StepRunState:
        run = self.steps[step_id]
        status = next_status(STEP_TRANSITIONS, run.status, event)
        if run.status is StepStatus.READY:
            self._ready_set(step_id).discard(step_id)
        if status is StepStatus.READY:
            self._ready_set(step_id).add(step_id)
        self.running += (status is StepStatus.RUNNING) - (run.status is StepStatus.RUNNING)
        run = self.steps[step_id] = _copy(run, status=status, **changes)
        return run

    def _run_moves(self, event: str) -> None:
        self.status = next_status(RUN_TRANSITIONS, self.status, event)

    def _rank(self, step_id: str) -> int:
        return self.workflow.steps[step_id].rank

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
        ]
        for step_id in self.workflow.order:
            if self.steps and self.steps[step_id].status not in TERMINAL_STEP:
                self._close(step_id)
        if self.before.status is not RunStatus.PENDING:
            self.commands.append(CancelTimer(timer=run_timer(self.before)))
        self._run_moves(event)
        self.prepared.clear()
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
        run, was = self.steps[step_id], self.before.steps.get(step_id)
        if run.status is StepStatus.PENDING:
            self._step_moves(step_id, "step_skipped", ended_at=self.now)
            self.events.append(StepClosed(step=step_id, to="skipped"))
            return
        if run.status is StepStatus.RUNNING:
            self.commands.append(
                CancelAttempt(step=step_id, iteration=run.iteration, attempt=run.attempt)
            )
        elif run.status is StepStatus.WAITING and was is not None and was.reviews == run.reviews:
            if run.waiting_for == "retry":
                self.commands.append(CancelTimer(timer=retry_timer(step_id, run)))
            else:
                self.commands.append(WithdrawReview(step=step_id, iteration=run.iteration))
                self.commands.append(CancelTimer(timer=review_timer(step_id, run)))
        self._step_moves(step_id, "step_cancelled", waiting_for=None, ended_at=self.now)
        self.events.append(StepClosed(step=step_id, to="cancelled"))

    def finish(self) -> Plan:
        """The plan: the new state, and what the run is doing now (step 5)."""
        if not is_terminal(self.status):
            self._say_what_it_does()
        state = _copy(
            self.before, status=self.status, steps=self.steps, links=self.links, **self.changes
        )
        return Plan(state, tuple(self.commands), tuple(self.events))

    def _say_what_it_does(self) -> None:
        statuses = {run.status for run in self.steps.values()}
        if not statuses & {StepStatus.READY, StepStatus.RUNNING, StepStatus.WAITING}:
            self._end_run(
                "run_failed",
                self.definition.policies.exceptions.outcome,
                reason="No step is left to do, and no end was reached.",
            )
            return
        if self.status is not RunStatus.PAUSED:
            is_busy = statuses & {StepStatus.READY, StepStatus.RUNNING}
            wanted = RunStatus.RUNNING if is_busy else RunStatus.WAITING
            if self.status is not wanted:
                self._run_moves("run_running" if is_busy else "run_waiting")
        if self.status is not self.before.status:
            self.events.append(RunStatusChanged(to=_RUN_DOES[self.status]))


_LOST = Failed(
    kind=FailureKind.LOST,
    reason_code="worker_lost",
    reason="The worker that made the call is gone; nobody knows what the call did.",
)
_NEXT_ITERATION: dict[str, Any] = {
    "attempt": 0,
    "free_attempts": 0,
    "input": None,
    "started_at": None,
}


def _unknown_outcome(result: Failed) -> Failed:
    """A call that must not be repeated and whose outcome nobody knows."""
    return Failed(
        basis=result.basis,
        kind=FailureKind.LOST,
        reason_code="outcome_unknown",
        reason="The call may have taken effect; only a person may have it repeated: "
        f"{result.reason}"[:1_900],
        retryable=False,
    )


def _refusal(name: str, violations: tuple[Violation, ...]) -> Failed:
    first = violations[0]
    more = f" (and {len(violations) - 1} more)" if len(violations) > 1 else ""
    return Failed(
        kind=FailureKind.CONTRACT,
        reason_code="input_refused",
        reason=f"'{name}' cannot take this input: {first.path or '/'} {first.reason}{more}."[
            :2_000
        ],
        violations=violations,
        retryable=False,
    )


def _unmapped(name: str, violations: tuple[Violation, ...]) -> Failed:
    return Failed(
        kind=FailureKind.CONTRACT,
        reason_code="expression_failed",
        reason=f"'{name}': {violations[0].reason}"[:2_000],
        violations=violations,
        retryable=False,
    )


def _reason_of(result: StepResult | None) -> str:
    if isinstance(result, (NotFound, Uncertain, Refused, Failed)):
        return result.reason
    if isinstance(result, Value) and result.reason:
        return result.reason
    return "The result has no way on in this workflow."


def _reached_end(workflow: CompiledWorkflow, state: RunState) -> str | None:
    for step_id in workflow.order:
        is_end = isinstance(workflow.steps[step_id].step, EndStep)
        if is_end and state.steps[step_id].status is StepStatus.SUCCEEDED:
            return step_id
    return None


def _may_resume_at(workflow: CompiledWorkflow, state: RunState, step_id: str) -> bool:
    step, run = workflow.steps[step_id].step, state.steps[step_id]
    if isinstance(step, StartStep):
        return False
    if run.status is StepStatus.SUCCEEDED:
        return isinstance(step, (AgentStep, GateStep))
    return run.status in {StepStatus.FAILED, StepStatus.CANCELLED}


def _copy(model: _M, **changes: Any) -> _M:
    """A frozen model with other values, unvalidated: the planner makes none that are not valid."""
    return model.model_copy(update=changes)


__all__ = [
    "Plan",
    "initial_state",
    "plan",
    "replay",
    "resumable_steps",
    "retry_timer",
    "review_timer",
    "run_timer",
    "title_of",
]
