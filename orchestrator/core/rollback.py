"""Undoing what a run has done: which steps, in which order, and what cannot be undone.

Theory of operation
-------------------
A run that has ended may be rolled back, by an operator or because the outcome that it ended in
says so. Every agent step that has done something is looked at, the latest to end first. One that
declares a `compensation` is undone: another agent is called with an input that is built from what
the steps had answered *then* (all inputs are built before the first call). One that changed
something and declares none, and one whose call was broken off so that nobody knows what it did, is
listed in `RunState.not_undone` with the reason. So is a step that told an event, which nobody can
make unheard, and one that ran another workflow: that run is rolled back by itself.

Only the last iteration of a step is undone. What its earlier ones did, or an agent that another
took over from, is not: such a step is listed too (`StepRunState.called_before`).

The compensations run one after another. Each is the step's next iteration (`StepRunState.undo`),
with the tries of the step's retry policy and an idempotency key of its own, the same at each of
them. When it succeeds the step is *compensated*; when it fails for good the step is listed as not
undone, and the next one has its turn. In the end the run is *rolled back*, and needs attention
while something is listed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from orchestrator.core.compilation import CompiledStep, CompiledWorkflow
from orchestrator.core.context import Scope, build, views_of
from orchestrator.core.definition import (
    EmitStep,
    WorkflowStep,
    doers_of,
    item_run_of,
    owner_of,
)
from orchestrator.core.fallbacks import changes_things
from orchestrator.core.json import JsonObject
from orchestrator.core.results import Failed, Refused, StepResult, Uncertain, Value
from orchestrator.core.shared_keys import present
from orchestrator.core.state import RunState, RunStatus, StepRunState, StepStatus, is_unclear

MAY_BE_ROLLED_BACK: Final = frozenset({RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.CANCELLED})
_BROKEN_OFF: Final = frozenset({StepStatus.CANCELLED, StepStatus.SKIPPED})
_BEYOND: Final[Mapping[type, str]] = {
    EmitStep: "It told an event, and nobody can make that unheard.",
    WorkflowStep: "It ran another workflow; what that run did is undone on its own page.",
}
_RUNS: Final = (
    "It ran another workflow for each item; what those runs did is undone on their own pages."
)
_EARLIER: Final = "It was called before its last result; what that changed is not undone."


@dataclass(frozen=True, slots=True)
class RollbackPlan:
    """What a rollback would do: per step the input of its compensation, in order; what is left."""

    undo: tuple[tuple[str, JsonObject], ...] = ()
    not_undone: tuple[tuple[str, str], ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to undo and nothing to tell."""
        return not self.undo and not self.not_undone


def rollback_plan(workflow: CompiledWorkflow, state: RunState) -> RollbackPlan:
    """What a rollback of an ended run would do now."""
    scope: Scope = {
        "input": state.input,
        "steps": views_of(state.steps, workflow.order),
        "context": present(workflow.definition.context, state.context),
    }
    undo: list[tuple[str, JsonObject]] = []
    left: list[tuple[str, str]] = []
    for compiled, run in _done(workflow, state):
        if (reason := _unclear(compiled, run)) is not None:
            left.append((compiled.id, reason))
        elif run.status is StepStatus.SUCCEEDED and run.attempt:
            _plan_step(compiled, run, scope, undo=undo, left=left)
        if run.called_before and _may_change_things(compiled):
            left.append((compiled.id, _EARLIER))
    left += _beyond(workflow, state)
    of_steps = {owner_of(step_run): reason for step_run, reason in reversed(left)}
    return RollbackPlan(tuple(undo), tuple(of_steps.items()))


def _beyond(workflow: CompiledWorkflow, state: RunState) -> Iterator[tuple[str, str]]:
    """The steps that did something beyond this run, the latest first."""
    for step_id in reversed(workflow.order):
        step = workflow.steps[step_id].step
        if item_run_of(step) is not None:
            if any(run.called_before for run in _members_of(state, step_id)):
                yield step_id, _RUNS
            continue
        has_acted = step_id in state.steps and state.steps[step_id].called_before
        reason = _BEYOND.get(type(step))
        if has_acted and reason is not None:
            yield step_id, reason


def _members_of(state: RunState, step_id: str) -> Iterator[StepRunState]:
    prefix = f"{step_id}."
    return (run for name, run in state.steps.items() if name.startswith(prefix))


def compensates(result: StepResult) -> bool:
    """Whether an answer of a compensating agent means that the step is undone."""
    return not isinstance(result, (Failed, Refused, Uncertain))


def why_not(result: StepResult) -> str:
    """Why a step is not undone, in words."""
    said = result.reason or "Nobody knows whether it was undone."
    return f"Undoing it did not succeed: {said}"[:2_000]


def _done(
    workflow: CompiledWorkflow, state: RunState
) -> Iterator[tuple[CompiledStep, StepRunState]]:
    """The agent steps that were ever called, the latest to end first."""
    ended = [
        (run.ended_at, workflow.steps[owner_of(step_id)].rank, step_id)
        for step_id, run in state.steps.items()
        if (run.attempt or run.called_before) and run.ended_at is not None
    ]
    for _, _, step_id in sorted(ended, reverse=True):
        compiled = workflow.step(step_id)
        if compiled.interfaces:
            yield compiled, state.steps[step_id]


def _plan_step(
    compiled: CompiledStep,
    run: StepRunState,
    scope: Scope,
    *,
    undo: list[tuple[str, JsonObject]],
    left: list[tuple[str, str]],
) -> None:
    if not isinstance(run.result, (Value, Uncertain)):
        return  # there was nothing
    if compiled.compensation is None:
        if changes_things(compiled, run.fallback):
            left.append((compiled.id, "It changed something, and the step says no way to undo it."))
        return
    payload, violations = build(compiled.compensation.mapping, scope)
    if not violations:
        accepted = compiled.compensation.contract.accept(payload)
        violations = accepted.violations if accepted.verdict == "refused" else ()
        payload = accepted.payload if isinstance(accepted.payload, dict) else payload
    if violations:
        place = violations[0].path or "/"
        left.append(
            (compiled.id, f"What undoing it needs is not there: {place} {violations[0].reason}.")
        )
        return
    undo.append((compiled.id, payload))


def _unclear(compiled: CompiledStep, run: StepRunState) -> str | None:
    """Why nobody knows whether a step that did not succeed has changed something."""
    if not changes_things(compiled, run.fallback):
        return None
    if run.attempt and run.status in _BROKEN_OFF:
        return "Its call was broken off; it may have changed something."
    if run.result is not None and is_unclear(run, run.result):
        return "Nobody knows what its call did; it may have changed something."
    return None


def _may_change_things(compiled: CompiledStep) -> bool:
    return any(changes_things(compiled, place) for place in range(len(doers_of(compiled.step))))
