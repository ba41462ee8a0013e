"""The heart: `plan(workflow, state, event, now) -> Plan(state, commands, events)`.

Theory of operation
-------------------
A run is a set of steps and links. Tokens move along links: when a step ends, each link that leaves
it becomes *taken* (it hangs on the port that the step left by) or *dead*. A step whose incoming
links are all resolved is *ready* when at least one is taken; when all are dead it is skipped and
its own links die too. Exclusive choice, multiple choice, fan-out and synchronising merge are all
this one rule. Only a join of the policies `first` and `n_of_m` does not wait for every link: it is
ready as soon as what is still open cannot change its answer (`core/joins.py`). It fires once, and
then closes, or ignores, the steps whose every way leads into it.

One call to `plan` applies one driving event and then goes on as far as it can without the world:

1. Apply the event to the step or run it names. An event that no longer applies (another iteration
   or attempt, a step that is not waiting for it, a run that has ended) changes nothing at all.
2. Execute ready *pure* steps (router, join, transform, emit, end) in order of rank until none is
   left. A wait begins here too: a timer, which also stands for the event that it waits for
   (`core/waits.py`); what an emit tells goes out with its result (`core/emits.py`). A step that
   runs another workflow asks for that run and waits for its end (`core/children.py`).
3. Prepare ready *calling* steps: map their input, let the contract judge it (the handoff), open
   gates. What fails here is treated like any failure and may make further steps ready: go to 2.
4. Lease prepared agent steps, at most `max_parallel` running at once; the others stay ready. Of a
   run that has a budget each lease counts, and who finds it spent fails (`core/budgets.py`). What
   language models take is reserved until the call ends; who finds the rest of the budget reserved
   stays ready until then (`core/spending.py`).
5. Say what the run is doing now: running, waiting (nothing ready or running), paused or ended.

A *back link* leads to a step that every way to its source has passed. Taking it begins the next
round (`core/rounds.py`): the target is ready at once, everything after it is pending again, what it
had under way is broken off, and the results of the former round stay readable until the steps end
again. Each back link may be taken `max_rounds` times, then its port counts as not linked.

Links alone do not always decide when a step may begin (`core/turns.py`). Steps that name the same
section take turns, in the order in which they became ready; a step that may begin only after
another one has ended waits for that, and is skipped once the step has begun that ends its time.

What steps share is read as it was when they began, and written with their end: the versions are
part of the state, and a write that comes too late is a failure (`core/sharing.py`).

Maps and teams are made of step runs of their own, their members; `core/members.py` says how they
begin and end. An item of a map calls an agent, or is a run of another workflow, as a step is that
runs one; then the map waits for the ends of so many runs at a time. The members of a team that
talks are its calls, move after move (`core/conversations.py`).

A failure that is not tried again goes to the step's next agent, if it has one that takes over
(`core/fallbacks.py`). A result that has no linked port, and a failure that is left, belong to the
exception policy: the step waits for a person (`waiting_for` "exception"), or the run ends. A step
whose exception ended the run keeps its links open, so that a resumed run can go on from it. A
person may also give an agent's result in its place (`core/overrides.py`): the step's next iteration
ends with it at once, and a failed run goes on from there as if it had been resumed.

An ended run may be rolled back (`core/rollback.py`): the steps that say how are undone one after
another, the latest first, each as its own next iteration; the run is `rolling_back` meanwhile.

When a run ends everything open ends with it in the same plan: calls are cancelled, reviews
withdrawn, timers dropped; commands of this very plan that would start something are not emitted in
the first place.

The function is pure: time comes in as `now`, jitter from a hash, order from ranks. Applying the
same events at the same times again gives the same state (`replay`), which is how the journal is
checked. States are frozen; the work happens on shallow copies of two dictionaries, and payloads are
shared, never copied or validated again. A `Course` plans event after event and keeps count of the
steps under way, so that no event looks over all steps; a plan names the steps and links it changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeAlias, assert_never

from orchestrator.core.breakers import BREAKER_OPEN
from orchestrator.core.budgets import asks
from orchestrator.core.commands import (
    CancelAttempt,
    CancelTimer,
    StartTimer,
    WithdrawReview,
)
from orchestrator.core.compilation import (
    CompiledStep,
    CompiledWorkflow,
)
from orchestrator.core.context import (
    input_refused,
    views_of,
)
from orchestrator.core.definition import (
    CALLING,
    AgentStep,
    EndStep,
    GateStep,
    StartStep,
    WaitStep,
    WorkflowStep,
)
from orchestrator.core.events import (
    AttemptFailed,
    AttemptLost,
    AttemptSucceeded,
    CancelRequested,
    ChildEnded,
    ContinueRequested,
    DrivingEvent,
    EventArrived,
    ExceptionDecided,
    FallbackChosen,
    PauseRequested,
    ResultGiven,
    RetryPlanned,
    ReviewDecided,
    RollbackRequested,
    RunResumed,
    RunStarted,
    StepClosed,
    TimerFired,
)
from orchestrator.core.expressions import ExpressionError
from orchestrator.core.fallbacks import (
    agent_in_use,
    calls_once,
    changes_things,
    label_of,
    next_fallback,
    with_stand_in,
)
from orchestrator.core.gates import END, GIVE, decided
from orchestrator.core.json import JsonObject
from orchestrator.core.overrides import (
    given_value,
    iteration_given,
    takes_result,
    waits_for_result,
)
from orchestrator.core.policies import OUTCOME_UNKNOWN, FailureKind, retry_delay_seconds
from orchestrator.core.progress import (
    OpenSteps,
    Plan,
    Touched,
    changed,
    retry_timer,
    review_timer,
    run_timer,
)
from orchestrator.core.results import (
    Basis,
    BasisKind,
    Failed,
    StepResult,
    Uncertain,
    Value,
    Violation,
)
from orchestrator.core.rounds import UNBEGUN, former_of
from orchestrator.core.sharing import could_not_write
from orchestrator.core.state import (
    ENDED_WITH_RESULT,
    LinkStatus,
    RunState,
    RunStatus,
    StepRunState,
    StepStatus,
    is_terminal,
    is_unclear,
    next_iteration,
    same_iteration,
)
from orchestrator.core.undoing import Undoing

_OpenRunEvent: TypeAlias = (
    AttemptSucceeded
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
)


def initial_state(run_id: str) -> RunState:
    """The state of a run that has been accepted and not started."""
    return RunState(run_id=run_id)


def plan(workflow: CompiledWorkflow, state: RunState, event: DrivingEvent, now: datetime) -> Plan:
    """Apply one driving event and go on as far as possible without the world."""
    return Course(workflow, state).plan(event, now)


class Course:
    """A run that is planned event after event; `plan` for one that goes on.

    Gives what `plan` gives, and remembers in between which steps are under way, so that an event
    costs the same in a run of a thousand steps as in a run of ten.
    """

    def __init__(self, workflow: CompiledWorkflow, state: RunState) -> None:
        self.workflow = workflow
        self.state = state
        self._open: OpenSteps | None = None

    def plan(self, event: DrivingEvent, now: datetime) -> Plan:
        """Apply the next event, as `plan` does."""
        known, self._open = self._open, None  # whatever breaks off leaves nothing half counted
        work = _Planner(self.workflow, self.state, now, known)
        if not work.apply(event):
            self._open = work.open
            return Plan(self.state)
        work.advance()
        planned = work.finish()
        self.state, self._open = planned.state, work.open
        return planned

    @property
    def has_open_steps(self) -> bool:
        """Whether a step is ready or waits; running ones do not count."""
        if self._open is None:
            beside = {StepStatus.READY, StepStatus.WAITING}
            return any(step.status in beside for step in self.state.steps.values())
        return bool(self._open.ready or self._open.ready_agents or self._open.waiting)


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


def overridable_steps(workflow: CompiledWorkflow, state: RunState) -> tuple[str, ...]:
    """The steps whose result a person may give now, by rank; see `core/overrides.py`."""
    if state.status is RunStatus.FAILED:
        resumable = resumable_steps(workflow, state)
        return tuple(step_id for step_id in resumable if takes_result(workflow, step_id))
    return tuple(
        step_id
        for step_id in workflow.order
        if step_id in state.steps and waits_for_result(workflow, state, step_id)
    )


def title_of(workflow: CompiledWorkflow, state: RunState) -> str:
    """The run's name in lists as far as it can be told yet; empty when it cannot."""
    if workflow.run_title is None:
        return ""
    try:
        value = workflow.run_title.evaluate(
            {"input": state.input, "steps": views_of(state.steps, workflow.title_reads)}
        )
    except ExpressionError:
        return ""
    return value if isinstance(value, str) else ""


class _Planner(Undoing):
    """Steps 1 to 5 for one event."""

    # ---- step 1: the event ---------------------------------------------------------------------

    def apply(self, event: DrivingEvent) -> bool:
        """Apply the event itself; False when it no longer applies."""
        if isinstance(event, RunStarted):
            return self._start(event)
        if isinstance(event, RunResumed):
            return self._resume(event)
        if isinstance(event, ResultGiven):
            return self._result_given(event)
        if isinstance(event, RollbackRequested):
            return self._rollback_requested()
        if self.status is RunStatus.ROLLING_BACK and not _concerns_calls(event):
            return False
        return not is_terminal(self.status) and self._apply_to_open(event)

    def _apply_to_open(self, event: _OpenRunEvent) -> bool:
        match event:
            case AttemptSucceeded():
                return self._attempt_succeeded(event)
            case AttemptFailed() | AttemptLost():
                return self._attempt_failed(event)
            case TimerFired():
                return self._timer_fired(event)
            case EventArrived() | ChildEnded():
                return self._heard(event)
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

    def _heard(self, event: EventArrived | ChildEnded) -> bool:
        if isinstance(event, ChildEnded):
            return self._child_ended(event)
        return self._event_arrived(event)

    def _start(self, event: RunStarted) -> bool:
        if self.status is not RunStatus.PENDING:
            return False
        self.changes |= {"input": event.input, "started_at": self.now, "depth": event.depth or 0}
        if event.rates:
            self.changes["rates"] = event.rates
        self._run_moves("run_started")
        fresh = StepRunState()
        self.steps = Touched(dict.fromkeys(self.workflow.order, fresh))
        self.links = Touched(dict.fromkeys(sorted(self.definition.links), LinkStatus.OPEN))
        self._start_run_timer(0)
        self._make_ready(self.workflow.start)
        return True

    def _attempt_succeeded(self, event: AttemptSucceeded) -> bool:
        if not self._is_current_attempt(event):
            return False
        self._count_result(event.step, event.result)
        if self.steps[event.step].undo:
            self._undo_ended(event.step, event.result)
        else:
            self._leave(event.step, self._judged(event.step, event.result))
        return True

    def _judged(self, step_id: str, result: StepResult) -> StepResult:
        """A value below the step's confidence threshold is uncertain; a stand-in is named."""
        step, fallback = self.workflow.step(step_id).step, self.steps[step_id].fallback
        if isinstance(step, AgentStep) and fallback:
            result = with_stand_in(step_id, step, fallback, result)
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
        if isinstance(event, AttemptFailed):
            self._count_result(event.step, event.result)
        self._fail(event.step, event.result if isinstance(event, AttemptFailed) else _LOST)
        return True

    def _fail(self, step_id: str, result: Failed) -> None:
        """Try again, let another agent take over, or end the step."""
        compiled, run = self.workflow.step(step_id), self.steps[step_id]
        if run.undo:
            self._undo_failed(compiled, run, result)
            return
        if self._is_late(step_id):
            self._leave(step_id, result)
            return
        if calls_once(compiled, run.fallback) and result.kind in OUTCOME_UNKNOWN:
            unknown = _unknown_outcome(result)
            self._open_exception(step_id, unknown, unknown.reason)
            return
        following = next_fallback(compiled, run, result)
        is_left_alone = result.reason_code == BREAKER_OPEN and following is not None
        if self._may_retry(compiled, run, result) and not is_left_alone:
            self._plan_retry(step_id, result)
        elif following is not None:
            self._fall_back(step_id, following, result)
        elif asks(result):
            self._open_exception(step_id, result, result.reason)
        else:
            self._leave(step_id, result)

    def _undo_failed(self, compiled: CompiledStep, run: StepRunState, result: Failed) -> None:
        """Try to undo the step again, or give it up."""
        undoes = compiled.compensation
        is_once = undoes is not None and undoes.interface.effect == "once"
        is_left = is_once and result.kind in OUTCOME_UNKNOWN
        if self._may_retry(compiled, run, result) and not is_left:
            self._plan_retry(compiled.id, result)
        else:
            self._undo_ended(compiled.id, result)

    def _fall_back(self, step_id: str, following: int, result: Failed) -> None:
        run, compiled = self.steps[step_id], self.workflow.step(step_id)
        step = compiled.step
        assert isinstance(step, AgentStep)
        has_acted = is_unclear(run, result) and changes_things(compiled, run.fallback)
        self.events.append(
            FallbackChosen(
                step=step_id,
                iteration=run.iteration,
                agent=label_of(agent_in_use(step, following)),
                in_place_of=label_of(agent_in_use(step, run.fallback)),
                kind=result.kind.value,
                reason=result.reason,
            )
        )
        self._make_ready(
            step_id,
            fallback=following,
            free_attempts=run.attempt,
            unclear=False,
            called_before=run.called_before or has_acted,
        )

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
        run, step = self.steps[step_id], self.workflow.step(step_id).step
        assert isinstance(step, AgentStep)
        delay = retry_delay_seconds(
            step.retry,
            attempt=max(run.attempt - run.free_attempts, 1),
            seed=f"{self.before.run_id}/{step_id}/{run.iteration}/{run.free_attempts}",
            asked_seconds=result.retry_after_seconds,
        )
        due_at = self.now + timedelta(seconds=delay)
        run = self._step_moves(
            step_id,
            "retry_planned",
            waiting_for="retry",
            result=result,
            unclear=is_unclear(run, result),
        )
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
        if event.purpose == "wait":
            return self._wait_over(event.step, run, event.timer)
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
            WithdrawReview(
                step=step_id, iteration=run.iteration, number=run.reviews, because="expired"
            )
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
        made = decided(compiled, run, event) if compiled is not None and run is not None else None
        if compiled is None or run is None or made is None:
            return False
        self.commands.append(CancelTimer(timer=review_timer(event.step, run)))
        self._note_task(event.step, event.task)
        if made.is_own and compiled.contract is not None:
            violations = compiled.contract.check(made.output)
            if violations:
                self._leave(event.step, input_refused(compiled.step.name, violations))
                return True
        basis = Basis(
            kind=BasisKind.PERSON,
            id=event.step,
            row=made.row,
            values={"decision": event.decision[:120], "actor": event.actor[:120]},
        )
        reason = event.reason or None
        result = Value.model_construct(basis=(basis,), output=made.output, reason=reason)
        self._leave(event.step, result, port=made.port)
        return True

    def _exception_decided(self, event: ExceptionDecided) -> bool:
        compiled, run = self._waiting(event.step, event.iteration, "exception")
        if run is None or compiled is None or event.task in run.decided_tasks:
            return False
        self.commands.append(CancelTimer(timer=review_timer(event.step, run)))
        self._note_task(event.step, event.task)
        if event.choice == END:
            self._end_by_exception(event.step, event.reason or "A person ended the run.")
        elif event.choice == GIVE:
            self._make_ready(event.step, **iteration_given(self.steps[event.step]))
            self._give(event)
        else:
            self._allow_again(event.step)
            self._run_again(event.step, event.input)
        return True

    # ---- results given by people -----------------------------------------------------------------

    def _result_given(self, event: ResultGiven) -> bool:
        run = self.steps.get(event.step)
        if run is None or run.iteration != event.iteration:
            return False
        if event.step not in overridable_steps(self.workflow, self.before):
            return False
        if self._breaks_contract(event.step, event.output):
            return False
        begin = partial(self._make_ready, event.step, **iteration_given(run))
        if is_terminal(self.status):
            self._go_on_at(event.step, begin)
        else:
            self._stop_waiting(event.step, run)
            begin()
        self._give(event)
        return True

    def _stop_waiting(self, step_id: str, run: StepRunState) -> None:
        if run.waiting_for == "retry":
            self.commands.append(CancelTimer(timer=retry_timer(step_id, run)))
            return
        self.commands.append(
            WithdrawReview(
                step=step_id, iteration=run.iteration, number=run.reviews, because="answered"
            )
        )
        self.commands.append(CancelTimer(timer=review_timer(step_id, run)))

    def _breaks_contract(self, step_id: str, output: JsonObject) -> tuple[Violation, ...]:
        contract = self.workflow.step(step_id).output_contract
        return contract.check(output) if contract is not None else ()

    def _give(self, event: ResultGiven | ExceptionDecided) -> None:
        """End a step that was made ready with the person's result, if the contract allows it."""
        output = event.output or {}
        violations = self._breaks_contract(event.step, output)
        if violations:
            name = self.workflow.step(event.step).step.name
            refused = input_refused(name, violations)
            self._open_exception(event.step, refused, refused.reason)
            return
        value = given_value(event.step, output, reason=event.reason, actor=event.actor)
        self._leave(event.step, value)

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
        return self.workflow.step(step_id), run

    def _note_task(self, step_id: str, task: str) -> None:
        run = self.steps[step_id]
        self.steps[step_id] = changed(run, decided_tasks=(*run.decided_tasks, task))

    def _run_again(self, step_id: str, edited: JsonObject | None) -> None:
        """Make a step ready again for a person.

        A call that failed goes on in its iteration with the same input, so that its key stays the
        same. Edited input, a call that was answered, and every step that calls nothing start the
        next one.
        """
        run, step = self.steps[step_id], self.workflow.step(step_id).step
        is_edited = edited is not None and edited != run.input
        failed = run.result if isinstance(run.result, Failed) else None
        was_answered = run.result is not None and failed is None
        was_answered = was_answered or could_not_write(run)
        goes_on = isinstance(step, CALLING) and not was_answered
        if is_edited or not goes_on:
            changes = next_iteration(run, override=edited if is_edited else run.input_override)
        else:
            changes = same_iteration(run)
            if run.attempt == 0 and not self._has_members(step_id):
                changes["input"] = None
        self._make_ready(step_id, **changes)

    def _pause(self) -> bool:
        if self.status not in {RunStatus.RUNNING, RunStatus.WAITING}:
            return False
        self._run_moves("run_paused")
        self._tell_children("pause")
        calls = [name for name, run in self.steps.items() if run.status is StepStatus.RUNNING]
        for step_id in sorted(calls, key=self._turn):
            run = self.steps[step_id]
            if not calls_once(self.workflow.step(step_id), run.fallback):
                self.commands.append(
                    CancelAttempt(step=step_id, iteration=run.iteration, attempt=run.attempt)
                )
                self._make_ready(step_id, free_attempts=run.free_attempts + 1, unclear=True)
        return True

    def _continue(self) -> bool:
        if self.status is not RunStatus.PAUSED:
            return False
        self._run_moves("run_running")
        self._tell_children("continue")
        return True

    # ---- resuming a failed run -------------------------------------------------------------------

    def _resume(self, event: RunResumed) -> bool:
        """A failed run goes on at a step.

        1. What comes after the step starts over: those steps return to pending, their links reopen.
        2. Steps that the end of the run closed go back to pending, or to ready as their links say.
        3. Steps whose own exception ended the run are tried again too, as their links are still
           open.
        4. Everything else that is finished stays finished.

        Loops that come after the step, or lead back to it, have all their rounds again.
        """
        if event.step not in resumable_steps(self.workflow, self.before):
            return False
        self._go_on_at(event.step, partial(self._run_again, event.step, event.input))
        return True

    def _go_on_at(self, at: str, begin: Callable[[], None]) -> None:
        """Let a failed run go on at a step; `begin` makes that step ready."""
        self._run_moves("run_resumed")
        resumes = self.before.resumes + 1
        self._begin_budget()
        self.changes |= {
            "outcome": None,
            "result": None,
            "failed_step": None,
            "ended_at": None,
            "resumes": resumes,
        }
        self._start_run_timer(resumes)
        after = self.workflow.descendants[at]
        self._reopen((at, *sorted(after, key=self._rank)))
        if self.definition.context:
            self._take_back(at, {at, *after})
        for link_id in self.workflow.steps[at].back_in:
            self.rounds = {key: used for key, used in self.rounds.items() if key != link_id}
        for step_id in self.workflow.order:
            if step_id == at:
                begin()
            elif step_id in after:
                self._start_over(step_id)
            elif _was_closed(self.workflow, self.before, step_id):
                self._return(step_id, self._next_round(step_id))
            elif self._ended_without_port(step_id):
                self._run_again(step_id, None)
        for step_id in self.workflow.order:
            if self.steps[step_id].status is StepStatus.PENDING and self._settle(step_id):
                self._resolve_links(step_id)

    def _start_over(self, step_id: str) -> None:
        run = self.steps[step_id]
        if run.status is StepStatus.PENDING:
            return
        has_run = run.attempt > 0 or run.reviews > 0 or run.result is not None
        has_run = has_run or run.started_at is not None
        changes = next_iteration(run, override=None) if has_run else UNBEGUN
        former = former_of(run) if self.workflow.steps[step_id].loops else {}
        self._return(step_id, changes | former)

    def _next_round(self, step_id: str) -> dict[str, Any]:
        """A step that was cut off keeps its iteration and input.

        Unless a person was asked, or it waited: what still comes of that must not be taken for new.
        Or it had done its work and could not write what came of it.
        """
        run = self.steps[step_id]
        step = self.workflow.steps[step_id].step
        has_waited = isinstance(step, (WaitStep, WorkflowStep)) and run.started_at is not None
        has_waited = has_waited or (run.reviews > 0 and isinstance(step, GateStep))
        if has_waited or could_not_write(run):
            return next_iteration(run, override=run.input_override)
        return same_iteration(run)

    def _return(self, step_id: str, changes: Mapping[str, Any]) -> None:
        self._step_moves(step_id, "step_returned", waiting_for=None, **changes)
        self.events.append(StepClosed(step=step_id, to="pending"))

    def _ended_without_port(self, step_id: str) -> bool:
        run, step = self.steps[step_id], self.workflow.steps[step_id].step
        has_ended = run.status in ENDED_WITH_RESULT and not isinstance(step, EndStep)
        return has_ended and run.port is None


def _concerns_calls(event: DrivingEvent) -> bool:
    """Whether an event is about a call, or the next try of one: all that a rollback hears."""
    if isinstance(event, TimerFired):
        return event.purpose == "retry"
    return isinstance(event, (AttemptSucceeded, AttemptFailed, AttemptLost))


_LOST = Failed(
    kind=FailureKind.LOST,
    reason_code="worker_lost",
    reason="The worker that made the call is gone; nobody knows what the call did.",
)


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


def _reached_end(workflow: CompiledWorkflow, state: RunState) -> str | None:
    for step_id in workflow.order:
        is_end = isinstance(workflow.steps[step_id].step, EndStep)
        if is_end and state.steps[step_id].status is StepStatus.SUCCEEDED:
            return step_id
    return None


def _was_closed(workflow: CompiledWorkflow, state: RunState, step_id: str) -> bool:
    """Whether the end of the run, and not a dead path or a join, closed this step."""
    status, compiled = state.steps[step_id].status, workflow.steps[step_id]
    if status not in {StepStatus.CANCELLED, StepStatus.SKIPPED}:
        return False
    if compiled.outgoing:  # what a dead path or a join closed has dead links
        return any(state.links[link_id] is LinkStatus.OPEN for link_id in compiled.outgoing)
    return status is StepStatus.CANCELLED or any(
        state.links[link_id] is not LinkStatus.DEAD for link_id in compiled.incoming
    )


def _may_resume_at(workflow: CompiledWorkflow, state: RunState, step_id: str) -> bool:
    step, run = workflow.steps[step_id].step, state.steps[step_id]
    if isinstance(step, StartStep):
        return False
    if run.status is StepStatus.SUCCEEDED:
        return isinstance(step, (*CALLING, GateStep, WorkflowStep))
    if run.status is StepStatus.CANCELLED:
        return _was_closed(workflow, state, step_id)
    return run.status is StepStatus.FAILED


__all__ = [
    "Course",
    "Plan",
    "initial_state",
    "overridable_steps",
    "plan",
    "replay",
    "resumable_steps",
    "retry_timer",
    "review_timer",
    "run_timer",
    "title_of",
]
