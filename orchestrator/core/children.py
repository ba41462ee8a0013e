"""Steps of the kind workflow: another workflow runs as a run of its own, the child.

Theory of operation
-------------------
The child's id follows from run, step and iteration, so that whoever plans the step again after a
crash asks for the same child, which is started once. The step waits for its end, which comes as an
event like a person's decision; what no longer applies (another iteration, a step that waits for
nothing any more) changes nothing. A person who lets a failed step run again begins its next
iteration, and so another child.

What ends or holds the parent is told to the child that is waited for: cancelled when the run ends,
goes back to an earlier step or no longer needs the branch; paused and continued with it. A detached
child is on its own as soon as it was asked for; a step that starts one for each item of a list asks
for all of them at once, or for none.

An item of a map may be such a step too (`core/members.py`). It has its own child, and its end goes
to the map instead of to links.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal

from orchestrator.core.commands import StartChild, TellChild
from orchestrator.core.compilation import CompiledStep
from orchestrator.core.context import Scope, build, expression_failed, input_refused
from orchestrator.core.definition import WorkflowStep, is_member, item_run_of, member_id
from orchestrator.core.emits import Emits
from orchestrator.core.events import ChildBegun, ChildEnded
from orchestrator.core.json import JsonObject, JsonValue
from orchestrator.core.policies import FailureKind
from orchestrator.core.progress import CHILD, changed, child_id
from orchestrator.core.results import Failed, StepResult, Value
from orchestrator.core.state import StepStatus

_FAILURES: Final = {
    "failed": (FailureKind.AGENT_ERROR, "child_failed", "It ended as"),
    "cancelled": (FailureKind.CANCELLED, "child_cancelled", "Somebody cancelled it"),
    "not_started": (FailureKind.UNAVAILABLE, "child_not_started", "It could not be started"),
}


class Children(Emits):
    """Begins runs of other workflows, and hears of their ends."""

    def _begin_child(self, compiled: CompiledStep, step: WorkflowStep) -> None:
        if step.each is not None:
            self._begin_each(compiled, step)
            return
        step_id, run = compiled.id, self.steps[compiled.id]
        child = child_id(self.before.run_id, step_id, run.iteration)
        self.commands.append(
            StartChild(
                step=step_id,
                iteration=run.iteration,
                child=child,
                uses=step.uses,
                input=run.input or {},
                detached=step.detached,
            )
        )
        self.events.append(
            ChildBegun(step=step_id, iteration=run.iteration, child=child, detached=step.detached)
        )
        self.steps[step_id] = changed(run, called_before=True)
        if step.detached:
            self._leave(step_id, Value.model_construct(output={"run": child}))
            return
        self._step_moves(step_id, "child_begun", waiting_for=CHILD, started_at=self.now)

    def _begin_each(self, compiled: CompiledStep, step: WorkflowStep) -> None:
        """Ask for a run per item and go on; nothing is asked for when one of them is refused."""
        step_id, run = compiled.id, self.steps[compiled.id]
        inputs: list[JsonObject] = []
        for index, item in enumerate(_listed(run.input)):
            scope = {**self._scope(compiled), "item": item, "index": index}
            given, failed = self._each_input(compiled.members[0], scope, index)
            if failed is not None:
                self._leave(step_id, failed)
                return
            inputs.append(given)
        asked = [
            StartChild(
                step=member_id(step_id, index),
                iteration=run.iteration,
                child=child_id(self.before.run_id, member_id(step_id, index), run.iteration),
                uses=step.uses,
                input=given,
                detached=True,
            )
            for index, given in enumerate(inputs)
        ]
        if asked:
            first, count = asked[0].child, len(asked)
            begun = ChildBegun(
                step=step_id, iteration=run.iteration, child=first, detached=True, count=count
            )
            self.events.append(begun)
            self.commands += asked
            self.steps[step_id] = changed(run, called_before=True)
        runs: list[JsonValue] = [one.child for one in asked]
        started = Value.model_construct(output={"runs": runs, "count": len(runs)})
        self._leave(step_id, started)

    def _each_input(
        self, each: CompiledStep, scope: Scope, index: int
    ) -> tuple[JsonObject, Failed | None]:
        """What one run is given, or why its workflow does not take that."""
        name = f"{each.step.name}, item {index + 1}"
        built, violations = build(each.mapping, scope)
        if violations:
            return built, expression_failed(name, violations)
        assert each.contract is not None
        accepted = each.contract.accept(built)
        if accepted.verdict == "refused":
            return built, input_refused(name, accepted.violations)
        return accepted.payload if isinstance(accepted.payload, dict) else built, None

    def _child_ended(self, event: ChildEnded) -> bool:
        run = self.steps.get(event.step)
        if (
            run is None
            or run.status is not StepStatus.WAITING
            or (run.waiting_for, run.iteration) != (CHILD, event.iteration)
        ):
            return False
        compiled = self.workflow.step(event.step)
        assert isinstance(compiled.step, WorkflowStep)
        result = _result_of(event, compiled.step)
        port = event.outcome if is_member(event.step) else self._port_of(compiled, event)
        self._leave(event.step, result, port=port)
        return True

    def _port_of(self, compiled: CompiledStep, event: ChildEnded) -> str:
        """The outcome's own way out; of a failure that has none of its own, the common one."""
        named = event.outcome or ""
        is_linked = named in compiled.by_port or named in compiled.back
        return named if event.status == "succeeded" or is_linked else "failed"

    def _tell_children(self, what: Literal["pause", "continue"]) -> None:
        """Have the runs that are waited for do what this one does."""
        for step_id in self._asking():
            run = self.steps[step_id]
            if run.waiting_for == CHILD:
                child = child_id(self.before.run_id, step_id, run.iteration)
                self.commands.append(
                    TellChild(step=step_id, iteration=run.iteration, child=child, what=what)
                )

    def _asking(self) -> Iterator[str]:
        """The step runs that may wait for runs that they asked for, in order."""
        for step_id in self.workflow.order:
            yield step_id
            if step_id in self.groups and item_run_of(self.workflow.steps[step_id].step):
                begun = self.groups[step_id].begun
                yield from (member_id(step_id, index) for index in range(begun))


def _listed(given: JsonObject | None) -> list[JsonValue]:
    items = (given or {}).get("items")
    return items if isinstance(items, list) else []


def _result_of(event: ChildEnded, step: WorkflowStep) -> StepResult:
    if event.status == "succeeded":
        return Value.model_construct(output=event.output or {})
    kind, code, words = _FAILURES[event.status]
    ended = f" '{event.outcome}'" if event.outcome and event.status == "failed" else ""
    because = f": {event.reason}" if event.reason else "."
    name = step.uses.words
    return Failed(
        kind=kind,
        reason_code=code,
        reason=f"The run of {name} did not succeed. {words}{ended}{because}"[:2_000],
        retryable=False,
    )
