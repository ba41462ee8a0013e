"""Steps that are made of step runs: each item of a map is a step run of its own.

Theory of operation
-------------------
A map that becomes ready takes its list, like any step its input, and then waits for its *members*
(`waiting_for` "members"). A member is a step run with the id `<step>.<index>`: an agent step
without links, which is handed over, leased, tried again, asked about and cancelled like any other
(`CompiledWorkflow.step` says what it executes). Only as many members are begun as may be under way
at once; the next one begins when one ends, so that one event costs the same however long the list
is. `RunState.groups` counts them.

A member's end goes to its step instead of to links. When too many have failed the rest is cancelled
and the step fails; when all have ended their outputs are gathered in the order of the list.

A step that is run again in the same iteration (a failed run is resumed, a person lets it go on)
keeps the members that have succeeded and begins the others anew.
"""

from __future__ import annotations

from orchestrator.core.compilation import CompiledStep, member_word
from orchestrator.core.context import Scope
from orchestrator.core.definition import (
    MapStep,
    is_member,
    member_id,
    member_of,
    owner_of,
)
from orchestrator.core.events import StepClosed
from orchestrator.core.json import JsonObject, JsonValue
from orchestrator.core.policies import FailureKind
from orchestrator.core.progress import Broken, changed, reason_of
from orchestrator.core.results import Failed, StepResult, Value
from orchestrator.core.rounds import Rounds
from orchestrator.core.state import TERMINAL_STEP, MemberGroup, StepRunState, StepStatus


class Members(Rounds):
    """What becomes of a step's members, and of the step by them."""

    def _begin_members(self, step_id: str) -> None:
        """Begin on the list that was handed over to a map."""
        run = self.steps[step_id]
        self.groups[step_id] = MemberGroup(
            iteration=run.iteration,
            total=len(_items(run)),
            begun=0,
            open=0,
            failed=(),
            is_again=self._has_members(step_id),
        )
        started_at = run.started_at or self.now
        self._step_moves(step_id, "members_begun", waiting_for="members", started_at=started_at)
        self._begin_more(step_id)

    def _has_members(self, step_id: str) -> bool:
        """Whether members were begun in the iteration that the step is in."""
        group = self.groups.get(step_id)
        return group is not None and group.iteration == self.steps[step_id].iteration

    def _begin_more(self, step_id: str) -> None:
        """Begin members while there are free places; gather when none is under way any more."""
        group, step = self.groups[step_id], self.workflow.steps[step_id].step
        assert isinstance(step, MapStep)
        begun, under_way = group.begun, group.open
        while begun < group.total and under_way < step.max_parallel:
            under_way += self._begin_member(member_id(step_id, begun), keep=group.is_again)
            begun += 1
        self.groups[step_id] = changed(group, begun=begun, open=under_way)
        if not under_way:
            self._gather(step_id)

    def _begin_member(self, step_run: str, *, keep: bool) -> bool:
        """Make a member ready; False when it has succeeded before and that is kept."""
        run = self.steps.get(step_run)
        if run is None:
            self.steps[step_run] = StepRunState()
            self._make_ready(step_run)
            return True
        if keep and isinstance(run.result, Value):
            return False
        if keep and run.status is not StepStatus.SUCCEEDED and run.attempt:
            # The same call again, with the same key.
            self._make_ready(
                step_run, result=None, port=None, ended_at=None, free_attempts=run.attempt
            )
            return True
        self.passed.append((step_run, run))
        self.steps[step_run] = StepRunState(
            iteration=run.iteration + 1, reviews=run.reviews, decided_tasks=run.decided_tasks
        )
        self._make_ready(step_run)
        return True

    def _leave(self, step_id: str, result: StepResult, *, port: str | None = None) -> None:
        if not is_member(step_id):
            super()._leave(step_id, result, port=port)
            return
        self._end_step(step_id, result, None)
        owner = owner_of(step_id)
        step, group = self.workflow.steps[owner].step, self.groups[owner]
        assert isinstance(step, MapStep)
        is_good = isinstance(result, Value)
        failed = group.failed if is_good else (*group.failed, int(member_of(step_id)))
        self.groups[owner] = changed(group, open=group.open - 1, failed=failed)
        if len(failed) > step.tolerated_failures:
            self._give_up(owner, step, step_id)
        else:
            self._begin_more(owner)

    def _give_up(self, step_id: str, step: MapStep, culprit: str) -> None:
        """Cancel what is under way and fail the step: more members failed than it tolerates."""
        group, result = self.groups[step_id], self.steps[culprit].result
        self._break_off(step_id, "not_needed")
        allowed = step.tolerated_failures
        counted = f"{len(group.failed)} of {group.total} items failed"
        more = f"{counted}, and {allowed} may" if allowed else counted
        failed = Failed(
            kind=result.kind if isinstance(result, Failed) else FailureKind.AGENT_ERROR,
            reason_code="items_failed",
            reason=f"{more}. {member_word(culprit).capitalize()}: {reason_of(result)}"[:2_000],
            retryable=False,
        )
        self._leave(step_id, failed)

    def _break_off(self, step_id: str, because: Broken) -> None:
        """What a step with members has under way is its members."""
        if self.steps[step_id].waiting_for != "members":
            super()._break_off(step_id, because)
            return
        for index in range(self.groups[step_id].begun):
            member = member_id(step_id, index)
            if self.steps[member].status not in TERMINAL_STEP:
                super()._break_off(member, because)
                self._step_moves(member, "step_cancelled", waiting_for=None, ended_at=self.now)
                self.events.append(StepClosed(step=member, to="cancelled"))

    def _gather(self, step_id: str) -> None:
        """Put the outputs together in the order of the list."""
        group = self.groups[step_id]
        outputs: list[JsonValue] = []
        failed: list[JsonValue] = []
        for index in range(group.total):
            result = self.steps[member_id(step_id, index)].result
            if isinstance(result, Value):
                outputs.append(result.output)
            else:
                outputs.append(None)
                failed.append(_failure(index, result))
        output: JsonObject = {"items": outputs, "failed": failed, "count": group.total}
        reason = f"{len(failed)} of {group.total} items failed." if failed else None
        gathered = Value.model_construct(output=output, reason=reason)
        self._leave(step_id, gathered, port="partial" if failed else "next")

    def _end_by_exception(self, step_id: str, reason: str) -> None:
        """A member that a person gives up takes its step, and the run, with it."""
        if not is_member(step_id):
            super()._end_by_exception(step_id, reason)
            return
        result = self.steps[step_id].result
        assert result is not None
        self._end_step(step_id, result, None)
        owner = owner_of(step_id)
        failed = Failed(
            kind=result.kind if isinstance(result, Failed) else FailureKind.AGENT_ERROR,
            reason_code="items_failed",
            reason=f"{member_word(step_id).capitalize()}: {reason_of(result)}"[:2_000],
            retryable=False,
        )
        self._break_off(owner, "not_needed")
        self.steps[owner] = changed(self.steps[owner], result=failed)
        super()._end_by_exception(owner, reason)

    def _scope(self, compiled: CompiledStep) -> Scope:
        scope = super()._scope(compiled)
        if not is_member(compiled.id):
            return scope
        index = int(member_of(compiled.id))
        return {**scope, "item": _items(self.steps[owner_of(compiled.id)])[index], "index": index}


def _items(run: StepRunState) -> list[JsonValue]:
    items = (run.input or {}).get("items")
    return items if isinstance(items, list) else []


def _failure(index: int, result: StepResult | None) -> JsonObject:
    tag = "cancelled" if result is None else result.type
    kind = result.kind.value if isinstance(result, Failed) else tag
    return {"index": index, "kind": kind, "reason": reason_of(result)}
