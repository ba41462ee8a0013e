"""Steps that may not begin yet: another one is in their section, or it is too early for them.

Theory of operation
-------------------
A step that is ready and has not begun waits when its section is taken (`waiting_for` "turn"), or
when the step after which it may begin has not ended (`waiting_for` "milestone"). It is looked at
again whenever the planner looks for the next step: it becomes ready, or, when it is too late, it is
skipped and its links die. A step that lines up for its section does so when it becomes ready, or
when it is no longer too early; `RunState.sections` keeps the order. Who is too early again, as what
it follows began anew, gives its place up.

A stretch is in its section from when its turn comes until none of its steps is under way: a step
that waits for its next try, for a person, or for the calls of a map that finish late keeps the
section, as what it has begun is not over and nobody else may see it half done. A step whose
iteration begins anew, by a loop or a person, is looked at again.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Literal

from orchestrator.core.compilation import CompiledStep
from orchestrator.core.definition import InnerStep, Losers, MapStep, OnlyWhile, member_id
from orchestrator.core.events import StepHeld, StepSkipped
from orchestrator.core.progress import HELD, NO_FORMER, Progress
from orchestrator.core.state import ENDED_WITH_RESULT, StepRunState, StepStatus

_UNDER_WAY = frozenset({StepStatus.READY, StepStatus.RUNNING, StepStatus.WAITING})
_NOT_BEGUN = frozenset({StepStatus.PENDING, StepStatus.SKIPPED})


class Moment(StrEnum):
    """Where a run stands with what a step may begin only while."""

    EARLY = "early"
    RIGHT = "right"
    LATE = "late"


class Turns(Progress):
    """Holds steps back, and lets them go on."""

    def _make_ready(self, step_id: str, **changes: Any) -> None:
        super()._make_ready(step_id, **changes)
        compiled = self.workflow.steps.get(step_id)
        if compiled is None or not compiled.section or self.steps[step_id].undo:
            return
        if self._moment(compiled) is Moment.RIGHT:
            self._line_up(compiled)

    def _may_begin(self, compiled: CompiledStep) -> bool:
        """Whether a ready step may begin; one that may not is held back or skipped."""
        moment = self._moment(compiled)
        if moment is Moment.LATE:
            self._pass_over(compiled)
            return False
        if moment is Moment.EARLY:
            self._step_out(compiled)
            self._hold(compiled, "milestone")
            return False
        if compiled.section:
            self._line_up(compiled)
            if self.sections[compiled.section][0] != compiled.stretch:
                self._hold(compiled, "turn")
                return False
        return True

    def _let_go_on(self) -> None:
        """Free the sections whose stretch is over, and let go on who was held back."""
        self._free_sections()
        while self._look_at_times():
            self._free_sections()

    def _free_sections(self) -> None:
        for section, queue in self.sections.items():
            left = tuple(one for one in queue if self._is_under_way(one))
            if left != queue:
                others = {key: kept for key, kept in self.sections.items() if key != section}
                self.sections = {**others, section: left} if left else others
            for step_id in self.workflow.stretches[left[0]] if left else ():
                if self.steps[step_id].waiting_for == "turn":
                    self._make_ready(step_id)

    def _look_at_times(self) -> bool:
        """Let go on who is no longer too early; who is too late needs no place to be skipped.

        True when one was skipped: others may have waited for it, and are to be looked at again.
        """
        is_any_late = False
        for step_id in self.workflow.limited:
            compiled = self.workflow.steps[step_id]
            if self.steps[step_id].waiting_for != "milestone":
                continue
            moment = self._moment(compiled)
            if moment is not Moment.EARLY:
                self._make_ready(step_id)
            if moment is Moment.LATE:
                self._pass_over(compiled)
                is_any_late = True
        return is_any_late

    def _line_up(self, compiled: CompiledStep) -> None:
        queue = self.sections.get(compiled.section, ())
        if compiled.stretch not in queue:
            self.sections = {**self.sections, compiled.section: (*queue, compiled.stretch)}

    def _step_out(self, compiled: CompiledStep) -> None:
        """Give up the place of a stretch that is too early again.

        It lined up when the step that it follows had ended, and that one was begun anew: it may
        itself wait for the section.
        """
        queue = self.sections.get(compiled.section, ())
        if compiled.stretch in queue:
            left = tuple(one for one in queue if one != compiled.stretch)
            others = {key: kept for key, kept in self.sections.items() if key != compiled.section}
            self.sections = {**others, compiled.section: left} if left else others

    def _is_under_way(self, stretch: str) -> bool:
        return any(
            self.steps[step_id].status in _UNDER_WAY or self._has_late_calls(step_id)
            for step_id in self.workflow.stretches[stretch]
        )

    def _has_late_calls(self, step_id: str) -> bool:
        """Whether a map has ended and calls of it are under way, which nobody waits for."""
        step, group = self.workflow.steps[step_id].step, self.groups.get(step_id)
        if group is None or not isinstance(step, MapStep) or step.late is not Losers.IGNORE:
            return False
        members = (member_id(step_id, index) for index in range(group.begun))
        return any(self.steps[member].status in _UNDER_WAY for member in members)

    def _moment(self, compiled: CompiledStep) -> Moment:
        step = compiled.step
        limits = step.only_while if isinstance(step, InnerStep) else None
        if limits is None or self.steps[compiled.id].started_at is not None:
            return Moment.RIGHT
        return self._moment_of(limits)

    def _moment_of(self, limits: OnlyWhile) -> Moment:
        until = self.steps[limits.until] if limits.until is not None else None
        is_called = self.is_leasing and limits.until in self.prepared
        if until is not None and (is_called or _has_begun(until)):
            return Moment.LATE
        after = self.steps[limits.after] if limits.after is not None else None
        if after is None or after.status in ENDED_WITH_RESULT:
            return Moment.RIGHT
        is_over = after.status in {StepStatus.SKIPPED, StepStatus.CANCELLED}
        return Moment.LATE if is_over else Moment.EARLY

    def _hold(self, compiled: CompiledStep, because: Literal["turn", "milestone"]) -> None:
        step = compiled.step
        assert isinstance(step, InnerStep)
        behind = step.only_while.after if step.only_while is not None else None
        if because == "turn":
            behind = self.sections[compiled.section][0]
        run = self._step_moves(compiled.id, "step_held", waiting_for=because)
        self.events.append(
            StepHeld(
                step=compiled.id, iteration=run.iteration, because=because, behind=behind or ""
            )
        )

    def _pass_over(self, compiled: CompiledStep) -> None:
        """Skip a step that comes too late; what leads away from it is a dead path."""
        step_id = compiled.id
        self._step_moves(step_id, "step_skipped", ended_at=self.now, **NO_FORMER)
        self.views.pop(step_id, None)
        self.events.append(StepSkipped(step=step_id, too_late=True))
        self._resolve_links(step_id)


def _has_begun(run: StepRunState) -> bool:
    if run.status is StepStatus.READY:
        return run.started_at is not None
    return run.status not in _NOT_BEGUN and run.waiting_for not in HELD
