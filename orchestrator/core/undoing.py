"""How a rollback goes on from event to event; what is undone is decided by `core/rollback.py`."""

from __future__ import annotations

from orchestrator.core.events import (
    HandoffMade,
    RollbackBegun,
    RunRolledBack,
    StepCompensated,
    StepNotUndone,
)
from orchestrator.core.execution import Execution
from orchestrator.core.progress import changed
from orchestrator.core.results import Failed, StepResult
from orchestrator.core.rollback import MAY_BE_ROLLED_BACK, compensates, rollback_plan, why_not
from orchestrator.core.state import RunStatus, StepStatus, is_terminal, next_iteration


class Undoing(Execution):
    """Rolling a run back, one compensation after another."""

    def advance(self) -> None:
        """Go on forwards; or, when the run is being undone, with the next compensation."""
        if self.status is not RunStatus.ROLLING_BACK:
            super().advance()
            self._roll_back_by_outcome()
        if self.status is RunStatus.ROLLING_BACK:
            self._undo_next()

    def _roll_back_by_outcome(self) -> None:
        """A run that has just ended in an outcome that asks for it is undone at once."""
        if not is_terminal(self.status) or is_terminal(self.before.status):
            return
        outcome = self.definition.outcomes.get(self.changes.get("outcome") or "")
        if outcome is not None and outcome.rollback:
            self._begin_rollback()

    def _rollback_requested(self) -> bool:
        return self.status in MAY_BE_ROLLED_BACK and self._begin_rollback()

    def _begin_rollback(self) -> bool:
        """Give every step that can be undone its input; False when nothing has to be undone."""
        planned = rollback_plan(
            self.workflow,
            changed(
                self.before, steps=dict(self.steps), context=self.shared, **self._known_input()
            ),
        )
        if planned.is_empty:
            return False
        self._run_moves("rollback_begun")
        for step_id, payload in planned.undo:
            run = self.steps[step_id]
            self.passed.append((step_id, run))
            self._step_moves(
                step_id,
                "step_returned",
                **next_iteration(run, override=None) | {"undo": True, "input": payload},
            )
        self.changes |= {
            "undo": tuple(step_id for step_id, _ in planned.undo),
            "not_undone": dict(planned.not_undone),
        }
        self.events.append(
            RollbackBegun(
                undo=tuple(step_id for step_id, _ in planned.undo),
                not_undone=dict(planned.not_undone),
            )
        )
        return True

    def _known_input(self) -> dict[str, object]:
        return {"input": self.changes["input"]} if "input" in self.changes else {}

    def _undo_next(self) -> None:
        """Call the next compensation, if none is under way; end when none is left."""
        waiting = self.changes.get("undo", self.before.undo)
        if not waiting:
            left = self.changes.get("not_undone", self.before.not_undone)
            self._run_moves("run_rolled_back")
            self.events.append(RunRolledBack(not_undone=dict(left)))
            return
        step_id = waiting[0]
        if self.steps[step_id].status is StepStatus.PENDING:
            self._make_ready(step_id)
            self.events.append(
                HandoffMade(
                    step=step_id,
                    iteration=self.steps[step_id].iteration,
                    links=(),
                    verdict="fits",
                )
            )
        if self.steps[step_id].status is StepStatus.READY:
            self._lease(step_id)

    def _undo_ended(self, step_id: str, result: StepResult) -> None:
        """A compensation has its result: the step is compensated, or listed as not undone."""
        run = self.steps[step_id]
        is_undone = compensates(result)
        self._step_moves(
            step_id,
            "step_compensated" if is_undone else "step_failed",
            result=result,
            waiting_for=None,
            ended_at=self.now,
        )
        waiting = self.changes.get("undo", self.before.undo)
        self.changes["undo"] = tuple(one for one in waiting if one != step_id)
        if is_undone:
            self.events.append(
                StepCompensated(step=step_id, iteration=run.iteration, result=result)
            )
            return
        left = self.changes.get("not_undone", self.before.not_undone)
        reason = why_not(result)
        self.changes["not_undone"] = {**left, step_id: reason}
        kind = result.kind.value if isinstance(result, Failed) else result.type
        self.events.append(
            StepNotUndone(step=step_id, iteration=run.iteration, kind=kind, reason=reason)
        )
